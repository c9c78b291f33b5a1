from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .common import CouponCase


@tagged("post_install", "-at_install")
class TestSale(CouponCase):
    """Guarded coupons on sales orders: refused, whichever way they come."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.salesman = cls.new_user(
            "coupon_sale", "sales_team.group_sale_salesman_all_leads"
        )
        cls.coupon = cls.template._generate(1)
        cls.order = (
            cls.env["sale.order"]
            .with_user(cls.salesman)
            .create(
                {
                    "partner_id": cls.customer.id,
                    "company_id": cls.company.id,
                    "order_line": [
                        (0, 0, {"product_id": cls.tea.id, "product_uom_qty": 5})
                    ],
                }
            )
        )

    def test_code(self):
        answer = self.order._try_apply_code(self.coupon.code)
        self.assertEqual(set(answer), {"error"})
        self.assertIn("till", answer["error"])
        self.assertFalse(self.order.applied_coupon_ids)

    def test_wizard(self):
        wizard = self.env["sale.loyalty.coupon.wizard"].with_user(self.salesman)
        with self.assertRaisesRegex(ValidationError, "till"):
            wizard.create(
                {"order_id": self.order.id, "coupon_code": self.coupon.code}
            ).action_apply()

    def test_portal(self):
        """The website and the portal call it with sudo."""
        answer = self.order.sudo()._try_apply_code(self.coupon.code)
        self.assertIn("error", answer)
        self.assertNotIn(
            self.template.program_id,
            self.env["loyalty.program"].search(self.order._get_program_domain()),
        )

    def test_orm(self):
        reward = self.template.program_id.reward_ids
        for call in (
            lambda: self.order.write({"applied_coupon_ids": [(4, self.coupon.id)]}),
            lambda: self.order._apply_program_reward(reward.sudo(), self.coupon),
            lambda: self.order.write(
                {
                    "order_line": [
                        (
                            0,
                            0,
                            {
                                "name": "Discount",
                                "product_id": self.tea.id,
                                "coupon_id": self.coupon.id,
                                "reward_id": reward.id,
                                "points_cost": 1,
                            },
                        )
                    ]
                }
            ),
            lambda: self.env["sale.order.coupon.points"].create(
                {"order_id": self.order.id, "coupon_id": self.coupon.id, "points": 1}
            ),
            lambda: self.order._try_apply_program(self.template.program_id.sudo()),
            lambda: self.coupon.with_user(self.salesman).write({"points": 9}),
        ):
            before = self.order.amount_total
            try:
                with self.env.cr.savepoint():
                    answer = call()
            except UserError as error:
                answer = {"error": str(error)}
            self.assertIn("error", answer)
            self.env.invalidate_all()
            self.assertEqual(self.order.amount_total, before)
        self.assertEqual(self.coupon.points, 1)
        self.assertEqual(self.template.coupon_count, 1)

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
        self.assertNotIn("error", self.order._try_apply_code(own.code))
        self.order._apply_program_reward(program.reward_ids, own)
        self.order.action_confirm()
        self.assertEqual(own.points, 0)
