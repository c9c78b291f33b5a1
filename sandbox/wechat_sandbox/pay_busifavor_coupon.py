"""商家券: the coupons that people have, and how they get them.

WeChat docs: POST /v3/marketing/busifavor/coupons/send, COUPON.SEND.

WeChat tells the merchant of the receipt only: never of a use, an expiry, a deletion.
"""

from typing import TYPE_CHECKING, Any

from . import pay_busifavor as stocks
from . import pay_marketing as common
from . import pay_schema as schema
from .clock import midnight, rfc3339
from .errors import ControlError
from .pay_busifavor import FAMILY, PATH
from .pay_busifavor_schema import (
    CODE,
    SEND,
)
from .pay_core import PayCall, Reply, route

if TYPE_CHECKING:
    from .sandbox import Sandbox

STATES = ("SENDED", "USED", "EXPIRED", "DELETED", "DEACTIVATED")
#: The last part of ``send_channel``; WeChat knows many more (contract 6.5).
CHANNELS = ("API", "H5", "MINIAPP", "PAYGIFT", "FTOF", "HALL")
Coupon = dict[str, Any]


def coupons(box: "Sandbox") -> dict[str, Coupon]:
    """Return all coupons; codes are unique inside a stock only."""
    return common.table(box, FAMILY, "coupons")


def coupon_key(stock_id: str, code: str) -> str:
    return f"{stock_id}|{code}"


def state_of(box: "Sandbox", coupon: Coupon) -> str:
    if coupon["state"] == "SENDED" and box.clock.now() > coupon["expires"]:
        return "EXPIRED"
    return coupon["state"]


def stock_of(box: "Sandbox", coupon: Coupon) -> dict[str, Any]:
    return stocks.stocks(box)[coupon["stock_id"]]


def held(box: "Sandbox", openid: str) -> list[Coupon]:
    keys = common.table(box, FAMILY, "wallets").get(openid, [])
    return [coupons(box)[key] for key in keys]


# -- validity ---------------------------------------------------------------------
def validity(stock: dict[str, Any], received: float) -> tuple[float, float]:
    """Return from when to when a coupon can be used.

    Contract 6.2: N days after the receipt, 1 being the same day; who receives before
    the stock's begin counts from there.
    """
    when = stock["request"]["coupon_use_rule"]["coupon_available_time"]
    begin = schema.parse_time(when["available_begin_time"])
    end = schema.parse_time(when["available_end_time"])
    start = max(begin, received)
    wait = when.get("wait_days_after_receive", 0)
    if wait:
        start = midnight(start) + wait * common.DAY
    days = when.get("available_day_after_receive")
    if days:
        end = min(end, midnight(start) + days * common.DAY - 1)
    return start, end


def in_window(stock: dict[str, Any], moment: float) -> bool:
    """Is the moment in the stock's hours, or in one of its irregular times?"""
    when = stock["request"]["coupon_use_rule"]["coupon_available_time"]
    week = when.get("available_week", {})
    days, hours = week.get("week_day", []), week.get("available_day_time", [])
    times = when.get("irregulary_avaliable_time", [])
    if any(
        schema.parse_time(item["begin_time"])
        <= moment
        <= schema.parse_time(item["end_time"])
        for item in times
    ):
        return True
    regular = bool(days or hours)
    return (regular or not times) and common.in_hours(moment, days, hours)


# -- handing out ------------------------------------------------------------------
def _check_limits(box: "Sandbox", stock: dict[str, Any], openid: str) -> None:
    """Refuse what the stock does not give any more.  The wording is unconfirmed."""
    send = stock["request"]["stock_send_rule"]
    when = stock["request"]["coupon_use_rule"]["coupon_available_time"]
    if stock["state"] != "RUNNING":
        raise common.invalid("批次状态不合法，不能发券")
    if box.clock.now() > schema.parse_time(when["available_end_time"]):
        raise common.invalid("批次已过期，不能发券")
    if stock["sent"] >= send.get("max_coupons", stock["sent"] + 1):
        raise common.invalid("批次已领完")
    today = stock["sent_days"].get(box.clock.today(), 0)
    if today >= send.get("max_coupons_by_day", today + 1):
        raise common.invalid("批次当天已领完")
    # What was used, deleted or has expired counts, too.
    own = [c for c in held(box, openid) if c["stock_id"] == stock["stock_id"]]
    if len(own) >= send["max_coupons_per_user"]:
        raise common.invalid("用户已达到领取上限")


def _take_code(box: "Sandbox", stock: dict[str, Any], wanted: str) -> str:
    """Return the code of a new coupon, by the stock's code mode."""
    mode = stock["request"]["coupon_code_mode"]
    if bool(wanted) is not (mode == "MERCHANT_API"):
        raise common.invalid("发券模式不合法")
    if mode == "MERCHANT_API":
        if len(wanted) > 32 or not schema.matches(CODE, wanted):
            raise schema.param_error("/coupon_code", wanted, "格式不符合要求")
        if coupon_key(stock["stock_id"], wanted) in coupons(box):
            raise common.invalid("券code已存在")
        return wanted
    if mode == "MERCHANT_UPLOAD":
        free = stocks.free_codes(stock)
        if not free:
            raise common.invalid("券code不足，请上传")
        return free[0]
    return box.state.coupon_digits(22)


def issue(
    box: "Sandbox",
    stock: dict[str, Any],
    openid: str,
    number: str,
    sender: str,
    channel: str,
    code: str = "",
) -> Coupon:
    """Put a coupon into a wallet; the same number of a stock and person is the same.

    :param channel: one of CHANNELS
    """
    if channel not in CHANNELS:
        raise ControlError(f"channel must be one of {', '.join(CHANNELS)}")
    sent = common.table(box, FAMILY, "sent")
    key = f"{stock['stock_id']}|{openid}|{number}"
    if key in sent:
        coupon = coupons(box)[sent[key]]
        if code not in ("", coupon["coupon_code"]):
            raise common.invalid("请求重入，但本次请求与上次请求信息不一致")
        return coupon
    _check_limits(box, stock, openid)
    code = _take_code(box, stock, code)
    coupon = _new_coupon(box, stock, openid, code)
    coupon.update(send_request_no=number, sender=sender, channel=channel)
    sent[key] = coupon_key(stock["stock_id"], code)
    tell_sent(box, coupon)
    box.state.touch()
    return coupon


def _new_coupon(
    box: "Sandbox", stock: dict[str, Any], openid: str, code: str
) -> Coupon:
    now, today = box.clock.now(), box.clock.today()
    start, end = validity(stock, now)
    coupon = {
        "stock_id": stock["stock_id"],
        "coupon_code": code,
        "openid": openid,
        "state": "SENDED",
        "received": now,
        "starts": start,
        "expires": end,
    }
    key = coupon_key(stock["stock_id"], code)
    coupons(box)[key] = coupon
    common.table(box, FAMILY, "wallets").setdefault(openid, []).append(key)
    common.table(box, FAMILY, "codes").setdefault(code, []).append(key)
    stock["sent"] += 1
    stock["sent_days"][today] = stock["sent_days"].get(today, 0) + 1
    if code in stock["codes"]:
        stock["codes"][code].update(
            code_status="DISPATCHED", dispatched=now, openid=openid
        )
    return coupon


def tell_sent(box: "Sandbox", coupon: Coupon) -> None:
    """Send COUPON.SEND.  Contract 6.5: who it is, only with a notify_appid."""
    stock = stock_of(box, coupon)
    resource = {
        "event_type": "EVENT_TYPE_BUSICOUPON_SEND",
        "coupon_code": coupon["coupon_code"],
        "stock_id": coupon["stock_id"],
        "send_time": rfc3339(coupon["received"]),
        "send_channel": f"BUSICOUPON_SEND_CHANNEL_{coupon['channel']}",
        "send_merchant": coupon["sender"],
    }
    if stock["request"].get("notify_config", {}).get("notify_appid"):
        user = box.state.users[coupon["openid"]]
        resource["openid"] = user.openid
        if user.unionid:
            resource["unionid"] = user.unionid
    # The creator has set up the stock; the one to whom it belongs wants to know, too.
    for mchid in dict.fromkeys((stock["creator"], stock["belong"])):
        common.notify(box, FAMILY, mchid, "COUPON.SEND", resource)


@route("POST", f"{PATH}/coupons/send", SEND)
def send(call: PayCall) -> Reply:
    """Hand a coupon out.  Contract 6.1: needs a permission of its own.

    WeChat docs: POST /v3/marketing/busifavor/coupons/send
    """
    box, data = call.box, call.data
    stocks.check_onboarded(call)
    if not call.merchant.can_send_busifavor:
        raise common.no_auth("商户无权发券")
    common.check_appid(call, data["appid"])
    common.check_person(box, data["appid"], data["openid"])
    stock = stocks.find_stock(call, data["stock_id"])
    number, code = data["out_request_no"], data.get("coupon_code", "")
    mchid = call.merchant.mchid
    coupon = issue(box, stock, data["openid"], number, mchid, "API", code)
    names = ("stock_id", "coupon_code")
    result = {name: coupon[name] for name in names}
    return 200, {"send_coupon_result": {**result, "out_request_no": number}}


# -- what the person does ---------------------------------------------------------
def delete(box: "Sandbox", coupon: Coupon) -> None:
    """The person throws a coupon away.  The merchant is not told."""
    if state_of(box, coupon) == "DELETED":
        raise ControlError("the coupon is deleted", 409)
    coupon["state"] = "DELETED"
    box.state.touch()
