"""Using a person's product coupon for a payment, and giving it back.

WeChat docs: POST users/{openid}/coupons/{coupon_code}/use, /return.  Contracts §6.7.
"""

from typing import Any

from . import pay_product_schema as shape
from . import pay_schema as schema
from . import pay_transactions as orders
from . import product_wallet as wallet
from .clock import rfc3339
from .pay_core import Reply
from .pay_product import (
    BAD_BODY,
    BAD_STATE,
    BAD_STORE,
    EXPIRED,
    NOT_FOUND,
    NOT_NOW,
    Desk,
    bad,
    both,
    invalid,
    notify,
)
from .pay_product_rules import in_period
from .pay_product_user import COUPON, act, held, refuse


def _order(desk: Desk) -> dict[str, Any]:
    """Return what the coupon was used for: exactly one order, which is paid."""
    names = ("associated_order_info", "associated_pay_score_order_info")
    sent = [name for name in names if name in desk.data]
    if len(sent) != 1:
        raise bad("/associated_order_info", "", "订单信息必须且只能传入其中之一")
    info = desk.data[sent[0]]
    if sent[0] == names[0]:
        _payment(desk, info)
    else:
        _score_order(desk, info)
    return {sent[0]: info}


def _payment(desk: Desk, info: dict[str, Any]) -> None:
    where, state = "/associated_order_info", desk.box.state
    number, own = info.get("transaction_id"), info.get("out_trade_no")
    if not number and not own:
        raise bad(f"{where}/transaction_id", "", "缺少必填参数")
    if own and "mchid" not in info:
        raise bad(f"{where}/mchid", "", "传入out_trade_no时必填")
    key = orders.order_key(info.get("mchid", ""), own) if own else ""
    if number and own and state.transactions.get(number, "") != key:
        raise bad(f"{where}/transaction_id", number, "微信支付单号与商户订单号不一致")
    order = state.orders.get(key or state.transactions.get(number, ""))
    if order is None or info.get("mchid", order["mchid"]) != order["mchid"]:
        raise invalid("关联订单不存在", NOT_FOUND)
    sub = orders.sub_of(order)
    if info.get("sub_mchid", "" if own else sub) != sub:
        raise invalid("关联订单与子商户号不匹配", NOT_FOUND)
    if order["trade_state"] not in orders.PAID:
        raise invalid("关联订单未支付", BAD_BODY)


def _score_order(desk: Desk, info: dict[str, Any]) -> None:
    """Pay-score orders are made by the control API only."""
    where, table = "/associated_pay_score_order_info", desk.box.state.pay_score_orders
    if not info.get("order_id") and not (info.get("out_order_no") and "mchid" in info):
        raise bad(f"{where}/order_id", "", "缺少必填参数")
    for order in table.values():
        if all(order.get(name) == value for name, value in info.items()):
            if order["state"] != "DONE":
                raise invalid("关联订单未支付", BAD_BODY)
            return
    raise invalid("关联订单不存在", NOT_FOUND)


def _check_store(desk: Desk, stock: dict[str, Any]) -> None:
    """The shop must be the brand's, and in a SPECIFIC stock's list.

    Whether a SPECIFIC stock may be used without a shop is not documented: it may not.
    """
    store, scope = desk.data.get("store_id"), stock["data"]["store_scope"]
    allowed = stock["stores"] if scope == "SPECIFIC" else desk.brand.stores
    if store is None and scope != "SPECIFIC":
        return
    if store not in allowed:
        raise invalid("核销门店非法", BAD_STORE)


def _check_time(desk: Desk, record: dict[str, Any], stock: dict[str, Any]) -> None:
    """The time of use must be inside the coupon's and the stock's hours.

    Clients live in the real time: where a test has moved the clock, the time of use
    may be meant either way.
    """
    said = schema.parse_time(desk.data["use_time"])
    for moment in (said, said + desk.box.clock.offset):
        good = int(record["begin"]) <= moment <= record["end"]
        if good and in_period(stock, moment):
            return
    raise invalid("券不在使用有效期内", NOT_NOW)


def _round(desk: Desk, record: dict[str, Any], using: bool) -> int:
    """Return which time this is; the older kind of coupon must say it, from 0."""
    index = desk.data.get("sequential_coupon_index")
    if record["bundle"]:
        own = record["bundle"]["user_coupon_bundle_index"]
        if index not in (None, own):
            raise bad("/sequential_coupon_index", index, "多次优惠索引错误")
        return 0
    several = len(record["rounds"]) > 1
    if several != (index is not None):
        raise bad("/sequential_coupon_index", index, "当且仅当SEQUENTIAL时传入")
    if not several:
        return 0
    used = sum(bool(item.get("used")) for item in record["rounds"])
    if index != (used if using else used - 1):
        raise bad("/sequential_coupon_index", index, "多次优惠索引错误")
    return index


def _refuse_use(desk: Desk, record: dict[str, Any]) -> None:
    state = refuse(desk, record, "EFFECTIVE", "PENDING", "USED")
    if state == "USED":
        number = desk.box.state.settings["product_used_number"]
        raise invalid("券已被其他单号核销", number)
    if state == "PENDING":
        if wallet.opens(desk.box, record) is None:
            raise invalid("用户券状态非法", BAD_STATE)
        raise invalid("券不在使用有效期内", NOT_NOW)


@both("POST", f"{COUPON}/use", shape.USE)
def use(desk: Desk) -> Reply:
    """Use a coupon for a payment.  The same number again is the same use.

    WeChat docs: POST users/{openid}/coupons/{coupon_code}/use
    """
    record = held(desk, desk.data)
    box, data = desk.box, desk.data
    stock = box.state.product_stocks[record["stock_id"]]

    def work() -> None:
        _refuse_use(desk, record)
        index = _round(desk, record, True)
        order = _order(desk)
        _check_store(desk, stock)
        _check_time(desk, record, stock)
        used = {
            "used": box.clock.now(),
            "use_request_no": data["out_request_no"],
            "use_time": data["use_time"],
            **order,
        }
        for name in ("saved_amount", "store_id"):
            if name in data:
                used[name] = data[name]
        record["rounds"][index] = used
        record["last_round"] = index
        if all(item.get("used") for item in record["rounds"]):
            record["state"] = "USED"
        notify(box, record, "USE")

    return act(desk, "use", record, work)


def _check_return(desk: Desk, record: dict[str, Any]) -> int:
    """Only what is used can come back, of a bundle the last used coupon only."""
    state = wallet.state_of(desk.box, record)
    some = any(item.get("used") for item in record["rounds"])
    if state != "USED" and not (some and state in ("EFFECTIVE", "PENDING")):
        refuse(desk, record)
    if desk.box.clock.now() > record["end"]:
        raise invalid("用户券已过期", EXPIRED)
    if record["bundle"]:
        later = record["bundle"]["user_coupon_bundle_index"] + 1
        if any(r["state"] == "USED" for r in wallet.siblings(desk.box, record)[later:]):
            raise invalid("只能退回券组内最近一张已核销的券", BAD_STATE)
    return _round(desk, record, False)


@both("POST", f"{COUPON}/return", shape.RETURN)
def give_back(desk: Desk) -> Reply:
    """Make a used coupon usable again.  A refund of the order does not do it.

    WeChat docs: POST users/{openid}/coupons/{coupon_code}/return
    """
    record = held(desk, desk.data)

    def work() -> None:
        index = _check_return(desk, record)
        record["rounds"][index].update(
            used=None,
            return_request_no=desk.data["out_request_no"],
            return_time=rfc3339(desk.box.clock.now()),
        )
        record["last_round"] = index
        record["state"] = "LIVE"
        notify(desk.box, record, "RETURN")

    return act(desk, "return", record, work)
