from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .. import uninstall_hook
from .common import MCHID
from .http_common import WebCase


@tagged("post_install", "-at_install")
class TestPaymentTransaction(WebCase):
    """Odoo's payment and what is beside it: other providers, refunds, messages."""

    def paid_tx(self, **vals):
        tx = self.invoice_tx(**vals)
        self.open_page(tx)
        self.pay(self.rows(tx).number, notify=True)
        self.assertEqual(tx.state, "done")
        tx._post_process()
        return tx

    def other_tx(self, invoice):
        """Return a payment of an invoice with another provider."""
        other = self.env["payment.provider"].create(
            {
                "name": "Another",
                "code": "none",
                "state": "test",
                "company_id": self.company.id,
            }
        )
        return self.make_tx(
            provider_id=other.id, invoice_ids=[Command.set(invoice.ids)]
        )

    # === BESIDE OTHERS === #

    def test_paid_with_another_provider_meanwhile(self):
        """The QR code is closed, and what is paid in spite of that goes back."""
        tx = self.invoice_tx()
        self.open_page(tx)
        row = self.rows(tx)
        self.other_tx(tx.invoice_ids)._set_done()
        self.assertEqual((row.state, row.abandoned), ("closing", True))
        self.pay(row.number, notify=True)
        self.assertEqual((row.state, row.abandoned), ("done", True))
        self.assertEqual(row.refunded_fen, 1234)
        self.assertNotEqual(tx.state, "done")
        self.drain()
        self.assertEqual(len(self.remote_refunds(row.number)), 1)

    def test_page_of_what_has_been_paid(self):
        tx = self.invoice_tx()
        self.other_tx(tx.invoice_ids)._set_done()
        page = self.open_page(tx)
        self.assertIn("paid already", page.text)
        self.assertFalse(self.rows(tx))
        self.assertEqual(self.ask(tx, "retry")["state"], "ended")
        self.assertFalse(self.rows(tx))

    def test_part_of_an_invoice_paid_otherwise(self):
        """The rest is still wanted."""
        tx = self.invoice_tx(amount=5)
        self.open_page(tx)
        other = self.other_tx(tx.invoice_ids)
        other.amount = 7.34
        other._set_done()
        self.assertEqual(self.rows(tx).state, "waiting")

    def test_late_but_still_wanted(self):
        """Paid when the code was over: taken, and the next code is closed."""
        tx = self.invoice_tx()
        self.open_page(tx)
        first = self.rows(tx)
        # Closed here; the notice of its payment is still on its way.
        first.write({"state": "closing", "expires_at": self.long_ago()})
        first._set_ended("cancelled")
        self.env.flush_all()
        self.ask(tx, "retry")
        second = self.rows(tx) - first
        self.assertEqual(second.state, "waiting")
        self.pay(first.number, notify=True)
        self.assertEqual((first.state, first.abandoned), ("done", False))
        self.assertEqual((second.state, second.abandoned), ("closing", True))
        self.assertEqual(tx.state, "done")
        # Both paid: the second goes back.
        self.pay(second.number, notify=True)
        self.assertEqual((second.abandoned, second.refunded_fen), (True, 1234))
        self.assertEqual(first.refunded_fen, 0)

    def test_abandoned_order_is_closed(self):
        tx = self.invoice_tx()
        self.open_page(tx)
        row = self.rows(tx)
        self.other_tx(tx.invoice_ids)._set_done()
        row.next_at = self.long_ago()
        self.drain()
        self.assertEqual(row.state, "cancelled")
        self.assertEqual(self.remote(row.number)["trade_state"], "CLOSED")

    def test_sale_order(self):
        """Confirmed by the payment; Odoo's own e-mail is enough."""
        if "sale.order" not in self.env:
            self.skipTest("the sales app is not installed")
        order = self.env["sale.order"].create(
            {
                "company_id": self.company.id,
                "partner_id": self.partner.id,
                "require_payment": True,
                "order_line": [
                    Command.create(
                        {
                            "product_id": self.env["product.product"]
                            .create({"name": "Tea", "taxes_id": False})
                            .id,
                            "price_unit": 12.34,
                            "tax_ids": False,
                        }
                    )
                ],
            }
        )
        tx, rival = (
            self.make_tx(sale_order_ids=[Command.set(order.ids)]) for _i in range(2)
        )
        self.open_page(tx)
        self.open_page(rival)
        self.pay(self.rows(tx).number, notify=True)
        tx._post_process()
        self.assertEqual((tx.state, order.state), ("done", "sale"))
        self.assertFalse(self.mails(tx))
        # The same order, in another tab: closed.
        self.assertFalse(rival._wechat_is_wanted())
        self.assertTrue(self.rows(rival).abandoned)

    # === REFUNDS === #

    def refund(self, tx, amount):
        tx.action_refund(amount)
        return tx.child_transaction_ids.sorted("id")[-1]

    def test_refund_in_parts(self):
        tx = self.paid_tx()
        first = self.refund(tx, 5)
        self.assertEqual((first.state, first.amount), ("pending", -5))
        self.drain()
        row = self.rows(tx)
        self.assertEqual(row.refund_ids.mapped("payment_transaction_id"), first)
        self.finish(row.refund_ids)
        self.assertEqual((first.state, row.refunded_fen), ("done", 500))
        self.assertEqual(first.provider_reference, row.refund_ids.remote_no)
        first._post_process()
        self.assertEqual(first.payment_id.payment_type, "outbound")
        self.assertAlmostEqual(tx.payment_id.amount_available_for_refund, 7.34)
        second = self.refund(tx, 7.34)
        self.drain()
        self.finish(row.refund_ids - first_row(row))
        self.assertEqual((second.state, row.refunded_fen), ("done", 1234))
        remote = self.remote_refunds(row.number)
        self.assertEqual(
            sorted(r["request"]["amount"]["refund"] for r in remote), [500, 734]
        )

    def finish(self, refunds):
        """WeChat pays refunds out, and tells us."""
        self.env.flush_all()
        with self.allow_requests(all_requests=True):
            for refund in refunds:
                self.sandbox.post(f"pay/refunds/{MCHID}/{refund.number}")
            self.sandbox.post("callbacks/wait", timeout=10)
        self.process_events()

    def test_never_more_than_was_paid(self):
        tx = self.paid_tx()
        self.refund(tx, 10)
        before = tx.child_transaction_ids
        with self.assertRaisesRegex(UserError, "2.34"), self.env.cr.savepoint():
            tx.action_refund(3)
        self.env.invalidate_all()
        self.assertEqual(tx.child_transaction_ids, before)
        self.assertEqual(self.rows(tx).refunded_fen, 1000)

    def test_from_the_payments_refund_button(self):
        tx = self.paid_tx()
        wizard = (
            self.env["payment.refund.wizard"]
            .with_context(active_id=tx.payment_id.id, active_model="account.payment")
            .create({"payment_id": tx.payment_id.id, "amount_to_refund": 2})
        )
        wizard.action_refund()
        self.assertEqual(tx.child_transaction_ids.amount, -2)
        self.assertEqual(self.rows(tx).refund_ids.amount_fen, 200)

    def test_from_the_back_offices_wizard(self):
        """The books follow, whichever button was pressed."""
        tx = self.paid_tx()
        wizard = (
            self.env["wechat.pay.refund.wizard"]
            .with_user(self.manager)
            .create({"transaction_id": self.rows(tx).id, "amount": 3})
        )
        action = wizard.action_refund()
        refund = tx.child_transaction_ids
        self.assertEqual((refund.amount, refund.state), (-3, "pending"))
        self.assertEqual(action["res_id"], self.rows(tx).refund_ids.id)
        self.assertEqual(self.rows(tx).refund_ids.payment_transaction_id, refund)

    def test_refund_is_refused(self):
        tx = self.paid_tx()
        refund = self.refund(tx, 5)
        path = "/v3/refund/domestic/refunds"
        self.fault(path, "http_status", status=403, code="NOT_ENOUGH")
        self.drain()
        self.assertEqual((refund.state, self.rows(tx).refunded_fen), ("error", 0))
        self.sandbox.call("DELETE", "faults")
        # A person sends it again.
        self.rows(tx).refund_ids.with_user(self.manager).action_retry()
        self.drain()
        self.finish(self.rows(tx).refund_ids)
        self.assertEqual((refund.state, self.rows(tx).refunded_fen), ("done", 500))

    # === MESSAGES === #

    def mails(self, tx):
        return self.env["mail.mail"].search(
            [("model", "=", "payment.transaction"), ("res_id", "=", tx.id)]
        )

    def test_receipt(self):
        tx = self.paid_tx()
        mail = self.mails(tx)
        self.assertEqual(len(mail), 1)
        self.assertIn("payment received", mail.subject)
        self.assertIn("12.34", mail.body_html)
        self.assertIn(tx.provider_reference, mail.body_html)
        self.assertEqual(mail.state, "outgoing")
        tx._wechat_tell("done")
        self.assertEqual(self.mails(tx), mail)

    def test_no_receipt_wanted(self):
        self.provider.wechat_mail_done = False
        self.assertFalse(self.mails(self.paid_tx()))

    def test_not_paid_in_time(self):
        tx = self.invoice_tx()
        self.open_page(tx)
        self.let_time_pass(self.rows(tx))
        self.drain()
        mail = self.mails(tx)
        self.assertIn("payment not made", mail.subject)
        self.assertIn(f"/payment/wechat_pay/{tx.id}", mail.body_html)
        # Once, though it fails again.
        self.ask(tx, "retry")
        self.let_time_pass(self.rows(tx)[0])
        self.drain()
        self.assertEqual(self.mails(tx), mail)

    def test_journal_follows_the_merchant(self):
        """Whoever fills in the form chooses the state first, then the merchant."""
        other = self.provider.copy({"name": "Another", "state": "disabled"})
        self.merchant.journal_id = self.env["account.journal"].create(
            {"name": "At WeChat", "code": "ATWX", "type": "bank"}
        )
        with Form(other) as form:
            form.state = "test"
            form.wechat_merchant_id = self.merchant
        self.assertEqual(other.journal_id, self.merchant.journal_id)

    def test_no_job_is_left_behind(self):
        """Removed alone, the add-on leaves no job for methods that are gone."""
        rows, others = self.env["wechat.pay.transaction"], self.env["wechat.event"]
        jobs = [
            rows.with_delay()._pay_drain(),
            self.merchant.with_delay()._reconcile_open(),
            others.with_delay()._drain_due(),
        ]
        uninstall_hook(self.env)
        states = [job.db_record().state for job in jobs]
        self.assertEqual(states, ["cancelled", "cancelled", "pending"])

    def test_told_once_a_day(self):
        """A visitor may begin any number of payments of one invoice."""
        first = self.invoice_tx()
        second = self.make_tx(invoice_ids=[Command.set(first.invoice_ids.ids)])
        for tx in (first, second):
            self.open_page(tx)
            self.let_time_pass(self.rows(tx))
            self.drain()
            self.assertEqual(tx.state, "error")
        self.assertTrue(self.mails(first))
        self.assertFalse(self.mails(second))

    def test_day_of_the_payment_is_beijings(self):
        tx = self.invoice_tx()
        self.open_page(tx)
        row = self.rows(tx)
        self.pay(row.number, notify=True)
        row.success_at = "2026-11-30 16:30:00"
        tx._post_process()
        self.assertEqual(str(tx.payment_id.date), "2026-12-01")

    def test_not_told_what_the_customer_knows(self):
        tx = self.make_tx()
        self.open_page(tx)
        self.ask(tx, "cancel")
        self.assertEqual(tx.state, "cancel")
        self.assertFalse(self.mails(tx))

    def test_not_told_when_it_was_paid_otherwise(self):
        tx = self.invoice_tx()
        self.open_page(tx)
        self.other_tx(tx.invoice_ids)._set_done()
        self.let_time_pass(self.rows(tx))
        self.drain()
        self.assertEqual(self.rows(tx).state, "cancelled")
        self.assertFalse(self.mails(tx))

    def test_a_broken_template_stops_no_payment(self):
        self.env.ref(
            "wechat_pay.mail_template_done"
        ).body_html = '<t t-out="object.no_such_field"/>'
        tx = self.invoice_tx()
        self.open_page(tx)
        with self.assertLogs(
            "odoo.addons.wechat_pay.models.payment_transaction", "ERROR"
        ):
            self.pay(self.rows(tx).number, notify=True)
        self.assertEqual(tx.state, "done")


def first_row(row):
    return row.refund_ids.sorted("id")[:1]
