"""Product coupons in people's hands: giving out, states, deleting.

Contracts §6.7: CONFIRMING → PENDING | EFFECTIVE → USED | EXPIRED | DELETED |
DEACTIVATED.  What is stored is CONFIRMING, LIVE, USED, DELETED or DEACTIVATED; the rest
is a matter of time.
"""

from typing import TYPE_CHECKING, Any

from .clock import midnight, rfc3339
from .errors import PayError
from .pay_product import (
    BAD_BODY,
    BAD_STATE,
    NO_NUMBER,
    NOT_SENDING,
    OTHER_NUMBER,
    USER_LIMIT,
    ending,
    invalid,
    notify,
    show_coupon,
    show_stock,
    stock_state,
)
from .pay_product_rules import DAY, validity

if TYPE_CHECKING:
    from .sandbox import Sandbox

CODE_LENGTH = 22


def code_key(stock_id: str, code: str) -> str:
    """Codes are unique inside a stock, as in busifavor."""
    return f"{stock_id}|{code}"


def held_by(box: "Sandbox", openid: str) -> list[dict[str, Any]]:
    """Return a person's coupons, the oldest first."""
    keys = box.state.product_wallets.get(openid, [])
    return [box.state.product_codes[key] for key in keys]


# -- giving out -------------------------------------------------------
def check_can_give(
    box: "Sandbox", stock: dict[str, Any], openid: str, code: str = ""
) -> None:
    """Refuse what the stock does not allow."""
    coupon = box.state.product_coupons[stock["product_coupon_id"]]
    if stock_state(box, stock) != "SENDING" or coupon["state"] != "EFFECTIVE":
        raise invalid("商品券批次状态不是发放中", NOT_SENDING)
    mode = stock["data"]["coupon_code_mode"]
    if (mode == "API_ASSIGN") != bool(code):
        raise invalid("coupon_code与券Code分配模式不符", BAD_BODY)
    if code and code_key(stock["stock_id"], code) in box.state.product_codes:
        raise invalid("发券请求重入但单号不一致", OTHER_NUMBER)
    rule = stock["data"]["stock_send_rule"]
    # Coupons that nobody has confirmed count too.
    limit = rule.get("max_count_per_user")
    if limit and stock["per_user"].get(openid, 0) >= limit:
        raise invalid("用户领取券张数已达上限", USER_LIMIT)
    today = stock["sent_today"] if stock["sent_day"] == box.clock.today() else 0
    spent = stock["sent"] >= rule["max_count"]
    if spent or today >= rule.get("max_count_per_day", today + 1):
        raise invalid("批次发放次数已达上限", NO_NUMBER)
    if mode == "UPLOAD" and stock["next_code"] >= len(stock["codes"]):
        raise invalid("预上传的券Code已用完", NO_NUMBER)


def give(
    box: "Sandbox", stock: dict[str, Any], openid: str, **details: Any
) -> dict[str, Any]:
    """Put a coupon into a wallet; it waits for the shop's confirmation.

    :param details: appid, send_request_no, send_channel, coupon_code, attach,
        coupon_tag_info, bundle
    """
    coupon = box.state.product_coupons[stock["product_coupon_id"]]
    code = details.pop("coupon_code", "") or _next_code(box, stock)
    begin, end = validity(box, coupon, stock)
    older = coupon["data"].get("sequential_usage_info", {})
    record = {
        "stock_id": stock["stock_id"],
        "product_coupon_id": stock["product_coupon_id"],
        "brand_id": stock["brand_id"],
        "creator": stock["creator"],
        "openid": openid,
        "coupon_code": code,
        "state": "CONFIRMING",
        "received": box.clock.now(),
        "begin": begin,
        "end": end,
        "attach": "",
        "coupon_tag_info": None,
        "bundle": None,
        "rounds": [{} for _ in range(older.get("count", 1))],
        "last_round": 0,
        **details,
    }
    key = code_key(stock["stock_id"], code)
    box.state.product_codes[key] = record
    box.state.product_wallets.setdefault(openid, []).append(key)
    _count(box, stock, openid)
    box.state.touch()
    return record


def _next_code(box: "Sandbox", stock: dict[str, Any]) -> str:
    if stock["data"]["coupon_code_mode"] == "UPLOAD":
        stock["next_code"] += 1
        return stock["codes"][stock["next_code"] - 1]
    while True:
        code = box.state.coupon_digits(CODE_LENGTH)
        if code_key(stock["stock_id"], code) not in box.state.product_codes:
            return code


def _count(box: "Sandbox", stock: dict[str, Any], openid: str) -> None:
    today = box.clock.today()
    if stock["sent_day"] != today:
        stock.update(sent_day=today, sent_today=0)
    stock["sent"] += 1
    stock["sent_today"] += 1
    stock["per_user"][openid] = stock["per_user"].get(openid, 0) + 1


def give_bundle(
    box: "Sandbox", bundle: dict[str, Any], openid: str, **details: Any
) -> list[dict[str, Any]]:
    """Give one coupon of every stock of a bundle; all or none."""
    stocks = [box.state.product_stocks[number] for number in bundle["stock_ids"]]
    for stock in stocks:
        check_can_give(box, stock, openid)
    number = box.state.random_digits(18)
    records = []
    for index, stock in enumerate(stocks):
        place = {
            "user_coupon_bundle_id": number,
            "user_coupon_bundle_index": index,
            "total_count": len(stocks),
        }
        records.append(give(box, stock, openid, bundle=place, **details))
    return records


def told(box: "Sandbox", records: list[dict[str, Any]]) -> None:
    """Send the callback of each coupon that was given out."""
    for record in records:
        notify(box, record, "SEND")


# -- states -------------------------------------------------------
def siblings(box: "Sandbox", record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the coupons of a person's bundle, in their order."""
    number = record["bundle"]["user_coupon_bundle_id"]
    found = [
        other
        for other in held_by(box, record["openid"])
        if other["bundle"] and other["bundle"]["user_coupon_bundle_id"] == number
    ]
    return sorted(found, key=lambda item: item["bundle"]["user_coupon_bundle_index"])


def opens(box: "Sandbox", record: dict[str, Any]) -> float | None:
    """Return from when the next time of a several-times coupon is usable.

    None: the one before is not used yet.  That they are used in their order follows
    from the return rule ("only the last used one"); the interval counts Beijing days.
    """
    coupon = box.state.product_coupons[record["product_coupon_id"]]["data"]
    if record["bundle"]:
        index = record["bundle"]["user_coupon_bundle_index"]
        if not index:
            return record["begin"]
        before = siblings(box, record)[index - 1]
        if before["state"] != "USED":
            return None
        last = before["rounds"][0]["used"]
    else:
        last = max((item.get("used") or 0 for item in record["rounds"]), default=0)
    info = coupon.get("progressive_bundle_usage_info") or coupon.get(
        "sequential_usage_info", {}
    )
    interval = info.get("interval_days", 0)
    if not last or not interval:
        return record["begin"]
    return max(record["begin"], midnight(last) + interval * DAY)


def state_of(box: "Sandbox", record: dict[str, Any]) -> str:
    """Return the state as WeChat shows it now."""
    state, now = record["state"], box.clock.now()
    if state in ("USED", "DELETED", "DEACTIVATED"):
        return state
    if now > record["end"]:
        return "EXPIRED"
    if state == "CONFIRMING":
        return state
    moment = opens(box, record)
    return "EFFECTIVE" if moment is not None and now >= moment else "PENDING"


def delete(box: "Sandbox", record: dict[str, Any]) -> None:
    """The person deletes the coupon; nobody is told."""
    if state_of(box, record) not in ("CONFIRMING", "PENDING", "EFFECTIVE"):
        raise invalid("用户券状态非法", BAD_STATE)
    record["state"] = "DELETED"
    record["deleted"] = box.clock.now()
    box.state.touch()


# -- claiming -------------------------------------------------------
def claim(
    box: "Sandbox", openid: str, stock: dict | None = None, token: str = ""
) -> list[dict[str, Any]]:
    """A person claims on the phone, from a stock or with a pre-send token.

    With a token the request number, the code and the attachment of the pre-send hold.
    """
    details: dict[str, Any] = {"send_channel": "RECEIVE_COMPONENT"}
    entry = _token(box, openid, token) if token else None
    bundle = None
    if entry:
        names = ("appid", "send_request_no", "attach", "coupon_code")
        details.update({name: entry[name] for name in names if entry.get(name)})
        stock = box.state.product_stocks.get(entry.get("stock_id", ""))
        bundle = box.state.product_bundles.get(entry.get("stock_bundle_id", ""))
    elif stock and stock["bundle"]:
        number = stock["bundle"]["stock_bundle_id"]
        bundle = box.state.product_bundles[number]
    if stock:
        details.setdefault("appid", stock["data"]["notify_config"]["notify_appid"])
        details.setdefault("send_request_no", box.state.random_digits(24))
    if bundle:
        records = give_bundle(box, bundle, openid, **details)
    else:
        assert stock is not None
        check_can_give(box, stock, openid, details.get("coupon_code", ""))
        records = [give(box, stock, openid, **details)]
    if entry:
        entry["used"] = True
    told(box, records)
    return records


def _token(box: "Sandbox", openid: str, token: str) -> dict[str, Any]:
    entry = box.state.product_tokens.get(token)
    late = entry is None or entry["used"] or box.clock.now() > entry["expires"]
    if entry is None or late or entry["openid"] != openid:
        raise PayError(409, "INVALID_REQUEST", "预发券token无效或已过期", NO_NUMBER)
    return entry


# -- what is shown -------------------------------------------------------
def show(box: "Sandbox", record: dict[str, Any]) -> dict[str, Any]:
    """Return a person's coupon as all calls show it."""
    coupon = box.state.product_coupons[record["product_coupon_id"]]
    stock = box.state.product_stocks[record["stock_id"]]
    shown = {
        "coupon_code": record["coupon_code"],
        "coupon_state": state_of(box, record),
        "valid_begin_time": rfc3339(record["begin"]),
        "valid_end_time": rfc3339(record["end"]),
        "receive_time": rfc3339(record["received"]),
        "send_request_no": record["send_request_no"],
        "send_channel": record["send_channel"],
    }
    for name in ("confirm_request_no", "confirm_time"):
        if record.get(name):
            shown[name] = record[name]
    shown.update(ending(record))
    shown.update(_usage(box, record, coupon["data"]["usage_mode"]))
    shown["product_coupon"] = show_coupon(coupon)
    shown["stock"] = show_stock(box, stock)
    for name in ("attach", "coupon_tag_info"):
        if record[name]:
            shown[name] = record[name]
    return {**shown, "brand_id": record["brand_id"]}


def _detail(used: dict[str, Any]) -> dict[str, Any]:
    """Return what the documents list of a use; the shop is not among it."""
    return {k: v for k, v in used.items() if k not in ("used", "store_id")}


def _usage(box: "Sandbox", record: dict[str, Any], mode: str) -> dict[str, Any]:
    """Return how often and when a coupon was used, in the words of its mode."""
    rounds = record["rounds"]
    if mode == "SEQUENTIAL":
        count = sum(bool(item.get("used")) for item in rounds)
        details = [
            {"detail_state": "USED" if item.get("used") else "PENDING", **_detail(item)}
            for item in rounds
        ]
        if count < len(rounds):
            details[count]["detail_state"] = state_of(box, record)
        total = {"total_count": len(rounds), "used_count": count}
        return {"sequential_usage_detail": {**total, "detail_item_list": details}}
    shown: dict[str, Any] = {}
    name = "progressive_bundle" if record["bundle"] else "single"
    if _detail(rounds[0]):
        shown[f"{name}_usage_detail"] = _detail(rounds[0])
    if record["bundle"]:
        used = sum(item["state"] == "USED" for item in siblings(box, record))
        place = {**record["bundle"], "used_count": used}
        shown["user_product_coupon_bundle_info"] = place
    return shown
