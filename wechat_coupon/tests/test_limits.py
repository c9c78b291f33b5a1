"""How often coupons are used: slots under unique indexes."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from odoo import SUPERUSER_ID, api
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from ..models.coupon_redemption_limits import _LIMITS
from ..tools.ledger import as_ledger
from .test_guard import RaceCase
from .test_terms import WEDNESDAY, TermsCase

_SLOTS = ("customer_slot", "customer_day_slot", "day_slot")

_INDEXES = (
    "coupon_redemption_one_per_customer_slot",
    "coupon_redemption_one_per_customer_day_slot",
    "coupon_redemption_one_per_day_slot",
)


@tagged("post_install", "-at_install")
class TestLimits(TermsCase):
    def limited(self, count=4, partner=None, **limits):
        template = self.new_template(threshold_fen=0, **limits)
        if partner:
            return template._generate(count, partner)
        return self.new_coupons(count, template)

    def hold(self, uuid, coupons, partner=None, **kwargs):
        partner = (partner or self.customer).id
        return self.reserve(uuid, coupons, partner_id=partner, **kwargs)

    def assert_refused(self, answer, code):
        self.assertEqual(self.refusal_codes(answer), [code])

    def test_per_customer(self):
        coupons = self.limited(use_limit=2)
        self.assertTrue(self.hold("u1", coupons[0])["ok"])
        self.assertTrue(self.hold("u2", coupons[1])["ok"])
        refused = self.hold("u3", coupons[2])
        self.assert_refused(refused, "use_limit")
        self.assertIn("2", refused["refusals"][0]["message"])
        self.assertEqual(
            self.codes(coupons[2], partner=self.customer.id), ["use_limit"]
        )
        # Others are not concerned.
        self.assertTrue(self.hold("u3", coupons[2], self.customer.copy())["ok"])
        # Neither are coupons of another template.
        self.assertTrue(self.hold("u4", self.new_coupons())["ok"])

    def test_merged_contacts(self):
        """Two contacts that are one customer have no limit for each."""
        coupons = self.limited(count=6, use_limit=3, use_limit_day=3)
        twin, third = self.customer.copy(), self.customer.copy()
        for number, partner in enumerate((self.customer, twin, third)):
            self.assertTrue(self.hold(f"u{number}", coupons[number], partner)["ok"])
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((self.customer + twin).ids, self.customer)
        self.assertTrue(self.hold("u3", coupons[3])["ok"])
        self.assert_refused(self.hold("u4", coupons[4]), "use_limit")
        # Beyond the limit now; nothing is undone.
        wizard._merge((self.customer + third).ids, self.customer)
        held = self.redemptions(coupons, "reserved")
        self.assertEqual(len(set(held.mapped("customer_slot"))), 4)
        self.assertEqual(set(held.mapped("customer_key")), {f"p{self.customer.id}"})
        for number in (0, 3):
            self.till.wechat_coupon_release(f"u{number}")
        self.assertTrue(self.hold("u4", coupons[4])["ok"])
        self.assert_refused(self.hold("u5", coupons[5]), "use_limit")

    def test_released_is_free(self):
        coupons = self.limited(use_limit=1)
        self.hold("u1", coupons[0])
        self.assert_refused(self.hold("u2", coupons[1]), "use_limit")
        self.till.wechat_coupon_release("u1")
        self.assertTrue(self.hold("u2", coupons[1])["ok"])
        self.assertEqual(self.redemptions(coupons[1]).customer_slot, 1)

    def test_time_over_is_free(self):
        """Of which the sweeper does not know yet."""
        coupons = self.limited(use_limit=1, day_limit=1)
        self.hold("u1", coupons[0])
        self.expire(coupons[0])
        self.assertFalse(self.codes(coupons[1], partner=self.customer.id))
        self.assertTrue(self.hold("u2", coupons[1])["ok"])
        self.assertEqual(self.redemptions(coupons[0]).state, "released")

    def test_returned_is_free(self):
        coupons = self.limited(use_limit=1)
        uuid = str(uuid4())
        self.hold(uuid, coupons[0])
        self.pay(uuid, coupons[0], partner_id=self.customer.id)
        self.assert_refused(self.hold("u2", coupons[1]), "use_limit")
        self.redemptions(coupons[0]).state = "returned"
        self.assertTrue(self.hold("u2", coupons[1])["ok"])

    def test_per_day(self):
        coupons = self.limited(
            use_limit_day=1, date_from="2026-11-01", date_to="2026-11-30"
        )
        late = WEDNESDAY.replace(hour=15, minute=50)
        with self.at(late):
            self.assertTrue(self.hold("u1", coupons[0])["ok"])
            self.assert_refused(self.hold("u2", coupons[1]), "use_limit_day")
        # The day of the shop, not that of Greenwich.
        with self.at(late + timedelta(minutes=11)):
            self.assertTrue(self.hold("u2", coupons[1])["ok"])
        self.assertEqual(
            [str(day) for day in self.redemptions(coupons).mapped("slot_day")],
            ["2026-11-25", "2026-11-26"],
        )

    def test_per_day_of_all(self):
        coupons = self.limited(day_limit=2)
        for index in range(2):
            self.assertTrue(self.reserve(f"u{index}", coupons[index])["ok"])
        self.assert_refused(self.reserve("u3", coupons[2]), "day_limit")
        self.assertEqual(self.codes(coupons[2]), ["day_limit"])
        self.assertEqual(sorted(self.redemptions(coupons).mapped("day_slot")), [1, 2])

    def test_several_on_one_order(self):
        coupons = self.limited(use_limit=2)
        self.assert_refused(self.hold("u1", coupons[:3]), "use_limit")
        self.assertFalse(self.redemptions(coupons))
        self.assertTrue(self.hold("u1", coupons[:2])["ok"])
        self.assertEqual(
            sorted(self.redemptions(coupons).mapped("customer_slot")), [1, 2]
        )

    def test_another_coupon_instead(self):
        """What the order gives up does not count against it."""
        coupons = self.limited(use_limit=1, day_limit=1)
        self.hold("u1", coupons[0])
        self.assertTrue(self.hold("u1", coupons[1])["ok"])
        self.assertEqual(self.redemptions(coupons[0]).state, "released")

    def test_again_is_the_same(self):
        coupon = self.limited(1, use_limit=1, use_limit_day=1, day_limit=1)
        first = self.hold("u1", coupon)
        self.assertEqual(self.hold("u1", coupon), first)
        self.assertFalse(self.codes(coupon, uuid="u1", partner=self.customer.id))

    def test_nobody_known(self):
        coupon = self.limited(1, use_limit=1)
        self.assertEqual(self.codes(coupon), ["needs_customer"])
        self.assert_refused(self.reserve("u1", coupon), "needs_customer")

    def test_whose_coupon_it_is(self):
        mine = self.limited(2, use_limit=1)
        for coupon in mine:
            coupon.sudo()._write({"wechat_openid": "oABC"})
        mine.invalidate_recordset()
        self.assertTrue(self.reserve("u1", mine[0])["ok"])
        self.assert_refused(self.reserve("u2", mine[1]), "use_limit")
        self.assertEqual(self.redemptions(mine).customer_key, "ooABC")
        named = self.limited(1, partner=self.customer, use_limit=1)
        self.assertTrue(self.reserve("u3", named)["ok"])
        self.assertEqual(self.redemptions(named).customer_key, f"p{self.customer.id}")

    def test_the_customer_changes(self):
        """A use is counted for the customer who is on the order at the end."""
        friend = self.customer.copy()
        coupons = self.limited(use_limit=1)
        self.hold("u0", coupons[3], friend)
        self.hold("u1", coupons[0])
        self.assert_refused(self.hold("u1", coupons[0], friend), "use_limit")
        self.assertEqual(
            self.redemptions(coupons[0], "reserved").customer_key,
            f"p{self.customer.id}",
        )
        other = self.customer.copy()
        self.assertTrue(self.hold("u1", coupons[0], other)["ok"])
        self.assertEqual(
            self.redemptions(coupons[0], "reserved").customer_key, f"p{other.id}"
        )
        self.assertTrue(self.hold("u2", coupons[1])["ok"])

    def test_paid_over_the_limit(self):
        coupons = self.limited(use_limit=1)
        for index in range(2):
            order = self.pay(str(uuid4()), coupons[index], partner_id=self.customer.id)
            self.assertEqual(order.state, "paid")
        self.assertEqual(
            self.redemptions(coupons).mapped("state"), ["redeemed", "redeemed"]
        )
        self.assertEqual(self.redemptions(coupons).mapped("customer_slot"), [1, 0])
        self.assertNotIn("over_limit", self.problems(coupons[0]))
        self.assertIn("over_limit", self.problems(coupons[1]))
        self.assertTrue(self.redemptions(coupons[1]).needs_attention)
        # One too many is not made good by one that is returned.
        self.redemptions(coupons[0]).state = "returned"
        self.assert_refused(self.hold("u2", coupons[2]), "use_limit")

    def test_paid_by_nobody(self):
        coupon = self.limited(1, use_limit=1)
        self.pay(str(uuid4()), coupon)
        self.assertEqual(self.redemptions(coupon).state, "redeemed")
        self.assertIn("needs_customer", self.problems(coupon))

    def test_conflict_takes_a_slot_later(self):
        coupons = self.limited(use_limit=1)
        self.reserve("other", coupons[0], partner_id=self.customer.copy().id)
        self.pay(str(uuid4()), coupons[0], partner_id=self.customer.id)
        self.env["coupon.redemption"]._release(self.order_ref("other"))
        conflict = self.redemptions(coupons[0], "conflict")
        conflict.with_user(self.manager).action_retry()
        self.assertEqual(conflict.state, "redeemed")
        self.assertEqual(conflict.customer_slot, 1)
        self.assert_refused(self.hold("u2", coupons[1]), "use_limit")

    def test_limits_are_numbers(self):
        for vals in ({"use_limit": -1}, {"use_limit_day": 1001}, {"day_limit": 10**6}):
            with self.subTest(vals=vals), self.assertRaises(ValidationError):
                self.new_template(publish=False, **vals)

    def test_no_limit_costs_nothing(self):
        coupon = self.new_coupons()
        self.reserve("u1", coupon)
        self.assertFalse(self.redemptions(coupon).customer_key)
        self.assertFalse(self.redemptions(coupon).slot_day)


@tagged("post_install", "-at_install")
class TestLimitRace(RaceCase):
    """Eight tills, eight coupons, one limit."""

    @classmethod
    def make(cls, env):
        coupons = cls.new_template(env, 8)
        cls.template_id = coupons.coupon_template_id.id
        cls.coupon_ids = coupons.ids

    def limit(self, **limits):
        """The terms of a published template are fixed; a test sets its own."""
        self.commit(
            lambda env: as_ledger(
                env["coupon.template"].browse(self.template_id)
            ).write(limits)
        )

    def reserve(self, env, index):
        order = replace(
            self.order(env, f"order{index}"), partner=env.ref("base.partner_root")
        )
        coupon = env["loyalty.card"].browse(self.coupon_ids[index])
        return env["coupon.redemption"]._reserve(order, coupon, None)

    def redeem(self, env, index):
        order = replace(
            self.order(env, f"order{index}"), partner=env.ref("base.partner_root")
        )
        coupon = env["loyalty.card"].browse(self.coupon_ids[index])
        values = {"discount_fen": 100, "order_name": f"order{index}", "lines": []}
        env["coupon.redemption"]._redeem(order, {coupon: values})

    def rows(self, state):
        return self.commit(
            lambda env: env["coupon.redemption"].search_read(
                [("template_id", "=", self.template_id), ("state", "=", state)],
                [*_SLOTS, "problems"],
            )
        )

    def forget(self, env):
        env.cr.execute(
            "DELETE FROM coupon_redemption WHERE template_id = %s",
            [self.template_id],
        )

    def two_tills(self):
        """The second one has looked before the first one commits.

        :return: what the second one is told
        """
        with self.registry.cursor() as cr1, self.registry.cursor() as cr2:
            env1 = api.Environment(cr1, SUPERUSER_ID, {})
            env2 = api.Environment(cr2, SUPERUSER_ID, {})
            for env in (env1, env2):
                self.assertFalse(env["coupon.redemption"]._holders(self.coupon_ids))
            self.assertTrue(self.reserve(env1, 0)[0])
            cr1.commit()
            done, refused = self.reserve(env2, 1)
            # The second transaction is still good.
            env2.cr.execute("SELECT 1")
            return [(reason, bool(done)) for _coupon, reason, _values in refused]

    def test_two_cursors(self):
        for name in _LIMITS:
            with self.subTest(limit=name):
                self.limit(**{**dict.fromkeys(_LIMITS, 0), name: 1})
                self.assertEqual(self.two_tills(), [(name, False)])
                self.assertEqual(len(self.rows("reserved")), 1)
                self.commit(self.forget)

    def test_without_the_guard(self):
        """The look before the insert is not enough: both tills get the last use."""
        for name, index in zip(_LIMITS, _INDEXES, strict=True):
            with self.subTest(limit=name), self.without_index(index, self.forget):
                self.limit(**{**dict.fromkeys(_LIMITS, 0), name: 1})
                self.assertEqual(self.two_tills(), [])
                self.assertEqual(len(self.rows("reserved")), 2)

    def test_tills_at_once(self):
        for name, limit in (("use_limit", 3), ("use_limit_day", 2), ("day_limit", 3)):
            with self.subTest(limit=name):
                self.limit(**{**dict.fromkeys(_LIMITS, 0), name: limit})
                results = self.race(8, lambda env, i: bool(self.reserve(env, i)[0]))
                self.assertEqual(results.count(True), limit, results)
                self.assertEqual(results.count(False), 8 - limit, results)
                slots = [row[_LIMITS[name][0]] for row in self.rows("reserved")]
                self.assertEqual(sorted(slots), list(range(1, limit + 1)))
                self.commit(self.forget)

    def test_paid_orders_at_once(self):
        """All are redeemed; those beyond the limit are on the worklist."""
        self.limit(use_limit=2)
        self.assertEqual(self.race(5, self.redeem), [None] * 5)
        rows = self.rows("redeemed")
        self.assertEqual(len(rows), 5)
        self.assertEqual(sorted(row["customer_slot"] for row in rows), [0, 0, 0, 1, 2])
        over = [
            row
            for row in rows
            if "over_limit" in [code for code, _values in row["problems"] or []]
        ]
        self.assertEqual(len(over), 3)
        self.assertFalse(any(row["customer_slot"] for row in over))

    def test_stock_at_once(self):
        """The last pieces go to one of those who hand out at the same time."""
        self.limit(stock=8 + 5)

        def hand_out(env, _index):
            template = env["coupon.template"].browse(self.template_id)
            try:
                with env.cr.savepoint():
                    return len(template._generate(2))
            except UserError:
                return 0

        results = self.race(6, hand_out)
        self.assertEqual(sorted(map(str, results)), ["0"] * 4 + ["2"] * 2)
