"""Product coupons: making one with its first stock, changing it, ending it.

WeChat docs: POST product-coupons, GET and PATCH product-coupons/{product_coupon_id},
POST product-coupons/{product_coupon_id}/deactivate.  Contracts §6.7.
"""

from typing import TYPE_CHECKING, Any

from . import pay_product_schema as shape
from . import pay_schema as schema
from .clock import rfc3339
from .pay_core import Reply
from .pay_product import (
    BAD_STATE,
    Desk,
    all_stocks,
    both,
    find_coupon,
    invalid,
    once,
    review_new,
    show_bundle,
    show_coupon,
    show_stock,
)
from .pay_product_rules import check_coupon, check_display

if TYPE_CHECKING:
    from .sandbox import Sandbox

COUPONS = "/product-coupons"
COUPON = f"{COUPONS}/{{product_coupon_id}}"


# -- making -------------------------------------------------------
def _new_id(box: "Sandbox", table: dict[str, Any], length: int) -> str:
    while True:
        number = str(box.state.rng.randint(1, 9)) + box.state.random_digits(length - 1)
        if number not in table:
            return number


def new_stock(
    desk: Desk, coupon: dict[str, Any], data: dict[str, Any], bundle: dict | None = None
) -> dict[str, Any]:
    state = desk.box.state
    rule = next(data[name] for name in data if name.endswith("_usage_rule"))
    period = rule["coupon_available_period"]
    stock = {
        "stock_id": _new_id(desk.box, state.product_stocks, 18),
        "product_coupon_id": coupon["product_coupon_id"],
        "brand_id": coupon["brand_id"],
        "creator": coupon["creator"],
        "state": "AUDITING",
        "created": desk.box.clock.now(),
        "begin": schema.parse_time(period["available_begin_time"]),
        "end": schema.parse_time(period["available_end_time"]),
        "data": data,
        "bundle": bundle,
        "codes": [],
        "next_code": 0,
        "stores": [],
        "sent": 0,
        "sent_day": "",
        "sent_today": 0,
        "per_user": {},
    }
    state.product_stocks[stock["stock_id"]] = stock
    coupon["stock_ids"].append(stock["stock_id"])
    return stock


def new_bundle(
    desk: Desk, coupon: dict[str, Any], data: dict[str, Any]
) -> dict[str, Any]:
    """Make a stock for each time the coupon can be used; the first has index 0."""
    state = desk.box.state
    number = _new_id(desk.box, state.product_bundles, 18)
    bundle = {
        "stock_bundle_id": number,
        "product_coupon_id": coupon["product_coupon_id"],
        "brand_id": coupon["brand_id"],
        "creator": coupon["creator"],
        "stock_ids": [],
    }
    rule = dict(data["progressive_bundle_usage_rule"])
    name = f"{coupon['data']['type'].lower()}_coupon"
    offers = rule.pop(f"{name}_list")
    for index, offer in enumerate(offers):
        one = {**data, "progressive_bundle_usage_rule": {**rule, name: offer}}
        place = {"stock_bundle_id": number, "stock_bundle_index": index}
        stock = new_stock(desk, coupon, one, place)
        bundle["stock_ids"].append(stock["stock_id"])
    state.product_bundles[number] = bundle
    return bundle


@both("POST", COUPONS, shape.CREATE)
def create(desk: Desk) -> Reply:
    """WeChat docs: POST product-coupons"""
    state, data = desk.box.state, dict(desk.data)
    number = data.pop("out_request_no")

    def work() -> list[str]:
        check_coupon(desk)
        stock, bundle = data.pop("stock", None), data.pop("stock_bundle", None)
        coupon = {
            "product_coupon_id": _new_id(desk.box, state.product_coupons, 10),
            "brand_id": desk.brand.brand_id,
            "creator": desk.creator,
            "state": "AUDITING",
            "created": desk.box.clock.now(),
            "data": data,
            "stock_ids": [],
        }
        state.product_coupons[coupon["product_coupon_id"]] = coupon
        if bundle:
            made = new_bundle(desk, coupon, bundle)["stock_bundle_id"]
        else:
            made = new_stock(desk, coupon, stock)["stock_id"]
        return [coupon["product_coupon_id"], made]

    def show(made: list[str]) -> dict[str, Any]:
        coupon = state.product_coupons[made[0]]
        if made[1] in state.product_bundles:
            more = show_bundle(desk.box, state.product_bundles[made[1]])
            return {**show_coupon(coupon), "stock_bundle": more}
        more = show_stock(desk.box, state.product_stocks[made[1]])
        return {**show_coupon(coupon), "stock": more}

    status, shown = once(desk, "create", number, work, show)  # type: ignore[misc]
    # The answer says AUDITING; the review comes after it.
    review_new(desk.box, state.product_coupons[shown["product_coupon_id"]])
    return status, shown


# -- the coupon -------------------------------------------------------
@both("GET", COUPON)
def get_coupon(desk: Desk) -> Reply:
    """WeChat docs: GET product-coupons/{product_coupon_id}"""
    return 200, show_coupon(find_coupon(desk))


@both("PATCH", COUPON, shape.PATCH)
def patch_coupon(desk: Desk) -> Reply:
    """Change how a coupon looks.  Is that reviewed again?  Undocumented: it is not.

    WeChat docs: PATCH product-coupons/{product_coupon_id}
    """
    coupon = find_coupon(desk)

    def work() -> None:
        refuse_ended(coupon)
        check_display(desk, desk.data["display_info"], coupon["data"]["scope"])
        coupon["data"]["display_info"] = desk.data["display_info"]

    number = desk.data["out_request_no"]
    return once(desk, "patch-coupon", number, work, lambda _: show_coupon(coupon))


def refuse_ended(record: dict[str, Any]) -> None:
    if record["state"] == "DEACTIVATED":
        raise invalid("商品券或批次已失效", BAD_STATE)


def end(desk: Desk, record: dict[str, Any]) -> None:
    refuse_ended(record)
    record.update(
        state="DEACTIVATED",
        deactivate_request_no=desk.data["out_request_no"],
        deactivate_time=rfc3339(desk.box.clock.now()),
        deactivate_reason=desk.data["deactivate_reason"],
    )


@both("POST", f"{COUPON}/deactivate", shape.DEACTIVATE)
def deactivate_coupon(desk: Desk) -> Reply:
    """End a coupon and all its stocks; what people hold stays good.

    WeChat docs: POST product-coupons/{product_coupon_id}/deactivate
    """
    coupon = find_coupon(desk)

    def work() -> None:
        end(desk, coupon)
        for stock in all_stocks(desk.box, coupon):
            if stock["state"] != "DEACTIVATED":
                end(desk, stock)

    number = desk.data["out_request_no"]
    return once(desk, "end-coupon", number, work, lambda _: show_coupon(coupon))
