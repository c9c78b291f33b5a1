"""Payment by code in APIv2 (contracts 5.7): XML, signed with a shared key.

WeChat docs: POST /pay/micropay, POST /pay/orderquery, POST /secapi/pay/reverse.

Of wechatpy 1.8.18 only the signature is used. Its ``WeChatPay`` believes answers that
are not signed, logs the key and the payment code at DEBUG, breaks on "]]>" in a text,
reads the certificate from files only, and a lost answer looks like a refusal.

Requests are signed with HMAC-SHA256, and WeChat signs its answer the same way.
"""

import hmac
import json
import re
import secrets
from datetime import datetime
from functools import cached_property
from tempfile import NamedTemporaryFile
from xml.sax.saxutils import escape

import requests
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from urllib3.util.ssl_ import create_urllib3_context
from wechatpy.pay.utils import calculate_signature_hmac

from odoo.tools.translate import LazyTranslate

from odoo.addons.wechat_base.const import (
    MAX_DIGITS,
    PAY_BACKUP_URL,
    PAY_RETRY_ERRORS,
    PAY_URL,
    TIMEOUT,
)
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
from odoo.addons.wechat_base.tools.pay_client import USER_AGENT
from odoo.addons.wechat_base.tools.text import storable

from .pay_api import cut, hiding

_lt = LazyTranslate(__name__)

_QUERY = "/pay/orderquery"
_SIGN_TYPE = "HMAC-SHA256"
# What is left of a device's address when the till has none: the server's own.
_LOCAL = "127.0.0.1"

_UNKNOWN_OUTCOME: tuple[str, ...] = ("SYSTEMERROR", "BANKERROR")
_CONFIG_ERRORS: tuple[str, ...] = (
    "SIGNERROR",
    "NOAUTH",
    "APPID_NOT_EXIST",
    "MCHID_NOT_EXIST",
    "APPID_MCHID_NOT_MATCH",
)
# A set-up that WeChat cannot make sense of is told in words only, and unsigned.
_SETUP = re.compile(r"签名|证书|商户号|sign|cert|app_?id|mch_?id", re.IGNORECASE)
# What v2 and v3 call by the same name.
_SAME: tuple[str, ...] = (
    "trade_type",
    "trade_state_desc",
    "transaction_id",
    "bank_type",
    "attach",
)
# Names of the two kinds of coupons in ``promotion_detail`` and ``coupon_type_n``.
_TYPES: dict[str, str] = {
    "COUPON": "CASH",
    "CASH": "CASH",
    "DISCOUNT": "NOCASH",
    "NO_CASH": "NOCASH",
    "NOCASH": "NOCASH",
}
# What v2 calls otherwise than v3, in a coupon and in its goods.
_NAMES: dict[str, str] = {
    "promotion_id": "coupon_id",
    "activity_id": "stock_id",
    "wxpay_contribute": "wechatpay_contribute",
    "price": "unit_price",
}


class CodepayV2:
    """Payment by code in APIv2, in the words of :class:`.pay_api.CodepayV3`.

    :param str mchid: merchant number
    :param str appid: AppID bound to the merchant
    :param str apiv2_key: the 32 characters set in the merchant platform
    :param str certificate: PEM of the merchant's certificate; only :meth:`reverse`
        needs it
    :param str private_key: PEM of its key
    :param str sandbox_url: used instead of WeChat's servers
    :param translate: ``env._``
    :param float timeout: seconds to connect, and between two bytes
    """

    def __init__(
        self,
        mchid,
        appid,
        apiv2_key,
        certificate=None,
        private_key=None,
        sandbox_url=None,
        translate=plain_translate,
        timeout=TIMEOUT,
    ):
        self.mchid = mchid
        self.appid = appid
        self.timeout = timeout
        self._key = apiv2_key
        self._certificate = certificate
        self._private_key = private_key
        self._translate = translate
        self._urls = (sandbox_url or PAY_URL, sandbox_url or PAY_BACKUP_URL)
        self._trust_env = not sandbox_url

    def __repr__(self):
        return f"<{type(self).__name__} {self.mchid}>"

    # === CALLS === #

    def pay(
        self,
        out_trade_no,
        auth_code,
        amount,
        description,
        scene_info=None,
        attach=None,
        goods_tag=None,
    ):
        """Charge a payment code.

        Never sent twice by itself: after a lost answer only a question helps.

        :param str auth_code: bearer token of the customer; neither kept nor logged
        :param int amount: fen
        :param dict scene_info: as in APIv3: ``device_id``, ``device_ip``,
            ``store_info``
        :return: an order as in :mod:`.pay_api`; its ``trade_state`` is USERPAYING
            while the customer has to enter the password
        :raises WechatUnknownOutcome: if the code may have been charged
        """
        values = {
            "body": cut(description, 127),
            "out_trade_no": out_trade_no,
            "total_fee": amount,
            "auth_code": auth_code,
            "attach": attach,
            "goods_tag": goods_tag,
            **_place(scene_info or {}),
        }
        with hiding(auth_code):
            try:
                answer = self._call("/pay/micropay", values, repeatable=False)
            except WechatRefused as error:
                if error.code != "USERPAYING":
                    raise
                answer = {"out_trade_no": out_trade_no, "trade_state": "USERPAYING"}
            else:
                answer["trade_state"] = "SUCCESS"
            return self._order(answer, out_trade_no)

    def query(self, out_trade_no):
        """Return an order as WeChat knows it."""
        # Without the version there is no ``promotion_detail``.
        values = {"out_trade_no": out_trade_no, "version": "1.0"}
        return self._order(self._call(_QUERY, values), out_trade_no)

    def reverse(self, out_trade_no):
        """Close an unpaid order, give back a paid one; may be repeated.

        Not earlier than 15 s after the payment was sent.

        :raises WechatConfigError: if there is no certificate
        :raises WechatUnavailable: if it has to be called again
        """
        self._call(
            "/secapi/pay/reverse", {"out_trade_no": out_trade_no}, self._http_mutual
        )

    # === REQUESTS === #

    @cached_property
    def _http(self):
        return transport.new_session(trust_env=self._trust_env)

    @cached_property
    def _http_mutual(self):
        """A session that shows the merchant's certificate."""
        try:
            context = client_context(self._certificate, self._private_key)
        except (OSError, ValueError):
            raise WechatConfigError(
                self._translate(
                    _lt(
                        "APIv2 gives payments back only to a merchant who shows its "
                        "certificate. Enter the API certificate and the API private "
                        "key that belongs to it on the WeChat Pay merchant."
                    )
                ),
                code="certificate",
            ) from None
        return transport.new_session(trust_env=self._trust_env, context=context)

    def _call(self, path, values, session=None, repeatable=True):
        """Send a call and return its answer, whose signature has been checked.

        :param bool repeatable: whether it does no harm to send it again, by the
            backup address, after an answer was lost
        """
        session = session or self._http

        def call(base):
            return self._call_once(session, base, path, values)

        return transport.with_backup(call, self._urls, repeatable)

    def _call_once(self, session, base, path, values):
        request = requests.Request(
            "POST",
            base + path,
            data=_to_xml(self._signed(values)).encode(),
            headers={
                "Content-Type": "text/xml; charset=utf-8",
                "User-Agent": USER_AGENT,
            },
        )
        response = transport.send(
            session,
            session.prepare_request(request),
            self.timeout,
            self._translate,
            changes=path != _QUERY,
        )
        return self._judge(self._read(response))

    def _signed(self, values):
        if not self._key:
            raise self._error(WechatConfigError, "incomplete", detail="APIv2 key")
        values = {
            **values,
            "appid": self.appid,
            "mch_id": self.mchid,
            "nonce_str": secrets.token_hex(16),
            "sign_type": _SIGN_TYPE,
        }
        # What XML cannot hold, and what WeChat would strip before it checks the
        # signature, must not be in it.
        values = {
            name: cut(str(value), 6000)
            for name, value in values.items()
            if value not in (None, "")
        }
        return {**values, "sign": calculate_signature_hmac(values, self._key)}

    # === ANSWERS === #

    def _read(self, response):
        """Return the texts of an answer that WeChat has signed."""
        if response.status_code != 200:
            raise self._doubt(f"HTTP {response.status_code}")
        try:
            values = parse_xml(response.content)
        except CallbackRefused as error:
            raise self._doubt(error.reason) from None
        if not all(isinstance(value, str) for value in values.values()):
            raise self._doubt("XML")
        if values.get("return_code") != "SUCCESS":
            raise self._not_understood(values.get("return_msg", ""))
        if not self._is_signed(values):
            raise self._doubt("signature")
        if values.get("mch_id") != self.mchid:
            raise self._doubt("mch_id")
        return values

    def _is_signed(self, values):
        signed = {name: value for name, value in values.items() if name != "sign"}
        known = calculate_signature_hmac(signed, self._key)
        return hmac.compare_digest(values.get("sign", "").encode(), known.encode())

    def _not_understood(self, message):
        """Return the error for a call that WeChat could not read; it is not signed.

        That a payment was not charged is not believed of such an answer, unless it
        says that nobody can have been charged: we are not known, or not let in.
        """
        if _SETUP.search(message):
            detail = f"APIv2: {message}"
            return self._error(
                WechatConfigError, "pay_config", detail=detail, code="FAIL"
            )
        return self._doubt(message or "return_code")

    def _judge(self, values):
        """Return the answer to a call that was carried out.

        :raises WechatError: for all others
        """
        code = values.get("err_code", "")
        if values.get("recall") == "Y":
            raise self._error(WechatUnavailable, "busy", code=code or "RECALL")
        if values.get("result_code") == "SUCCESS":
            return values
        detail = f"{code} {values.get('err_code_des', '')}".strip()
        if not code or code in _UNKNOWN_OUTCOME:
            raise self._error(
                WechatUnknownOutcome, "bad_answer", detail=detail, code=code or None
            )
        if code in PAY_RETRY_ERRORS:
            raise self._error(WechatUnavailable, "too_fast", code=code, retry_after=5.0)
        if code in _CONFIG_ERRORS:
            key = "pay_not_authorised" if code == "NOAUTH" else "pay_config"
            raise self._error(WechatConfigError, key, detail=detail, code=code)
        raise self._error(WechatRefused, "refused", detail=detail, code=code)

    def _order(self, values, out_trade_no):
        """Return an order in the shape of APIv3."""
        state = values.get("trade_state")
        if not state or values.get("out_trade_no") != out_trade_no:
            raise self._doubt("out_trade_no")
        order = {
            "appid": self.appid,
            "mchid": self.mchid,
            "out_trade_no": out_trade_no,
            "trade_state": state,
            **{name: values[name] for name in _SAME if values.get(name)},
        }
        if values.get("openid"):
            order["payer"] = {"openid": values["openid"]}
        if values.get("device_info"):
            order["scene_info"] = {"device_id": values["device_info"]}
        if time := _rfc3339(values.get("time_end")):
            order["success_time"] = time
        self._add_money(order, values)
        return order

    def _add_money(self, order, values):
        total = _fen(values.get("total_fee"))
        if total is None:
            if order["trade_state"] == "SUCCESS":
                raise self._doubt("total_fee")
            return
        currency = values.get("fee_type") or "CNY"
        order["amount"] = {"total": total, "currency": currency}
        if not order.get("transaction_id"):
            return
        promotions = _promotions(values, total)
        not_funded = sum(p["amount"] for p in promotions if p.get("type") == "NOCASH")
        order["amount"].update(
            payer_total=_fen(values.get("cash_fee"), total),
            payer_currency=values.get("cash_fee_type") or currency,
            settlement_total=_fen(
                values.get("settlement_total_fee"), total - not_funded
            ),
        )
        if promotions:
            order["promotion_detail"] = promotions

    def _doubt(self, detail):
        return self._error(WechatUnknownOutcome, "bad_answer", detail=detail)

    def _error(self, error_class, key, **values):
        return make_error(self._translate, error_class, key, **values)


def client_context(certificate, private_key):
    """Return a TLS context that shows a certificate.

    OpenSSL reads from files only. The file is ours alone, lives for the moment, and
    the key in it is encrypted with a password that is written nowhere.

    :param str certificate: PEM
    :param str private_key: PEM
    :raises ValueError: if one is missing or broken
    :raises OSError: if they do not belong together
    """
    if not certificate or not private_key:
        raise ValueError("missing")
    password = secrets.token_hex(16).encode()
    key = pay_crypto.load_private_key(private_key).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)
    )
    context = create_urllib3_context()
    with NamedTemporaryFile(suffix=".pem") as file:
        file.write(certificate.encode() + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name, password=password)
    return context


def _place(scene_info):
    """Return where the payment is made, in v2's fields."""
    store = scene_info.get("store_info") or {}
    store_id = store.get("id") or store.get("out_id")
    place = {"store_info": {"id": store_id}}
    return {
        "device_info": scene_info.get("device_id"),
        "spbill_create_ip": scene_info.get("device_ip") or _LOCAL,
        "scene_info": store_id and json.dumps(place, ensure_ascii=False),
    }


def _to_xml(values):
    cells = (f"<{name}>{escape(value)}</{name}>" for name, value in values.items())
    return f"<xml>{''.join(cells)}</xml>"


def _fen(text, default=None):
    """Return an amount of an answer; ``default`` if there is none."""
    good = text and text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
    return int(text) if good else default


def _rfc3339(text):
    """Return ``yyyyMMddHHmmss`` of Beijing as RFC 3339, ``None`` if it is none."""
    if not text or not re.fullmatch("[0-9]{14}", text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").isoformat() + "+08:00"
    except ValueError:
        return None


def _promotions(values, total):
    """Return the coupons of a payment as v3's ``promotion_detail``.

    They come as JSON, or numbered, or (a payment's own answer) as sums only.
    """
    rows = _detailed(values.get("promotion_detail")) or _numbered(values)
    if rows:
        return rows
    not_funded = total - _fen(values.get("settlement_total_fee"), total)
    funded = _fen(values.get("coupon_fee"), 0) - not_funded
    sums = (("CASH", funded), ("NOCASH", not_funded))
    return [{"type": kind, "amount": amount} for kind, amount in sums if amount > 0]


def _detailed(text):
    try:
        found = storable(json.loads(text or "{}"))
        items = found["promotion_detail"] if isinstance(found, dict) else found
    except (KeyError, ValueError, RecursionError):
        return []
    if not isinstance(items, list):
        return []
    rows = [_promotion(item) for item in items if isinstance(item, dict)]
    return [row for row in rows if isinstance(row.get("amount"), int)]


def _promotion(item):
    row = _renamed(item)
    row["type"] = _TYPES.get(item.get("type"), item.get("type"))
    goods = row.get("goods_detail")
    if isinstance(goods, list):
        row["goods_detail"] = [_renamed(g) for g in goods if isinstance(g, dict)]
    return row


def _renamed(item):
    return {_NAMES.get(name, name): value for name, value in item.items()}


def _numbered(values):
    rows = []
    for index in range(_fen(values.get("coupon_count"), 0)):
        amount = _fen(values.get(f"coupon_fee_{index}"))
        if amount is None:
            break
        kind = values.get(f"coupon_type_{index}")
        row = {"coupon_id": values.get(f"coupon_id_{index}"), "amount": amount}
        rows.append({**row, "type": _TYPES.get(kind, kind)})
    return rows
