from odoo import models


class CouponReason(models.AbstractModel):
    """Sentences about coupons that are confirmed, and paid with WeChat."""

    _inherit = "coupon.reason"

    def _reason_being_confirmed(self, **_kw):
        return self.env._(
            "The customer received this coupon a moment ago, and it is still being "
            "confirmed at WeChat. Try again in a minute, or take the coupon off."
        )

    def _reason_not_open_yet(self, **_kw):
        return self.env._(
            "WeChat does not open this coupon yet: its first day comes later, or the "
            "customer has to use an earlier coupon of the same set first. Take it off."
        )

    def _reason_needs_wechat_payment(self, **_kw):
        return self.env._(
            "This coupon can be used only if the customer pays with WeChat Pay, and "
            "that is not possible here. Take the coupon off."
        )

    # --- for the manager, on the worklist --- #

    def _reason_not_paid_with_wechat(self, **_kw):
        return self.env._(
            "The order was not paid with WeChat Pay, so WeChat does not take the "
            "coupon. The customer still has it."
        )
