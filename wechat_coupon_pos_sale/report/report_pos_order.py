from odoo import models


class ReportPosOrder(models.Model):
    _inherit = "report.pos.order"

    def _coupon_uses(self):
        """Extended: or the sales order that was paid with it has."""
        return [
            *super()._coupon_uses(),
            """
            SELECT 1 FROM pos_order_line pl
              JOIN coupon_redemption cr ON cr.sale_order_id = pl.sale_order_origin_id
             WHERE pl.order_id = s.id AND cr.state = 'redeemed'
            """,
        ]
