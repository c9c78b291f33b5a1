import time
from datetime import timedelta
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import AccessError, ValidationError
from odoo.service.model import call_kw
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import wechat_pay_transaction as pay_engine
from .common import MCHID, PayCase

CODEPAY = "/v3/pay/transactions/codepay"


@tagged("post_install", "-at_install")
class TestCodepay(PayCase):
    """Payment by code, each branch against the sandbox."""

    def save_order(self):
        product = self.env["product.product"].create({"name": "Tea", "taxes_id": []})
        order = self.sell(product, 1, 12.34, [(self.line, self.method, 12.34)])
        self.env.invalidate_all()
        return order

    def make_old(self, row):
        self.env.cr.execute(
            "UPDATE wechat_pay_transaction SET create_date = %s WHERE id = %s",
            [fields.Datetime.now() - timedelta(hours=1), row.id],
        )
        row.invalidate_recordset()

    def test_paid_at_once(self):
        answer = self.charge()
        self.assertEqual(answer["state"], "done", answer)
        self.assertEqual(answer["payer_total"], 1234)
        row = self.row()
        self.assertEqual(row.number, self.line.replace("-", ""))
        self.assertEqual(row.remote_no, self.remote(row.number)["transaction_id"])
        self.assertEqual(row.settlement_fen, 1234)
        self.assertFalse(row.next_at)
        self.assertTrue(row.success_at)

    def test_sent_again_by_the_till(self):
        """A line is charged once, whatever the till repeats."""
        self.charge()
        before = self.count(CODEPAY)
        self.assertEqual(self.charge()["state"], "done")
        self.assertEqual(self.count(CODEPAY), before)

    def test_password(self):
        self.ask_password()
        answer = self.charge()
        self.assertEqual(answer["state"], "waiting")
        self.assertIn("password", answer["message"])
        self.password(answer["number"], "wrong")
        self.assertEqual(self.status()["state"], "waiting")
        self.password(answer["number"], "right")
        self.assertEqual(self.status()["state"], "done")

    def test_customer_cancels(self):
        self.ask_password()
        answer = self.charge()
        self.password(answer["number"], "cancel")
        answer = self.status()
        self.assertEqual((answer["state"], answer["error"]), ("failed", "PAYERROR"))
        self.assertIn("Nothing was paid", answer["message"].replace("\n", " "))
        # A new code needs a new number.
        again = self.charge()
        self.assertEqual(again["state"], "done")
        self.assertNotEqual(again["number"], answer["number"])

    def test_nobody_enters_the_password(self):
        """At the limit an unpaid order is reversed, by the till's question."""
        self.ask_password()
        answer = self.charge()
        self.let_time_pass()
        answer = self.status()
        self.assertEqual((answer["state"], answer["error"]), ("cancelled", "timeout"))
        self.assertEqual(self.remote(answer["number"])["trade_state"], "REVOKED")

    def test_till_is_gone(self):
        """The same, by a job."""
        self.ask_password()
        number = self.charge()["number"]
        self.let_time_pass()
        self.drain()
        self.assertEqual(self.row().state, "cancelled")
        self.assertEqual(self.remote(number)["trade_state"], "REVOKED")

    def test_answer_lost_after_the_money_was_taken(self):
        before = self.count(CODEPAY)
        self.fault(CODEPAY, "timeout_after")
        answer = self.charge()
        self.assertEqual(answer["state"], "unknown")
        self.assertIn("Do not charge again", answer["message"])
        self.assertEqual(self.status()["state"], "done")
        self.assertEqual(self.count(CODEPAY), before + 1)

    def test_system_error_after_the_money_was_taken(self):
        self.fault(CODEPAY, "http_status", status=500, commit=True)
        self.assertEqual(self.charge()["state"], "unknown")
        self.assertEqual(self.status()["state"], "done")

    def test_system_error_before(self):
        """WeChat does not know the number: reversed at the limit, nothing paid."""
        self.fault(CODEPAY, "http_status", status=500)
        self.assertEqual(self.charge()["state"], "unknown")
        self.assertEqual(self.status()["state"], "unknown")
        self.let_time_pass()
        answer = self.status()
        self.assertEqual(answer["state"], "cancelled")

    def test_paid_is_found_at_the_limit(self):
        """WeChat is asked before an order is reversed because its time is over."""
        self.fault(CODEPAY, "http_status", status=500, commit=True)
        self.fault("out-trade-no", "http_status", status=500, times=2, method="GET")
        number = self.charge()["number"]
        self.let_time_pass()
        self.drain()
        self.assertEqual(self.row().state, "unknown")
        self.sandbox.call("DELETE", "faults")
        self.let_time_pass()
        self.drain()
        self.assertEqual(self.row().state, "done")
        self.assertEqual(self.remote(number)["trade_state"], "SUCCESS")

    def test_forced_by_the_cashier(self):
        """What a saved order counts on is not reversed: the goods are gone."""
        self.ask_password()
        number = self.charge()["number"]
        payment = self.save_order().payment_ids
        self.assertTrue(payment.wechat_unproven)
        for _time in range(2):
            self.let_time_pass()
            self.drain()
            self.assertEqual(self.row().state, "waiting")
        self.password(number, "right")
        self.let_time_pass()
        self.drain()
        self.assertEqual(self.row().state, "done")
        self.assertFalse(self.row().abandoned)
        payment.invalidate_recordset()
        self.assertFalse(payment.wechat_unproven)
        self.assertEqual(self.remote(number)["trade_state"], "SUCCESS")

    def test_forced_is_not_cancelled(self):
        """Another till still shows the payment, and somebody presses Cancel."""
        self.ask_password()
        number = self.charge()["number"]
        self.save_order()
        self.assertEqual(self.cancel()["state"], "waiting")
        self.let_time_pass()
        self.drain()
        self.password(number, "right")
        self.let_time_pass()
        self.drain()
        self.assertEqual((self.row().state, self.row().abandoned), ("done", False))
        self.assertFalse(self.row().refund_ids)

    def test_order_is_finished(self):
        """Paid by card at another till: this one has not learned of it."""
        product = self.env["product.product"].create({"name": "Tea", "taxes_id": []})
        before = self.count(CODEPAY)
        self.sell(product, 1, 12.34, [(self.line, self.card, 12.34)])
        answer = self.charge(line=str(uuid4()))
        self.assertEqual((answer["state"], answer["error"]), ("failed", "closed"))
        self.assertEqual(self.count(CODEPAY), before)

    def test_till_does_not_hold_a_worker(self):
        """WeChat is slow: the till gets an answer, and a job goes on."""
        self.patch(pay_engine, "TILL_SECONDS", 1.0)
        self.fault(CODEPAY, "delay", seconds=6)
        start = time.monotonic()
        self.assertEqual(self.charge()["state"], "unknown")
        self.assertLess(time.monotonic() - start, 5)

    def test_card_becomes_wechat(self):
        """Whoever edits a finished order cannot have WeChat's word for it."""
        product = self.env["product.product"].create({"name": "Tea", "taxes_id": []})
        order = self.sell(product, 1, 12.34, [(self.line, self.method, 12.34)])
        payment = order.payment_ids
        payment.write({"payment_method_id": self.card.id})
        self.assertFalse(payment.wechat_unproven)
        payment.write({"payment_method_id": self.method.id})
        self.assertTrue(payment.wechat_unproven)

    def test_wechat_becomes_card(self):
        """The money is at WeChat all the same: shown to people."""
        self.assertEqual(self.charge()["state"], "done")
        payment = self.save_order().payment_ids
        payment.write({"payment_method_id": self.card.id})
        self.assertFalse(payment.wechat_unproven)
        row = self.row()
        self.assertFalse(row.pos_payment_id)
        self.make_old(row)
        row._cron_find_unsaved()
        self.assertTrue(row.needs_help)

    def test_wechat_is_silent_for_a_day(self):
        """A row that is open is due again, unless people have it on their list."""
        self.fault(CODEPAY, "http_status", status=500)
        self.charge()
        row = self.row()
        row.sent_at = fields.Datetime.now() - timedelta(days=2)
        self.fault("out-trade-no", "http_status", status=500, times=9, method="GET")
        self.let_time_pass()
        self.drain()
        self.assertEqual(row.state, "unknown")
        self.assertTrue(row.next_at)
        payment = self.save_order().payment_ids
        self.let_time_pass()
        self.drain()
        self.assertEqual(row.state, "unknown")
        self.assertFalse(row.next_at)
        self.assertTrue(payment.wechat_unproven)

    def test_forced_while_it_was_closed(self):
        """The same, when the till's time was over before the order was saved."""
        self.ask_password()
        number = self.charge()["number"]
        row = self.row()
        row.state = "closing"
        payment = self.save_order().payment_ids
        self.let_time_pass()
        self.drain()
        self.assertEqual(row.state, "closing")
        self.password(number, "right")
        self.let_time_pass()
        self.drain()
        self.assertEqual((row.state, row.abandoned), ("done", False))
        payment.invalidate_recordset()
        self.assertFalse(payment.wechat_unproven)

    def test_forced_and_paid_late(self):
        """The order had ended unpaid; its money is wanted, and does not go back."""
        self.ask_password()
        number = self.charge()["number"]
        row = self.row()
        row.write({"state": "cancelled", "next_at": self.long_ago()})
        self.save_order()
        self.password(number, "right")
        self.drain()
        self.assertEqual((row.state, row.abandoned), ("done", False))
        self.assertFalse(row.refund_ids)

    def test_order_never_saved(self):
        """Money without an order is shown to people, until the order comes."""
        self.assertEqual(self.charge()["state"], "done")
        row = self.row()
        row._cron_find_unsaved()
        self.assertFalse(row.needs_help)
        self.make_old(row)
        row._cron_find_unsaved()
        self.assertEqual((row.needs_help, row.error_code), (True, "no_order"))
        self.assertIn("no order was saved", row.help_reason)
        self.save_order()
        self.assertFalse(self.row().needs_help)
        row._cron_find_unsaved()
        self.assertFalse(self.row().needs_help)

    def test_many_are_asked_about_by_a_job(self):
        """A request does not wait for WeChat as often as rows are chosen."""
        rows = self.env["wechat.pay.transaction"]
        for _time in range(2):
            self.ask_password()
            self.order, self.line = str(uuid4()), str(uuid4())
            self.charge()
            rows |= self.row()
        before = self.count("out-trade-no")
        action = rows.with_user(self.manager).action_query()
        self.assertEqual(action["tag"], "display_notification")
        self.assertEqual(self.count("out-trade-no"), before)
        self.assertTrue(all(row.next_at <= fields.Datetime.now() for row in rows))

    def test_settled_by_a_person(self):
        self.charge()
        row = self.row()
        self.make_old(row)
        row._cron_find_unsaved()
        self.assertTrue(row.needs_help)
        row.with_user(self.manager).action_settled()
        row._cron_find_unsaved()
        self.assertFalse(row.needs_help)

    def test_order_cancelled(self):
        """Nobody can pay for an order that is gone."""
        product = self.env["product.product"].create({"name": "Tea"})
        for end in ("action_pos_order_cancel", "unlink"):
            with self.subTest(end):
                order = self.env["pos.order"].create(
                    {
                        "uuid": self.order,
                        "session_id": self.config.current_session_id.id,
                        "company_id": self.company.id,
                        "amount_tax": 0,
                        "amount_total": 12.34,
                        "amount_paid": 0,
                        "amount_return": 0,
                        "lines": [
                            Command.create(
                                {
                                    "product_id": product.id,
                                    "qty": 1,
                                    "price_unit": 12.34,
                                    "price_subtotal": 12.34,
                                    "price_subtotal_incl": 12.34,
                                }
                            )
                        ],
                    }
                )
                self.call("start", self.payment(way="native"))
                getattr(order, end)()
                row = self.row()
                self.assertEqual((row.state, row.abandoned), ("closing", True))
                row.next_at = self.long_ago()
                self.drain()
                self.assertEqual(row.state, "cancelled")
                self.assertEqual(self.remote(row.number)["trade_state"], "CLOSED")
                self.order, self.line = self.line, self.order[:-4] + "cafe"

    def test_merchant_may_not_reverse(self):
        """WeChat is asked what became of it, whatever the refusal."""
        self.fault(CODEPAY, "http_status", status=500, commit=True)
        self.charge()
        self.fault("reverse", "http_status", status=403, code="NO_AUTH", times=9)
        self.assertEqual(self.cancel()["state"], "done")

    def test_our_own_reverse_is_no_late_payment(self):
        self.fault(CODEPAY, "http_status", status=500, commit=True)
        number = self.charge()["number"]
        self.assertEqual(self.cancel()["state"], "cancelled")
        row = self.row()
        row._apply_order(
            {
                "out_trade_no": number,
                "trade_state": "REFUND",
                "amount": {"total": 1234, "currency": "CNY"},
            }
        )
        self.assertEqual(row.state, "cancelled")
        self.assertFalse(row.refund_ids)

    def test_cancelled_by_the_cashier(self):
        self.ask_password()
        number = self.charge()["number"]
        answer = self.cancel()
        self.assertEqual((answer["state"], answer["error"]), ("cancelled", "cancelled"))
        self.assertEqual(self.remote(number)["trade_state"], "REVOKED")

    def test_cancelled_too_late(self):
        """The customer was faster, the till did not know: the reverse gives back."""
        self.fault(CODEPAY, "http_status", status=500, commit=True)
        number = self.charge()["number"]
        answer = self.cancel()
        self.assertEqual(answer["state"], "cancelled")
        self.assertEqual(self.remote(number)["trade_state"], "REVOKED")

    def test_cancelled_while_wechat_is_down(self):
        self.ask_password()
        number = self.charge()["number"]
        self.fault("reverse", "http_status", status=500, times=2)
        answer = self.cancel()
        self.assertEqual((answer["state"], answer["abandoned"]), ("closing", True))
        # The till goes on with the same line.
        second = self.charge()
        self.assertEqual(second["state"], "done")
        first = self.env["wechat.pay.transaction"].search([("number", "=", number)])
        self.let_time_pass(first)
        self.drain()
        self.assertEqual(first.state, "cancelled")
        self.assertEqual(self.remote(number)["trade_state"], "REVOKED")

    def test_late_success(self):
        """Money that arrives after the end goes back by itself."""
        self.ask_password()
        answer = self.charge()
        row = self.row()
        row.write({"state": "cancelled", "next_at": self.long_ago()})
        row.flush_recordset()
        self.password(answer["number"], "right")
        self.drain()
        self.assertEqual((row.state, row.abandoned), ("done", True))
        self.assertEqual(row.refunded_fen, 1234)
        self.drain()
        self.assertEqual(len(self.remote_refunds(answer["number"])), 1)

    def test_code_used_twice(self):
        code = self.code()
        self.assertEqual(self.charge(code)["state"], "done")
        self.line, self.order = self.order, self.line
        answer = self.charge(code)
        self.assertEqual(answer["state"], "failed")
        self.assertIn("scan", answer["message"])

    def test_code_expired(self):
        answer = self.charge("130000000000000000")
        self.assertEqual(answer["state"], "failed")
        self.assertEqual(answer["error"], "AUTH_CODE_INVALID")
        # What WeChat's support asks for.
        self.assertTrue(self.row().request_id)

    @mute_logger("odoo.addons.wechat_pay.models.wechat_pay_transaction_payment")
    def test_amount_mismatch(self):
        self.fault(CODEPAY, "http_status", status=500, commit=True)
        self.charge()
        row = self.row()
        self.env.cr.execute(
            "UPDATE wechat_pay_transaction SET amount_fen = 1235 WHERE id = %s",
            [row.id],
        )
        answer = self.status()
        self.assertEqual((answer["state"], answer["error"]), ("abnormal", "mismatch"))
        row.invalidate_recordset()
        self.assertTrue(row.needs_help)
        self.assertIn("manager", row.help_reason)

    def test_two_tills(self):
        """Another line of the same order waits until the first is over."""
        self.ask_password()
        first = self.charge()
        other = self.order[:-4] + "beef"
        answer = self.charge(line=other)
        self.assertEqual((answer["state"], answer["error"]), ("failed", "busy"))
        self.password(first["number"], "cancel")
        self.status()
        self.assertEqual(self.charge(line=other)["state"], "done")
        answer = self.charge(line=self.line)
        self.assertEqual((answer["state"], answer["error"]), ("failed", "paid_already"))

    def test_split_payment(self):
        self.assertEqual(self.charge(total=2468)["state"], "done")
        other = self.order[:-4] + "beef"
        self.assertEqual(self.charge(line=other, total=2468)["state"], "done")

    def test_draft_left_behind(self):
        """The till stored the payment and was gone before it was sent."""
        before = self.count(CODEPAY)
        row_id, refusal = self.till._wechat_open(
            self.config, self.payment(), self.line, "codepay", 1
        )
        self.assertFalse(refusal)
        self.let_time_pass()
        self.drain()
        row = self.env["wechat.pay.transaction"].browse(row_id)
        self.assertEqual(row.state, "cancelled")
        self.assertEqual(self.count(CODEPAY), before)

    def test_code_is_kept_nowhere(self):
        code = self.code()
        self.charge(code)
        self.env.flush_all()
        self.env.cr.execute("SELECT t.* FROM wechat_pay_transaction t")
        self.assertNotIn(code, str(self.env.cr.fetchall()))

    def test_code_is_in_no_log(self):
        """Not even where Odoo writes down what the till has sent."""
        code = self.code()
        payment = self.payment(code=code)
        with self.assertLogs("odoo.service.model", "DEBUG") as logs:
            answer = call_kw(
                self.till, "wechat_pay_start", [self.till.ids, payment], {}
            )
        self.assertEqual(answer["state"], "done")
        self.assertIn("wechat_pay_start", str(logs.output))
        self.assertNotIn(code, str(logs.output))

    def test_code_instead_of_qr_code(self):
        """The customer shows a code while ours is on the screen: one is charged."""
        shown = self.call("start", self.payment(way="native"))
        answer = self.charge()
        self.assertEqual((answer["state"], answer["way"]), ("done", "codepay"))
        self.assertEqual(self.remote(shown["number"])["trade_state"], "CLOSED")

    def test_hostile_input(self):
        for vals in (
            {"amount": 12.34},
            {"amount": True},
            {"amount": 0},
            {"amount": -5},
            {"amount": 10**12},
            {"line": "1"},
            {"line": None},
            {"order": "'; drop table"},
            {"total": None},
            {"way": "jsapi"},
            {"code": "13000000000000000"},
            {"code": None},
            {"config": "1"},
            {"config": 0},
        ):
            with self.subTest(vals), self.assertRaises(ValidationError):
                self.till.wechat_pay_start(
                    self.payment(**{"code": "130000000000000000", **vals})
                )
        stranger = self.new_user("pay_stranger")
        with self.assertRaises(AccessError):
            self.method.with_user(stranger).wechat_pay_start(self.payment())

    def test_context_says_nothing_about_money(self):
        """A till's context cannot have a payment born paid."""
        till = self.till.with_context(default_state="done", default_abandoned=True)
        before = self.count(CODEPAY)
        answer = till.wechat_pay_start(self.payment(code=self.code()))
        self.assertEqual(answer["state"], "done")
        self.assertEqual(self.count(CODEPAY), before + 1)
        self.assertFalse(self.row().abandoned)

    def test_shop_is_not_open(self):
        config = self.config.copy({"name": "Closed"})
        with self.assertRaisesRegex(Exception, "session"):
            self.charge(config=config.id)

    def test_merchant_disabled(self):
        self.merchant.environment = "disabled"
        answer = self.charge()
        self.assertEqual((answer["state"], answer["error"]), ("failed", "config"))
        self.assertIn("call the manager", answer["message"])
        self.assertFalse(self.row())

    def test_wechat_has_not_opened_it(self):
        self.fault(CODEPAY, "http_status", status=403, code="NO_AUTH")
        answer = self.charge()
        self.assertEqual((answer["state"], answer["error"]), ("failed", "config"))
        self.assertIn("call the manager", answer["message"])
        self.assertEqual(self.row().error_code, "NO_AUTH")

    def test_promotions(self):
        self.sandbox.post(
            f"phone/{self.openid}/vouchers", type="NOCASH", amount=100, name="减一元"
        )
        answer = self.charge()
        self.assertEqual(answer["state"], "done")
        row = self.row()
        promotion = row.promotion_ids
        self.assertEqual((promotion.type, promotion.amount_fen), ("NOCASH", 100))
        self.assertEqual((row.payer_total_fen, row.settlement_fen), (1134, 1134))

    def test_merchant_in_apiv2(self):
        self.merchant.codepay_driver = "v2"
        self.ask_password()
        answer = self.charge()
        self.assertEqual(answer["state"], "waiting", answer)
        self.password(answer["number"], "right")
        self.assertEqual(self.status()["state"], "done")
        self.assertEqual(
            self.row().remote_no, self.remote(answer["number"])["transaction_id"]
        )

    def test_numbers_of_the_merchant(self):
        self.assertEqual(self.charge()["state"], "done")
        self.assertEqual(self.remote(self.row().number)["mchid"], MCHID)
