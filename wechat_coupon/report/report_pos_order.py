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
        used = " OR ".join(f"EXISTS ({one})" for one in self._coupon_uses())
        return f"""{super()._select()},
            CASE WHEN {used} THEN 'with' ELSE 'without' END AS coupon_use
        """

    def _coupon_uses(self):
        """Return the ways in which an order ``s`` may have used a coupon.

        :return: SQL, each with a row if it has
        :rtype: list[str]
        """
        return [
            """
            SELECT 1 FROM coupon_redemption cr
             WHERE cr.pos_order_id = s.id AND cr.state = 'redeemed'
            """
        ]
