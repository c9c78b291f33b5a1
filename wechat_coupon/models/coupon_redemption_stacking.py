from odoo import api, models


class CouponRedemption(models.Model):
    """Which coupons can be used on one order."""

    _inherit = "coupon.redemption"

    @api.model
    def _stacking_refusals(self, coupons):
        """Judge a set of coupons as a whole.

        :param coupons: ``loyalty.card`` records with sudo; of two that do not go
            together the later one is refused
        :return: ``[(coupon, reason code, values)]``
        :rtype: list
        """
        kept, refusals = coupons.browse(), []
        for coupon in coupons:
            refusal = self._beside(coupon, kept)
            if refusal:
                refusals.append((coupon, *refusal))
            else:
                kept |= coupon
        return refusals

    @api.model
    def _beside(self, coupon, others):
        """Why a coupon cannot be used beside others; ``None`` if it can."""
        template = coupon.coupon_template_id
        for other in others:
            if not template._combines(other.coupon_template_id):
                return "cannot_combine", {"other": other.coupon_template_id.name}
        group = template.stacking == "group" and template.stacking_group_id
        if group and len(others) >= group.max_coupons:
            return "group_full", {"group": group.name, "most": group.max_coupons}
        return None

    def _refusals(self, order, coupons, cart, holders):
        """Override of ``coupon.redemption``: what the order holds stays first."""
        refusals = super()._refusals(order, coupons, cart, holders)
        refused = {coupon for coupon, *_rest in refusals}
        rest = coupons.filtered(lambda coupon: coupon not in refused)
        held = rest.filtered(lambda one: self._holds(holders.get(one.id), order))
        return refusals + self._stacking_refusals(held | rest)

    def _reasons_beside(self, order, coupon, others, holder):
        """Override of ``coupon.redemption``."""
        refusal = self._beside(coupon, others - coupon)
        reasons = super()._reasons_beside(order, coupon, others, holder)
        return [refusal, *reasons] if refusal else reasons

    def _doubt(self, uses, refused):
        """Override of ``coupon.redemption``: a till can be made to send anything."""
        res = super()._doubt(uses, refused)
        coupons = self.env["loyalty.card"].union(*uses).sudo().sorted("id")
        problems = [
            (code, values)
            for coupon, code, values in self._stacking_refusals(coupons)
            if coupon == self.coupon_id
        ]
        if problems:
            self._add_problems(problems)
            self._ask_manager("against_terms")
        return res
