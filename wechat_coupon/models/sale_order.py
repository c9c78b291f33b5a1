from odoo import api, models


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _try_apply_code(self, code):
        """Override of `sale_loyalty`: guarded coupons are for the till only."""
        self.ensure_one()
        if isinstance(code, str) and self.env["loyalty.card"]._wechat_find(code):
            return {"error": self.env["coupon.reason"]._message("sales_order")}
        return super()._try_apply_code(code)

    @api.constrains("applied_coupon_ids")
    def _check_wechat_guarded(self):
        self.applied_coupon_ids._wechat_check_sales_order()
