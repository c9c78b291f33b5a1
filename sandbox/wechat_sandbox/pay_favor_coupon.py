"""代金券: the vouchers that people have.  pay_vouchers spends them at payment.

WeChat docs: POST and GET /v3/marketing/favor/users/{openid}/coupons,
GET …/coupons/{coupon_id}, COUPON.USE.
"""

from typing import TYPE_CHECKING, Any

from . import pay_favor as stocks
from . import pay_marketing as common
from . import pay_schema as schema
from . import pay_vouchers
from .clock import midnight, rfc3339
from .errors import PayError
from .pay_core import PayCall, Reply, route
from .pay_favor import FAMILY, PATH, Stock
from .pay_favor_schema import SEND

if TYPE_CHECKING:
    from .sandbox import Sandbox

STATES = ("SENDED", "USED", "EXPIRED")
Voucher = dict[str, Any]


def held(box: "Sandbox", openid: str) -> list[Voucher]:
    """Return the vouchers of stocks; those of the control API alone have no creator."""
    return [v for v in box.state.vouchers.get(openid, []) if "creator" in v]


def state_of(box: "Sandbox", voucher: Voucher) -> str:
    if voucher["state"] == "SENDED" and box.clock.now() > voucher["expires"]:
        return "EXPIRED"
    return voucher["state"]


def stock_of(box: "Sandbox", voucher: Voucher) -> Stock:
    return stocks.stocks(box)[voucher["stock_id"]]


# -- handing out ------------------------------------------------------------------
def _check_limits(box: "Sandbox", stock: Stock, openid: str) -> None:
    """Refuse what the stock does not give (contract 7.5)."""
    rule, now = stock["request"]["stock_use_rule"], box.clock.now()
    if stock["status"] != "running":
        raise common.invalid("活动已结束或未激活")
    if not stock["begins"] <= now <= stock["ends"]:
        raise stocks.blocked("活动未开始或已结束")
    if stock["sent"] >= rule["max_coupons"]:
        raise stocks.not_enough()
    amount = stocks.face(stock)["coupon_amount"]
    today = stock["sent_days"].get(box.clock.today(), 0)
    if (today + 1) * amount > rule.get("max_amount_by_day", rule["max_amount"]):
        raise stocks.not_enough()
    own = [v for v in held(box, openid) if v["stock_id"] == stock["stock_id"]]
    if len(own) >= rule["max_coupons_per_user"]:
        raise PayError(403, "RULE_LIMIT", "用户已达到领取上限", schema.BAD_PARAM)


def _validity(stock: Stock, now: float) -> tuple[float, float]:
    """Return from when to when; contract 0.1: after the receipt it is minutes."""
    rule = stock["request"]["coupon_use_rule"].get("coupon_available_time", {})
    begin, end = max(stock["begins"], now), stock["ends"]
    if rule.get("second_day_available"):
        begin = midnight(now) + common.DAY
    minutes = rule.get("available_time_after_receive")
    return begin, min(end, begin + minutes * 60) if minutes else end


def issue(
    box: "Sandbox", stock: Stock, openid: str, number: str, sender: str
) -> Voucher:
    """Put a voucher into a wallet."""
    _check_limits(box, stock, openid)
    request = stock["request"]
    rule, face = request["coupon_use_rule"], stocks.face(stock)
    fixed = rule.get("coupon_available_time", {}).get("fix_available_time", {})
    begin, end = _validity(stock, box.clock.now())
    items = rule.get("available_items", [])
    voucher = {
        "coupon_id": box.state.random_digits(11),
        "stock_id": stock["stock_id"],
        "creator": stock["creator"],
        "sender": sender,
        "send_request_no": number,
        "name": request["stock_name"],
        "type": "NOCASH" if request["no_cash"] else "CASH",
        "scope": "SINGLE" if items else "GLOBAL",
        "amount": face["coupon_amount"],
        "merchant_contribute": face["coupon_amount"],
        "minimum": face["transaction_minimum"],
        "items": list(items),
        "excluded": rule.get("unavailable_items", []),
        "goods_tags": rule.get("goods_tag", []),
        "mchids": rule["available_merchants"],
        "trade_types": rule.get("trade_type", []),
        "limit_pay": rule.get("limit_pay", []),
        "limit_card": rule.get("limit_card"),
        "combine": rule.get("combine_use", False),
        "week_days": fixed.get("available_week_day", []),
        "hours": [fixed.get("begin_time", 0), fixed.get("end_time", common.DAY)],
        "received": box.clock.now(),
        "begins": begin,
        "expires": end,
        "state": "SENDED",
    }
    box.state.vouchers.setdefault(openid, []).append(voucher)
    stock["sent"] += 1
    today = box.clock.today()
    stock["sent_days"][today] = stock["sent_days"].get(today, 0) + 1
    box.state.touch()
    return voucher


@route("POST", f"{PATH}/users/{{openid}}/coupons", SEND)
def send(call: PayCall) -> Reply:
    """Hand a voucher out; the same number is the same voucher.

    WeChat docs: POST /v3/marketing/favor/users/{openid}/coupons
    """
    box, data, openid = call.box, call.data, call.params["openid"]
    common.check_appid(call, data["appid"])
    common.check_person(box, data["appid"], openid)
    for name in ("coupon_value", "coupon_minimum"):
        if name in data:
            # For stocks of the type RANDOM, which cannot be made here.
            raise schema.param_error(f"/{name}", data[name], "非指定面额批次")
    stock = stocks.stocks(box).get(data["stock_id"])
    if stock is None or stock["creator"] != data["stock_creator_mchid"]:
        raise common.not_found("批次不存在")
    mchid = call.merchant.mchid
    if mchid not in (stock["creator"], stock["belong"]):
        raise stocks.blocked("商户无权发券")
    number = data["out_request_no"]
    key = f"send|{mchid}|{number}"
    asked = {**data, "openid": openid}
    answer = common.replayed(box, FAMILY, key, asked)
    if answer is None:
        voucher = issue(box, stock, openid, number, mchid)
        answer = {"coupon_id": voucher["coupon_id"]}
        common.remember(box, FAMILY, key, asked, answer)
    return 200, answer


# -- looking ----------------------------------------------------------------------
def show_voucher(box: "Sandbox", voucher: Voucher) -> dict[str, Any]:
    request = stock_of(box, voucher)["request"]
    shown = {
        "stock_creator_mchid": voucher["creator"],
        "stock_id": voucher["stock_id"],
        "coupon_id": voucher["coupon_id"],
        "coupon_name": voucher["name"],
        "status": state_of(box, voucher),
        "description": request.get("pattern_info", {}).get("description", ""),
        "create_time": rfc3339(voucher["received"]),
        "coupon_type": "NORMAL",
        "no_cash": voucher["type"] == "NOCASH",
        "available_begin_time": rfc3339(voucher["begins"]),
        "available_end_time": rfc3339(voucher["expires"]),
        "singleitem": voucher["scope"] == "SINGLE",
        "normal_coupon_information": {
            "coupon_amount": voucher["amount"],
            "transaction_minimum": voucher["minimum"],
        },
    }
    if voucher["state"] == "USED":
        shown["consume_information"] = voucher["consumed"]
    return shown


def _person(call: PayCall) -> str:
    appid, openid = call.need_query("appid"), call.params["openid"]
    common.check_appid(call, appid)
    common.check_person(call.box, appid, openid)
    return openid


def _asked_side(call: PayCall) -> tuple[str, str]:
    """Return the one of the three merchant numbers that is asked for."""
    names = ("creator_mchid", "sender_mchid", "available_mchid")
    given = [(name, call.query[name]) for name in names if call.query.get(name)]
    if len(given) != 1:
        raise common.bad_query("creator_mchid", f"{'、'.join(names)}必须且只能填写一个")
    if not common.may_act_for(call, given[0][1]):
        raise stocks.blocked("调用商户无权限")
    return given[0]


@route("GET", f"{PATH}/users/{{openid}}/coupons")
def list_vouchers(call: PayCall) -> Reply:
    """List a person's vouchers.

    Contract 7.1: with available_mchid the stock, the state and the paging are ignored;
    what is listed then is what can be used (unconfirmed).
    WeChat docs: GET /v3/marketing/favor/users/{openid}/coupons
    """
    box, openid = call.box, _person(call)
    name, mchid = _asked_side(call)
    multiuse = common.choice_query(call, "business_type", ("MULTIUSE",))
    status = common.choice_query(call, "status", STATES)
    stock_id = call.query.get("stock_id", "")
    page = common.number_query(call, "offset", 0, 0, 10**6)
    size = common.number_query(call, "limit", 20, 1, 20)
    # There are no 消费金 here.
    mine = [] if multiuse else held(box, openid)
    if name == "available_mchid":
        found = [
            v for v in mine if mchid in v["mchids"] and state_of(box, v) == "SENDED"
        ]
        page, size = 0, max(len(found), 1)
    else:
        side = name.removesuffix("_mchid")
        found = [
            v
            for v in mine
            if v[side] == mchid
            and stock_id in ("", v["stock_id"])
            and status in ("", state_of(box, v))
        ]
    return 200, common.pages([show_voucher(box, v) for v in found], page, size)


@route("GET", f"{PATH}/users/{{openid}}/coupons/{{coupon_id}}")
def get_voucher(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/favor/users/{openid}/coupons/{coupon_id}"""
    box, openid = call.box, _person(call)
    for voucher in held(box, openid):
        if voucher["coupon_id"] == call.params["coupon_id"]:
            sides = (voucher["creator"], voucher["sender"], *voucher["mchids"])
            if not any(common.may_act_for(call, mchid) for mchid in sides):
                raise stocks.blocked("调用商户无权限")
            return 200, show_voucher(box, voucher)
    raise common.not_found("券不存在")


# -- used at payment, given back by a refund --------------------------------------
def _goods(order: dict[str, Any], voucher: Voucher) -> list[dict[str, Any]]:
    """Return the articles in the words of COUPON.USE."""
    for item in order["promotion_detail"]:
        if item["coupon_id"] == voucher["coupon_id"]:
            return [
                {
                    "goods_id": line["goods_id"],
                    "quantity": line["quantity"],
                    "price": line["unit_price"],
                    "discount_amount": line["discount_amount"],
                }
                for line in item.get("goods_detail", [])
            ]
    return []


def used(box: "Sandbox", voucher: Voucher, order: dict[str, Any]) -> None:
    """Note what a voucher was used for, and tell the creator."""
    if "creator" not in voucher:
        return
    voucher["consumed"] = {
        "consume_time": rfc3339(order["paid_at"]),
        "consume_mchid": pay_vouchers.collector(order),
        "transaction_id": order["transaction_id"],
    }
    goods = _goods(order, voucher)
    if goods:
        voucher["consumed"]["goods_detail"] = goods
    stock_of(box, voucher)["uses"].append(_flow_entry(voucher, order, order["paid_at"]))
    tell_used(box, voucher)


def tell_used(box: "Sandbox", voucher: Voucher) -> None:
    """Send COUPON.USE.  Contract 7.4: the only event that is specified."""
    resource = show_voucher(box, voucher)
    common.notify(box, FAMILY, voucher["creator"], "COUPON.USE", resource)


def _flow_entry(voucher: Voucher, order: dict[str, Any], when: float) -> dict[str, Any]:
    request = order["request"]
    return {
        "coupon_id": voucher["coupon_id"],
        "scope": voucher["scope"],
        "amount": voucher["amount"],
        "total": request["amount"]["total"],
        "transaction_id": order["transaction_id"],
        "time": when,
        "mchid": pay_vouchers.collector(order),
        "device_id": request.get("scene_info", {}).get("device_id", ""),
        "goods": [item["goods_id"] for item in _goods(order, voucher)],
    }


def returned(box: "Sandbox", voucher: Voucher, refund: dict[str, Any]) -> None:
    """Forget the use; the file of the uses and that of the refunds keep it."""
    voucher.pop("consumed", None)


pay_vouchers.ON_USE.append(used)
pay_vouchers.ON_RETURN.append(returned)
