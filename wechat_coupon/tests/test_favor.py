"""Cash coupons (代金券): made here, taken off by WeChat, written into the ledger."""

import time
from datetime import timedelta
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from odoo.addons.wechat_base.tools.exceptions import WechatRefused
from odoo.addons.wechat_pay.tests.common import MCHID, PayCase


@tagged("post_install", "-at_install", "wechat_channels")
class TestChannelFavor(PayCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.product = cls.env["product.product"].create(
            {"name": "Tea", "lst_price": 12.34, "taxes_id": []}
        )

    def setUp(self):
        super().setUp()
        self.balance(None)
        self.offer = self.make_offer()

    def balance(self, fen):
        self.sandbox.post("merchants", mchid=MCHID, balance=fen)

    def make_offer(self, **vals):
        today = fields.Date.context_today(self.env.user)
        return self.env["coupon.template"].create(
            {
                "name": "满10减2",
                "company_id": self.company.id,
                "channel": "favor",
                "merchant_id": self.merchant.id,
                "account_id": self.account.id,
                "amount_fen": 200,
                "threshold_fen": 1000,
                "date_from": today,
                "date_to": today + timedelta(days=30),
                "stock": 50,
                "get_limit": 5,
                "description": "满10元可用",
                **vals,
            }
        )

    def publish(self, template):
        template.action_publish()
        self.publish_tasks(template)

    def publish_tasks(self, template):
        """Do all that is ordered at WeChat."""
        for _round in range(4):
            tasks = self.env["coupon.task"].search(
                [
                    ("template_id", "=", template.id),
                    ("remote_state", "in", ("pending", "unknown")),
                ],
                order="id",
            )
            for task in tasks:
                self.env.flush_all()
                if task.remote_state == "unknown":
                    found = task._operation_query()
                    outcome, vals = found if isinstance(found, tuple) else (found, {})
                    if outcome == "done":
                        task._operation_settle(vals)
                        continue
                self.assertTrue(task._operation_begin())
                try:
                    outcome = task._operation_call()
                except UserError as error:
                    outcome = error
                task._operation_settle(outcome)
        self.env.invalidate_all()

    def paid_order(self):
        """The customer pays by code, and the order is saved."""
        self.order, self.line = str(uuid4()), str(uuid4())
        answer = self.charge()
        self.assertEqual(answer["state"], "done", answer)
        order = self.sell(self.product, 1, 12.34, [(self.line, self.method, 12.34)])
        return order, answer

    def redemptions(self):
        return self.env["coupon.redemption"].search(
            [("template_id", "=", self.offer.id)]
        )

    def let_it_begin(self):
        """A stock begins some minutes after it was made."""
        self.sandbox.post("clock", set=time.time() + 400)
        self.addCleanup(self.sandbox.post, "clock", reset=True)

    def test_taken_off_the_payment(self):
        """WeChat takes it off; order, ledger and coupon say so, once."""
        self.publish(self.offer)
        self.assertEqual(self.offer.state, "live", self.offer.state_reason)
        channel = self.env["coupon.channel.favor"]
        self.let_it_begin()
        number = channel._send(self.offer, self.openid, "SEND1")
        self.assertEqual(channel._send(self.offer, self.openid, "SEND1"), number)
        order, answer = self.paid_order()
        self.assertEqual(answer["payer_total"], 1034)
        redemption = self.redemptions()
        self.assertEqual(redemption.state, "redeemed")
        self.assertEqual(redemption.code, number)
        self.assertEqual(
            (redemption.discount_fen, redemption.order_total_fen), (200, 1234)
        )
        self.assertEqual(redemption.pos_order_id, order)
        self.assertEqual(redemption.remote_state, "done")
        self.assertEqual(redemption.funded_by, "merchant")
        self.assertEqual(redemption.coupon_id.wechat_state, "used")
        # What was sold is sold for its price: the discount is in the payment.
        self.assertEqual(order.amount_total, 12.34)
        # Again, by the notice and by the till: nothing changes.
        self.notify(number, self.row().remote_no)
        channel._record_payments(order)
        self.assertEqual(self.redemptions(), redemption)

    def test_used_again_on_another_order(self):
        """WeChat gave it back behind our back: the second use is seen."""
        self.publish(self.offer)
        self.let_it_begin()
        channel = self.env["coupon.channel.favor"]
        channel._send(self.offer, self.openid, "SEND4")
        first, _answer = self.paid_order()
        number = self.redemptions().code
        channel._send(self.offer, self.openid, "SEND5")
        second, _answer = self.paid_order()
        other = self.redemptions().filtered(lambda row: row.pos_order_id == second)
        self.assertNotEqual(other.code, number)
        # As WeChat tells it when it is the same coupon once more.
        promotion = self.row().promotion_ids
        other.coupon_id.sudo()._write({"code": "1" * 12})
        other.sudo()._write({"order_uuid": str(uuid4()), "pos_order_id": None})
        self.env.invalidate_all()
        promotion.sudo().coupon_id = number
        for _twice in range(2):
            channel._record_payments(second)
        uses = self.redemptions().filtered(lambda row: row.code == number)
        self.assertEqual(
            {(row.pos_order_id, row.state) for row in uses},
            {(first, "redeemed"), (second, "conflict")},
        )
        self.assertEqual(len(uses), 2)
        conflict = uses.filtered(lambda row: row.state == "conflict")
        self.assertTrue(conflict.needs_attention)
        self.assertIn(first.pos_reference, conflict.reason)
        self.assertEqual((conflict.discount_fen, conflict.order_total_fen), (200, 1234))
        self.assertEqual(len(conflict.coupon_id.history_ids), 1)

    def test_used_again_on_the_same_order(self):
        """Two payments of an order that both say they had it."""
        self.publish(self.offer)
        self.let_it_begin()
        channel = self.env["coupon.channel.favor"]
        number = channel._send(self.offer, self.openid, "SEND6")
        order, _answer = self.paid_order()
        again = self.row().copy({"number": uuid4().hex, "pos_payment_uuid": False})
        again.promotion_ids = [Command.clear()]
        self.row().promotion_ids.copy({"transaction_id": again.id})
        again.sudo()._write(
            {"state": "done", "pos_payment_id": order.payment_ids[:1].id}
        )
        self.env.invalidate_all()
        for _twice in range(2):
            channel._record_payments(order)
        uses = self.redemptions()
        self.assertEqual(set(uses.mapped("code")), {number})
        self.assertEqual(sorted(uses.mapped("state")), ["conflict", "redeemed"])

    def test_given_back(self):
        """WeChat gives it back with the payment's refund; it may then be used again."""
        self.publish(self.offer)
        self.let_it_begin()
        self.env["coupon.channel.favor"]._send(self.offer, self.openid, "SEND3")
        order, _answer = self.paid_order()
        redemption = self.redemptions()
        refund = order._refund()
        refund._wechat_mark_refunds()
        self.assertEqual(redemption.state, "returned")
        self.assertEqual(redemption.return_way, "payment")
        self.assertFalse(redemption.return_task_ids)
        self.assertFalse(redemption.needs_attention)
        self.assertEqual(redemption.coupon_id.wechat_state, "used")
        self.assertIn("refund of the payment", redemption._return_sentence())

    def test_paused_at_wechat(self):
        """WeChat hands out by itself, so it is told; it goes on when told again."""
        self.publish(self.offer)
        self.let_it_begin()
        channel = self.env["coupon.channel.favor"]
        self.offer.action_pause()
        # The manager changes his mind before WeChat was told: one order is enough.
        self.offer.action_resume()
        self.offer.action_pause()
        tasks = self.env["coupon.task"].search(
            [("template_id", "=", self.offer.id), ("kind", "=", "pause")]
        )
        self.assertEqual(len(tasks), 1)
        # WeChat goes on until it is told, and we do not follow it meanwhile.
        channel._refresh(self.offer)
        self.assertEqual(self.offer.state, "paused")
        self.publish_tasks(self.offer)
        self.assertEqual(channel._stock(self.offer)["status"], "paused")
        self.assertEqual((self.offer.state, tasks.remote_state), ("paused", "done"))
        with self.assertRaises(WechatRefused):
            channel._send(self.offer, self.openid, uuid4().hex)
        self.offer.action_resume()
        self.publish_tasks(self.offer)
        self.assertEqual(channel._stock(self.offer)["status"], "running")
        self.assertEqual(self.offer.state, "live")

    def test_paused_and_resumed_on_wechats_own_pages(self):
        self.publish(self.offer)
        self.let_it_begin()
        channel = self.env["coupon.channel.favor"]
        for verb, state in (("pause", "paused"), ("restart", "live")):
            channel._stock_verb(self.offer, verb, uuid4().hex)
            channel._refresh(self.offer)
            self.assertEqual(self.offer.state, state)

    def test_a_pause_that_wechat_does_not_know_of(self):
        """It stands until WeChat was told; who resumes it there then means to."""
        self.publish(self.offer)
        self.let_it_begin()
        channel = self.env["coupon.channel.favor"]
        self.offer.action_pause()
        self.offer.action_refresh()
        self.assertEqual(
            (self.offer.state, self.offer.remote_status), ("paused", "running")
        )
        self.publish_tasks(self.offer)
        self.assertEqual(channel._stock(self.offer)["status"], "paused")
        channel._stock_verb(self.offer, "restart", uuid4().hex)
        self.offer.action_refresh()
        self.assertEqual(self.offer.state, "live")

    def used_elsewhere(self):
        """The customer pays somewhere else; the number of the coupon."""
        channel = self.env["coupon.channel.favor"]
        self.let_it_begin()
        number = channel._send(self.offer, self.openid, uuid4().hex)
        self.order, self.line = str(uuid4()), str(uuid4())
        answer = self.charge()
        self.assertEqual(answer["state"], "done", answer)
        return number

    def test_uses_of_a_day(self):
        """What was used past our tills is found in WeChat's file, once."""
        # WeChat takes the best of all that are in the wallet.
        self.openid = self.sandbox.post("users", nickname="uses")["openid"]
        self.publish(self.offer)
        channel = self.env["coupon.channel.favor"]
        self.let_it_begin()
        channel._send(self.offer, self.openid, uuid4().hex)
        self.paid_order()
        known = self.redemptions().coupon_id
        number = self.used_elsewhere()
        day = fields.Date.context_today(
            self.env.user.with_context(tz="Asia/Shanghai"),
            fields.Datetime.now() + timedelta(seconds=400),
        )
        with self.assertRaises(WechatRefused):
            channel._fetch_uses(self.offer, day)
        self.sandbox.post("clock", set=time.time() + 2 * 86400)
        count, elsewhere = channel._fetch_uses(self.offer, day)
        self.assertEqual((count, elsewhere.code), (2, number))
        self.assertEqual(elsewhere.wechat_state, "used")
        self.assertTrue(elsewhere.wechat_used_outside)
        self.assertFalse(known.wechat_used_outside)
        self.assertEqual(channel._fetch_uses(self.offer, day), (2, known.browse()))

    def test_a_file_that_is_another(self):
        channel = self.env["coupon.channel.favor"]
        for text in ("", "<html>", "a,b\r\n1,2", "优惠id,支付单号\r\n`x,`1\r\n"):
            with self.assertRaises(ValueError):
                channel._read_uses(text)
        self.publish(self.offer)
        offer = {"url": f"{self.sandbox.url}/v3/billdownload/file?token=x"}
        with self.assertRaises(UserError):
            channel._download(self.offer, {**offer, "stock_useflow_hash": "0" * 40})

    def notify(self, number, transaction_id):
        events = self.env["wechat.event"]
        events._receive(
            "pay",
            self.merchant.id,
            self.company.id,
            str(uuid4()),
            "coupon.use",
            {
                "stock_creator_mchid": MCHID,
                "stock_id": self.offer.remote_id,
                "coupon_id": number,
                "status": "USED",
                "consume_information": {
                    "consume_mchid": MCHID,
                    "transaction_id": transaction_id,
                },
            },
        )
        event = events.search([], order="id desc", limit=1)
        event._process()
        return event

    def test_used_elsewhere(self):
        """On a payment that is not ours: the coupon is used, and no order of ours."""
        self.publish(self.offer)
        self.let_it_begin()
        number = self.env["coupon.channel.favor"]._send(self.offer, self.openid, "S2")
        self.notify(number, "4200000000")
        coupon = self.env["loyalty.card"]._wechat_find(number)
        self.assertEqual(
            (coupon.wechat_state, coupon.wechat_used_outside), ("used", True)
        )
        self.assertFalse(self.redemptions())

    def test_used_online(self):
        """On a payment of the web shop: used, and no order at a till is waited for."""
        self.publish(self.offer)
        self.let_it_begin()
        number = self.env["coupon.channel.favor"]._send(self.offer, self.openid, "S3")
        provider = self.env["payment.provider"].search([], limit=1)
        online = self.env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": self.env.ref("payment.payment_method_unknown").id,
                "reference": "web-1",
                "amount": 90,
                "currency_id": self.company.currency_id.id,
                "partner_id": self.env.user.partner_id.id,
            }
        )
        row = self.env["wechat.pay.transaction"].create(
            {
                "kind": "payment",
                "merchant_id": self.merchant.id,
                "company_id": self.company.id,
                "currency_id": self.company.currency_id.id,
                "payment_transaction_id": online.id,
                "remote_no": "4200000777",
                "amount_fen": 9000,
                "number": "WEB1",
                "way": "native",
            }
        )
        self.assertFalse(row.pos_order_id)
        event = self.notify(number, "4200000777")
        self.assertEqual(event.state, "done")
        coupon = self.env["loyalty.card"]._wechat_find(number)
        self.assertEqual(coupon.wechat_state, "used")

    def test_callback(self):
        """WeChat knows where to report uses without being told by hand."""
        self.publish(self.offer)
        told = self.env["coupon.channel.favor"]._call(
            self.offer, "GET", f"/callbacks?mchid={MCHID}"
        )
        self.assertEqual(told["notify_url"], self.merchant.notify_url)

    def test_prepaid_needs_money(self):
        """预充值: what is set aside has to be there."""
        self.balance(9999)
        offer = self.make_offer(no_cash=False)
        self.publish(offer)
        self.assertEqual(offer.state, "review")
        self.assertIn("balance", offer.state_reason)
        task = self.env["coupon.task"].search(
            [("template_id", "=", offer.id), ("kind", "=", "start")]
        )
        self.assertEqual(task.remote_state, "refused")
        self.balance(10000)
        task.action_retry()
        self.publish_again(task)
        self.assertEqual(offer.state, "live")

    def publish_again(self, task):
        self.env.flush_all()
        self.assertTrue(task._operation_begin())
        task._operation_settle(task._operation_call())
        self.env.invalidate_all()

    def test_answers_are_lost(self):
        """One stock, and started once, however the answers come."""
        for path in ("/v3/marketing/favor/coupon-stocks", "/start"):
            offer = self.make_offer()
            before = len(self.sandbox.call("GET", "state")["stocks"]["favor"])
            self.fault(path, "http_status", status=500, commit=True, times=2)
            self.publish(offer)
            self.assertEqual(offer.state, "live", path)
            after = len(self.sandbox.call("GET", "state")["stocks"]["favor"])
            self.assertEqual(after, before + 1)

    def test_ended(self):
        self.publish(self.offer)
        self.assertEqual(self.offer.state, "live", self.offer.state_reason)
        self.offer.action_end()
        task = self.env["coupon.task"].search(
            [("template_id", "=", self.offer.id), ("kind", "=", "end")]
        )
        self.publish_again(task)
        self.assertEqual(task.remote_state, "done")
        self.assertTrue(self.env["coupon.channel.favor"]._is_ended(self.offer))

    def test_long_names(self):
        for title in (
            "满100减10 十一月全场通用券",
            "Ten off from 100, all shops; now|",
        ):
            offer = self.make_offer(title=title)
            self.publish(offer)
            self.assertEqual(offer.state, "live", offer.state_reason)

    def test_wechats_limits(self):
        for vals, text in (
            ({"threshold_fen": 200}, "more than"),
            ({"amount_fen": 100001, "threshold_fen": 200000}, "1000"),
            ({"stock": 4}, "5 to 10 million"),
            (
                {"stock": 10**7, "amount_fen": 5000, "threshold_fen": 6000},
                "100 million",
            ),
            ({"coupon_type": "percent", "percent_off": 10}, "amount off"),
            ({"date_type": "term", "term_days": 5}, "two dates"),
        ):
            with self.subTest(vals), self.assertRaisesRegex(UserError, text):
                self.make_offer(**vals).action_publish()
