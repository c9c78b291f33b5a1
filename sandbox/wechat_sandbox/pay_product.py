"""Product coupons 商品券: the two doors, request numbers, look-ups, callbacks.

Contracts §6.7.  A brand comes through ``/brand/marketing/product-coupon`` and signs for
itself; a service provider comes through ``/v3/marketing/partner/product-coupon`` with a
``brand_id`` in the body or the query.  The calls are the same code for both.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import pay_schema as schema
from .clock import rfc3339
from .errors import PayError
from .pay_core import PayCall, Reply, route

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Brand

BRAND_DOOR = "/brand/marketing/product-coupon"
PARTNER_DOOR = "/v3/marketing/partner/product-coupon"

EXPIRED = 268578776
BAD_STATE = 268578367
DELETED = 272756769
NOT_SENDING = 268577984
NOT_NOW = 272755715
USER_LIMIT = 272756740
OTHER_NUMBER = 272755200
OTHER_DATA = 268578927
BAD_OPENID = {BRAND_DOOR: 268578532, PARTNER_DOOR: 268578526}
BAD_BODY = 268578224
BAD_APPID = 268578704
NOT_FOUND = 268578608
BAD_STORE = 268584404
ALL_STORES = 268578813
NO_RIGHT = 268579803
IMAGE_TOO_BIG = 270087680
#: WeChat documents no number for this refusal.
NO_NUMBER = 0

MAX_PAGE = 50
#: What a review that failed leaves: the documents have no state of their own for it.
REJECTED = "审核不通过"


def invalid(message: str, number: int) -> PayError:
    return PayError(400, "INVALID_REQUEST", message, number)


def bad(where: str, value: Any, issue: str, location: str = "body") -> PayError:
    """Return the refusal of a body that its schema cannot see (268578224)."""
    return schema.param_error(where, value, issue, BAD_BODY, location)


def not_found(what: str) -> PayError:
    """Unknown, of another brand, or made by another provider: all the same."""
    message = f"{what}不存在，请确认ID合法、属于当前品牌且由当前服务商创建"
    return invalid(message, NOT_FOUND)


@dataclass
class Desk:
    """A call for a brand, whichever door it came through."""

    call: PayCall
    brand: "Brand"
    door: str

    @property
    def box(self) -> "Sandbox":
        return self.call.box

    @property
    def data(self) -> dict[str, Any]:
        return self.call.data

    @property
    def creator(self) -> str:
        """Return who owns what is made here: the brand, or the provider."""
        return self.call.merchant.mchid


def both(
    method: str, path: str, body: schema.Field | None = None
) -> Callable[[Callable[[Desk], Reply]], Callable]:
    """Register a call behind both doors."""

    def register(handler: Callable[[Desk], Reply]) -> Callable:
        def brand_door(call: PayCall) -> Reply:
            brand = call.box.state.brands[call.merchant.mchid]
            return handler(Desk(call, brand, BRAND_DOOR))

        def partner_door(call: PayCall) -> Reply:
            data = dict(call.data)
            number = data.pop("brand_id", "") or call.need_query("brand_id")
            brand = authorised(call, number)
            return handler(Desk(replace(call, data=data), brand, PARTNER_DOOR))

        named = body
        if body is not None:
            number = schema.string(32, required=True)
            named = schema.group(
                required=True, brand_id=number, **dict(body.fields or {})
            )
        route(method, BRAND_DOOR + path, body)(brand_door)
        route(method, PARTNER_DOOR + path, named)(partner_door)
        return handler

    return register


def authorised(call: PayCall, brand_id: str) -> "Brand":
    """Return the brand that let this provider act for it, else 403."""
    brand = call.box.state.brands.get(brand_id)
    if brand is None or call.merchant.mchid not in brand.providers:
        raise PayError(403, "NO_AUTH", "服务商没有此接口权限", NO_RIGHT)
    return brand


# -- request numbers -------------------------------------------------------
def once(
    desk: Desk,
    operation: str,
    number: str,
    work: Callable[[], Any],
    show: Callable[[Any], dict[str, Any]],
) -> Reply:
    """Do ``work`` once for a request number, and show its outcome as it is now.

    The same number with other data is 268578927.  A request that was refused leaves
    its number free.
    """
    requests = desk.box.state.product_requests
    key = "|".join((desk.brand.brand_id, desk.creator, operation, number))
    asked = [desk.call.params, desk.data]
    known = requests.get(key)
    if known is None:
        known = requests[key] = {"asked": asked, "result": work()}
    elif known["asked"] != asked:
        message = "使用了相同单号，但与上次请求的数据不一致"
        raise PayError(400, "ALREADY_EXISTS", message, OTHER_DATA)
    return 200, show(known["result"])


# -- look-ups -------------------------------------------------------
def _own(desk: Desk, record: dict[str, Any] | None, what: str) -> dict[str, Any]:
    mine = (desk.brand.brand_id, desk.creator)
    if record is None or (record["brand_id"], record["creator"]) != mine:
        raise not_found(what)
    return record


def find_coupon(desk: Desk, number: str = "") -> dict[str, Any]:
    number = number or desk.call.params["product_coupon_id"]
    return _own(desk, desk.box.state.product_coupons.get(number), "商品券")


def find_stock(desk: Desk, coupon: dict[str, Any], number: str = "") -> dict[str, Any]:
    """Return a stock, which must belong to the coupon."""
    number = number or desk.call.params["stock_id"]
    stock = _own(desk, desk.box.state.product_stocks.get(number), "批次")
    if stock["product_coupon_id"] != coupon["product_coupon_id"]:
        raise not_found("批次")
    return stock


def find_bundle(desk: Desk, coupon: dict[str, Any], number: str = "") -> dict[str, Any]:
    number = number or desk.call.params["stock_bundle_id"]
    bundle = _own(desk, desk.box.state.product_bundles.get(number), "批次组")
    if bundle["product_coupon_id"] != coupon["product_coupon_id"]:
        raise not_found("批次组")
    return bundle


def stocks_of(box: "Sandbox", bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [box.state.product_stocks[number] for number in bundle["stock_ids"]]


def page_of(desk: Desk, rows: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return one page of rows, and what every list says beside them."""
    query = desk.call.query
    size, start = query.get("page_size", "20"), 0
    if not size.isascii() or not size.isdigit() or not 1 <= int(size) <= MAX_PAGE:
        raise bad("page_size", size, "分页大小为1到50", "query")
    if token := query.get("page_token"):
        try:
            start = int(base64.urlsafe_b64decode(token).decode("ascii"))
        except (binascii.Error, ValueError):
            raise bad("page_token", token, "分页Token错误", "query") from None
    end = start + int(size)
    shown: dict[str, Any] = {"total_count": len(rows)}
    if end < len(rows):
        token = base64.urlsafe_b64encode(str(end).encode()).decode()
        shown["next_page_token"] = token
    return rows[max(start, 0) : end], shown


def asked_state(desk: Desk, name: str, choices: tuple[str, ...]) -> str:
    """Return the state that a list is asked for, "" for all."""
    value = desk.call.query.get(name, "")
    if value and value not in choices:
        raise bad(name, value, "取值不在枚举范围内", "query")
    return value


# -- what is shown -------------------------------------------------------
_ENDING = ("deactivate_request_no", "deactivate_time", "deactivate_reason")


def ending(record: dict[str, Any]) -> dict[str, Any]:
    """Return how a record came to its end, nothing while it lives."""
    return {name: record[name] for name in _ENDING if record.get(name)}


def show_coupon(coupon: dict[str, Any]) -> dict[str, Any]:
    names = ("product_coupon_id", "brand_id", "state")
    return {
        **{name: coupon[name] for name in names},
        **coupon["data"],
        **ending(coupon),
    }


def stock_state(box: "Sandbox", stock: dict[str, Any]) -> str:
    """Return the state; a stock whose time is over has stopped."""
    if stock["state"] in ("SENDING", "PAUSED") and box.clock.now() > stock["end"]:
        return "STOPPED"
    return stock["state"]


def show_stock(box: "Sandbox", stock: dict[str, Any]) -> dict[str, Any]:
    today = box.clock.today()
    counted = stock["sent_today"] if stock["sent_day"] == today else 0
    shown = {
        "product_coupon_id": stock["product_coupon_id"],
        "stock_id": stock["stock_id"],
        "brand_id": stock["brand_id"],
        **stock["data"],
        "sent_count_info": {"total_count": stock["sent"], "today_count": counted},
        "state": stock_state(box, stock),
        **ending(stock),
    }
    if stock["bundle"]:
        shown["stock_bundle_info"] = stock["bundle"]
    if stock["data"]["coupon_code_mode"] == "UPLOAD":
        left = len(stock["codes"]) - stock["next_code"]
        counts = {"total_count": len(stock["codes"]), "available_count": left}
        shown["coupon_code_count_info"] = counts
    return shown


def show_bundle(box: "Sandbox", bundle: dict[str, Any]) -> dict[str, Any]:
    return {
        "stock_bundle_id": bundle["stock_bundle_id"],
        "stock_list": [show_stock(box, stock) for stock in stocks_of(box, bundle)],
    }


# -- what WeChat decides -------------------------------------------------------
def review(
    box: "Sandbox", record: dict[str, Any], passed: bool, reason: str = ""
) -> None:
    """End the review of a coupon or of a stock that waits for it."""
    if record["state"] != "AUDITING":
        return
    if passed:
        record["state"] = "SENDING" if "stock_id" in record else "EFFECTIVE"
    else:
        record["state"] = "DEACTIVATED"
        record["deactivate_reason"] = reason or REJECTED
        record["deactivate_time"] = rfc3339(box.clock.now())
    box.state.touch()


def review_new(box: "Sandbox", coupon: dict[str, Any]) -> None:
    """Review a coupon and its stocks at once, unless reviews are held."""
    wish = box.state.settings["product_review"]
    if wish == "hold":
        return
    for record in (coupon, *all_stocks(box, coupon)):
        review(box, record, wish == "pass")


def all_stocks(box: "Sandbox", coupon: dict[str, Any]) -> list[dict[str, Any]]:
    return [box.state.product_stocks[number] for number in coupon["stock_ids"]]


# -- callbacks -------------------------------------------------------
def notify(box: "Sandbox", record: dict[str, Any], kind: str) -> None:
    """Tell the owner of a coupon: SEND, USE or RETURN.

    The fields of SEND are documented; those of USE and RETURN are not,
    so they hold what the coupon itself shows of it.  Deletion by the person is told
    to nobody.
    """
    owner = box.pay.party(record["creator"])
    settings = box.state.settings
    if owner is None or (kind != "SEND" and not settings["product_use_callbacks"]):
        return
    prefix = settings["product_event_prefix"]
    if prefix == "door":
        own = record["creator"] == record["brand_id"]
        prefix = "PRODUCT_COUPON" if own else "PRODUCT_COUPON_SP"
    texts = {
        "SEND": "商品券领券通知",
        "USE": "商品券核销通知",
        "RETURN": "商品券退券通知",
    }
    box.pay.notify(
        owner,
        owner.product_notify.get("notify_url", ""),
        f"{prefix}.{kind}",
        "product_coupon",
        _told(box, record, kind),
        summary=texts[kind],
    )


def _told(box: "Sandbox", record: dict[str, Any], kind: str) -> dict[str, Any]:
    names = ("brand_id", "coupon_code", "product_coupon_id", "stock_id", "openid")
    told = {name: record[name] for name in names}
    stock = box.state.product_stocks[record["stock_id"]]
    told["appid"] = stock["data"]["notify_config"]["notify_appid"]
    told["unionid"] = box.state.users[record["openid"]].unionid
    if record["bundle"]:
        told["stock_bundle_id"] = stock["bundle"]["stock_bundle_id"]
        told["user_coupon_bundle_id"] = record["bundle"]["user_coupon_bundle_id"]
    if kind == "SEND":
        for name in ("send_request_no", "send_channel"):
            told[name] = record[name]
        told["receive_time"] = rfc3339(record["received"])
        told["valid_begin_time"] = rfc3339(record["begin"])
        told["valid_end_time"] = rfc3339(record["end"])
        if record["attach"]:
            told["attach"] = record["attach"]
        return told
    used = record["rounds"][record["last_round"]]
    return {**told, **{name: value for name, value in used.items() if name != "used"}}
