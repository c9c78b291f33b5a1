"""商家券: redeeming and giving back, each once for a request number.

WeChat docs: POST /v3/marketing/busifavor/coupons/use, return, deactivate, associate,
disassociate.
"""

from typing import TYPE_CHECKING

from . import pay_busifavor as stocks
from . import pay_marketing as common
from . import pay_schema as schema
from .clock import rfc3339
from .pay_busifavor import FAMILY, PATH
from .pay_busifavor_coupon import (
    Coupon,
    coupon_key,
    coupons,
    in_window,
    state_of,
    stock_of,
)
from .pay_busifavor_schema import ASSOCIATE, DEACTIVATE, RETURN, USE
from .pay_core import PayCall, Reply, route

if TYPE_CHECKING:
    from .sandbox import Sandbox


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
    if not in_window(stock_of(box, coupon), now):
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
