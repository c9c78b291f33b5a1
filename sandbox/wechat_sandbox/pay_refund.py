"""Refunds.  A number is one refund for ever; vouchers are refunded in proportion.

WeChat docs: POST /v3/refund/domestic/refunds,
GET /v3/refund/domestic/refunds/{out_refund_no},
POST /v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund.
"""

from typing import TYPE_CHECKING, Any

from . import pay_schema as schema
from . import pay_transactions as orders
from . import pay_vouchers
from .clock import rfc3339
from .errors import ControlError, PayError
from .pay_core import NOT_FOUND, RATE_LIMIT, PayCall, Reply, route

if TYPE_CHECKING:
    from .sandbox import Sandbox

MAX_REFUNDS = 50
MAX_AGE = 365 * 86400
OUT_REFUND_NO = r"[0-9A-Za-z_\-|*@]{1,64}"
ENDS = ("SUCCESS", "ABNORMAL", "CLOSED")

_ACCOUNT = schema.string(32, required=True, choices=("AVAILABLE", "UNAVAILABLE"))
REFUND = schema.group(
    required=True,
    sub_mchid=schema.string(32),
    transaction_id=schema.string(32),
    out_trade_no=schema.string(32, low=6),
    out_refund_no=schema.string(64, required=True, pattern=OUT_REFUND_NO),
    reason=schema.string(80),
    notify_url=schema.string(256),
    funds_account=schema.string(32, choices=("AVAILABLE",)),
    amount=schema.group(
        required=True,
        refund=schema.integer(required=True, low=1),
        total=schema.integer(required=True, low=1),
        currency=schema.string(16, required=True, choices=("CNY",)),
        **{
            "from": schema.array(
                schema.group(
                    account=_ACCOUNT, amount=schema.integer(required=True, low=1)
                )
            )
        },
    ),
    goods_detail=schema.array(
        schema.group(
            merchant_goods_id=schema.string(32, required=True),
            wechatpay_goods_id=schema.string(32),
            goods_name=schema.string(256),
            unit_price=schema.integer(required=True, low=0),
            refund_amount=schema.integer(required=True, low=0),
            refund_quantity=schema.integer(required=True, low=1),
        )
    ),
)
ABNORMAL = schema.group(
    required=True,
    sub_mchid=schema.string(32),
    out_refund_no=schema.string(64, required=True, pattern=OUT_REFUND_NO),
    type=schema.string(
        32, required=True, choices=("USER_BANK_CARD", "MERCHANT_BANK_CARD")
    ),
    bank_type=schema.string(16),
    bank_account=schema.string(1024),
    real_name=schema.string(1024),
)


def refunds_of(box: "Sandbox", order: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an order's refunds that took place or may still do so."""
    found = [box.state.refunds[key] for key in order.get("refunds", [])]
    return [refund for refund in found if refund["status"] != "CLOSED"]


def _invalid(message: str) -> PayError:
    return PayError(400, "INVALID_REQUEST", message, schema.BAD_PARAM)


def _find_order(call: PayCall) -> dict[str, Any]:
    """Return the order that the refund names by one number or by both."""
    data, state = call.data, call.box.state
    number, own = data.get("transaction_id"), data.get("out_trade_no")
    if not number and not own:
        raise schema.param_error("/out_trade_no", "", "缺少必填参数")
    mchid = call.merchant.mchid
    key = orders.order_key(mchid, own) if own else ""
    if number:
        by_id = state.transactions.get(number, "")
        if own and by_id != key:
            raise _invalid("微信支付订单号与商户订单号不一致")
        key = by_id
    order = state.orders.get(key)
    if order is None or order["mchid"] != mchid:
        raise PayError(404, "RESOURCE_NOT_EXISTS", "订单不存在", NOT_FOUND)
    return order


def _check(box: "Sandbox", order: dict[str, Any], data: dict[str, Any]) -> None:
    """Refuse a refund that the order does not allow."""
    now, amount = box.clock.now(), data["amount"]
    if order["trade_state"] not in orders.PAID:
        raise _invalid("订单状态错误，不允许退款")
    if amount["total"] != order["request"]["amount"]["total"]:
        raise _invalid("订单金额不一致，请核实后再试")
    if now > order["paid_at"] + MAX_AGE:
        raise _invalid("订单已经超过可退款的最大期限")
    before = refunds_of(box, order)
    if sum(item["refund"] for item in before) + amount["refund"] > amount["total"]:
        raise _invalid("累计退款金额大于支付金额")
    if len(before) >= MAX_REFUNDS:
        raise _invalid("订单部分退款次数超限")
    gap = box.state.settings["refund_gap_seconds"]
    if before and now < before[-1]["created"] + gap:
        message = "部分退款频率过高，请间隔1分钟后再试"
        raise PayError(429, "FREQUENCY_LIMITED", message, RATE_LIMIT)
    parts = amount.get("from")
    if parts and sum(item["amount"] for item in parts) != amount["refund"]:
        raise schema.param_error("/amount/from", "", "出资金额之和不等于退款金额")


def _share(part: int, order_total: int, before: int, refund: int) -> int:
    """Return the share of ``part`` in a refund; all shares add up to ``part``."""

    def upto(amount: int) -> int:
        return (2 * part * amount + order_total) // (2 * order_total)

    return upto(before + refund) - upto(before)


def _promotions(
    box: "Sandbox", order: dict[str, Any], refund: int
) -> list[dict[str, Any]]:
    """Share a refund among the vouchers; their types have other names here."""
    total = order["request"]["amount"]["total"]
    before = sum(item["refund"] for item in refunds_of(box, order))
    rows = []
    for item in order["promotion_detail"]:
        row = {
            "promotion_id": item["coupon_id"],
            "scope": item.get("scope", "GLOBAL"),
            "type": "COUPON" if item["type"] == "CASH" else "DISCOUNT",
            "amount": item["amount"],
            "refund_amount": _share(item["amount"], total, before, refund),
        }
        rows.append(row)
    return rows


def new_refund(
    box: "Sandbox", order: dict[str, Any], number: str, refund: int, request: dict
) -> dict[str, Any]:
    """Book a refund as PROCESSING; the order turns to REFUND."""
    promotions = _promotions(box, order, refund)
    free = sum(p["refund_amount"] for p in promotions if p["type"] == "DISCOUNT")
    record = {
        "mchid": order["mchid"],
        "out_trade_no": order["out_trade_no"],
        "out_refund_no": number,
        "refund_id": "503" + box.state.random_digits(26),
        "status": "PROCESSING",
        "refund": refund,
        "settlement_refund": refund - free,
        "discount_refund": sum(item["refund_amount"] for item in promotions),
        "coupon_refund": sum(item["refund_amount"] for item in promotions) - free,
        "promotion_detail": promotions,
        "created": box.clock.now(),
        "success_at": None,
        "request": request,
    }
    key = orders.order_key(order["mchid"], number)
    box.state.refunds[key] = record
    box.state.refund_ids[record["refund_id"]] = key
    order.setdefault("refunds", []).append(key)
    order["trade_state"] = "REFUND"
    box.state.touch()
    return record


def show(box: "Sandbox", record: dict[str, Any]) -> dict[str, Any]:
    """Return a refund as the call and the query show it."""
    order = order_of(box, record)
    request = record["request"]
    shown = {
        "refund_id": record["refund_id"],
        "out_refund_no": record["out_refund_no"],
        "transaction_id": order["transaction_id"],
        "out_trade_no": order["out_trade_no"],
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": rfc3339(record["created"]),
        "status": record["status"],
        "funds_account": request.get("funds_account", "AVAILABLE"),
        "amount": {
            "total": order["request"]["amount"]["total"],
            "refund": record["refund"],
            "from": request.get("amount", {}).get("from", []),
            "payer_total": order["payer_total"],
            "payer_refund": record["refund"] - record["discount_refund"],
            "settlement_refund": record["settlement_refund"],
            "settlement_total": order["settlement_total"],
            "discount_refund": record["discount_refund"],
            "currency": "CNY",
        },
    }
    if record["success_at"]:
        shown["success_time"] = rfc3339(record["success_at"])
    if record["promotion_detail"]:
        shown["promotion_detail"] = record["promotion_detail"]
    return shown


def order_of(box: "Sandbox", record: dict[str, Any]) -> dict[str, Any]:
    key = orders.order_key(record["mchid"], record["out_trade_no"])
    return box.state.orders[key]


def _check_side(call: PayCall, order: dict[str, Any], sub: str) -> None:
    """A provider says for whom it asks; a merchant has nobody to name."""
    if sub or orders.sub_of(order):
        orders.check_sub(call, sub)
    orders.check_side(order, sub)


@route("POST", "/v3/refund/domestic/refunds", REFUND)
def refund(call: PayCall) -> Reply:
    """Refund; the same number answers the refund that there is.

    WeChat docs: POST /v3/refund/domestic/refunds
    """
    box, data = call.box, call.data
    if "notify_url" in data:
        orders.check_notify_url(data["notify_url"])
    order = _find_order(call)
    _check_side(call, order, data.get("sub_mchid", ""))
    number = data["out_refund_no"]
    record = box.state.refunds.get(orders.order_key(call.merchant.mchid, number))
    if record is not None:
        same = order_of(box, record) is order
        if not same or record["request"].get("amount") != data["amount"]:
            raise _invalid("订单金额或退款金额与之前请求不一致，请核实后再试")
        return 200, show(box, record)
    _check(box, order, data)
    record = new_refund(box, order, number, data["amount"]["refund"], data)
    answer = show(box, record)
    if box.state.settings["auto_refund"]:
        finish(box, record, "SUCCESS")
    return 200, answer


@route("GET", "/v3/refund/domestic/refunds/{out_refund_no}")
def query_refund(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/refund/domestic/refunds/{out_refund_no}"""
    key = orders.order_key(call.merchant.mchid, call.params["out_refund_no"])
    record = call.box.state.refunds.get(key)
    if record is None:
        raise PayError(404, "RESOURCE_NOT_EXISTS", "退款单不存在", NOT_FOUND)
    _check_side(call, order_of(call.box, record), call.query.get("sub_mchid", ""))
    return 200, show(call.box, record)


@route(
    "POST", "/v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund", ABNORMAL
)
def abnormal(call: PayCall) -> Reply:
    """Send an abnormal refund to a bank account instead.

    WeChat docs: POST /v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund
    """
    box, data = call.box, call.data
    key = box.state.refund_ids.get(call.params["refund_id"], "")
    record = box.state.refunds.get(key)
    if (
        key != orders.order_key(call.merchant.mchid, data["out_refund_no"])
        or not record
    ):
        raise PayError(404, "RESOURCE_NOT_EXISTS", "退款单不存在", NOT_FOUND)
    _check_side(call, order_of(box, record), data.get("sub_mchid", ""))
    if record["status"] != "ABNORMAL":
        raise _invalid("退款单状态不是退款异常")
    if data["type"] == "USER_BANK_CARD" and not data.get("bank_account"):
        raise schema.param_error("/bank_account", "", "缺少必填参数")
    record["status"] = "PROCESSING"
    return 200, show(box, record)


# -- what WeChat decides ----------------------------------------------------------
def finish(
    box: "Sandbox", record: dict[str, Any], status: str, notify: bool = True
) -> None:
    """End a refund and tell the merchant; a closed one gives its amount free again."""
    if status not in ENDS:
        raise ControlError(f"status must be one of {', '.join(ENDS)}")
    if record["status"] != "PROCESSING":
        raise ControlError(f"the refund is {record['status']}", 409)
    record["status"] = status
    if status == "SUCCESS":
        record["success_at"] = box.clock.now()
    order = order_of(box, record)
    if order["trade_state"] == "REFUND" and not refunds_of(box, order):
        order["trade_state"] = "SUCCESS"
    if status == "SUCCESS":
        _return_vouchers(box, order, record)
    box.state.touch()
    if notify:
        notify_refund(box, record)


def _return_vouchers(
    box: "Sandbox", order: dict[str, Any], record: dict[str, Any]
) -> None:
    """Give the vouchers back once the whole order is paid back."""
    done = [r for r in refunds_of(box, order) if r["status"] == "SUCCESS"]
    if sum(item["refund"] for item in done) == order["request"]["amount"]["total"]:
        pay_vouchers.give_back(box, order, record)


def notify_refund(box: "Sandbox", record: dict[str, Any]) -> None:
    """Send REFUND.SUCCESS, REFUND.ABNORMAL or REFUND.CLOSED."""
    merchant = box.state.merchants[record["mchid"]]
    shown = show(box, record)
    names = ("out_trade_no", "transaction_id", "out_refund_no", "refund_id")
    amounts = ("total", "refund", "payer_total", "payer_refund")
    sub = orders.sub_of(order_of(box, record))
    own = {"sp_mchid": record["mchid"], "sub_mchid": sub}
    resource = {
        **(own if sub else {"mchid": record["mchid"]}),
        **{name: shown[name] for name in names},
        "refund_status": record["status"],
        "user_received_account": shown["user_received_account"],
        "amount": {name: shown["amount"][name] for name in amounts},
    }
    if "success_time" in shown:
        resource["success_time"] = shown["success_time"]
    url = record["request"].get("notify_url") or merchant.notify_url
    texts = {"SUCCESS": "退款成功", "ABNORMAL": "退款异常", "CLOSED": "退款关闭"}
    box.pay.notify(
        merchant,
        url,
        f"REFUND.{record['status']}",
        "refund",
        resource,
        summary=texts[record["status"]],
    )


def refund_reversed(box: "Sandbox", order: dict[str, Any]) -> None:
    """A reversal pays everything back at once and tells nobody."""
    total = order["request"]["amount"]["total"]
    number = f"{order['out_trade_no']}@reverse"
    record = new_refund(box, order, number, total, {})
    record.update(status="SUCCESS", success_at=box.clock.now())
    _return_vouchers(box, order, record)
