"""What a till says about an order: checked before anything else looks at it."""

from dataclasses import dataclass, field

MAX_LINES = 1000
MAX_FEN = 10**12
_MAX_QUANTITY = 10**9


@dataclass(frozen=True, slots=True)
class CartLine:
    """One line of an order that is still open."""

    uuid: str
    product_id: int
    qty: float
    price_total_fen: int
    is_reward_line: bool = False


@dataclass(frozen=True, slots=True)
class Cart:
    """An order that is still open, in integer fen with taxes."""

    lines: tuple = field(default_factory=tuple)
    total_fen: int = 0


@dataclass(frozen=True, slots=True)
class OrderRef:
    """Which order holds a coupon, whoever asks: a till, the back office, a job.

    :param str uuid: names the order for ever (the uuid of the ``pos.order``)
    :param company: ``res.company`` record that sells
    :param config: ``pos.config`` record, or an empty one
    :param session: ``pos.session`` record, or an empty one
    :param partner: ``res.partner`` record, or an empty one
    """

    uuid: str
    company: object
    config: object
    session: object
    partner: object

    @property
    def companies(self):
        """The companies whose coupons are good here: this one and those above it."""
        # sudo: a cashier need not see the company that the shop belongs to.
        return self.company.sudo().parent_ids


def parse_cart(value):
    """Return a :class:`Cart` from what came over the wire.

    :param value: ``{"lines": [...], "total_fen": int}``
    :raises ValueError: if anything has the wrong type or size
    """
    if not isinstance(value, dict) or not isinstance(value.get("lines"), list):
        raise ValueError("cart")
    if len(value["lines"]) > MAX_LINES:
        raise ValueError("lines")
    return Cart(
        lines=tuple(_parse_line(line) for line in value["lines"]),
        total_fen=_integer(value.get("total_fen", 0), MAX_FEN),
    )


def _parse_line(line):
    if not isinstance(line, dict):
        raise ValueError("line")
    uuid = line.get("uuid") or ""
    if not isinstance(uuid, str) or len(uuid) > 64:
        raise ValueError("uuid")
    qty = line.get("qty", 0)
    if isinstance(qty, bool) or not isinstance(qty, int | float):
        raise ValueError("qty")
    if not abs(qty) <= _MAX_QUANTITY:  # also refuses NaN
        raise ValueError("qty")
    return CartLine(
        uuid=uuid,
        product_id=_integer(line.get("product_id"), 2**31 - 1),
        qty=float(qty),
        price_total_fen=_integer(line.get("price_total_fen"), MAX_FEN),
        is_reward_line=bool(line.get("is_reward_line")),
    )


def _integer(value, limit):
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > limit:
        raise ValueError("integer")
    return value
