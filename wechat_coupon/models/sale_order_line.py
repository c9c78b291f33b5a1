from odoo import api, models

from odoo.addons.wechat_base.tools import money

from .sale_order import LEDGER_BOOKS


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    @api.constrains("coupon_id")
    def _check_wechat_guarded(self):
        for line in self:
            line.order_id._wechat_check_coupons(line.coupon_id)

    def copy_data(self, default=None):
        """Extended: a copy of the order has not used the coupon.

        `sale_loyalty` takes the whole line off the copy.
        """
        vals_list = super().copy_data(default)
        for line, vals in zip(self, vals_list, strict=True):
            # sudo: the template is not for salespeople to read.
            if line.sudo().coupon_id.coupon_template_id:
                vals["coupon_id"] = False
        return vals_list

    def write(self, vals):
        """Override of `sale_loyalty`: the ledger sees to points of guarded coupons."""
        if "points_cost" in vals:
            return super(SaleOrderLine, self.with_context(**LEDGER_BOOKS)).write(vals)
        return super().write(vals)

    def unlink(self):
        """Override of `sale_loyalty`: coupons whose lines are gone are free again."""
        before = {order: order._wechat_coupons() for order in self.order_id}
        res = super(SaleOrderLine, self.with_context(**LEDGER_BOOKS)).unlink()
        for order, coupons in before.items():
            if order.exists():
                order._wechat_forget(coupons - order._wechat_coupons())
        return res

    def _wechat_taken_off_fen(self, net=False):
        """Return what a reward line takes off, in fen, positive.

        A gift is a line of the product, all of its price taken off.

        :param bool net: without taxes
        """
        self.ensure_one()
        if self.reward_id.reward_type != "product":
            return -money.to_fen(self.price_subtotal if net else self.price_total)
        whole = self.tax_ids.compute_all(
            self.price_unit, self.currency_id, self.product_uom_qty, self.product_id
        )
        return money.to_fen(whole["total_excluded" if net else "total_included"])
