"""Two tills refund parts of one order at the same moment."""

from unittest.mock import patch

from odoo.tests import tagged

from .test_guard import RaceCase


@tagged("post_install", "-at_install")
class TestReturnRace(RaceCase):
    """Each brings one half of the goods; the last one gives the coupon back."""

    @classmethod
    def make(cls, env):
        cls.coupon_id = cls.new_template(env, 1).id

    def setUp(self):
        super().setUp()
        self.commit(self.use)

    def use(self, env):
        coupon = env["loyalty.card"].browse(self.coupon_id)
        values = {"discount_fen": 100, "order_name": "order", "lines": []}
        ledger = env["coupon.redemption"]
        order = self.order(env, "order")
        ledger._reserve(order, coupon)
        ledger._redeem(order, {coupon: values})

    def row(self, env):
        return env["coupon.redemption"].search([("coupon_id", "=", self.coupon_id)])

    def refund(self, env, document):
        """Give one half back, and say whether nothing is left."""
        row = self.row(env)
        row._lock_redemptions(row)
        others = row.refund_ids.filtered(lambda one: one.document != document)
        row._give_back(
            {"document": document, "name": document, "shares": {row: 50}},
            sum(others.mapped("discount_fen")) + 50 >= 100,
        )
        return row.state

    def outcome(self):
        return self.commit(
            lambda env: (
                self.row(env).state,
                self.row(env).given_back_fen,
                len(self.row(env).refund_ids),
                sum(self.row(env).coupon_id.history_ids.mapped("issued")),
                self.row(env).coupon_id.wechat_state,
            )
        )

    def test_two_halves(self):
        results = self.race(2, lambda env, index: self.refund(env, f"refund{index}"))
        self.assertEqual(sorted(map(str, results)), ["redeemed", "returned"])
        self.assertEqual(self.outcome(), ("returned", 100, 2, 1, "usable"))

    def test_the_same_refund_at_once(self):
        self.race(4, lambda env, _index: self.refund(env, "refund"))
        self.assertEqual(self.outcome(), ("redeemed", 50, 1, 0, "used"))

    def test_the_race_exists(self):
        """Without the guard neither half sees the other one."""

        def note(row, refund):
            row.env["coupon.redemption.refund"].create(
                {
                    "redemption_id": row.id,
                    "company_id": row.company_id.id,
                    "document": refund["document"],
                    "discount_fen": refund["shares"][row],
                }
            )
            return True

        model = type(self.env["coupon.redemption"])
        with (
            patch.object(model, "_lock_redemptions", lambda *_args: None),
            patch.object(model, "_note_refund", note),
        ):
            self.race(2, lambda env, index: self.refund(env, f"refund{index}"))
        state, _fen, refunds, *_rest = self.outcome()
        self.assertEqual((state, refunds), ("redeemed", 2))
