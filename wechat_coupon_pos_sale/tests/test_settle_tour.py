from odoo import Command
from odoo.tests import tagged

from odoo.addons.point_of_sale.tests.test_frontend import TestPointOfSaleHttpCommon


@tagged("post_install", "-at_install")
class TestSettleTour(TestPointOfSaleHttpCommon):
    """A cashier and two quotations, in Chromium."""

    @classmethod
    @TestPointOfSaleHttpCommon.setup_country("cn")
    def setUpClass(cls):
        super().setUpClass()
        sales = cls.env.ref("sales_team.group_sale_salesman_all_leads")
        cls.env.user.group_ids += sales
        cls.env.user.group_ids += cls.env.ref("wechat_coupon.coupon_group_manager")
        cls.pos_user.group_ids += sales
        cls.template = cls.env["coupon.template"].create(
            {"name": "20 off", "channel": "local", "amount_fen": 2000}
        )
        cls.template.action_publish()
        cls.tea = cls.env["product.product"].create(
            {
                "name": "Tea",
                "list_price": 120,
                "available_in_pos": True,
                "taxes_id": False,
            }
        )

    def quotation(self, coupon):
        order = self.env["sale.order"].create(
            {
                "partner_id": self.env["res.partner"].create({"name": "Li Na"}).id,
                "order_line": [Command.create({"product_id": self.tea.id})],
            }
        )
        for found, rewards in order._try_apply_code(coupon.code).items():
            order._apply_program_reward(rewards, found)
        self.assertEqual(order.amount_total, 100)
        return order

    def test_settle(self):
        good, gone = self.template._generate(2)
        order, dead = self.quotation(good), self.quotation(gone)
        gone._wechat_void("test")
        self.main_pos_config.with_user(self.pos_user).open_ui()
        self.start_pos_tour("WechatCouponSettle")
        self.assertEqual(dead.state, "draft")
        self.assertEqual(order.state, "sale")
        redemption = self.env["coupon.redemption"].search([("coupon_id", "=", good.id)])
        self.assertEqual(redemption.state, "redeemed")
        self.assertEqual(redemption.discount_fen, 2000)
        self.assertEqual(order.pos_order_line_ids.order_id.amount_total, 100)
