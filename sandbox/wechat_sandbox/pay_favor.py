"""代金券: the stocks of vouchers that WeChat takes off a payment by itself.

WeChat docs: POST /v3/marketing/favor/coupon-stocks, POST
/v3/marketing/favor/stocks/{stock_id}/start, pause, restart, stop, modify-goods-id, GET
/v3/marketing/favor/stocks, …/{stock_id}, …/merchants, …/items, POST and GET
/v3/marketing/favor/callbacks.
"""

import copy
from typing import TYPE_CHECKING, Any

from . import pay_favor_money as money
from . import pay_marketing as common
from . import pay_schema as schema
from .clock import rfc3339
from .errors import PayError
from .pay_core import PayCall, Reply, route
from .pay_favor_schema import CALLBACKS, CREATE, CREATOR, GOODS

if TYPE_CHECKING:
    from .sandbox import Sandbox

FAMILY = "favor"
PATH = "/v3/marketing/favor"
#: Lower case, and misspelled, on the wire (contract 7.3).
STATES = ("unactivated", "audit", "running", "stoped", "paused")
MAX_LIFE = 90 * common.DAY
MAX_GOODS = 50
Stock = dict[str, Any]


def stocks(box: "Sandbox") -> dict[str, Stock]:
    return common.table(box, FAMILY, "stocks")


def face(stock: Stock) -> dict[str, int]:
    """Return ``coupon_amount`` and ``transaction_minimum``."""
    return stock["request"]["coupon_use_rule"]["fixed_normal_coupon"]


def not_enough() -> PayError:
    return PayError(403, "NOT_ENOUGH", "批次预算不足", schema.BAD_PARAM)


def blocked(message: str) -> PayError:
    return PayError(403, "REQUEST_BLOCKED", message, schema.BAD_PARAM)


def find_stock(call: PayCall, creator: str) -> Stock:
    """Return the stock in the address, for the merchant that made it."""
    stock = stocks(call.box).get(call.params["stock_id"])
    if stock is None or stock["creator"] != creator:
        raise common.not_found("批次不存在")
    if stock["creator"] != call.merchant.mchid:
        raise blocked("调用商户无权限")
    return stock


# -- creating ---------------------------------------------------------------------
def _check_name(name: str) -> None:
    """At most 9 Chinese characters, or 20 letters."""
    if not name.isascii() and len(name) > 9:
        message = "字符串长度不符合要求"
        raise schema.param_error("/stock_name", name, message, schema.OUT_OF_RANGE)


def _check_time(call: PayCall) -> tuple[float, float]:
    data = call.data
    begin = schema.parse_time(data["available_begin_time"])
    end = schema.parse_time(data["available_end_time"])
    if begin < int(call.box.clock.now()):
        value = data["available_begin_time"]
        raise schema.param_error("/available_begin_time", value, "开始时间早于当前时间")
    if not begin < end <= begin + MAX_LIFE:
        value = data["available_end_time"]
        raise schema.param_error("/available_end_time", value, "有效期超过90天")
    return begin, end


def _check_money(data: dict[str, Any]) -> None:
    """Contract 7.2: the budget is what all the coupons are worth."""
    rule, use = data["stock_use_rule"], data["coupon_use_rule"]
    value = use["fixed_normal_coupon"]["coupon_amount"]
    if use["fixed_normal_coupon"]["transaction_minimum"] <= value:
        field = "/coupon_use_rule/fixed_normal_coupon/transaction_minimum"
        raise schema.param_error(field, "", "门槛必须大于面额")
    if rule["max_amount"] != value * rule["max_coupons"]:
        field = "/stock_use_rule/max_amount"
        message = "总预算必须等于面额乘以发放总上限"
        raise schema.param_error(field, rule["max_amount"], message)
    if rule.get("max_amount_by_day", 0) > rule["max_amount"]:
        field = "/stock_use_rule/max_amount_by_day"
        raise schema.param_error(field, rule["max_amount_by_day"], "大于总预算")


def _check_merchants(call: PayCall) -> None:
    merchants = call.data["coupon_use_rule"]["available_merchants"]
    if not merchants:
        field = "/coupon_use_rule/available_merchants"
        raise schema.param_error(field, "", "缺少必填参数")
    for mchid in merchants:
        own = common.may_act_for(call, mchid)
        if not own and mchid not in call.box.state.merchants:
            raise PayError(400, "MCH_NOT_EXISTS", "商户号不存在", schema.BAD_PARAM)
        # 免充值: whoever takes it pays for it.  There are no brands here.
        if call.data["no_cash"] and not own:
            raise common.invalid("可用商户不符合规则")


@route("POST", f"{PATH}/coupon-stocks", CREATE)
def create(call: PayCall) -> Reply:
    """Make a stock; nothing is handed out before it is started.

    WeChat docs: POST /v3/marketing/favor/coupon-stocks
    """
    box, data = call.box, call.data
    if not common.may_act_for(call, data["belong_merchant"]):
        raise common.invalid("非法的商户号")
    key = f"create|{call.merchant.mchid}|{data['out_request_no']}"
    answer = common.replayed(box, FAMILY, key, data)
    if answer is not None:
        return 200, answer
    _check_name(data["stock_name"])
    # Only this type was ever opened for the API (contract 7.2).
    if data["stock_type"] != "NORMAL":
        raise schema.param_error("/stock_type", data["stock_type"], "暂不支持该类型")
    if "fixed_normal_coupon" not in data["coupon_use_rule"]:
        field = "/coupon_use_rule/fixed_normal_coupon"
        raise schema.param_error(field, "", "缺少必填参数")
    begin, end = _check_time(call)
    _check_money(data)
    _check_merchants(call)
    stock = {
        "stock_id": box.state.random_digits(8),
        "creator": call.merchant.mchid,
        "belong": data["belong_merchant"],
        "request": copy.deepcopy(data),
        "status": "unactivated",
        "begins": begin,
        "ends": end,
        "created": box.clock.now(),
        "sent": 0,
        "sent_days": {},
        "uses": [],
    }
    stocks(box)[stock["stock_id"]] = stock
    answer = {"stock_id": stock["stock_id"], "create_time": rfc3339(stock["created"])}
    return 200, common.remember(box, FAMILY, key, data, answer)


# -- its life ---------------------------------------------------------------------
def _move(call: PayCall, before: tuple[str, ...], after: str, name: str) -> Reply:
    """Change the state; from another one than ``before`` it is PARAM_ERROR."""
    stock = find_stock(call, call.data["stock_creator_mchid"])
    if stock["status"] not in before:
        raise schema.param_error("/stock_id", stock["stock_id"], "非法的批次状态")
    if after == "running" and call.box.clock.now() > stock["ends"]:
        raise common.invalid("活动已结束或未激活")
    if before == ("unactivated",):
        _lock(call, stock)
    now = call.box.clock.now()
    stock["status"] = after
    if name in ("start_time", "stop_time"):
        stock[name] = now
    return 200, {name: rfc3339(now), "stock_id": stock["stock_id"]}


def _lock(call: PayCall, stock: Stock) -> None:
    """预充值: the whole budget must be there."""
    budget = stock["request"]["stock_use_rule"]["max_amount"]
    if not stock["request"]["no_cash"] and not money.can_pay(
        call.box, stock["creator"], budget
    ):
        raise not_enough()


@route("POST", f"{PATH}/stocks/{{stock_id}}/start", CREATOR)
def start(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/marketing/favor/stocks/{stock_id}/start"""
    return _move(call, ("unactivated",), "running", "start_time")


@route("POST", f"{PATH}/stocks/{{stock_id}}/pause", CREATOR)
def pause(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/marketing/favor/stocks/{stock_id}/pause"""
    return _move(call, ("running",), "paused", "pause_time")


@route("POST", f"{PATH}/stocks/{{stock_id}}/restart", CREATOR)
def restart(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/marketing/favor/stocks/{stock_id}/restart"""
    return _move(call, ("paused",), "running", "restart_time")


@route("POST", f"{PATH}/stocks/{{stock_id}}/stop", CREATOR)
def stop(call: PayCall) -> Reply:
    """End a stock for good; what people have can still be used.

    WeChat docs: POST /v3/marketing/favor/stocks/{stock_id}/stop
    """
    return _move(call, ("running", "paused"), "stoped", "stop_time")


@route("POST", f"{PATH}/stocks/{{stock_id}}/modify-goods-id", GOODS)
def modify_goods(call: PayCall) -> Reply:
    """Change the articles of a stock for single articles.

    WeChat docs: POST /v3/marketing/favor/stocks/{stock_id}/modify-goods-id
    """
    data = call.data
    stock = find_stock(call, data["stock_creator_mchid"])
    rule = stock["request"]["coupon_use_rule"]
    added = data.get("add_goods_id_list", [])
    deleted = data.get("delete_goods_id_list", [])
    if not added and not deleted:
        raise schema.param_error("/add_goods_id_list", "", "缺少必填参数")
    if stock["status"] == "stoped":
        raise schema.param_error("/stock_id", stock["stock_id"], "非法的批次状态")
    # A stock for everything stays one, and one for articles keeps at least one.
    if not rule.get("available_items"):
        raise common.invalid("非单品优惠批次")
    items = [i for i in rule["available_items"] if i not in deleted]
    items += [i for i in added if i not in items]
    if not 1 <= len(items) <= MAX_GOODS:
        raise schema.param_error("/add_goods_id_list", "", "单品编码数量不符合要求")
    rule["available_items"] = items
    _change_vouchers(call.box, stock)
    now = rfc3339(call.box.clock.now())
    return 200, {"effect_time": now, "stock_id": stock["stock_id"]}


def _change_vouchers(box: "Sandbox", stock: Stock) -> None:
    """The rule is the stock's: what people have follows it."""
    items = stock["request"]["coupon_use_rule"]["available_items"]
    for vouchers in box.state.vouchers.values():
        for voucher in vouchers:
            if voucher["stock_id"] == stock["stock_id"] and "creator" in voucher:
                voucher["items"] = list(items)


# -- looking ----------------------------------------------------------------------
def show_stock(stock: Stock) -> dict[str, Any]:
    request = stock["request"]
    rule = request["coupon_use_rule"]
    use = dict(request["stock_use_rule"])
    use.update(fixed_normal_coupon=dict(face(stock)), coupon_type="NORMAL")
    for name in ("goods_tag", "trade_type", "combine_use"):
        if name in rule:
            use[name] = rule[name]
    shown = {
        "stock_id": stock["stock_id"],
        "stock_creator_mchid": stock["creator"],
        "stock_name": request["stock_name"],
        "status": stock["status"],
        "create_time": rfc3339(stock["created"]),
        "description": request.get("pattern_info", {}).get("description", ""),
        "stock_use_rule": use,
        "available_begin_time": request["available_begin_time"],
        "available_end_time": request["available_end_time"],
        "distributed_coupons": stock["sent"],
        "no_cash": request["no_cash"],
        "singleitem": bool(rule.get("available_items")),
        "stock_type": request["stock_type"],
    }
    for name in ("start_time", "stop_time"):
        if name in stock:
            shown[name] = rfc3339(stock[name])
    return shown


def _time_query(call: PayCall, name: str, default: float) -> float:
    value = call.query.get(name)
    if not value:
        return default
    # A "+" that was not encoded arrives as a blank.
    if " " in value:
        raise common.bad_query(name, "输入时间格式错误", value)
    try:
        schema.check(value, schema.time(required=True), name)
    except PayError:
        raise common.bad_query(name, "输入时间格式错误", value) from None
    return schema.parse_time(value)


@route("GET", f"{PATH}/stocks")
def list_stocks(call: PayCall) -> Reply:
    """List a merchant's stocks, the newest first; ``offset`` is a page from 0.

    WeChat docs: GET /v3/marketing/favor/stocks
    """
    page = common.number_query(call, "offset", None, 0, 10**6)
    size = common.number_query(call, "limit", None, 1, 10)
    creator = call.need_query("stock_creator_mchid")
    if creator != call.merchant.mchid:
        raise blocked("调用商户无权限")
    status = common.choice_query(call, "status", STATES)
    since = _time_query(call, "create_start_time", 0)
    until = _time_query(call, "create_end_time", float("inf"))
    rows = [
        show_stock(stock)
        for stock in reversed(list(stocks(call.box).values()))
        if stock["creator"] == creator
        and status in ("", stock["status"])
        and since <= stock["created"] <= until
    ]
    return 200, common.pages(rows, page, size)


def _queried(call: PayCall) -> Stock:
    return find_stock(call, call.need_query("stock_creator_mchid"))


@route("GET", f"{PATH}/stocks/{{stock_id}}")
def get_stock(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/favor/stocks/{stock_id}"""
    return 200, show_stock(_queried(call))


def _list_codes(call: PayCall, name: str, last: int, largest: int) -> Reply:
    stock = _queried(call)
    page = common.number_query(call, "offset", None, 0, last)
    size = common.number_query(call, "limit", None, 1, largest)
    rows = stock["request"]["coupon_use_rule"].get(name, [])
    return 200, {**common.pages(rows, page, size), "stock_id": stock["stock_id"]}


@route("GET", f"{PATH}/stocks/{{stock_id}}/merchants")
def list_merchants(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/favor/stocks/{stock_id}/merchants"""
    return _list_codes(call, "available_merchants", 1000, 50)


@route("GET", f"{PATH}/stocks/{{stock_id}}/items")
def list_items(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/favor/stocks/{stock_id}/items"""
    return _list_codes(call, "available_items", 500, 100)


# -- callback address -------------------------------------------------------------
@route("POST", f"{PATH}/callbacks", CALLBACKS)
def set_callback(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/marketing/favor/callbacks"""
    entry = common.set_callback(call, FAMILY)
    now = rfc3339(call.box.clock.now())
    return 200, {"update_time": now, "notify_url": entry["notify_url"]}


@route("GET", f"{PATH}/callbacks")
def get_callback(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/favor/callbacks"""
    return common.get_callback(call, FAMILY)
