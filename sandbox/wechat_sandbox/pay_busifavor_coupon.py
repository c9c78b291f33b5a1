"""商家券: the coupons that people have; handing out, redeeming, giving back.

WeChat docs: POST /v3/marketing/busifavor/coupons/send, use, return, deactivate,
associate, disassociate, GET /v3/marketing/busifavor/users/{openid}/coupons,
GET …/coupons/{coupon_code}/appids/{appid}, COUPON.SEND.

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
    ASSOCIATE,
    CODE,
    DEACTIVATE,
    RETURN,
    SEND,
    USE,
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


def _in_window(stock: dict[str, Any], moment: float) -> bool:
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
    return box.state.random_digits(22)


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


# -- finding ----------------------------------------------------------------------
def find_coupon(call: PayCall, stock_id: str, code: str) -> Coupon:
    """Return a coupon that the merchant may handle.

    Contract 6.3: without a stock_id only a code that WeChat made is found.
    """
    box = call.box
    stocks.check_onboarded(call)
    if stock_id:
        stock = stocks.find_stock(call, stock_id)
        coupon = coupons(box).get(coupon_key(stock["stock_id"], code))
        if coupon is None:
            raise common.not_found("券不存在")
        return coupon
    keys = common.table(box, FAMILY, "codes").get(code, [])
    for key in keys:
        stock = stock_of(box, coupons(box)[key])
        if stock["request"]["coupon_code_mode"] == "WECHATPAY_MODE":
            stocks.find_stock(call, stock["stock_id"])
            return coupons(box)[key]
    if keys:
        raise schema.param_error("/stock_id", "", "缺少必填参数")
    raise common.not_found("券不存在")


def _live(box: "Sandbox", coupon: Coupon) -> str:
    """Return the state; what the person has deleted is not there any more."""
    state = state_of(box, coupon)
    if state == "DELETED":
        raise common.not_found("券已被删除")
    return state


def _fresh(box: "Sandbox", call: PayCall, verb: str, number: str) -> str:
    """Return the key of a request number, which must not have done anything yet.

    A number identifies one request (contract 6.3).  What comes again is answered before
    this; all other uses of a spent number are refused, the stricter reading.
    """
    key = f"{verb}|{call.merchant.mchid}|{number}"
    if key in common.table(box, FAMILY, "numbers"):
        raise common.invalid("请求单据号已被使用")
    return key


def _done(box: "Sandbox", key: str, coupon: Coupon) -> None:
    number = coupon_key(coupon["stock_id"], coupon["coupon_code"])
    common.table(box, FAMILY, "numbers")[key] = number


# -- redeeming --------------------------------------------------------------------
def _check_usable(box: "Sandbox", coupon: Coupon) -> None:
    """Refuse a coupon in a wrong state or at a wrong time.  Contract 6.6."""
    now, state = box.clock.now(), _live(box, coupon)
    if state == "USED":
        raise common.invalid("券已被核销")
    if state == "EXPIRED":
        raise common.invalid("券已过期")
    if state == "DEACTIVATED":
        raise common.invalid("券已失效")
    if now < coupon["starts"]:
        raise common.invalid("券未到可用时间")
    if not _in_window(stock_of(box, coupon), now):
        raise common.invalid("不在券的可用时间段内")


@route("POST", f"{PATH}/coupons/use", USE)
def use(call: PayCall) -> Reply:
    """Redeem a coupon; the same number for the same coupon is the same redemption.

    WeChat docs: POST /v3/marketing/busifavor/coupons/use
    """
    box, data = call.box, call.data
    stocks.check_onboarded(call)
    common.check_appid(call, data["appid"])
    coupon = find_coupon(call, data.get("stock_id", ""), data["coupon_code"])
    common.check_person(box, data["appid"], coupon["openid"])
    if data.get("openid", coupon["openid"]) != coupon["openid"]:
        raise common.invalid("券不属于该用户")
    number = data["use_request_no"]
    if coupon["state"] != "USED" or coupon["use_request_no"] != number:
        _check_usable(box, coupon)
        key = _fresh(box, call, "use", number)
        coupon.update(
            state="USED",
            use_request_no=number,
            used=box.clock.now(),
            used_by=call.merchant.mchid,
        )
        _done(box, key, coupon)
    return 200, {
        "stock_id": coupon["stock_id"],
        "openid": coupon["openid"],
        "wechatpay_use_time": rfc3339(coupon["used"]),
    }


@route("POST", f"{PATH}/coupons/return", RETURN)
def give_back(call: PayCall) -> Reply:
    """Undo a redemption.  After it the coupon is SENDED, or EXPIRED by its date.

    The state after a return and how long it is possible are unconfirmed (contract 6.3).
    WeChat docs: POST /v3/marketing/busifavor/coupons/return
    """
    box, data = call.box, call.data
    coupon = find_coupon(call, data["stock_id"], data["coupon_code"])
    number, state = data["return_request_no"], _live(box, coupon)
    again = coupon.get("return_request_no") == number and state != "USED"
    if not again:
        if state != "USED":
            raise common.invalid("券未核销，不能退券")
        key = _fresh(box, call, "return", number)
        # What is known of the use stays: only the state says that it is undone.
        coupon.update(
            state="SENDED", return_request_no=number, returned=box.clock.now()
        )
        _done(box, key, coupon)
    return 200, {"wechatpay_return_time": rfc3339(coupon["returned"])}


@route("POST", f"{PATH}/coupons/deactivate", DEACTIVATE)
def deactivate(call: PayCall) -> Reply:
    """Make a coupon useless.  A used or expired one is refused (unconfirmed).

    WeChat docs: POST /v3/marketing/busifavor/coupons/deactivate
    """
    box, data = call.box, call.data
    coupon = find_coupon(call, data["stock_id"], data["coupon_code"])
    number, state = data["deactivate_request_no"], _live(box, coupon)
    if state != "DEACTIVATED" or coupon["deactivate_request_no"] != number:
        if state != "SENDED":
            raise common.invalid("券状态不合法，不能失效")
        key = _fresh(box, call, "deactivate", number)
        coupon.update(
            state="DEACTIVATED",
            deactivate_request_no=number,
            deactivated=box.clock.now(),
        )
        if "deactivate_reason" in data:
            coupon["deactivate_reason"] = data["deactivate_reason"]
        _done(box, key, coupon)
    return 200, {"wechatpay_deactivate_time": rfc3339(coupon["deactivated"])}


# -- the order that it belongs to -------------------------------------------------
@route("POST", f"{PATH}/coupons/associate", ASSOCIATE)
def associate(call: PayCall) -> Reply:
    """Say with which order a coupon goes; one order at a time.

    WeChat docs: POST /v3/marketing/busifavor/coupons/associate
    """
    box, data = call.box, call.data
    coupon = find_coupon(call, data["stock_id"], data["coupon_code"])
    key = f"associate|{call.merchant.mchid}|{data['out_request_no']}"
    answer = common.replayed(box, FAMILY, key, data)
    if answer is not None:
        return 200, answer
    # Expired and deactivated ones are refused; unconfirmed (contract 6.3).
    if _live(box, coupon) not in ("SENDED", "USED"):
        raise common.invalid("券状态不合法，不能关联订单")
    if "associate_out_trade_no" in coupon:
        raise common.invalid("券已关联订单")
    coupon["associate_out_trade_no"] = data["out_trade_no"]
    answer = {"wechatpay_associate_time": rfc3339(box.clock.now())}
    return 200, common.remember(box, FAMILY, key, data, answer)


@route("POST", f"{PATH}/coupons/disassociate", ASSOCIATE)
def disassociate(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/marketing/busifavor/coupons/disassociate"""
    box, data = call.box, call.data
    coupon = find_coupon(call, data["stock_id"], data["coupon_code"])
    key = f"disassociate|{call.merchant.mchid}|{data['out_request_no']}"
    answer = common.replayed(box, FAMILY, key, data)
    if answer is not None:
        return 200, answer
    _live(box, coupon)
    if coupon.get("associate_out_trade_no") != data["out_trade_no"]:
        raise common.invalid("券未关联该订单")
    del coupon["associate_out_trade_no"]
    answer = {"wechatpay_disassociate_time": rfc3339(box.clock.now())}
    return 200, common.remember(box, FAMILY, key, data, answer)


# -- looking ----------------------------------------------------------------------
_TEXTS = (
    *("send_request_no", "use_request_no", "associate_out_trade_no"),
    *("return_request_no", "deactivate_request_no", "deactivate_reason"),
)
_TIMES = {
    "starts": "available_start_time",
    "expires": "expire_time",
    "received": "receive_time",
    "used": "use_time",
    "returned": "return_time",
    "deactivated": "deactivate_time",
}
_OF_STOCK = (
    *("belong_merchant", "stock_name", "comment", "goods_name", "stock_type"),
    *("display_pattern_info", "custom_entrance"),
)


def show_coupon(box: "Sandbox", coupon: Coupon) -> dict[str, Any]:
    request = stock_of(box, coupon)["request"]
    rule = request["coupon_use_rule"]
    return {
        **{name: request[name] for name in _OF_STOCK if name in request},
        "transferable": False,
        "shareable": False,
        "coupon_use_rule": stocks.show_use_rule(rule),
        "coupon_code": coupon["coupon_code"],
        "stock_id": coupon["stock_id"],
        "coupon_state": state_of(box, coupon),
        **{name: coupon[name] for name in _TEXTS if name in coupon},
        **{name: rfc3339(coupon[key]) for key, name in _TIMES.items() if key in coupon},
    }


_ROLES = {
    "creator_merchant": lambda stock, coupon: stock["creator"],
    "belong_merchant": lambda stock, coupon: stock["belong"],
    "sender_merchant": lambda stock, coupon: coupon["sender"],
}


def _role_filter(call: PayCall) -> dict[str, str]:
    """Return the merchants asked for: at least one, and only the caller's own."""
    wanted = {name: call.query[name] for name in _ROLES if call.query.get(name)}
    if not wanted:
        raise bad_roles()
    for name, mchid in wanted.items():
        if not common.may_act_for(call, mchid):
            raise common.bad_query(name, "商户号与调用方不一致", mchid)
    return wanted


def bad_roles() -> Exception:
    issue = "creator_merchant、belong_merchant、sender_merchant至少填写一个"
    return common.bad_query("creator_merchant", issue)


@route("GET", f"{PATH}/users/{{openid}}/coupons")
def list_coupons(call: PayCall) -> Reply:
    """List a person's coupons.

    WeChat docs: GET /v3/marketing/busifavor/users/{openid}/coupons
    """
    box, openid = call.box, call.params["openid"]
    stocks.check_onboarded(call)
    appid = call.need_query("appid")
    common.check_appid(call, appid)
    common.check_person(box, appid, openid)
    roles = _role_filter(call)
    state = common.choice_query(call, "coupon_state", STATES)
    stock_id = call.query.get("stock_id", "")
    page = common.number_query(call, "offset", 0, 0, 10**6)
    # The default and the largest page are unconfirmed (contract 6.1).
    size = common.number_query(call, "limit", 20, 1, 50)
    rows = []
    for coupon in held(box, openid):
        stock = stock_of(box, coupon)
        fits = (
            stock_id in ("", coupon["stock_id"])
            and state in ("", state_of(box, coupon))
            and all(_ROLES[n](stock, coupon) == mchid for n, mchid in roles.items())
        )
        if fits:
            rows.append(show_coupon(box, coupon))
    return 200, common.pages(rows, page, size)


@route("GET", f"{PATH}/users/{{openid}}/coupons/{{coupon_code}}/appids/{{appid}}")
def get_coupon(call: PayCall) -> Reply:
    """Show one coupon.  Nothing says which, where two stocks have the same code: the
    newest of those that the merchant may see.

    WeChat docs: GET …/users/{openid}/coupons/{coupon_code}/appids/{appid}
    """
    box, openid = call.box, call.params["openid"]
    stocks.check_onboarded(call)
    common.check_appid(call, call.params["appid"])
    common.check_person(box, call.params["appid"], openid)
    code = call.params["coupon_code"]
    found = [c for c in held(box, openid) if c["coupon_code"] == code]
    if not found:
        raise common.not_found("券不存在")
    own = [c for c in found if stocks.may_handle(call, stock_of(box, c))]
    if not own:
        raise common.no_auth()
    return 200, show_coupon(box, own[-1])


@route("GET", f"{PATH}/stocks/{{stock_id}}/couponcodes/{{coupon_code}}")
def get_code(call: PayCall) -> Reply:
    """Show an uploaded code, and the coupon that it became.

    WeChat docs: GET /v3/marketing/busifavor/stocks/{stock_id}/couponcodes/{coupon_code}
    """
    code, shown = call.params["coupon_code"], stocks.show_code(call)
    coupon = coupons(call.box).get(coupon_key(call.params["stock_id"], code))
    if coupon:
        shown["coupon_information"] = show_coupon(call.box, coupon)
    return 200, shown


# -- what the person does ---------------------------------------------------------
def delete(box: "Sandbox", coupon: Coupon) -> None:
    """The person throws a coupon away.  The merchant is not told."""
    if state_of(box, coupon) == "DELETED":
        raise ControlError("the coupon is deleted", 409)
    coupon["state"] = "DELETED"
    box.state.touch()
