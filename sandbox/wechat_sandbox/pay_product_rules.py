"""What a product coupon must look like beyond its fields, and when it can be used.

Contracts §6.7.  A rule that is broken is PARAM_ERROR 268578224, unless it has a number
of its own.
"""

import re
from typing import TYPE_CHECKING, Any

from . import pay_schema as schema
from .clock import beijing, midnight
from .pay_product import BAD_APPID, Desk, bad, invalid
from .pay_product_schema import DAYS, OFFERS

if TYPE_CHECKING:
    from .sandbox import Sandbox

DAY = 86400
MAX_PERIOD = 365 * DAY
#: The year 9999, after which there are no dates to show.
LAST_YEAR = 253370736000
#: Each time of a bundle must be worth at least as much as the one before.
NOT_RISING = 268586067
_IMAGE = re.compile(r"https://wxpaylogo\.qpic\.cn/wxpaylogo/([0-9a-f]{40})/0\Z")


def check_appid(desk: Desk, appid: str) -> None:
    if appid not in desk.brand.appids:
        raise invalid("AppID非法", BAD_APPID)


# -- making -------------------------------------------------------
def check_coupon(desk: Desk) -> None:
    """Check a new coupon with its first stock or bundle."""
    data = desk.data
    mode, scope = data["usage_mode"], data["scope"]
    if data["type"] == "EXCHANGE" and scope != "SINGLE":
        raise bad("/type", "EXCHANGE", "兑换券只支持单品券")
    infos = {
        "SINGLE": "single_usage_info",
        "PROGRESSIVE_BUNDLE": "progressive_bundle_usage_info",
        "SEQUENTIAL": "sequential_usage_info",
    }
    for other, name in infos.items():
        if name in data and other != mode:
            raise bad(f"/{name}", "", "与usage_mode不符")
    # Only a coupon for everything has its offer here; else it stands in the stock.
    wanted = mode != "SINGLE" or scope == "ALL"
    if (infos[mode] in data) != wanted:
        issue = "缺少必填参数" if wanted else "单品券的优惠在stock.single_usage_rule中"
        raise bad(f"/{infos[mode]}", "", issue)
    if mode == "SINGLE" and wanted:
        _check_offer(data["type"], data[infos[mode]], f"/{infos[mode]}")
    check_display(desk, data["display_info"], scope)
    here = "stock_bundle" if mode == "PROGRESSIVE_BUNDLE" else "stock"
    there = "stock" if here == "stock_bundle" else "stock_bundle"
    if here not in data:
        raise bad(f"/{here}", "", "缺少必填参数")
    if there in data:
        raise bad(f"/{there}", "", "与usage_mode不符")
    check_stock(desk, data, data[here], f"/{here}")


def check_display(desk: Desk, display: dict[str, Any], scope: str) -> None:
    """Pictures must have been uploaded; a price belongs to one product."""
    where = "/display_info"
    if "original_price" in display and scope != "SINGLE":
        raise bad(f"{where}/original_price", "", "商品原价只用于单品券")
    urls = [display["image_url"], display["background_url"]]
    urls += display.get("detail_image_url_list", [])
    for package in display.get("combo_package_list", []):
        choices = package["choice_list"]
        if not choices or package["pick_count"] > len(choices):
            raise bad(f"{where}/combo_package_list", "", "可选单品数量超过单品列表")
        urls += [item["image_url"] for item in choices if "image_url" in item]
    for url in urls:
        match = _IMAGE.match(url)
        if not match or match.group(1) not in desk.box.state.images:
            raise bad(where, url, "仅支持通过图片上传API获取的图片URL")


def check_stock(
    desk: Desk, coupon: dict[str, Any], stock: dict[str, Any], where: str
) -> None:
    """Check a stock or a bundle against its coupon."""
    mode = coupon["usage_mode"]
    if (where == "/stock_bundle") != (mode == "PROGRESSIVE_BUNDLE"):
        raise bad(where, "", "与usage_mode不符")
    name = f"{mode.lower()}_usage_rule"
    for other in ("single_usage_rule", "sequential_usage_rule"):
        if other in stock and other != name:
            raise bad(f"{where}/{other}", "", "与usage_mode不符")
    if name not in stock:
        raise bad(f"{where}/{name}", "", "缺少必填参数")
    rule, spot = stock[name], f"{where}/{name}"
    if mode == "SINGLE":
        offered = [kind for kind in OFFERS if f"{kind.lower()}_coupon" in rule]
        if coupon["scope"] == "ALL" and offered:
            raise bad(spot, "", "全场券的优惠在single_usage_info中")
        if coupon["scope"] != "ALL":
            _check_offer(coupon["type"], rule, spot)
    else:
        _check_offers(coupon, rule, spot)
    _check_period(desk.box, rule["coupon_available_period"], spot)
    check_face(desk, stock, where)


def _check_offer(kind: str, holder: dict[str, Any], where: str) -> None:
    """There must be one offer, of the coupon's type."""
    for other in OFFERS:
        name = f"{other.lower()}_coupon"
        if (name in holder) != (other == kind):
            issue = "缺少必填参数" if other == kind else "与商品券类型不符"
            raise bad(f"{where}/{name}", "", issue)
    _check_worth(holder[f"{kind.lower()}_coupon"], where)


def _check_worth(offer: dict[str, Any], where: str) -> None:
    if offer.get("discount_amount", 0) > (offer["threshold"] or 10**9):
        raise bad(f"{where}/discount_amount", offer["discount_amount"], "大于门槛金额")


def _check_offers(coupon: dict[str, Any], rule: dict[str, Any], where: str) -> None:
    """One offer for each time; an EQUAL coupon has one, and maybe a special first."""
    kind = coupon["type"]
    for other in OFFERS:
        name = f"{other.lower()}_coupon_list"
        if (name in rule) != (other == kind):
            issue = "缺少必填参数" if other == kind else "与商品券类型不符"
            raise bad(f"{where}/{name}", "", issue)
    offers = rule[f"{kind.lower()}_coupon_list"]
    older = coupon.get("sequential_usage_info")
    count = (older or coupon.get("progressive_bundle_usage_info"))["count"]
    if older and older["type"] == "EQUAL":
        count = 2 if rule.get("special_first") else 1
    if len(offers) != count:
        raise bad(f"{where}/{kind.lower()}_coupon_list", len(offers), "数量与次数不符")
    for offer in offers:
        _check_worth(offer, where)
    if older is None and [_worth(o) for o in offers] != sorted(map(_worth, offers)):
        raise invalid("每一轮的优惠力度应大于等于前一轮", NOT_RISING)


def _worth(offer: dict[str, Any]) -> int:
    if "exchange_price" in offer:
        return -offer["exchange_price"]
    return offer.get("discount_amount", offer.get("percent_off", 0))


def _check_period(box: "Sandbox", period: dict[str, Any], where: str) -> None:
    where = f"{where}/coupon_available_period"
    begin = schema.parse_time(period["available_begin_time"])
    end = schema.parse_time(period["available_end_time"])
    if not begin < end or not box.clock.now() < end < LAST_YEAR:
        raise bad(f"{where}/available_end_time", "", "结束时间错误")
    if end - begin > MAX_PERIOD:
        raise bad(f"{where}/available_end_time", "", "可核销时间不超过365天")
    if "available_days" in period and "available_seconds" in period:
        raise bad(f"{where}/available_seconds", "", "只能传入一种有效期")
    parts = period.get("irregular_available_period_list", [])
    times = [(schema.parse_time(p["begin_time"]), p) for p in parts]
    for moment, part in times:
        if moment >= schema.parse_time(part["end_time"]):
            raise bad(f"{where}/irregular_available_period_list", "", "时间段错误")
    week = period.get("weekly_available_period", {})
    for part in week.get("day_period_list", []):
        if part["begin_time"] >= part["end_time"]:
            raise bad(f"{where}/weekly_available_period", "", "时间段错误")


def check_face(desk: Desk, stock: dict[str, Any], where: str) -> None:
    """Check what a stock shows, as far as it is sent."""
    usage = stock.get("usage_rule_display_info")
    if usage is not None:
        _check_usage(usage, f"{where}/usage_rule_display_info")
    finder = stock.get("coupon_display_info", {}).get("entrance_finder")
    if finder and not _IMAGE.match(finder["finder_video_cover_image_url"]):
        raise bad(where, "", "仅支持通过图片上传API获取的图片URL")
    if "notify_config" in stock:
        check_appid(desk, stock["notify_config"]["notify_appid"])


def _check_usage(usage: dict[str, Any], where: str) -> None:
    methods = usage["coupon_usage_method_list"]
    if not methods or len(set(methods)) != len(methods):
        raise bad(f"{where}/coupon_usage_method_list", methods, "列表为空或重复")
    needs = {"MINI_PROGRAM": ("mini_program_appid", "mini_program_path")}
    if usage.get("app_jump_type", "H5") == "H5":
        needs["APP"] = ("app_path",)
    elif usage["app_jump_type"] == "PASSCODE_LINK":
        needs["APP"] = ("passcode_link",)
    for method in methods:
        for name in needs.get(method, ()):
            if name not in usage:
                raise bad(f"{where}/{name}", "", "缺少必填参数")


# -- time -------------------------------------------------------
def validity(
    box: "Sandbox", coupon: dict[str, Any], stock: dict[str, Any]
) -> tuple[float, float]:
    """Return from when to when a coupon received now is good.

    Days are Beijing days and the first one counts, as in busifavor (contracts §6.2);
    §6.7 does not say it.
    """
    now = box.clock.now()
    period = period_of(stock)
    begin, end = max(now, stock["begin"]), stock["end"]
    if wait := period.get("wait_days_after_receive"):
        begin = max(begin, midnight(now) + wait * DAY)
    older = coupon["data"].get("sequential_usage_info", {})
    if days := period.get("available_days", older.get("available_days")):
        end = min(end, midnight(begin) + days * DAY - 1)
    if seconds := period.get("available_seconds"):
        # "N seconds after receipt" (contracts §0.1)
        end = min(end, now + seconds)
    return begin, end


def period_of(stock: dict[str, Any]) -> dict[str, Any]:
    data = stock["data"]
    rule = next(data[name] for name in data if name.endswith("_usage_rule"))
    return rule["coupon_available_period"]


def in_period(stock: dict[str, Any], moment: float) -> bool:
    """Tell whether the stock's weekly and irregular hours hold a moment."""
    period = period_of(stock)
    parts = period.get("irregular_available_period_list", [])
    week = period.get("weekly_available_period")
    if not parts and not week:
        return True
    for part in parts:
        begin, end = (schema.parse_time(part[k]) for k in ("begin_time", "end_time"))
        if begin <= moment <= end:
            return True
    return bool(week) and _in_week(week, moment)


def _in_week(week: dict[str, Any], moment: float) -> bool:
    days, parts = week.get("day_list"), week.get("day_period_list")
    if days and DAYS[beijing(moment).weekday()] not in days:
        return False
    second = moment - midnight(moment)
    return not parts or any(p["begin_time"] <= second <= p["end_time"] for p in parts)
