"""Product coupons of people: sending, confirming, using, returning, ending.

WeChat docs: POST users/{openid}/coupons, …/{coupon_code}/confirm, /use, /return,
/deactivate, POST users/{openid}/coupon-bundles, pre-send-coupon,
GET users/{openid}/coupons.  Contracts §6.7.
"""

from typing import Any

from . import pay_product_schema as shape
from . import pay_schema as schema
from . import pay_transactions as orders
from . import product_wallet as wallet
from .clock import rfc3339
from .errors import PayError
from .pay_core import Reply
from .pay_product import (
    BAD_BODY,
    BAD_OPENID,
    BAD_STATE,
    BAD_STORE,
    DELETED,
    EXPIRED,
    NOT_FOUND,
    NOT_NOW,
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
    notify,
    once,
    page_of,
)
from .pay_product_rules import check_appid, in_period

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


def _held(desk: Desk, values: dict[str, Any]) -> dict[str, Any]:
    """Return the person's coupon that a call names."""
    openid, stock = _person(desk, values["appid"]), _stock(desk, values)
    key = wallet.code_key(stock["stock_id"], desk.call.params["coupon_code"])
    record = desk.box.state.product_codes.get(key)
    if record is None or record["openid"] != openid:
        raise not_found("用户券")
    return record


def _refuse(desk: Desk, record: dict[str, Any], *good: str) -> str:
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
    token = desk.box.state.random_text(64)
    desk.box.state.product_tokens[token] = {
        **desk.data,
        "openid": openid,
        "expires": desk.box.clock.now() + TOKEN_LIFE,
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
    record = _held(desk, {name: desk.call.need_query(name) for name in names})
    return 200, wallet.show(desk.box, record)


# -- confirming and ending -------------------------------------------------------
def _do(desk: Desk, operation: str, record: dict[str, Any], work: Any) -> Reply:
    number = desk.data["out_request_no"]
    return once(desk, operation, number, work, lambda _: wallet.show(desk.box, record))


@both("POST", f"{COUPON}/confirm", shape.CONFIRM)
def confirm(desk: Desk) -> Reply:
    """The shop has the coupon in its books; only now can it be used.

    WeChat docs: POST users/{openid}/coupons/{coupon_code}/confirm
    """
    record = _held(desk, desk.data)

    def work() -> None:
        state = _refuse(desk, record, "CONFIRMING", "PENDING", "EFFECTIVE", "USED")
        if state != "CONFIRMING":
            raise invalid("请求重入但单号不一致", OTHER_NUMBER)
        record["state"] = "LIVE"
        record["confirm_request_no"] = desk.data["out_request_no"]
        record["confirm_time"] = rfc3339(desk.box.clock.now())

    return _do(desk, "confirm", record, work)


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
    record = _held(desk, desk.data)

    def work() -> None:
        _refuse(desk, record, "CONFIRMING", "PENDING", "EFFECTIVE")
        _end(desk, record)

    return _do(desk, "deactivate", record, work)


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


# -- using -------------------------------------------------------
def _order(desk: Desk) -> dict[str, Any]:
    """Return what the coupon was used for: exactly one order, which is paid."""
    names = ("associated_order_info", "associated_pay_score_order_info")
    sent = [name for name in names if name in desk.data]
    if len(sent) != 1:
        raise bad("/associated_order_info", "", "订单信息必须且只能传入其中之一")
    info = desk.data[sent[0]]
    if sent[0] == names[0]:
        _payment(desk, info)
    else:
        _score_order(desk, info)
    return {sent[0]: info}


def _payment(desk: Desk, info: dict[str, Any]) -> None:
    where, state = "/associated_order_info", desk.box.state
    number, own = info.get("transaction_id"), info.get("out_trade_no")
    if not number and not own:
        raise bad(f"{where}/transaction_id", "", "缺少必填参数")
    if own and "mchid" not in info:
        raise bad(f"{where}/mchid", "", "传入out_trade_no时必填")
    key = orders.order_key(info.get("mchid", ""), own) if own else ""
    if number and own and state.transactions.get(number, "") != key:
        raise bad(f"{where}/transaction_id", number, "微信支付单号与商户订单号不一致")
    order = state.orders.get(key or state.transactions.get(number, ""))
    if order is None or info.get("mchid", order["mchid"]) != order["mchid"]:
        raise invalid("关联订单不存在", NOT_FOUND)
    sub = orders.sub_of(order)
    if info.get("sub_mchid", "" if own else sub) != sub:
        raise invalid("关联订单与子商户号不匹配", NOT_FOUND)
    if order["trade_state"] not in orders.PAID:
        raise invalid("关联订单未支付", BAD_BODY)


def _score_order(desk: Desk, info: dict[str, Any]) -> None:
    """Pay-score orders are made by the control API only."""
    where, table = "/associated_pay_score_order_info", desk.box.state.pay_score_orders
    if not info.get("order_id") and not (info.get("out_order_no") and "mchid" in info):
        raise bad(f"{where}/order_id", "", "缺少必填参数")
    for order in table.values():
        if all(order.get(name) == value for name, value in info.items()):
            if order["state"] != "DONE":
                raise invalid("关联订单未支付", BAD_BODY)
            return
    raise invalid("关联订单不存在", NOT_FOUND)


def _check_store(desk: Desk, stock: dict[str, Any]) -> None:
    """The shop must be the brand's, and in a SPECIFIC stock's list.

    Whether a SPECIFIC stock may be used without a shop is not documented: it may not.
    """
    store, scope = desk.data.get("store_id"), stock["data"]["store_scope"]
    allowed = stock["stores"] if scope == "SPECIFIC" else desk.brand.stores
    if store is None and scope != "SPECIFIC":
        return
    if store not in allowed:
        raise invalid("核销门店非法", BAD_STORE)


def _check_time(desk: Desk, record: dict[str, Any], stock: dict[str, Any]) -> None:
    """The time of use must be inside the coupon's and the stock's hours.

    Clients live in the real time: where a test has moved the clock, the time of use
    may be meant either way.
    """
    said = schema.parse_time(desk.data["use_time"])
    for moment in (said, said + desk.box.clock.offset):
        good = int(record["begin"]) <= moment <= record["end"]
        if good and in_period(stock, moment):
            return
    raise invalid("券不在使用有效期内", NOT_NOW)


def _round(desk: Desk, record: dict[str, Any], using: bool) -> int:
    """Return which time this is; the older kind of coupon must say it, from 0."""
    index = desk.data.get("sequential_coupon_index")
    if record["bundle"]:
        own = record["bundle"]["user_coupon_bundle_index"]
        if index not in (None, own):
            raise bad("/sequential_coupon_index", index, "多次优惠索引错误")
        return 0
    several = len(record["rounds"]) > 1
    if several != (index is not None):
        raise bad("/sequential_coupon_index", index, "当且仅当SEQUENTIAL时传入")
    if not several:
        return 0
    used = sum(bool(item.get("used")) for item in record["rounds"])
    if index != (used if using else used - 1):
        raise bad("/sequential_coupon_index", index, "多次优惠索引错误")
    return index


def _refuse_use(desk: Desk, record: dict[str, Any]) -> None:
    state = _refuse(desk, record, "EFFECTIVE", "PENDING", "USED")
    if state == "USED":
        number = desk.box.state.settings["product_used_number"]
        raise invalid("券已被其他单号核销", number)
    if state == "PENDING":
        if wallet.opens(desk.box, record) is None:
            raise invalid("用户券状态非法", BAD_STATE)
        raise invalid("券不在使用有效期内", NOT_NOW)


@both("POST", f"{COUPON}/use", shape.USE)
def use(desk: Desk) -> Reply:
    """Use a coupon for a payment.  The same number again is the same use.

    WeChat docs: POST users/{openid}/coupons/{coupon_code}/use
    """
    record = _held(desk, desk.data)
    box, data = desk.box, desk.data
    stock = box.state.product_stocks[record["stock_id"]]

    def work() -> None:
        _refuse_use(desk, record)
        index = _round(desk, record, True)
        order = _order(desk)
        _check_store(desk, stock)
        _check_time(desk, record, stock)
        used = {
            "used": box.clock.now(),
            "use_request_no": data["out_request_no"],
            "use_time": data["use_time"],
            **order,
        }
        for name in ("saved_amount", "store_id"):
            if name in data:
                used[name] = data[name]
        record["rounds"][index] = used
        record["last_round"] = index
        if all(item.get("used") for item in record["rounds"]):
            record["state"] = "USED"
        notify(box, record, "USE")

    return _do(desk, "use", record, work)


def _check_return(desk: Desk, record: dict[str, Any]) -> int:
    """Only what is used can come back, of a bundle the last used coupon only."""
    state = wallet.state_of(desk.box, record)
    some = any(item.get("used") for item in record["rounds"])
    if state != "USED" and not (some and state in ("EFFECTIVE", "PENDING")):
        _refuse(desk, record)
    if desk.box.clock.now() > record["end"]:
        raise invalid("用户券已过期", EXPIRED)
    if record["bundle"]:
        later = record["bundle"]["user_coupon_bundle_index"] + 1
        if any(r["state"] == "USED" for r in wallet.siblings(desk.box, record)[later:]):
            raise invalid("只能退回券组内最近一张已核销的券", BAD_STATE)
    return _round(desk, record, False)


@both("POST", f"{COUPON}/return", shape.RETURN)
def give_back(desk: Desk) -> Reply:
    """Make a used coupon usable again.  A refund of the order does not do it.

    WeChat docs: POST users/{openid}/coupons/{coupon_code}/return
    """
    record = _held(desk, desk.data)

    def work() -> None:
        index = _check_return(desk, record)
        record["rounds"][index].update(
            used=None,
            return_request_no=desk.data["out_request_no"],
            return_time=rfc3339(desk.box.clock.now()),
        )
        record["last_round"] = index
        record["state"] = "LIVE"
        notify(desk.box, record, "RETURN")

    return _do(desk, "return", record, work)
