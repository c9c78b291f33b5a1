"""One order at many tills: one customer is charged, whoever scans how often.

The first test proves that the race is real: with the database's guards taken away,
several codes are charged for one line.
"""

import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import coupons
from tests.support.world import running
from wxenv import shop

FULL = os.environ.get("PROOF") == "full"
ROUNDS = 50 if FULL else 4
TILLS = 8
GUARDS = """
    SELECT indexname, indexdef FROM pg_indexes
     WHERE tablename = 'wechat_pay_transaction'
       AND (indexdef LIKE 'CREATE UNIQUE INDEX % (pos_payment_uuid) WHERE %'
            OR indexdef LIKE 'CREATE UNIQUE INDEX % (pos_order_uuid) WHERE %')
"""


@pytest.fixture(scope="module")
def world():
    with running("payrace", workers=TILLS) as world:
        coupons.open_session(world, world.ref("till_1"))
        yield world


@pytest.fixture(scope="module")
def tills(world):
    """Sessions of the till, each with a customer of its own."""
    sessions = coupons.clones(world, "cashier", TILLS)
    return [(rpc, world.sandbox.user(f"顾客 {n}")) for n, rpc in enumerate(sessions)]


def scan_at_once(world, tills, same_line: bool) -> int:
    """Each till scans its customer's code for the same order; return the charges."""
    order, line = str(uuid.uuid4()), str(uuid.uuid4())
    barrier = threading.Barrier(len(tills))
    codes = [
        world.sandbox.ask("POST", f"phone/{openid}/pay_code", new=True)["auth_code"]
        for _rpc, openid in tills
    ]

    def scan(number):
        payment = {
            "config": world.ref("till_1"),
            "order": order,
            "line": line if same_line else str(uuid.uuid4()),
            "name": "race",
            "amount": 500,
            "total": 500,
            "way": "codepay",
            "code": codes[number],
        }
        barrier.wait()
        method = [world.ref("wechat_method")]
        answer = tills[number][0].call(
            "pos.payment.method", "wechat_pay_start", method, payment
        )
        return answer["state"], answer["number"]

    with ThreadPoolExecutor(len(tills)) as pool:
        answers = list(pool.map(scan, range(len(tills))))
    numbers = world.sql(
        "SELECT number FROM wechat_pay_transaction WHERE pos_order_uuid = %s", order
    )
    remote = {o["out_trade_no"]: o for o in _values(world.sandbox.state()["orders"])}
    charged = [n for (n,) in numbers if remote.get(n, {}).get("trade_state")]
    assert all(remote[n]["mchid"] == shop.MCHID for n in charged)
    assert any(state in ("done", "waiting") for state, _number in answers), answers
    return len(charged)


def _values(found):
    return found.values() if isinstance(found, dict) else found


def test_without_the_guards_customers_pay_twice(world, tills):
    guards = world.sql(GUARDS)
    assert len(guards) == 2, guards
    for name, _definition in guards:
        world.sql(f'DROP INDEX "{name}"')
    try:
        worst = max(scan_at_once(world, tills, False) for _round in range(5))
        assert worst > 1
        print(f"without the guards: {worst} customers charged for one order")
    finally:
        world.sql("DELETE FROM wechat_pay_transaction")
        for _name, definition in guards:
            world.sql(definition)


@pytest.mark.parametrize("same_line", [True, False], ids=["line", "order"])
def test_one_customer_is_charged(world, tills, same_line):
    charges = [scan_at_once(world, tills, same_line) for _round in range(ROUNDS)]
    assert charges == [1] * ROUNDS
    print(f"{ROUNDS} rounds of {TILLS} tills: one charge each")
