"""商家券: the stocks of coupons and the codes that merchants upload for them.

WeChat docs: POST /v3/marketing/busifavor/stocks, GET and PATCH
/v3/marketing/busifavor/stocks/{stock_id}, PATCH …/budget, POST, GET and DELETE
…/couponcodes, POST and GET /v3/marketing/busifavor/callbacks.

Contract 6.0: a merchant who came after 2025-12-15 gets 403 NO_AUTH from all of it.
"""

import copy
import re
from typing import TYPE_CHECKING, Any

from . import pay_marketing as common
from . import pay_schema as schema
from .clock import rfc3339
from .errors import PayError
from .pay_busifavor_schema import BUDGET, CODE, CREATE, MODIFY, UPLOAD
from .pay_core import PayCall, Reply, route

if TYPE_CHECKING:
    from .sandbox import Sandbox

FAMILY = "busifavor"
PATH = "/v3/marketing/busifavor"
STATES = ("UNAUDIT", "RUNNING", "STOPED", "PAUSED")
CREATING = 60
MAX_YEAR = 366 * common.DAY
_RULES = {
    "NORMAL": "fixed_normal_coupon",
    "DISCOUNT": "discount_coupon",
    "EXCHANGE": "exchange_coupon",
}
#: Contract 6.2: in the tables, but not opened.
_CLOSED = ("transferable", "shareable", "max_amount", "max_amount_by_day")


def stocks(box: "Sandbox") -> dict[str, Any]:
    return common.table(box, FAMILY, "stocks")


# -- who may ----------------------------------------------------------------------
def check_onboarded(call: PayCall) -> None:
    if not call.merchant.can_busifavor:
        raise common.no_auth("商户无权限")


def may_handle(call: PayCall, stock: dict[str, Any]) -> bool:
    """The creator and the one to whom the stock belongs may."""
    return stock["creator"] == call.merchant.mchid or common.may_act_for(
        call, stock["belong"]
    )


def find_stock(call: PayCall, stock_id: str) -> dict[str, Any]:
    """Return a stock for another call than its creation.

    Contract 6.2: right after the creation the first such call is STATEMENT_CREATING;
    a minute later it is not "right after" any more.
    """
    check_onboarded(call)
    stock = stocks(call.box).get(stock_id)
    if stock is None:
        raise common.not_found("批次不存在")
    if not may_handle(call, stock):
        raise common.no_auth()
    fresh = call.box.clock.now() < stock["created"] + CREATING
    if stock.pop("creating", False) and fresh:
        call.box.state.touch()
        message = "批次创建处理中，请稍后"
        raise PayError(400, "STATEMENT_CREATING", message, schema.BAD_PARAM)
    return stock


# -- creating ---------------------------------------------------------------------
def _check_time(rule: dict[str, Any]) -> None:
    when, where = rule["coupon_available_time"], "/coupon_use_rule"
    begin = schema.parse_time(when["available_begin_time"])
    end = schema.parse_time(when["available_end_time"])
    if not begin < end <= begin + MAX_YEAR:
        field = f"{where}/coupon_available_time/available_end_time"
        raise schema.param_error(field, when["available_end_time"], "有效期不合法")
    if "wait_days_after_receive" in when and "available_day_after_receive" not in when:
        field = f"{where}/coupon_available_time/wait_days_after_receive"
        raise schema.param_error(field, "", "须与available_day_after_receive同时填写")
    week = when.get("available_week", {})
    if week.get("available_day_time") and not week.get("week_day"):
        field = f"{where}/coupon_available_time/available_week/week_day"
        raise schema.param_error(field, "", "缺少必填参数")
    for item in week.get("available_day_time", []):
        if item["begin_time"] >= item["end_time"]:
            field = f"{where}/coupon_available_time/available_week/available_day_time"
            raise schema.param_error(field, "", "开始时间不早于结束时间")


def _check_rules(data: dict[str, Any]) -> None:
    """Check what the schema cannot: one kind of benefit, and its own limits."""
    rule, send = data["coupon_use_rule"], data["stock_send_rule"]
    for kind, name in _RULES.items():
        if (name in rule) is not (data["stock_type"] == kind):
            raise schema.param_error(f"/coupon_use_rule/{name}", "", "与批次类型不符")
    cut = rule.get("fixed_normal_coupon")
    if cut and cut["discount_amount"] > cut["transaction_minimum"]:
        field = "/coupon_use_rule/fixed_normal_coupon/discount_amount"
        raise schema.param_error(field, cut["discount_amount"], "优惠金额大于消费门槛")
    for name in _CLOSED:
        if send.get(name):
            raise schema.param_error(f"/stock_send_rule/{name}", "", "该字段暂未开放")
    if data.get("subsidy"):
        raise schema.param_error("/subsidy", True, "该字段暂未开放")
    # max_coupons is for NORMAL, max_coupons_by_day for the two others.
    if data["stock_type"] == "NORMAL":
        if "max_coupons" not in send:
            raise schema.param_error("/stock_send_rule/max_coupons", "", "缺少必填参数")
        if "max_coupons_by_day" in send:
            field = "/stock_send_rule/max_coupons_by_day"
            raise schema.param_error(field, "", "满减券不支持")
    check_use_method(rule)
    _check_time(rule)


def check_use_method(rule: dict[str, Any]) -> None:
    """An online coupon says which mini program it opens."""
    if rule["use_method"] != "MINI_PROGRAMS":
        return
    for name in ("mini_programs_appid", "mini_programs_path"):
        if name not in rule:
            raise schema.param_error(f"/coupon_use_rule/{name}", "", "缺少必填参数")


@route("POST", f"{PATH}/stocks", CREATE)
def create(call: PayCall) -> Reply:
    """Make a stock; the same number with the same body is the same stock.

    WeChat docs: POST /v3/marketing/busifavor/stocks
    """
    check_onboarded(call)
    box, data = call.box, call.data
    if not common.may_act_for(call, data["belong_merchant"]):
        raise common.no_auth("商户无权限")
    _check_rules(data)
    notify_appid = data.get("notify_config", {}).get("notify_appid")
    if notify_appid:
        common.check_appid(call, notify_appid)
    key = f"create|{call.merchant.mchid}|{data['out_request_no']}"
    answer = common.replayed(box, FAMILY, key, data)
    if answer is None:
        stock = _new_stock(call)
        answer = {
            "stock_id": stock["stock_id"],
            "create_time": rfc3339(stock["created"]),
        }
        common.remember(box, FAMILY, key, data, answer)
    return 200, answer


def _new_stock(call: PayCall) -> dict[str, Any]:
    box, data = call.box, call.data
    number = box.state.random_digits(16)
    stock = {
        "stock_id": number,
        "creator": call.merchant.mchid,
        "belong": data["belong_merchant"],
        "request": copy.deepcopy(data),
        # No review is known of; the control API can set any state.
        "state": "RUNNING",
        "created": box.clock.now(),
        "sent": 0,
        "sent_days": {},
        "codes": {},
    }
    if box.state.settings["busifavor_creating"]:
        stock["creating"] = True
    stocks(box)[number] = stock
    return stock


# -- showing ----------------------------------------------------------------------
def show_use_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the rule of use; contract 6.3: week days come back as strings."""
    shown = copy.deepcopy(rule)
    week = shown.get("coupon_available_time", {}).get("available_week", {})
    if "week_day" in week:
        week["week_day"] = [str(day) for day in week["week_day"]]
    return shown


def _send_counts(box: "Sandbox", stock: dict[str, Any]) -> dict[str, int]:
    rule = stock["request"]["coupon_use_rule"].get("fixed_normal_coupon", {})
    worth = rule.get("discount_amount", 0)
    today = stock["sent_days"].get(box.clock.today(), 0)
    return {
        "total_send_num": stock["sent"],
        "total_send_amount": stock["sent"] * worth,
        "today_send_num": today,
        "today_send_amount": today * worth,
    }


def show_stock(box: "Sandbox", stock: dict[str, Any]) -> dict[str, Any]:
    shown = {k: v for k, v in stock["request"].items() if k != "out_request_no"}
    shown.update(
        coupon_use_rule=show_use_rule(shown["coupon_use_rule"]),
        stock_id=stock["stock_id"],
        stock_state=stock["state"],
        send_count_information=_send_counts(box, stock),
    )
    if shown["coupon_code_mode"] == "MERCHANT_UPLOAD":
        shown["coupon_code_count"] = {
            "total_count": len(stock["codes"]),
            "available_count": len(free_codes(stock)),
        }
    return shown


@route("GET", f"{PATH}/stocks/{{stock_id}}")
def get_stock(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/busifavor/stocks/{stock_id}"""
    return 200, show_stock(call.box, find_stock(call, call.params["stock_id"]))


# -- changing ---------------------------------------------------------------------
def _merge(old: dict[str, Any], new: dict[str, Any]) -> None:
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            _merge(old[name], value)
        else:
            old[name] = copy.deepcopy(value)


@route("PATCH", f"{PATH}/stocks/{{stock_id}}", MODIFY)
def modify(call: PayCall) -> Reply:
    """WeChat docs: PATCH /v3/marketing/busifavor/stocks/{stock_id}"""
    box, data = call.box, dict(call.data)
    stock = find_stock(call, call.params["stock_id"])
    key = f"modify|{stock['stock_id']}|{data['out_request_no']}"
    if common.replayed(box, FAMILY, key, data):
        return 204, None
    changed = data.get("coupon_use_rule", {})
    check_use_method({**stock["request"]["coupon_use_rule"], **changed})
    notify_appid = data.get("notify_config", {}).get("notify_appid")
    if notify_appid:
        common.check_appid(call, notify_appid)
    common.remember(box, FAMILY, key, data, True)
    changes = {k: v for k, v in data.items() if k != "out_request_no"}
    _merge(stock["request"], changes)
    return 204, None


def _budget_change(data: dict[str, Any]) -> tuple[str, int, int]:
    """Return which limit goes from what to what; one of the two changes at a time."""
    pairs = []
    for name in ("max_coupons", "max_coupons_by_day"):
        target, current = data.get(f"target_{name}"), data.get(f"current_{name}")
        if (target is None) is not (current is None):
            missing = "target" if target is None else "current"
            raise schema.param_error(f"/{missing}_{name}", "", "缺少必填参数")
        if target is not None and current is not None:
            pairs.append((name, current, target))
    if len(pairs) != 1:
        message = "批次总数与单天上限须且只能修改一个"
        raise schema.param_error("/target_max_coupons", "", message)
    return pairs[0]


@route("PATCH", f"{PATH}/stocks/{{stock_id}}/budget", BUDGET)
def modify_budget(call: PayCall) -> Reply:
    """Change a limit for him who knows what it is now.

    WeChat docs: PATCH /v3/marketing/busifavor/stocks/{stock_id}/budget
    """
    box, data = call.box, call.data
    stock = find_stock(call, call.params["stock_id"])
    name, current, target = _budget_change(data)
    key = f"budget|{stock['stock_id']}|{data['modify_budget_request_no']}"
    answer = common.replayed(box, FAMILY, key, data)
    if answer is not None:
        return 200, answer
    send = stock["request"]["stock_send_rule"]
    if send.get(name) != current:
        raise common.invalid("当前预算与批次预算不一致，请查询后再试")
    if name == "max_coupons" and target < stock["sent"]:
        raise common.invalid("目标数量小于已发放数量")
    send[name] = target
    names = ("max_coupons", "max_coupons_by_day")
    answer = {item: send[item] for item in names if item in send}
    return 200, common.remember(box, FAMILY, key, data, answer)


# -- uploaded codes ---------------------------------------------------------------
def free_codes(stock: dict[str, Any]) -> list[str]:
    codes = stock["codes"].items()
    return [code for code, entry in codes if entry["code_status"] == "AVAILABLE"]


def _upload_stock(call: PayCall) -> dict[str, Any]:
    stock = find_stock(call, call.params["stock_id"])
    if stock["request"]["coupon_code_mode"] != "MERCHANT_UPLOAD":
        raise common.invalid("发券模式不合法")
    return stock


def _failure(code: str) -> dict[str, str] | None:
    """Return why a code cannot be taken.  Only LENGTH_LIMIT is known by name."""
    if not 1 <= len(code) <= 32:
        return {
            "coupon_code": code,
            "code": "LENGTH_LIMIT",
            "message": "code长度超过限制",
        }
    if not re.fullmatch(CODE, code):
        return {"coupon_code": code, "code": "PARAM_ERROR", "message": "code含非法字符"}
    return None


@route("POST", f"{PATH}/stocks/{{stock_id}}/couponcodes", UPLOAD)
def upload_codes(call: PayCall) -> Reply:
    """Take the codes that are good; the answer says what became of the others.

    WeChat docs: POST /v3/marketing/busifavor/stocks/{stock_id}/couponcodes
    """
    box, data = call.box, call.data
    if not data["coupon_code_list"]:
        raise schema.param_error("/coupon_code_list", "", "缺少必填参数")
    stock = _upload_stock(call)
    key = f"upload|{stock['stock_id']}|{data['upload_request_no']}"
    answer = common.replayed(box, FAMILY, key, data)
    if answer is not None:
        return 200, answer
    sent = data["coupon_code_list"]
    unique = list(dict.fromkeys(sent))
    failed = [entry for entry in map(_failure, unique) if entry]
    bad = {entry["coupon_code"] for entry in failed}
    known = [code for code in unique if code in stock["codes"]]
    new = [code for code in unique if code not in bad and code not in stock["codes"]]
    now = box.clock.now()
    for code in new:
        stock["codes"][code] = {"code_status": "AVAILABLE", "uploaded": now}
    answer = {
        "stock_id": stock["stock_id"],
        "total_count": len(unique),
        "success_count": len(new),
        "success_codes": new,
        "success_time": rfc3339(now),
        "fail_count": len(failed),
        "fail_codes": failed,
        "exist_codes": known,
        "duplicate_codes": [code for code in unique if sent.count(code) > 1],
    }
    return 200, common.remember(box, FAMILY, key, data, answer)


def _show_code(call: PayCall, code: str, entry: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "code": code,
        "code_status": entry["code_status"],
        "upload_time": rfc3339(entry["uploaded"]),
    }
    if "dispatched" in entry:
        shown["dispatched_time"] = rfc3339(entry["dispatched"])
        shown["coupon_code"] = code
        # An openid belongs to an appid: without one there is none to tell.
        if call.query.get("appid"):
            shown["openid"] = entry["openid"]
    return shown


@route("GET", f"{PATH}/stocks/{{stock_id}}/couponcodes")
def list_codes(call: PayCall) -> Reply:
    """List codes; ``offset`` is the place where to begin.

    WeChat docs: GET /v3/marketing/busifavor/stocks/{stock_id}/couponcodes
    """
    stock = _upload_stock(call)
    # The default and the largest page are unconfirmed (contract 6.1).
    start = common.number_query(call, "offset", 0, 0, 10**9)
    size = common.number_query(call, "limit", 20, 1, 200)
    status = common.choice_query(call, "status", ("AVAILABLE", "DISPATCHED"))
    if call.query.get("appid"):
        common.check_appid(call, call.query["appid"])
    rows = [
        _show_code(call, code, entry)
        for code, entry in stock["codes"].items()
        if status in ("", entry["code_status"])
    ]
    return 200, {
        "stock_id": stock["stock_id"],
        "total_count": len(rows),
        "offset": start,
        "limit": size,
        "data": rows[start : start + size],
    }


def show_code(call: PayCall) -> dict[str, Any]:
    """Return what is known of the code in the address."""
    stock, code = _upload_stock(call), call.params["coupon_code"]
    if call.query.get("appid"):
        common.check_appid(call, call.query["appid"])
    entry = stock["codes"].get(code)
    if entry is None:
        raise common.not_found("券code不存在")
    return {"code_information": _show_code(call, code, entry)}


@route("DELETE", f"{PATH}/stocks/{{stock_id}}/couponcodes/{{coupon_code}}")
def delete_code(call: PayCall) -> Reply:
    """Take back a code that nobody has.

    WeChat docs: DELETE /v3/marketing/busifavor/stocks/{stock_id}/couponcodes/…
    """
    number = call.need_query("delete_request_no")
    if len(number) > 128 or not schema.matches(common.NUMBER, number):
        raise common.bad_query("delete_request_no", "格式不符合要求", number)
    box, stock, code = call.box, _upload_stock(call), call.params["coupon_code"]
    key = f"delete|{stock['stock_id']}|{number}"
    answer = common.replayed(box, FAMILY, key, code)
    if answer is not None:
        return 200, answer
    entry = stock["codes"].get(code)
    if entry is None:
        raise common.not_found("券code不存在")
    if entry["code_status"] != "AVAILABLE":
        raise common.invalid("券code已被领取，不能删除")
    del stock["codes"][code]
    answer = {
        "stock_id": stock["stock_id"],
        "delete_time": rfc3339(box.clock.now()),
    }
    return 200, common.remember(box, FAMILY, key, code, answer)


# -- callback address -------------------------------------------------------------
@route("POST", f"{PATH}/callbacks", common.CALLBACKS)
def set_callback(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/marketing/busifavor/callbacks"""
    check_onboarded(call)
    entry = common.set_callback(call, FAMILY)
    return 200, {
        "update_time": rfc3339(call.box.clock.now()),
        "notify_url": entry["notify_url"],
        "mchid": call.merchant.mchid,
    }


@route("GET", f"{PATH}/callbacks")
def get_callback(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/marketing/busifavor/callbacks"""
    check_onboarded(call)
    return common.get_callback(call, FAMILY)
