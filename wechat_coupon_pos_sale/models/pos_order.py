"""Refunds at the till of sales orders that had coupons."""

from odoo import models


class PosOrder(models.Model):
    _inherit = "pos.order"

    def _wechat_mark_refunds(self):
        """Extended: coupons of sales orders that were paid at a till go back."""
        res = super()._wechat_mark_refunds()
        # sudo: users of the till need not see the sales order.
        lines_sudo = self.sudo().lines.refunded_orderline_id.sale_order_line_id
        for order_sudo in lines_sudo.order_id:
            self._wechat_guarded_step(
                lambda order_sudo=order_sudo: order_sudo._wechat_refunded_by(
                    self.sudo()
                )
            )
        return res
