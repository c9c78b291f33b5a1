"""Many payments over a bad line: nobody pays twice, no payment is lost, none is stuck.

Tills charge codes and show QR codes through two workers. One answer in ten never
comes (half of them after the money was taken), one in fifty is a 5xx, each callback
comes twice, some customers enter a password, some cancel, some cashiers give up. In
the end both sides have to agree on every order.
"""

import collections
import os
import random
import threading
import time
import uuid

import pytest

from tests.support import coupons
from tests.support.payments import PayDesk, values
from tests.support.rpc import RpcError
from tests.support.world import World, running, wait_until

FULL = os.environ.get("PROOF") == "full"
PAYMENTS = 10_000 if FULL else 120
SEQUENCES = 1_000 if FULL else 12
# They wait most of the time, for customers and for WeChat.
TILLS = 24 if FULL else 8
FINAL = ("done", "failed", "cancelled", "abnormal")
# Sweepers run every minute, and orders that ended unpaid are watched for a while.
SETTLED_AFTER = 900 if FULL else 240


@pytest.fixture(scope="module")
def world():
    with running("payments") as world:
        yield world


class Counter:
    """What happened at the tills, by name."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()

    def add(self, name: str) -> None:
        with self.lock:
            self.counts[name] += 1


class Till(threading.Thread):
    """A cashier who takes one payment after the other until the money is in."""

    def __init__(self, desk: PayDesk, number: int, orders: list, counter: Counter):
        super().__init__(daemon=True)
        self.desk, self.orders, self.counter = desk, orders, counter
        self.chance = random.Random(number)
        self.results: dict[str, dict] = {}
        self.error: Exception | None = None

    def run(self):
        try:
            while self.orders:
                order = self.orders.pop()
                self.results[order] = self.take(order)
        except Exception as error:  # the test shows it
            self.error = error

    def take(self, order: str) -> dict:
        """Take the payment of an order, with as many tries as it needs."""
        amount = self.chance.randint(1, 99_999)
        payment = self.desk.payment(amount, order=order)
        for _attempt in range(12):
            answer = self.attempt(payment)
            self.counter.add(answer["state"])
            if answer["state"] == "done":
                return {"paid": amount, "number": answer["number"]}
            if self.chance.random() < 0.1:
                self.counter.add("taken in cash")
                break
        return {"paid": 0}

    def attempt(self, payment: dict) -> dict:
        if self.chance.random() < 0.3:
            answer = self.desk.show(payment)
            if answer["state"] == "waiting" and self.chance.random() < 0.9:
                self.desk.pay_on_phone(answer["number"])
            return self.wait(payment, answer)
        if self.chance.random() < 0.05:
            self.desk.control(f"phone/{self.desk.openid}/ask_password", times=1)
        answer = self.desk.charge(payment)
        if answer["state"] == "waiting":
            self.enter_password(answer["number"])
        return self.wait(payment, answer)

    def wait(self, payment: dict, answer: dict) -> dict:
        patience = time.monotonic() + self.chance.choice((3, 20, 60))
        while answer["state"] not in FINAL:
            if time.monotonic() > patience:
                self.counter.add("given up")
                return self.desk.cancel(payment)
            time.sleep(0.5)
            answer = self.desk.status(payment)
        return answer

    def enter_password(self, number: str) -> None:
        answers = ("right", "right", "wrong", "cancel", None)
        if result := self.chance.choice(answers):
            self.desk.password(number, result)


def spoil(world: World) -> None:
    """One answer in ten gets lost, one in fifty is a 5xx, callbacks come twice."""
    pay, short = "^/v3/(pay|refund)", 0.05
    world.sandbox.fault(pay, "timeout_after", 0, seconds=short, share=0.05)
    world.sandbox.fault(pay, "timeout_before", 0, seconds=short, share=0.05)
    world.sandbox.fault(pay, "http_status", 0, status=502, share=0.01)
    world.sandbox.fault(pay, "http_status", 0, status=500, commit=True, share=0.01)
    world.sandbox.ask("POST", "callback_faults", kind="duplicate", times=0)
    world.sandbox.ask("POST", "settings", refund_gap_seconds=0, auto_refund=True)


def test_nobody_pays_twice(world):
    coupons.open_session(world, world.ref("till_1"))
    spoil(world)
    orders = [str(uuid.uuid4()) for _number in range(PAYMENTS)]
    counter, queue = Counter(), list(orders)
    start = time.monotonic()
    tills = [
        Till(PayDesk(world, rpc, f"顾客 {number}"), number, queue, counter)
        for number, rpc in enumerate(coupons.clones(world, "cashier", TILLS))
    ]
    for till in tills:
        till.start()
    for till in tills:
        till.join()
        assert till.error is None, till.error
    seconds = time.monotonic() - start
    # What the tills gave up is brought to its end by jobs, over the same bad line.
    wait_until("nothing is under way", lambda: not _open(world), SETTLED_AFTER, 2)
    results = {}
    for till in tills:
        results.update(till.results)
    figures = _compare(world, orders, results)
    print()
    print(f"{PAYMENTS} payments at {TILLS} tills in {seconds:.0f} s")
    print(", ".join(f"{name}: {count}" for name, count in counter.counts.items()))
    print(", ".join(f"{name}: {count}" for name, count in figures.items()))


class Accountant(threading.Thread):
    """Refunds parts of payments; several work on the same payments at once."""

    def __init__(self, rpc, number: int, payments: list[int], counter: Counter):
        super().__init__(daemon=True)
        self.rpc, self.payments, self.counter = rpc, payments, counter
        self.chance = random.Random(number)
        self.error: Exception | None = None

    def run(self):
        try:
            for payment, amount in self.payments:
                for _step in range(self.chance.randint(1, 4)):
                    self.refund(payment, self.chance.randint(1, max(1, amount // 2)))
        except Exception as error:  # the test shows it
            self.error = error

    def refund(self, payment: int, amount: int) -> None:
        model = "wechat.pay.refund.wizard"
        wizard = self.rpc.call(
            model, "create", {"transaction_id": payment, "amount": amount / 100}
        )
        try:
            self.rpc.call(model, "action_refund", [wizard])
        except RpcError as error:
            assert error.name == "odoo.exceptions.UserError", error
            self.counter.add("refused")
        else:
            self.counter.add("refunded")


def test_refunds_never_exceed_what_was_paid(world):
    payments = world.sql(
        "SELECT id, amount_fen FROM wechat_pay_transaction WHERE kind = 'payment' "
        "AND state = 'done' AND NOT abandoned ORDER BY id LIMIT %s",
        SEQUENCES,
    )
    counter = Counter()
    people = coupons.clones(world, "accountant", 4)
    threads = [Accountant(rpc, n, payments, counter) for n, rpc in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
        assert thread.error is None, thread.error
    wait_until("every refund is settled", lambda: not _open(world), SETTLED_AFTER, 2)
    state = world.sandbox.state()
    back = collections.Counter()
    for refund in values(state["refunds"]):
        if refund["status"] in ("SUCCESS", "PROCESSING"):
            back[refund["out_trade_no"]] += refund["refund"]
    rows = world.sql(
        "SELECT number, amount_fen, refunded_fen FROM wechat_pay_transaction "
        "WHERE kind = 'payment' AND state = 'done'"
    )
    too_much = [number for number, amount, _back in rows if back[number] > amount]
    differ = [number for number, _amount, ours in rows if back[number] != ours]
    print()
    print(f"{len(payments)} payments refunded by 4 people at once:", counter.counts)
    assert not too_much
    assert not differ
    assert counter.counts["refused"]


def _open(world: World) -> list:
    return world.sql(
        "SELECT id, kind, state, error_code FROM wechat_pay_transaction "
        "WHERE state IN ('draft', 'sending', 'waiting', 'unknown', 'closing') LIMIT 5"
    )


def _compare(world: World, orders: list[str], results: dict) -> dict:
    """Compare what tills, Odoo and WeChat say about each order."""
    state = world.sandbox.state()
    remote = {order["out_trade_no"]: order for order in values(state["orders"])}
    back = collections.Counter()
    for refund in values(state["refunds"]):
        if refund["status"] == "SUCCESS":
            back[refund["out_trade_no"]] += refund["refund"]
    rows = world.sql(
        "SELECT pos_order_uuid, number, state, abandoned, amount_fen, refunded_fen, "
        "needs_help AND error_code IS DISTINCT FROM 'no_order' "
        "FROM wechat_pay_transaction WHERE kind = 'payment'"
    )
    charged, counted = collections.Counter(), collections.Counter()
    figures = collections.Counter(
        {"double charges": 0, "lost payments": 0, "stuck": 0, "given back": 0}
    )
    # These tills never save an order, which people are told in time.
    for order, number, row_state, abandoned, amount, refunded, stuck in rows:
        taken = remote.get(number)
        money = 0
        if taken and taken["trade_state"] in ("SUCCESS", "REFUND"):
            money = amount - back[number]
        charged[order] += money
        if row_state == "done" and not abandoned:
            counted[order] += amount - refunded
        figures["given back"] += back[number] > 0
        figures["stuck"] += bool(stuck)
    for order in orders:
        paid = results[order]["paid"]
        figures["double charges"] += charged[order] > paid
        figures["lost payments"] += charged[order] < paid or counted[order] != paid
    figures["paid"] = sum(bool(results[order]["paid"]) for order in orders)
    figures["attempts"] = len(rows)
    bad = {n: figures[n] for n in ("double charges", "lost payments", "stuck")}
    assert not any(bad.values()), bad
    return dict(figures)
