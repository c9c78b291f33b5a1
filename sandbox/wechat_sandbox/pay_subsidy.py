"""营销补差: the creator of 商家券 pays the shop that took one.

WeChat docs: POST and GET /v3/marketing/busifavor/subsidy/pay-receipts,
GET …/pay-receipts/{subsidy_receipt_id}, POST …/return-receipts,
GET …/return-receipts/{subsidy_return_receipt_id}.

Contract 6.4: a call that is well-formed makes a receipt; whether money moved is what
the receipt says when it is queried.
"""

from typing import TYPE_CHECKING, Any

from . import pay_busifavor as stocks
from . import pay_busifavor_coupon as busifavor
from . import pay_busifavor_use as using
from . import pay_favor_money as money
from . import pay_marketing as common
from . import pay_refund
from . import pay_transactions as orders
from .clock import rfc3339
from .pay_busifavor import FAMILY, PATH
from .pay_busifavor_schema import SUBSIDY, SUBSIDY_RETURN
from .pay_core import PayCall, Reply, route

if TYPE_CHECKING:
    from .sandbox import Sandbox

#: So many paid receipts a coupon may have; that it is one is unconfirmed.
MAX_RECEIPTS = 1
_SAME = (
    *("stock_id", "coupon_code", "transaction_id", "payer_merchant"),
    *("payee_merchant", "amount", "description"),
)


def _order(call: PayCall) -> dict[str, Any]:
    number = call.data["transaction_id"]
    key = call.box.state.transactions.get(number, "")
    order = call.box.state.orders.get(key)
    if order is None:
        raise common.not_found("微信支付订单不存在")
    return order


def _worth(stock: dict[str, Any], order: dict[str, Any]) -> int:
    """Return what the coupon took off: the most that can be subsidised."""
    rule = stock["request"]["coupon_use_rule"]
    if "fixed_normal_coupon" in rule:
        return rule["fixed_normal_coupon"]["discount_amount"]
    percent = rule["discount_coupon"]["discount_percent"]
    total = order["request"]["amount"]["total"]
    return total * (100 - percent) // percent


def _check_parties(call: PayCall, stock: dict[str, Any]) -> None:
    """The payer made the stock or owns it; the payee owns it."""
    data = call.data
    if data["payer_merchant"] not in (stock["creator"], stock["belong"]):
        raise common.no_auth("营销补差扣款商户号不合法")
    if data["payee_merchant"] != stock["belong"]:
        raise common.no_auth("营销补差入账商户号不合法")


def _fail_reason(
    call: PayCall, stock: dict[str, Any], order: dict[str, Any]
) -> str | None:
    """Return the end of the ``fail_reason``, None when the money moves."""
    box, data = call.box, call.data
    paid = [
        entry
        for entry in receipts(box).values()
        if (entry["stock_id"], entry["coupon_code"])
        == (data["stock_id"], data["coupon_code"])
        and entry["status"] not in ("FAIL",)
    ]
    if not order["request"].get("settle_info", {}).get("profit_sharing"):
        return "NOT_INCOMESPLIT_ORDER"
    if len(paid) >= MAX_RECEIPTS:
        return "EXCEED_SUBSIDY_COUNT_QUOTA"
    if data["amount"] > _worth(stock, order):
        return "EXCEED_SUBSIDY_AMOUNT_QUOTA"
    if not money.can_pay(box, data["payer_merchant"], data["amount"]):
        return "INSUFFICIENT_BALANCE"
    return None


def receipts(box: "Sandbox") -> dict[str, dict[str, Any]]:
    return common.table(box, FAMILY, "receipts")


def returns(box: "Sandbox") -> dict[str, dict[str, Any]]:
    return common.table(box, FAMILY, "returns")


def _status(box: "Sandbox", kind: str, status: str) -> str:
    """Contract 6.4: the SDK's names have a prefix, those of the samples have none."""
    return f"{kind}_{status}" if box.state.settings["subsidy_prefix"] else status


def _show(box: "Sandbox", entry: dict[str, Any], status: str = "") -> dict[str, Any]:
    shown = {
        "subsidy_receipt_id": entry["id"],
        **{name: entry[name] for name in (*_SAME, "out_subsidy_no")},
        "status": _status(box, "PAY_RECEIPT", status or entry["status"]),
        "create_time": rfc3339(entry["created"]),
    }
    if not status and entry["status"] == "FAIL":
        shown["fail_reason"] = f"PAY_RECEIPT_{entry['reason']}"
    elif not status:
        shown["success_time"] = rfc3339(entry["created"])
    return shown


@route("POST", f"{PATH}/subsidy/pay-receipts", SUBSIDY)
def pay(call: PayCall) -> Reply:
    """Ask for the money; the answer says that it is accepted, not that it was paid.

    WeChat docs: POST /v3/marketing/busifavor/subsidy/pay-receipts
    """
    box, data = call.box, call.data
    coupon = using.find_coupon(call, data["stock_id"], data["coupon_code"])
    key = f"subsidy|{call.merchant.mchid}|{data['out_subsidy_no']}"
    known = common.replayed(box, FAMILY, key, data)
    if known:
        return 200, _show(box, receipts(box)[known])
    stock = busifavor.stock_of(box, coupon)
    _check_parties(call, stock)
    if "exchange_coupon" in stock["request"]["coupon_use_rule"]:
        raise common.invalid("换购券不支持营销补差")
    order = _order(call)
    if busifavor.state_of(box, coupon) != "USED":
        raise common.invalid("券未核销")
    if coupon.get("associate_out_trade_no") != order["out_trade_no"]:
        raise common.invalid("券未关联该订单")
    if order["trade_state"] not in orders.PAID:
        raise common.invalid("订单未支付")
    reason = _fail_reason(call, stock, order)
    entry = {
        "id": box.state.random_digits(24),
        **data,
        "status": "FAIL" if reason else "SUCCESS",
        "reason": reason,
        "created": box.clock.now(),
        "returned": 0,
    }
    receipts(box)[entry["id"]] = entry
    common.remember(box, FAMILY, key, data, entry["id"])
    return 200, _show(box, entry, "ACCEPTED")


def _own_receipt(call: PayCall, records: dict[str, Any], number: str) -> dict[str, Any]:
    stocks.check_onboarded(call)
    entry = records.get(number)
    if entry is None:
        raise common.not_found("补差单不存在")
    if not stocks.may_handle(call, stocks.stocks(call.box)[entry["stock_id"]]):
        raise common.no_auth()
    return entry


@route("GET", f"{PATH}/subsidy/pay-receipts/{{subsidy_receipt_id}}")
def get_receipt(call: PayCall) -> Reply:
    """WeChat docs: GET …/subsidy/pay-receipts/{subsidy_receipt_id}"""
    number = call.params["subsidy_receipt_id"]
    return 200, _show(call.box, _own_receipt(call, receipts(call.box), number))


@route("GET", f"{PATH}/subsidy/pay-receipts")
def list_receipts(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/busifavor/subsidy/pay-receipts"""
    wanted = {name: call.need_query(name) for name in ("stock_id", "coupon_code")}
    number = call.query.get("out_subsidy_no")
    using.find_coupon(call, **_finder(wanted))
    rows = [
        _show(call.box, entry)
        for entry in receipts(call.box).values()
        if all(entry[name] == value for name, value in wanted.items())
        and number in (None, entry["out_subsidy_no"])
    ]
    return 200, {"pay_receipt_list": rows}


def _finder(wanted: dict[str, str]) -> dict[str, str]:
    return {"stock_id": wanted["stock_id"], "code": wanted["coupon_code"]}


# -- giving back ------------------------------------------------------------------
def _show_return(
    box: "Sandbox", entry: dict[str, Any], status: str = ""
) -> dict[str, Any]:
    names = (*_SAME, "refund_id", "out_subsidy_return_no", "subsidy_receipt_id")
    shown = {
        "subsidy_return_receipt_id": entry["id"],
        **{name: entry[name] for name in names},
        "status": _status(box, "RETURN_RECEIPT", status or entry["status"]),
        "return_create_time": rfc3339(entry["created"]),
    }
    if not status:
        shown["return_done_time"] = rfc3339(entry["created"])
    return shown


def _paid_receipt(call: PayCall) -> dict[str, Any]:
    """Return the receipt that a return is about."""
    names = ("stock_id", "coupon_code", "transaction_id")
    names += ("payer_merchant", "payee_merchant")
    for entry in receipts(call.box).values():
        same = all(entry[name] == call.data[name] for name in names)
        if same and entry["status"] != "FAIL":
            return entry
    raise common.invalid("补差付款单不存在或未成功")


@route("POST", f"{PATH}/subsidy/return-receipts", SUBSIDY_RETURN)
def give_back(call: PayCall) -> Reply:
    """Give a subsidy back after a refund of the order.

    WeChat docs: POST /v3/marketing/busifavor/subsidy/return-receipts
    """
    box, data = call.box, call.data
    using.find_coupon(call, data["stock_id"], data["coupon_code"])
    key = f"subsidy_return|{call.merchant.mchid}|{data['out_subsidy_return_no']}"
    known = common.replayed(box, FAMILY, key, data)
    if known:
        return 200, _show_return(box, returns(box)[known])
    receipt = _paid_receipt(call)
    refund = box.state.refunds.get(box.state.refund_ids.get(data["refund_id"], ""))
    if refund is None or pay_refund.order_of(box, refund) is not _order(call):
        raise common.not_found("微信支付退款单不存在")
    if receipt["returned"] + data["amount"] > receipt["amount"]:
        raise common.invalid("回退总金额大于补差金额")
    receipt["returned"] += data["amount"]
    full = receipt["returned"] == receipt["amount"]
    receipt["status"] = "FULL_RETURN" if full else "PARTIAL_RETURN"
    entry = {
        "id": box.state.random_digits(24),
        **data,
        "subsidy_receipt_id": receipt["id"],
        "status": "SUCCESS",
        "created": box.clock.now(),
    }
    returns(box)[entry["id"]] = entry
    common.remember(box, FAMILY, key, data, entry["id"])
    return 200, _show_return(box, entry, "ACCEPTED")


@route("GET", f"{PATH}/subsidy/return-receipts/{{subsidy_return_receipt_id}}")
def get_return(call: PayCall) -> Reply:
    """WeChat docs: GET …/subsidy/return-receipts/{subsidy_return_receipt_id}"""
    number = call.params["subsidy_return_receipt_id"]
    return 200, _show_return(call.box, _own_receipt(call, returns(call.box), number))
