"""Orders: JSAPI, Native, App and H5.

WeChat docs: POST /v3/pay/transactions/jsapi, native, app, h5,
GET /v3/pay/transactions/out-trade-no/{out_trade_no},
GET /v3/pay/transactions/id/{transaction_id},
POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import pay_schema as schema
from . import pay_vouchers
from .clock import beijing, rfc3339
from .errors import ControlError, PayError
from .pay_core import PayCall, Reply, route

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Merchant

DEFAULT_LIFE = 7 * 86400
MIN_LIFE = 60
#: How long a prepay_id or a code_url can be paid, and how long an h5_url.
LINK_LIFE = 2 * 3600
H5_LIFE = 300
H5_PAGE = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb"
OUT_TRADE_NO = r"[0-9A-Za-z_\-|*]{6,32}"

ORDER_NOT_FOUND = 268512771
ORDER_PAID = 268449538
OTHER_PARAMETERS = 268498688
ORDER_EXPIRED = 268447914
APPID_MISMATCH = 268445527
OPENID_MISSING = 268501013
ONLY_REVERSE = 268449641
MCHID_MISMATCH = 268447843
SUB_MISMATCH = 268447845
SUB_MISSING = 268443704
SUB_IS_OWN = 268443705
NO_RELATION = 268443701
DISABLED = 268443715
RESTRICTED = 268448010

STATES = {
    "NOTPAY": "订单未支付",
    "SUCCESS": "支付成功",
    "CLOSED": "订单已关闭",
    "REFUND": "转入退款",
    "USERPAYING": "用户支付中，需要输入密码",
    "PAYERROR": "支付失败",
    "REVOKED": "已撤销",
}
PAID = ("SUCCESS", "REFUND")

_FIELDS = {
    "appid": schema.string(32, required=True),
    "mchid": schema.string(32, required=True),
    "description": schema.string(127, required=True),
    "out_trade_no": schema.string(32, required=True, low=6, pattern=OUT_TRADE_NO),
    "time_expire": schema.time(),
    "attach": schema.string(128),
    "notify_url": schema.string(255, required=True),
    "goods_tag": schema.string(32),
    "limit_pay": schema.array(
        schema.string(
            32, choices=("no_balance", "no_credit", "no_debit", "balance_only")
        )
    ),
    "support_fapiao": schema.boolean(),
    "amount": schema.group(
        required=True,
        total=schema.integer(required=True, low=1),
        currency=schema.string(16, choices=("CNY",)),
    ),
    "detail": schema.group(
        cost_price=schema.integer(low=0),
        invoice_id=schema.string(32),
        goods_detail=schema.array(
            schema.group(
                merchant_goods_id=schema.string(32, required=True),
                wechatpay_goods_id=schema.string(32),
                goods_name=schema.string(256),
                quantity=schema.integer(required=True, low=1),
                unit_price=schema.integer(required=True, low=0),
            )
        ),
    ),
    "scene_info": schema.group(
        payer_client_ip=schema.string(45, required=True),
        device_id=schema.string(32),
        store_info=schema.group(
            id=schema.string(32, required=True),
            name=schema.string(256),
            area_code=schema.string(32),
            address=schema.string(512),
        ),
    ),
    "settle_info": schema.group(profit_sharing=schema.boolean()),
}
NATIVE = schema.group(required=True, **_FIELDS)
JSAPI = schema.group(
    required=True,
    **_FIELDS,
    payer=schema.group(required=True, openid=schema.string(128)),
)
APP = NATIVE
_H5_INFO = schema.group(
    required=True,
    type=schema.string(32, required=True),
    app_name=schema.string(64),
    app_url=schema.string(128),
    bundle_id=schema.string(128),
    package_name=schema.string(128),
)
_SCENE = dict(_FIELDS["scene_info"].fields or {})
H5 = schema.group(
    required=True,
    **{
        **_FIELDS,
        "scene_info": schema.group(required=True, **_SCENE, h5_info=_H5_INFO),
    },
)
CLOSE = schema.group(required=True, mchid=schema.string(32, required=True))


def order_key(mchid: str, out_trade_no: str) -> str:
    return f"{mchid}|{out_trade_no}"


def find_order(box: "Sandbox", mchid: str, out_trade_no: str) -> dict[str, Any]:
    """Return a merchant's order, else ORDER_NOT_EXIST."""
    order = box.state.orders.get(order_key(mchid, out_trade_no))
    if order is None:
        raise PayError(404, "ORDER_NOT_EXIST", "订单不存在", ORDER_NOT_FOUND)
    _expire(box, order)
    return order


def check_sub(call: PayCall, sub: str) -> str:
    """Return a sub-merchant's number, which must be one of the provider's."""
    if not sub:
        raise schema.param_error("/sub_mchid", "", "缺少必填参数", SUB_MISSING)
    if sub == call.merchant.mchid:
        message = "特约商户号不能与服务商商户号相同"
        raise schema.param_error("/sub_mchid", sub, message, SUB_IS_OWN)
    if sub not in call.merchant.sub_mchids:
        raise PayError(403, "NO_AUTH", "服务商与特约商户关系不存在", NO_RELATION)
    return sub


def sub_of(order: dict[str, Any]) -> str:
    """Return the sub-merchant of an order, "" if the merchant is its own."""
    return order["request"].get("partner", {}).get("sub_mchid", "")


def check_side(order: dict[str, Any], sub: str) -> dict[str, Any]:
    """Refuse an order of another sub-merchant, or of the other mode."""
    if sub_of(order) != sub:
        field, number = (
            ("/sub_mchid", SUB_MISMATCH) if sub else ("/mchid", MCHID_MISMATCH)
        )
        raise schema.param_error(field, sub, "商户号与订单不匹配", number)
    return order


def find_own(call: PayCall, sub: str = "") -> dict[str, Any]:
    """Return the order that the address names."""
    number = call.params["out_trade_no"]
    return check_side(find_order(call.box, call.merchant.mchid, number), sub)


def find_transaction(call: PayCall, sub: str = "") -> dict[str, Any]:
    """Return the order whose transaction the address names."""
    key = call.box.state.transactions.get(call.params["transaction_id"])
    order = call.box.state.orders.get(key) if key else None
    if order is None or order["mchid"] != call.merchant.mchid:
        raise PayError(404, "ORDER_NOT_EXIST", "订单不存在", ORDER_NOT_FOUND)
    return check_side(order, sub)


def check_may_collect(merchant: "Merchant") -> None:
    """Refuse a merchant whom WeChat lets collect nothing."""
    if merchant.blocked == "disabled":
        raise PayError(403, "NO_AUTH", "商户号已被停用", DISABLED)
    if merchant.blocked == "restricted":
        raise PayError(403, "RULE_LIMIT", "商户收款功能受限", RESTRICTED)


def _expire(box: "Sandbox", order: dict[str, Any]) -> None:
    """An order that nobody paid in time closes by itself."""
    if order["trade_state"] == "NOTPAY" and box.clock.now() > order["expires"]:
        order["trade_state"] = "CLOSED"
        order["expired"] = True


def check_notify_url(url: str) -> None:
    """A full address with a path and without a query."""
    parts = urlsplit(url)
    good = parts.scheme in ("http", "https") and parts.hostname and parts.path
    if not good or parts.query or parts.fragment:
        raise schema.param_error("/notify_url", url, "通知地址不合法")


def _check_order(call: PayCall) -> float:
    """Check what the schema cannot; return when the order expires."""
    data = call.data
    call.own_mchid(data["mchid"])
    check_may_collect(call.merchant)
    if data["appid"] not in call.merchant.appids:
        message = "appid和mch_id不匹配"
        raise PayError(400, "APPID_MCHID_NOT_MATCH", message, APPID_MISMATCH)
    check_notify_url(data["notify_url"])
    now = call.box.clock.now()
    if "time_expire" not in data:
        return now + DEFAULT_LIFE
    expires = schema.parse_time(data["time_expire"])
    known = order_key(data["mchid"], data["out_trade_no"]) in call.box.state.orders
    if not known and expires < now + MIN_LIFE:
        raise schema.param_error(
            "/time_expire", data["time_expire"], "交易结束时间太早"
        )
    return expires


def _place(call: PayCall, trade_type: str) -> dict[str, Any]:
    """Make an order, or enter one again with the same parameters.

    The same number with other parameters is 268498688; paid, closed and expired orders
    are refused.
    """
    expires = _check_order(call)
    box, data = call.box, call.data
    key = order_key(data["mchid"], data["out_trade_no"])
    order = box.state.orders.get(key)
    if order is None:
        order = _new_order(call, trade_type, expires)
        box.state.orders[key] = order
        return order
    _expire(box, order)
    if order["trade_state"] in PAID:
        raise PayError(400, "ORDERPAID", "该订单已支付", ORDER_PAID)
    if order.get("expired"):
        raise PayError(400, "ORDER_CLOSED", "订单已失效", ORDER_EXPIRED)
    if order["trade_state"] == "CLOSED":
        raise PayError(400, "ORDER_CLOSED", "订单已关闭", ORDER_EXPIRED)
    if order["request"] != data or order["trade_type"] != trade_type:
        raise other_parameters()
    _renew(box, order)
    return order


def other_parameters() -> PayError:
    """The number is known with other parameters."""
    message = "请求重入时，参数与首次请求时不一致"
    return PayError(400, "INVALID_REQUEST", message, OTHER_PARAMETERS)


def _renew(box: "Sandbox", order: dict[str, Any]) -> None:
    """Give an order entered again a new prepay_id; a dead code_url is replaced too."""
    now = box.clock.now()
    order["prepay_id"] = _prepay_id(box)
    if order["link_expires"] < now:
        order["code_url"] = _code_url(box)
    order["link_expires"] = now + _link_life(order["trade_type"])


def _link_life(trade_type: str) -> int:
    return H5_LIFE if trade_type == "MWEB" else LINK_LIFE


def _code_url(box: "Sandbox") -> str:
    return f"weixin://wxpay/bizpayurl?pr={box.state.random_text(9)}"


def _prepay_id(box: "Sandbox") -> str:
    moment = beijing(box.clock.now()).strftime("%d%H%M%S")
    return f"wx{moment}{box.state.random_text(26, '0123456789abcdef')}"


def _new_order(call: PayCall, trade_type: str, expires: float) -> dict[str, Any]:
    box = call.box
    return {
        "mchid": call.merchant.mchid,
        "out_trade_no": call.data["out_trade_no"],
        "trade_type": trade_type,
        "trade_state": "NOTPAY",
        "request": call.data,
        "prepay_id": _prepay_id(box),
        "code_url": _code_url(box),
        "created": box.clock.now(),
        "expires": expires,
        "link_expires": box.clock.now() + _link_life(trade_type),
        "transaction_id": "",
    }


@route("POST", "/v3/pay/transactions/native", NATIVE)
def native(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/pay/transactions/native"""
    return 200, {"code_url": _place(call, "NATIVE")["code_url"]}


@route("POST", "/v3/pay/transactions/jsapi", JSAPI)
def jsapi(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/pay/transactions/jsapi"""
    return place_jsapi(call, call.data["appid"])


def place_jsapi(call: PayCall, appid: str) -> Reply:
    """Place an order for a person who is known to ``appid``."""
    openid = call.data["payer"].get("openid")
    if not openid:
        raise schema.param_error("/payer/openid", "", "缺少openid", OPENID_MISSING)
    user = call.box.state.users.get(openid)
    if user is None or (user.appid and user.appid != appid):
        raise schema.param_error("/payer/openid", openid, "appid和openid不匹配")
    return 200, {"prepay_id": _place(call, "JSAPI")["prepay_id"]}


@route("POST", "/v3/pay/transactions/app", APP)
def app(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/pay/transactions/app"""
    return 200, {"prepay_id": _place(call, "APP")["prepay_id"]}


@route("POST", "/v3/pay/transactions/h5", H5)
def h5(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/pay/transactions/h5"""
    number = _place(call, "MWEB")["prepay_id"]
    package = call.box.state.random_digits(10)
    return 200, {"h5_url": f"{H5_PAGE}?prepay_id={number}&package={package}"}


def show_order(order: dict[str, Any]) -> dict[str, Any]:
    """Return an order as the query and the notification show it."""
    request = order["request"]
    shown: dict[str, Any] = {
        **_parties(order),
        "out_trade_no": order["out_trade_no"],
        "trade_state": order["trade_state"],
        "trade_state_desc": STATES[order["trade_state"]],
        "amount": {"total": request["amount"]["total"], "currency": "CNY"},
    }
    if order["trade_type"] == "MICROPAY":
        shown["trade_type"] = "MICROPAY"
    if "attach" in request:
        shown["attach"] = request["attach"]
    device = request.get("scene_info", {}).get("device_id")
    if device:
        shown["scene_info"] = {"device_id": device}
    if not order["transaction_id"]:
        return shown
    shown.update(
        transaction_id=order["transaction_id"],
        trade_type=order["trade_type"],
        bank_type=order["bank_type"],
        success_time=rfc3339(order["paid_at"]),
        payer=_payer(order),
    )
    shown["amount"].update(payer_total=order["payer_total"], payer_currency="CNY")
    if order["promotion_detail"]:
        shown["promotion_detail"] = order["promotion_detail"]
    return shown


def _parties(order: dict[str, Any]) -> dict[str, str]:
    """Return who collects, in the words of the order's mode."""
    appid, mchid = order["request"]["appid"], order["mchid"]
    partner = order["request"].get("partner")
    if partner:
        return {"sp_appid": appid, "sp_mchid": mchid, **partner}
    return {"appid": appid, "mchid": mchid}


def _payer(order: dict[str, Any]) -> dict[str, str]:
    openid, partner = order["openid"], order["request"].get("partner")
    if not partner:
        return {"openid": openid}
    names = ["sp_openid", "sub_openid"] if "sub_appid" in partner else ["sp_openid"]
    return dict.fromkeys(names, openid)


@route("GET", "/v3/pay/transactions/out-trade-no/{out_trade_no}")
def query_by_number(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/pay/transactions/out-trade-no/{out_trade_no}"""
    call.own_mchid(call.need_query("mchid"), "mchid")
    return 200, show_order(find_own(call))


@route("GET", "/v3/pay/transactions/id/{transaction_id}")
def query_by_id(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/pay/transactions/id/{transaction_id}"""
    call.own_mchid(call.need_query("mchid"), "mchid")
    return 200, show_order(find_transaction(call))


@route("POST", "/v3/pay/transactions/out-trade-no/{out_trade_no}/close", CLOSE)
def close(call: PayCall) -> Reply:
    """Close an unpaid order; again is fine.

    WeChat docs: POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close
    """
    call.own_mchid(call.data["mchid"])
    order = find_own(call, call.data.get("partner", {}).get("sub_mchid", ""))
    if order["trade_type"] == "MICROPAY":
        message = "当前交易不允许进行普通关单(只能撤销)"
        raise PayError(400, "INVALID_REQUEST", message, ONLY_REVERSE)
    if order["trade_state"] in PAID:
        raise PayError(400, "ORDER_PAID", "该订单已支付", ORDER_PAID)
    order["trade_state"] = "CLOSED"
    return 204, None


# -- the customer's side ----------------------------------------------------------
def pay_order(
    box: "Sandbox", order: dict[str, Any], values: dict[str, Any]
) -> dict[str, Any]:
    """The customer pays: NOTPAY becomes SUCCESS and the merchant is told.

    :param values: openid, bank_type, promotion_detail, notify (default true)
    """
    _expire(box, order)
    if order["trade_state"] != "NOTPAY":
        raise ControlError(f"the order is {order['trade_state']}", 409)
    if box.clock.now() > order["link_expires"]:
        raise ControlError("the prepay_id has expired", 409)
    openid = order["request"].get("payer", {}).get("openid") or values.get("openid")
    promotions = values.get("promotion_detail")
    if promotions is not None:
        promotions = pay_vouchers.given(promotions, order)
    take_money(box, order, openid or "", promotions, values.get("bank_type"))
    merchant = box.state.merchants[order["mchid"]]
    if values.get("notify", True):
        notify_paid(box, merchant, order)
    return order


def take_money(
    box: "Sandbox",
    order: dict[str, Any],
    openid: str,
    promotions: list[dict[str, Any]] | None = None,
    bank_type: Any = None,
) -> None:
    """Make an order SUCCESS; without ``promotions`` the person's vouchers are used."""
    openid = openid or "o" + box.state.random_text(27)
    if promotions is None:
        bank = str(bank_type or "OTHERS")
        promotions = pay_vouchers.spend(box, openid, order, bank)
    total = order["request"]["amount"]["total"]
    number = "4200" + box.state.random_digits(24)
    order.update(
        trade_state="SUCCESS",
        transaction_id=number,
        paid_at=box.clock.now(),
        openid=openid,
        bank_type=str(bank_type or "OTHERS"),
        payer_total=total - sum(item["amount"] for item in promotions),
        settlement_total=total - pay_vouchers.sum_of(promotions, "NOCASH"),
        promotion_detail=promotions,
    )
    box.state.transactions[number] = order_key(order["mchid"], order["out_trade_no"])
    pay_vouchers.tell_used(box, order)
    box.state.touch()


def notify_paid(box: "Sandbox", merchant: "Merchant", order: dict[str, Any]) -> None:
    """Send TRANSACTION.SUCCESS to the order's notify_url."""
    box.pay.notify(
        merchant,
        order["request"]["notify_url"],
        "TRANSACTION.SUCCESS",
        "transaction",
        show_order(order),
        summary="支付成功",
    )
