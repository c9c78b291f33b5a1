from datetime import datetime, timedelta
from unittest.mock import patch
from uuid import uuid4

from psycopg2 import errors

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.service.model import call_kw
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import CouponCase, SandboxCase
from .test_guard import RaceCase


@tagged("post_install", "-at_install")
class TestChannelPolicy(CouponCase):
    def policy(self, **vals):
        return self.env["coupon.channel.policy"].create(
            {"company_id": self.company.id, "channel": "local", **vals}
        )

    def codes(self, coupon, till=None):
        answer = (till or self.till).wechat_coupon_lookup(
            coupon.code, "u1", False, self.full_cart
        )
        return [reason["code"] for reason in answer["reasons"]]

    def test_none(self):
        self.assertFalse(self.codes(self.new_coupons()))

    def test_not_accepted(self):
        self.policy(accepted=False)
        coupon = self.new_coupons()
        self.assertEqual(self.codes(coupon), ["channel_closed"])
        self.assertEqual(
            self.refusal_codes(self.reserve("u1", coupon)), ["channel_closed"]
        )

    def test_shops(self):
        other = self.new_config("Shop 2")
        self.policy(config_ids=[Command.set(other.ids)])
        coupon = self.new_coupons()
        self.assertEqual(self.codes(coupon), ["channel_closed"])
        self.assertFalse(self.codes(coupon, other.with_user(self.cashier)))

    def test_roles(self):
        group = self.env["res.groups"].create({"name": "Coupon desk"})
        self.policy(group_ids=[Command.set(group.ids)])
        coupon = self.new_coupons()
        self.assertEqual(self.codes(coupon), ["not_allowed"])
        group.user_ids |= self.cashier
        self.assertFalse(self.codes(coupon))

    def test_on_one_order(self):
        self.policy(max_per_order=2)
        coupons = self.new_coupons(3)
        self.assertTrue(self.reserve("u1", coupons[:2])["ok"])
        codes = self.refusal_codes(self.reserve("u1", coupons))
        self.assertEqual(codes, ["too_many_of_channel"])
        # The two that it has stay.
        self.assertEqual(len(self.redemptions(coupons, "reserved")), 2)

    def test_the_nearest_company_says(self):
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        self.policy(accepted=False)
        policies = self.env["coupon.channel.policy"]
        self.assertFalse(policies._of(branch, "local").accepted)
        self.policy(company_id=branch.id)
        self.assertTrue(policies._of(branch, "local").accepted)
        self.assertFalse(policies._of(self.company, "local").accepted)

    def test_rights(self):
        policy = self.policy()
        for user in (self.cashier, self.auditor):
            with self.assertRaises(AccessError):
                policy.with_user(user).accepted = False
        with self.assertRaises(AccessError):
            policy.with_user(self.cashier).read(["accepted"])
        policy.with_user(self.manager).accepted = False


@tagged("post_install", "-at_install")
class TestRiskRules(CouponCase):
    def rule(self, kind, **vals):
        return self.env["coupon.risk.rule"].create(
            {"name": kind, "kind": kind, "company_id": self.company.id, **vals}
        )

    def events(self, rule):
        return self.env["coupon.risk.event"].search([("rule_id", "=", rule.id)])

    def test_value(self):
        rule = self.rule("value", limit_fen=999)
        coupon = self.new_coupons()
        for _time in range(3):
            self.assertTrue(self.reserve("u1", coupon)["ok"])
        event = self.events(rule)
        self.assertEqual(len(event), 1)
        self.assertEqual((event.action, event.user_id), ("warn", self.cashier))
        self.assertIn("10.00", event.description)
        self.assertEqual(event.activity_ids.user_id, self.manager)
        rule.limit_fen = 1000
        self.reserve("u2", self.new_coupons())
        self.assertEqual(len(self.events(rule)), 1)

    def test_block(self):
        rule = self.rule("value", limit_fen=999, action="block")
        coupon = self.new_coupons()
        answer = self.reserve("u1", coupon)
        self.assertEqual(self.refusal_codes(answer), ["risk_blocked"])
        self.assertFalse(self.redemptions(coupon))
        # It was refused, and it is remembered.
        self.assertEqual(self.events(rule).action, "block")
        self.assertEqual(rule.event_count, 1)

    def test_value_of_what_is_added_later(self):
        """Held for little, and then the expensive goods are scanned."""
        template = self.new_template(
            name="Percent", coupon_type="percent", percent_off=50, threshold=0
        )
        coupon = template._generate(1)
        self.rule("value", limit_fen=2000, action="block")
        self.assertTrue(self.reserve("u1", coupon, self.cart((self.tea, 4000)))["ok"])
        answer = self.reserve("u1", coupon, self.cart((self.tea, 9000)))
        self.assertEqual(self.refusal_codes(answer), ["risk_blocked"])
        # What is paid is paid, and asked again without harm.
        self.assertTrue(self.reserve("u1", coupon, self.cart((self.tea, 4000)))["ok"])
        self.pay("u1", coupon)
        self.assertTrue(self.reserve("u1", coupon, self.cart((self.tea, 9000)))["ok"])

    def test_customer_uses(self):
        rule = self.rule("customer_uses", count=2, minutes=60, action="block")
        coupons = self.new_coupons(4)
        partner = self.customer.id
        for number, coupon in enumerate(coupons[:2]):
            self.assertTrue(
                self.reserve(f"u{number}", coupon, partner_id=partner)["ok"]
            )
            self.pay(f"u{number}", coupon, partner_id=partner)
        answer = self.reserve("u9", coupons[2], partner_id=partner)
        self.assertEqual(self.refusal_codes(answer), ["risk_blocked"])
        # Somebody else, and nobody known, may.
        self.assertTrue(self.reserve("u10", coupons[2])["ok"])
        self.redemptions(coupons[:2]).redeemed_at = fields.Datetime.subtract(
            fields.Datetime.now(), minutes=61
        )
        self.assertTrue(self.reserve("u9", coupons[3], partner_id=partner)["ok"])
        self.assertEqual(len(self.events(rule)), 1)

    def test_customer_uses_on_one_order(self):
        self.rule("customer_uses", count=2, minutes=60, action="block")
        coupons = self.new_coupons(3)
        partner = self.customer.id
        answer = self.reserve("u1", coupons, partner_id=partner)
        self.assertEqual(self.refusal_codes(answer), ["risk_blocked"])
        self.assertTrue(self.reserve("u1", coupons[:2], partner_id=partner)["ok"])
        # Asked again, and one for another: still two.
        self.assertTrue(self.reserve("u1", coupons[:2], partner_id=partner)["ok"])
        self.assertTrue(self.reserve("u1", coupons[1:], partner_id=partner)["ok"])
        answer = self.reserve("u1", coupons, partner_id=partner)
        self.assertEqual(self.refusal_codes(answer), ["risk_blocked"])

    def test_customer_uses_on_open_orders(self):
        self.rule("customer_uses", count=2, minutes=60, action="block")
        coupons = self.new_coupons(3)
        partner = self.customer.id
        for number, coupon in enumerate(coupons[:2]):
            answer = self.reserve(f"u{number}", coupon, partner_id=partner)
            self.assertTrue(answer["ok"])
        answer = self.reserve("u9", coupons[2], partner_id=partner)
        self.assertEqual(self.refusal_codes(answer), ["risk_blocked"])
        # What nobody holds any more does not count.
        self.expire(coupons[0])
        self.assertTrue(self.reserve("u9", coupons[2], partner_id=partner)["ok"])

    def test_customer_uses_coupons_of_the_customer(self):
        """Nobody is named on the order; the coupons say whose they are."""
        self.rule("customer_uses", count=1, minutes=60, action="block")
        coupons = self.template._generate(0, self.customer | self.manager.partner_id)
        self.assertTrue(self.reserve("u1", coupons)["ok"])
        coupons = self.template._generate(0, self.customer)
        coupons |= self.template._generate(0, self.customer)
        answer = self.reserve("u2", coupons)
        self.assertEqual(self.refusal_codes(answer), ["risk_blocked"])

    def test_closed_hours(self):
        rule = self.rule("closed_hours", hour_from=8, hour_to=22)
        night = self.rule("closed_hours", hour_from=18, hour_to=3)
        cases = (
            ("2026-11-20 14:30:00", True, False),
            ("2026-11-20 04:00:00", False, True),
        )
        for number, (moment, closed, night_closed) in enumerate(cases):
            now = datetime.fromisoformat(moment)
            with patch.object(fields.Datetime, "now", lambda now=now: now):
                found = rule._found_closed_hours(None, None, None, None)
                self.assertEqual(bool(found), closed, number)
                found = night._found_closed_hours(None, None, None, None)
                self.assertEqual(bool(found), night_closed, number)
        with self.assertRaises(ValidationError):
            rule.hour_to = 8

    def test_wrong_codes(self):
        rule = self.rule("wrong_codes", count=3, minutes=30, action="block")
        answers = [
            self.till.wechat_coupon_lookup(f"WRONG{number}", "u1", False, False)
            for number in range(6)
        ]
        codes = [answer["code"] for answer in answers]
        self.assertEqual(codes, ["unknown_code"] * 4 + ["too_many_tries"] * 2)
        event = self.events(rule)
        self.assertEqual(len(event), 1)
        self.assertEqual(event.user_id, self.cashier)
        # What is known goes on.
        coupon = self.new_coupons()
        answer = self.till.wechat_coupon_lookup(coupon.code, "u1", False, False)
        self.assertTrue(answer["ok"])

    def test_wrong_codes_of_honest_cashiers(self):
        """What Odoo knows is no wrong code, and the till asks for a code twice."""
        rule = self.rule("wrong_codes", count=1, minutes=30, action="block")
        program = self.env["loyalty.program"].create(
            {"name": "Own", "program_type": "gift_card", "company_id": self.company.id}
        )
        cards = self.env["loyalty.card"].create(
            [
                {"program_id": program.id, "code": f"OWN-{number}", "points": 0}
                for number in range(3)
            ]
        )
        now = fields.Datetime.to_string(fields.Datetime.now())
        for code in [*cards.mapped("code"), "WRONG-1"]:
            for _time in range(2):
                self.till.wechat_coupon_lookup(code, "u1", False, False)
                self.till.use_coupon_code(code, now, False, False)
        self.assertFalse(self.events(rule))
        for code in ("WRONG-2", "WRONG-3"):
            self.till.wechat_coupon_lookup(code, "u1", False, False)
            result = self.till.use_coupon_code(code, now, False, False)
        self.assertIn("Too many", result["payload"]["error_message"])
        self.assertEqual(len(self.events(rule)), 1)

    def test_rules_of_the_company_above(self):
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        other = self.env["res.company"].create({"name": "Other"})
        rule = self.rule("wrong_codes", count=0, minutes=30)
        shop = self.new_config("Branch shop", branch)
        rule._judge_miss(shop, "WRONG-1")
        rule._judge_miss(shop, "WRONG-2")
        self.assertEqual(self.events(rule).company_id, branch)
        manager = self.new_user(
            "branch_boss", "wechat_coupon.coupon_group_manager", company=branch
        )
        seen = rule.with_user(manager).with_context(allowed_company_ids=branch.ids)
        self.assertEqual(seen.kind, "wrong_codes")
        with self.assertRaises(AccessError):
            seen.active = False
        with self.assertRaisesRegex(UserError, "Archive"):
            rule.unlink()
        rule.config_ids = shop
        with self.assertRaisesRegex(ValidationError, "no shop"):
            rule.company_id = other

    def test_shops(self):
        other = self.new_config("Shop 2")
        rule = self.rule("value", limit_fen=1, config_ids=[Command.set(other.ids)])
        self.reserve("u1", self.new_coupons())
        self.assertFalse(self.events(rule))

    def test_reviewed(self):
        rule = self.rule("value", limit_fen=1)
        self.reserve("u1", self.new_coupons())
        event = self.events(rule)
        for user in (self.cashier, self.auditor):
            with self.assertRaises(AccessError):
                event.with_user(user).action_reviewed()
        event.with_user(self.manager).action_reviewed()
        self.assertEqual((event.reviewed, event.reviewed_by_id), (True, self.manager))
        self.assertFalse(event.activity_ids)
        with self.assertRaises(AccessError):
            event.with_user(self.manager).write({"action": "warn"})
        with self.assertRaises(AccessError):
            event.with_user(self.manager).unlink()


@tagged("post_install", "-at_install")
class TestRiskStays(RaceCase):
    """A refusal that undoes its request leaves what was noticed: real transactions."""

    @classmethod
    def make(cls, env):
        cls.coupon_id = cls.new_template(env, 1).id
        rule = env["coupon.risk.rule"].create(
            {
                "name": "Stays",
                "kind": "value",
                "limit_fen": 1,
                "action": "block",
                "company_id": cls.shop(env).id,
            }
        )
        cls.rule_id = rule.id

    @classmethod
    def clean_up(cls, env):
        rule = env["coupon.risk.rule"].browse(cls.rule_id)
        env["coupon.risk.event"].search([("rule_id", "=", rule.id)]).unlink()
        rule.unlink()
        RaceCase.clean_up(env)

    def events(self):
        domain = [("rule_id", "=", self.rule_id)]
        return self.commit(
            lambda env: env["coupon.risk.event"].search(domain).mapped("coupon_id.id")
        )

    def refuse(self, env, undo):
        coupon = env["loyalty.card"].browse(self.coupon_id)
        # As if the request had been busy with the coupon before.
        coupon._wechat_lock()
        order = self.order(env, "order")
        _held, refusals = env["coupon.redemption"]._reserve(order, coupon)
        self.assertEqual([code for _one, code, _values in refusals], ["risk_blocked"])
        if undo:
            raise RuntimeError("undone")

    def test_undone(self):
        for _twice in range(2):
            with self.assertRaises(RuntimeError):
                self.commit(lambda env: self.refuse(env, True))
            self.assertEqual(self.events(), [self.coupon_id])

    def test_not_undone(self):
        self.commit(lambda env: self.refuse(env, False))
        self.assertEqual(self.events(), [self.coupon_id])


@tagged("post_install", "-at_install")
class TestLog(CouponCase):
    def used(self):
        coupon = self.new_coupons()
        self.reserve("u1", coupon)
        self.pay("u1", coupon)
        return self.redemptions(coupon)

    def test_later_changes(self):
        redemption = self.used()
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertFalse(redemption.log_ids)
        redemption._settle("fine")
        self.env.flush_all()
        self.env.invalidate_all()
        log = redemption.log_ids
        self.assertIn("fine", log.description)
        self.assertEqual(log.changes["settle_reason"], [None, "fine"])
        self.assertEqual(log.company_id, self.company)
        # By SQL as well.
        self.env.cr.execute(
            "UPDATE coupon_redemption SET discount_fen = 1 WHERE id = %s",
            [redemption.id],
        )
        self.env.invalidate_all()
        self.assertEqual(redemption.log_ids[0].changes, {"discount_fen": [1000, 1]})
        self.assertIn("1000", redemption.log_ids[0].description)

    def test_reason_of_a_return_and_the_order(self):
        """Why a coupon went back, and the order that it belongs to, are in the log."""
        redemption = self.used()
        order = self.env["sale.order"].create({"partner_id": self.customer.id})
        self.env.flush_all()
        redemption.sudo().write(
            {"return_reason": "manager", "sale_order_id": order.id}
        )
        self.env.flush_all()
        self.env.invalidate_all()
        changes = redemption.log_ids.changes
        self.assertEqual(changes["return_reason"], [None, "manager"])
        self.assertEqual(changes["sale_order_id"], [None, order.id])
        self.assertIn(order.name, redemption.log_ids.description)

    @mute_logger("odoo.sql_db")
    def test_it_stays(self):
        redemption = self.used()
        redemption._settle("fine")
        self.env.flush_all()
        for query in (
            "UPDATE coupon_redemption_log SET user_id = NULL",
            "DELETE FROM coupon_redemption_log",
        ):
            with (
                self.subTest(query),
                self.assertRaises(errors.RaiseException),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(query)
        with self.assertRaises(AccessError):
            redemption.log_ids.with_user(self.manager).unlink()
        with self.assertRaises(AccessError):
            redemption.log_ids.with_user(self.cashier).read(["changes"])


@tagged("post_install", "-at_install")
class TestEmergency(SandboxCase):
    def setUp(self):
        super().setUp()
        self.code = self.receive()
        self.coupon = self.scan(self.code)
        self.offer = self.coupon.coupon_template_id
        self.offer.write({"offline_policy": "release", "offline_cap_fen": 1500})
        self.manager.with_user(self.manager).wechat_release_pin = "2468"
        with self.env.registry.cursor() as cr:
            cr.execute("DELETE FROM wechat_rate_guard WHERE key LIKE 'coupon_pin%'")

    def down(self):
        self.fault("/card/code/get", "http_status", times=50, status=503)

    def release(self, uuid="u1", coupon=None, till=None, cart=None, **vals):
        return (till or self.till).wechat_coupon_release_offline(
            uuid,
            self.shown(coupon or self.coupon),
            cart or self.full_cart,
            {
                "manager_id": self.manager.id,
                "pin": "2468",
                "reason": "WeChat is down",
                **vals,
            },
        )

    def test_the_way_through_an_outage(self):
        self.down()
        answer = self.reserve("u1", self.coupon)
        self.assertEqual(self.refusal_codes(answer), ["remote_unavailable"])
        self.assertTrue(answer["refusals"][0]["can_release"])
        managers = self.till.wechat_coupon_managers()
        self.assertEqual(
            managers,
            [{"id": self.manager.id, "name": self.manager.name, "is_self": False}],
        )
        self.assertTrue(self.release()["ok"])
        self.assertTrue(self.reserve("u1", self.coupon)["ok"])
        self.pay("u1", self.coupon)
        redemption = self.redemptions(self.coupon, "redeemed")
        self.assertTrue(redemption.needs_attention)
        self.assertIn("WeChat is down", redemption.reason)
        self.assertEqual(redemption.release_id.manager_id, self.manager)
        self.assertEqual(redemption.release_id.user_id, self.cashier)
        self.assertEqual(redemption.remote_state, "pending")
        # WeChat is back: it is written off, and nobody has to look any more.
        self.sandbox.call("DELETE", "faults")
        self.assertTrue(redemption._operation_begin())
        redemption._operation_settle(redemption._operation_call())
        self.assertEqual(redemption.remote_state, "done")
        self.assertFalse(redemption.needs_attention)
        self.assertFalse(redemption.activity_ids)

    def test_it_was_used_elsewhere(self):
        """The shop bears it: WeChat's refusal stays on the worklist."""
        self.down()
        self.release()
        self.assertTrue(self.reserve("u1", self.coupon)["ok"])
        self.pay("u1", self.coupon)
        self.sandbox.call("DELETE", "faults")
        self.sandbox.post(
            f"phone/{self.openid}/consume", card_id=self.card_id, code=self.code
        )
        redemption = self.redemptions(self.coupon, "redeemed")
        self.assertTrue(redemption._operation_begin())
        redemption._operation_settle(self.outside(redemption, "_operation_call"))
        self.assertEqual(redemption.remote_state, "refused")
        self.assertTrue(redemption.needs_attention)

    def test_only_for_this_order(self):
        self.down()
        self.release("u1")
        answer = self.reserve("u2", self.coupon)
        self.assertEqual(self.refusal_codes(answer), ["remote_unavailable"])

    def test_refused_by_the_template(self):
        self.offer.offline_policy = "refuse"
        self.down()
        answer = self.reserve("u1", self.coupon)
        self.assertFalse(answer["refusals"][0]["can_release"])
        with self.assertRaisesRegex(UserError, "not released"):
            self.release()

    def test_not_more_than_the_day_allows(self):
        self.release("u1")
        # Once more for the same order costs nothing.
        self.release("u1")
        other = self.scan(self.receive(self.friend))
        with self.assertRaisesRegex(UserError, "5.00"):
            self.release("u2", other)
        # Another shop has its own amount.
        shop = self.new_config("Shop 2").with_user(self.cashier)
        self.assertTrue(self.release("u2", other, shop)["ok"])

    def percent(self):
        """Let the coupon take 30 % off, and no most of it."""
        self.offer.flush_recordset()
        self.offer._write(
            {
                "coupon_type": "percent",
                "percent_off": 30,
                "threshold_fen": 0,
                "max_discount_fen": 0,
                "offline_cap_fen": 3500,
            }
        )
        self.offer.invalidate_recordset()

    def test_not_more_than_was_released(self):
        """Who released 30 % of ¥10 did not release 30 % of ¥100."""
        self.percent()
        self.down()
        small = self.cart((self.tea, 1000))
        self.release(cart=small)
        self.assertTrue(self.reserve("u1", self.coupon, small)["ok"])
        # More goods: held or not, the manager is asked once more.
        for _held in range(2):
            answer = self.reserve("u1", self.coupon)
            self.assertEqual(self.refusal_codes(answer), ["remote_unavailable"])
            self.assertTrue(answer["refusals"][0]["can_release"])
            self.till.wechat_coupon_release("u1")
        self.release()
        self.assertTrue(self.reserve("u1", self.coupon)["ok"])
        # What was released already counts once.
        releases = self.env["coupon.emergency.release"].search([])
        self.assertEqual(sorted(releases.mapped("worth_fen")), [300, 2700])
        # The day has its end for one order, too.
        large = self.cart((self.tea, 6000), (self.rice, 14000))
        with self.assertRaisesRegex(UserError, "5.00"):
            self.release(cart=large)
        answer = self.reserve("u1", self.coupon, large)
        self.assertEqual(self.refusal_codes(answer), ["remote_unavailable"])
        # WeChat is back, and says that the coupon is good.
        self.sandbox.call("DELETE", "faults")
        self.assertTrue(self.reserve("u1", self.coupon, large)["ok"])

    def test_released_again(self):
        """A manager who is asked again after half an hour releases nothing more."""
        self.down()
        self.release()
        releases = self.env["coupon.emergency.release"].search([])
        self.env.cr.execute(
            "UPDATE coupon_emergency_release SET create_date = create_date - %s",
            [timedelta(minutes=31)],
        )
        self.env.invalidate_all()
        answer = self.reserve("u1", self.coupon)
        self.assertEqual(self.refusal_codes(answer), ["remote_unavailable"])
        for _tap in range(2):
            self.release()
        self.assertTrue(self.reserve("u1", self.coupon)["ok"])
        again = self.env["coupon.emergency.release"].search([]) - releases
        self.assertEqual(again.worth_fen, 0)

    def test_worth_before_the_discount(self):
        """The till's total is what is left after the coupon."""
        self.percent()
        cart = self.full_cart
        cart["lines"].append(
            {
                **cart["lines"][0],
                "uuid": str(uuid4()),
                "price_total_fen": -3000,
                "is_reward_line": True,
            }
        )
        cart["total_fen"] = 7000
        self.release(cart=cart)
        release = self.env["coupon.emergency.release"].search([])
        self.assertEqual(release.worth_fen, 3000)

    def test_paid_order_takes_off_more(self):
        """It is saved; the manager sees it also after WeChat has accepted it."""
        self.percent()
        self.down()
        self.release(cart=self.cart((self.tea, 1000)))
        self.assertTrue(
            self.reserve("u1", self.coupon, self.cart((self.tea, 1000)))["ok"]
        )
        order = self.pay("u1", self.coupon, discount=-30.0)
        self.assertEqual(order.state, "paid")
        redemption = self.redemptions(self.coupon, "redeemed")
        self.sandbox.call("DELETE", "faults")
        self.assertTrue(redemption._operation_begin())
        redemption._operation_settle(redemption._operation_call())
        self.assertEqual(redemption.remote_state, "done")
        self.assertTrue(redemption.needs_attention)
        self.assertEqual(
            redemption.problems,
            [["release_exceeded", {"discount": "30.00", "released": "3.00"}]],
        )
        self.assertIn("3.00", redemption.reason)

    def test_pin(self):
        for pin in ("1357", "", None, 2468, "9" * 400):
            with self.assertRaisesRegex(UserError, "not right"):
                self.release(pin=pin)
        with self.assertRaisesRegex(UserError, "too often"):
            self.release()

    def test_whose_pin(self):
        stranger = self.new_user("no_boss", "point_of_sale.group_pos_user")
        with self.assertRaisesRegex(UserError, "not right"):
            self.release(manager_id=stranger.id)
        for bad in ({"manager_id": "1"}, {"manager_id": None}, {"reason": 5}):
            with self.assertRaises(AccessError):
                self.release(**bad)
        with self.assertRaisesRegex(UserError, "why"):
            self.release(reason="  ")

    def test_employees_share_the_login(self):
        """Then the login says nothing about who stands at the till."""
        self.env.cr.execute(
            "UPDATE pos_config SET module_pos_hr = TRUE WHERE id = %s", [self.config.id]
        )
        self.config.invalidate_recordset(["module_pos_hr"])
        till = self.config.with_user(self.manager)
        self.assertFalse(any(one["is_self"] for one in till.wechat_coupon_managers()))
        self.config.module_pos_hr = False
        self.assertTrue(any(one["is_self"] for one in till.wechat_coupon_managers()))

    def test_manager_at_the_till_needs_none(self):
        self.manager.group_ids |= self.env.ref("point_of_sale.group_pos_user")
        till = self.config.with_user(self.manager)
        self.assertTrue(till.wechat_coupon_managers()[0]["is_self"])
        self.assertTrue(self.release(till=till, pin="")["ok"])

    def test_a_code_that_was_not_shown(self):
        with self.assertRaises(UserError):
            self.till.wechat_coupon_release_offline(
                "u1",
                [{"id": self.coupon.id, "code": "guess"}],
                self.full_cart,
                {"manager_id": self.manager.id, "pin": "2468", "reason": "x"},
            )

    def test_pin_is_kept_nowhere(self):
        manager = self.manager.with_user(self.manager)
        self.assertEqual(
            manager.read(["wechat_release_pin"])[0]["wechat_release_pin"], "••••"
        )
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT wechat_release_pin_hash FROM res_users WHERE id = %s",
            [self.manager.id],
        )
        self.assertNotIn("2468", self.env.cr.fetchone()[0])
        with self.assertRaises(AccessError):
            manager.read(["wechat_release_pin_hash"])
        with self.assertRaises(AccessError):
            self.manager.with_user(self.cashier).wechat_release_pin = "1111"
        for pin in ("12", "abcd", "1" * 13, "٣٤٥٦"):
            with self.assertRaises(ValidationError):
                manager.wechat_release_pin = pin
        args = [
            self.config.ids,
            "u1",
            self.shown(self.coupon),
            self.full_cart,
            {"manager_id": self.manager.id, "pin": "2468", "reason": "x"},
        ]
        with self.assertLogs("odoo.service.model", "DEBUG") as logs:
            call_kw(self.till, "wechat_coupon_release_offline", args, {})
        self.assertIn("release_offline", str(logs.output))
        self.assertNotIn("2468", str(logs.output))

    def test_rights(self):
        self.release()
        release = self.env["coupon.emergency.release"].search([])
        with self.assertRaises(AccessError):
            release.with_user(self.cashier).read(["reason"])
        with self.assertRaises(AccessError):
            release.with_user(self.manager).unlink()
        self.assertEqual(release.with_user(self.auditor).worth, 10)
