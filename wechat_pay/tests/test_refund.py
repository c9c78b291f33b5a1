import random
from uuid import uuid4

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import PayCase

REFUNDS = "/v3/refund/domestic/refunds"


@tagged("post_install", "-at_install")
class TestRefund(PayCase):
    def setUp(self):
        super().setUp()
        self.sandbox.post("settings", auto_refund=True)
        self.assertEqual(self.charge()["state"], "done")
        self.paid = self.row()

    def refund(self, amount=1234, reason="test"):
        refund = self.paid._refund(amount, reason)
        self.drain()
        return refund

    def test_whole(self):
        refund = self.refund()
        self.assertIn(refund.state, ("waiting", "done"))
        refund.next_at = self.long_ago()
        self.drain()
        self.assertEqual(refund.state, "done")
        self.assertEqual(self.paid.refunded_fen, 1234)

    def test_never_more_than_paid(self):
        self.refund(1000)
        with self.assertRaisesRegex(UserError, "2.34"):
            self.paid._refund(235)
        self.refund(234)
        with self.assertRaises(UserError):
            self.paid._refund(1)
        for amount in (0, -1):
            with self.assertRaises(UserError):
                self.paid._refund(amount)

    def test_answer_lost(self):
        """Sent again with the same number: WeChat gives back once."""
        self.fault(REFUNDS, "http_status", status=500, commit=True, times=2)
        refund = self.refund()
        self.assertEqual(refund.state, "unknown")
        refund.next_at = self.long_ago()
        self.drain()
        self.assertIn(refund.state, ("waiting", "done"))
        self.assertEqual(len(self.remote_refunds(self.paid.number)), 1)

    def test_refused(self):
        """What was not given back can be given back again, or sent again."""
        self.fault(REFUNDS, "http_status", status=403, code="NOT_ENOUGH")
        refund = self.refund()
        self.assertEqual(
            (refund.state, refund.needs_help), ("failed", True), refund.error
        )
        self.assertEqual(self.paid.refunded_fen, 0)
        refund.with_user(self.manager).action_retry()
        self.drain()
        self.assertIn(refund.state, ("waiting", "done"))
        self.assertEqual(self.paid.refunded_fen, 1234)

    def test_late_failure(self):
        """A refund that seemed to go through comes back and is to be done again."""
        self.sandbox.post("settings", auto_refund=False)
        refund = self.refund()
        self.assertEqual(refund.state, "waiting")
        self.sandbox.post(
            f"pay/refunds/{self.merchant.mchid}/{refund.number}",
            status="CLOSED",
            notify=False,
        )
        refund.next_at = self.long_ago()
        self.drain()
        self.assertEqual((refund.state, refund.needs_help), ("failed", True))
        self.assertEqual(self.paid.refunded_fen, 0)

    def test_abnormal(self):
        self.sandbox.post("settings", auto_refund=False)
        refund = self.refund()
        self.sandbox.post(
            f"pay/refunds/{self.merchant.mchid}/{refund.number}",
            status="ABNORMAL",
            notify=False,
        )
        refund.next_at = self.long_ago()
        self.drain()
        self.assertEqual((refund.state, refund.needs_help), ("abnormal", True))
        # The money has left: it cannot be given back another time.
        self.assertEqual(self.paid.refunded_fen, 1234)

    def test_notices_in_any_order(self):
        refund = self.refund()
        refund.next_at = self.long_ago()
        self.drain()
        self.assertEqual(refund.state, "done")
        for event, status in (("abnormal", "ABNORMAL"), ("success", "SUCCESS")):
            self.env["wechat.event"]._receive(
                "pay",
                self.merchant.id,
                self.company.id,
                f"EV-{event}",
                f"refund.{event}",
                {
                    "mchid": self.merchant.mchid,
                    "out_refund_no": refund.number,
                    "refund_status": status,
                    "amount": {"total": 1234, "refund": 1234},
                },
            )
        for event in self.env["wechat.event"].search([("state", "=", "pending")]):
            event._process()
        self.drain()
        self.assertEqual(refund.state, "done")

    def test_fifty_at_most(self):
        for _time in range(50):
            self.paid._refund(1)
        with self.assertRaisesRegex(UserError, "50"):
            self.paid._refund(1)

    def test_random_sequences(self):
        """Whatever is asked for in whatever order, no more goes back than came."""
        generator, total = random.Random(20261123), 0
        for _round in range(20):
            self.order, self.line = self.line[:-4] + "0000", self.order[:-4] + "0001"
            self.line = self.line[:-8] + f"{generator.getrandbits(32):08x}"
            self.order = self.order[:-8] + f"{generator.getrandbits(32):08x}"
            self.charge()
            self.paid = self.row()
            for _step in range(8):
                try:
                    self.paid._refund(generator.randint(1, 700))
                except UserError:
                    continue
                if generator.random() < 0.3:
                    self.fault(
                        REFUNDS,
                        "http_status",
                        status=generator.choice((403, 500)),
                        commit=generator.random() < 0.5,
                    )
                self.drain()
            given = sum(r["refund"] for r in self.given())
            self.assertLessEqual(given, 1234)
            self.assertGreaterEqual(self.paid.refunded_fen, 0)
            total += given
        self.assertGreater(total, 1234)

    def given(self):
        return [
            r
            for r in self.remote_refunds(self.paid.number)
            if r["status"] in ("SUCCESS", "PROCESSING")
        ]


@tagged("post_install", "-at_install")
class TestTillRefund(PayCase):
    """What a cashier gives back."""

    def setUp(self):
        super().setUp()
        self.product = self.env["product.product"].create(
            {"name": "Tea", "lst_price": 6.17, "available_in_pos": True, "taxes_id": []}
        )
        self.assertEqual(self.charge()["state"], "done")
        self.paid = self.save_order()

    def save_order(self):
        return self.sell(self.product, 2, 6.17, [(self.line, self.method, 12.34)])

    def test_order_and_payment_are_joined(self):
        payment = self.paid.payment_ids
        self.assertEqual(payment.wechat_transaction_ids, self.row())
        self.assertFalse(payment.wechat_unproven)
        self.assertEqual(self.row().pos_order_id, self.paid)

    def test_payment_without_proof(self):
        """A cashier says it is paid, WeChat does not: saved, and on the worklist."""
        self.order, self.line = self.line, self.order
        payment = self.save_order().payment_ids
        self.assertTrue(payment.wechat_unproven)
        # The till sends back every field that it loaded.
        payment.with_user(self.cashier).write(
            {"wechat_unproven": False, "card_type": "none"}
        )
        self.assertTrue(payment.wechat_unproven)
        self.assertEqual(payment.card_type, "none")
        reader = self.new_user("pay_looks", "wechat_pay.pay_group_user")
        with self.assertRaises(AccessError):
            payment.with_user(reader).action_wechat_settled()
        payment.with_user(self.manager).action_wechat_settled()
        self.assertFalse(payment.wechat_unproven)

    @staticmethod
    def uuid(line="1" * 8, last="2"):
        return f"{line}-0000-4000-8000-00000000000{last}"

    def give_back(self, amount, goods=None, line="1" * 8, last="2", **vals):
        return self.call(
            "refund",
            {
                "config": self.config.id,
                "order": self.uuid(line, "1"),
                "line": self.uuid(line, last),
                "amount": amount,
                "orders": self.paid.ids,
                "goods": [[self.paid.lines.id, amount]] if goods is None else goods,
                **vals,
            },
        )

    def test_whole(self):
        answer = self.give_back(1234)
        self.assertIn(answer["state"], ("done", "waiting"), answer)
        self.assertEqual(answer["amount"], 1234)
        # The till repeats it: the same refund.
        again = self.give_back(1234)
        self.assertEqual(again["numbers"], answer["numbers"])
        self.assertEqual(len(self.remote_refunds(self.row().number)), 1)

    def test_per_line(self):
        self.assertIn(self.give_back(617)["state"], ("done", "waiting"))
        answer = self.give_back(617, line="2" * 8)
        self.assertIn(answer["state"], ("done", "waiting"))
        answer = self.give_back(5, line="3" * 8)
        self.assertEqual((answer["state"], answer["amount"]), ("failed", 0))
        self.assertIn("Tea", answer["message"])
        self.assertEqual(self.row().refunded_fen, 1234)

    def test_more_than_paid(self):
        for answer in (
            self.give_back(1235),
            self.give_back(2000, goods=[[self.paid.lines.id, 1000]]),
            self.give_back(1234, goods=[[self.paid.lines.id, 1]]),
        ):
            self.assertEqual(
                (answer["state"], answer["amount"], answer["numbers"]),
                ("failed", 0, []),
            )
            self.assertTrue(answer["message"])
        self.assertFalse(self.row().refund_ids)

    def test_the_rest_is_refused(self):
        """The till learns what has gone back, with the reason why no more does."""
        numbers = self.give_back(617)["numbers"]
        answer = self.give_back(700, goods=[[self.paid.lines.id, 617]])
        self.assertEqual(
            (answer["state"], answer["amount"], answer["numbers"]),
            ("failed", 617, numbers),
        )

    def test_not_answered(self):
        self.fault(REFUNDS, "http_status", status=500, commit=True, times=2)
        answer = self.give_back(1234)
        self.assertEqual(answer["state"], "pending")
        self.assertIn("do not refund again", answer["message"])
        row = self.row().refund_ids
        row.next_at = self.long_ago()
        self.drain()
        self.assertIn(row.state, ("done", "waiting"))

    def test_refused_then_again(self):
        self.fault(REFUNDS, "http_status", status=403, code="NOT_ENOUGH")
        answer = self.give_back(1234)
        self.assertEqual(answer["state"], "failed")
        self.assertIn(self.give_back(1234)["state"], ("done", "waiting"))
        self.assertEqual(self.row().refunded_fen, 1234)

    def test_refused_after_a_lost_answer(self):
        """The lost attempt has done it, so the refusal is not believed."""
        self.fault(REFUNDS, "http_status", status=500, commit=True, times=2)
        self.assertEqual(self.give_back(1234)["state"], "pending")
        row = self.row().refund_ids
        self.fault(REFUNDS, "http_status", status=403, code="NOT_ENOUGH")
        row.next_at = self.long_ago()
        self.drain()
        self.assertIn(row.state, ("done", "waiting"))
        self.assertEqual(self.row().refunded_fen, 1234)

    def test_refused_after_an_attempt_that_never_arrived(self):
        self.fault(REFUNDS, "http_status", status=500, times=2)
        self.assertEqual(self.give_back(1234)["state"], "pending")
        row = self.row().refund_ids
        self.fault(REFUNDS, "http_status", status=403, code="NOT_ENOUGH")
        row.next_at = self.long_ago()
        self.drain()
        self.assertEqual((row.state, row.error_code), ("failed", "NOT_ENOUGH"))
        self.assertEqual(self.row().refunded_fen, 0)

    def test_line_is_entered_anew(self):
        """The till's line was deleted: the new one finds what went back."""
        answer = self.give_back(617)
        again = self.give_back(617, last="f", lines=[self.uuid(last="f")])
        self.assertEqual(again["numbers"], answer["numbers"])
        self.assertEqual(self.row().refunded_fen, 617)

    def test_second_line_of_a_return(self):
        """What the first line has refunded is not the second one's."""
        lines = [self.uuid(last="2"), self.uuid(last="f")]
        first = self.give_back(600, self.both(600), lines=lines)
        self.assertEqual((first["state"], first["amount"]), ("waiting", 600), first)
        second = self.give_back(634, self.both(1234), last="f", lines=lines)
        self.assertEqual((second["state"], second["amount"]), ("waiting", 634), second)
        self.assertNotEqual(second["numbers"], first["numbers"])
        self.assertEqual(self.row().refunded_fen, 1234)

    def both(self, fen):
        return [[self.paid.lines.id, fen]]

    def test_given_back_in_cash(self):
        """What the saved return says was cash is not sent to WeChat again."""
        self.fault(REFUNDS, "http_status", status=403, code="NOT_ENOUGH")
        self.assertEqual(self.give_back(1234)["state"], "failed")
        failed = self.row().refund_ids
        self.assertTrue(failed.needs_help)
        self.save_refund_order([(self.uuid(last="9"), self.card, -12.34)])
        self.assertFalse(failed.needs_help)
        with self.assertRaisesRegex(UserError, "taken its place"):
            failed.with_user(self.manager).action_retry()

    def test_forced_refund_is_sent_again(self):
        """The return counts on WeChat: the refund that failed is still owed."""
        self.fault(REFUNDS, "http_status", status=403, code="NOT_ENOUGH")
        self.assertEqual(self.give_back(1234)["state"], "failed")
        failed = self.row().refund_ids
        self.save_refund_order([(self.uuid(last="2"), self.method, -12.34)])
        self.assertTrue(failed.needs_help)
        failed.with_user(self.manager).action_retry()
        self.drain()
        self.assertEqual(self.row().refunded_fen, 1234)

    def save_refund_order(self, payments):
        return self.sell(
            self.product,
            -2,
            6.17,
            payments,
            order=self.uuid(last="1"),
            refunds=self.paid.lines,
        )

    def test_refused_by_the_backup_after_a_lost_answer(self):
        """The first address has done it: what the second says proves nothing."""
        self.fault(REFUNDS, "http_status", status=500, commit=True)
        self.fault(REFUNDS, "http_status", status=403, code="NOT_ENOUGH")
        self.assertEqual(self.give_back(1234)["state"], "pending")
        row = self.row().refund_ids
        self.assertEqual(self.row().refunded_fen, 1234)
        row.next_at = self.long_ago()
        self.drain()
        self.assertIn(row.state, ("done", "waiting"))

    def test_notice_is_not_forgotten(self):
        """A late notice makes us ask; a question without answer is asked again."""
        self.fault(REFUNDS, "http_status", status=403, code="NOT_ENOUGH")
        self.give_back(1234)
        row = self.row().refund_ids
        self.fault(REFUNDS, "http_status", status=500, times=2)
        row.next_at = self.long_ago()
        self.drain()
        self.assertEqual(row.state, "failed")
        self.assertTrue(row.next_at)

    def test_refunded_before_the_order_came(self):
        """A manager gave the money back; then a till brings the order."""
        self.order, self.line = str(uuid4()), str(uuid4())
        self.charge()
        row = self.row()
        self.env.cr.execute(
            "UPDATE wechat_pay_transaction SET create_date = create_date "
            "- interval '2 hours' WHERE id = %s",
            [row.id],
        )
        row.invalidate_recordset()
        row._cron_find_unsaved()
        self.assertTrue(row.needs_help)
        row._refund_by_hand(1234, "no order")
        payment = self.save_order().payment_ids
        self.assertTrue(payment.wechat_unproven)
        self.assertTrue(row.needs_help)

    def test_return_is_given_back_once(self):
        """Not more than the goods of one return, over however many lines."""
        self.give_back(617)
        self.save_return()
        answer = self.give_back(617, last="f", lines=[self.uuid(last="f")])
        self.assertEqual((answer["state"], answer["amount"]), ("failed", 0))
        self.assertEqual(self.row().refunded_fen, 617)

    def save_return(self):
        """Join the refund to a saved payment, as the saved return does."""
        row = self.row().refund_ids
        row.pos_payment_id = self.paid.payment_ids
        row.flush_recordset()

    def test_the_rest_of_two_payments(self):
        """One part failed: the till asks again, and the other part stays as it is."""
        self.order, first = self.line[:-4] + "aaaa", self.line[:-4] + "bbbb"
        second = self.line[:-4] + "cccc"
        for line in (first, second):
            answer = self.charge(line=line, amount=617, total=1234)
            self.assertEqual(answer["state"], "done", answer)
        self.line = first
        self.paid = self.sell(
            self.product,
            2,
            6.17,
            [(first, self.method, 6.17), (second, self.method, 6.17)],
        )
        self.fault(REFUNDS, "http_status", status=403, code="NOT_ENOUGH")
        answer = self.give_back(1234)
        self.assertEqual((answer["state"], answer["amount"]), ("failed", 617))
        answer = self.give_back(1234)
        self.assertIn(answer["state"], ("done", "waiting"))
        self.assertEqual(answer["amount"], 1234)
        rows = self.paid.payment_ids.wechat_transaction_ids
        self.assertEqual(rows.mapped("refunded_fen"), [617, 617])
        failed = rows.refund_ids.filtered(lambda row: row.state == "failed")
        self.assertEqual(len(failed), 1)
        self.assertFalse(failed.needs_help)
        with self.assertRaisesRegex(UserError, "taken its place"):
            failed.with_user(self.manager).action_retry()

    def test_wizard_pressed_twice(self):
        wizard = (
            self.env["wechat.pay.refund.wizard"]
            .with_user(self.manager)
            .create({"transaction_id": self.row().id, "amount": 6})
        )
        self.assertEqual(
            wizard.action_refund()["res_id"], wizard.action_refund()["res_id"]
        )
        self.assertEqual(self.row().refunded_fen, 600)

    def test_hostile_input(self):
        other = self.env["pos.order"].search([("id", "!=", self.paid.id)], limit=1)
        for vals in (
            {"orders": None},
            {"orders": ["1"]},
            {"orders": []},
            {"goods": [[0, 1234]]},
            {"goods": [[self.paid.lines.id, 12.34]]},
            {"goods": "x"},
            {"goods": []},
            {"goods": [[self.paid.lines.id, -1]]},
            {"lines": "x"},
            {"lines": ["x"]},
            {"goods": [[other.lines[:1].id or 1, 1]]},
            {"line": "x" * 8},
        ):
            with self.subTest(vals), self.assertRaises(ValidationError):
                self.give_back(1234, **vals)

    @mute_logger("odoo.addons.base.models.ir_rule", "odoo.addons.base.models.ir_access")
    def test_rights(self):
        row = self.row()
        for user in (
            self.cashier,
            self.new_user("pay_reader", "wechat_pay.pay_group_user"),
        ):
            with self.assertRaises(AccessError):
                row.with_user(user).action_query()
            with self.assertRaises(AccessError):
                row.with_user(user).write({"state": "failed"})
        with self.assertRaises(AccessError):
            row.with_user(self.cashier).read(["number"])
        with self.assertRaises(AccessError):
            row.with_user(self.manager).write({"amount_fen": 1})
        with self.assertRaises(AccessError):
            row.with_user(self.manager).unlink()
