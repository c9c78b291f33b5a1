from odoo import api, models


class CouponTermsMixin(models.AbstractModel):
    """Parts of a program that say what a coupon gives: fixed once it is published."""

    _name = "coupon.terms.mixin"
    _description = "Terms of Coupons"

    @api.model_create_multi
    def create(self, vals_list):
        terms = super().create(vals_list)
        terms.program_id._wechat_check_terms()
        return terms

    def write(self, vals):
        self.program_id._wechat_check_terms()
        res = super().write(vals)
        if "program_id" in vals:
            self.program_id._wechat_check_terms()
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_wechat_guarded(self):
        self.program_id._wechat_check_terms()
