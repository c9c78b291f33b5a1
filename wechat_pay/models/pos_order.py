from odoo import models


class PosOrder(models.Model):
    _inherit = "pos.order"

    def action_pos_order_paid(self):
        """Override of `point_of_sale` to join payments to WeChat's."""
        result = super().action_pos_order_paid()
        self.payment_ids._wechat_link()
        # sudo: the till's users do not read transactions.
        transactions_sudo = self.env["wechat.pay.transaction"].sudo()
        transactions_sudo._pos_refunds_settled(self.mapped("uuid"))
        return result

    def action_pos_order_cancel(self):
        """Override of `point_of_sale`: nobody pays for an order that is cancelled."""
        result = super().action_pos_order_cancel()
        self.filtered(lambda order: order.state == "cancel")._wechat_drop_payments()
        return result

    def unlink(self):
        """Override: nobody pays for an order that is gone."""
        self._wechat_drop_payments()
        return super().unlink()

    def _wechat_drop_payments(self):
        uuids = [order.uuid for order in self if order.uuid]
        if uuids:
            # sudo: the till's users do not read transactions.
            self.env["wechat.pay.transaction"].sudo()._pos_drop_orders(uuids)
