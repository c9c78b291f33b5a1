"""Cash vouchers in a person's wallet, spent by themselves when the person pays.

WeChat docs: Pay v3 ``promotion_detail``.  CASH is paid for by the merchant beforehand
and does not change what the merchant gets; NOCASH does.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .clock import beijing, midnight
from .errors import ControlError

if TYPE_CHECKING:
    from .sandbox import Sandbox

TYPES = ("CASH", "NOCASH")
SCOPES = ("GLOBAL", "SINGLE")
CONTRIBUTIONS = ("wechatpay_contribute", "merchant_contribute", "other_contribute")
_FIELDS = {
    "name": str,
    "type": str,
    "amount": int,
    "minimum": int,
    "scope": str,
    "goods_id": str,
    "goods_tag": str,
    "mchid": str,
    "stock_id": str,
    "expires": (int, float),
    **dict.fromkeys(CONTRIBUTIONS, int),
}
#: The kinds of payment that a voucher may ask for, by the order's trade_type.
_TRADE_TYPES = {
    "MICROPAY": {"CARD"},
    "APP": {"APPPAY"},
    "JSAPI": {"MICROAPP", "OTHER"},
    "NATIVE": {"OTHER"},
    "MWEB": {"OTHER"},
}
Listener = Callable[["Sandbox", dict[str, Any], dict[str, Any]], None]
#: Called with a voucher and the order that used it, or the refund that gave it back.
ON_USE: list[Listener] = []
ON_RETURN: list[Listener] = []


def sum_of(promotions: list[dict[str, Any]], kind: str) -> int:
    return sum(item["amount"] for item in promotions if item["type"] == kind)


def add(box: "Sandbox", openid: str, data: dict[str, Any]) -> dict[str, Any]:
    """Put a voucher into a wallet; the merchant pays for it unless told otherwise."""
    for name, value in data.items():
        good = name in _FIELDS and isinstance(value, _FIELDS[name])
        if not good or isinstance(value, bool):
            raise ControlError(f"bad field {name}")
    if data.get("type") not in TYPES or data.get("amount", 0) < 1:
        raise ControlError("a voucher needs type CASH or NOCASH and an amount in fen")
    if data.get("scope", "GLOBAL") not in SCOPES:
        raise ControlError("scope must be GLOBAL or SINGLE")
    if data.get("scope") == "SINGLE" and not data.get("goods_id"):
        raise ControlError("a SINGLE voucher needs goods_id")
    voucher = {
        "scope": "GLOBAL",
        "name": "代金券",
        "stock_id": box.state.random_digits(8),
        **data,
        "coupon_id": box.state.random_digits(11),
        "state": "SENDED",
    }
    if not any(name in data for name in CONTRIBUTIONS):
        voucher["merchant_contribute"] = data["amount"]
    if sum(voucher.get(name, 0) for name in CONTRIBUTIONS) != data["amount"]:
        raise ControlError("the contributions must add up to the amount")
    box.state.vouchers.setdefault(openid, []).append(voucher)
    return voucher


def spend(
    box: "Sandbox", openid: str, order: dict[str, Any], bank_type: str = ""
) -> list[dict[str, Any]]:
    """Use every voucher that fits, the largest first; return promotion_detail."""
    left = order["request"]["amount"]["total"]
    promotions: list[dict[str, Any]] = []
    vouchers = box.state.vouchers.get(openid, [])
    alone = False
    for voucher in sorted(vouchers, key=lambda item: -item["amount"]):
        # What does not combine is used alone.
        mixes = voucher.get("combine", True)
        if alone or (promotions and not mixes) or voucher["amount"] > left:
            continue
        if not _fits(box, voucher, order, bank_type):
            continue
        alone = not mixes
        voucher["state"] = "USED"
        voucher["order"] = _key(order)
        left -= voucher["amount"]
        promotions.append(_promotion(voucher, order))
    return promotions


def _key(order: dict[str, Any]) -> str:
    return f"{order['mchid']}|{order['out_trade_no']}"


def collector(order: dict[str, Any]) -> str:
    """Return who gets the money: the sub-merchant, where there is one."""
    partner = order["request"].get("partner", {})
    return partner.get("sub_mchid") or order["mchid"]


def _fits(
    box: "Sandbox", voucher: dict[str, Any], order: dict[str, Any], bank_type: str
) -> bool:
    request, now = order["request"], box.clock.now()
    merchants = voucher.get("mchids") or [voucher.get("mchid", order["mchid"])]
    tags = voucher.get("goods_tags") or [voucher.get("goods_tag")]
    banks = voucher.get("limit_pay") or [bank_type]
    return (
        voucher["state"] == "SENDED"
        and voucher.get("begins", now) <= now <= voucher.get("expires", math.inf)
        and _on_time(voucher, now)
        and bool({order["mchid"], collector(order)} & set(merchants))
        and (tags == [None] or request.get("goods_tag") in tags)
        and bank_type in banks
        # Which card it is nobody knows here: such a voucher is never used.
        and not voucher.get("limit_card")
        and _by_trade_type(voucher, order)
        and _enough(voucher, order)
    )


def _on_time(voucher: dict[str, Any], now: float) -> bool:
    """Is it one of the voucher's week days and hours?  Sunday is 0."""
    days, hours = voucher.get("week_days"), voucher.get("hours")
    second = now - midnight(now)
    return (not days or beijing(now).isoweekday() % 7 in days) and (
        not hours or hours[0] <= second <= hours[1]
    )


def _by_trade_type(voucher: dict[str, Any], order: dict[str, Any]) -> bool:
    """Contract 7.2 names the kinds; which orders they mean is unconfirmed."""
    wanted = voucher.get("trade_types")
    return not wanted or bool(_TRADE_TYPES[order["trade_type"]] & set(wanted))


def _enough(voucher: dict[str, Any], order: dict[str, Any]) -> bool:
    """Do the articles that count reach the threshold and the amount?"""
    if voucher["scope"] == "SINGLE" and not _lines(voucher, order):
        return False
    total = order["request"]["amount"]["total"]
    counted = total
    if voucher["scope"] == "SINGLE":
        counted = sum(_price(line) for line in _lines(voucher, order))
    elif voucher.get("excluded"):
        every = order["request"].get("detail", {}).get("goods_detail") or []
        counted -= sum(_price(i) for i in every if _id(i) in voucher["excluded"])
    # A voucher put in by the control API has its threshold on the whole order.
    base = counted if "creator" in voucher else total
    return counted >= voucher["amount"] and base >= voucher.get("minimum", 0)


def _id(line: dict[str, Any]) -> str:
    return line["merchant_goods_id"]


def _price(line: dict[str, Any]) -> int:
    return line["unit_price"] * line["quantity"]


def _lines(voucher: dict[str, Any], order: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of the order that a SINGLE voucher is for."""
    items = voucher.get("items") or [voucher.get("goods_id")]
    excluded = voucher.get("excluded", [])
    lines = order["request"].get("detail", {}).get("goods_detail") or []
    return [i for i in lines if _id(i) in items and _id(i) not in excluded]


def _promotion(voucher: dict[str, Any], order: dict[str, Any]) -> dict[str, Any]:
    names = ("coupon_id", "name", "scope", "type", "amount", "stock_id")
    shown = {name: voucher[name] for name in names}
    shown.update({name: voucher.get(name, 0) for name in CONTRIBUTIONS})
    shown["currency"] = "CNY"
    if voucher["scope"] == "SINGLE":
        shown["goods_detail"] = _shares(voucher, _lines(voucher, order))
    return shown


def _shares(voucher: dict[str, Any], lines: list[dict[str, Any]]) -> list[dict]:
    """Share the amount among the lines by their price; the parts add up to it."""
    total, done, before, shown = sum(map(_price, lines)), 0, 0, []
    for line in lines:
        before += _price(line)
        upto = voucher["amount"] * before // total
        shown.append(
            {
                "goods_id": _id(line),
                "quantity": line["quantity"],
                "unit_price": line["unit_price"],
                "discount_amount": upto - done,
            }
        )
        done = upto
    return shown


# -- what others want to know -----------------------------------------------------
def spent_on(box: "Sandbox", order: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the vouchers that a payment has used."""
    key = _key(order)
    vouchers = box.state.vouchers.get(order["openid"], [])
    return [v for v in vouchers if v.get("order") == key and v["state"] == "USED"]


def tell_used(box: "Sandbox", order: dict[str, Any]) -> None:
    for voucher in spent_on(box, order):
        for listener in ON_USE:
            listener(box, voucher, order)


def give_back(box: "Sandbox", order: dict[str, Any], refund: dict[str, Any]) -> None:
    """A refund has paid the whole order back: its vouchers can be used again.

    Whether WeChat does this is unconfirmed (contract 5.8); a part gives none back.
    What is past its date expires.
    """
    for voucher in spent_on(box, order):
        voucher["state"] = "SENDED"
        del voucher["order"]
        for listener in ON_RETURN:
            listener(box, voucher, refund)


def given(promotions: Any, order: dict[str, Any]) -> list[dict[str, Any]]:
    """Check the promotion_detail that the control API dictates."""
    total = order["request"]["amount"]["total"]
    try:
        for item in promotions:
            item.setdefault("type", "NOCASH")
            item.setdefault("coupon_id", "0")
        discount = sum(item["amount"] for item in promotions)
        low = min((item["amount"] for item in promotions), default=0)
    except (AttributeError, KeyError, TypeError):
        raise ControlError("promotion_detail needs amounts") from None
    if any(item["type"] not in TYPES for item in promotions):
        raise ControlError("a promotion's type is CASH or NOCASH")
    if low < 0 or discount > total:
        raise ControlError("promotions exceed the order")
    return promotions
