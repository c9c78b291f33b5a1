from odoo import models
from odoo.exceptions import UserError

from ..tools.ledger import as_ledger


class WechatEvent(models.Model):
    """What WeChat Pay reports about coupons (contracts 6.5, 7.4)."""

    _inherit = "wechat.event"

    def _handle_coupon_send(self):
        """A merchant coupon was received."""
        payload = self._payload()
        channel = self.env["coupon.channel.busifavor"]
        template = channel._templates(self.merchant_id, payload.get("stock_id"))
        code = payload.get("coupon_code")
        if not template and self._is_publishing("busifavor"):
            raise UserError(
                self.env._(
                    "A coupon of this merchant is being published; the callback may "
                    "be about it."
                )
            )
        if not (template and isinstance(code, str) and code):
            return False
        self._coupon_sent(template, code, payload)
        return None

    def _is_publishing(self, channel):
        """Whether a template of the merchant may be the one that is reported.

        :param str channel: a value of ``coupon.template.channel``
        """
        return bool(
            self.env["coupon.task"].search_count(
                [
                    ("kind", "=", "publish"),
                    ("template_id.merchant_id", "=", self.merchant_id.id),
                    ("template_id.channel", "=", channel),
                    ("remote_state", "in", ("pending", "sending", "unknown")),
                ],
                limit=1,
            )
        )

    def _coupon_sent(self, template, code, payload):
        """Keep a coupon that somebody has received.

        :param template: ``coupon.template`` record
        :param dict payload: the notice
        """
        channel = template._channel()
        happened_at = channel._moment(payload.get("send_time"))
        openid = payload.get("openid")
        identity = self.env["wechat.identity"]
        if openid:
            identity = identity.sudo()._find_or_create(template.account_id, openid)
        begin, end = template._validity(happened_at)
        row = {
            "code": code,
            "partner_id": identity.partner_id.id,
            "wechat_identity_id": identity.id,
            "wechat_openid": openid or None,
            "wechat_outer_str": payload.get("send_channel"),
            "wechat_valid_from": begin,
            "wechat_valid_to": end,
            "wechat_event_time": happened_at,
        }
        coupon = self._coupon(template, code)
        if not coupon:
            self._coupon_make(template, row)
        elif coupon.wechat_state == "waiting":
            vals = {name: row[name] for name in row if name != "code"}
            coupon._wechat_set_state("usable", **vals)
        elif openid and not coupon.wechat_openid:
            as_ledger(coupon).write(
                {
                    "wechat_openid": openid,
                    "wechat_identity_id": identity.id,
                    "partner_id": coupon.partner_id.id or identity.partner_id.id,
                }
            )

    def _handle_coupon_use(self):
        """A cash coupon was taken off a payment.

        The order's own payment tells it, too; this brings the state in line when the
        payment was made elsewhere, or online: sales orders know nothing of what WeChat
        takes off inside a payment.
        """
        payload = self._payload()
        channel = self.env["coupon.channel.favor"]
        template = channel._templates(self.merchant_id, payload.get("stock_id"))
        number = str(payload.get("coupon_id") or "")
        if not (template and number):
            return False
        used = payload.get("consume_information") or {}
        payment = self.env["wechat.pay.transaction"].search(
            [
                ("merchant_id", "=", self.merchant_id.id),
                ("remote_no", "=", used.get("transaction_id") or "-"),
            ],
            limit=1,
        )
        online = payment.payment_transaction_id
        if payment and not (payment.pos_order_id or online):
            # The order is not saved yet, and will bring the coupon with it.
            raise UserError(
                self.env._("The order of this payment has not been saved yet.")
            )
        if payment.pos_order_id:
            channel._record_payments(payment.pos_order_id)
            return None
        coupon = channel._coupon(template, number, None)
        if coupon.wechat_state != "used":
            coupon._wechat_set_state("used", wechat_used_outside=True)
        return None
