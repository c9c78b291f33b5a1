"""Stocks of product coupons, their codes and shops, and bundles of stocks.

WeChat docs: POST product-coupons/{product_coupon_id}/stocks, GET and PATCH
…/stocks/{stock_id}, POST …/update-budget, …/upload-coupon-codes, …/associate-stores,
…/deactivate, POST product-coupons/{product_coupon_id}/stock-bundles.  Contracts §6.7.
"""

from typing import Any

from . import pay_product_schema as shape
from . import pay_schema as schema
from .pay_core import Reply
from .pay_product import (
    ALL_STORES,
    BAD_BODY,
    Desk,
    all_stocks,
    asked_state,
    bad,
    both,
    find_bundle,
    find_coupon,
    find_stock,
    invalid,
    once,
    page_of,
    review_new,
    show_bundle,
    show_stock,
    stock_state,
    stocks_of,
)
from .pay_product_coupon import COUPON, end, new_bundle, new_stock, refuse_ended
from .pay_product_rules import check_face, check_stock

MAX_STOCKS = 200
LIVING = ("AUDITING", "SENDING", "PAUSED")

STOCKS = f"{COUPON}/stocks"
STOCK = f"{STOCKS}/{{stock_id}}"
BUNDLES = f"{COUPON}/stock-bundles"
BUNDLE = f"{BUNDLES}/{{stock_bundle_id}}"


# -- stocks -------------------------------------------------------
def _check_more(desk: Desk, coupon: dict[str, Any], count: int) -> None:
    refuse_ended(coupon)
    living = [s for s in all_stocks(desk.box, coupon) if s["state"] in LIVING]
    if len(living) + count > MAX_STOCKS:
        raise invalid("同一商品券下最多200个生效中的批次", BAD_BODY)


@both("POST", STOCKS, shape.ADD_STOCK)
def add_stock(desk: Desk) -> Reply:
    """WeChat docs: POST product-coupons/{product_coupon_id}/stocks"""
    coupon, box = find_coupon(desk), desk.box
    data = desk.data["stock"]

    def work() -> str:
        check_stock(desk, coupon["data"], data, "/stock")
        _check_more(desk, coupon, 1)
        return new_stock(desk, coupon, data)["stock_id"]

    def show(number: str) -> dict[str, Any]:
        return show_stock(box, box.state.product_stocks[number])

    reply = once(desk, "stock", desk.data["out_request_no"], work, show)
    review_new(box, coupon)
    return reply


@both("GET", STOCKS)
def list_stocks(desk: Desk) -> Reply:
    """WeChat docs: GET product-coupons/{product_coupon_id}/stocks"""
    coupon, box = find_coupon(desk), desk.box
    state = asked_state(desk, "state", shape.STOCK_STATES)
    rows = all_stocks(box, coupon)
    if number := desk.call.query.get("stock_bundle_id"):
        rows = stocks_of(box, find_bundle(desk, coupon, number))
    rows = [stock for stock in rows if state in ("", stock_state(box, stock))]
    rows, shown = page_of(desk, rows)
    return 200, {**shown, "stock_list": [show_stock(box, stock) for stock in rows]}


@both("GET", STOCK)
def get_stock(desk: Desk) -> Reply:
    """WeChat docs: GET …/stocks/{stock_id}"""
    return 200, show_stock(desk.box, find_stock(desk, find_coupon(desk)))


def _patch(desk: Desk, stocks: list[dict[str, Any]]) -> None:
    change = {k: v for k, v in desk.data.items() if k != "out_request_no"}
    for stock in stocks:
        refuse_ended(stock)
    check_face(desk, change, "")
    for stock in stocks:
        stock["data"] = {**stock["data"], **change}


@both("PATCH", STOCK, shape.PATCH_STOCK)
def patch_stock(desk: Desk) -> Reply:
    """WeChat docs: PATCH …/stocks/{stock_id}"""
    stock, box = find_stock(desk, find_coupon(desk)), desk.box
    number = desk.data["out_request_no"]
    return once(
        desk,
        "patch-stock",
        number,
        lambda: _patch(desk, [stock]),
        lambda _: show_stock(box, stock),
    )


@both("POST", f"{STOCK}/deactivate", shape.DEACTIVATE)
def deactivate_stock(desk: Desk) -> Reply:
    """End one stock; what was given out stays good.

    WeChat docs: POST …/stocks/{stock_id}/deactivate
    """
    stock, box = find_stock(desk, find_coupon(desk)), desk.box
    number = desk.data["out_request_no"]
    return once(
        desk,
        "end-stock",
        number,
        lambda: end(desk, stock),
        lambda _: show_stock(box, stock),
    )


def _new_budget(desk: Desk, stocks: list[dict[str, Any]]) -> None:
    """Change a limit, if the caller knows the present one."""
    name = desk.data["update_mode"].lower()
    for field in (f"current_{name}", f"target_{name}"):
        if field not in desk.data:
            raise bad(f"/{field}", "", "缺少必填参数")
    current, target = desk.data[f"current_{name}"], desk.data[f"target_{name}"]
    for stock in stocks:
        refuse_ended(stock)
        if stock["data"]["stock_send_rule"].get(name) != current:
            raise bad(f"/current_{name}", current, "与当前批次的发放上限不一致")
        if name == "max_count" and target < stock["sent"]:
            raise bad(f"/target_{name}", target, "目标上限小于已发放次数")
    for stock in stocks:
        rule = {**stock["data"]["stock_send_rule"], name: target}
        stock["data"] = {**stock["data"], "stock_send_rule": rule}


@both("POST", f"{STOCK}/update-budget", shape.BUDGET)
def update_budget(desk: Desk) -> Reply:
    """WeChat docs: POST …/stocks/{stock_id}/update-budget"""
    stock, box = find_stock(desk, find_coupon(desk)), desk.box
    number = desk.data["out_request_no"]
    return once(
        desk,
        "budget",
        number,
        lambda: _new_budget(desk, [stock]),
        lambda _: show_stock(box, stock),
    )


@both("POST", f"{STOCK}/upload-coupon-codes", shape.UPLOAD)
def upload_codes(desk: Desk) -> Reply:
    """Take codes beforehand; some may fail while the others are taken.

    WeChat docs: POST …/stocks/{stock_id}/upload-coupon-codes
    """
    stock = find_stock(desk, find_coupon(desk))
    if stock["data"]["coupon_code_mode"] != "UPLOAD":
        raise invalid("批次的券Code分配模式不是UPLOAD", BAD_BODY)
    if not desk.data["code_list"]:
        raise bad("/code_list", "", "券Code列表不能为空")

    def work() -> dict[str, Any]:
        refuse_ended(stock)
        return _take_codes(stock, desk.data["code_list"])

    number = desk.data["out_request_no"]
    return once(desk, "codes", number, work, lambda report: report)


def _take_codes(stock: dict[str, Any], codes: list[str]) -> dict[str, Any]:
    unique, known = dict.fromkeys(codes), set(stock["codes"])
    good = [code for code in unique if schema.matches(shape.CODE, code)]
    fresh = [code for code in good if code not in known]
    stock["codes"].extend(fresh)
    lists = {
        "success_code_list": fresh,
        "failed_code_list": [code for code in unique if code not in set(good)],
        "already_exist_code_list": [code for code in good if code in known],
        "duplicate_code_list": [code for code in unique if codes.count(code) > 1],
    }
    filled = {name: found for name, found in lists.items() if found}
    return {"total_count": len(unique), **filled}


# -- stores -------------------------------------------------------
def _change_stores(desk: Desk, stocks: list[dict[str, Any]], add: bool) -> Reply:
    """Add or remove shops; each one succeeds or fails by itself.

    Only SPECIFIC stocks have a list; an ALL stock is 268578813.  For NONE nothing is
    documented, so it is refused in the same way.
    """
    if any(stock["data"]["store_scope"] != "SPECIFIC" for stock in stocks):
        raise invalid("当前券批次全部门店可用", ALL_STORES)
    numbers = dict.fromkeys(item["store_id"] for item in desk.data["store_list"])
    if not numbers:
        raise bad("/store_list", "", "门店列表不能为空")
    done, failed = [], []
    for number in numbers:
        if add and number not in desk.brand.stores:
            failed.append(_failed(number, "门店不存在或不属于当前品牌"))
        elif not add and any(number not in stock["stores"] for stock in stocks):
            failed.append(_failed(number, "门店未关联"))
        else:
            done.append({"store_id": number})
            for stock in stocks:
                others = [item for item in stock["stores"] if item != number]
                stock["stores"] = [*others, number] if add else others
    answer: dict[str, Any] = {"total_count": len(numbers)}
    if done:
        answer["success_store_list"] = done
    if failed:
        answer["failed_store_list"] = failed
    return 200, answer


def _failed(number: str, message: str) -> dict[str, str]:
    return {"store_id": number, "code": "INVALID_REQUEST", "message": message}


@both("POST", f"{STOCK}/associate-stores", shape.STORES)
def associate(desk: Desk) -> Reply:
    """WeChat docs: POST …/stocks/{stock_id}/associate-stores"""
    return _change_stores(desk, [find_stock(desk, find_coupon(desk))], True)


@both("POST", f"{STOCK}/disassociate-stores", shape.STORES)
def disassociate(desk: Desk) -> Reply:
    """WeChat docs: POST …/stocks/{stock_id}/disassociate-stores"""
    return _change_stores(desk, [find_stock(desk, find_coupon(desk))], False)


@both("GET", f"{STOCK}/associated-stores")
def list_stores(desk: Desk) -> Reply:
    """WeChat docs: GET …/stocks/{stock_id}/associated-stores"""
    stock = find_stock(desk, find_coupon(desk))
    rows, shown = page_of(desk, stock["stores"])
    return 200, {**shown, "store_list": [{"store_id": number} for number in rows]}


# -- bundles -------------------------------------------------------
@both("POST", BUNDLES, shape.ADD_BUNDLE)
def add_bundle(desk: Desk) -> Reply:
    """WeChat docs: POST product-coupons/{product_coupon_id}/stock-bundles"""
    coupon, box = find_coupon(desk), desk.box
    data = desk.data["stock_bundle"]

    def work() -> str:
        check_stock(desk, coupon["data"], data, "/stock_bundle")
        count = coupon["data"]["progressive_bundle_usage_info"]["count"]
        _check_more(desk, coupon, count)
        return new_bundle(desk, coupon, data)["stock_bundle_id"]

    def show(number: str) -> dict[str, Any]:
        return show_bundle(box, box.state.product_bundles[number])

    reply = once(desk, "bundle", desk.data["out_request_no"], work, show)
    review_new(box, coupon)
    return reply


def _bundle(desk: Desk) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    bundle = find_bundle(desk, find_coupon(desk))
    return bundle, stocks_of(desk.box, bundle)


@both("PATCH", BUNDLE, shape.PATCH_STOCK)
def patch_bundle(desk: Desk) -> Reply:
    """WeChat docs: PATCH …/stock-bundles/{stock_bundle_id}"""
    bundle, stocks = _bundle(desk)
    number = desk.data["out_request_no"]
    return once(
        desk,
        "patch-bundle",
        number,
        lambda: _patch(desk, stocks),
        lambda _: show_bundle(desk.box, bundle),
    )


@both("POST", f"{BUNDLE}/update-budget", shape.BUDGET)
def bundle_budget(desk: Desk) -> Reply:
    """WeChat docs: POST …/stock-bundles/{stock_bundle_id}/update-budget"""
    bundle, stocks = _bundle(desk)
    number = desk.data["out_request_no"]
    return once(
        desk,
        "bundle-budget",
        number,
        lambda: _new_budget(desk, stocks),
        lambda _: show_bundle(desk.box, bundle),
    )


@both("POST", f"{BUNDLE}/associate-stores", shape.STORES)
def bundle_associate(desk: Desk) -> Reply:
    """WeChat docs: POST …/stock-bundles/{stock_bundle_id}/associate-stores"""
    return _change_stores(desk, _bundle(desk)[1], True)


@both("POST", f"{BUNDLE}/disassociate-stores", shape.STORES)
def bundle_disassociate(desk: Desk) -> Reply:
    """WeChat docs: POST …/stock-bundles/{stock_bundle_id}/disassociate-stores"""
    return _change_stores(desk, _bundle(desk)[1], False)
