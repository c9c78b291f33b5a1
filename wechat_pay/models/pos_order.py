from odoo import models


class PosOrder(models.Model):
    _inherit = "pos.order"

    def action_pos_order_paid(self):
        """Override of `point_of_sale` to join payments to WeChat's."""
        result = super().action_pos_order_paid()
        self.payment_ids._wechat_link()
        return result
