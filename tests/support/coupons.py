"""Coupons for the proofs: templates, codes, carts and paid orders through RPC."""

import datetime
import uuid

import requests

from .rpc import Rpc
from .world import World


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


def reserve(person: Rpc, till: int, order_uuid: str, coupons: list[int], goods: dict):
    return person.call(
        "pos.config", "wechat_coupon_reserve", [till], order_uuid, coupons, goods
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
