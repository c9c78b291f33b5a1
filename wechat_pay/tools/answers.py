"""Pieces of WeChat Pay's answers in our own words."""

from datetime import datetime, timezone

_CONTRIBUTORS = ("wechatpay_contribute", "merchant_contribute", "other_contribute")
# A refund has other names for the same two kinds (contracts 0.1).
_TYPES: dict[str, str] = {
    "CASH": "CASH",
    "NOCASH": "NOCASH",
    "COUPON": "CASH",
    "DISCOUNT": "NOCASH",
}


def fen(value, default=0):
    """Return an amount of an answer; only a JSON integer is one.

    :return: integer fen
    """
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def moment(text):
    """Return an RFC 3339 time as naive UTC, ``None`` if it is none.

    :rtype: datetime.datetime
    """
    try:
        value = datetime.fromisoformat(str(text or ""))
    except ValueError:
        return None
    if value.tzinfo is None:
        return None
    return value.astimezone(timezone.utc).replace(tzinfo=None, microsecond=0)


def rfc3339(value):
    """Return naive UTC as WeChat wants it."""
    return value.replace(microsecond=0).isoformat() + "+00:00"


def promotions(detail):
    """Return the values of ``wechat.pay.promotion`` for a ``promotion_detail``.

    :param list detail: of a payment (contracts 5.5) or of a refund (5.8)
    :rtype: list[dict]
    """
    if not isinstance(detail, list):
        return []
    return [_promotion(item) for item in detail if isinstance(item, dict)]


def _promotion(item):
    scope = item.get("scope")
    amount = item.get("refund_amount", item.get("amount"))
    return {
        "name": item.get("name") or item.get("promotion_id") or item.get("coupon_id"),
        "coupon_id": item.get("coupon_id") or item.get("promotion_id"),
        "stock_id": item.get("stock_id") or item.get("activity_id"),
        "scope": scope if scope in ("GLOBAL", "SINGLE") else False,
        "type": _TYPES.get(item.get("type"), False),
        "amount_fen": fen(amount),
        "goods_detail": item.get("goods_detail") or False,
        **{f"{name}_fen": fen(item.get(name)) for name in _CONTRIBUTORS},
    }
