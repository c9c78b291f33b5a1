"""Many redeemers of one coupon through real Odoo workers: exactly one gets it.

The first test proves that the race is real: with the database's guard taken away,
the same redeemers use one coupon several times.
"""

import os
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import coupons
from tests.support.world import running

FULL = os.environ.get("PROOF") == "full"
ROUNDS = 200 if FULL else 8
REDEEMERS = 50
# As many requests are really under way at once as there are workers.
WORKERS = 8
GUARD = """
    SELECT indexname, indexdef FROM pg_indexes
     WHERE tablename = 'coupon_redemption'
       AND indexdef LIKE 'CREATE UNIQUE INDEX % (coupon_id) WHERE %'
"""


@pytest.fixture(scope="module")
def world():
    with running("race", workers=WORKERS) as world:
        yield world


@pytest.fixture(scope="module")
def ground(world):
    """What every round needs: coupons of its own, a cart, sessions."""
    template = coupons.local_template(world)
    found = coupons.generate(world, template, 2 * ROUNDS + 10)
    return {
        "coupons": found,
        "product": coupons.product_id(world),
        "till": world.ref("till_1"),
        "sessions": coupons.clones(world, "cashier", REDEEMERS),
    }


def race(ground, pool, coupon: dict) -> Counter:
    """Let all redeemers go for one coupon at once; count what they were told."""
    barrier = threading.Barrier(REDEEMERS)

    def redeem(session):
        goods = coupons.cart(ground["product"])
        order = str(uuid.uuid4())
        barrier.wait()
        answer = coupons.reserve(session, ground["till"], order, [coupon], goods)
        if answer["ok"]:
            return "got it"
        return answer["refusals"][0]["code"]

    return Counter(pool.map(redeem, ground["sessions"]))


def holders(world, coupon: dict) -> int:
    return world.sql(
        "SELECT count(*) FROM coupon_redemption "
        "WHERE coupon_id = %s AND state IN ('reserved', 'redeemed')",
        coupon["id"],
    )[0][0]


def test_without_the_guard_the_race_is_lost(world, ground):
    name, definition = world.sql(GUARD)[0]
    world.sql(f'DROP INDEX "{name}"')
    try:
        with ThreadPoolExecutor(REDEEMERS) as pool:
            worst = 0
            for _round in range(10):
                coupon = ground["coupons"].pop()
                race(ground, pool, coupon)
                worst = max(worst, holders(world, coupon))
        assert worst > 1, "no round was lost: this race proves nothing"
        print(f"without the guard one coupon was held {worst} times at once")
    finally:
        world.sql("UPDATE coupon_redemption SET state = 'released'")
        world.sql(definition)


def test_exactly_one_gets_it(world, ground):
    told = Counter()
    with ThreadPoolExecutor(REDEEMERS) as pool:
        for number in range(ROUNDS):
            coupon = ground["coupons"].pop()
            answers = race(ground, pool, coupon)
            told.update(answers)
            assert answers["got it"] == 1, (number, answers)
            assert holders(world, coupon) == 1
    assert told["got it"] == ROUNDS
    assert sum(told.values()) == ROUNDS * REDEEMERS
    assert set(told) <= {"got it", "held_by_other_order", "used"}
    print(f"{ROUNDS} rounds of {REDEEMERS}: {dict(told)}")
