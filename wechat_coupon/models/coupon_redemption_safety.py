"""Who may use what, and what looks wrong: asked before coupons are held."""

from collections import Counter

from odoo import models


class CouponRedemption(models.Model):
    _inherit = "coupon.redemption"

    def _refusals(self, order, coupons, cart, holders):
        """Extended with channel policies, and risk rules if nothing else is wrong."""
        refusals = super()._refusals(order, coupons, cart, holders)
        refusals += self._policy_refusals(order, coupons)
        if refusals:
            return refusals
        held = coupons.filtered(
            lambda coupon: self._holds(holders.get(coupon.id), order)
        )
        paid = held.filtered(lambda coupon: holders[coupon.id]["state"] == "redeemed")
        rules = self.env["coupon.risk.rule"]
        return rules._judge_order(order, coupons - held, cart, held - paid)

    def _policy_refusals(self, order, coupons):
        """Refuse more coupons of a channel than an order may have."""
        counts, refusals = Counter(), []
        for coupon in coupons:
            channel = coupon.coupon_template_id.channel
            counts[channel] += 1
            policy = self.env["coupon.channel.policy"]._of(order.company, channel)
            if policy.max_per_order and counts[channel] > policy.max_per_order:
                refusals.append(
                    (coupon, "too_many_of_channel", {"most": policy.max_per_order})
                )
        return refusals
