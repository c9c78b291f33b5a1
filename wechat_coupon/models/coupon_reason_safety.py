from odoo import models


class CouponReason(models.AbstractModel):
    _inherit = "coupon.reason"

    def _reason_channel_closed(self, **_kw):
        return self.env._(
            "This shop does not take coupons of this kind. Take the coupon off, or ask "
            "the manager."
        )

    def _reason_not_allowed(self, **_kw):
        return self.env._(
            "You may not use coupons of this kind. Ask a colleague who may."
        )

    def _reason_too_many_of_channel(self, most="", **_kw):
        return self.env._(
            "An order may have %(most)s coupons of this kind. Take this one off.",
            most=most,
        )

    def _reason_risk_blocked(self, rule="", **_kw):
        return self.env._(
            "Held back for safety (%(rule)s). The manager has been told; take the "
            "coupon off, or wait for the manager.",
            rule=rule,
        )

    def _reason_emergency_release(self, manager="", reason="", **_kw):
        return self.env._(
            "Released by %(manager)s while WeChat could not be asked: %(reason)s",
            manager=manager,
            reason=reason,
        )

    def _reason_release_exceeded(self, discount="", released="", **_kw):
        return self.env._(
            "The order took off ¥%(discount)s, and ¥%(released)s had been released.",
            discount=discount,
            released=released,
        )

    def _reason_in_payment(self, **_kw):
        return self.env._(
            "WeChat takes this coupon off by itself when the customer pays with "
            "WeChat. Nothing has to be scanned."
        )
