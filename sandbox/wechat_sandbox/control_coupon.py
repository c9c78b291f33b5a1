"""The control API for 商家券 and 代金券: what people and WeChat do."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from . import (
    pay_busifavor,
    pay_busifavor_coupon,
    pay_busifavor_h5,
    pay_favor,
    pay_favor_coupon,
    pay_favor_money,
)
from .control import _person, control
from .errors import ControlError, PayError

if TYPE_CHECKING:
    from .sandbox import Sandbox


def _try(call: Callable[..., Any], *args: Any) -> Any:
    """Do what WeChat may refuse; its refusal is a 409 with code and message."""
    try:
        return call(*args)
    except PayError as error:
        raise ControlError(f"{error.code}: {error.message}", 409) from None


def _record(records: dict[str, Any], number: str, what: str) -> dict:
    if number not in records:
        raise ControlError(f"unknown {what}", 404)
    return records[number]


def _choose(data: dict, name: str, choices: tuple[str, ...]) -> str:
    if data.get(name) not in choices:
        raise ControlError(f"{name} must be one of {', '.join(choices)}")
    return data[name]


# -- 商家券 -----------------------------------------------------------------------
def _busi_stock(box: "Sandbox", number: Any) -> dict:
    return _record(pay_busifavor.stocks(box), str(number), "stock_id")


@control("GET", "/sandbox/pay/busifavor/stocks/{stock_id}")
def get_busi_stock(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Show a stock as the sandbox keeps it."""
    return _busi_stock(box, request.match_info["stock_id"])


@control("POST", "/sandbox/pay/busifavor/stocks/{stock_id}/state")
def set_busi_state(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Audit, pause or stop a stock: {"state": UNAUDIT | RUNNING | STOPED | PAUSED}."""
    stock = _busi_stock(box, request.match_info["stock_id"])
    stock["state"] = _choose(data, "state", pay_busifavor.STATES)
    return stock


def _show_busi(box: "Sandbox", coupon: dict) -> dict:
    return {**coupon, "state": pay_busifavor_coupon.state_of(box, coupon)}


@control("GET", "/sandbox/phone/{openid}/busifavor")
def list_busi(box: "Sandbox", request: web.Request, data: dict) -> list:
    found = pay_busifavor_coupon.held(box, _person(box, request))
    return [_show_busi(box, coupon) for coupon in found]


@control("POST", "/sandbox/phone/{openid}/busifavor")
def receive_busi(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Receive a coupon: {"url": the H5 link}, its sign is checked, or
    {"stock_id", "out_request_no"?, "coupon_code"?, "channel"?} as by WeChat itself.
    """
    openid = _person(box, request)
    if "url" in data:
        query = dict(parse_qsl(urlsplit(str(data["url"])).query))
        coupon = _try(pay_busifavor_h5.receive, box, openid, query)
        return _show_busi(box, coupon)
    stock = _busi_stock(box, data.get("stock_id"))
    coupon = _try(
        pay_busifavor_coupon.issue,
        box,
        stock,
        openid,
        str(data.get("out_request_no") or box.state.random_digits(20)),
        stock["creator"],
        str(data.get("channel") or "PAYGIFT"),
        str(data.get("coupon_code") or ""),
    )
    return _show_busi(box, coupon)


def _held_busi(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Return the person's coupon: {"coupon_code", "stock_id"?}."""
    for coupon in reversed(pay_busifavor_coupon.held(box, _person(box, request))):
        same = coupon["coupon_code"] == data.get("coupon_code")
        if same and data.get("stock_id") in (None, coupon["stock_id"]):
            return coupon
    raise ControlError("unknown coupon_code", 404)


@control("POST", "/sandbox/phone/{openid}/busifavor/delete")
def delete_busi(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """The person deletes a coupon, and nobody is told."""
    coupon = _held_busi(box, request, data)
    pay_busifavor_coupon.delete(box, coupon)
    return _show_busi(box, coupon)


@control("POST", "/sandbox/phone/{openid}/busifavor/notify")
def notify_busi(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Send COUPON.SEND once more."""
    pay_busifavor_coupon.tell_sent(box, _held_busi(box, request, data))
    return {"ok": True}


# -- 代金券 -----------------------------------------------------------------------
def _favor_stock(box: "Sandbox", number: Any) -> dict:
    return _record(pay_favor.stocks(box), str(number), "stock_id")


@control("GET", "/sandbox/pay/favor/stocks/{stock_id}")
def get_favor_stock(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Show a stock as the sandbox keeps it, what it holds, what is left."""
    stock = _favor_stock(box, request.match_info["stock_id"])
    return {
        **stock,
        "held": pay_favor_money.held_by(box, stock),
        "free_balance": pay_favor_money.free_balance(box, stock["creator"]),
    }


@control("POST", "/sandbox/pay/favor/stocks/{stock_id}/state")
def set_favor_state(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Set a state: {"state": unactivated | audit | running | stoped | paused}."""
    stock = _favor_stock(box, request.match_info["stock_id"])
    stock["status"] = _choose(data, "state", pay_favor.STATES)
    return stock


@control("POST", "/sandbox/phone/{openid}/favor")
def receive_favor(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Receive a voucher as by WeChat itself: {"stock_id"}."""
    openid = _person(box, request)
    stock = _favor_stock(box, data.get("stock_id"))
    number = box.state.random_digits(20)
    creator = stock["creator"]
    return _try(pay_favor_coupon.issue, box, stock, openid, number, creator)


@control("POST", "/sandbox/phone/{openid}/favor/notify")
def notify_favor(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Send COUPON.USE of a used voucher once more: {"coupon_id"}."""
    for voucher in pay_favor_coupon.held(box, _person(box, request)):
        if voucher["coupon_id"] == data.get("coupon_id"):
            if voucher["state"] != "USED":
                raise ControlError("the voucher is not used", 409)
            pay_favor_coupon.tell_used(box, voucher)
            return {"ok": True}
    raise ControlError("unknown coupon_id", 404)
