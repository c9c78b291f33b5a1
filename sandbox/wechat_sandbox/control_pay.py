"""The control API's pay side: what customers do, what WeChat Pay decides."""

from typing import TYPE_CHECKING

from aiohttp import web

from . import pay_bill, pay_codepay, pay_refund, pay_transactions, pay_vouchers
from .control import _merchant, _person, control
from .errors import ControlError

if TYPE_CHECKING:
    from .sandbox import Sandbox


# -- orders -------------------------------------------------------
@control("POST", "/sandbox/pay/orders/{mchid}/{out_trade_no}/pay")
def pay(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """The customer pays: {"openid"?, "bank_type"?, "promotion_detail"?, "notify"?}."""
    order = _order(box, request)
    return pay_transactions.show_order(pay_transactions.pay_order(box, order, data))


@control("POST", "/sandbox/pay/orders/{mchid}/{out_trade_no}/notify")
def notify_again(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Send the payment's notification once more."""
    order = _order(box, request)
    if not order["transaction_id"]:
        raise ControlError("the order is not paid", 409)
    if "notify_url" not in order["request"]:
        raise ControlError("payments by code have no notification", 409)
    merchant = _merchant(box, order["mchid"])
    pay_transactions.notify_paid(box, merchant, order)
    return {"ok": True}


def _order(box: "Sandbox", request: web.Request) -> dict:
    return _found(box.state.orders, request, "out_trade_no", "order")


def _found(records: dict, request: web.Request, number: str, what: str) -> dict:
    """Return what a merchant's number in the address stands for."""
    info = request.match_info
    record = records.get(pay_transactions.order_key(info["mchid"], info[number]))
    if record is None:
        raise ControlError(f"unknown {what}", 404)
    return record


@control("POST", "/sandbox/pay/orders/{mchid}/{out_trade_no}/password")
def password(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """The customer answers for the password: {"result": right | wrong | cancel}."""
    order = _order(box, request)
    pay_codepay.enter_password(box, order, str(data.get("result", "right")))
    return pay_transactions.show_order(order)


# -- refunds -------------------------------------------------------
@control("POST", "/sandbox/pay/refunds/{mchid}/{out_refund_no}")
def finish_refund(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """End a refund: {"status": SUCCESS | ABNORMAL | CLOSED, "notify"?: true}."""
    record = _refund(box, request)
    status = str(data.get("status", "SUCCESS"))
    pay_refund.finish(box, record, status, bool(data.get("notify", True)))
    return pay_refund.show(box, record)


@control("POST", "/sandbox/pay/refunds/{mchid}/{out_refund_no}/notify")
def notify_refund(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Send the refund's notification once more."""
    record = _refund(box, request)
    if record["status"] == "PROCESSING":
        raise ControlError("the refund is not decided", 409)
    pay_refund.notify_refund(box, record)
    return {"ok": True}


def _refund(box: "Sandbox", request: web.Request) -> dict:
    return _found(box.state.refunds, request, "out_refund_no", "refund")


# -- bills -------------------------------------------------------
@control("POST", "/sandbox/pay/bills/{mchid}/changes")
def change_bill(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Let a bill differ from what took place.

    {"bill_date", "bill"?: tradebill | fundflowbill, "kind": missing_line | extra_line |
    other_amount | other_settlement | other_coupon | other_fee | other_state,
    "out_trade_no" or "out_refund_no", "amount"?, "fee"?, "state"?,
    "transaction_id"?, "description"?}

    An extra line with an "out_refund_no" is a refund.
    """
    merchant = _merchant(box, request.match_info["mchid"])
    return pay_bill.add_change(box, merchant.mchid, data)


@control("GET", "/sandbox/pay/bills/{mchid}/changes")
def list_changes(box: "Sandbox", request: web.Request, data: dict) -> list:
    return box.state.bill_changes.get(request.match_info["mchid"], [])


@control("DELETE", "/sandbox/pay/bills/{mchid}/changes")
def clear_changes(box: "Sandbox", request: web.Request, data: dict) -> dict:
    found = box.state.bill_changes.pop(request.match_info["mchid"], [])
    return {"cleared": len(found)}


# -- payment codes -------------------------------------------------------
@control("POST", "/sandbox/phone/{openid}/pay_code")
def pay_code(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Show the payment code: {"new"?: true} makes another one at once."""
    openid = _person(box, request)
    return dict(pay_codepay.current_code(box, openid, bool(data.get("new"))))


@control("POST", "/sandbox/phone/{openid}/ask_password")
def ask_password(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Ask this person for the password in the next payments: {"times": 1}."""
    times = data.get("times", 1)
    if not isinstance(times, int) or times < 0:
        raise ControlError("times must be a number")
    person = box.state.payers.setdefault(_person(box, request), {})
    person["ask_password"] = times
    return {"ask_password": times}


# -- the wallet -------------------------------------------------------
@control("POST", "/sandbox/phone/{openid}/vouchers")
def add_voucher(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Put a cash voucher into the wallet.

    {"type": "CASH" | "NOCASH", "amount", "minimum"?, "name"?, "scope"?, "goods_id"?,
    "goods_tag"?, "mchid"?, "stock_id"?, "expires"?, "…_contribute"?}
    """
    return pay_vouchers.add(box, _person(box, request), data)


@control("GET", "/sandbox/phone/{openid}/vouchers")
def list_vouchers(box: "Sandbox", request: web.Request, data: dict) -> list:
    return box.state.vouchers.get(_person(box, request), [])
