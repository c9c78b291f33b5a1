"""A paid order brings a new coupon, printed on its receipt."""

from uuid import uuid4

from odoo.tests import tagged

from .common import CouponCase


@tagged("post_install", "-at_install")
class TestReceiptCoupon(CouponCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.next = cls.new_template(
            name="Next time ¥5 off",
            amount_fen=500,
            threshold_fen=0,
            receipt_print=True,
            receipt_amount=80,
        )

    def buy(self, products=None, **vals):
        return self.pay(str(uuid4()), products=products, **vals)

    def issued(self, order=None):
        domain = [("template_id", "=", self.next.id)]
        if order:
            domain.append(("pos_order_id", "=", order.id))
        return self.env["coupon.issue"].search(domain)

    def test_printed_and_used(self):
        order = self.buy(partner_id=self.customer.id)
        coupon = self.issued(order).coupon_id
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertEqual(coupon.partner_id, self.customer)
        [printed] = order.with_user(self.cashier).wechat_new_coupons
        self.assertEqual(printed["code"], coupon.code)
        self.assertEqual(printed["name"], self.next.name)
        self.assertTrue(self.reserve("u1", coupon)["ok"])

    def test_receipts_of_others(self):
        order = self.buy()
        code = self.issued(order).coupon_id.code

        def read(user):
            order.invalidate_recordset()
            [printed] = order.with_user(user).read(["wechat_new_coupons"])
            [coupon] = printed["wechat_new_coupons"]
            return coupon["code"], coupon["is_masked"]

        self.assertEqual(read(self.cashier), (code, False))
        other = self.new_user("other_cashier", "point_of_sale.group_pos_user")
        self.assertEqual(read(other), (f"****{code[-4:]}", True))
        # Nor by calling the order one's own.
        order.user_id = other
        self.assertEqual(read(other), (f"****{code[-4:]}", True))
        boss = self.new_user("till_boss", "point_of_sale.group_pos_manager")
        self.assertEqual(read(boss), (code, False))

    def test_any_number_is_not_counted_in_one_place(self):
        """Tills that print coupons do not wait for each other."""
        self.buy()
        self.buy()
        counters = self.env["coupon.template.stock"]
        self.assertFalse(counters.search([("template_id", "=", self.next.id)]))
        self.assertEqual(self.next.handed_out, 2)

    def test_synced_twice(self):
        data = self.order_data(str(uuid4()))
        orders = self.env["pos.order"].with_user(self.cashier)
        orders.sync_from_ui([data])
        orders.sync_from_ui([data])
        order = orders.search([("uuid", "=", data["uuid"])])
        order.sudo()._wechat_hand_out()
        self.assertEqual(len(self.issued(order)), 1)

    def test_too_small(self):
        order = self.buy(self.tea)
        self.assertFalse(self.issued(order))
        self.assertFalse(order.wechat_new_coupons)

    def test_goods_that_come_back_bring_none(self):
        order = self.buy()
        refund = order._refund()
        refund._wechat_hand_out()
        self.assertFalse(self.issued(refund))

    def test_none_left(self):
        self.next.action_end()
        self.next = self.next.copy({"stock": 1})
        self.next.action_publish()
        self.assertTrue(self.issued(self.buy()))
        order = self.buy()
        self.assertEqual(order.state, "paid")
        self.assertFalse(self.issued(order))
        self.assertEqual(len(self.issued()), 1)

    def test_for_certain_customers(self):
        tag = self.env["res.partner.category"].create({"name": "VIP"})
        self.next.write({"audience": "tags", "audience_tag_ids": [(6, 0, tag.ids)]})
        self.assertFalse(self.issued(self.buy(partner_id=self.customer.id)))
        self.customer.category_id = tag
        self.assertTrue(self.issued(self.buy(partner_id=self.customer.id)))

    def test_over(self):
        self.next.action_end()
        self.assertFalse(self.issued(self.buy()))

    def test_goods_given_back_take_it_along(self):
        order = self.buy(partner_id=self.customer.id)
        coupon = self.issued(order).coupon_id
        self.give_back_all(order)
        self.assertEqual(coupon.wechat_state, "void")

    def test_used_meanwhile_it_stays_used(self):
        order = self.buy(partner_id=self.customer.id)
        coupon = self.issued(order).coupon_id
        self.pay("next", coupon)
        self.give_back_all(order)
        self.assertEqual(coupon.wechat_state, "used")

    def give_back_all(self, order):
        refund = order._refund()
        refund._wechat_mark_refunds()
        self.assertTrue(refund)
