"""The ledger goes along when a confirmed order is changed."""

from odoo import api, models

# What Odoo works the amounts of a line out from.
_AMOUNTS = {"price_unit", "product_uom_qty", "product_id", "discount", "tax_ids"}
_CHANGED = "wechat_coupon.changed_orders"


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _wechat_amend_later(self):
        """Look at the coupons of these orders when the transaction ends.

        Odoo's engine empties its lines before it fills them again.
        """
        used = self.sudo().filtered(lambda order: order.state == "sale")
        used = used.filtered("wechat_redemption_ids")
        if not used:
            return
        precommit = self.env.cr.precommit
        if _CHANGED not in precommit.data:
            precommit.data[_CHANGED] = set()
            precommit.add(self.browse().sudo()._wechat_amend_changed)
        precommit.data[_CHANGED].update(used.ids)

    @api.model
    def _wechat_amend_changed(self):
        ids = self.env.cr.precommit.data.pop(_CHANGED, ())
        for order in self.browse(sorted(ids)).exists():
            order._wechat_amend()
        self.env.flush_all()

    def _wechat_amend(self):
        """Write into the ledger what the order's coupons take off now."""
        for redemption in self._wechat_used():
            redemption._amend(self._wechat_coupon_use(redemption.coupon_id))


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines.order_id._wechat_amend_later()
        return lines

    def write(self, vals):
        res = super().write(vals)
        if not _AMOUNTS.isdisjoint(vals):
            self.order_id._wechat_amend_later()
        return res

    def unlink(self):
        orders = self.order_id
        res = super().unlink()
        orders.exists()._wechat_amend_later()
        return res
