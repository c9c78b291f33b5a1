from odoo import api, models

# Why a coupon on a paid order is not used up by it: it was worth nothing.
CONFLICT_REASONS = frozenset(
    {"deleted", "gifting", "given_away", "other_company", "used", "void"}
)
# What the calendar or the template's state says, and nothing else.
TIME_REASONS = frozenset(
    {
        "expired",
        "not_yet_valid",
        "outside_hours",
        "template_ended",
        "template_paused",
    }
)


class CouponReason(models.AbstractModel):
    _name = "coupon.reason"
    _description = "Why a Coupon Is Refused"

    @api.model
    def _message(self, code, **values):
        """Return the sentence that tells the cashier what is wrong and what to do.

        :param str code: reason code
        :param values: what the sentence shows: ``missing``, ``date``, ``shop`` …
        :return: sentence in the language of the user
        :rtype: str
        """
        method = getattr(self, f"_reason_{code}", None)
        return method(**values) if method else self._reason_refused(**values)

    def _reason_unknown_code(self, **_kw):
        return self.env._(
            "No coupon has this code. Check the code and scan or type it again."
        )

    def _reason_too_many_looks(self, **_kw):
        return self.env._(
            "The coupons of many customers were looked at. Wait a minute, or scan the "
            "code."
        )

    def _reason_too_many_tries(self, **_kw):
        return self.env._(
            "Too many unknown codes were entered. Wait a minute, then try again."
        )

    def _reason_used(self, date=None, **_kw):
        if date:
            return self.env._(
                "This coupon was already used on %(date)s. Ask the customer for "
                "another one.",
                date=date,
            )
        return self.env._(
            "This coupon was already used. Ask the customer for another one."
        )

    def _reason_expired(self, date=None, **_kw):
        if date:
            return self.env._(
                "This coupon expired on %(date)s. Ask the customer for another one.",
                date=date,
            )
        return self.env._("This coupon has expired. Ask the customer for another one.")

    def _reason_not_yet_valid(self, date="", **_kw):
        return self.env._(
            "This coupon is valid from %(date)s only. Ask the customer to come back "
            "then.",
            date=date,
        )

    def _reason_other_owner(self, **_kw):
        return self.env._(
            "This coupon belongs to another customer. Select its owner on the order, "
            "or take the coupon off."
        )

    def _reason_other_company(self, **_kw):
        return self.env._(
            "This coupon was issued by another company and cannot be used here. Take "
            "it off the order."
        )

    def _reason_other_currency(self, **_kw):
        return self.env._(
            "Coupons are in yuan, and this shop sells in another currency. Take the "
            "coupon off."
        )

    def _reason_below_threshold(self, missing="", threshold="", **_kw):
        return self.env._(
            "This coupon needs goods for ¥%(threshold)s. Add ¥%(missing)s more, or "
            "take the coupon off.",
            threshold=threshold,
            missing=missing,
        )

    def _reason_no_matching_product(self, **_kw):
        return self.env._(
            "Nothing on this order goes with this coupon. Add one of its products, "
            "or take the coupon off."
        )

    def _reason_held_by_other_order(self, shop="", time="", **_kw):
        if shop:
            return self.env._(
                "This coupon is on another open order (%(shop)s, until %(time)s). "
                "Finish or empty that order first, or wait until then.",
                shop=shop,
                time=time,
            )
        return self.env._(
            "This coupon is on another open order. Finish or empty that order first."
        )

    def _reason_not_received(self, **_kw):
        return self.env._(
            "Nobody has received this coupon yet. The customer has to put it into the "
            "WeChat wallet first."
        )

    def _reason_gifting(self, **_kw):
        return self.env._(
            "The customer is giving this coupon to a friend. It can be used once the "
            "gift is accepted or taken back in WeChat."
        )

    def _reason_given_away(self, **_kw):
        return self.env._(
            "This coupon was given to a friend and now has a new code. Scan the code "
            "on the friend's phone."
        )

    def _reason_deleted(self, **_kw):
        return self.env._(
            "The customer has deleted this coupon in WeChat. Ask for another one."
        )

    def _reason_void(self, **_kw):
        return self.env._(
            "This coupon was made invalid. Ask the customer for another one."
        )

    def _reason_remote_unavailable(self, **_kw):
        return self.env._(
            "WeChat does not answer, so this coupon cannot be checked. Try again in "
            "a moment, or take the coupon off."
        )

    def _reason_account_misconfigured(self, **_kw):
        return self.env._(
            "WeChat does not accept the shop's account, so this coupon cannot be "
            "checked. Take the coupon off and inform the administrator."
        )

    def _reason_template_paused(self, **_kw):
        return self.env._(
            "This coupon is stopped at the moment. Take the coupon off, or ask the "
            "manager."
        )

    def _reason_template_ended(self, **_kw):
        return self.env._(
            "This coupon is no longer accepted. Ask the customer for another one."
        )

    def _reason_template_incomplete(self, **_kw):
        return self.env._(
            "It is not yet set up what this coupon gives. Ask the manager to complete "
            "its template."
        )

    def _reason_not_at_till(self, **_kw):
        return self.env._(
            "This coupon cannot be used in this shop. Take the coupon off, or ask the "
            "manager."
        )

    def _reason_not_on_order(self, **_kw):
        return self.env._(
            "This coupon is not known here any more. Take it off and scan it again."
        )

    def _reason_refused(self, **_kw):
        return self.env._(
            "WeChat does not accept this coupon. Take it off, or ask the manager."
        )

    def _reason_sales_order(self, **_kw):
        return self.env._(
            "Nobody has entered this coupon's code on the sales order. Use “Coupon "
            "Code” and enter it."
        )

    # --- for the manager, on the worklist --- #

    def _reason_not_reserved(self, **_kw):
        return self.env._(
            "The order used the coupon without reserving it: no till has shown its "
            "code."
        )

    def _reason_used_outside(self, **_kw):
        return self.env._("Used outside Odoo.")

    def _reason_other_order(self, order="", shop="", **_kw):
        if order:
            return self.env._("Order %(order)s has this coupon.", order=order)
        return self.env._(
            "An open order of %(shop)s has this coupon.", shop=shop or "-"
        )

    def _reason_too_much_off(self, discount="", allowed="", **_kw):
        return self.env._(
            "The order took off ¥%(discount)s; the coupon gives ¥%(allowed)s at most.",
            discount=discount,
            allowed=allowed,
        )

    def _reason_goods_returned(self, **_kw):
        return self.env._(
            "The goods were given back; decide whether the customer gets the coupon "
            "back."
        )

    def _reason_own_error(self, **_kw):
        return self.env._("An error occurred; see the server's log.")

    def _reason_released_by_manager(self, note="", **_kw):
        return note
