"""Payment by code in APIv2, for merchants whom WeChat has not opened APIv3 for.

Contracts 5.7. Answers are turned into orders of APIv3, so that nobody else has to
know which driver charged.

wechatpy has a client of this API, too. It is not used: it writes the signing key and
the payment code into the debug log, believes answers without checking their
signature, and has one exception for "refused" and "no answer", which to a till are
opposites.
"""

import hashlib
import hmac
import json
import os
import tempfile
from datetime import datetime, timedelta, timezone

import requests
from urllib3.util.ssl_ import create_urllib3_context

from odoo.addons.wechat_base.const import PAY_URL, TIMEOUT
from odoo.addons.wechat_base.tools import pay_crypto, transport
from odoo.addons.wechat_base.tools.callback import CallbackRefused, parse_xml
from odoo.addons.wechat_base.tools.exceptions import (
    WechatConfigError,
    WechatRefused,
    WechatUnavailable,
    WechatUnknownOutcome,
    make_error,
    plain_translate,
)

from .pay_api import cut

BEIJING = timezone(timedelta(hours=8))
# The outcome of a charge with one of these is not known (contracts 5.7).
_UNKNOWN: tuple[str, ...] = ("SYSTEMERROR", "BANKERROR", "SYSTEM_ERROR", "BANK_ERROR")
_CONFIG: tuple[str, ...] = (
    "SIGNERROR",
    "NOAUTH",
    "APPID_NOT_EXIST",
    "MCHID_NOT_EXIST",
    "APPID_MCHID_NOT_MATCH",
    "XML_FORMAT_ERROR",
    "REQUIRE_POST_METHOD",
    "POST_DATA_EMPTY",
    "NOT_UTF8",
    "LACK_PARAMS",
)
_TYPES: dict[str, str] = {"COUPON": "CASH", "DISCOUNT": "NOCASH"}


def sign(values, key, kind="MD5"):
    """Return the signature of APIv2 (安全规范).

    :param dict values: texts by name; empty ones and ``sign`` do not count
    :param str key: APIv2 key
    :param str kind: ``MD5`` or ``HMAC-SHA256``
    """
    pairs = [f"{k}={v}" for k, v in sorted(values.items()) if v and k != "sign"]
    text = "&".join([*pairs, f"key={key}"]).encode()
    if kind == "HMAC-SHA256":
        return hmac.new(key.encode(), text, hashlib.sha256).hexdigest().upper()
    return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()


class CodepayV2:
    """Charges, asks and reverses with the signatures of APIv2.

    :param str mchid: merchant number
    :param str appid: AppID bound to it
    :param str apiv2_key: 32 characters
    :param str certificate: PEM; with ``private_key`` only for :meth:`reverse`
    :param str sandbox_url: used instead of WeChat's servers
    """

    kind = "HMAC-SHA256"

    def __init__(
        self,
        mchid,
        appid,
        apiv2_key,
        certificate=None,
        private_key=None,
        sandbox_url=None,
        timeout=TIMEOUT,
        translate=plain_translate,
    ):
        self.mchid = mchid
        self.appid = appid
        self.timeout = timeout
        self._key = apiv2_key
        self._certificate = certificate
        self._private_key = private_key
        self._url = sandbox_url or PAY_URL
        self._is_sandbox = bool(sandbox_url)
        self._translate = translate

    def __repr__(self):
        return f"<{type(self).__name__} {self.mchid}>"

    # === CALLS === #

    def pay(self, out_trade_no, auth_code, amount, description, **more):
        """Charge a payment code; see ``CodepayV3.pay``.

        :param more: ``scene_info`` as in APIv3; ``attach``, ``goods_tag``
        """
        store = more.get("scene_info", {}).get("store_info", {})
        values = {
            "body": cut(description, 42),
            "out_trade_no": out_trade_no,
            "total_fee": str(amount),
            "fee_type": "CNY",
            "spbill_create_ip": "127.0.0.1",
            "auth_code": auth_code,
            "attach": more.get("attach"),
            "goods_tag": more.get("goods_tag"),
            "scene_info": json.dumps({"store_info": store}) if store else None,
        }
        try:
            answer = self._call("/pay/micropay", values)
        except WechatRefused as error:
            if error.code != "USERPAYING":
                raise
            return {"out_trade_no": out_trade_no, "trade_state": "USERPAYING"}
        return self._order({**answer, "trade_state": "SUCCESS"})

    def query(self, out_trade_no):
        """Return an order as WeChat knows it, in the shape of APIv3."""
        values = {"out_trade_no": out_trade_no}
        return self._order(self._call("/pay/orderquery", values, changes=False))

    def reverse(self, out_trade_no):
        """Close an unpaid order, give back a paid one; may be repeated.

        Not earlier than 15 seconds after the charge, and within seven days.

        :raises WechatUnavailable: if WeChat asks to be called again
        """
        values = {"out_trade_no": out_trade_no}
        with self._own_certificate() as session:
            answer = self._call("/secapi/pay/reverse", values, session)
        if answer.get("recall") == "Y":
            raise make_error(self._translate, WechatUnavailable, "busy", code="recall")

    # === REQUESTS === #

    def _call(self, path, values, session=None, changes=True):
        """Send a request and return its verified answer.

        :raises WechatError: one of its subclasses, as ``WechatPayClient`` does
        """
        if not self._key:
            raise self._error(
                WechatConfigError, "incomplete", "APIv2 key", "incomplete"
            )
        values = {
            **{name: value for name, value in values.items() if value},
            "appid": self.appid,
            "mch_id": self.mchid,
            "nonce_str": pay_crypto.nonce(),
            "sign_type": self.kind,
        }
        values["sign"] = sign(values, self._key, self.kind)
        session = session or transport.new_session(trust_env=not self._is_sandbox)
        request = requests.Request(
            "POST",
            f"{self._url}{path}",
            data=_render(values),
            headers={"Content-Type": "text/xml"},
        )
        response = transport.send(
            session,
            session.prepare_request(request),
            self.timeout,
            self._translate,
            changes=changes,
        )
        return self._handle(response)

    def _handle(self, response):
        if response.status_code != 200:
            detail = f"HTTP {response.status_code}"
            raise self._error(WechatUnknownOutcome, "bad_answer", detail)
        try:
            answer = parse_xml(response.content)
        except CallbackRefused:
            raise self._error(WechatUnknownOutcome, "bad_answer", "XML") from None
        if answer.get("return_code") != "SUCCESS":
            # Refused before anything was looked at; such an answer is not signed.
            raise self._refusal(answer, answer.get("return_msg"))
        self._check_signature(answer)
        if answer.get("result_code") != "SUCCESS":
            raise self._refusal(answer, answer.get("err_code_des"))
        if (answer.get("mch_id"), answer.get("appid")) != (self.mchid, self.appid):
            raise self._error(WechatUnknownOutcome, "bad_answer", "mch_id")
        return answer

    def _check_signature(self, answer):
        given = answer.get("sign")
        kind = "MD5" if len(given or "") == 32 else self.kind
        if not isinstance(given, str) or not hmac.compare_digest(
            sign(answer, self._key, kind).encode(), given.encode()
        ):
            raise self._error(
                WechatUnknownOutcome, "bad_answer", "signature: wrong", "wrong"
            )

    def _refusal(self, answer, message):
        code = str(answer.get("err_code") or answer.get("return_msg") or "FAIL")
        detail = f"{code} {message or ''}".strip()
        if code in _UNKNOWN:
            return self._error(WechatUnknownOutcome, "bad_answer", detail, code)
        if code in _CONFIG or answer.get("return_code") != "SUCCESS":
            return self._error(WechatConfigError, "pay_config", detail, code)
        return self._error(WechatRefused, "refused", detail, code)

    def _error(self, error_class, key, detail, code=None):
        return make_error(self._translate, error_class, key, detail=detail, code=code)

    def _own_certificate(self):
        """Return a session that shows the merchant's certificate."""
        if self._is_sandbox and self._url.startswith("http://"):
            # There is nobody to show it to.
            return transport.new_session(trust_env=False)
        if not (self._certificate and self._private_key):
            raise self._error(
                WechatConfigError, "incomplete", "apiclient_cert.pem", "incomplete"
            )
        context = ssl_context(self._certificate, self._private_key)
        return transport.new_session(not self._is_sandbox, context)

    # === ORDERS === #

    def _order(self, answer):
        """Return an answer of APIv2 as an order of APIv3."""
        order = {
            "appid": answer.get("appid"),
            "mchid": answer.get("mch_id"),
            "out_trade_no": answer.get("out_trade_no"),
            "trade_state": answer.get("trade_state"),
            "trade_type": answer.get("trade_type"),
            "bank_type": answer.get("bank_type"),
            "attach": answer.get("attach"),
        }
        if answer.get("transaction_id"):
            order["transaction_id"] = answer["transaction_id"]
            order["success_time"] = _beijing(answer.get("time_end"))
            order["payer"] = {"openid": answer.get("openid")}
        if total := _number(answer.get("total_fee")):
            order["amount"] = {
                "total": total,
                "payer_total": _number(answer.get("cash_fee")),
                "currency": answer.get("fee_type") or "CNY",
            }
        order["promotion_detail"] = _promotions(answer.get("promotion_detail"))
        return {name: value for name, value in order.items() if value is not None}


def ssl_context(certificate, private_key):
    """Return a context that shows a client certificate.

    Python's ssl reads it from a file only: a private one, deleted at once. Host and
    authority are checked by urllib3, as for every other connection.
    """
    context = create_urllib3_context()
    handle, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{private_key.strip()}\n{certificate.strip()}\n")
        context.load_cert_chain(path)
    finally:
        os.unlink(path)
    return context


def _render(values):
    cells = []
    for name, value in values.items():
        safe = str(value).replace("]]>", "]]]]><![CDATA[>")
        cells.append(f"<{name}><![CDATA[{safe}]]></{name}>")
    return f"<xml>{''.join(cells)}</xml>".encode()


def _number(text):
    return int(text) if text and text.isascii() and text.isdigit() else None


def _beijing(text):
    """Return ``yyyyMMddHHmmss`` of Beijing as RFC 3339."""
    try:
        value = datetime.strptime(text or "", "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return value.replace(tzinfo=BEIJING).isoformat()


def _promotions(text):
    """Return the ``promotion_detail`` of APIv2, JSON in a text, as that of APIv3."""
    try:
        rows = json.loads(text or "{}").get("promotion_detail")
    except (ValueError, AttributeError):
        return None
    if not isinstance(rows, list):
        return None
    return [_promotion(row) for row in rows if isinstance(row, dict)]


def _promotion(row):
    return {
        **row,
        "coupon_id": row.get("promotion_id"),
        "stock_id": row.get("activity_id"),
        "type": _TYPES.get(row.get("type"), row.get("type")),
        "wechatpay_contribute": row.get("wxpay_contribute", 0),
    }
