from odoo import fields, models


class ReportPosOrder(models.Model):
    _inherit = "report.pos.order"

    coupon_use = fields.Selection(
        [("with", "With coupon"), ("without", "Without coupon")],
        readonly=True,
        help="Whether the order has used a coupon.",
    )

    def _select(self):
        """Extended with whether the order has used a coupon."""
        return f"""{super()._select()},
            CASE WHEN EXISTS (
                SELECT 1 FROM coupon_redemption cr
                 WHERE cr.pos_order_id = s.id AND cr.state = 'redeemed'
            ) THEN 'with' ELSE 'without' END AS coupon_use
        """
