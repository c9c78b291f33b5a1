"""How much of a discount goes back with goods, in integer fen.

Pure arithmetic, the same as in `static/src/app/utils/giveback.js`: the till works it
out while a refund is made, the server looks at it once more when it is paid.

What has gone back after some goods is a function of the goods alone, not of the
refunds in which they came. So partial refunds add up to the same, in whatever order.
"""

from dataclasses import dataclass

from odoo.addons.wechat_base.tools import money

# Quantities are counted in thousandths: the till has them as floats.
_MILLI = 1000


@dataclass(frozen=True, slots=True)
class Goods:
    """One line of goods: what it cost before coupons, and how much came back.

    :param key: names the line
    :param int fen: its amount with taxes
    :param float qty: how much was bought
    :param float back: how much of it was given back until now
    """

    key: object
    fen: int
    qty: float
    back: float

    @property
    def bought(self):
        return max(round(self.qty * _MILLI), 1)

    @property
    def returned(self):
        return min(max(round(self.back * _MILLI), 0), self.bought)


@dataclass(frozen=True, slots=True)
class Discount:
    """One line on which a coupon took something off.

    :param key: names the line
    :param int fen: what it took off, positive
    :param tuple goods: keys of the goods it was given for
    """

    key: object
    fen: int
    goods: tuple


def discount_back(discount, goods):
    """Return how many fen of a discount have gone back with goods.

    The discount is split over its goods by their amounts. Of each part as much goes
    back as of its goods, rounded up: nobody gets more than was paid.

    :param list goods: all :class:`Goods` of the order
    :rtype: int
    """
    mine = [one for one in goods if one.key in discount.goods]
    parts = money.split_fen(discount.fen, [max(one.fen, 0) for one in mine])
    return sum(
        -(-part * one.returned // one.bought)
        for part, one in zip(parts, mine, strict=True)
    )


def price_back(goods):
    """Return what goods that came back had cost before coupons, in fen."""
    return sum(one.fen * one.returned // one.bought for one in goods)


def payable(goods, discounts):
    """Return how many fen may have been paid out for the goods that came back."""
    paid = sum(one.fen for one in goods) - sum(one.fen for one in discounts)
    due = price_back(goods) - sum(discount_back(one, goods) for one in discounts)
    # Two coupons may have made a line of few fen worth less than nothing.
    return min(due, paid)
