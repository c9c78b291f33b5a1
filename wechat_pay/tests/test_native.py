from odoo.tests import HttpCase, tagged

from odoo.addons.wechat_base.tools.exceptions import WechatUnavailable

from .common import MCHID, PayCase

NATIVE = "/v3/pay/transactions/native"


@tagged("post_install", "-at_install")
class TestNative(PayCase):
    """A QR code on the till's screen, against the sandbox."""

    def show(self, **vals):
        return self.call("start", self.payment(way="native", **vals))

    def pay(self, number, **vals):
        self.sandbox.post(
            f"pay/orders/{MCHID}/{number}/pay", openid=self.openid, notify=False, **vals
        )

    def test_paid(self):
        answer = self.show()
        self.assertEqual(answer["state"], "waiting", answer)
        self.assertTrue(answer["code_url"].startswith("weixin://wxpay/"))
        self.assertGreater(answer["seconds"], 200)
        self.pay(answer["number"])
        answer = self.status()
        self.assertEqual(answer["state"], "done")
        self.assertFalse(answer["code_url"])

    def test_shown_again_after_a_reload(self):
        first = self.show()
        before = self.count(NATIVE)
        second = self.show()
        self.assertEqual(second["code_url"], first["code_url"])
        self.assertEqual(self.count(NATIVE), before)

    def test_answer_lost(self):
        """Placing an order again is harmless, so the same number is used."""
        self.fault(NATIVE, "http_status", status=500, commit=True, times=2)
        first = self.show()
        self.assertEqual(first["state"], "unknown")
        second = self.show()
        self.assertEqual(
            (second["state"], second["number"]), ("waiting", first["number"])
        )
        self.assertTrue(second["code_url"])

    def test_answer_lost_and_asked_for(self):
        """The till only asks what became of it, and gets its QR code."""
        self.fault(NATIVE, "http_status", status=500, commit=True, times=2)
        first = self.show()
        self.assertEqual(first["state"], "unknown")
        answer = self.status()
        self.assertEqual(
            (answer["state"], answer["number"]), ("waiting", first["number"])
        )
        self.assertTrue(answer["code_url"])

    def test_expired(self):
        number = self.show()["number"]
        self.let_time_pass()
        self.drain()
        row = self.row()
        self.assertEqual((row.state, row.error_code), ("cancelled", "timeout"))
        self.assertEqual(self.remote(number)["trade_state"], "CLOSED")
        again = self.show()
        self.assertNotEqual(again["number"], number)
        self.assertEqual(again["state"], "waiting")

    def test_cancelled(self):
        number = self.show()["number"]
        self.assertEqual(self.cancel()["state"], "cancelled")
        self.assertEqual(self.remote(number)["trade_state"], "CLOSED")

    def test_customer_was_faster_than_the_cashier(self):
        """Closing is refused, because it is paid: the till takes the payment."""
        self.pay(self.show()["number"])
        self.assertEqual(self.cancel()["state"], "done")

    def test_paid_after_it_was_given_up(self):
        number = self.show()["number"]
        self.fault("close", "http_status", status=500, times=4)
        self.fault("out-trade-no", "http_status", status=500, times=4, method="GET")
        self.assertTrue(self.cancel()["abandoned"])
        self.sandbox.call("DELETE", "faults")
        self.pay(number)
        row = self.row()
        self.let_time_pass(row)
        self.drain()
        self.assertEqual(
            (row.state, row.abandoned, row.refunded_fen), ("done", True, 1234)
        )
        self.assertEqual(len(self.remote_refunds(number)), 1)

    def test_placing_is_refused(self):
        self.merchant.account_ids.appid = "wxunknown00000001"
        answer = self.show()
        self.assertEqual(answer["state"], "failed")
        self.assertTrue(answer["message"])


@tagged("post_install", "-at_install")
class TestNotices(PayCase, HttpCase):
    """WeChat calls us."""

    def setUp(self):
        super().setUp()
        parameters = self.env["ir.config_parameter"]
        parameters.set_param("web.base.url", self.base_url())
        self.merchant.invalidate_recordset(["notify_url"])

    def notify(self, number, verb="pay", **vals):
        self.env.flush_all()
        with self.allow_requests(all_requests=True):
            self.sandbox.post(f"pay/orders/{MCHID}/{number}/{verb}", **vals)
            self.sandbox.post("callbacks/wait", timeout=10)

    def process(self):
        events = self.env["wechat.event"].search(
            [("merchant_id", "=", self.merchant.id), ("state", "=", "pending")]
        )
        for event in events:
            event._process()
        return events

    def open(self):
        return self.call("start", self.payment(way="native"))["number"]

    def test_payment_is_told(self):
        number = self.open()
        self.notify(number, openid=self.openid)
        self.assertEqual(len(self.process()), 1)
        self.assertEqual(self.row().state, "done")
        # Twice, and once more: nothing changes.
        for _time in range(2):
            self.notify(number, "notify")
            self.process()
        self.assertEqual(self.row().state, "done")
        self.assertFalse(self.row().refund_ids)

    def test_told_while_the_question_is_under_way(self):
        """The question's old answer leaves nothing due on a payment that is done."""
        number = self.open()
        self.notify(number, openid=self.openid)
        self.process()
        row = self.row()
        old = {"out_trade_no": number, "trade_state": "NOTPAY"}
        for verb, outcome in (("query", old), ("query", WechatUnavailable("x"))):
            row._settle(verb, outcome)
            self.assertEqual((row.state, row.next_at), ("done", False))

    def test_told_late(self):
        """After it was closed here: the money goes back."""
        number = self.open()
        row = self.row()
        row.write({"state": "closing"})
        row.write({"state": "cancelled", "next_at": False})
        self.notify(number, openid=self.openid)
        self.process()
        self.assertEqual(
            (row.state, row.abandoned, row.refunded_fen), ("done", True, 1234)
        )

    def test_unknown_number(self):
        events = self.env["wechat.event"]
        events._receive(
            "pay",
            self.merchant.id,
            self.company.id,
            "EV-1",
            "transaction.success",
            {"out_trade_no": "nobodysorder", "trade_state": "SUCCESS"},
        )
        event = self.process()
        self.assertEqual(event.state, "ignored")

    def test_other_amount(self):
        number = self.open()
        self.env["wechat.event"]._receive(
            "pay",
            self.merchant.id,
            self.company.id,
            "EV-2",
            "transaction.success",
            {
                "out_trade_no": number,
                "mchid": MCHID,
                "trade_state": "SUCCESS",
                "amount": {"total": 1, "currency": "CNY"},
            },
        )
        with self.assertLogs(
            "odoo.addons.wechat_pay.models.wechat_pay_transaction_payment", "ERROR"
        ):
            self.process()
        row = self.row()
        self.assertEqual((row.state, row.needs_help), ("abnormal", True))
