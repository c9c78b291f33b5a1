"""Product coupons of people: sending, looking, confirming, ending.

WeChat docs: POST and GET users/{openid}/coupons, POST …/{coupon_code}/confirm,
/deactivate, POST users/{openid}/coupon-bundles, pre-send-coupon.  Contracts §6.7.
"""

from typing import Any

from . import pay_product_schema as shape
from . import product_wallet as wallet
from .clock import rfc3339
from .errors import PayError
from .pay_core import Reply
from .pay_product import (
    BAD_BODY,
    BAD_OPENID,
    BAD_STATE,
    DELETED,
    EXPIRED,
    OTHER_NUMBER,
    Desk,
    asked_state,
    bad,
    both,
    find_bundle,
    find_coupon,
    find_stock,
    invalid,
    not_found,
    once,
    page_of,
)
from .pay_product_rules import check_appid

TOKEN_LIFE = 300

COUPONS = "/users/{openid}/coupons"
COUPON = f"{COUPONS}/{{coupon_code}}"
BUNDLES = "/users/{openid}/coupon-bundles"


# -- who and what -------------------------------------------------------
def _person(desk: Desk, appid: str) -> str:
    """Return the person in the address, as the AppID knows them."""
    check_appid(desk, appid)
    openid = desk.call.params["openid"]
    user = desk.box.state.users.get(openid)
    if user is None or user.appid not in ("", appid):
        message = "解析OpenID错误"
        raise PayError(400, "PARAM_ERROR", message, BAD_OPENID[desk.door])
    return openid


def _stock(desk: Desk, values: dict[str, Any]) -> dict[str, Any]:
    coupon = find_coupon(desk, values["product_coupon_id"])
    return find_stock(desk, coupon, values["stock_id"])


def held(desk: Desk, values: dict[str, Any]) -> dict[str, Any]:
    """Return the person's coupon that a call names."""
    openid, stock = _person(desk, values["appid"]), _stock(desk, values)
    key = wallet.code_key(stock["stock_id"], desk.call.params["coupon_code"])
    record = desk.box.state.product_codes.get(key)
    if record is None or record["openid"] != openid:
        raise not_found("用户券")
    return record


def refuse(desk: Desk, record: dict[str, Any], *good: str) -> str:
    """Return the state if it is a good one, else refuse with its own number."""
    state = wallet.state_of(desk.box, record)
    if state in good:
        return state
    if state == "DELETED":
        raise invalid("券已被删除", DELETED)
    if state == "EXPIRED":
        raise invalid("用户券已过期", EXPIRED)
    raise invalid("用户券状态非法", BAD_STATE)


# -- sending -------------------------------------------------------
_DETAILS = ("appid", "send_request_no", "coupon_code", "attach", "coupon_tag_info")


def _details(desk: Desk) -> dict[str, Any]:
    found = {name: desk.data[name] for name in _DETAILS if name in desk.data}
    tags = found.get("coupon_tag_info", {})
    member = "MEMBER" in tags.get("coupon_tag_list", [])
    if tags and member != ("member_tag_info" in tags):
        raise bad("/coupon_tag_info/member_tag_info", "", "与coupon_tag_list不符")
    return found


@both("POST", COUPONS, shape.SEND)
def send(desk: Desk) -> Reply:
    """Give a person a coupon; it waits for the confirmation.

    WeChat docs: POST users/{openid}/coupons
    """
    box, data = desk.box, desk.data
    openid, stock = _person(desk, data["appid"]), _stock(desk, data)
    details = _details(desk)

    def work() -> str:
        if stock["bundle"]:
            raise invalid("批次组内的批次不能单独发放", BAD_BODY)
        wallet.check_can_give(box, stock, openid, details.get("coupon_code", ""))
        record = wallet.give(box, stock, openid, send_channel="API", **details)
        wallet.told(box, [record])
        return wallet.code_key(stock["stock_id"], record["coupon_code"])

    def show(key: str) -> dict[str, Any]:
        return wallet.show(box, box.state.product_codes[key])

    return once(desk, "send", data["send_request_no"], work, show)


def _show_bundle(desk: Desk, keys: list[str]) -> dict[str, Any]:
    records = [desk.box.state.product_codes[key] for key in keys]
    return {
        "user_coupon_bundle_id": records[0]["bundle"]["user_coupon_bundle_id"],
        "user_product_coupon_list": [wallet.show(desk.box, item) for item in records],
    }


@both("POST", BUNDLES, shape.SEND_BUNDLE)
def send_bundle(desk: Desk) -> Reply:
    """Give a person one coupon for each time.

    WeChat docs: POST users/{openid}/coupon-bundles
    """
    box, data = desk.box, desk.data
    openid = _person(desk, data["appid"])
    coupon = find_coupon(desk, data["product_coupon_id"])
    bundle = find_bundle(desk, coupon, data["stock_bundle_id"])
    details = {**_details(desk), "send_channel": "API"}

    def work() -> list[str]:
        records = wallet.give_bundle(box, bundle, openid, **details)
        wallet.told(box, records)
        return [wallet.code_key(r["stock_id"], r["coupon_code"]) for r in records]

    number = data["send_request_no"]
    return once(desk, "send", number, work, lambda keys: _show_bundle(desk, keys))


def _token(desk: Desk, openid: str) -> Reply:
    """Make a token for the claiming component; it lasts five minutes."""
    tokens, now = desk.box.state.product_tokens, desk.box.clock.now()
    for old in [key for key, entry in tokens.items() if entry["expires"] < now]:
        del tokens[old]
    token = desk.box.state.random_text(64)
    tokens[token] = {
        **desk.data,
        "openid": openid,
        "expires": now + TOKEN_LIFE,
        "used": False,
    }
    return 200, {"token": token}


@both("POST", "/users/{openid}/pre-send-coupon", shape.PRE_SEND)
def pre_send(desk: Desk) -> Reply:
    """WeChat docs: POST users/{openid}/pre-send-coupon"""
    openid, stock = _person(desk, desk.data["appid"]), _stock(desk, desk.data)
    if stock["bundle"]:
        raise invalid("批次组内的批次不能单独发放", BAD_BODY)
    code = desk.data.get("coupon_code", "")
    wallet.check_can_give(desk.box, stock, openid, code)
    return _token(desk, openid)


@both("POST", "/users/{openid}/pre-send-coupon-bundle", shape.PRE_SEND_BUNDLE)
def pre_send_bundle(desk: Desk) -> Reply:
    """WeChat docs: POST users/{openid}/pre-send-coupon-bundle"""
    openid = _person(desk, desk.data["appid"])
    coupon = find_coupon(desk, desk.data["product_coupon_id"])
    bundle = find_bundle(desk, coupon, desk.data["stock_bundle_id"])
    for number in bundle["stock_ids"]:
        stock = desk.box.state.product_stocks[number]
        wallet.check_can_give(desk.box, stock, openid)
    return _token(desk, openid)


# -- looking -------------------------------------------------------
@both("GET", COUPONS)
def list_coupons(desk: Desk) -> Reply:
    """WeChat docs: GET users/{openid}/coupons"""
    openid = _person(desk, desk.call.need_query("appid"))
    state = asked_state(desk, "coupon_state", shape.COUPON_STATES)
    wanted = {"brand_id": desk.brand.brand_id, "creator": desk.creator}
    for name in ("product_coupon_id", "stock_id"):
        if value := desk.call.query.get(name):
            wanted[name] = value
    bundle = desk.call.query.get("user_coupon_bundle_id")
    rows = [
        record
        for record in wallet.held_by(desk.box, openid)
        if all(record[name] == value for name, value in wanted.items())
        and state in ("", wallet.state_of(desk.box, record))
        and (
            not bundle
            or (record["bundle"] or {}).get("user_coupon_bundle_id") == bundle
        )
    ]
    rows, shown = page_of(desk, rows)
    return 200, {**shown, "user_coupon_list": [wallet.show(desk.box, r) for r in rows]}


@both("GET", COUPON)
def get_coupon(desk: Desk) -> Reply:
    """WeChat docs: GET users/{openid}/coupons/{coupon_code}"""
    names = ("product_coupon_id", "stock_id", "appid")
    record = held(desk, {name: desk.call.need_query(name) for name in names})
    return 200, wallet.show(desk.box, record)


# -- confirming and ending -------------------------------------------------------
def act(desk: Desk, operation: str, record: dict[str, Any], work: Any) -> Reply:
    number = desk.data["out_request_no"]
    return once(desk, operation, number, work, lambda _: wallet.show(desk.box, record))


@both("POST", f"{COUPON}/confirm", shape.CONFIRM)
def confirm(desk: Desk) -> Reply:
    """The shop has the coupon in its books; only now can it be used.

    WeChat docs: POST users/{openid}/coupons/{coupon_code}/confirm
    """
    record = held(desk, desk.data)

    def work() -> None:
        state = refuse(desk, record, "CONFIRMING", "PENDING", "EFFECTIVE", "USED")
        if state != "CONFIRMING":
            raise invalid("请求重入但单号不一致", OTHER_NUMBER)
        record["state"] = "LIVE"
        record["confirm_request_no"] = desk.data["out_request_no"]
        record["confirm_time"] = rfc3339(desk.box.clock.now())

    return act(desk, "confirm", record, work)


def _end(desk: Desk, record: dict[str, Any]) -> None:
    record.update(
        state="DEACTIVATED",
        deactivate_request_no=desk.data["out_request_no"],
        deactivate_time=rfc3339(desk.box.clock.now()),
        deactivate_reason=desk.data["deactivate_reason"],
    )


@both("POST", f"{COUPON}/deactivate", shape.DEACTIVATE_COUPON)
def deactivate(desk: Desk) -> Reply:
    """WeChat docs: POST users/{openid}/coupons/{coupon_code}/deactivate"""
    record = held(desk, desk.data)

    def work() -> None:
        refuse(desk, record, "CONFIRMING", "PENDING", "EFFECTIVE")
        _end(desk, record)

    return act(desk, "deactivate", record, work)


@both(
    "POST", f"{BUNDLES}/{{user_coupon_bundle_id}}/deactivate", shape.DEACTIVATE_COUPONS
)
def deactivate_bundle(desk: Desk) -> Reply:
    """End what is left of a bundle; used, expired and deleted coupons stay so.

    WeChat docs: POST …/coupon-bundles/{user_coupon_bundle_id}/deactivate
    """
    box, data = desk.box, desk.data
    openid = _person(desk, data["appid"])
    coupon = find_coupon(desk, data["product_coupon_id"])
    stocks = find_bundle(desk, coupon, data["stock_bundle_id"])["stock_ids"]
    number = desk.call.params["user_coupon_bundle_id"]
    records = [
        record
        for record in wallet.held_by(box, openid)
        if record["stock_id"] in stocks
        and record["bundle"]["user_coupon_bundle_id"] == number
    ]
    if not records:
        raise not_found("用户券组")
    keys = [wallet.code_key(r["stock_id"], r["coupon_code"]) for r in records]

    def work() -> None:
        open_states = ("CONFIRMING", "PENDING", "EFFECTIVE")
        left = [r for r in records if wallet.state_of(box, r) in open_states]
        if not left:
            raise invalid("用户券状态非法", BAD_STATE)
        for record in left:
            _end(desk, record)

    request = data["out_request_no"]
    return once(desk, "end-bundle", request, work, lambda _: _show_bundle(desk, keys))
