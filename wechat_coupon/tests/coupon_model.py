"""What should be true of one coupon and its orders, in plain Python.

No database and no Odoo: a second opinion on the ledger, the coupon and WeChat, written
from the protocol (one active use per coupon, paid orders are never refused, a lost
answer is asked about first).
"""

from dataclasses import dataclass, field


@dataclass
class Sale:
    """An order on which the coupon was used, or should have been."""

    result: str = ""  # "", "redeemed", "conflict", "returned"
    remote: str = "none"  # "pending", "unknown", "done", "refused", "cancelled"
    way: str = ""  # how it goes back: "here", "waiting", "channel", "replacement"
    refunded: set = field(default_factory=set)  # of the two goods
    kept: bool = False  # goods came back, and a person has to decide
    reached: bool = False  # WeChat has the use, whether we know or not


class CouponModel:
    """One coupon.

    :param bool remote: WeChat is told of each use
    :param bool takes_back: WeChat takes a used coupon back
    :param bool asks_first: a use is sent after a look at the coupon only, since WeChat
        has no number for it
    """

    GOODS = frozenset({"tea", "rice"})

    def __init__(self, remote: bool, takes_back: bool, asks_first: bool = False):
        self.remote, self.takes_back = remote, takes_back
        self.asks_first = asks_first
        self.truth = "held"  # at WeChat: "held", "given", "used by us", "used"
        self.local = "usable"  # as we know: "usable", "gifting", "gifted", "outside"
        self.over = False  # its time is over
        self.expired = False  # it came back after its time
        self.holder, self.lapsed = None, False
        self.sales: dict[str, Sale] = {}
        self.replaced = self.renewed = False

    # -- what is true now

    def taken(self) -> bool:
        """Whether a paid order has the coupon, or its way back is not over."""
        return any(
            sale.result == "redeemed" or sale.way in ("waiting", "channel")
            for sale in self.sales.values()
        )

    def is_free(self) -> bool:
        return not self.taken() and not self.replaced and not self.expired

    def state(self) -> str:
        """Return what the coupon's record has to say in the end."""
        if self.taken() or self.replaced or self.local == "outside":
            return "used"
        if self.expired:
            return "expired"
        return self.local

    # -- at the till

    def may_hold(self, order: str) -> bool:
        """Whether the till gets the coupon for an open order."""
        if self.holder == order and not self.lapsed:
            # It was good when the order got it.
            return True
        if self.local != "usable" or self.over or not self.is_free():
            return False
        if self.holder not in (None, order) and not self.lapsed:
            return False
        return not self.remote or self.truth == "held"

    def hold(self, order: str) -> bool:
        if self.may_hold(order):
            self.holder, self.lapsed = order, False
            return True
        asked = (
            self.remote
            and self.local == "usable"
            and not self.over
            and self.is_free()
            and (self.holder is None or self.lapsed)
        )
        if asked:
            # What WeChat has told the till we know now, too.
            self.local = {"used": "outside", "given": "gifted"}.get(
                self.truth, self.local
            )
        return False

    def release(self, order: str) -> None:
        if self.holder == order:
            self.holder = None

    def pay(self, order: str) -> None:
        """A paid order is saved: it gets the coupon, or is a conflict."""
        sale = self.sales[order] = Sale()
        own = self.holder == order
        other = self.holder is not None and not own and not self.lapsed
        gone = self.taken() or self.replaced or self.local != "usable"
        if not own and (other or gone):
            sale.result = "conflict"
            return
        self.redeem(sale)

    def redeem(self, sale: Sale) -> None:
        self.holder, self.expired = None, False
        sale.result = "redeemed"
        sale.remote = "pending" if self.remote else "none"

    def settle_conflict(self, order: str) -> None:
        """The server tries conflicts again, the oldest first."""
        sale = self.sales[order]
        if (
            sale.result == "conflict"
            and not sale.kept
            and self.is_free()
            and self.local == "usable"
            and (self.holder is None or self.lapsed)
        ):
            self.redeem(sale)

    # -- at WeChat

    def send(self, order: str, answered: bool = True) -> None:
        """Tell WeChat that the coupon is used; the answer may be lost."""
        sale = self.sales[order]
        if sale.remote not in ("pending", "unknown"):
            return
        if self.truth == "held" or (sale.remote == "unknown" and sale.reached):
            self.truth = "used by us"
            sale.reached = True
            sale.remote = "done" if answered else "unknown"
        else:
            sale.reached = False
            seen = self.asks_first and self.truth == "used"
            sale.remote = "refused" if answered or seen else "unknown"
        if sale.way == "waiting" and sale.remote == "done":
            self.go_back(sale)
        elif sale.way == "waiting" and sale.remote == "refused":
            sale.kept = True

    def take_back(self, order: str) -> None:
        """WeChat has taken the coupon back."""
        sale = self.sales[order]
        if sale.way == "channel":
            self.truth = "held"
            sale.way = "back"
            self.good_again()

    # -- goods come back

    def refund(self, order: str, goods: set) -> None:
        sale = self.sales[order]
        sale.refunded |= goods
        if sale.result == "conflict":
            sale.kept = True
        elif sale.result == "redeemed" and sale.refunded == self.GOODS:
            if sale.remote == "refused":
                sale.kept = True
                return
            sale.result = "returned"
            if sale.remote == "pending":
                sale.remote = "cancelled"
            self.go_back(sale)

    def go_back(self, sale: Sale) -> None:
        if sale.remote in ("none", "cancelled"):
            sale.way = "here"
            self.good_again()
        elif sale.remote == "unknown":
            sale.way = "waiting"
        elif self.takes_back:
            sale.way = "channel"
        else:
            sale.way = "replacement"
            # What is over is not replaced.
            self.replaced, self.renewed = True, not self.over

    def good_again(self) -> None:
        if self.over:
            self.expired = True

    # -- on the phone

    def give(self) -> None:
        """The customer has given it to a friend, who took it."""
        self.truth = "given"

    def use_elsewhere(self) -> None:
        self.truth = "used"
