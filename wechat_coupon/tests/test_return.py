"""Goods are given back at the till: money to the fen, coupons by their policy."""

from datetime import timedelta
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import CouponCase


class ReturnCase(CouponCase):
    """Orders with a coupon, and refunds as the till sends them."""

    def sold(self, coupons, qty=1, **kwargs):
        """An order with coupons, reserved and paid; return it."""
        uuid = str(uuid4())
        answer = self.reserve(uuid, coupons)
        self.assertTrue(answer["ok"], answer)
        return self.pay(uuid, coupons, **kwargs)

    def sell(self, count=1, **vals):
        template = self.new_template(**vals)
        coupon = self.new_coupons(count, template)
        return coupon, self.sold(coupon)

    def goods(self, order, product):
        return order.lines.filtered(lambda line: line.product_id == product)

    def refund_data(self, order, parts, uuid=None):
        """A refund as the till sends it.

        :param list parts: triples of a line, a quantity and an amount with taxes
        """
        data = self.order_data(uuid or str(uuid4()))
        data["lines"] = [
            Command.create(
                {
                    "uuid": str(uuid4()),
                    "product_id": line.product_id.id,
                    "qty": -qty,
                    "price_unit": amount / qty,
                    "price_subtotal": -amount,
                    "price_subtotal_incl": -amount,
                    "tax_ids": [Command.set(line.tax_ids.ids)],
                    "refunded_orderline_id": line.id,
                }
            )
            for line, qty, amount in parts
        ]
        total = -sum(amount for _line, _qty, amount in parts)
        data.update(amount_total=total, amount_paid=total, amount_tax=0)
        data["payment_ids"][0][2]["amount"] = total
        return data

    def refund(self, order, *parts, **kwargs):
        data = self.refund_data(order, parts, **kwargs)
        return self.sync(data)

    def sync(self, data):
        self.env["pos.order"].with_user(self.cashier).sync_from_ui([data])
        return self.env["pos.order"].search([("uuid", "=", data["uuid"])])

    def all_of(self, order):
        """Everything that was sold, with the whole discount."""
        return [(line, line.qty, line.price_subtotal_incl) for line in order.lines]

    def told(self, refund):
        answer = self.till.wechat_coupon_given_back(refund.uuid)
        self.assertTrue(answer["ok"])
        return answer["coupons"]


@tagged("post_install", "-at_install")
class TestReturn(ReturnCase):
    def assert_back(self, coupon, redemption=None):
        redemption = redemption or self.redemptions(coupon, "returned")
        self.assertEqual(redemption.state, "returned")
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertEqual(coupon.points, 1)
        self.assertFalse(redemption.needs_attention)
        self.assertTrue(self.reserve(str(uuid4()), coupon)["ok"])

    # === POLICIES === #

    def test_full_refund(self):
        coupon, order = self.sell()
        refund = self.refund(order, *self.all_of(order))
        self.assertEqual(refund.state, "paid")
        redemption = self.redemptions(coupon)
        self.assertEqual(redemption.given_back_fen, 1000)
        self.assertEqual(redemption.return_reason, "refund")
        self.assertEqual(redemption.return_note, refund.pos_reference)
        self.assertEqual(sum(coupon.history_ids.mapped("issued")), 1)
        self.assert_back(coupon)

    def test_by_parts(self):
        """The last part brings the coupon back, and not before."""
        coupon, order = self.sell()
        tea, rice = self.goods(order, self.tea), self.goods(order, self.rice)
        cut = order.lines.filtered("coupon_id")
        first = self.refund(order, (tea, 1, 60.0), (cut, 0.6, -6.0))
        redemption = self.redemptions(coupon)
        self.assertEqual(redemption.state, "redeemed")
        self.assertFalse(redemption.needs_attention)
        told = self.told(first)
        self.assertEqual([one["is_back"] for one in told], [False])
        self.assertIn("all goods", told[0]["message"])
        last = self.refund(order, (rice, 1, 40.0), (cut, 0.4, -4.0))
        self.assertEqual(redemption.given_back_fen, 1000)
        self.assertEqual(-first.amount_total - last.amount_total, order.amount_total)
        told = self.told(last)
        self.assertEqual([one["is_back"] for one in told], [True])
        self.assertIn("until", told[0]["message"])
        self.assert_back(coupon)

    def test_any(self):
        coupon, order = self.sell(return_policy="any")
        cut = order.lines.filtered("coupon_id")
        self.refund(order, (self.goods(order, self.rice), 1, 40.0), (cut, 0.4, -4.0))
        self.assert_back(coupon)
        # The rest of the goods does not give it back once more.
        self.reserve("u1", coupon)
        self.refund(order, (self.goods(order, self.tea), 1, 60.0), (cut, 0.6, -6.0))
        self.assertEqual(self.redemptions(coupon, "returned").given_back_fen, 1000)
        self.assertEqual(len(coupon.history_ids), 2)

    def test_the_last_goods_are_none_of_its(self):
        """The order of the parts makes no difference."""
        for first in ("tea", "rice"):
            with self.subTest(first=first):
                coupon, order = self.sell(
                    product_ids=[(6, 0, self.tea.ids)], threshold_fen=0
                )
                cut = order.lines.filtered("coupon_id")
                parts = {
                    "tea": [(self.goods(order, self.tea), 1, 60.0), (cut, 1, -10.0)],
                    "rice": [(self.goods(order, self.rice), 1, 40.0)],
                }
                self.refund(order, *parts.pop(first))
                self.assertEqual(self.redemptions(coupon).state, "redeemed")
                self.refund(order, *parts.popitem()[1])
                self.assert_back(coupon)

    def test_any_of_its_goods(self):
        """What the coupon was not for does not give it back."""
        coupon, order = self.sell(
            return_policy="any", threshold_fen=0, product_ids=[(4, self.tea.id)]
        )
        rice, tea = self.goods(order, self.rice), self.goods(order, self.tea)
        self.refund(order, (rice, 1, 40.0))
        self.assertEqual(self.redemptions(coupon).state, "redeemed")
        self.assertFalse(self.redemptions(coupon).refund_ids)
        self.refund(
            order, (tea, 1, 60.0), (order.lines.filtered("coupon_id"), 1, -10.0)
        )
        self.assert_back(coupon)

    def test_never(self):
        coupon, order = self.sell(return_policy="never")
        refund = self.refund(order, *self.all_of(order))
        self.assertEqual(self.redemptions(coupon).state, "redeemed")
        self.assertEqual(coupon.wechat_state, "used")
        self.assertIn("by its terms", self.told(refund)[0]["message"])
        self.assertEqual(
            self.refusal_codes(self.reserve(str(uuid4()), coupon)), ["used"]
        )

    def test_expired_meanwhile(self):
        coupon, order = self.sell()
        over = fields.Datetime.now() - timedelta(days=1)
        coupon.sudo()._write({"wechat_valid_to": over})
        coupon.invalidate_recordset()
        refund = self.refund(order, *self.all_of(order))
        self.assertEqual(self.redemptions(coupon).state, "returned")
        self.assertEqual((coupon.wechat_state, coupon.points), ("expired", 0))
        self.assertIn("expired", self.told(refund)[0]["message"])
        self.assertIn("expired", coupon.history_ids[0].description)

    def test_made_invalid_meanwhile(self):
        coupon, order = self.sell()
        coupon.sudo()._wechat_set_state("void")
        self.refund(order, *self.all_of(order))
        self.assertEqual(self.redemptions(coupon).state, "returned")
        self.assertEqual(coupon.wechat_state, "void")

    # === MONEY === #

    def test_more_than_was_paid(self):
        """A till that forgets the discount: saved, and on the worklist."""
        coupon, order = self.sell()
        refund = self.refund(order, (self.goods(order, self.tea), 1, 60.0))
        self.assertEqual(refund.state, "paid")
        redemption = self.redemptions(coupon)
        self.assertTrue(redemption.needs_attention)
        self.assertEqual(redemption.problems, [["over_refund", {"amount": "6.00"}]])
        self.assertIn("6.00", redemption.reason)
        self.assertTrue(redemption.activity_ids)

    def test_two_coupons(self):
        templates = [self.new_template(threshold_fen=0) for _two in range(2)]
        coupons = self.env["loyalty.card"].union(
            *(template._generate(1) for template in templates)
        )
        order = self.sold(coupons)
        self.assertEqual(order.amount_total, 80)
        refund = self.refund(order, *self.all_of(order))
        self.assertEqual(len(self.told(refund)), 2)
        for coupon in coupons:
            self.assert_back(coupon, self.redemptions(coupon, "returned"))

    def test_back_office(self):
        """The rest of a discount of which a part went back, to the fen."""
        coupon, order = self.sell()
        tea = self.goods(order, self.tea)
        cut = order.lines.filtered("coupon_id")
        self.refund(order, (tea, 1, 60.0), (cut, 0.33, -6.0))
        refund = order._refund()
        rest = refund.lines.filtered(lambda line: line.refunded_orderline_id == cut)
        self.assertAlmostEqual(rest.qty * rest.price_unit, 4.0)
        self.assertEqual(rest.price_subtotal_incl, 4.0)
        payment = self.env["pos.make.payment"].with_context(
            active_id=refund.id, active_ids=refund.ids
        )
        payment.create({"amount": -36.0}).check()
        self.assertEqual(refund.amount_total, -36.0)
        self.assertFalse(self.redemptions(coupon).needs_attention)
        self.assert_back(coupon)

    # === ONCE === #

    def test_refund_synced_twice(self):
        coupon, order = self.sell(return_policy="any")
        data = self.refund_data(order, self.all_of(order))
        refund = self.sync(data)
        self.reserve("u1", coupon)
        self.sync(data)
        refund._wechat_mark_refunds()
        redemption = self.redemptions(coupon, "returned")
        self.assertEqual(redemption.given_back_fen, 1000)
        self.assertEqual(len(redemption.refund_ids), 1)
        self.assertEqual(len(coupon.history_ids), 2)
        self.assertEqual(
            self.redemptions(coupon).mapped("state"), ["returned", "reserved"]
        )

    def test_order_synced_again_after_the_refund(self):
        """What a till brings once more does not use the coupon a second time."""
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        order = self.pay(uuid, coupon)
        self.refund(order, *self.all_of(order))
        order._wechat_redeem_coupons()
        self.assertEqual(self.redemptions(coupon).mapped("state"), ["returned"])

    def test_used_and_given_back_again(self):
        coupon, order = self.sell()
        self.refund(order, *self.all_of(order))
        again = self.sold(coupon)
        self.refund(again, *self.all_of(again))
        self.assertEqual(
            self.redemptions(coupon).mapped("state"), ["returned", "returned"]
        )
        self.assert_back(coupon, self.redemptions(coupon, "returned")[:1])

    # === LIMITS === #

    def test_slots_are_free_again(self):
        template = self.new_template(threshold_fen=0, use_limit=1, day_limit=1)
        coupons = template._generate(2, self.customer | self.customer.copy())
        uuid = str(uuid4())
        self.assertTrue(self.reserve(uuid, coupons[0])["ok"])
        order = self.pay(uuid, coupons[0], partner_id=self.customer.id)
        self.assertEqual(
            self.refusal_codes(self.reserve("u2", coupons[1])), ["day_limit"]
        )
        self.refund(order, *self.all_of(order))
        self.assertTrue(self.reserve("u2", coupons[1])["ok"])

    # === PEOPLE === #

    def test_conflict(self):
        coupon = self.new_coupons()
        self.reserve("other", coupon)
        order = self.pay(str(uuid4()), coupon)
        refund = self.refund(order, *self.all_of(order))
        conflict = self.redemptions(coupon, "conflict")
        self.assertIn("given back", conflict.reason)
        self.assertIn("manager", self.told(refund)[0]["message"])

    def test_manager_gives_back(self):
        coupon, _order = self.sell(return_policy="never")
        redemption = self.redemptions(coupon)
        with self.assertRaises(AccessError):
            redemption.with_user(self.auditor).action_return()
        action = redemption.with_user(self.manager).action_return()
        self.env["coupon.reason.wizard"].with_user(self.manager).with_context(
            **action["context"]
        ).create({"reason": "Goodwill"}).action_confirm()
        self.assertEqual(redemption.return_reason, "manager")
        self.assertEqual(redemption.return_note, "Goodwill")
        self.assert_back(coupon)
        with self.assertRaisesRegex(UserError, "used"):
            redemption.with_user(self.manager)._return_by_manager("twice")

    def test_new_code_is_told_while_the_session_is_open(self):
        """The refund's own cashier hands it over; nobody collects codes later."""
        coupon, order = self.sell()
        redemption = self.redemptions(coupon)
        self.patch(type(redemption), "_way_back", lambda _self: "replacement")
        refund = self.refund(order, *self.all_of(order))
        new = redemption.replacement_id
        told = self.told(refund)[0]
        self.assertEqual(told["new_code"], new.code)
        self.assertIn(new.code, told["message"])
        session = refund.session_id
        for state in ("closing_control", "closed"):
            session.sudo()._write({"state": state})
            session.invalidate_recordset()
            told = self.told(refund)[0]
            shown = new.code if state == "closing_control" else f"****{new.code[-4:]}"
            self.assertEqual(told["new_code"], shown)
            self.assertEqual(new.code in told["message"], state == "closing_control")
            self.assertIn(shown, told["message"])

    def test_till_sees_its_own_refunds_only(self):
        _coupon, order = self.sell()
        refund = self.refund(order, *self.all_of(order))
        other = self.new_config("Shop 2").with_user(self.cashier)
        self.assertEqual(other.wechat_coupon_given_back(refund.uuid)["coupons"], [])
        with self.assertRaises(AccessError):
            self.config.with_user(self.auditor).wechat_coupon_given_back(refund.uuid)
        with self.assertRaises(AccessError):
            self.till.wechat_coupon_given_back({"x": 1})
