from odoo import models


class CouponReason(models.AbstractModel):
    """Sentences about hours, limits and coupons beside each other."""

    _inherit = "coupon.reason"

    def _reason_outside_hours(self, opens=None, **_kw):
        if opens:
            return self.env._(
                "This coupon cannot be used at this hour. Ask the customer to come "
                "back from %(opens)s.",
                opens=opens,
            )
        return self.env._(
            "This coupon cannot be used at this hour, and not again before it expires. "
            "Take it off."
        )

    def _reason_needs_customer(self, **_kw):
        return self.env._(
            "Each customer can use only some of these coupons. Select the customer on "
            "the order, then try again."
        )

    def _reason_use_limit(self, limit=1, **_kw):
        return self.env._(
            "The customer has used this coupon as often as is allowed (%(limit)s in "
            "all). Take it off.",
            limit=limit,
        )

    def _reason_use_limit_day(self, limit=1, **_kw):
        return self.env._(
            "The customer has used this coupon as often as is allowed on one day "
            "(%(limit)s). Ask the customer to come back tomorrow.",
            limit=limit,
        )

    def _reason_day_limit(self, limit=1, **_kw):
        return self.env._(
            "All of these coupons for today are used (%(limit)s a day). Ask the "
            "customer to come back tomorrow.",
            limit=limit,
        )

    def _reason_cannot_combine(self, other="", **_kw):
        return self.env._(
            "This coupon cannot be used together with “%(other)s”. Take one of the two "
            "off.",
            other=other,
        )

    def _reason_group_full(self, group="", most=1, **_kw):
        return self.env._(
            "Only %(most)s coupons of “%(group)s” can be used on one order. Take one "
            "off first.",
            most=most,
            group=group,
        )

    def _reason_product_missing(self, product="", **_kw):
        return self.env._(
            "This coupon is for “%(product)s”. Add it to the order, or take the coupon "
            "off.",
            product=product,
        )

    # --- for the manager, on the worklist --- #

    def _reason_over_limit(self, limit="", **_kw):
        return self.env._(
            "Used more often than is allowed (%(limit)s); the order was paid already.",
            limit=limit,
        )
