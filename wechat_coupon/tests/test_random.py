"""Random lives of coupons against a plain model: ``make proof ONLY=random``.

SEED chooses other lives, FIRST begins with a later one.
"""

import logging
import os
import random
from datetime import timedelta
from uuid import uuid4

from odoo import fields
from odoo.tests import tagged

from ..tools.ledger import as_ledger
from .coupon_model import CouponModel
from .test_channel_kit import TestChannelBusifavor, TestChannelCard, TestChannelLocal
from .test_return import ReturnCase

_logger = logging.getLogger(__name__)

FULL = os.environ.get("PROOF") == "full"
SEQUENCES = 700 if FULL else 25
STEPS = 12
ORDERS = ("A", "B", "C")


class RandomLives:
    """A mixin of a channel's kit: sequences of what people and WeChat do."""

    takes_back = False
    gifts = False
    asks_first = False

    def run_lives(self):
        seed = int(os.environ.get("SEED", "20261123"))
        taken = {}
        first = int(os.environ.get("FIRST", "0"))
        for number in range(first, SEQUENCES):
            chance = random.Random(f"{seed}-{self.channel}-{number}")
            life = Life(self, chance)
            try:
                life.run()
            except AssertionError as error:
                raise AssertionError(
                    f"sequence {number}: {' '.join(life.told)}: {error}"
                ) from error
            for step in life.told:
                name = step.partition(":")[0]
                taken[name] = taken.get(name, 0) + 1
            self.env.flush_all()
            self.env.invalidate_all()
        _logger.info(
            "FIGURE %s: %s sequences, %s steps: %s; ledger, coupon, %s and model "
            "agree after each",
            self.channel,
            SEQUENCES - first,
            sum(taken.values()),
            ", ".join(f"{name} {count}" for name, count in sorted(taken.items())),
            "WeChat" if self.model._is_remote else "nobody else",
        )


class Life:
    """One coupon, three orders, and what happens to them."""

    def __init__(self, case, chance):
        self.case, self.chance = case, chance
        self.env = case.env
        self.told = []
        self.model = CouponModel(
            case.model._needs_write_off, case.takes_back, case.asks_first
        )
        self.openid = case.sandbox.post("users", nickname="life")["openid"]
        self.uuids = {name: str(uuid4()) for name in ORDERS}
        self.orders, self.data = {}, {}
        self.late = []  # callbacks that have not come yet
        self.clock = 0

    def run(self):
        code = self.case.hand_out(self.case.offer, self.openid)
        self.coupon = self.case.coupon_of(code)
        for _try in range(6 * STEPS):
            if len(self.told) == STEPS:
                break
            steps = [name[5:] for name in dir(self) if name.startswith("step_")]
            name = self.chance.choice(steps)
            what = getattr(self, f"step_{name}")()
            if what is not None:
                self.told.append(f"{name}:{what}" if what is not True else name)
                self.check_ledger()
        self.come_to_rest()
        self.check_all()

    # === STEPS; None if it cannot be done now === #

    def open_order(self):
        names = [name for name in ORDERS if name not in self.orders]
        return self.chance.choice(names) if names else None

    def paid_order(self):
        return self.chance.choice(sorted(self.orders)) if self.orders else None

    def step_reserve(self):
        name = self.open_order()
        if not name:
            return None
        answer = self.case.reserve(self.uuids[name], self.coupon)
        self.env.invalidate_all()
        self.case.assertEqual(answer["ok"], self.model.hold(name), (name, answer))
        return name

    step_reserve_again = step_reserve

    def step_release(self):
        name = self.open_order()
        if not name:
            return None
        self.case.till.wechat_coupon_release(self.uuids[name])
        self.model.release(name)
        return name

    def step_lapse(self):
        if not self.model.holder or self.model.lapsed:
            return None
        self.case.expire(self.coupon)
        self.model.lapsed = True
        return True

    def step_pay(self):
        name = self.open_order()
        if not name or (self.model.holder != name and self.chance.random() < 0.6):
            return None
        self.data[name] = self.case.order_data(self.uuids[name], self.coupon)
        self.orders[name] = self.sync(name)
        self.model.pay(name)
        return name

    step_pay_again = step_pay

    def sync(self, name):
        orders = self.env["pos.order"]
        orders.with_user(self.case.cashier).sync_from_ui([self.data[name]])
        self.env.invalidate_all()
        return orders.search([("uuid", "=", self.uuids[name])])

    def step_sync_twice(self):
        name = self.paid_order()
        if not name:
            return None
        self.case.assertEqual(self.sync(name), self.orders[name])
        return name

    def redemption(self, name):
        domain = [
            ("order_uuid", "=", self.uuids[name]),
            ("state", "!=", "released"),
        ]
        return self.env["coupon.redemption"].search(domain)

    def step_send(self, answered=True):
        name = self.paid_order()
        if not name or self.model.sales[name].remote not in ("pending", "unknown"):
            return None
        row = self.redemption(name)
        if answered:
            self.case.write_off(row)
        else:
            # The sandbox has done it, and nobody hears of it.
            fault = {"kind": "timeout_after", "seconds": 0.05}
            times = self.case.sends
            self.case.fault(self.case.write_off_path, times=times, **fault)
            self.case.attempt(row)
            self.case.sandbox.call("DELETE", "faults")
        self.env.invalidate_all()
        asked = self.model.sales[name].remote == "unknown" and not answered
        # Who asks first finds out, and nothing is sent that the fault could hit.
        self.model.send(name, answered or (asked and self.model.sales[name].reached))
        return name

    def step_send_and_lose_the_answer(self):
        return self.step_send(answered=False) if self.case.write_off_path else None

    def step_take_back(self):
        name = self.paid_order()
        if not name or self.model.sales[name].way != "channel":
            return None
        self.case.work_off(self.case.offer)
        self.model.take_back(name)
        return name

    def step_refund(self, goods=None):
        name = self.paid_order()
        if not name:
            return None
        sale = self.model.sales[name]
        left = sorted(CouponModel.GOODS - sale.refunded)
        if not left:
            return None
        goods = set(goods or [self.chance.choice(left)]) & set(left)
        self.give_back(name, goods)
        self.model.refund(name, goods)
        return f"{name}-{'+'.join(sorted(goods))}"

    def step_refund_all(self):
        return self.step_refund(CouponModel.GOODS)

    def give_back(self, name, goods):
        order = self.orders[name]
        cut = order.lines.filtered("coupon_id")
        parts = []
        for product, share in ((self.case.tea, 0.6), (self.case.rice, 0.4)):
            key = "tea" if product == self.case.tea else "rice"
            if key in goods:
                line = self.case.goods(order, product)
                parts.append((line, 1, line.price_subtotal_incl))
                parts.append((cut, share, -10.0 * share))
        data = self.case.refund_data(order, parts)
        for _time in range(self.chance.choice((1, 1, 2))):
            self.case.sync(data)
        self.env.invalidate_all()

    def step_over(self):
        if self.model.over or self.chance.random() < 0.8:
            return None
        past = fields.Datetime.now() - timedelta(minutes=5)
        as_ledger(self.coupon).wechat_valid_to = past
        self.model.over = True
        return True

    def step_use_elsewhere(self):
        if (
            not self.model.remote
            or self.model.truth != "held"
            or self.chance.random() < 0.7
        ):
            return None
        self.case.use_elsewhere_as(self.openid, self.coupon.code)
        self.model.use_elsewhere()
        return True

    def step_give(self):
        free = not self.model.holder and not self.model.taken()
        if not (self.case.gifts and self.model.truth == "held" and free):
            return None
        if self.model.local != "usable" or self.model.over or self.late:
            return None
        code, friend = self.coupon.code, self.case.friend
        self.case.sandbox.post(f"phone/{self.openid}/gift", code=code, to_openid=friend)
        new = self.case.sandbox.post(f"phone/{friend}/accept", code=code)["code"]
        self.model.give()
        self.clock += 10
        at = self.case.epoch + self.clock
        card = self.case.offer.remote_id
        self.late += [
            ("gifting", "user_gifting_card", code, self.openid, at, {}),
            (
                "gifted",
                "user_get_card",
                new,
                friend,
                at + 1,
                {
                    "IsGiveByFriend": "1",
                    "OldUserCardCode": code,
                    "FriendUserName": self.openid,
                    "CardId": card,
                },
            ),
        ]
        # Until we are told, the till asks WeChat.
        return True

    def step_callback(self):
        """A callback comes late, out of order, and perhaps twice."""
        if not self.late or self.model.holder:
            return None
        self.chance.shuffle(self.late)
        self.come(self.late.pop())
        return True

    def come(self, callback):
        effect, event, code, openid, at, payload = callback
        for _time in range(self.chance.choice((1, 2))):
            self.case.event(
                event,
                code,
                card_id=self.case.offer.remote_id,
                at=at,
                openid=openid,
                **payload,
            )
        if self.model.local != "gifted":
            self.model.local = effect
        self.env.invalidate_all()

    # === WHAT HAS TO BE TRUE === #

    def check_ledger(self):
        """One active use at most, whatever has happened."""
        active = self.case.redemptions(self.coupon, "reserved", "redeemed")
        self.case.assertLessEqual(len(active), 1)
        uses = self.case.remote_uses_of(self.openid, self.coupon.code)
        self.case.assertIn(uses, (None, 0, 1))

    def come_to_rest(self):
        """Everything that is late comes, everything that waits is done."""
        while self.late:
            self.come(self.late.pop(0))
        for _round in range(4):
            for name in sorted(self.orders):
                sale = self.model.sales[name]
                if sale.remote in ("pending", "unknown"):
                    self.case.write_off(self.redemption(name))
                    self.model.send(name)
                if sale.way == "channel":
                    self.case.work_off(self.case.offer)
                    self.model.take_back(name)
            self.env.invalidate_all()
            for name in self.orders:
                row = self.redemption(name)
                if row.state == "conflict" and not self.model.sales[name].kept:
                    row._retry_conflict()
                    self.model.settle_conflict(name)
        self.env.invalidate_all()

    def check_all(self):
        model, case = self.model, self.case
        for name, sale in model.sales.items():
            row = self.redemption(name)
            case.assertEqual(
                (row.state, row.remote_state), (sale.result, sale.remote), name
            )
            if sale.kept or sale.result == "conflict" or sale.remote == "refused":
                case.assertTrue(row.needs_attention, name)
            order = self.orders[name]
            refunds = order.lines.refund_orderline_ids.order_id
            back = -sum(refunds.mapped("amount_total"))
            case.assertLessEqual(round(back * 100), round(order.amount_total * 100))
            if sale.refunded == model.GOODS:
                case.assertAlmostEqual(back, order.amount_total)
        case.assertEqual(self.coupon.wechat_state, model.state())
        usable = model.state() == "usable"
        case.assertEqual(self.coupon.points, 1 if usable else 0)
        if model.remote:
            uses = case.remote_uses_of(self.openid, self.coupon.code)
            case.assertEqual(uses, int(model.truth in ("used by us", "used")))
        news = self.env["loyalty.card"].search(
            [("wechat_replaces_id", "=", self.coupon.id)]
        )
        case.assertEqual(len(news), int(model.renewed))
        case.assertFalse(news.filtered(lambda new: new.wechat_state != "usable"))


# The kit has a name of its own, whose run these would make an hour longer.
@tagged("post_install", "-at_install", "wechat_random", "-wechat_channels")
class TestRandomLocal(RandomLives, ReturnCase, TestChannelLocal):
    allow_inherited_tests_method = False

    def remote_uses_of(self, openid, code):
        return None

    def test_lives(self):
        self.run_lives()


@tagged("post_install", "-at_install", "wechat_random", "-wechat_channels")
class TestRandomCard(RandomLives, ReturnCase, TestChannelCard):
    allow_inherited_tests_method = False
    gifts = True
    asks_first = True

    def setUp(self):
        super().setUp()
        self.epoch = int(fields.Datetime.now().timestamp()) + 100

    def offer_vals(self):
        return {**super().offer_vals(), "stock": 100000}

    def remote_uses_of(self, openid, code):
        return self.sandbox.code(code)["consume_count"]

    def use_elsewhere_as(self, openid, code):
        self.sandbox.post(
            f"phone/{openid}/consume", card_id=self.offer.remote_id, code=code
        )

    def test_lives(self):
        self.run_lives()


@tagged("post_install", "-at_install", "wechat_random", "-wechat_channels")
class TestRandomBusifavor(RandomLives, ReturnCase, TestChannelBusifavor):
    allow_inherited_tests_method = False
    takes_back = True

    def offer_vals(self):
        return {**super().offer_vals(), "stock": 100000}

    def remote_uses_of(self, openid, code):
        return self.remote_uses(code)

    def use_elsewhere_as(self, openid, code):
        self.use_elsewhere(code)

    def test_lives(self):
        self.run_lives()
