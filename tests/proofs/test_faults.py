"""kill -9 of Odoo's workers between any two steps: both sides agree afterwards.

The till does what a till does: it repeats a call that got no answer, with the same
order. Nothing else is helped along; the sweepers and the drain do the rest.
"""

import contextlib
import os
import signal
import threading
import time
import uuid

import pytest
import requests

from tests.support import coupons
from tests.support.payments import PayDesk, charges
from tests.support.rpc import RpcError
from tests.support.world import running, wait_until

FULL = os.environ.get("PROOF") == "full"
TIMES = 10 if FULL else 1
# A sweeper runs every minute; a job that died is found by its lock.
SETTLED_AFTER = 300
LOST = (requests.ConnectionError, requests.HTTPError, requests.Timeout)


@pytest.fixture(scope="module")
def world():
    with running("faults") as world:
        yield world


@pytest.fixture(scope="module")
def ground(world):
    return Ground(world)


class Ground:
    """A till with its session, and a coupon offer."""

    def __init__(self, world):
        self.world = world
        self.till = world.ref("till_1")
        self.card_id = coupons.card_template(world)
        self.session = coupons.open_session(world, self.till)
        first = coupons.received(world, self.card_id)
        self.offer = coupons.Offer(world, first["program_id"][0])
        self.cashier = world.person("cashier")

    def coupon(self) -> dict:
        return coupons.received(self.world, self.card_id)

    def insist(self, call, seconds: float = 60):
        """Repeat a call until it is answered, as a cashier's till does."""
        end = time.monotonic() + seconds
        while True:
            try:
                return call()
            except LOST:
                if time.monotonic() > end:
                    raise
                time.sleep(0.3)

    def reserve(self, order: str, coupon: dict):
        goods = coupons.cart(self.offer.product, 12800)
        answer = self.insist(
            lambda: coupons.reserve(self.cashier, self.till, order, [coupon], goods)
        )
        assert answer["ok"], answer

    def pay(self, order: str, coupon: dict):
        data = self.offer.order(self.session, order, coupon["id"])
        return self.insist(
            lambda: self.cashier.call("pos.order", "sync_from_ui", [data])
        )

    def kill_workers(self) -> list[int]:
        """kill -9 every HTTP worker of Odoo; its master starts new ones."""
        victims = self.world.stack.worker_pids()
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return victims

    def check(self, played: list[tuple[str, dict]]) -> None:
        """Both sides agree on every coupon, with one request number each."""
        wait_until(
            "every write-off is done",
            lambda: not self._unsettled(played),
            SETTLED_AFTER,
            1,
        )
        remote = {code["code"]: code for code in _values(self.world, "codes")}
        numbers = set()
        for order, coupon in played:
            rows = self.world.sql(
                "SELECT state, remote_state, request_no, order_uuid "
                "FROM coupon_redemption WHERE coupon_id = %s",
                coupon["id"],
            )
            assert len(rows) == 1, rows
            state, remote_state, number, order_uuid = rows[0]
            assert (state, remote_state, order_uuid) == ("redeemed", "done", order)
            assert remote[coupon["code"]]["state"] == "CONSUMED"
            assert remote[coupon["code"]]["consume_count"] == 1
            numbers.add(number)
            orders = self.world.sql(
                "SELECT count(*) FROM pos_order WHERE uuid = %s AND state = 'paid'",
                order,
            )
            assert orders == [(1,)], orders
        assert len(numbers) == len(played)

    def _unsettled(self, played) -> list:
        return self.world.sql(
            "SELECT id FROM coupon_redemption WHERE coupon_id = ANY(%s) "
            "AND NOT (state = 'redeemed' AND remote_state = 'done')",
            [coupon["id"] for _order, coupon in played],
        )


def _values(world, name):
    found = world.sandbox.state()[name]
    return found.values() if isinstance(found, dict) else found


def test_between_reserve_and_redeem(ground):
    played = []
    for _time in range(TIMES):
        order, coupon = str(uuid.uuid4()), ground.coupon()
        ground.reserve(order, coupon)
        assert ground.kill_workers()
        ground.pay(order, coupon)
        played.append((order, coupon))
    ground.check(played)


def test_between_redeem_and_write_off(ground):
    played = []
    for _time in range(TIMES):
        order, coupon = str(uuid.uuid4()), ground.coupon()
        ground.reserve(order, coupon)
        # The write-off's first question is held up, so that it cannot be over.
        ground.world.sandbox.fault(r"/card/code/get", "delay", 1, seconds=1.5)
        ground.pay(order, coupon)
        assert ground.kill_workers()
        ground.world.sandbox.clear_faults()
        played.append((order, coupon))
    ground.check(played)


@pytest.mark.parametrize("kind", ["delay", "timeout_after"])
def test_during_the_write_off_call(ground, kind):
    """``timeout_after``: WeChat has used the coupon when the worker dies."""
    played = []
    for _time in range(TIMES if kind == "timeout_after" else max(1, TIMES // 2)):
        order, coupon = str(uuid.uuid4()), ground.coupon()
        ground.reserve(order, coupon)
        ground.world.sandbox.fault(r"/card/code/consume", kind, 1, seconds=4)
        ground.pay(order, coupon)
        wait_until(
            "the call is under way",
            # The sandbox takes a fault off its list when a call has met it.
            lambda: not ground.world.sandbox.ask("GET", "faults"),
            60,
            0.05,
        )
        assert ground.kill_workers()
        ground.world.sandbox.clear_faults()
        played.append((order, coupon))
    ground.check(played)


def test_the_same_order_twice_at_once(ground):
    """A till that repeats an order while the first call is still at work."""
    order, coupon = str(uuid.uuid4()), ground.coupon()
    ground.reserve(order, coupon)
    data = ground.offer.order(ground.session, order, coupon["id"])
    sessions = coupons.clones(ground.world, "cashier", 4)
    answers = []

    def sync(session):
        try:
            answers.append(session.call("pos.order", "sync_from_ui", [data]))
        except RpcError as error:
            answers.append(error)

    threads = [threading.Thread(target=sync, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(not isinstance(answer, RpcError) for answer in answers), answers
    ground.check([(order, coupon)])


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after"])
def test_while_a_code_is_charged(ground, kind):
    """The till repeats the payment with the customer's next code: one charge.

    ``timeout_after``: WeChat has taken the money when the worker dies.
    """
    desk = PayDesk(ground.world, ground.cashier)
    for _time in range(TIMES):
        payment = desk.payment()
        ground.world.sandbox.fault("codepay", kind, 1, seconds=3)
        caller = threading.Thread(target=lambda payment=payment: _lose(desk, payment))
        caller.start()
        wait_until(
            "the call is under way",
            lambda: not ground.world.sandbox.ask("GET", "faults"),
            60,
            0.05,
        )
        assert ground.kill_workers()
        caller.join()
        states = []

        def is_paid(payment=payment, states=states):
            answer = ground.insist(lambda: desk.charge(payment))
            states.append(answer["state"])
            return answer["state"] == "done"

        wait_until("the order is paid", is_paid, 180, 2)
        taken = [
            o
            for o in charges(ground.world, payment["order"])
            if o["trade_state"] == "SUCCESS"
        ]
        assert len(taken) == 1, (states, taken)


def _lose(desk, payment):
    with contextlib.suppress(*LOST):
        desk.charge(payment)
