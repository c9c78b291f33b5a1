from urllib.parse import quote

from odoo import api, models

from odoo.addons.wechat_base.tools.exceptions import WechatRefused, WechatUnavailable
from odoo.addons.wechat_pay.const import OPEN_STATES

from .. import const
from ..tools.ledger import as_ledger

# `coupon_state` (contracts 6.7) -> state of the coupon.
_STATES = {
    "CONFIRMING": "confirming",
    "PENDING": "usable",
    "EFFECTIVE": "usable",
    "USED": "used",
    "EXPIRED": "expired",
    "DELETED": "deleted",
    "DEACTIVATED": "void",
}
_GIVEN = {"PENDING", "EFFECTIVE", "USED"}
# A payment that may still become one.
_PAYMENT_SECONDS = 30.0
_PAGE = 50
# A person waits for it.
_MAX_PEOPLE = 50


class CouponChannelProduct(models.AbstractModel):
    """The coupons of people, from the claim to the return."""

    _inherit = "coupon.channel.product_coupon"

    # === ONE COUPON AT WECHAT === #

    def _numbers_of(self, coupon):
        """Return what names a coupon's stock in each call."""
        template = coupon.coupon_template_id
        return {
            "product_coupon_id": template.product_coupon_no,
            # Each coupon of a bundle has a stock of its own.
            "stock_id": coupon.wechat_stock_no or template.remote_id,
            "appid": self._appid(template),
        }

    def _path_of(self, coupon, verb=""):
        # sudo: the openid is not for cashiers to read.
        openid = coupon.sudo().wechat_openid or "-"
        path = f"/users/{quote(openid, safe='')}/coupons/{quote(coupon.code, safe='')}"
        return f"{path}/{verb}" if verb else path

    def _detail(self, coupon):
        """Return what WeChat knows of a coupon, ``None`` if it cannot be asked.

        Only with the customer's openid, which it reports when it is received.
        """
        if not coupon.sudo().wechat_openid:
            return None
        template = coupon.coupon_template_id
        path = self._path_of(coupon)
        return self._call(template, "GET", path, params=self._numbers_of(coupon))

    def _do(self, coupon, verb, number, **values):
        """Do something with a coupon; return how it is after that."""
        body = {**self._numbers_of(coupon), "out_request_no": number, **values}
        path = self._path_of(coupon, verb)
        return self._call(coupon.coupon_template_id, "POST", path, body, number)

    def _query(self, coupon, timeout=None):
        """Override of ``coupon.channel``: the state at WeChat."""
        found = self._detail(coupon)
        if found is None:
            return const.STATE_REASONS.get(coupon.wechat_state)
        remote = found.get("coupon_state")
        state = _STATES.get(remote, "void")
        if state != coupon.wechat_state and coupon.wechat_state not in ("used", "void"):
            outside = {"wechat_used_outside": True} if state == "used" else {}
            coupon._wechat_set_state(state, **outside)
        if remote == "PENDING":
            return "not_open_yet"
        return const.STATE_REASONS.get(state)

    # === RECEIVING === #

    @api.model
    def _received(self, template, shown):
        """Keep a coupon that somebody has received, and have it confirmed.

        Nothing changes if that is told again, or after the coupon was used.

        :param template: ``coupon.template`` record
        :param dict shown: what WeChat says: ``coupon_code``, ``stock_id``,
            ``openid``, ``receive_time``, ``valid_begin_time``, ``valid_end_time`` …
        :return: ``loyalty.card`` record
        """
        code, openid = shown["coupon_code"], shown.get("openid")
        event = self.env["wechat.event"]
        row = {"code": code, **self._owner(template, openid), **self._times(shown)}
        row["wechat_outer_str"] = shown.get("send_channel")
        coupon = event._coupon(template, code)
        if not coupon:
            event._coupon_make(template, row, state="confirming")
            coupon = event._coupon(template, code)
        coupon._wechat_lock()
        del row["code"]
        if coupon.wechat_state == "waiting":
            coupon._wechat_set_state("confirming", **row)
        elif not coupon.wechat_openid:
            # Its use was told first, and that is newer.
            row.pop("wechat_event_time", None)
            as_ledger(coupon).write(row)
        self._place(coupon, shown)
        if coupon.wechat_state == "confirming":
            self.env["coupon.task"]._start_confirm(coupon)
        return coupon

    def _place(self, coupon, shown):
        """Keep which stock, and which claim of several coupons, a coupon is of."""
        numbers = {
            "wechat_stock_no": shown.get("stock_id"),
            "wechat_bundle_no": shown.get("user_coupon_bundle_id"),
        }
        as_ledger(coupon).write({name: no for name, no in numbers.items() if no})

    def _owner(self, template, openid):
        identity = self.env["wechat.identity"]
        if openid:
            identity = identity.sudo()._find_or_create(template.account_id, openid)
        return {
            "wechat_openid": openid or None,
            "wechat_identity_id": identity.id,
            "partner_id": identity.partner_id.id,
        }

    def _times(self, shown):
        """Return from when until when a coupon is good; WeChat has reckoned it."""
        names = {
            "wechat_valid_from": "valid_begin_time",
            "wechat_valid_to": "valid_end_time",
            "wechat_event_time": "receive_time",
        }
        times = {ours: self._moment(shown.get(name)) for ours, name in names.items()}
        return {name: moment for name, moment in times.items() if moment}

    def _confirm(self, coupon, number):
        """Tell WeChat that we have the coupon in our books; only now is it good.

        WeChat docs: POST users/{openid}/coupons/{coupon_code}/confirm

        :param str number: stored before; the same for every attempt
        :return: how the coupon is at WeChat
        :rtype: dict
        """
        try:
            return self._do(coupon, "confirm", number)
        except WechatRefused:
            # Somebody else may have confirmed it, with another number.
            found = self._detail(coupon)
            if not found or found.get("coupon_state") not in _GIVEN:
                raise
            return found

    def _is_confirmed(self, coupon):
        """Ask whether a coupon is confirmed; see ``_operation_query``."""
        found = self._detail(coupon)
        if not found or found.get("coupon_state") == "CONFIRMING":
            return False
        return "done", {"result": found}

    def _confirmed(self, coupon, shown):
        """Write what WeChat says of a coupon that was confirmed.

        :param dict shown: the coupon at WeChat
        """
        if coupon.wechat_state != "confirming":
            # Made invalid by us, or used, in the meantime.
            return
        state = _STATES.get(shown.get("coupon_state"), "usable")
        outside = {"wechat_used_outside": True} if state == "used" else {}
        times = self._times(shown)
        times.pop("wechat_event_time", None)
        coupon._wechat_set_state(state, **times, **outside)

    def _not_confirmed(self, coupon, error):
        """WeChat refuses to confirm: the coupon is no good, whatever the reason."""
        state = const.CODE_ERRORS.get(error.code)
        if state in ("deleted", "expired") and coupon.wechat_state == "confirming":
            coupon._wechat_set_state(state)
        coupon.sudo()._message_log(
            body=self.env._("WeChat did not confirm the coupon: %(error)s", error=error)
        )

    @api.model
    def _fetch_lost(self, template, sent):
        """Fetch coupons of which no callback has come, from the people whom we know.

        :param int sent: how many WeChat has handed out of the stock
        """
        cards = self.env["loyalty.card"].sudo().with_context(active_test=False)
        known = cards.search_count(
            [
                ("coupon_template_id", "=", template.id),
                ("wechat_state", "!=", "waiting"),
            ]
        )
        if known >= sent * (template.bundle_count or 1):
            return
        identities = self.env["wechat.identity"].sudo()
        domain = [("account_id", "=", template.account_id.id)]
        for identity in identities.search(domain, order="id desc", limit=_MAX_PEOPLE):
            self._fetch_held(template, identity.openid)

    @api.model
    def _fetch_held(self, template, openid):
        """Keep a person's coupons of a template that we have not heard of."""
        path = f"/users/{quote(openid, safe='')}/coupons"
        params = {
            "appid": self._appid(template),
            "product_coupon_id": template.product_coupon_no,
            "page_size": _PAGE,
        }
        answer = self._call(template, "GET", path, params=params)
        cards = self.env["loyalty.card"]
        for shown in answer.get("user_coupon_list") or []:
            fresh = shown.get("coupon_state") in ("CONFIRMING", "PENDING", "EFFECTIVE")
            known = cards._wechat_find(shown["coupon_code"])
            if fresh and known.wechat_state not in ("confirming", "usable"):
                self._received(template, {**shown, **_places(shown), "openid": openid})

    # === SENDING === #

    def _send(self, template, openid, number, code=None):
        """Put a coupon, or a bundle of them, into a person's wallet.

        WeChat reports each of them by the callback of any claim.

        WeChat docs: POST users/{openid}/coupons, POST users/{openid}/coupon-bundles

        :param str number: stored before; the same number is the same coupon
        :param str code: ours, if the template's codes are given with each coupon
        :return: the code; of a bundle the first one
        """
        several = bool(template.bundle_count)
        body = self._send_body(template, number, code)
        path = f"/users/{quote(openid, safe='')}/"
        path += "coupon-bundles" if several else "coupons"
        answer = self._call(template, "POST", path, body, number)
        if several:
            return answer["user_product_coupon_list"][0]["coupon_code"]
        return answer["coupon_code"]

    def _send_body(self, template, number, code=None):
        stock = "stock_bundle_id" if template.bundle_count else "stock_id"
        body = {
            "product_coupon_id": template.product_coupon_no,
            stock: template.remote_id,
            "appid": self._appid(template),
            "send_request_no": number,
        }
        if code:
            body["coupon_code"] = code
        return body

    def _claim_token(self, template, openid, number, code=None):
        """Return a token for the claiming component (领券组件), good for 5 minutes.

        WeChat docs: POST users/{openid}/pre-send-coupon, …/pre-send-coupon-bundle
        """
        verb = "pre-send-coupon"
        if template.bundle_count:
            verb += "-bundle"
        path = f"/users/{quote(openid, safe='')}/{verb}"
        body = self._send_body(template, number, code)
        return self._call(template, "POST", path, body, number)["token"]

    # === MAKING INVALID === #

    def _void(self, coupon, reason, number):
        """Override of ``coupon.channel``: deactivate the coupon."""
        self._do(
            coupon, "deactivate", number, deactivate_reason=(reason or "")[:150] or "-"
        )

    def _is_void(self, coupon):
        """Override of ``coupon.channel``."""
        found = self._detail(coupon)
        return bool(found) and found.get("coupon_state") == "DEACTIVATED"

    # === REDEMPTIONS === #

    def _write_off(self, redemption):
        """Override of ``coupon.channel``: use the coupon, with the order's payment.

        :raises WechatUnavailable: while the payment's outcome is not known
        :raises WechatRefused: if nothing was paid with WeChat
        """
        try:
            shown = self._do(
                redemption.coupon_id,
                "use",
                redemption.request_no,
                use_time=self._time(redemption.redeemed_at),
                associated_order_info=self._order_info(redemption),
                saved_amount=redemption.discount_fen,
            )
        except WechatRefused:
            # A number that is in the coupon already is our success.
            if not self._is_used_by(redemption, self._detail(redemption.coupon_id)):
                raise
            return {}
        # The answer to a number that was sent before is the coupon as it is now.
        if not self._is_used_by(redemption, shown):
            raise WechatRefused(
                self.env._(
                    "WeChat has the use of this coupon on record, and its return as "
                    "well: the coupon is not used any more."
                ),
                code="RETURNED",
            )
        return {}

    def _order_info(self, redemption):
        """Return how WeChat names the payment of a redemption's order."""
        payments = redemption._wechat_payments()
        done = payments.filtered(lambda row: row.state == "done")[:1]
        if done.remote_no:
            return {"transaction_id": done.remote_no}
        if done:
            return {"out_trade_no": done.number, "mchid": done.merchant_id.mchid}
        if payments.filtered(lambda row: row.state in OPEN_STATES):
            raise WechatUnavailable(
                self.env._("WeChat has not confirmed the order's payment yet."),
                code="UNPAID",
                retry_after=_PAYMENT_SECONDS,
            )
        raise WechatRefused(
            self.env["coupon.reason"]._message("not_paid_with_wechat"), code="NO_ORDER"
        )

    @staticmethod
    def _usage(shown):
        """Return what WeChat says of the last use of a coupon, maybe nothing."""
        shown = shown or {}
        return next(
            (
                shown[name]
                for name in ("single_usage_detail", "progressive_bundle_usage_detail")
                if name in shown
            ),
            {},
        )

    def _is_used_by(self, redemption, shown):
        """Whether a coupon at WeChat is used, with the number of a redemption."""
        return (shown or {}).get("coupon_state") == "USED" and self._usage(shown).get(
            "use_request_no"
        ) == redemption.request_no

    def _query_write_off(self, redemption):
        """Override of ``coupon.channel``: used, and with our number?"""
        found = self._detail(redemption.coupon_id)
        # The same number again is harmless, and says what is wrong.
        return "done" if self._is_used_by(redemption, found) else "not_done"

    @api.model
    def _return_at_channel(self, redemption, number):
        """Give a used coupon back to its holder.

        WeChat docs: POST users/{openid}/coupons/{coupon_code}/return

        :param str number: stored before; the same for every attempt
        """
        self._do(redemption.coupon_id, "return", number)

    @api.model
    def _is_returned(self, redemption, number):
        """Override of ``coupon.channel``: used no more, at least not by us?

        If WeChat does not say so, the same number again is harmless.
        """
        found = self._detail(redemption.coupon_id)
        return self._usage(found).get(
            "return_request_no"
        ) == number and not self._is_used_by(redemption, found)


def _places(shown):
    """Return the numbers of a coupon's stock and bundle, as a callback has them."""
    bundle = shown.get("user_product_coupon_bundle_info") or {}
    return {
        "stock_id": (shown.get("stock") or {}).get("stock_id"),
        "user_coupon_bundle_id": bundle.get("user_coupon_bundle_id"),
    }
