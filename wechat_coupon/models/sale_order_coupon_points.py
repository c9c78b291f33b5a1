from odoo import api, models


class SaleOrderCouponPoints(models.Model):
    _inherit = "sale.order.coupon.points"

    @api.constrains("coupon_id")
    def _check_wechat_guarded(self):
        self.coupon_id._wechat_check_sales_order()
