from odoo import models
from odoo.exceptions import UserError


class WechatEvent(models.Model):
    """What WeChat Pay reports about product coupons (contracts 6.7).

    To a brand and to a service provider with another name each. They may come twice,
    late and in any order.
    """

    _inherit = "wechat.event"

    def _handle_product_coupon_send(self):
        """Somebody has received a product coupon."""
        return self._product_handle(self._product_sent)

    def _handle_product_coupon_use(self):
        """A product coupon was used, by us or by others."""
        return self._product_handle(self._product_used)

    def _handle_product_coupon_return(self):
        """A product coupon that was used is good again."""
        return self._product_handle(self._product_returned)

    def _handle_product_coupon_sp_send(self):
        """The same for a service provider."""
        return self._handle_product_coupon_send()

    def _handle_product_coupon_sp_use(self):
        """The same for a service provider."""
        return self._handle_product_coupon_use()

    def _handle_product_coupon_sp_return(self):
        """The same for a service provider."""
        return self._handle_product_coupon_return()

    def _product_handle(self, method):
        """Handle the event of a coupon of one of our templates.

        :param method: takes the template and the content
        :return: ``False`` if the coupon is of no template of ours
        """
        self.ensure_one()
        payload = self._payload()
        code = payload.get("coupon_code")
        if not (isinstance(code, str) and code):
            return False
        template = self._product_template(payload)
        if not template:
            return False
        return method(template, payload)

    def _product_template(self, payload):
        channel = self.env["coupon.channel.product_coupon"]
        number = payload.get("stock_bundle_id") or payload.get("stock_id")
        template = channel._templates(self.merchant_id, number)
        if not template and self._is_publishing("product_coupon"):
            raise UserError(
                self.env._(
                    "A coupon of this merchant is being published; the callback may "
                    "be about it."
                )
            )
        return template

    def _product_sent(self, template, payload):
        template._channel()._received(template, payload)

    def _product_used(self, template, payload):
        number = payload.get("use_request_no") or "-"
        own = self.env["coupon.redemption"].search(
            [("request_no", "=", number), ("template_id", "=", template.id)], limit=1
        )
        if own:
            # Perhaps before the answer to our call, which is lost, then.
            own.filtered(
                lambda one: one.remote_state in ("sending", "unknown", "refused")
            )._operation_settle_done()
            return
        happened_at = template._channel()._moment(payload.get("use_time"))
        coupon = self._product_coupon(template, payload, "used", happened_at)
        newer = coupon.wechat_event_time and (
            not happened_at or coupon.wechat_event_time > happened_at
        )
        if coupon.wechat_used_outside or (newer and coupon.wechat_state == "usable"):
            return
        coupon._wechat_set_state(
            "used", wechat_used_outside=True, wechat_event_time=happened_at
        )

    def _product_returned(self, template, payload):
        happened_at = template._channel()._moment(payload.get("return_time"))
        coupon = self._product_coupon(template, payload, "usable", happened_at)
        active = self.env["coupon.redemption"]._active_for(coupon)
        if active:
            # What becomes of it is for the ledger to say, as it gives it back itself.
            return
        known_at = coupon.wechat_event_time
        newer = known_at and happened_at and known_at > happened_at
        if coupon.wechat_state in ("used", "usable") and not newer:
            coupon._wechat_set_state(
                "usable", wechat_used_outside=False, wechat_event_time=happened_at
            )

    def _product_coupon(self, template, payload, state, happened_at):
        """Return the coupon of an event, made if its receipt was not told yet."""
        code = payload["coupon_code"]
        coupon = self._coupon(template, code)
        if coupon:
            return coupon
        channel = template._channel()
        begin, end = template._validity(happened_at)
        row = {
            "code": code,
            "wechat_valid_from": begin,
            "wechat_valid_to": end,
            "wechat_event_time": happened_at,
            **channel._owner(template, payload.get("openid")),
        }
        self._coupon_make(template, row, state=state)
        coupon = self._coupon(template, code)
        channel._place(coupon, payload)
        return coupon
