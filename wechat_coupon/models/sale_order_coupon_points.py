from odoo import api, models
from odoo.exceptions import ValidationError


class SaleOrderCouponPoints(models.Model):
    _inherit = "sale.order.coupon.points"

    @api.constrains("coupon_id")
    def _check_wechat_guarded(self):
        """Orders give no points to coupons that the ledger keeps."""
        # sudo: the template is not for salespeople to read.
        if self.sudo().coupon_id.filtered("coupon_template_id"):
            raise ValidationError(self.env["coupon.reason"]._message("sales_order"))
