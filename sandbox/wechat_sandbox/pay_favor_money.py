"""What a merchant has left for coupons.

A merchant's ``balance`` is what the control API says it is, null for enough.  What
started stocks of 预充值 vouchers hold is not spent twice (contract 7).
"""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sandbox import Sandbox


def held_by(box: "Sandbox", stock: dict[str, Any]) -> int:
    """Return the fen that a stock holds.

    Running or paused it holds its whole budget.  Once it has ended it holds what people
    still have or have used; the rest is free again (when is unconfirmed, contract 7.5).
    """
    request = stock["request"]
    if request["no_cash"] or stock["status"] == "unactivated":
        return 0
    if stock["status"] != "stoped" and box.clock.now() <= stock["ends"]:
        return request["stock_use_rule"]["max_amount"]
    amount = request["coupon_use_rule"]["fixed_normal_coupon"]["coupon_amount"]
    live = 0
    for vouchers in box.state.vouchers.values():
        live += sum(_alive(box, voucher, stock) for voucher in vouchers)
    return live * amount


def _alive(box: "Sandbox", voucher: dict[str, Any], stock: dict[str, Any]) -> bool:
    if voucher["stock_id"] != stock["stock_id"]:
        return False
    return (
        voucher["state"] == "USED"
        or voucher.get("expires", math.inf) >= box.clock.now()
    )


def free_balance(box: "Sandbox", mchid: str) -> int | None:
    """Return what a merchant can still lock, None without a limit."""
    merchant = box.state.merchants.get(mchid)
    if merchant is None or merchant.balance is None:
        return None
    stocks = box.state.favor.get("stocks", {}).values()
    locked = sum(held_by(box, s) for s in stocks if s["creator"] == mchid)
    receipts = box.state.busifavor.get("receipts", {}).values()
    paid = sum(
        item["amount"] - item["returned"]
        for item in receipts
        if item["payer_merchant"] == mchid and item["status"] != "FAIL"
    )
    return merchant.balance - locked - paid


def can_pay(box: "Sandbox", mchid: str, amount: int) -> bool:
    free = free_balance(box, mchid)
    return free is None or free >= amount
