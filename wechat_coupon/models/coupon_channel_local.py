from odoo import models


class CouponChannelLocal(models.AbstractModel):
    _name = "coupon.channel.local"
    _inherit = "coupon.channel"
    _description = "Coupon Channel: Our Own Coupons"

    _can_generate = True

    def _check_hand_out(self, template):
        """Override of ``coupon.channel``: ours go to anybody."""

    def _hand_out(self, issues):
        """Override of ``coupon.channel``: make the coupons."""
        issues.template_id._take_stock(len(issues))
        issues._make()
        issues._notify_partner()
