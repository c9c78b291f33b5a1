"""Cash vouchers in a person's wallet, spent by themselves when the person pays.

WeChat docs: Pay v3 ``promotion_detail``.  CASH is paid for by the merchant beforehand
and does not change what the merchant gets; NOCASH does.
"""

import math
from typing import TYPE_CHECKING, Any

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


def spend(box: "Sandbox", openid: str, order: dict[str, Any]) -> list[dict[str, Any]]:
    """Use every voucher that fits, the largest first; return promotion_detail."""
    left = order["request"]["amount"]["total"]
    promotions = []
    vouchers = box.state.vouchers.get(openid, [])
    for voucher in sorted(vouchers, key=lambda item: -item["amount"]):
        if voucher["amount"] > left or not _fits(box, voucher, order):
            continue
        voucher["state"] = "USED"
        left -= voucher["amount"]
        promotions.append(_promotion(voucher, order))
    return promotions


def _fits(box: "Sandbox", voucher: dict[str, Any], order: dict[str, Any]) -> bool:
    request = order["request"]
    return (
        voucher["state"] == "SENDED"
        and voucher.get("expires", math.inf) >= box.clock.now()
        and voucher.get("mchid", order["mchid"]) == order["mchid"]
        and voucher.get("minimum", 0) <= request["amount"]["total"]
        and voucher.get("goods_tag") in (None, request.get("goods_tag"))
        and (voucher["scope"] == "GLOBAL" or _goods(voucher, order) is not None)
    )


def _goods(voucher: dict[str, Any], order: dict[str, Any]) -> dict[str, Any] | None:
    """Return the line of the order that a SINGLE voucher is for."""
    lines = order["request"].get("detail", {}).get("goods_detail") or []
    for line in lines:
        if line["merchant_goods_id"] == voucher["goods_id"]:
            price = line["unit_price"] * line["quantity"]
            return line if price >= voucher["amount"] else None
    return None


def _promotion(voucher: dict[str, Any], order: dict[str, Any]) -> dict[str, Any]:
    names = ("coupon_id", "name", "scope", "type", "amount", "stock_id")
    shown = {name: voucher[name] for name in names}
    shown.update({name: voucher.get(name, 0) for name in CONTRIBUTIONS})
    shown["currency"] = "CNY"
    line = _goods(voucher, order) if voucher["scope"] == "SINGLE" else None
    if line:
        entry = {
            "goods_id": line["merchant_goods_id"],
            "quantity": line["quantity"],
            "unit_price": line["unit_price"],
            "discount_amount": voucher["amount"],
        }
        shown["goods_detail"] = [entry]
    return shown


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
