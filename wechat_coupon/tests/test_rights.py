from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests import tagged
from odoo.tools import file_open

from odoo.addons.wechat_base.tools.exceptions import WechatError

from .common import CouponCase


@tagged("post_install", "-at_install")
class TestRights(CouponCase):
    """What each group may do, by the ORM and as it comes over RPC."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plain = cls.new_user("coupon_nobody")
        cls.coupon = cls.template._generate(1)

    def rpc(self, user, record, method, *args, **kwargs):
        """Call a method as ``/web/dataset/call_kw`` does."""
        model = self.env[record._name].with_user(user)
        return call_kw(model, method, [record.ids, *args], kwargs)

    # === USER === #

    def test_pos_user_is_a_coupon_user(self):
        self.assertTrue(self.cashier.has_group("wechat_coupon.coupon_group_user"))
        self.assertFalse(self.cashier.has_group("wechat_coupon.coupon_group_manager"))

    def test_the_till(self):
        calls = {
            "wechat_coupon_lookup": (self.coupon.code, "u", False, self.full_cart),
            "wechat_coupon_reserve": ("u", self.shown(self.coupon), self.full_cart),
            "wechat_coupon_release": ("u",),
            "wechat_coupon_status": ("u",),
            "wechat_coupon_is_code": (self.coupon.code,),
        }
        for method, args in calls.items():
            with self.subTest(method=method):
                self.assertTrue(self.rpc(self.cashier, self.config, method, *args))
                for user in (self.plain, self.auditor):
                    with self.assertRaises(AccessError):
                        self.rpc(user, self.config, method, *args)

    def test_the_till_of_another_company(self):
        company = self.new_company("Other Shop CN")
        self.env.user.company_ids |= company
        config = self.new_config("Other shop", company)
        with self.assertRaises(AccessError):
            self.rpc(self.cashier, config, "wechat_coupon_status", "u")

    def test_user_cannot_write_a_coupon(self):
        card = self.coupon.with_user(self.cashier)
        for vals in (
            {"points": 100},
            {"points": 1},
            {"code": "MYOWNCODE"},
            {"program_id": self.env["loyalty.program"].search([], limit=1).id},
            {"expiration_date": "2099-01-01"},
            {"partner_id": self.customer.id},
            {"active": False},
            {"wechat_state": "usable"},
            {"wechat_valid_to": False},
            {"coupon_template_id": False},
        ):
            with self.subTest(vals=vals), self.assertRaises(UserError):
                self.rpc(self.cashier, card, "write", vals)
        self.assertEqual(self.coupon.points, 1)

    def test_the_program_opens_for_a_marketer(self):
        """Odoo's form counts sales orders, which a marketer does not read."""
        program = self.template.program_id.with_user(self.manager)
        self.assertEqual(
            program.web_read({"total_order_count": {}})[0]["id"], program.id
        )

    def test_the_key_does_not_come_over_rpc(self):
        for key in (True, 1, "wechat_coupon_ledger", {}):
            with self.assertRaises(UserError):
                self.rpc(
                    self.cashier,
                    self.coupon,
                    "write",
                    {"points": 9},
                    context={"wechat_coupon_ledger": key},
                )

    def test_even_sudo_cannot_write_a_balance(self):
        with self.assertRaises(UserError):
            self.coupon.sudo().points = 5
        with self.assertRaises(UserError):
            self.coupon.sudo().unlink()

    def test_odoo_wizards_cannot_change_a_balance(self):
        wizard = self.env["loyalty.card.update.balance"].with_user(self.cashier)
        with self.assertRaises(UserError):
            wizard.create(
                {"card_id": self.coupon.id, "new_balance": 7, "description": "x"}
            ).action_update_card_point()
        generate = self.env["loyalty.generate.wizard"].with_user(self.manager).sudo()
        with self.assertRaises(UserError):
            generate.create(
                {
                    "program_id": self.template.program_id.id,
                    "coupon_qty": 5,
                    "mode": "anonymous",
                }
            ).generate_coupons()

    def test_an_own_card_cannot_join(self):
        program = self.env["loyalty.program"].create(
            {"name": "Own", "program_type": "coupons", "company_id": self.company.id}
        )
        card = self.env["loyalty.card"].create({"program_id": program.id, "points": 1})
        card.points = 3
        card.with_user(self.cashier).points = 2
        with self.assertRaises(UserError):
            card.program_id = self.template.program_id
        with self.assertRaises(UserError):
            card.coupon_template_id = self.template
        with self.assertRaises(UserError):
            self.env["loyalty.card"].create({"program_id": self.template.program_id.id})

    def test_user_does_not_read_the_ledger(self):
        self.reserve("u1", self.coupon)
        for model in ("coupon.redemption", "coupon.redemption.line", "coupon.template"):
            with self.subTest(model=model), self.assertRaises(AccessError):
                self.env[model].with_user(self.cashier).search_read([])

    def test_user_may_not_manage(self):
        for method in ("action_publish", "action_pause", "action_end"):
            with self.subTest(method=method), self.assertRaises(AccessError):
                self.rpc(self.cashier, self.template, method)
        with self.assertRaises(AccessError):
            self.rpc(self.cashier, self.coupon, "action_wechat_void")
        for model in ("coupon.generate.wizard", "coupon.reason.wizard"):
            with self.subTest(model=model), self.assertRaises(AccessError):
                self.env[model].with_user(self.cashier).create({})

    def test_errors_are_sentences_in_the_web_client(self):
        """It goes by the names of classes, and shows a crash for those it misses."""

        def family(parent):
            for child in parent.__subclasses__():
                yield child
                yield from family(child)

        known = ""
        for addon in ("wechat_base", "wechat_coupon"):
            with file_open(f"{addon}/static/src/core/error_dialogs.js") as source:
                known += source.read()
        for error in {WechatError, *family(WechatError)}:
            if ".tests." not in error.__module__:
                self.assertIn(error.__module__, known)
                self.assertIn(error.__name__, known)

    def test_openid_is_not_for_the_till(self):
        with self.assertRaises(AccessError):
            self.coupon.with_user(self.cashier).read(["wechat_openid"])
        self.coupon.with_user(self.manager).read(["wechat_openid"])

    # === MANAGER === #

    def test_manager(self):
        templates = self.env["coupon.template"].with_user(self.manager)
        template = templates.create(
            {
                "name": "By the manager",
                "amount_fen": 500,
                "date_from": "2026-01-01",
                "date_to": "2099-01-01",
            }
        )
        self.rpc(self.manager, template, "action_publish")
        self.assertEqual(template.state, "live")
        self.rpc(self.manager, template, "action_pause")
        self.rpc(self.manager, template, "action_resume")
        coupon = template._generate(1)
        self.reserve("u1", coupon)
        redemption = self.redemptions(coupon).with_user(self.manager)
        self.assertEqual(redemption.read(["state"])[0]["state"], "reserved")
        self.rpc(self.manager, redemption, "action_release")
        self.rpc(self.manager, coupon, "action_wechat_void")

    def test_manager_cannot_rewrite_the_ledger(self):
        self.pay("paid", self.coupon)
        redemption = self.redemptions(self.coupon).with_user(self.manager)
        for call in (
            lambda: redemption.write({"state": "released"}),
            lambda: redemption.write({"discount_fen": 0}),
            lambda: redemption.unlink(),
            lambda: redemption.copy(),
            lambda: redemption.line_ids.write({"discount_fen": 0}),
        ):
            with self.assertRaises(AccessError):
                call()

    def test_a_manager_is_an_auditor(self):
        self.assertTrue(self.manager.has_group("wechat_coupon.coupon_group_auditor"))
        self.assertFalse(self.auditor.has_group("wechat_coupon.coupon_group_manager"))

    # === AUDITOR === #

    def test_auditor_reads(self):
        self.pay("paid", self.coupon)
        env = self.env(user=self.auditor)
        self.assertTrue(env["coupon.template"].search([]))
        redemption = env["coupon.redemption"].search([("order_uuid", "=", "paid")])
        self.assertEqual(redemption.discount_amount, 10)
        self.assertTrue(redemption.line_ids.mapped("product_id"))
        self.assertTrue(env["loyalty.card"].search([("id", "=", self.coupon.id)]))
        groups = env["coupon.redemption"].formatted_read_group(
            [], ["redeemed_at:day", "template_id"], ["discount_amount:sum"]
        )
        self.assertTrue(groups)

    def test_auditor_changes_nothing(self):
        self.reserve("u1", self.coupon)
        redemption = self.redemptions(self.coupon)
        for record, method in (
            (self.template, "action_publish"),
            (self.template, "action_pause"),
            (self.template, "action_end"),
            (self.template, "action_refresh"),
            (self.coupon, "action_wechat_void"),
            (redemption, "action_retry"),
            (redemption, "action_settle"),
            (redemption, "action_release"),
            (redemption, "action_operation_retry"),
        ):
            with self.subTest(method=method), self.assertRaises(AccessError):
                self.rpc(self.auditor, record, method)
        for record in (self.template, redemption, self.coupon):
            with self.subTest(record=record), self.assertRaises(UserError):
                record.with_user(self.auditor).write({"company_id": False})
        with self.assertRaises(AccessError):
            self.env["coupon.template"].with_user(self.auditor).create({"name": "x"})

    # === NOBODY === #

    def test_nobody(self):
        for model in (
            "coupon.template",
            "coupon.redemption",
            "coupon.redemption.line",
            "coupon.task",
        ):
            with self.subTest(model=model), self.assertRaises(AccessError):
                self.env[model].with_user(self.plain).search_read([])

    # === COMPANIES === #

    def test_companies(self):
        company = self.new_company("Other Shop CN")
        self.env.user.company_ids |= company
        boss = self.new_user(
            "coupon_boss2", "wechat_coupon.coupon_group_manager", company=company
        )
        auditor = self.new_user(
            "coupon_audit2", "wechat_coupon.coupon_group_auditor", company=company
        )
        self.pay("paid", self.coupon)
        redemption = self.redemptions(self.coupon)
        for user in (boss, auditor):
            env = self.env(
                user=user,
                context={**self.env.context, "allowed_company_ids": company.ids},
            )
            for model in (
                "coupon.template",
                "coupon.redemption",
                "coupon.redemption.line",
            ):
                with self.subTest(user=user.login, model=model):
                    self.assertFalse(env[model].search([]))
            with self.assertRaises(AccessError):
                env["coupon.redemption"].browse(redemption.id).read(["state"])
        with self.assertRaises(AccessError):
            self.template.with_user(boss).with_context(
                allowed_company_ids=company.ids
            ).action_pause()

    def test_wizard_stays_in_its_company(self):
        company = self.new_company("Other Shop CN")
        self.env.user.company_ids |= company
        boss = self.new_user(
            "coupon_boss2", "wechat_coupon.coupon_group_manager", company=company
        )
        wizards = (
            self.env["coupon.reason.wizard"]
            .with_user(boss)
            .with_context(allowed_company_ids=company.ids)
        )
        vals = {"action": "void", "coupon_ids": self.coupon.ids, "reason": "mine"}
        with self.assertRaises(AccessError):
            wizards.create(vals).action_confirm()
        self.assertEqual(self.coupon.wechat_state, "usable")
