"""Coupons that WeChat takes off inside a payment: recorded, never reserved."""

import json

from odoo import api, fields, models

from odoo.addons.wechat_base.tools import money


class WechatPayPromotion(models.Model):
    _inherit = "wechat.pay.promotion"

    def _funded_by(self):
        """Return who bears the discount: a value of ``coupon.redemption.funded_by``."""
        parts = {
            "wechat": self.wechatpay_contribute_fen,
            "merchant": self.merchant_contribute_fen,
            "other": self.other_contribute_fen,
        }
        return max(parts, key=parts.get) if any(parts.values()) else "merchant"


class CouponRedemption(models.Model):
    _inherit = "coupon.redemption"

    funded_by = fields.Selection(selection_add=[("other", "Others")])

    @api.model
    def _record_paid(self, order, coupon, vals, again=False):
        """Write that a payment has used a coupon; WeChat has seen to the rest.

        Runs in the transaction that saves the order, and may run again. A coupon that
        another payment has used according to the ledger becomes a conflict: WeChat gave
        it back without our knowledge, and somebody has to look.

        :param order: :class:`~.tools.cart.OrderRef`
        :param coupon: ``loyalty.card`` record
        :param dict vals: columns of the ledger
        :param bool again: whether another payment of the order has used it, too
        :return: the redemption if it is new, otherwise an empty record
        """
        self.flush_model()
        known = self.search(
            [
                ("order_uuid", "=", order.uuid),
                ("coupon_id", "=", coupon.id),
                ("state", "in", ("redeemed", "returned", "conflict")),
            ]
        )
        # A conflict of the order is of this payment: of more there is only one row.
        if known.filtered(lambda row: row.state == "conflict" or not again):
            return self.browse()
        now = fields.Datetime.now()
        columns = {
            **vals,
            "discount_amount": money.from_fen(vals["discount_fen"]),
            "order_amount": money.from_fen(vals["order_total_fen"]),
            "reserved_at": now,
            "redeemed_at": now,
            "remote_state": "done",
            "remote_done_at": now,
        }
        redemption = self.browse(self._insert(order, coupon, "redeemed", columns))
        if not redemption:
            return self._record_used_again(order, coupon, columns)
        self.invalidate_model()
        redemption.coupon_id._wechat_set_state("used")
        redemption._add_history()
        redemption._tell()
        return redemption

    def _record_used_again(self, order, coupon, columns):
        """Put a payment with a coupon that is used already on the worklist."""
        problem = self._conflict_problem(order, coupon, None)
        columns = {**columns, "problems": json.dumps([problem])}
        conflict = self.browse(self._insert(order, coupon, "conflict", columns))
        self.invalidate_model()
        conflict._ask_manager("conflict")
        return conflict


class PosOrder(models.Model):
    _inherit = "pos.order"

    def _wechat_redeem_coupons(self):
        """Extended with what WeChat has taken off the payments."""
        res = super()._wechat_redeem_coupons()
        self._wechat_guarded_step(
            lambda: self.env["coupon.channel.favor"]._record_payments(self)
        )
        return res
