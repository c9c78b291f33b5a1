import json
import logging
import time

from odoo import http
from odoo.http import request

from ..const import MAX_CALLBACK_BYTES
from ..tools import callback
from ..tools.callback import CallbackRefused
from ..tools.exceptions import WechatConfigError, WechatSignatureError

_logger = logging.getLogger(__name__)

# WeChat repeats a callback for a day; an older signature is somebody else's copy.
MAX_AGE = 26 * 3600
MAX_AHEAD = 3600

# No session and no user: WeChat has neither. Writes, so not read-only (which is the
# default of auth="none"). The body's size is limited before it is read.
_ROUTE = {
    "type": "http",
    "auth": "none",
    "csrf": False,
    "save_session": False,
    "readonly": False,
    "max_content_length": MAX_CALLBACK_BYTES,
}


class WechatController(http.Controller):
    """Callbacks: verify, store, acknowledge. Everything else happens in a job.

    The transaction is committed by Odoo before the answer goes out. There is no ORM
    on this path but for the creation of a job, once per burst.
    """

    @http.route("/wechat/oa/<string:callback_key>", methods=["GET", "POST"], **_ROUTE)
    def official_account(self, callback_key, **_params):
        """Receive a message or an event of an Official Account.

        https://developers.weixin.qq.com/doc/offiaccount/Basic_Information/Access_Overview.html
        """
        account = None
        # Of the address only: a form's parts may be files.
        query = request.httprequest.args
        try:
            account = request.env["wechat.account"]._callback_account(callback_key)
            if not account:
                return _text("not found", 404)
            if request.httprequest.method != "POST":
                return _text(self._echo(account, query))
            message = self._message(account, query, request.httprequest.get_data())
        except CallbackRefused as refusal:
            _logger.warning(
                "Callback for WeChat account %s refused: %s (from %s)",
                account["id"],
                refusal.reason,
                request.httprequest.remote_addr,
            )
            return _text("refused", refusal.status)
        except WechatConfigError as error:
            _logger.error("WeChat account, callback: %s", error)
            return _text("not ready", 503)
        request.env["wechat.event"]._receive(
            "oa",
            account["id"],
            account["company_id"],
            callback.event_key(message),
            callback.event_type(message),
            message,
            openid=_openid(message),
        )
        return _text("success")

    def _echo(self, account, query):
        """Return what WeChat wants to hear when the address is entered."""
        callback.check_signature(
            query.get("signature"),
            account["token"],
            query.get("timestamp") or "",
            query.get("nonce") or "",
        )
        return query.get("echostr") or ""

    def _message(self, account, query, body):
        """Return the verified message as a dictionary.

        :raises CallbackRefused: if anything is not as WeChat would send it
        """
        timestamp, nonce = query.get("timestamp") or "", query.get("nonce") or ""
        callback.check_signature(
            query.get("signature"), account["token"], timestamp, nonce
        )
        callback.check_age(timestamp, time.time(), MAX_AGE, MAX_AHEAD)
        message = callback.parse_xml(body)
        if account["callback_mode"] != "plain" or "Encrypt" in message:
            # The plain signature does not cover the body, this one does. So in the
            # compatible mode, too, only the encrypted part counts.
            message = self._decrypted(account, query, message)
        original_id = account["original_id"]
        if original_id and message.get("ToUserName") != original_id:
            raise CallbackRefused(403, "meant for another account")
        return message

    def _decrypted(self, account, query, message):
        encrypted = message.get("Encrypt")
        if not isinstance(encrypted, str) or not encrypted:
            raise CallbackRefused(403, "not encrypted")
        if not account["encoding_aes_key"]:
            raise CallbackRefused(403, "encrypted, but no EncodingAESKey is set")
        callback.check_signature(
            query.get("msg_signature"),
            account["token"],
            query.get("timestamp") or "",
            query.get("nonce") or "",
            encrypted,
        )
        return callback.parse_xml(
            callback.decrypt(account["encoding_aes_key"], account["appid"], encrypted)
        )

    @http.route("/wechat/pay/<string:notify_key>", methods=["POST"], **_ROUTE)
    def pay(self, notify_key, **_query):
        """Receive a notice of WeChat Pay.

        https://pay.weixin.qq.com/doc/v3/merchant/4012791882
        """
        body = request.httprequest.get_data()
        merchant_id = None
        try:
            found = request.env["wechat.merchant"]._notified(notify_key)
            if not found:
                return _fail("unknown address", 404)
            merchant_id, company_id, client = found
            client.verify(request.httprequest.headers, body)
            notice = _notice(body)
            resource = client.decrypt(notice["resource"])
        except WechatSignatureError as error:
            _logger.warning(
                "Notice for WeChat merchant %s refused: signature %s (from %s)",
                merchant_id,
                error.code,
                request.httprequest.remote_addr,
            )
            return _fail("signature", 401)
        except WechatConfigError as error:
            # WeChat will repeat it; by then somebody may have put it right.
            _logger.error("WeChat merchant, notice: %s", error)
            return _fail("not ready", 503)
        except CallbackRefused as refusal:
            _logger.warning(
                "Notice for WeChat merchant %s refused: %s",
                merchant_id,
                refusal.reason,
            )
            return _fail(refusal.reason, refusal.status)
        payer = resource.get("payer")
        request.env["wechat.event"]._receive(
            "pay",
            merchant_id,
            company_id,
            notice["id"],
            notice["event_type"].lower(),
            resource,
            openid=payer.get("openid") if isinstance(payer, dict) else None,
        )
        return http.Response(status=204)


def _notice(body):
    """Return the envelope of a notice whose signature has been checked."""
    try:
        notice = json.loads(body)
    except ValueError:
        raise CallbackRefused(400, "not JSON") from None
    if not isinstance(notice, dict) or not isinstance(notice.get("resource"), dict):
        raise CallbackRefused(400, "no resource")
    for name in ("id", "event_type"):
        if not isinstance(notice.get(name), str) or not 0 < len(notice[name]) <= 128:
            raise CallbackRefused(400, f"no {name}")
    return notice


def _openid(message):
    openid = message.get("FromUserName")
    return openid[:128] if isinstance(openid, str) else None


def _text(body, status=200):
    return http.Response(
        body,
        status=status,
        headers={
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _fail(reason, status):
    body = json.dumps({"code": "FAIL", "message": reason})
    return http.Response(body, status=status, content_type="application/json")
