"""Coupons that are used together with a WeChat payment of the same order."""

from odoo import api, models
from odoo.tools import SQL


class CouponRedemption(models.Model):
    _inherit = "coupon.redemption"

    def _wechat_payments(self):
        """Return the WeChat payments of a redemption's order, the last one first.

        Those that nobody counts on any more are left out.

        :rtype: ``wechat.pay.transaction`` records with sudo
        """
        self.ensure_one()
        # sudo: a job of the coupons reads what the till's payments are.
        return (
            self.env["wechat.pay.transaction"]
            .sudo()
            .search(
                [
                    ("kind", "=", "payment"),
                    ("pos_order_uuid", "=", self.order_uuid),
                    ("company_id", "=", self.company_id.id),
                    ("abandoned", "=", False),
                ],
                order="id desc",
            )
        )

    @api.model
    def _release_unpaid(self, order_uuids):
        """Give free what orders hold whose WeChat payment has failed.

        Only coupons that go with such a payment; the till reserves them again before
        the next one.

        :param list order_uuids: orders without another WeChat payment
        """
        channels = [
            channel._name.removeprefix("coupon.channel.")
            for channel in self.env["coupon.template"]._channels()
            if channel._needs_wechat_payment
        ]
        return self._release_where(
            SQL("order_uuid = ANY(%s) AND channel = ANY(%s)", order_uuids, channels),
            "cancelled",
        )


class WechatPayTransaction(models.Model):
    _inherit = "wechat.pay.transaction"

    def _on_change(self):
        """Extended: a payment that has failed lets the order's coupons go.

        One that the cashier has cancelled, perhaps to begin another, does not: the
        till holds the coupons for as long as the order is on the payment screen.
        """
        result = super()._on_change()
        over = self.filtered(
            lambda row: (
                row.kind == "payment" and row.pos_order_uuid and row.state == "failed"
            )
        )
        if not over:
            return result
        others = self.search(
            [
                ("kind", "=", "payment"),
                ("pos_order_uuid", "in", over.mapped("pos_order_uuid")),
                ("state", "not in", ("failed", "cancelled")),
                ("abandoned", "=", False),
            ]
        )
        uuids = set(over.mapped("pos_order_uuid")) - set(
            others.mapped("pos_order_uuid")
        )
        if uuids:
            # sudo: nobody writes the ledger but the ledger.
            self.env["coupon.redemption"].sudo()._release_unpaid(sorted(uuids))
        return result
