from odoo import models


class CouponReason(models.AbstractModel):
    """What becomes of coupons whose goods are given back."""

    _inherit = "coupon.reason"

    # --- for the cashier --- #

    def _reason_given_back(self, date="", **_kw):
        if date:
            return self.env._(
                "The customer has the coupon back and can use it until %(date)s.",
                date=date,
            )
        return self.env._("The customer has the coupon back and can use it again.")

    def _reason_given_back_soon(self, **_kw):
        return self.env._(
            "WeChat is giving the coupon back. The customer sees it in WeChat in a "
            "moment."
        )

    def _reason_given_back_new(self, new_code="", **_kw):
        return self.env._(
            "WeChat does not take this coupon back, so the customer gets a new one. "
            "Hand over its code: %(code)s",
            code=new_code,
        )

    def _reason_given_back_expired(self, date="", **_kw):
        return self.env._(
            "The coupon expired on %(date)s, so it cannot be used again.", date=date
        )

    def _reason_given_back_payment(self, **_kw):
        return self.env._(
            "WeChat gives this coupon back with the refund of the payment, by its own "
            "rules."
        )

    def _reason_given_back_manager(self, **_kw):
        return self.env._(
            "The manager decides whether the customer gets this coupon back."
        )

    def _reason_kept_never(self, **_kw):
        return self.env._("The coupon stays used: by its terms it is not given back.")

    def _reason_kept_partial(self, **_kw):
        return self.env._(
            "The coupon stays used: it is given back when all goods of the order are "
            "returned."
        )

    # --- for the manager, on the worklist --- #

    def _reason_over_refund(self, amount="", **_kw):
        return self.env._(
            "¥%(amount)s more was refunded than was paid for the goods: the coupon's "
            "discount was not taken back in full.",
            amount=amount,
        )

    def _reason_credit_withdrawn(self, document="", **_kw):
        return self.env._(
            "The coupon went back with %(document)s, which was reset to draft or "
            "cancelled. Post it again, or decide whether the coupon is made invalid.",
            document=document,
        )

    def _reason_return_refused(self, error="", **_kw):
        return self.env._("WeChat did not take the coupon back: %(error)s", error=error)

    # --- for the salesperson --- #

    def _reason_needs_payment(self, **_kw):
        return self.env._(
            "This coupon can be used with a payment by WeChat at the till only, not on "
            "a sales order."
        )

    def _reason_shops_only(self, **_kw):
        return self.env._(
            "This coupon is for certain shops only, and cannot be used on a sales "
            "order."
        )

    def _reason_order_confirmed(self, **_kw):
        return self.env._(
            "The order is confirmed. Cancel it and set it back to a quotation before "
            "you add a coupon."
        )
