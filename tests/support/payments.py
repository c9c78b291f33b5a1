"""Payments for the proofs: what a till sends, and what WeChat knows of it."""

import uuid

from wxenv import shop

from .rpc import Rpc
from .world import World


class PayDesk:
    """A till that takes WeChat Pay."""

    def __init__(self, world: World, rpc: Rpc, nickname: str = "顾客"):
        self.world, self.rpc = world, rpc
        self.config = world.ref("till_1")
        self.method = world.ref("wechat_method")
        self.openid = world.sandbox.user(nickname)
        # WeChat asks for the password after ten payments a day; proofs make more.
        self.control("settings", free_payments=None)

    def payment(self, amount: int = 500, **values) -> dict:
        """A new payment of a new order, in fen."""
        return {
            "config": self.config,
            "order": str(uuid.uuid4()),
            "line": str(uuid.uuid4()),
            "name": "proof",
            "amount": amount,
            "total": amount,
            **values,
        }

    def code(self) -> str:
        """The payment code on the customer's phone, a new one."""
        return self.control(f"phone/{self.openid}/pay_code", new=True)["auth_code"]

    def charge(self, payment: dict) -> dict:
        """Scan the customer's code."""
        return self.call("start", {**payment, "way": "codepay", "code": self.code()})

    def show(self, payment: dict) -> dict:
        """Show a QR code to the customer."""
        return self.call("start", {**payment, "way": "native"})

    def status(self, payment: dict) -> dict:
        return self.call("status", payment["line"])

    def cancel(self, payment: dict) -> dict:
        return self.call("cancel", payment["line"])

    def call(self, name: str, *args) -> dict:
        return self.rpc.call(
            "pos.payment.method", f"wechat_pay_{name}", [self.method], *args
        )

    def control(self, path: str, **body) -> dict:
        return self.world.sandbox.ask("POST", path, **body)

    def pay_on_phone(self, number: str) -> None:
        """The customer pays the QR code."""
        self.control(f"pay/orders/{shop.MCHID}/{number}/pay", openid=self.openid)

    def password(self, number: str, result: str) -> None:
        self.control(f"pay/orders/{shop.MCHID}/{number}/password", result=result)


def values(found) -> list:
    """The sandbox's records, which it may give with or without their keys."""
    return list(found.values() if isinstance(found, dict) else found)


def charges(world: World, order: str) -> list[dict]:
    """The orders at WeChat that an order of the till has led to."""
    numbers = world.sql(
        "SELECT number FROM wechat_pay_transaction WHERE pos_order_uuid = %s", order
    )
    known = {o["out_trade_no"]: o for o in values(world.sandbox.state()["orders"])}
    return [known[number] for (number,) in numbers if number in known]
