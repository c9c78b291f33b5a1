from datetime import timedelta
from uuid import uuid4

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged

from ..models.pos_config import _UUID as UUID_PATTERN
from ..tools.ledger import as_ledger
from .common import CouponCase


@tagged("post_install", "-at_install")
class TestReasons(CouponCase):
    """Each reason code, at look-up, at reserve and in Odoo's own way."""

    def check(self, coupon, reason, cart=None, **order):
        """The coupon is refused for this reason wherever it is asked for."""
        till = order.pop("till", None) or self.till
        cart = cart or self.full_cart
        partner = order.pop("partner", self.env["res.partner"])
        found = till.wechat_coupon_lookup(coupon.code, "u1", partner.id or False, cart)
        if found["ok"]:
            self.assertFalse(found["eligible"])
            self.assertEqual(found["reasons"][0]["code"], reason)
        else:
            self.assertEqual(found["code"], reason)
            self.assertTrue(found["is_coupon"])
        answer = till.wechat_coupon_reserve(
            "u1", self.shown(coupon), cart, partner_id=partner.id or False
        )
        self.assertEqual(self.refusal_codes(answer), [reason])
        held = self.redemptions(coupon, "reserved", "redeemed")
        self.assertNotIn("u1", held.mapped("order_uuid"))
        return answer["refusals"][0]["message"]

    def check_everywhere(self, coupon, reason, **kwargs):
        message = self.check(coupon, reason, **kwargs)
        own = self.till.use_coupon_code(
            coupon.code, fields.Datetime.to_string(fields.Datetime.now()), False, False
        )
        self.assertFalse(own["successful"])
        self.assertEqual(own["payload"]["wechat_reason"], reason)
        return message

    def test_good(self):
        coupon = self.new_coupons()
        found = self.till.wechat_coupon_lookup(coupon.code, "u1", False, self.full_cart)
        self.assertTrue(found["ok"])
        self.assertTrue(found["eligible"])
        self.assertEqual(found["reasons"], [])
        self.assertEqual(
            found["coupon"],
            {
                "id": coupon.id,
                "code": coupon.code,
                "program_id": self.template.program_id.id,
                "template_name": self.template.name,
                "points": 1.0,
                "expiration_date": self.template.date_to.isoformat(),
                "partner_id": False,
                "partner_name": False,
            },
        )
        own = self.till.use_coupon_code(
            coupon.code, "2026-11-22 08:00:00", False, False
        )
        self.assertTrue(own["successful"])
        self.assertEqual(own["payload"], found["payload"])

    def test_unknown_code(self):
        found = self.till.wechat_coupon_lookup("NOSUCHCODE", "u1", False, False)
        self.assertEqual(found["code"], "unknown_code")
        self.assertFalse(found["ok"])
        self.assertFalse(found["is_coupon"])
        self.assertTrue(found["message"])

    def test_too_many_tries(self):
        answers = {
            self.till.wechat_coupon_lookup(f"GUESS{i}", "u1", False, False)["code"]
            for i in range(60)
        }
        self.assertEqual(answers, {"unknown_code", "too_many_tries"})
        # A coupon that is known is found all the same.
        coupon = self.new_coupons()
        self.assertTrue(
            self.till.wechat_coupon_lookup(coupon.code, "u1", False, False)["ok"]
        )

    def test_used(self):
        coupon = self.new_coupons()
        self.pay("done", coupon)
        message = self.check_everywhere(coupon, "used")
        self.assertIn(fields.Date.today().strftime("%Y"), message)

    def test_expired(self):
        coupon = self.new_coupons()
        as_ledger(coupon).wechat_valid_to = fields.Datetime.now() - timedelta(days=2)
        self.check_everywhere(coupon, "expired")

    def test_not_yet_valid(self):
        coupon = self.new_coupons()
        as_ledger(coupon).wechat_valid_from = fields.Datetime.now() + timedelta(days=2)
        self.check_everywhere(coupon, "not_yet_valid")

    def test_other_owner(self):
        coupon = self.template._generate(0, self.customer)
        stranger = self.customer.copy()
        self.check(coupon, "other_owner", partner=stranger)
        # Who shows the code on the phone need not say his name.
        self.assertTrue(self.reserve("u1", coupon)["ok"])
        self.assertTrue(self.reserve("u1", coupon, partner_id=self.customer.id)["ok"])

    def test_other_company(self):
        company = self.new_company("Other Shop CN")
        self.env.user.company_ids |= company
        config = self.new_config("Other shop", company)
        cashier = self.new_user(
            "coupon_cashier2", "point_of_sale.group_pos_user", company=company
        )
        coupon = self.new_coupons()
        till = config.with_user(cashier).with_context(allowed_company_ids=company.ids)
        self.check(coupon, "other_company", till=till)
        self.assertNotIn(
            "coupon", till.wechat_coupon_lookup(coupon.code, "u1", False, False)
        )

    def test_below_threshold(self):
        coupon = self.new_coupons()
        message = self.check(
            coupon,
            "below_threshold",
            cart=self.cart((self.tea, 6000), (self.rice, 3999)),
        )
        self.assertIn("100.00", message)
        self.assertIn("0.01", message)
        self.assertTrue(self.reserve("u1", coupon, self.cart((self.tea, 10000)))["ok"])

    def test_reward_lines_do_not_count(self):
        coupon = self.new_coupons()
        cart = self.full_cart
        cart["lines"].append(
            {
                "uuid": "r",
                "product_id": self.tea.id,
                "qty": 1,
                "price_total_fen": -1000,
                "is_reward_line": True,
            }
        )
        self.assertTrue(self.reserve("u1", coupon, cart)["ok"])

    def test_no_matching_product(self):
        template = self.new_template(
            threshold_fen=0, product_ids=[(6, 0, self.book.ids)]
        )
        coupon = self.new_coupons(template=template)
        self.check(coupon, "no_matching_product")
        self.assertTrue(self.reserve("u1", coupon, self.cart((self.book, 3333)))["ok"])

    def test_threshold_counts_matching_products_only(self):
        template = self.new_template(
            threshold_fen=5000, product_ids=[(6, 0, self.rice.ids)]
        )
        coupon = self.new_coupons(template=template)
        self.check(coupon, "below_threshold")

    def test_held_by_other_order(self):
        coupon = self.new_coupons()
        self.reserve("other", coupon)
        message = self.check_everywhere(coupon, "held_by_other_order")
        self.assertIn(self.config.name, message)

    def test_states(self):
        for state, reason in (
            ("gifting", "gifting"),
            ("gifted", "given_away"),
            ("deleted", "deleted"),
            ("void", "void"),
            ("expired", "expired"),
        ):
            with self.subTest(state=state):
                coupon = self.new_coupons()
                coupon._wechat_set_state(state)
                self.check_everywhere(coupon, reason)

    def test_template_paused(self):
        coupon = self.new_coupons()
        self.template.action_pause()
        self.check_everywhere(coupon, "template_paused")

    def test_template_ended(self):
        coupon = self.new_coupons()
        self.template.action_end()
        self.assertTrue(self.reserve("u1", coupon)["ok"])
        self.till.wechat_coupon_release("u1")
        self.template.action_archive()
        self.check_everywhere(coupon, "template_ended")

    def test_not_at_till(self):
        other = self.new_config("Shop 2")
        coupon = self.new_coupons()
        self.template.pos_config_ids = other
        self.check_everywhere(coupon, "not_at_till")
        self.assertTrue(
            self.reserve("u2", coupon, till=other.with_user(self.cashier))["ok"]
        )

    def test_not_on_order(self):
        answer = self.till.wechat_coupon_reserve(
            "u1", [{"id": 999999999, "code": "x"}], self.full_cart
        )
        self.assertEqual(self.refusal_codes(answer), ["not_on_order"])

    def test_ids_can_be_counted_up_codes_cannot(self):
        coupon = self.new_coupons()
        for code in (False, "", "券", "\ud800", coupon.code[:-1], coupon.code.lower()):
            answer = self.till.wechat_coupon_reserve(
                "u1", [{"id": coupon.id, "code": code}], self.full_cart
            )
            self.assertEqual(self.refusal_codes(answer), ["not_on_order"], code)
        self.assertFalse(self.redemptions(coupon))
        self.assertTrue(self.reserve("u1", coupon)["ok"])
        # What the order holds may be held on by a till that has not seen the code.
        renewed = self.till.wechat_coupon_reserve(
            "u1", [{"id": coupon.id}], self.full_cart
        )
        self.assertTrue(renewed["ok"])
        stolen = self.till.wechat_coupon_reserve(
            "u2", [{"id": coupon.id}], self.full_cart
        )
        self.assertEqual(self.refusal_codes(stolen), ["not_on_order"])

    def test_guessing_is_stopped(self):
        coupon = self.new_coupons()
        guess = [{"id": coupon.id, "code": "A" * 14}]
        answers = {
            self.till.wechat_coupon_reserve("u1", guess, self.full_cart)["refusals"][0][
                "code"
            ]
            for _time in range(40)
        }
        self.assertEqual(answers, {"not_on_order", "too_many_tries"})

    def test_every_sentence_in_both_languages(self):
        self.env["res.lang"]._activate_lang("zh_CN")
        reasons = self.env["coupon.reason"]
        chinese = reasons.with_context(lang="zh_CN")
        for name in dir(reasons):
            if not name.startswith("_reason_"):
                continue
            code = name.removeprefix("_reason_")
            values = {"missing": "1", "threshold": "2", "date": "3", "shop": "4"}
            values |= {"time": "5", "order": "6", "discount": "7", "allowed": "8"}
            if name == "_reason_released_by_manager":
                # The manager's own words.
                self.assertEqual(chinese._message(code, note="x"), "x")
                continue
            for given in ({}, values):
                english = reasons._message(code, **given)
                plain = english.translate(str.maketrans("", "", "“”¥"))
                self.assertTrue(plain.isascii(), english)
                translated = chinese._message(code, **given)
                self.assertRegex(translated, "[\u4e00-\u9fff]", code)


@tagged("post_install", "-at_install")
class TestTill(CouponCase):
    def test_arguments(self):
        coupon = self.new_coupons()
        cart = self.full_cart
        for call in (
            lambda: self.till.wechat_coupon_lookup(5, "u", False, cart),
            lambda: self.till.wechat_coupon_lookup("", "u", False, cart),
            lambda: self.till.wechat_coupon_lookup("A\0B", "u", False, cart),
            lambda: self.till.wechat_coupon_lookup("\ud800", "u", False, cart),
            lambda: self.till.wechat_coupon_is_code("A\0B"),
            lambda: self.till.use_coupon_code("A\0B", "2026-01-01", False, False),
            lambda: self.till.use_coupon_code("\ud800", "2026-01-01", False, False),
            lambda: self.till.wechat_coupon_lookup("x" * 65, "u", False, cart),
            lambda: self.till.wechat_coupon_lookup("x", "u" * 65, False, cart),
            lambda: self.till.wechat_coupon_lookup("x", None, False, cart),
            lambda: self.till.wechat_coupon_lookup("x", "u", "1", cart),
            lambda: self.till.wechat_coupon_lookup("x", "u", False, {"lines": 1}),
            lambda: self.till.wechat_coupon_reserve("u", "1", cart),
            lambda: self.till.wechat_coupon_reserve("u", [{"id": True}], cart),
            lambda: self.till.wechat_coupon_reserve("u", [{"id": "1"}], cart),
            lambda: self.till.wechat_coupon_reserve("u", [{"id": -1}], cart),
            lambda: self.till.wechat_coupon_reserve("u", coupon.ids, cart),
            lambda: self.till.wechat_coupon_reserve(
                "u", [{"id": coupon.id, "code": 5}], cart
            ),
            lambda: self.till.wechat_coupon_reserve(
                "u", [{"id": number} for number in range(1, 22)], cart
            ),
            lambda: self.till.wechat_coupon_reserve("u", self.shown(coupon), None),
            lambda: self.till.wechat_coupon_reserve(1, self.shown(coupon), cart),
            lambda: self.till.wechat_coupon_release({}),
            lambda: self.till.wechat_coupon_status([]),
            lambda: self.till.wechat_coupon_is_code(1),
        ):
            with self.assertRaises(AccessError):
                call()

    def test_is_code(self):
        coupon = self.new_coupons()
        plain = self.env["loyalty.program"].create(
            {"name": "Own", "program_type": "coupons"}
        )
        own = self.env["loyalty.card"].create({"program_id": plain.id})
        self.assertTrue(self.till.wechat_coupon_is_code(coupon.code))
        self.assertFalse(self.till.wechat_coupon_is_code(own.code))
        self.assertFalse(self.till.wechat_coupon_is_code("6901234567892"))

    def test_load(self):
        coupon = self.new_coupons()
        load = self.till.wechat_coupon_lookup(coupon.code, "u1", False, False)["load"]
        program = self.template.program_id
        self.assertEqual([row["id"] for row in load["loyalty.program"]], program.ids)
        self.assertEqual(
            [row["id"] for row in load["loyalty.reward"]], program.reward_ids.ids
        )
        self.assertEqual(
            [row["id"] for row in load["loyalty.rule"]], program.rule_ids.ids
        )
        product = program.reward_ids.discount_line_product_id
        self.assertEqual([row["id"] for row in load["product.product"]], product.ids)
        self.assertTrue(load["loyalty.program"][0]["wechat_guarded"])
        self.assertFalse(
            self.till.wechat_coupon_lookup(
                coupon.code, "u1", False, False, known_program_ids=program.ids
            )["load"]
        )

    def test_start_loads_no_coupon(self):
        self.new_coupons(5)
        self.config.open_ui()
        session = self.config.current_session_id.with_user(self.cashier)
        data = session.load_data(["loyalty.program", "loyalty.card"])
        self.assertFalse(data["loyalty.card"])
        guarded = [row for row in data["loyalty.program"] if row["wechat_guarded"]]
        self.assertEqual([row["id"] for row in guarded], self.template.program_id.ids)

    def test_own_coupons_work_as_before(self):
        program = self.env["loyalty.program"].create(
            {
                "name": "Own",
                "program_type": "coupons",
                "company_id": self.company.id,
                "reward_ids": [(0, 0, {"discount": 5, "required_points": 1})],
            }
        )
        own = self.env["loyalty.card"].create({"program_id": program.id, "points": 1})
        today = fields.Datetime.to_string(fields.Datetime.now())
        answer = self.till.use_coupon_code(own.code, today, False, False)
        self.assertTrue(answer["successful"], answer)
        answer = self.till.use_coupon_code("NOSUCH", today, False, False)
        self.assertFalse(answer["successful"])

    def test_order_uuid(self):
        pattern = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
        self.assertEqual(UUID_PATTERN.pattern, pattern)
        for wrong in ("", "u1", "u\x00", "%"):
            self.assertFalse(UUID_PATTERN.fullmatch(wrong))
        with self.assertRaises(AccessError):
            self.reserve("", self.new_coupons())

    def test_codes_of_another_type(self):
        coupon = self.new_coupons()
        for code in (True, [coupon.code], None):
            with self.assertRaises(AccessError):
                self.till.use_coupon_code(code, "2026-11-22 08:00:00", False, False)
        # Odoo has an answer for long ones.
        answer = self.till.use_coupon_code("x" * 500, "2026-11-22", False, False)
        self.assertFalse(answer["successful"])

    def test_returned_goods_do_not_count(self):
        coupon = self.new_coupons()
        cart = self.full_cart
        cart["lines"].append({**cart["lines"][0], "qty": -1, "price_total_fen": -6000})
        found = self.till.wechat_coupon_lookup(coupon.code, "u1", False, cart)
        self.assertTrue(found["eligible"], found["reasons"])

    def test_payment_codes_are_not_sent(self):
        def asked(*_args):
            raise AssertionError("sent")

        self.patch(type(self.env["coupon.template"]), "_channels", asked)
        for code in ("134567890123456789", "2812345678901234", "62" + "1" * 17):
            found = self.till.wechat_coupon_lookup(code, "u1", False, False)
            self.assertEqual(found["code"], "unknown_code")


@tagged("post_install", "-at_install")
class TestHeld(CouponCase):
    """The coupons of the customer who stands at the till."""

    def held(self, partner=None, cart=None):
        partner = self.customer if partner is None else partner
        answer = self.till.wechat_coupon_held(
            str(uuid4()), partner.id, cart or self.full_cart
        )
        self.assertTrue(answer["ok"], answer)
        return answer["coupons"]

    def test_held(self):
        soon = self.template._generate(0, self.customer)
        as_ledger(soon).wechat_valid_to = fields.Datetime.now() + timedelta(hours=1)
        later = self.template._generate(0, self.customer)
        shown = self.held()
        self.assertEqual([one["code"] for one in shown], [soon.code, later.code])
        self.assertTrue(all(one["eligible"] for one in shown))
        # Two of one kind can be told apart.
        self.assertEqual(shown[0]["end"], f"****{soon.code[-4:]}")
        self.assertEqual(shown[0]["name"], self.template.name)

    def test_why_not(self):
        self.template._generate(0, self.customer)
        [shown] = self.held(cart=self.cart((self.tea, 6000)))
        self.assertFalse(shown["eligible"])
        self.assertIn("more", shown["message"])

    def test_by_wechat(self):
        """Whom WeChat knows as this customer has what WeChat gave."""
        coupon = self.new_coupons()
        account = self.env["wechat.account"].create(
            {"name": "Shop", "appid": "wx1234567890abcdef", "secret": "0" * 32}
        )
        identity = self.env["wechat.identity"]._find_or_create(account, "o-1")
        identity.partner_id = self.customer
        as_ledger(coupon).write({"wechat_identity_id": identity.id})
        self.assertEqual([one["code"] for one in self.held()], [coupon.code])

    def test_what_is_not_shown(self):
        stranger = self.customer.copy()
        used, dead, _others = (
            self.template._generate(0, self.customer),
            self.template._generate(0, self.customer),
            self.template._generate(0, stranger),
        )
        self.pay("done", used)
        as_ledger(dead).wechat_valid_to = fields.Datetime.now() - timedelta(days=1)
        self.new_coupons()
        self.assertFalse(self.held())
        self.assertFalse(self.held(self.env["res.partner"]))

    def test_not_the_whole_list_of_customers(self):
        answers = [
            self.till.wechat_coupon_held(str(uuid4()), self.customer.id, self.full_cart)
            for _time in range(40)
        ]
        self.assertFalse(answers[-1]["ok"])
        self.assertIn("many customers", answers[-1]["message"])

    def test_more_than_fit(self):
        for _time in range(25):
            self.template._generate(0, self.customer)
        answer = self.till.wechat_coupon_held(
            str(uuid4()), self.customer.id, self.full_cart
        )
        self.assertEqual((len(answer["coupons"]), answer["more"]), (20, True))
