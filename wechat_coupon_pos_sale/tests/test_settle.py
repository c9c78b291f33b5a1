"""Quotations with coupons that are paid at a till."""

from uuid import uuid4

from odoo import Command
from odoo.exceptions import AccessError
from odoo.tests import tagged

from odoo.addons.wechat_coupon.tests.test_sale import SaleCase


@tagged("post_install", "-at_install")
class TestSettle(SaleCase):
    def setUp(self):
        super().setUp()
        # Odoo's dialogue at the till shows orders to who sees them in Sales only.
        self.cashier.group_ids += self.env.ref(
            "sales_team.group_sale_salesman_all_leads"
        )
        self.config.open_ui()
        self.config.current_session_id.set_opening_control(0, None)
        self.order = self.new_order()
        self.apply(self.order, self.coupon)

    def load(self, order):
        """Choose an order at the till, as its dialogue does."""
        return order.with_env(self.till.env).wechat_hold_at_till()

    def settled(self, order, **vals):
        """What the till sends when an order was loaded and paid."""
        lines = [
            Command.create(
                {
                    "uuid": str(uuid4()),
                    "product_id": line.product_id.id,
                    "qty": line.product_uom_qty,
                    "price_unit": line.price_unit,
                    "price_subtotal": line.price_subtotal,
                    "price_subtotal_incl": line.price_total,
                    "tax_ids": [Command.set(line.tax_ids.ids)],
                    "sale_order_origin_id": order.id,
                    "sale_order_line_id": line.id,
                }
            )
            for line in order.order_line
        ]
        data = self.order_data(str(uuid4()), lines=lines, **vals)
        total = sum(line[2]["price_subtotal_incl"] for line in lines)
        data.update(
            amount_total=total,
            amount_paid=total,
            amount_tax=total - sum(line[2]["price_subtotal"] for line in lines),
        )
        data["payment_ids"][0][2]["amount"] = total
        return data

    def settle(self, order):
        """Load an order at the till and pay it."""
        data = self.settled(order.sudo())
        self.env["pos.order"].with_env(self.till.env).sync_from_ui([data])
        self.env.invalidate_all()
        return self.env["pos.order"].search([("uuid", "=", data["uuid"])])

    def refund(self, paid, products=None, discount=True):
        """Give goods of a paid order back at the till, and what a coupon took off."""
        data = paid._refund()
        for line in data.lines:
            goods = line.refunded_orderline_id.sale_order_line_id
            if (
                not discount
                if goods.is_reward_line
                else products and line.product_id not in products
            ):
                line.unlink()
        data._compute_prices()
        data.add_payment(
            {
                "pos_order_id": data.id,
                "amount": data.amount_total,
                "payment_method_id": self.config.payment_method_ids[:1].id,
            }
        )
        data.action_pos_order_paid()
        self.env.invalidate_all()
        return data

    def use_elsewhere(self):
        uuid = str(uuid4())
        self.reserve(uuid, self.coupon)
        self.pay(uuid, self.coupon)

    def test_settle(self):
        self.assertFalse(self.load(self.order))
        self.assertEqual(self.redemptions(self.coupon).state, "reserved")
        paid = self.settle(self.order)
        self.assertEqual(paid.state, "paid")
        self.assertEqual(paid.amount_total, 90)
        self.assertEqual(self.order.state, "sale")
        redemption = self.redemptions(self.coupon)
        self.assertEqual(redemption.state, "redeemed")
        self.assertEqual(redemption.discount_fen, 1000)
        self.assertEqual(redemption.sale_order_id, self.order)
        self.assertEqual(redemption.config_id, self.config)
        self.assertEqual(redemption.session_id, paid.session_id)
        self.assertEqual(redemption.line_ids.config_id, self.config)
        self.assertFalse(redemption.needs_attention)
        self.assertEqual(self.coupon.wechat_state, "used")

    def test_sales_with_and_without(self):
        """The shop's report counts it among the sales with coupons."""
        self.settle(self.order)
        self.settle(self.new_order())
        self.env.flush_all()
        groups = self.env["report.pos.order"]._read_group(
            [("company_id", "=", self.company.id)], ["coupon_use"], ["price_total:sum"]
        )
        self.assertEqual(dict(groups), {"with": 90.0, "without": 100.0})

    def test_told_before_it_is_paid(self):
        self.use_elsewhere()
        self.assertRegex(self.load(self.order)["message"], "already used.*taken off")
        self.assertEqual(self.order.state, "draft")

    def test_paid_is_never_lost(self):
        """Another till took the coupon after the order was loaded."""
        self.load(self.order)
        self.expire(self.coupon)
        self.use_elsewhere()
        paid = self.settle(self.order)
        self.assertEqual(paid.state, "paid")
        self.assertEqual(self.order.state, "sale")
        states = self.redemptions(self.coupon).mapped("state")
        self.assertEqual(sorted(states), ["conflict", "redeemed", "released"])

    def test_cancelled_after_it_was_paid(self):
        """The customer has paid, and has the goods: the coupon stays used."""
        self.settle(self.order)
        self.order._action_cancel()
        self.assertEqual(self.redemptions(self.coupon).state, "redeemed")
        self.assertEqual(self.coupon.wechat_state, "used")

    def test_cancelled_after_it_was_refunded(self):
        coupon = self.new_template(return_policy="any", threshold_fen=0)._generate(1)
        order = self.new_order()
        self.apply(order, coupon)
        paid = self.settle(order)
        self.refund(paid)
        self.assertEqual(self.redemptions(coupon).state, "returned")
        order._action_cancel()
        self.assertEqual(len(self.redemptions(coupon)), 1)
        self.assertEqual(coupon.wechat_state, "usable")

    def test_refund(self):
        paid = self.settle(self.order)
        refund = self.refund(paid)
        self.assertEqual(refund.amount_total, -90)
        redemption = self.redemptions(self.coupon)
        self.assertEqual(redemption.state, "returned")
        self.assertEqual(redemption.return_note, refund.pos_reference or refund.name)
        self.assertEqual(redemption.given_back_fen, 1000)
        self.assertEqual(redemption.refund_ids.pos_order_id, refund)
        self.assertFalse(redemption.needs_attention)
        self.assertEqual(self.coupon.wechat_state, "usable")

    def test_refund_by_parts(self):
        paid = self.settle(self.order)
        self.refund(paid, self.tea, discount=False)
        redemption = self.redemptions(self.coupon)
        self.assertEqual(redemption.state, "redeemed")
        self.assertEqual(len(redemption.refund_ids), 1)
        # Tea for 60 yuan of which 6 were the coupon's.
        self.assertEqual(redemption.problems, [["over_refund", {"amount": "6.00"}]])
        self.refund(paid, self.rice)
        self.assertEqual(redemption.state, "returned")
        self.assertEqual(redemption.given_back_fen, 1000)

    def test_quotation_after_a_down_payment(self):
        """Money was taken: the order is confirmed, whoever has the coupon."""
        self.use_elsewhere()
        product = self.new_product("Deposit", 20)
        self.config.down_payment_product_id = product
        line = self.line_data(product, 20, sale_order_origin_id=self.order.id)
        data = self.order_data(str(uuid4()), products=[product])
        data["lines"] = [line]
        self.env["pos.order"].with_env(self.till.env).sync_from_ui([data])
        self.env.invalidate_all()
        self.assertEqual(self.order.state, "sale")
        self.assertEqual(
            sorted(self.redemptions(self.coupon).mapped("state")),
            ["conflict", "redeemed"],
        )

    def test_rights(self):
        """Who sells at no till holds nothing, nor who does not see the order."""
        with self.assertRaises(AccessError):
            self.order.with_user(self.salesman).wechat_hold_at_till()
        self.cashier.group_ids -= self.env.ref(
            "sales_team.group_sale_salesman_all_leads"
        )
        self.cashier.group_ids -= self.env.ref("sales_team.group_sale_salesman")
        with self.assertRaises(AccessError):
            self.load(self.order)
        self.assertFalse(self.redemptions(self.coupon))

    def test_without_coupons(self):
        order = self.new_order()
        self.load(order)
        paid = self.settle(order)
        self.assertEqual((paid.amount_total, order.state), (100, "sale"))
        self.refund(paid)
