"""Payment by code in the old XML form.

WeChat docs: POST /pay/micropay, POST /pay/orderquery, POST /secapi/pay/reverse.

The client certificate that the reversal needs cannot be asked for without TLS.
"""

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import defusedxml.ElementTree
from aiohttp import web
from defusedxml import DefusedXmlException

from . import pay_codepay
from . import pay_schema as schema
from . import pay_transactions as orders
from .clock import beijing

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Merchant

PREFIXES = ("/pay/", "/secapi/pay/")
MAX_TOTAL = 10**10
Values = dict[str, str]

_TEXTS = {
    "LACK_PARAMS": "缺少参数",
    "PARAM_ERROR": "参数错误",
    "APPID_NOT_EXIST": "APPID不存在",
    "MCHID_NOT_EXIST": "MCHID不存在",
    "APPID_MCHID_NOT_MATCH": "appid和mch_id不匹配",
    "SIGNERROR": "签名错误",
    "NOAUTH": "商户无此接口权限",
    "XML_FORMAT_ERROR": "XML格式错误",
    "REQUIRE_POST_METHOD": "请使用post方法",
    "POST_DATA_EMPTY": "post数据为空",
    "NOT_UTF8": "编码格式错误",
    "OUT_TRADE_NO_USED": "商户订单号重复",
    "ORDERPAID": "订单已支付",
    "ORDERCLOSED": "订单已关闭",
    "ORDERNOTEXIST": "此交易订单号不存在",
    "USERPAYING": "需要用户输入支付密码",
    "AUTH_CODE_INVALID": "付款码无效，请刷新再试",
    "SYSTEMERROR": "系统超时，请稍后再试",
    "TRADE_STATE_ERROR": "订单状态错误",
}
#: What a field may be: its longest length, and whether it must be there.
MICROPAY = {
    "appid": (32, True),
    "mch_id": (32, True),
    "nonce_str": (32, True),
    "sign": (64, True),
    "body": (127, True),
    "out_trade_no": (32, True),
    "total_fee": (12, True),
    "spbill_create_ip": (64, True),
    "auth_code": (128, True),
    "sign_type": (32, False),
    "version": (32, False),
    "device_info": (32, False),
    "detail": (6000, False),
    "attach": (127, False),
    "fee_type": (16, False),
    "goods_tag": (32, False),
    "limit_pay": (32, False),
    "time_start": (14, False),
    "time_expire": (14, False),
    "receipt": (8, False),
    "scene_info": (256, False),
    "profit_sharing": (16, False),
}
_COMMON = ("appid", "mch_id", "nonce_str", "sign", "sign_type")
NUMBERS = {
    **{name: MICROPAY[name] for name in _COMMON},
    "transaction_id": (32, False),
    "out_trade_no": (32, False),
}
QUERY = {**NUMBERS, "version": (32, False)}
#: With it coupons are shown as JSON, without it as sums and numbered fields.
VERSION = "1.0"


class V2Error(Exception):
    """A refusal: ``return_code`` FAIL before the signature, ``err_code`` after it."""

    def __init__(self, code: str, message: str = "", early: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.message = message or _TEXTS.get(code, code)
        self.early = early


# -- XML and signature ------------------------------------------------------------
def parse(body: bytes) -> Values:
    if not body.strip():
        raise V2Error("POST_DATA_EMPTY", early=True)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise V2Error("NOT_UTF8", early=True) from None
    try:
        root = defusedxml.ElementTree.fromstring(text)
    except (ElementTree.ParseError, DefusedXmlException, ValueError):
        raise V2Error("XML_FORMAT_ERROR", early=True) from None
    values = {child.tag: (child.text or "").strip() for child in root}
    if root.tag != "xml" or len(values) != len(root) or any(len(c) for c in root):
        raise V2Error("XML_FORMAT_ERROR", early=True)
    return values


def render(values: Values) -> str:
    """Return XML with every value in CDATA."""
    cells = []
    for name, value in values.items():
        safe = value.replace("]]>", "]]]]><![CDATA[>")
        cells.append(f"<{name}><![CDATA[{safe}]]></{name}>")
    return "<xml>" + "\n".join(cells) + "</xml>"


def sign(values: Values, key: str, kind: str = "MD5") -> str:
    """Sign what is not empty, in the order of the names."""
    pairs = [f"{k}={v}" for k, v in sorted(values.items()) if v and k != "sign"]
    text = "&".join([*pairs, f"key={key}"]).encode()
    if kind == "HMAC-SHA256":
        return hmac.new(key.encode(), text, hashlib.sha256).hexdigest().upper()
    return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()


def _authenticate(box: "Sandbox", values: Values) -> "Merchant":
    """Return the merchant whose key signed the call."""
    for name in ("appid", "mch_id", "nonce_str", "sign"):
        if not values.get(name):
            raise V2Error("LACK_PARAMS", f"缺少参数{name}", early=True)
    merchant = box.state.merchants.get(values["mch_id"])
    if merchant is None or not merchant.apiv2_key:
        raise V2Error("MCHID_NOT_EXIST", early=True)
    kind = values.get("sign_type") or "MD5"
    good = kind in ("MD5", "HMAC-SHA256") and hmac.compare_digest(
        sign(values, merchant.apiv2_key, kind).encode(), values["sign"].encode()
    )
    if not good:
        raise V2Error("SIGNERROR", early=True)
    return merchant


def _check(values: Values, fields: dict[str, tuple[int, bool]]) -> None:
    if values.get("version", VERSION) not in ("", VERSION):
        raise V2Error("PARAM_ERROR", "参数错误:version")
    for name in values:
        if name not in fields:
            raise V2Error("PARAM_ERROR", f"参数错误:{name}")
    for name, (high, required) in fields.items():
        value = values.get(name, "")
        if required and not value:
            raise V2Error("LACK_PARAMS", f"缺少参数{name}")
        if len(value) > high:
            raise V2Error("PARAM_ERROR", f"参数{name}长度有误")


# -- calls --------------------------------------------------------
async def dispatch(box: "Sandbox", request: web.Request) -> web.Response:
    """Serve one call of the old API."""
    merchant, values = None, {}
    try:
        handler = _CALLS.get(request.path)
        if handler is None:
            raise web.HTTPNotFound(text="not found")
        if request.method != "POST":
            raise V2Error("REQUIRE_POST_METHOD", early=True)
        values = parse(await request.read())
        merchant = _authenticate(box, values)
        if values["appid"] not in merchant.appids:
            raise V2Error("APPID_MCHID_NOT_MATCH")
        shown = handler(box, merchant, values)
        box.state.touch()
        return _answer(box, merchant, values, {"result_code": "SUCCESS", **shown})
    except V2Error as error:
        if error.early or merchant is None:
            early = {"return_code": "FAIL", "return_msg": error.message}
            return _xml(early)
        return _answer(box, merchant, values, _failure(error))


def _failure(error: V2Error) -> Values:
    shown = {"result_code": "FAIL", "err_code": error.code}
    shown["err_code_des"] = error.message
    if error.code == "TRADE_STATE_ERROR":
        shown["recall"] = "N"
    return shown


def _answer(
    box: "Sandbox", merchant: "Merchant", values: Values, shown: Values
) -> web.Response:
    """Sign an answer with the kind of signature that the call had."""
    full = {
        "return_code": "SUCCESS",
        "return_msg": "OK",
        "appid": values["appid"],
        "mch_id": merchant.mchid,
        "nonce_str": box.state.random_text(16),
        **shown,
    }
    if values.get("device_info"):
        full["device_info"] = values["device_info"]
    kind = values.get("sign_type") or "MD5"
    return _xml({**full, "sign": sign(full, merchant.apiv2_key, kind)})


def _xml(values: Values) -> web.Response:
    return web.Response(text=render(values), content_type="text/xml")


def spoil(response: web.Response) -> None:
    """Make the signature of an answer a wrong one."""
    text = (response.text or "").replace("<sign><![CDATA[", "<sign><![CDATA[0")
    response.text = text


def fault_answer(box: "Sandbox", body: bytes, fault: dict[str, Any]) -> web.Response:
    """Answer an ordered err_code, signed."""
    error = V2Error(str(fault.get("errcode") or "SYSTEMERROR"))
    try:
        values = parse(body)
        merchant = _authenticate(box, values)
    except V2Error as early:
        return _xml({"return_code": "FAIL", "return_msg": early.message})
    return _answer(box, merchant, values, _failure(error))


def micropay(box: "Sandbox", merchant: "Merchant", values: Values) -> Values:
    """WeChat docs: POST /pay/micropay"""
    _check(values, MICROPAY)
    if merchant.blocked:
        raise V2Error("NOAUTH")
    request = _request(values)
    code = values["auth_code"]
    key = orders.order_key(merchant.mchid, request["out_trade_no"])
    order = box.state.orders.get(key)
    if order is not None:
        _check_again(order, request, code)
    else:
        if not schema.matches(pay_codepay.CODE, code):
            raise V2Error("AUTH_CODE_INVALID")
        order = pay_codepay.new_order(box, merchant.mchid, request, code)
        try:
            pay_codepay.charge(box, order, code)
        except pay_codepay.CodeError as error:
            raise V2Error("AUTH_CODE_INVALID", str(error)) from None
    if order["trade_state"] == "USERPAYING":
        raise V2Error("USERPAYING")
    return {**_paid(order), **_coupon_sums(order, values)}


def _request(values: Values) -> dict[str, Any]:
    """Return the order as Pay v3 would have it, so that both can query it."""
    number, total = values["out_trade_no"], values["total_fee"]
    if not schema.matches(r"[0-9A-Za-z_\-|*@]{1,32}", number):
        raise V2Error("PARAM_ERROR", "out_trade_no格式错误")
    if not schema.matches(r"[1-9]\d*", total) or int(total) >= MAX_TOTAL:
        raise V2Error("PARAM_ERROR", "total_fee必须为正整数")
    if values.get("fee_type", "CNY") not in ("", "CNY"):
        raise V2Error("PARAM_ERROR", "fee_type不正确")
    request: dict[str, Any] = {
        "appid": values["appid"],
        "out_trade_no": number,
        "description": values["body"],
        "amount": {"total": int(total), "currency": "CNY"},
    }
    for name in ("attach", "goods_tag"):
        if values.get(name):
            request[name] = values[name]
    if values.get("device_info"):
        request["scene_info"] = {"device_id": values["device_info"]}
    return request


def _check_again(order: dict[str, Any], request: dict[str, Any], code: str) -> None:
    if order.get("code_digest") != pay_codepay.digest(code):
        if order["trade_type"] == "MICROPAY":
            raise V2Error("AUTH_CODE_INVALID", "101 每个二维码仅限使用一次，请刷新再试")
        raise V2Error("OUT_TRADE_NO_USED")
    if order["request"] != request:
        raise V2Error("OUT_TRADE_NO_USED")
    if order["trade_state"] in orders.PAID:
        raise V2Error("ORDERPAID")
    if order["trade_state"] != "USERPAYING":
        raise V2Error("ORDERCLOSED")


def _paid(order: dict[str, Any]) -> Values:
    """Return what the payment and the query say of a paid order."""
    total = order["request"]["amount"]["total"]
    return {
        "openid": order["openid"],
        "is_subscribe": "N",
        "trade_type": order["trade_type"],
        "bank_type": order["bank_type"],
        "fee_type": "CNY",
        "total_fee": str(total),
        "cash_fee_type": "CNY",
        "cash_fee": str(order["payer_total"]),
        "transaction_id": order["transaction_id"],
        "out_trade_no": order["out_trade_no"],
        "attach": order["request"].get("attach", ""),
        "time_end": beijing(order["paid_at"]).strftime("%Y%m%d%H%M%S"),
    }


def _coupon_sums(order: dict[str, Any], values: Values) -> Values:
    """Return what the coupons have paid; in detail only to who asks for it."""
    rows = order["promotion_detail"]
    if values.get("version"):
        detail = {"promotion_detail": [_promotion(item) for item in rows]}
        text = json.dumps(detail, ensure_ascii=False)
        return {"promotion_detail": text} if rows else {}
    shown = {"settlement_total_fee": str(order["settlement_total"])}
    if rows:
        shown["coupon_fee"] = str(sum(item["amount"] for item in rows))
    return shown


def _coupons(order: dict[str, Any], values: Values) -> Values:
    """Return what a query says of the coupons."""
    shown = _coupon_sums(order, values)
    rows = order["promotion_detail"]
    if values.get("version") or not rows:
        return shown
    shown["coupon_count"] = str(len(rows))
    for index, item in enumerate(rows):
        funded = item["type"] == "CASH"
        shown[f"coupon_type_{index}"] = "CASH" if funded else "NO_CASH"
        shown[f"coupon_id_{index}"] = item["coupon_id"]
        shown[f"coupon_fee_{index}"] = str(item["amount"])
    return shown


def _promotion(item: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "promotion_id": item["coupon_id"],
        "name": item.get("name", ""),
        "scope": item.get("scope", "GLOBAL"),
        "type": "COUPON" if item["type"] == "CASH" else "DISCOUNT",
        "amount": item["amount"],
        "activity_id": item.get("stock_id", ""),
        "wxpay_contribute": item.get("wechatpay_contribute", 0),
        "merchant_contribute": item.get("merchant_contribute", 0),
        "other_contribute": item.get("other_contribute", 0),
    }
    if "goods_detail" in item:
        shown["goods_detail"] = item["goods_detail"]
    return shown


def _find(
    box: "Sandbox",
    merchant: "Merchant",
    values: Values,
    fields: dict[str, tuple[int, bool]] = NUMBERS,
) -> dict[str, Any]:
    _check(values, fields)
    number, own = values.get("transaction_id"), values.get("out_trade_no")
    if not number and not own:
        raise V2Error("LACK_PARAMS", "缺少参数out_trade_no")
    key = orders.order_key(merchant.mchid, own or "")
    if number:
        key = box.state.transactions.get(number, "")
    order = box.state.orders.get(key)
    if order is None or order["mchid"] != merchant.mchid:
        raise V2Error("ORDERNOTEXIST")
    return orders.find_order(box, merchant.mchid, order["out_trade_no"])


def orderquery(box: "Sandbox", merchant: "Merchant", values: Values) -> Values:
    """WeChat docs: POST /pay/orderquery"""
    order = _find(box, merchant, values, QUERY)
    state = order["trade_state"]
    shown = {"trade_state": state, "trade_state_desc": orders.STATES[state]}
    if order["transaction_id"]:
        return {**shown, **_paid(order), **_coupons(order, values)}
    return {
        **shown,
        "out_trade_no": order["out_trade_no"],
        "trade_type": order["trade_type"],
        "total_fee": str(order["request"]["amount"]["total"]),
    }


def reverse(box: "Sandbox", merchant: "Merchant", values: Values) -> Values:
    """WeChat docs: POST /secapi/pay/reverse"""
    problem = pay_codepay.reverse_order(box, _find(box, merchant, values))
    if problem:
        raise V2Error("TRADE_STATE_ERROR", problem)
    return {"recall": "N"}


_CALLS = {
    "/pay/micropay": micropay,
    "/pay/orderquery": orderquery,
    "/secapi/pay/reverse": reverse,
}
