"""A month of bills with known differences: each is found, and nothing else.

Tills sell on every day of the month: by code and by QR code, with coupons of both
kinds, with refunds of the same and of earlier days, with payments that are reversed,
and around midnight. Then some trades are spoiled, on WeChat's side or on ours, each
kind of difference several times at places that are written down. The bills are fetched
as the accountant does it. What the worklist shows must be what was written down, no
less and no more, and the bank statement must balance to the fen on every day.
"""

import collections
import datetime
import os
import random
import threading
import time

import pytest

from tests.support import coupons
from tests.support.payments import PayDesk, values
from tests.support.world import World, running, wait_until
from wxenv import shop

FULL = os.environ.get("PROOF") == "full"
DAYS = 30 if FULL else 3
PAYMENTS = 80 if FULL else 24
REFUNDS = 14 if FULL else 8
TILLS = 4
# A recipe spoils every so manieth day, so that most days stay as they are.
EVERY = 6 if FULL else 3
BEIJING = datetime.timedelta(hours=8)
EPOCH = datetime.datetime(1970, 1, 1)
OPEN = ["draft", "sending", "waiting", "unknown", "closing"]


@pytest.fixture(scope="module")
def world():
    with running("bills") as world:
        yield world


class Month:
    """What is sold on the days of a month, by tills at the real add-on."""

    def __init__(self, world: World):
        self.world = world
        self.chance = random.Random(7)
        today = (datetime.datetime.utcnow() + BEIJING).date()
        # WeChat's bill of the last day is there, and so is that of the day after it.
        # The bill of yesterday is not there before ten in the morning.
        first = today - datetime.timedelta(days=DAYS + 2)
        self.days = [first + datetime.timedelta(days=n) for n in range(DAYS)]
        people = coupons.clones(world, "cashier", TILLS)
        self.desks = [PayDesk(world, rpc, f"顾客 {n}") for n, rpc in enumerate(people)]
        world.sandbox.ask("POST", "settings", refund_gap_seconds=0, auto_refund=True)
        self.counts = collections.Counter()

    def set_clock(self, day: datetime.date, clock: str) -> None:
        """Move WeChat's clock to a time in Beijing; it goes on from there."""
        moment = datetime.datetime.fromisoformat(f"{day} {clock}") - BEIJING
        seconds = (moment - EPOCH).total_seconds()
        self.world.sandbox.ask("POST", "clock", set=seconds)

    def sell(self, day: datetime.date) -> None:
        """One day: morning, noon with refunds and reversals, and midnight."""
        self.set_clock(day, "09:00:00")
        self._in_parallel(PAYMENTS // 2)
        self.set_clock(day, "13:00:00")
        self._reverse()
        self._refund(REFUNDS)
        self.set_clock(day, "23:59:58")
        # This goes on into the next day.
        self._in_parallel(PAYMENTS - PAYMENTS // 2)

    def _in_parallel(self, count: int) -> None:
        work = [self._kind(number) for number in range(count)]
        errors = []

        def till(desk):
            try:
                while work:
                    self._pay(desk, *work.pop())
            except Exception as error:  # the test shows it
                errors.append(error)

        threads = [threading.Thread(target=till, args=(desk,)) for desk in self.desks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors

    def _kind(self, number: int) -> tuple:
        """What one payment is like: its amount, coupons, and how it is paid."""
        amount = self.chance.choice((1, 83, 500, 1999, self.chance.randint(2, 99_999)))
        vouchers = []
        if number % 4 == 0:
            amount = self.chance.randint(3000, 60_000)
            vouchers = [("CASH", self.chance.randint(1, 1000))]
        if number % 4 < 2:
            amount = self.chance.randint(3000, 60_000)
            vouchers += [("NOCASH", self.chance.randint(1, 1000))]
        return amount, vouchers, number % 10 == 3

    def _pay(self, desk: PayDesk, amount: int, vouchers: list, by_qr: bool) -> None:
        for kind, fen in vouchers:
            desk.control(f"phone/{desk.openid}/vouchers", type=kind, amount=fen)
        payment = desk.payment(amount)
        if by_qr:
            answer = desk.show(payment)
            desk.pay_on_phone(answer["number"])
            answer = wait_until("QR paid", lambda: _done(desk.status(payment)), 60, 0.3)
        else:
            answer = desk.charge(payment)
        assert answer["state"] == "done", answer
        self.counts["payments"] += 1
        self.counts["coupons"] += len(vouchers)

    def _reverse(self) -> None:
        """An answer is lost although the money was taken; the cashier gives up."""
        desk = self.desks[0]
        self.world.sandbox.fault("codepay", "http_status", status=500, commit=True)
        payment = desk.payment(self.chance.randint(100, 9999))
        desk.charge(payment)
        answer = desk.cancel(payment)
        assert answer["state"] in ("closing", "cancelled"), answer
        self._settled()
        self.counts["reversed"] += 1

    def _refund(self, count: int) -> None:
        """Parts and wholes of payments of this and of earlier days."""
        accountant = self.world.person("accountant")
        rows = self.world.sql(
            "SELECT id, amount_fen - refunded_fen FROM wechat_pay_transaction "
            "WHERE kind = 'payment' AND state = 'done' AND amount_fen > refunded_fen "
            "ORDER BY id DESC LIMIT 400"
        )
        for place, (row, left) in enumerate(self.chance.sample(rows, count)):
            amount = left if place % 3 == 0 else self.chance.randint(1, left)
            vals = {"transaction_id": row, "amount": amount / 100}
            wizard = accountant.call("wechat.pay.refund.wizard", "create", vals)
            accountant.call("wechat.pay.refund.wizard", "action_refund", [wizard])
            self.counts["refunds"] += 1
        self._settled()

    def _settled(self) -> None:
        wait_until("nothing is under way", lambda: not self._open(), 120)

    def _open(self) -> list:
        return self.world.sql(
            "SELECT id FROM wechat_pay_transaction WHERE state = ANY(%s) LIMIT 1", OPEN
        )


def _done(answer: dict) -> dict | None:
    return answer if answer["state"] == "done" else None


class Spoiler:
    """Makes bills and records differ, and writes down what must be found."""

    def __init__(self, world: World, month: Month):
        self.world, self.month = world, month
        self.expected: set[tuple] = set()
        self.used: set[str] = set()
        self.rows = self._trades()

    def _trades(self) -> list[dict]:
        """All trades as WeChat knows them, with the Beijing day of their bill."""
        state = self.world.sandbox.state()
        orders = {
            order["out_trade_no"]: order
            for order in values(state["orders"])
            if order["transaction_id"] and order["trade_state"] != "REVOKED"
        }
        refunds = [r for r in values(state["refunds"]) if r["out_trade_no"] in orders]
        count = collections.Counter(refund["out_trade_no"] for refund in refunds)
        return [
            {
                "kind": "payment",
                "number": number,
                "day": _day(order["paid_at"]),
                "amount": order["request"]["amount"]["total"],
                "types": {p["type"] for p in order["promotion_detail"]},
                "refunded": bool(count[number]),
            }
            for number, order in orders.items()
        ] + [
            {
                "kind": "refund",
                "number": refund["out_refund_no"],
                "payment": refund["out_trade_no"],
                "day": _day(refund["success_at"]),
                "settlement": refund["settlement_refund"],
                "paid": orders[refund["out_trade_no"]]["settlement_total"],
                "alone": count[refund["out_trade_no"]] == 1,
            }
            for refund in refunds
        ]

    def spoil(self) -> None:
        """Apply every recipe to every so manieth day."""
        recipes = [
            self.payment_missing,
            self.payment_never_was,
            self.payment_unknown,
            self.payment_of_others,
            self.refund_missing,
            self.refund_unknown,
            self.amount_of_order,
            self.amount_of_settlement,
            self.amount_of_coupon,
            self.state_not_ours,
            self.state_of_refund,
            self.state_not_theirs,
            self.state_abandoned,
            self.fee_of_payment,
            self.fee_of_day,
        ]
        for place, day in enumerate(self.month.days):
            for number, recipe in enumerate(recipes):
                if (place + number) % EVERY == 0:
                    recipe(day)

    # === RECIPES === #

    def payment_missing(self, day):
        trade = self._take(day, "payment", lambda t: not t["refunded"])
        self._change(day, "missing_line", trade)
        self._expect(day, "payment_missing", None, trade["number"])

    def payment_never_was(self, day):
        """We count on a payment that WeChat has never seen; and know no time of it."""
        number = f"never{day:%Y%m%d}"
        trade = self._take(day, "payment", lambda t: not t["refunded"])
        # The time is that of the row itself.
        self.world.sql(
            "INSERT INTO wechat_pay_transaction (kind, way, number, merchant_id, "
            "company_id, currency_id, state, amount_fen, settlement_fen, "
            "refunded_fen, abandoned, create_date) "
            "SELECT kind, way, %s, merchant_id, company_id, currency_id, state, 777, "
            "777, 0, FALSE, success_at FROM wechat_pay_transaction WHERE number = %s",
            number,
            trade["number"],
        )
        self._expect(day, "payment_missing", None, number)

    def payment_unknown(self, day):
        """A row of ours got lost."""
        trade = self._take(day, "payment", lambda t: not t["refunded"])
        self.world.sql(
            "DELETE FROM wechat_pay_transaction WHERE kind = 'payment' AND number = %s",
            trade["number"],
        )
        self._expect(day, "payment_unknown", None, trade["number"])

    def payment_of_others(self, day):
        """A line in the bill that is nobody's; too small for a fee."""
        number = f"ghost{day:%Y%m%d}"
        self._change(day, "extra_line", {"number": number, "kind": "payment"}, amount=7)
        self._expect(day, "payment_unknown", None, number)

    def refund_missing(self, day):
        trade = self._take(day, "refund")
        self._change(day, "missing_line", trade)
        self._expect(day, "refund_missing", None, trade["number"])

    def refund_unknown(self, day):
        trade = self._take(day, "refund")
        self.world.sql(
            "DELETE FROM wechat_pay_transaction WHERE kind = 'refund' AND number = %s",
            trade["number"],
        )
        self._expect(day, "refund_unknown", None, trade["number"])

    def amount_of_order(self, day):
        trade = self._take(day, "payment", lambda t: t["amount"] > 1)
        self._write(trade, "amount_fen = amount_fen + 1")
        self._expect(day, "amount", "order", trade["number"])

    def amount_of_settlement(self, day):
        trade = self._take(day, "payment", lambda t: "NOCASH" in t["types"])
        self._write(trade, "settlement_fen = settlement_fen + 1")
        self._expect(day, "amount", "settlement", trade["number"])

    def amount_of_coupon(self, day):
        trade = self._take(day, "payment", lambda t: "CASH" in t["types"])
        self._change(day, "other_coupon", trade, amount=1001)
        self._expect(day, "amount", "coupon", trade["number"])

    def state_not_ours(self, day):
        trade = self._take(day, "payment", lambda t: not t["refunded"])
        self._write(trade, "state = 'cancelled'")
        self._expect(day, "state", "not_ours", trade["number"])

    def state_of_refund(self, day):
        """We never heard that a refund was done."""
        trade = self._take(day, "refund")
        self._write(trade, "state = 'waiting', success_at = NULL, next_at = NULL")
        self._expect(day, "state", "not_ours", trade["number"])

    def state_not_theirs(self, day):
        trade = self._take(day, "refund")
        self._change(day, "other_state", trade, state="FAIL")
        self._expect(day, "state", "not_theirs", trade["number"])

    def state_abandoned(self, day):
        trade = self._take(day, "payment", lambda t: not t["refunded"])
        self._write(trade, "abandoned = TRUE")
        self._expect(day, "state", "abandoned", trade["number"])

    def fee_of_payment(self, day):
        trade = self._take(day, "payment")
        self._change(day, "other_fee", trade, fee=100_000)
        self._expect(day, "fee", "rate", trade["number"])
        self._expect(day, "fee", "sum", str(day))

    def fee_of_day(self, day):
        """One fen in a refund's fee may be rounding, but the day does not add up."""
        trade = self._take(day, "refund", lambda t: t["alone"])
        expected = _fee(trade["settlement"])
        real = _fee(trade["paid"]) - _fee(trade["paid"] - trade["settlement"])
        wrong = expected if real != expected else expected + 1
        self._change(day, "other_fee", trade, fee=-wrong)
        self._expect(day, "fee", "sum", str(day))

    # === HOW === #

    def _take(self, day, kind, fits=lambda trade: True) -> dict:
        """A trade of the day that nothing else is done to."""
        for trade in self.rows:
            names = {trade["number"], trade.get("payment", trade["number"])}
            if trade["day"] == day and trade["kind"] == kind and fits(trade):
                if not names & self.used:
                    self.used |= names
                    return trade
        raise AssertionError(f"no {kind} is left on {day}")

    def _change(self, day, kind: str, trade: dict, **vals) -> None:
        numbers = {"out_trade_no": trade["number"]}
        if trade["kind"] == "refund":
            numbers = {
                "out_trade_no": trade["payment"],
                "out_refund_no": trade["number"],
            }
        self.world.sandbox.ask(
            "POST",
            f"pay/bills/{shop.MCHID}/changes",
            bill_date=str(day),
            kind=kind,
            **numbers,
            **vals,
        )

    def _write(self, trade: dict, assignment: str) -> None:
        self.world.sql(
            f"UPDATE wechat_pay_transaction SET {assignment} "
            "WHERE kind = %s AND number = %s",
            trade["kind"],
            trade["number"],
        )

    def _expect(self, day, kind: str, aspect: str | None, number: str) -> None:
        self.expected.add((str(day), kind, aspect, number))


def _fee(settlement: int) -> int:
    """0.60 %, in fen, rounded half up."""
    return (settlement * 60 + 5000) // 10_000


def _day(seconds: float) -> datetime.date:
    return (EPOCH + datetime.timedelta(seconds=seconds) + BEIJING).date()


class Accountant:
    """Fetches the bills and reads what came of them."""

    def __init__(self, world: World):
        self.world, self.rpc = world, world.person("accountant")

    def fetch(self, first: datetime.date, last: datetime.date) -> float:
        """Have the bills of some days fetched; returns the seconds it took."""
        start = time.monotonic()
        vals = {
            "merchant_id": self.world.ref("merchant"),
            "date_from": str(first),
            "date_to": str(last),
        }
        wizard = self.rpc.call("wechat.pay.bill.fetch", "create", vals)
        self.rpc.call("wechat.pay.bill.fetch", "action_fetch", [wizard])
        self.wait()
        return time.monotonic() - start

    def wait(self) -> None:
        wait_until("bills are read and booked", self._is_ready, 900, 0.5)

    def _is_ready(self) -> bool:
        """Whether no job is left; one that gave up is an error."""
        jobs = dict(
            self.world.sql(
                "SELECT state, count(*) FROM queue_job "
                "WHERE model_name IN ('wechat.pay.bill', 'wechat.merchant') "
                "GROUP BY state"
            )
        )
        assert not jobs.get("failed"), self.world.sql(
            "SELECT name, exc_message FROM queue_job WHERE state = 'failed'"
        )
        return not set(jobs) - {"done", "cancelled"}

    def found(self) -> set[tuple]:
        """The open differences: day, kind, aspect and number."""
        rows = self.world.sql(
            "SELECT b.date::text, d.kind, d.aspect, d.number "
            "FROM wechat_pay_difference AS d JOIN wechat_pay_bill AS b "
            "ON b.id = d.bill_id WHERE d.state = 'open'"
        )
        assert len(rows) == len(set(rows)), "nothing is on the list twice"
        return set(rows)

    def query(self, kind: str, aspect: str, of: str) -> int:
        """Ask WeChat again about what some differences are about."""
        rows = self.world.sql(
            "SELECT d.id FROM wechat_pay_difference AS d "
            "JOIN wechat_pay_transaction AS t ON t.id = d.transaction_id "
            "WHERE d.state = 'open' AND d.kind = %s AND d.aspect = %s AND t.kind = %s",
            kind,
            aspect,
            of,
        )
        ids = [row[0] for row in rows]
        self.rpc.call("wechat.pay.difference", "action_query", ids, timeout=300)
        return len(ids)

    def check_balances(self) -> dict:
        """Every day's fund flow, bank statement and books are the same to the fen."""
        days = self.world.sql(
            """
            SELECT b.date::text, b.balance_start_fen, b.in_fen, b.out_fen,
                   b.balance_end_fen, b.line_count, s.is_complete,
                   count(l.id), (sum(l.amount) * 100)::bigint,
                   (s.balance_start * 100)::bigint, (s.balance_end_real * 100)::bigint
              FROM wechat_pay_bill AS b
              JOIN account_bank_statement AS s ON s.id = b.statement_id
              JOIN account_bank_statement_line AS l ON l.statement_id = s.id
             WHERE b.bill_type = 'fundflow' AND b.state = 'done'
             GROUP BY b.id, s.id
             ORDER BY b.date
            """
        )
        balance = 0
        for day, start, came, went, end, lines, complete, booked, amount, *ends in days:
            assert start == balance, day
            assert start + came - went == end, day
            assert (booked, amount) == (lines, came - went), day
            assert ends == [start, end], day
            assert complete, day
            balance = end
        [(books,)] = self.world.sql(
            "SELECT (sum(l.balance) * 100)::bigint FROM account_move_line AS l "
            "JOIN account_journal AS j ON j.default_account_id = l.account_id "
            "JOIN wechat_merchant AS m ON m.journal_id = j.id "
            "WHERE l.parent_state = 'posted'"
        )
        assert books == balance
        return {"days": len(days), "lines": sum(day[5] for day in days), "end": balance}


def test_every_difference_is_found_and_nothing_else(world):
    coupons.open_session(world, world.ref("till_1"))
    start = time.monotonic()
    month = Month(world)
    for day in month.days:
        month.sell(day)
    world.sandbox.ask("POST", "clock", reset=True)
    sold = time.monotonic() - start
    spoiler = Spoiler(world, month)
    spoiler.spoil()
    expected = spoiler.expected
    accountant = Accountant(world)
    one = datetime.timedelta(days=1)
    edges = (month.days[0] - one, month.days[-1] + one)
    seconds = accountant.fetch(*edges)
    found = accountant.found()
    assert found - expected == set(), "false alarms"
    assert expected - found == set(), "not found"
    figures = accountant.check_balances()
    assert figures["days"] >= DAYS
    # The same bills once more change nothing.
    accountant.fetch(*edges)
    assert accountant.found() == expected
    assert accountant.check_balances() == figures
    # Where only an answer of WeChat is lacking, asking for it is all.
    asked = accountant.query("state", "not_ours", "refund")
    refunds = {trade["number"] for trade in spoiler.rows if trade["kind"] == "refund"}
    gone = {row for row in expected if row[2] == "not_ours" and row[3] in refunds}
    assert len(gone) == asked > 0
    assert accountant.found() == expected - gone
    kinds = collections.Counter(row[1] for row in expected)
    assert len(kinds) == 7
    print()
    print(f"{DAYS} days sold in {sold:.0f} s:", dict(month.counts))
    print(f"{len(expected)} seeded differences, {len(found)} found:", dict(kinds))
    print(
        f"0 false alarms; {figures['lines']} movements booked in {seconds:.0f} s, "
        f"{figures['days']} days balance to the fen, {figures['end']} fen in the end"
    )
