from datetime import timedelta

from odoo import fields
from odoo.tests import HttpCase, tagged

from odoo.addons.point_of_sale.tests.test_frontend import TestPointOfSaleHttpCommon
from odoo.addons.web.tests import test_js


@tagged("post_install", "-at_install")
class TestTillUnits(HttpCase):
    """The hoot tests of the till, alone: `static/tests/unit`."""

    def test_hoot(self):
        suite = test_js.HOOTCommon._generate_hash(self, "@wechat_coupon")
        self.browser_js(
            f"/web/tests?headless&loglevel=2&preset=desktop&timeout=15000&id={suite}",
            "",
            "",
            login="admin",
            timeout=600,
            success_signal="[HOOT] Test suite succeeded",
            error_checker=test_js.unit_test_error_checker,
        )


@tagged("post_install", "-at_install")
class TestTillTours(TestPointOfSaleHttpCommon):
    """Whole stories of a cashier, in Chromium."""

    @classmethod
    @TestPointOfSaleHttpCommon.setup_country("cn")
    def setUpClass(cls):
        super().setUpClass()
        cls.env.user.group_ids += cls.env.ref("wechat_coupon.coupon_group_manager")
        for code in ("en_US", "zh_CN"):
            cls.env["res.lang"]._activate_lang(code)
        cls.env["ir.module.module"].search(
            [("name", "=", "wechat_coupon")]
        )._update_translations(["zh_CN"])
        cls.env.user.lang = cls.pos_user.lang = "en_US"
        cls.env["loyalty.program"].search(
            [("wechat_guarded", "=", False)]
        ).action_archive()
        cls.tea = cls._product("Tea", 60, "6901234567892")
        cls.cake = cls._product("Cake", 30, "012345678905")
        cls.soap = cls._product("Soap", 9, "621234567895")
        cls.template = cls._template("20 off 100", 2000, threshold_fen=10000)
        cls.coupon = cls._coupon(cls.template, "621234567890")

    @classmethod
    def _product(cls, name, price, barcode):
        return cls.env["product.product"].create(
            {
                "name": name,
                "list_price": price,
                "barcode": barcode,
                "available_in_pos": True,
                "taxes_id": False,
            }
        )

    @classmethod
    def _template(cls, name, amount_fen, **values):
        template = cls.env["coupon.template"].create(
            {"name": name, "channel": "local", "amount_fen": amount_fen, **values}
        )
        template.action_publish()
        return template

    @classmethod
    def _coupon(cls, template, code, **values):
        return cls.env["loyalty.card"]._wechat_insert(
            template, [{"code": code, **values}]
        )

    def _open(self):
        self.main_pos_config.with_user(self.pos_user).open_ui()

    def _run(self, tour, **kwargs):
        self._open()
        self.start_pos_tour(tour, **kwargs)

    def _uses(self, coupon=None):
        return self.env["coupon.redemption"].search(
            [("coupon_id", "=", (coupon or self.coupon).id)], order="id"
        )

    def _assert_redeemed_once(self):
        self.assertEqual(self._uses().mapped("state"), ["redeemed"])
        order = self._uses().pos_order_id
        self.assertEqual(order.state, "paid")
        self.assertEqual(order.amount_total, 100)
        self.assertEqual(self._uses().discount_fen, 2000)

    def test_marketer(self):
        """Make and publish a template, in both languages."""
        for lang, tour in (
            ("en_US", "WechatCouponTemplate"),
            ("zh_CN", "WechatCouponTemplateZh"),
        ):
            self.pos_admin.lang = lang
            self.pos_admin.group_ids += self.env.ref(
                "wechat_coupon.coupon_group_manager"
            )
            self.start_tour(
                "/odoo/action-wechat_coupon.coupon_template_action",
                tour,
                login="pos_admin",
            )
        names = ["Autumn 10 off 100", "秋季满100减10"]
        made = self.env["coupon.template"].search([("name", "in", names)])
        self.assertEqual(made.mapped("state"), ["live", "live"])
        self.assertEqual(made.mapped("amount_fen"), [1000, 1000])
        self.assertEqual(made.mapped("threshold_fen"), [10000, 10000])

    def test_story(self):
        self._run("WechatCouponStory")
        self._assert_redeemed_once()

    def test_story_chinese(self):
        self.pos_user.lang = "zh_CN"
        self._run("WechatCouponStoryZh")
        self._assert_redeemed_once()

    def test_refusals(self):
        now = fields.Datetime.now()
        early = self._template("early", 100)
        self._coupon(early, "EXPXRED347", wechat_valid_to=now - timedelta(days=2))
        self._coupon(early, "FUTXRE3479", wechat_valid_from=now + timedelta(days=2))
        self._coupon(early, "VXXDED3479")._wechat_void("test")
        owner = self.env["res.partner"].create({"name": "Owner"})
        self._coupon(early, "XWNER34791", partner_id=owner.id)
        self._run("WechatCouponRefusals")
        self.assertFalse(self._uses())

    def test_held(self):
        """The customer's coupons are shown, and used by one tap."""
        partner = self.env["res.partner"].create({"name": "Zhang Wei"})
        mine = self._template("30 off 100", 3000, threshold_fen=10000)
        coupon = self._coupon(mine, "HXLD347912", partner_id=partner.id)
        far = self._template("500 off", 50000, threshold_fen=50000)
        self._coupon(far, "FXR3479123", partner_id=partner.id)
        self._run("WechatCouponHeld")
        self.assertFalse(self._uses(coupon), "nothing is held before the payment")

    def test_gift(self):
        gift = self._template(
            "Free cake", 0, coupon_type="gift", gift_product_id=self.cake.id
        )
        coupon = self._coupon(gift, "GXFT347912")
        self._run("WechatCouponGift")
        self.assertEqual(self._uses(coupon).mapped("state"), ["redeemed"])
        self.assertEqual(self._uses(coupon).discount_fen, 3000)

    def test_router(self):
        for name, fen, code in (
            ("5 off", 500, "621234567895"),
            ("6 off", 600, "042123456789"),
            ("7 off", 700, "041123456789"),
            ("8 off", 800, "220512345678"),
        ):
            self._coupon(self._template(name, fen), code)
        self._run("WechatCouponRouter")

    def test_held_elsewhere(self):
        self._run("WechatCouponHeldElsewhere")
        self.assertEqual(self._uses().mapped("state"), ["reserved"])
        order = self.env["pos.order"].search([], order="id desc", limit=1)
        self.assertEqual(order.amount_total, 120)

    def test_terms(self):
        tea = self._template(
            "Tea for 9.90",
            0,
            coupon_type="exchange",
            gift_product_id=self.tea.id,
            exchange_fen=990,
            use_limit=1,
        )
        self._coupon(tea, "CHAHA3479")
        self._coupon(tea, "CHAHA3497")
        alone = self._template("Alone", 500, stacking="exclusive")
        coupon = self._coupon(alone, "AXXNE3479")
        self._run("WechatCouponTerms")
        self.assertEqual(self._uses(coupon).mapped("state"), ["redeemed"])
        self.assertFalse(self._uses(coupon).problems)

    def test_quick_payment(self):
        cash = self.main_pos_config.payment_method_ids.filtered("is_cash_count")[:1]
        self.main_pos_config.write(
            {"use_fast_payment": True, "fast_payment_method_ids": cash.ids}
        )
        other = self._coupon(self.template, "621234567891")
        self._run("WechatCouponQuickPayment")
        self._assert_redeemed_once()
        self.assertEqual(self._uses(other).mapped("state"), ["reserved"])

    def test_reload(self):
        self._run("WechatCouponReload")
        self._assert_redeemed_once()

    def test_refund(self):
        """Never more than was paid, and the till says that it is done."""
        self._run("WechatCouponRefund")
        orders = self.env["pos.order"].search([("amount_total", "<", 0)])
        self.assertEqual(orders.mapped("state"), ["paid", "paid"])
        self.assertEqual(sum(orders.mapped("amount_total")), -100)
        self.assertEqual(self._uses().mapped("state"), ["returned"])
        self.assertFalse(self._uses().needs_attention)
        self.assertEqual(self.coupon.wechat_state, "usable")

    def test_refund_chinese(self):
        self._coupon(
            self._template("early", 100),
            "EXPXRED347",
            wechat_valid_to=fields.Datetime.now() - timedelta(days=2),
        )
        self.pos_user.lang = "zh_CN"
        self._run("WechatCouponRefundZh")
        self.assertEqual(self._uses().mapped("state"), ["returned"])
        self.assertEqual(self.coupon.wechat_state, "usable")

    def test_abandon(self):
        self._run("WechatCouponAbandon")
        self.assertEqual(set(self._uses().mapped("state")), {"released"})

    def test_at_payment(self):
        self._run("WechatCouponAtPayment")
        self._assert_redeemed_once()

    def test_offline(self):
        self._run("WechatCouponOffline")
        self._assert_redeemed_once()
