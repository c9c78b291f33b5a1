"""Money between Odoo, which counts in floats of the currency, and us: integer fen.

This is the only place where the one becomes the other.
"""

from decimal import ROUND_HALF_UP, Decimal

_HUNDRED = Decimal(100)
_MAX_STORED = 2**62


def to_fen(amount):
    """Return an amount of the currency as integer fen.

    :param amount: float, integer or Decimal, e.g. ``12.34``
    :rtype: int
    """
    value = Decimal(str(amount or 0)) * _HUNDRED
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def from_fen(fen):
    """Return integer fen as an amount of the currency, e.g. ``12.34``.

    :rtype: float
    """
    return float(Decimal(fen or 0) / _HUNDRED)


def storable(fen):
    """Return fen as a column can hold them, however absurd the amount is."""
    return max(-_MAX_STORED, min(_MAX_STORED, int(fen or 0)))


def format_fen(fen):
    """Return integer fen as text with two decimals, e.g. ``"12.34"``."""
    return f"{Decimal(fen or 0) / _HUNDRED:.2f}"


def split_fen(total, weights):
    """Split ``total`` fen in proportion to ``weights``, to the fen.

    The remainder goes to the largest fractions, the first of equal ones first, so
    that the parts always add up to the total (Hamilton's method). Without any
    positive weight everything goes to the first part.

    :param int total: fen to split, of either sign
    :param list weights: one non-negative integer per part
    :return: one integer per part
    :rtype: list[int]
    """
    if not weights:
        return []
    whole = sum(weights)
    if whole <= 0:
        return [total] + [0] * (len(weights) - 1)
    sign = -1 if total < 0 else 1
    rest = abs(total)
    parts = [rest * weight // whole for weight in weights]
    fractions = [rest * weight % whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda index: (-fractions[index], index))
    for index in order[: rest - sum(parts)]:
        parts[index] += 1
    return [sign * part for part in parts]
