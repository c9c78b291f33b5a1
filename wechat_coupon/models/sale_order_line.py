from odoo import api, models


class SaleOrderLine(models.Model):
    _inherit = "sale.order.line"

    @api.constrains("coupon_id")
    def _check_wechat_guarded(self):
        self.coupon_id._wechat_check_sales_order()
