"""Coupons for the proofs: templates, codes, carts and paid orders through RPC."""

import datetime
import time
import uuid

import requests

from wxenv import shop

from .rpc import Rpc
from .world import World, wait_until


def local_template(world: World, name: str = "立减 5 元", **values) -> int:
    """Make and publish a template of our own coupons; returns its id."""
    marketer = world.person("marketer")
    today = datetime.date.today()
    template = marketer.call(
        "coupon.template",
        "create",
        {
            "name": name,
            "channel": "local",
            "coupon_type": "amount",
            "amount_fen": 500,
            "date_type": "range",
            "date_from": str(today - datetime.timedelta(days=1)),
            "date_to": str(today + datetime.timedelta(days=30)),
            **values,
        },
    )
    marketer.call("coupon.template", "action_publish", [template])
    return template


def generate(world: World, template: int, count: int) -> list[dict]:
    """Generate coupons; returns ``[{id, code}]`` of all coupons of the template."""
    marketer = world.person("marketer")
    wizard = marketer.call(
        "coupon.generate.wizard", "create", {"template_id": template, "quantity": count}
    )
    marketer.call("coupon.generate.wizard", "action_generate", [wizard])
    return marketer.read(
        "loyalty.card", [("coupon_template_id", "=", template)], ["id", "code"]
    )


def cart(product: int, total_fen: int = 4100) -> dict:
    """A cart of one line, as the till sends it."""
    return {
        "lines": [
            {
                "uuid": str(uuid.uuid4()),
                "product_id": product,
                "qty": 1,
                "price_total_fen": total_fen,
                "is_reward_line": False,
            }
        ],
        "total_fen": total_fen,
    }


def product_id(world: World, name: str = "nuts") -> int:
    return world.ref(f"product_{name}")


def reserve(person: Rpc, till: int, order_uuid: str, coupons: list[dict], goods: dict):
    """Reserve coupons, ``{"id": …, "code": …}`` each, as the till does."""
    shown = [{"id": coupon["id"], "code": coupon["code"]} for coupon in coupons]
    return person.call(
        "pos.config", "wechat_coupon_reserve", [till], order_uuid, shown, goods
    )


def clones(world: World, login: str, count: int) -> list[Rpc]:
    """Sessions of the same person, one per thread."""
    first = world.person(login)
    result = []
    for _number in range(count):
        clone = Rpc.__new__(Rpc)
        clone.__dict__.update(first.__dict__)
        clone.session = requests.Session()
        clone.session.cookies.update(first.session.cookies)
        result.append(clone)
    return result


def card_template(world: World, **values) -> str:
    """A coupon on WeChat's side, pulled into Odoo; returns its card id."""
    card = world.sandbox.ask(
        "POST",
        "cards",
        appid=shop.APPID,
        card={
            "card_type": "CASH",
            "cash": {
                "base_info": {
                    "logo_url": "http://mmbiz.qpic.cn/mmbiz/logo/0",
                    "brand_name": "微光便利店",
                    "code_type": "CODE_TYPE_QRCODE",
                    "title": "立减 5 元",
                    "color": "Color010",
                    "notice": "结账时请出示",
                    "description": "每单限用一张",
                    "date_info": {
                        "type": "DATE_TYPE_FIX_TIME_RANGE",
                        "begin_timestamp": int(time.time()) - 86400,
                        "end_timestamp": int(time.time()) + 30 * 86400,
                    },
                    "sku": {"quantity": 100000},
                    "get_limit": 50,
                    **values,
                },
                "least_cost": 0,
                "reduce_cost": 500,
            },
        },
    )
    marketer = world.person("marketer")
    wizard = marketer.call(
        "coupon.pull.wizard", "create", {"account_id": world.ref("account")}
    )
    marketer.call("coupon.pull.wizard", "action_pull", [wizard])
    return card["card_id"]


def received(world: World, card_id: str) -> dict:
    """A customer receives a coupon; waits until Odoo has it: ``{id, code}``."""
    code = world.sandbox.receive(world.sandbox.user("顾客"), card_id)
    return wait_until(
        f"Odoo knows {code}",
        lambda: world.admin.read(
            "loyalty.card", [("code", "=", code)], ["id", "code", "program_id"]
        ),
        120,
    )[0]


def open_session(world: World, till: int) -> int:
    """Open the till's session, as the first cashier of the day does."""
    cashier = world.person("cashier")
    cashier.call("pos.config", "open_ui", [till])
    session = cashier.read("pos.config", [("id", "=", till)], ["current_session_id"])
    session_id = session[0]["current_session_id"][0]
    cashier.call("pos.session", "set_opening_control", [session_id], 0, "")
    return session_id


class Offer:
    """What an order with a coupon is made of, read once."""

    def __init__(self, world: World, program: int, discount: float = 5.0):
        admin = world.admin
        reward = admin.read(
            "loyalty.reward",
            [("program_id", "=", program)],
            ["id", "discount_line_product_id"],
        )[0]
        self.reward = reward["id"]
        self.discount_product = reward["discount_line_product_id"][0]
        self.discount = discount
        self.product = product_id(world)
        self.price = 128.0
        self.method = world.ref("cash_method_1")
        self.company = world.sql(
            "SELECT res_id FROM ir_model_data WHERE module = 'base' "
            "AND name = 'demo_asbe_company_cn'"
        )[0][0]

    def order(self, session: int, order_uuid: str, coupon: int) -> dict:
        """A paid order with one coupon, as the till sends it."""
        lines = [
            self._line(self.product, self.price),
            self._line(
                self.discount_product,
                -self.discount,
                is_reward_line=True,
                reward_id=self.reward,
                coupon_id=coupon,
                reward_identifier_code=str(coupon),
                points_cost=1,
            ),
        ]
        total = self.price - self.discount
        now = datetime.datetime.utcnow().strftime("%Y-%m-%d %H:%M:%S")
        payment = {
            "amount": total,
            "name": now,
            "payment_method_id": self.method,
            "uuid": str(uuid.uuid4()),
        }
        return {
            "uuid": order_uuid,
            "access_token": str(uuid.uuid4()),
            "name": f"Order {order_uuid}",
            "session_id": session,
            "company_id": self.company,
            "state": "paid",
            "amount_total": total,
            "amount_tax": 0,
            "amount_paid": total,
            "amount_return": 0,
            "date_order": now,
            "last_order_preparation_change": "{}",
            "lines": lines,
            "partner_id": False,
            "to_invoice": False,
            "payment_ids": [(0, 0, payment)],
        }

    def _line(self, product: int, price: float, **values) -> tuple:
        return (
            0,
            0,
            {
                "uuid": str(uuid.uuid4()),
                "product_id": product,
                "qty": 1,
                "price_unit": price,
                "price_subtotal": price,
                "price_subtotal_incl": price,
                "tax_ids": [(6, 0, [])],
                **values,
            },
        )
