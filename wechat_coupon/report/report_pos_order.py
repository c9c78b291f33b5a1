from odoo import fields, models


class ReportPosOrder(models.Model):
    _inherit = "report.pos.order"

    with_coupon = fields.Boolean(
        string="With Coupon",
        readonly=True,
        help="Whether the order has used a coupon: sales with and without compare.",
    )

    def _select(self):
        """Extended with whether the order has used a coupon."""
        return f"""{super()._select()},
            EXISTS (
                SELECT 1 FROM coupon_redemption cr
                 WHERE cr.pos_order_id = s.id AND cr.state = 'redeemed'
            ) AS with_coupon
        """
