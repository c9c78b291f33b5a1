"""Coupons that WeChat takes off inside a payment: recorded, never reserved."""

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
    def _record_paid(self, order, coupon, vals):
        """Write that a payment has used a coupon; WeChat has seen to the rest.

        Runs in the transaction that saves the order, and may run again.

        :param order: :class:`~.tools.cart.OrderRef`
        :param coupon: ``loyalty.card`` record
        :param dict vals: columns of the ledger
        :return: the redemption if it is new, otherwise an empty record
        """
        self.flush_model()
        if self.search_count(
            [("order_uuid", "=", order.uuid), ("coupon_id", "=", coupon.id)], limit=1
        ):
            return self.browse()
        now = fields.Datetime.now()
        rows = self._insert(
            order,
            coupon,
            "redeemed",
            {
                **vals,
                "discount_amount": money.from_fen(vals["discount_fen"]),
                "order_amount": money.from_fen(vals["order_total_fen"]),
                "reserved_at": now,
                "redeemed_at": now,
                "remote_state": "done",
                "remote_done_at": now,
            },
        )
        redemption = self.browse(rows)
        self.invalidate_model()
        if redemption:
            redemption.coupon_id._wechat_set_state("used")
            redemption._add_history()
            redemption._tell()
        return redemption


class PosOrder(models.Model):
    _inherit = "pos.order"

    def _wechat_redeem_coupons(self):
        """Extended with what WeChat has taken off the payments."""
        super()._wechat_redeem_coupons()
        self._wechat_guarded_step(
            lambda: self.env["coupon.channel.favor"]._record_payments(self)
        )
