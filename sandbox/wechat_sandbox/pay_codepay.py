"""Payment by code: the customer shows it, the till sends it.

WeChat docs: POST /v3/pay/transactions/codepay,
POST /v3/pay/transactions/out-trade-no/{out_trade_no}/reverse.

An order keeps only a digest of the payment code.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from . import pay_refund
from . import pay_schema as schema
from . import pay_transactions as orders
from .clock import beijing
from .errors import ControlError, PayError
from .pay_core import PayCall, Reply, route

if TYPE_CHECKING:
    from .sandbox import Sandbox

CODE_LIFE = 60
CODE = r"1[0-5]\d{16}"
#: Above this amount (fen) the password is always asked for; see also the setting
#: ``free_payments``.
FREE_AMOUNT = 100000
REVERSE_DAYS = 7
PASSWORD = "123456"  # noqa: S105  (nothing here is secret)

CODEPAY = schema.group(
    required=True,
    appid=schema.string(32, required=True),
    mchid=schema.string(32, required=True),
    description=schema.string(127, required=True),
    out_trade_no=schema.string(32, True, low=6, pattern=orders.OUT_TRADE_NO),
    attach=schema.string(128),
    goods_tag=schema.string(32),
    support_fapiao=schema.boolean(),
    settle_info=schema.group(profit_sharing=schema.boolean()),
    payer=schema.group(required=True, auth_code=schema.string(32, required=True)),
    amount=schema.group(
        required=True,
        total=schema.integer(required=True, low=1),
        currency=schema.string(16, choices=("CNY",)),
    ),
    scene_info=schema.group(
        required=True,
        device_id=schema.string(32),
        device_ip=schema.string(45),
        store_info=schema.group(
            required=True, id=schema.string(32), out_id=schema.string(256)
        ),
    ),
    detail=schema.group(
        cost_price=schema.integer(low=0),
        invoice_id=schema.string(32),
        goods_detail=schema.array(
            schema.group(
                merchant_goods_id=schema.string(32, required=True),
                wxpay_goods_id=schema.string(32),
                goods_name=schema.string(256),
                quantity=schema.integer(required=True, low=1),
                unit_price=schema.integer(required=True, low=0),
            ),
            required=True,
        ),
    ),
)
REVERSE = schema.group(
    required=True,
    appid=schema.string(32, required=True),
    mchid=schema.string(32, required=True),
)


# -- the code on the phone --------------------------------------------------------
def current_code(box: "Sandbox", openid: str, new: bool = False) -> dict[str, Any]:
    """Return the code that the phone shows: each minute and after use another one."""
    person = box.state.payers.setdefault(openid, {})
    entry = box.state.pay_codes.get(person.get("code", ""))
    if entry and not new and not entry["order"] and _alive(box, entry):
        return entry
    code = "1" + box.state.random_text(1, "012345") + box.state.random_digits(16)
    entry = {
        "auth_code": code,
        "openid": openid,
        "expires": box.clock.now() + CODE_LIFE,
        "order": "",
    }
    person["code"] = code
    box.state.pay_codes[code] = entry
    box.state.touch()
    return entry


def _alive(box: "Sandbox", entry: dict[str, Any]) -> bool:
    return box.clock.now() <= entry["expires"]


def digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


class CodeError(Exception):
    """A payment code that cannot be charged."""


def charge(box: "Sandbox", order: dict[str, Any], code: str) -> None:
    """Charge a code: the order becomes SUCCESS or USERPAYING.

    :raise CodeError: with the reason, in WeChat's language
    """
    entry = box.state.pay_codes.get(code)
    if entry is None or entry["expires"] < box.clock.now():
        raise CodeError("付款码无效或已过期，请刷新付款码后重新扫码")
    key = orders.order_key(order["mchid"], order["out_trade_no"])
    if entry["order"]:
        raise CodeError("101 每个二维码仅限使用一次，请刷新再试")
    entry["order"] = key
    order["openid"] = entry["openid"]
    box.state.orders[key] = order
    if _asks_password(box, entry["openid"], order):
        order["trade_state"] = "USERPAYING"
        box.state.touch()
        return
    orders.take_money(box, order, entry["openid"])


def _asks_password(box: "Sandbox", openid: str, order: dict[str, Any]) -> bool:
    if order["request"]["amount"]["total"] > FREE_AMOUNT:
        return True
    person = box.state.payers[openid]
    if person.get("ask_password"):
        person["ask_password"] -= 1
        return True
    return box.state.settings["ask_password"] or not _is_free(box, person)


def _is_free(box: "Sandbox", person: dict[str, Any]) -> bool:
    """Count a payment without a password, of which a day has only so many."""
    today = beijing(box.clock.now()).strftime("%Y-%m-%d")
    if person.get("free_day") != today:
        person.update(free_day=today, free_count=0)
    limit = box.state.settings["free_payments"]
    if limit is not None and person["free_count"] >= limit:
        return False
    person["free_count"] += 1
    return True


def enter_password(box: "Sandbox", order: dict[str, Any], result: str) -> None:
    """The customer answers: right, wrong (asks again) or cancel."""
    if result not in ("right", "wrong", "cancel"):
        raise ControlError("result must be right, wrong or cancel")
    if order["trade_state"] != "USERPAYING":
        raise ControlError(f"the order is {order['trade_state']}", 409)
    if result == "right":
        orders.take_money(box, order, order["openid"])
    elif result == "cancel":
        order["trade_state"] = "PAYERROR"
        box.state.touch()


def new_order(
    box: "Sandbox", mchid: str, request: dict[str, Any], code: str
) -> dict[str, Any]:
    return {
        "mchid": mchid,
        "out_trade_no": request["out_trade_no"],
        "trade_type": "MICROPAY",
        "trade_state": "NOTPAY",
        "request": request,
        "prepay_id": "",
        "code_url": "",
        "created": box.clock.now(),
        "expires": box.clock.now() + orders.DEFAULT_LIFE,
        "link_expires": 0,
        "transaction_id": "",
        "code_digest": digest(code),
    }


# -- Pay v3 --------------------------------------------------------
@route("POST", "/v3/pay/transactions/codepay", CODEPAY)
def codepay(call: PayCall) -> Reply:
    """Charge a payment code: 200 when paid, 202 when the password is asked for.

    WeChat docs: POST /v3/pay/transactions/codepay
    """
    data = {name: value for name, value in call.data.items() if name != "payer"}
    code = call.data["payer"]["auth_code"]
    call.own_mchid(data["mchid"])
    orders.check_may_collect(call.merchant)
    if data["appid"] not in call.merchant.appids:
        message = "appid和mch_id不匹配"
        raise PayError(400, "APPID_MCHID_NOT_MATCH", message, orders.APPID_MISMATCH)
    store = data["scene_info"]["store_info"]
    if not store.get("id") and not store.get("out_id"):
        raise schema.param_error("/scene_info/store_info/id", "", "缺少必填参数")
    box = call.box
    key = orders.order_key(call.merchant.mchid, data["out_trade_no"])
    order = box.state.orders.get(key)
    if order is not None:
        _check_again(order, data, code)
    else:
        _check_code(code)
        order = new_order(box, call.merchant.mchid, data, code)
        try:
            charge(box, order, code)
        except CodeError as error:
            raise code_error(str(error)) from None
    if order["trade_state"] == "USERPAYING":
        return 202, {"trade_state": "USERPAYING"}
    return 200, orders.show_order(order)


def _check_code(code: str) -> None:
    if not schema.matches(CODE, code):
        raise code_error("付款码格式错误")


def code_error(message: str) -> PayError:
    return PayError(400, "AUTH_CODE_INVALID", message, schema.BAD_PARAM)


def _check_again(order: dict[str, Any], data: dict[str, Any], code: str) -> None:
    """Let the same call in again while the password is awaited; refuse the rest."""
    if order["trade_type"] != "MICROPAY":
        raise orders.other_parameters()
    if order["code_digest"] != digest(code):
        raise code_error("101 每个二维码仅限使用一次，请刷新再试")
    if order["request"] != data:
        raise orders.other_parameters()
    if order["trade_state"] in orders.PAID:
        raise PayError(400, "ORDERPAID", "该订单已支付", orders.ORDER_PAID)
    if order["trade_state"] != "USERPAYING":
        raise PayError(400, "ORDER_CLOSED", "订单已关闭", orders.ORDER_EXPIRED)


@route("POST", "/v3/pay/transactions/out-trade-no/{out_trade_no}/reverse", REVERSE)
def reverse(call: PayCall) -> Reply:
    """Close an unpaid payment by code, refund a paid one; again is fine.

    WeChat docs: POST /v3/pay/transactions/out-trade-no/{out_trade_no}/reverse
    """
    call.own_mchid(call.data["mchid"])
    box, number = call.box, call.params["out_trade_no"]
    order = orders.find_own(call, call.data.get("partner", {}).get("sub_mchid", ""))
    if order["request"]["appid"] != call.data["appid"]:
        message = "appid和mch_id不匹配"
        raise PayError(400, "APPID_MCHID_NOT_MATCH", message, orders.APPID_MISMATCH)
    problem = reverse_order(box, order)
    if problem:
        raise PayError(400, "INVALID_REQUEST", problem, schema.BAD_PARAM)
    return 200, {**call.data, "out_trade_no": number}


def reverse_order(box: "Sandbox", order: dict[str, Any]) -> str:
    """Reverse an order; return why not, "" when it is done."""
    if order["trade_type"] != "MICROPAY":
        return "当前交易不是付款码支付，不允许撤销"
    if order["trade_state"] == "REVOKED":
        return ""
    if order["trade_state"] == "REFUND":
        return "订单已转入退款，不允许撤销"
    if box.clock.now() > order["created"] + REVERSE_DAYS * 86400:
        return "订单已超过7天，不允许撤销"
    if order["trade_state"] == "SUCCESS":
        pay_refund.refund_reversed(box, order)
    order["trade_state"] = "REVOKED"
    box.state.touch()
    return ""
