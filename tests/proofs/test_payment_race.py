"""One order at many tills: one customer is charged, whoever scans how often.

The first test proves that the race is real: with the database's guards taken away,
several codes are charged for one line.
"""

import contextlib
import os
import signal
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support import coupons
from tests.support.payments import PayDesk, charges
from tests.support.world import running, wait_until

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
def desks(world):
    """Tills, each with a customer of its own."""
    sessions = coupons.clones(world, "cashier", TILLS)
    return [PayDesk(world, rpc, f"顾客 {n}") for n, rpc in enumerate(sessions)]


def scan_at_once(world, desks, same_line: bool) -> int:
    """Each till scans its customer's code for the same order; return the charges."""
    order, line = str(uuid.uuid4()), str(uuid.uuid4())
    barrier = threading.Barrier(len(desks))
    payments = [
        desk.payment(
            order=order,
            line=line if same_line else str(uuid.uuid4()),
            way="codepay",
            code=desk.code(),
        )
        for desk in desks
    ]

    def scan(number):
        barrier.wait()
        return desks[number].call("start", payments[number])["state"]

    with ThreadPoolExecutor(len(desks)) as pool:
        states = list(pool.map(scan, range(len(desks))))
    assert {"done", "waiting"} & set(states), states
    return len(charges(world, order))


@contextlib.contextmanager
def without_guards(world):
    """Take the queue of an order's tills away, and the indexes behind it."""
    database = world.stack.name
    guards = world.sql(GUARDS)
    assert len(guards) == 2, guards
    for name, _definition in guards:
        world.sql(f'DROP INDEX "{name}"')
    # Found before PostgreSQL's own, it lets everybody pass.
    world.sql("CREATE SCHEMA open_door")
    world.sql(
        "CREATE FUNCTION open_door.pg_advisory_xact_lock(bigint) RETURNS void "
        "LANGUAGE sql AS 'SELECT'"
    )
    path = "open_door, public, pg_catalog"
    world.sql(f'ALTER DATABASE "{database}" SET search_path = {path}')
    restart_workers(world)
    try:
        yield
    finally:
        world.sql(f'ALTER DATABASE "{database}" RESET search_path')
        world.sql("DROP SCHEMA open_door CASCADE")
        restart_workers(world)
        world.sql("DELETE FROM wechat_pay_transaction")
        for _name, definition in guards:
            world.sql(definition)


def restart_workers(world) -> None:
    """Make Odoo open new connections, which know the database's new settings."""
    for pid in world.stack.worker_pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until("Odoo answers again", lambda: _answers(world), 60, 0.5)


def _answers(world) -> bool:
    try:
        return requests.get(f"{world.stack.url}/web/health", timeout=5).ok
    except requests.RequestException:
        return False


def test_without_the_guards_customers_pay_twice(world, desks):
    with without_guards(world):
        worst = max(scan_at_once(world, desks, False) for _round in range(5))
    assert worst > 1, "no round was lost: this race proves nothing"
    print(f"without the guards: {worst} customers charged for one order")


@pytest.mark.parametrize("same_line", [True, False], ids=["line", "order"])
def test_one_customer_is_charged(world, desks, same_line):
    charges = [scan_at_once(world, desks, same_line) for _round in range(ROUNDS)]
    assert charges == [1] * ROUNDS
    print(f"{ROUNDS} rounds of {TILLS} tills: one charge each")
