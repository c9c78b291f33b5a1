from datetime import datetime, timedelta
from uuid import uuid4

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged

from ..tools.ledger import as_ledger
from .common import CouponCase


@tagged("post_install", "-at_install")
class TestLive(CouponCase):
    def use(self, **kwargs):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        self.pay(uuid, coupon, **kwargs)
        return self.redemptions(coupon)

    def live(self):
        self.env.flush_all()
        return self.env["coupon.redemption"].with_user(self.auditor).get_live_data()

    def test_today(self):
        self.auditor.tz = "Asia/Shanghai"
        before = self.live()["totals"]["count"]
        redemption = self.use()
        self.reserve("open", self.new_coupons())
        data = self.live()
        self.assertEqual(data["totals"]["count"], before + 1)
        self.assertEqual(data["totals"]["saved"], 10)
        self.assertEqual(data["totals"]["sold"], 90)
        self.assertEqual(data["totals"]["held"], 1)
        self.assertEqual(data["latest"][0]["id"], redemption.id)
        self.assertEqual(data["shops"][0]["name"], self.config.name)
        self.assertEqual(data["templates"][0]["name"], self.template.name)
        shown = fields.Datetime.context_timestamp(
            redemption.with_context(tz="Asia/Shanghai"), redemption.redeemed_at
        )
        self.assertEqual(data["hours"][shown.hour], 1)
        self.assertEqual(sum(data["hours"]), 1)

    def test_day_of_who_has_no_time_zone(self):
        """At seven in the morning in Shanghai it is still yesterday in Greenwich."""
        self.auditor.tz = False
        with freeze_time("2026-11-20 23:00:00"):
            redemption = self.use()
            self.assertEqual(self.live()["hours"][7], 1)
            redemption.redeemed_at = datetime(2026, 11, 20, 15, 59)
            self.assertEqual(self.live()["totals"]["count"], 0)

    def test_order_with_two_coupons(self):
        uuid, coupons = str(uuid4()), self.new_coupons(2)
        self.reserve(uuid, coupons)
        order = self.pay(uuid, coupons)
        totals = self.live()["totals"]
        self.assertEqual((totals["count"], totals["sold"]), (2, order.amount_total))

    def test_yesterday_is_over(self):
        redemption = self.use()
        redemption.redeemed_at = fields.Datetime.now() - timedelta(days=1, minutes=1)
        self.assertEqual(self.live()["totals"]["count"], 0)

    def test_other_companies(self):
        self.use()
        other = self.new_company("Another Chain")
        stranger = self.new_user(
            "stranger", "wechat_coupon.coupon_group_auditor", company=other
        )
        ledger = self.env(user=stranger, context={})["coupon.redemption"]
        data = ledger.get_live_data()
        self.assertEqual(data["totals"]["count"], 0)
        self.assertFalse(data["latest"])

    def test_rights(self):
        with self.assertRaises(AccessError):
            self.env["coupon.redemption"].with_user(self.cashier).get_live_data()

    def test_bus(self):
        """Auditors of the company are told that there is news, and nobody else."""
        other = self.new_company("Other")
        stranger = self.new_user(
            "other_audit", "wechat_coupon.coupon_group_auditor", company=other
        )
        self.env["bus.bus"].search([]).unlink()
        self.use()
        self.env.cr.precommit.run()
        sent = (
            self.env["bus.bus"]
            .search([])
            .filtered(lambda row: "wechat_coupon/redemption" in row.message)
        )
        channels = " ".join(sent.mapped("channel"))
        for user, is_told in (
            (self.auditor, True),
            (self.manager, True),
            (stranger, False),
        ):
            name = f'"res.partner",{user.partner_id.id}]'
            self.assertEqual(name in channels.replace(" ", ""), is_told, channels)
        self.assertNotIn(self.template.name, " ".join(sent.mapped("message")))


@tagged("post_install", "-at_install")
class TestReport(CouponCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.group = cls.env["res.partner.category"].create({"name": "Regulars"})
        cls.customer.category_id = cls.group

    def rows(self, groupby, *aggregates):
        self.env.flush_all()
        report = self.env["coupon.report"].with_user(self.auditor)
        return report._read_group(
            [("template_id", "=", self.template.id)], groupby, list(aggregates)
        )

    def use(self, coupon, **kwargs):
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        return self.pay(uuid, coupon, **kwargs)

    def test_counts(self):
        coupons = self.new_coupons(4)
        self.use(coupons[0], partner_id=self.customer.id)
        as_ledger(coupons[1]).wechat_valid_to = fields.Datetime.now() - timedelta(
            days=1
        )
        coupons[2]._wechat_set_state("void")
        [row] = self.rows(
            [],
            "issued:sum",
            "held:sum",
            "redeemed:sum",
            "expired:sum",
            "rate:avg",
            "discount_amount:sum",
            "order_amount:sum",
        )
        self.assertEqual(row, (4, 1, 1, 1, 25.0, 10.0, 90.0))
        stages = dict(self.rows(["stage"], "__count"))
        self.assertEqual(stages, {"held": 1, "redeemed": 1, "expired": 1, "void": 1})

    def test_customer_groups(self):
        self.use(self.new_coupons(), partner_id=self.customer.id)
        self.new_coupons()
        groups = dict(self.rows(["category_ids"], "__count"))
        none = self.env["res.partner.category"]
        self.assertEqual(groups, {self.group: 1, none: 1})

    def test_with_and_without(self):
        self.use(self.new_coupons())
        self.pay(str(uuid4()))
        self.env.flush_all()
        groups = self.env["report.pos.order"]._read_group(
            [("company_id", "=", self.company.id)],
            ["coupon_use"],
            ["price_total:sum", "order_id:count_distinct"],
        )
        self.assertEqual(
            {key: (total, count) for key, total, count in groups},
            {"with": (90.0, 1), "without": (100.0, 1)},
        )

    def test_equals_the_ledger(self):
        for coupon in self.new_coupons(3):
            self.use(coupon)
        [(count, discount)] = self.rows([], "redeemed:sum", "discount_amount:sum")
        ledger = self.redemptions(self.template.program_id.coupon_ids, "redeemed")
        self.assertEqual(count, len(ledger))
        self.assertEqual(discount, sum(ledger.mapped("discount_amount")))

    def test_two_coupons_on_one_order(self):
        """What was sold is what the orders came to, not twice of it."""
        uuid, coupons = str(uuid4()), self.new_coupons(2)
        self.reserve(uuid, coupons)
        order = self.pay(uuid, coupons)
        self.assertEqual(
            self.rows([], "redeemed:sum", "order_amount:sum"),
            [(2, order.amount_total)],
        )

    def test_companies(self):
        self.new_coupons()
        other = self.new_company("Another Chain")
        stranger = self.new_user(
            "stranger", "wechat_coupon.coupon_group_auditor", company=other
        )
        self.env.flush_all()
        report = self.env(user=stranger, context={})["coupon.report"]
        self.assertFalse(report.search([]))
