import base64
import gzip
import io
from datetime import datetime, time, timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from odoo.addons.queue_job.tests.common import trap_jobs

from .bill_common import BillCase
from .test_bill_parser import ONE, flow_file, move, payment, trade_file


@tagged("post_install", "-at_install")
class TestBillMatching(BillCase):
    def test_clean_days(self):
        """No false alarm: coupons, refunds, midnight and a reversal."""
        tomorrow = self.day + timedelta(days=1)
        self.at("00:00:01")
        first = self.pay("DAWN-001", 1)
        self.at("12:00:00")
        coupons = self.pay("COUPON-1", 10000, [("CASH", 1000), ("NOCASH", 2000)])
        odd = self.pay("ODD-00001", 777)
        self.at("23:59:58")
        last = self.pay("DUSK-001", 12345)
        self.at("00:00:02", tomorrow)
        back = self.refund("BACK-1", coupons, 5000)
        self.refund("BACK-2", odd, 100)
        self.refund("BACK-3", odd, 301)
        self.refund("BACK-4", odd, 376)
        late = self.pay("LATE-001", 5000, abandoned=True)
        self.refund("LATE-R", late, 5000)
        trade, flow = self.fetch()
        self.assertEqual((trade.state, flow.state), ("done", "done"))
        self.assertEqual(trade.line_count, 4)
        self.assertFalse(self.kinds())
        trade2, flow2 = self.fetch(tomorrow)
        self.assertEqual((trade2.payment_count, trade2.refund_count), (1, 5))
        self.assertFalse(self.kinds())
        self.assertEqual((first.fee_fen, coupons.fee_fen), (0, 48))
        self.assertEqual((last.fee_fen, back.fee_fen), (74, -24))
        self.assertEqual(self.bill_of(back), trade2)
        self.assertEqual(trade.settlement_amount, 80 + 7.77 + 123.45 + 0.01)
        self.assertEqual(trade.amount_fen, trade.settlement_fen + 2000)
        self.assertEqual(trade2.refund_settlement_fen, 4000 + 777 + 5000)
        self.assertEqual(flow2.balance_start_fen, flow.balance_end_fen)
        self.assertEqual(flow.balance_end_fen, trade.settlement_fen - trade.fee_fen)
        raw = gzip.decompress(trade.attachment_id.raw)
        self.assertIn("茶, `大`".encode(), raw)
        self.assertIn(
            "茶, `大`",
            trade.env["wechat.pay.bill.line"]
            .search([("bill_id", "=", trade.id)], limit=1)
            .product,
        )

    def bill_of(self, transaction):
        lines = self.env["wechat.pay.bill.line"]
        return lines.search([("transaction_id", "=", transaction.id)]).bill_id

    def one(self, kind, number, ours, theirs, aspect=False):
        """There is one difference, and it is this."""
        self.assertEqual(self.kinds(), [(kind, number)])
        found = self.differences()
        self.assertEqual((found.ours_fen, found.theirs_fen), (ours, theirs))
        self.assertEqual(found.aspect, aspect)
        self.assertTrue(found.explanation)
        self.assertEqual(found.difference_amount, (theirs - ours) / 100)
        return found

    def test_payment_missing(self):
        self.at("12:00:00")
        self.pay("A-000001")
        transaction = self.pay("A-000002")
        self.change("missing_line", out_trade_no="A-000002")
        self.fetch()
        found = self.one("payment_missing", "A-000002", 10000, 0)
        self.assertEqual(found.transaction_id, transaction)

    def test_payment_unknown(self):
        self.at("12:00:00")
        self.pay("A-000001")
        self.change("extra_line", out_trade_no="GHOST-1", amount=123)
        self.fetch(None, "trade")
        found = self.one("payment_unknown", "GHOST-1", 0, 123)
        self.assertEqual(found.line_id.number, "GHOST-1")

    def test_refund_missing(self):
        self.at("12:00:00")
        self.refund("B-1", self.pay("A-000001"), 3000)
        refund = {"out_trade_no": "A-000001", "out_refund_no": "B-1"}
        self.change("missing_line", **refund)
        self.fetch()
        self.one("refund_missing", "B-1", 3000, 0)

    def test_refund_unknown(self):
        self.at("12:00:00")
        self.pay("A-000001")
        ghost = {"out_trade_no": "A-000001", "out_refund_no": "GHOST-R"}
        self.change("extra_line", amount=500, **ghost)
        self.fetch(None, "trade")
        self.one("refund_unknown", "GHOST-R", 0, 500)

    def test_amount_of_order(self):
        self.at("12:00:00")
        transaction = self.pay("A-000001")
        transaction.amount_fen = transaction.settlement_fen = 9999
        self.fetch()
        self.one("amount", "A-000001", 9999, 10000, "order")

    def test_amount_of_settlement(self):
        self.at("12:00:00")
        self.pay("A-000001", 10000, [("NOCASH", 1000)]).settlement_fen = 10000
        self.fetch()
        self.one("amount", "A-000001", 10000, 9000, "settlement")

    def test_amount_of_coupons(self):
        self.at("12:00:00")
        self.pay("A-000001", 10000, [("CASH", 1000)])
        self.change("other_coupon", out_trade_no="A-000001", amount=900)
        self.fetch()
        self.one("amount", "A-000001", 1000, 900, "coupon")

    def test_amount_of_refund(self):
        self.at("12:00:00")
        transaction = self.refund("B-1", self.pay("A-000001"), 3000)
        transaction.amount_fen = transaction.settlement_fen = 3001
        self.fetch()
        self.one("amount", "B-1", 3001, 3000, "order")

    def test_state_not_ours(self):
        self.at("12:00:00")
        self.pay("A-000001", state="cancelled")
        self.fetch()
        self.one("state", "A-000001", 0, 10000, "not_ours")

    def test_state_abandoned(self):
        self.at("12:00:00")
        self.pay("A-000001", abandoned=True)
        self.fetch()
        self.one("state", "A-000001", 10000, 10000, "abandoned")

    def test_state_of_refund(self):
        self.at("12:00:00")
        paid = self.pay("A-000001")
        self.refund("B-1", paid, 3000, state="waiting")
        self.fetch()
        self.one("state", "B-1", 0, 3000, "not_ours")
        self.differences().transaction_id.state = "done"
        self.differences().bill_id.action_compare()
        self.assertFalse(self.kinds())

    def test_state_not_theirs(self):
        self.at("12:00:00")
        self.refund("B-1", self.pay("A-000001"), 3000)
        refund = {"out_trade_no": "A-000001", "out_refund_no": "B-1"}
        self.change("other_state", state="FAIL", **refund)
        self.fetch(None, "trade")
        self.one("state", "B-1", 3000, 0, "not_theirs")

    def test_reversal(self):
        """Reversed is right where we know it, a difference where we do not."""
        rows = [
            payment("A1"),
            payment(
                "A1",
                交易状态="REVOKED",
                应结订单金额="0.00",
                微信退款单号="50X",
                商户退款单号="WECHATS-OWN",
                退款金额="10.00",
                退款状态="SUCCESS",
                手续费="-0.06000",
                订单金额="0.00",
                申请退款金额="10.00",
            ),
        ]
        for row in rows:
            row.update(
                {"商户号": self.merchant.mchid, "交易时间": f"{self.day} 12:00:00"}
            )
        sums = ("2", "10.00", "10.00", "0.00", "0.00000", "10.00", "10.00")
        transaction = self.transaction(
            "payment",
            "A1",
            remote_no="42A1",
            success_at=datetime.combine(self.day, time(4)),
            amount_fen=1000,
            settlement_fen=1000,
            state="cancelled",
        )
        bill = self.bills._get_bills(self.merchant, [self.day], ["trade"])
        self.bills._import_file(bill, io.BytesIO(trade_file(rows, sums)))
        self.assertFalse(self.kinds())
        transaction.state = "done"
        bill.action_compare()
        self.one("state", "A1", 1000, 0, "not_theirs")

    def test_fee_of_line(self):
        self.at("12:00:00")
        self.pay("A-000001")
        self.change("other_fee", out_trade_no="A-000001", fee=61)
        self.fetch(None, "trade")
        self.one("fee", "A-000001", 60, 61, "rate")

    def test_fee_of_day(self):
        self.at("12:00:00")
        self.pay("A-000001")
        self.pay("A-000002")
        flow = {"bill": "fundflowbill", "out_trade_no": "A-000001"}
        self.change("other_fee", fee=70, **flow)
        self.fetch()
        self.one("fee", str(self.day), 120, 130, "sum")

    def test_movement_missing(self):
        self.at("12:00:00")
        self.pay("A-000001")
        self.pay("A-000002")
        flow = {"bill": "fundflowbill", "out_trade_no": "A-000001"}
        self.change("missing_line", **flow)
        self.fetch()
        self.one("fee", str(self.day), 120, 60, "sum")

    def test_midnight(self):
        """WeChat books a payment of 23:59:58 on the next day."""
        tomorrow = self.day + timedelta(days=1)
        self.at("12:00:00")
        self.pay("A-000001")
        self.at("23:59:58")
        transaction = self.pay("DUSK-001", 123)
        self.change("missing_line", out_trade_no="DUSK-001")
        self.fetch(None, "trade")
        self.assertFalse(self.kinds())
        self.change("extra_line", tomorrow, out_trade_no="DUSK-001", amount=123, fee=1)
        [bill] = self.fetch(tomorrow, "trade")
        self.assertFalse(self.kinds())
        self.assertEqual(self.bill_of(transaction), bill)

    def test_midnight_and_really_missing(self):
        tomorrow = self.day + timedelta(days=1)
        self.at("12:00:00")
        self.pay("A-000001")
        self.at("23:59:58")
        self.pay("DUSK-001", 123)
        self.at("12:00:00", tomorrow)
        self.pay("A-000002")
        self.change("missing_line", out_trade_no="DUSK-001")
        self.fetch(None, "trade")
        self.assertFalse(self.kinds())
        self.fetch(tomorrow, "trade")
        self.one("payment_missing", "DUSK-001", 123, 0)

    def test_again_adds_nothing(self):
        self.at("12:00:00")
        self.pay("A-000001")
        self.pay("A-000002")
        self.pay("A-000003", state="cancelled")
        self.change("missing_line", out_trade_no="A-000002")
        [bill] = self.fetch(None, "trade")
        found = self.differences()
        self.assertEqual(len(found), 2)
        settled = found.filtered(lambda d: d.kind == "state")
        settled._settle("Given back in cash")
        for _time in range(2):
            self.fetch(None, "trade")
            # The same lines under a new hash are read again.
            bill.sha1 = "0"
        self.assertEqual(self.kinds(), [("payment_missing", "A-000002")])
        self.assertEqual(self.differences("settled"), settled)
        self.assertEqual(settled.note, "Given back in cash")
        lines = self.env["wechat.pay.bill.line"]
        self.assertEqual(lines.search_count([("bill_id", "=", bill.id)]), 2)
        # WeChat corrects its bill.
        self.unchange()
        self.fetch(None, "trade")
        self.assertFalse(self.kinds())
        gone = self.differences("settled") - settled
        self.assertFalse(gone.settled_by_id)
        self.assertTrue(gone.note)
        self.assertEqual(bill.line_count, 3)
        # And takes the correction back.
        self.change("missing_line", out_trade_no="A-000002")
        self.fetch(None, "trade")
        self.assertEqual(self.differences(), gone)
        self.assertFalse(gone.note)

    def test_settled_and_changed(self):
        """What a person has settled is on the list again once it is another thing."""
        self.at("12:00:00")
        transaction = self.pay("A-000001", 10000, [("CASH", 1000)])
        self.change("other_coupon", out_trade_no="A-000001", amount=900)
        [bill] = self.fetch(None, "trade")
        found = self.one("amount", "A-000001", 1000, 900, "coupon")
        found._settle("One yuan, known")
        bill._compare()
        self.assertFalse(self.kinds())
        # Other amounts.
        self.unchange()
        self.change("other_coupon", out_trade_no="A-000001", amount=800)
        self.fetch(None, "trade")
        self.assertEqual(self.differences(), found)
        self.assertEqual(found.theirs_fen, 800)
        self.assertFalse(found.settled_by_id or found.settled_at)
        self.assertEqual(found.note, "One yuan, known")
        # As long as nobody decides, it stays open.
        bill._compare()
        self.assertEqual(self.differences(), found)
        found._settle("Now two")
        # Another kind of the same trade.
        self.spoil(transaction, state="cancelled")
        bill._compare()
        self.assertEqual(self.kinds(), [("state", "A-000001")])
        self.assertEqual(self.differences("settled"), found)

    def test_done_without_time(self):
        """A payment is missing also if WeChat did not say when it was done."""
        moment = datetime.combine(self.day, time(4))
        payment = self.pay("A-000001")
        self.spoil(payment, success_at=SQL("NULL"), create_date=moment)
        self.at("12:00:00")
        self.pay("A-000002")
        self.control("clock", reset=True)
        self.fetch(None, "trade")
        self.one("payment_missing", "A-000001", 10000, 0)

    def test_query_again(self):
        """An answer that we never got: asked for from the worklist."""
        self.at("12:00:00")
        payment = self.place("A-000001")
        openid = self.control("users", nickname="小明")["openid"]
        path = f"pay/orders/{self.merchant.mchid}/A-000001/pay"
        self.control(path, openid=openid, notify=False)
        self.fetch(None, "trade")
        found = self.one("state", "A-000001", 0, 10000, "not_ours")
        boss = self.new_user("bill_boss", "wechat_pay.pay_group_manager")
        self.env.flush_all()
        found.with_user(boss).action_query()
        self.assertEqual((payment.state, found.state), ("done", "settled"))
        self.assertFalse(found.settled_by_id)
        self.change("extra_line", out_trade_no="GHOST-1", amount=123)
        self.fetch(None, "trade")
        with self.assertRaisesRegex(UserError, "no transaction"):
            self.differences().action_query()

    def test_sums(self):
        """Graphs, pivots and groups sum up every amount that they show."""
        self.at("12:00:00")
        self.pay("A-000001", 10000)
        paid = self.pay("A-000002", 5050)
        self.refund("B-1", paid, 50)
        self.change("missing_line", out_trade_no="A-000001")
        self.fetch()
        for model, sums in {
            "wechat.pay.bill": {
                "settlement_amount": 50.5,
                "refund_amount": 0.5,
                "fee_amount": 0.3,
                "in_amount": 150.5,
                "out_amount": 1.4,
            },
            "wechat.pay.bill.line": {
                "amount": 51.0,
                "settlement_amount": 51.0,
                "fee_amount": 0.3,
            },
            "wechat.pay.fund.line": {"amount": 149.1},
            "wechat.pay.difference": {
                "ours_amount": 100.0,
                "theirs_amount": 0.0,
                "difference_amount": -100.0,
            },
        }.items():
            known = self.env[model].fields_get(list(sums), ["aggregator"])
            domain = [("merchant_id", "=", self.merchant.id)]
            [row] = self.env[model].formatted_read_group(
                domain, [], [*(f"{name}:sum" for name in sums), "currency_id:array_agg"]
            )
            for name, value in sums.items():
                with self.subTest(model, name=name):
                    self.assertEqual(known[name]["aggregator"], "sum")
                    self.assertAlmostEqual(row[f"{name}:sum"], value)
            self.assertEqual(set(row["currency_id:array_agg"]), {self.yuan.id})
            with self.subTest(model):
                self.env[model].formatted_read_group(
                    domain, ["currency_id"], [f"{name}:sum_currency" for name in sums]
                )


@tagged("post_install", "-at_install")
class TestBillFetching(BillCase):
    def fetches(self, trap):
        return [job.method_name for job in trap.enqueued_jobs].count("_fetch")

    def test_nothing_happened(self):
        trade, flow = self.fetch()
        self.assertEqual((trade.state, flow.state), ("none", "none"))
        self.assertFalse(self.kinds())

    def test_nothing_happened_says_wechat(self):
        self.at("12:00:00")
        self.pay("A-000001")
        self.change("missing_line", out_trade_no="A-000001")
        self.fetch(None, "trade")
        self.assertEqual(self.kinds(), [("payment_missing", "A-000001")])
        # The daily job asks for such a bill again.
        self.assertTrue(self.differences().bill_id._is_wanted())
        self.unchange()
        self.fetch(None, "trade")
        self.assertFalse(self.kinds())

    def test_unreachable_is_tried_later(self):
        bill = self.bills._get_bills(self.merchant, [self.day], ["trade"])
        self.control(
            "faults", path="/v3/bill/", kind="http_status", status=500, times=2
        )
        with trap_jobs() as trap:
            bill._fetch()
            self.assertEqual(self.fetches(trap), 1)
        self.assertEqual((bill.state, bill.attempts), ("waiting", 1))
        self.assertTrue(bill.error)
        bill.attempts = 100
        self.control(
            "faults", path="/v3/bill/", kind="http_status", status=500, times=2
        )
        bill._fetch()
        self.assertEqual(bill.state, "failed")
        bill._fetch()
        self.assertEqual((bill.state, bill.error), ("none", False))

    def test_wrong_hash(self):
        content = trade_file([self.row()], ONE)
        bill = self.bills._get_bills(self.merchant, [self.day], ["trade"])
        with self.assertRaisesRegex(UserError, "SHA-1"):
            self.bills._import_file(bill, io.BytesIO(content), sha1="0" * 40)
        self.assertEqual((bill.state, bill.line_count), ("waiting", 0))
        lines = self.env["wechat.pay.bill.line"]
        self.assertFalse(lines.search([("bill_id", "=", bill.id)]))

    def row(self, **change):
        time = f"{self.day} 12:00:00"
        return payment(**{"商户号": self.merchant.mchid, "交易时间": time, **change})

    def test_address_of_another_host(self):
        """A signed offer that leads elsewhere is not followed."""
        bill = self.bills._get_bills(self.merchant, [self.day], ["trade"])
        offer = {
            "hash_type": "SHA1",
            "hash_value": "0" * 40,
            "download_url": "https://evil.example/v3/billdownload/file?token=1",
        }
        with patch.object(type(bill), "_ask", lambda self: offer):
            bill._fetch()
        self.assertEqual(bill.state, "failed")
        self.assertIn("evil.example", bill.error)

    def test_daily(self):
        today = self.bills._today()
        self.env.cr.execute(
            "UPDATE wechat_merchant SET create_date = %s WHERE id = %s",
            [fields.Datetime.now() - timedelta(days=30), self.merchant.id],
        )
        self.merchant.invalidate_recordset()
        others = self.env["wechat.merchant"].search([]) - self.merchant
        others.environment = "disabled"
        self.fetch()
        with trap_jobs() as trap:
            self.bills._cron_fetch_bills()
            trap.assert_jobs_count(1)
        [order] = trap.enqueued_jobs
        with trap_jobs() as trap:
            order.perform()
            self.assertEqual(self.fetches(trap), 12)
            trap.assert_jobs_count(12)
        bills = self.bills.search([("merchant_id", "=", self.merchant.id)])
        self.assertEqual(len(bills), 14)
        self.assertEqual(min(bills.mapped("date")), today - timedelta(days=7))
        self.assertEqual(max(bills.mapped("date")), today - timedelta(days=1))

    def test_one_merchant_of_many(self):
        """A merchant whose bills cannot be ordered does not stop the others."""
        second = self.new_merchant("Second", "1900000999")
        with trap_jobs() as trap:
            self.bills._cron_fetch_bills()
            jobs = {job.args[0]: job for job in trap.enqueued_jobs}
        self.assertLessEqual({self.merchant, second}, set(jobs))
        self.assertEqual(len({job.identity_key for job in jobs.values()}), len(jobs))
        with (
            trap_jobs(),
            patch.object(type(self.merchant), "create_date", None),
            self.assertRaises(TypeError),
        ):
            jobs[self.merchant].perform()
        with trap_jobs():
            jobs[second].perform()

    def test_not_before_the_merchant(self):
        with trap_jobs() as trap:
            self.bills._order_missing(self.merchant)
            self.assertEqual(self.fetches(trap), 0)

    def test_what_was_not_foreseen(self):
        """A mistake of ours is kept on the bill, with the number of attempts."""
        [bill] = self.bills._get_bills(self.merchant, [self.day], ["trade"])
        with (
            patch.object(type(bill), "_ask", lambda self: {}["download_url"]),
            self.assertLogs("odoo.addons.wechat_pay.models.wechat_pay_bill", "ERROR"),
        ):
            bill._fetch()
            bill._fetch()
        self.assertEqual((bill.state, bill.attempts), ("failed", 2))
        self.assertEqual(bill.error, "KeyError: 'download_url'")
        self.assertTrue(bill._is_wanted())
        bill._fetch()
        self.assertEqual((bill.state, bill.error), ("none", False))

    def test_by_hand(self):
        wizard = self.env["wechat.pay.bill.fetch"].create(
            {
                "merchant_id": self.merchant.id,
                "date_from": self.day - timedelta(days=1),
                "date_to": self.day,
            }
        )
        with trap_jobs() as trap:
            action = wizard.action_fetch()
            self.assertEqual(self.fetches(trap), 4)
        self.assertEqual(self.bills.search_count(action["domain"]), 4)
        with self.assertRaises(ValidationError):
            wizard.date_from = self.day - timedelta(days=90)
        with self.assertRaises(ValidationError):
            wizard.date_from = self.day + timedelta(days=1)
        with self.assertRaises(ValidationError):
            wizard.date_to = self.bills._today()

    def upload(self, content, user=None):
        wizard = (
            self.env["wechat.pay.bill.upload"]
            .with_user(user or self.env.user)
            .create(
                {"merchant_id": self.merchant.id, "file": base64.b64encode(content)}
            )
        )
        with trap_jobs() as trap:
            action = wizard.action_read()
            self.assertEqual(trap.enqueued_jobs[0].method_name, "_read_upload")
            trap.perform_enqueued_jobs()
        return action

    def test_from_a_file(self):
        self.at("12:00:00")
        self.pay("A-000001", 1000)
        action = self.upload(trade_file([self.row(商户订单号="A-000001")], ONE))
        bill = self.bills.browse(action["res_id"])
        self.assertEqual(
            (bill.state, bill.date, bill.source), ("done", self.day, "file")
        )
        self.assertFalse(self.kinds())
        day = f"{self.day} 12:00:00"
        flow = flow_file([move(记账时间=day)], ("1", "1", "10.00", "0", "0.00"))
        bill = self.bills.browse(self.upload(gzip.compress(flow))["res_id"])
        self.assertEqual((bill.bill_type, bill.in_amount), ("fundflow", 10.0))

    def test_files_that_are_refused(self):
        for content, text in (
            (b"hello", "no bill"),
            (trade_file([payment()], ONE), "belongs to merchant 1900000001"),
            (trade_file([self.row()], [*ONE[:-1], "1.00"]), "add up"),
            (
                trade_file(
                    [self.row(), payment("A2", 商户号=self.merchant.mchid)],
                    ("2", "20.00", "0.00", "0.00", "0.12000", "20.00", "0.00"),
                ),
                "more than one day",
            ),
        ):
            with self.subTest(text), self.assertRaisesRegex(UserError, text):
                self.upload(content)
        self.assertFalse(self.bills.search([("merchant_id", "=", self.merchant.id)]))

    def test_file_of_a_day_that_is_not_over(self):
        """The afternoon would never be fetched."""
        today = f"{self.bills._today()} 00:00:01"
        flow = flow_file([move(记账时间=today)], ("1", "1", "10.00", "0", "0.00"))
        with self.assertRaisesRegex(UserError, "not over"):
            self.upload(flow)
        self.assertFalse(self.bills.search([("merchant_id", "=", self.merchant.id)]))

    def test_file_is_compared_with_wechats(self):
        """What somebody has brought does not stand for what WeChat says."""
        self.at("12:00:00")
        self.pay("A-000001", 1000)
        action = self.upload(trade_file([self.row(商户订单号="A-000001")], ONE))
        bill = self.bills.browse(action["res_id"])
        self.assertTrue(bill._is_wanted())
        self.pay("A-000002", 2000)
        self.fetch(None, "trade")
        self.assertEqual((bill.line_count, bill.source), (2, "fetch"))
        self.assertFalse(bill._is_wanted())

    def test_long_file(self):
        """What is wrong far down in a file is said by the job, on the bill."""
        rows = [self.row(商户订单号=f"A{n:06}") for n in range(1100)]
        sums = ("1100", "11000.00", "0.00", "0.00", "66.00000", "11000.00", "0.00")
        for content, text in (
            (trade_file(rows, [*sums[:-1], "1.00"]), "does not add up"),
            (trade_file([*rows[:-1], self.row(商户号="1900000001")], sums), "belongs"),
        ):
            with self.subTest(text):
                bill = self.bills.browse(self.upload(content)["res_id"])
                self.assertEqual((bill.state, bill.line_count), ("failed", 0))
                self.assertIn(text, bill.error)
                self.assertFalse(
                    self.env["ir.attachment"].search([("res_id", "=", bill.id)])
                    & bill.attachment_id
                )
                bill.unlink()
        bill = self.bills.browse(self.upload(trade_file(rows, sums))["res_id"])
        self.assertEqual((bill.state, bill.line_count), ("done", 1100))
        self.assertEqual((bill.error, bill.source), (False, "file"))

    def test_rights(self):
        self.at("12:00:00")
        self.pay("A-000001", state="cancelled")
        [bill] = self.fetch(None, "trade")
        found = self.differences()
        reader = self.new_user("bill_reader", "wechat_pay.pay_group_user")
        boss = self.new_user("bill_boss", "wechat_pay.pay_group_manager")
        cashier = self.new_user("bill_cashier", "point_of_sale.group_pos_user")
        self.assertEqual(bill.with_user(reader).fee_amount, 0.6)
        self.assertTrue(found.with_user(reader).explanation)
        for user in (reader, cashier):
            with self.subTest(user.login):
                for call in (
                    bill.with_user(user).action_fetch,
                    bill.with_user(user).action_compare,
                    found.with_user(user).action_settle,
                    found.with_user(user).action_take,
                    found.with_user(user).action_query,
                    lambda user=user: found.with_user(user)._settle("x"),
                    lambda user=user: self.upload(b"x", user),
                    lambda user=user: bill.with_user(user).write({"error": "x"}),
                    lambda user=user: found.with_user(user).write({"note": "x"}),
                ):
                    with self.assertRaises(AccessError):
                        call()
        with self.assertRaises(AccessError):
            bill.with_user(cashier).read(["fee_amount"])
        for record in (bill, found):
            with self.assertRaises(AccessError):
                record.with_user(boss).write({"company_id": self.company.id})
            with self.assertRaises(AccessError):
                record.with_user(boss).unlink()
        found.with_user(boss).action_take()
        self.assertEqual(found.user_id, boss)
        action = found.with_user(boss).action_settle()
        wizard = self.env[action["res_model"]].with_user(boss)
        wizard.with_context(**action["context"]).create({"note": "ok"}).action_confirm()
        self.assertEqual((found.state, found.settled_by_id), ("settled", boss))
        bill.with_user(boss).action_compare()
        content = trade_file([self.row()], ONE)
        self.upload(content, boss)

    def test_other_company(self):
        self.at("12:00:00")
        self.pay("A-000001", state="cancelled")
        [bill] = self.fetch(None, "trade")
        other = self.new_company("Other")
        user = self.new_user("bill_other", "wechat_pay.pay_group_manager")
        user.write({"company_ids": [(6, 0, other.ids)], "company_id": other.id})
        theirs = {"allowed_company_ids": other.ids}
        for record in (bill, self.differences(), self.differences().line_id):
            with self.subTest(record._name), self.assertRaises(AccessError):
                record.with_user(user).with_context(**theirs).read(["merchant_id"])
        for name in ("action_fetch", "action_compare", "action_make_statement"):
            with self.subTest(name), self.assertRaises(AccessError):
                getattr(bill.with_user(user).with_context(**theirs), name)()

    def test_payments_of_another_company_cannot_be_counted_up(self):
        self.at("12:00:00")
        row = self.pay("A-000001")
        other = self.new_company("Other")
        user = self.new_user("bill_counter", "wechat_pay.pay_group_manager")
        user.write({"company_ids": [(6, 0, other.ids)], "company_id": other.id})
        wizard = self.env["wechat.pay.refund.wizard"].with_user(user)
        wizard = wizard.with_context(allowed_company_ids=other.ids)
        with self.assertRaises(AccessError):
            wizard.create({"transaction_id": row.id}).read(["paid", "amount"])

    def test_branch_keeps_out_of_its_parents_books(self):
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        user = self.new_user("bill_branch", "wechat_pay.pay_group_manager")
        user.write({"company_ids": [(6, 0, branch.ids)], "company_id": branch.id})
        there = self.env(user=user, context={"allowed_company_ids": branch.ids})
        merchant = self.merchant.with_env(there)
        # It pays with what the parent has.
        self.assertEqual(merchant.name, "Shop")
        day = f"{self.day} 12:00:00"
        flow = flow_file([move(记账时间=day)], ("1", "1", "10.00", "0", "0.00"))
        for name, vals, method in (
            ("wechat.pay.bill.upload", {"file": base64.b64encode(flow)}, "action_read"),
            ("wechat.pay.bill.fetch", {}, "action_fetch"),
        ):
            wizard = there[name].create({"merchant_id": merchant.id, **vals})
            with self.subTest(name), self.assertRaises(AccessError):
                getattr(wizard, method)()
        self.assertFalse(self.bills.search([("merchant_id", "=", self.merchant.id)]))


@tagged("post_install", "-at_install")
class TestBillStatement(BillCase):
    def setUp(self):
        super().setUp()
        self.merchant.journal_id = self.journal

    def lines(self, bill):
        lines = self.env["wechat.pay.fund.line"].search([("bill_id", "=", bill.id)])
        return lines.statement_line_id.sorted("internal_index")

    def balance(self, account):
        items = self.env["account.move.line"].search(
            [("account_id", "=", account.id), ("parent_state", "=", "posted")]
        )
        return round(sum(items.mapped("balance")), 2)

    def open_items(self):
        return self.env["account.move.line"].search(
            [
                ("account_id", "=", self.outstanding.id),
                ("parent_state", "=", "posted"),
                ("reconciled", "=", False),
            ]
        )

    def sold_day(self):
        """A session: a plain sale, one with coupons, a partial refund of it."""
        session = self.open_session()
        self.at("12:00:00")
        self.pay("A-000001", 10000, pos=self.sell(session, 100))
        coupons = [("CASH", 1000), ("NOCASH", 2000)]
        paid = self.pay("A-000002", 10000, coupons, pos=self.sell(session, 100))
        self.refund("B-1", paid, 5000, pos=self.sell(session, -50))
        return session

    def test_session(self):
        self.close_session(self.sold_day())
        self.assertEqual(self.balance(self.outstanding), 150)
        _trade, flow = self.fetch()
        flow._make_statement()
        lines = self.lines(flow)
        self.assertEqual(lines.mapped("amount"), [100.0, -0.6, 80.0, -0.48, -39.76])
        self.assertAlmostEqual(sum(lines.mapped("amount")), 139.16)
        self.assertEqual(lines.mapped("running_balance")[-1], flow.balance_end_amount)
        self.assertEqual(set(lines.mapped("date")), {self.day})
        self.assertTrue(all(lines.mapped("is_reconciled")))
        self.assertEqual(self.balance(self.outstanding), 0)
        self.assertFalse(self.open_items())
        self.assertEqual(self.balance(self.discount_account), 20 - 10)
        self.assertEqual(self.balance(self.fee_account), 0.84)
        self.assertEqual(
            self.balance(self.journal.default_account_id), flow.balance_end_amount
        )
        self.assertTrue(flow.statement_id.is_complete and flow.statement_id.is_valid)
        self.assertIn("A-000002", lines[2].payment_ref)
        payments = self.env["account.payment"].search(
            [("pos_payment_method_id", "=", self.method.id)]
        )
        self.assertEqual(payments.state, "paid")

    def test_trades_come_first(self):
        """They say what a refund takes; a fund flow that is faster waits for them."""
        self.sold_day()
        with trap_jobs():
            [flow] = self.fetch(None, "fundflow")
            [trade] = self.bills._get_bills(self.merchant, [self.day], ["trade"])
            flow._make_statement()
        self.assertFalse(flow.statement_count)
        with trap_jobs() as trap:
            trade._fetch()
            woken = [j for j in trap.enqueued_jobs if j.method_name != "_fetch"]
            self.assertEqual([j.method_name for j in woken], ["_make_statement"])
            self.assertEqual(woken[0].recordset, flow)
        flow._make_statement()
        self.assertEqual(len(self.lines(flow)), flow.line_count)

    def test_refund_told_by_a_notice(self):
        """It does not say what the merchant gives back; the bill does."""
        self.at("12:00:00")
        paid = self.pay("A-000001", 10000, [("NOCASH", 333)])
        refund = self.refund("B-1", paid, 3000)
        self.assertEqual(refund.settlement_fen, 2900)
        refund.promotion_ids.unlink()
        self.spoil(refund, settlement_fen=2901)
        self.fetch()
        self.assertFalse(self.kinds())
        self.assertEqual(refund.settlement_fen, 2900)
        # What WeChat has told stays, and is compared.
        self.spoil(paid, settlement_fen=9666)
        self.bills.search([("bill_type", "=", "trade")])._renew()
        self.assertEqual(self.kinds(), [("amount", "A-000001")])

    def test_long_reconciliation(self):
        """A job that runs out of time leaves the rest to the next."""
        self.close_session(self.sold_day())
        _trade, flow = self.fetch()
        flow._make_statement()
        items = self.lines(flow).move_id.line_ids
        items.remove_move_reconcile()
        waiting = self.merchant._open_fund_lines(0)
        self.assertEqual(len(waiting), 3)
        second = waiting[1].id
        self.assertEqual(self.merchant._open_fund_lines(second), waiting[2])
        path = "odoo.addons.wechat_pay.models.wechat_merchant"
        with (
            patch(f"{path}.SECONDS", -1),
            patch(f"{path}.CHUNK", 2),
            trap_jobs() as trap,
        ):
            self.assertEqual(self.merchant._reconcile_open(), 2)
            [job] = trap.enqueued_jobs
            self.assertEqual(job.args, (second,))
            job.perform()
            trap.assert_jobs_count(1)
        self.assertFalse(self.open_items())

    def test_piece_by_piece(self):
        """However few lines are booked at once, the session's payments are settled."""
        self.close_session(self.sold_day())
        _trade, flow = self.fetch()
        with patch("odoo.addons.wechat_pay.models.wechat_pay_bill.CHUNK", 1):
            flow._make_statement()
        self.assertEqual(self.balance(self.outstanding), 0)
        self.assertFalse(self.open_items())
        self.assertTrue(flow.statement_id.is_complete)

    def test_once(self):
        self.close_session(self.sold_day())
        _trade, flow = self.fetch()
        flow._make_statement()
        lines = self.lines(flow)
        flow._make_statement()
        self.fetch()
        flow._make_statement()
        self.assertEqual(self.lines(flow), lines)
        count = self.env["account.bank.statement.line"].search_count(
            [("journal_id", "=", self.journal.id)]
        )
        self.assertEqual(count, 5)
        # What is in the books is not changed by another file of the same day.
        self.change("missing_line", bill="fundflowbill", out_trade_no="A-000001")
        self.fetch()
        self.assertIn("Delete its statement lines first", flow.error)
        self.assertEqual((flow.state, flow.line_count), ("done", 5))
        self.assertEqual(self.lines(flow), lines)

    def test_session_closed_later(self):
        session = self.sold_day()
        _trade, flow = self.fetch()
        flow._make_statement()
        self.assertEqual(self.balance(self.outstanding), -150)
        self.close_session(session)
        self.assertEqual(self.balance(self.outstanding), 0)
        self.assertTrue(self.open_items())
        self.merchant._reconcile_open()
        self.assertFalse(self.open_items())
        self.assertEqual(self.merchant._reconcile_open(), 0)

    def test_payment_known_later(self):
        """An order that a till sends after the bill leaves the suspense account."""
        session = self.open_session()
        self.at("12:00:00")
        transaction = self.pay("A-000001", 10000, [("NOCASH", 500)])
        _trade, flow = self.fetch()
        flow._make_statement()
        suspense = self.journal.suspense_account_id
        self.assertEqual(self.balance(suspense), -95)
        transaction.pos_payment_id = self.sell(session, 100)
        self.close_session(session)
        self.merchant._reconcile_open()
        self.assertEqual(self.balance(suspense), 0)
        self.assertEqual(self.balance(self.discount_account), 5)
        self.assertFalse(self.open_items())

    @mute_logger("odoo.addons.wechat_pay.models.wechat_pay_fund_line")
    def test_closed_month_stops_only_its_own(self):
        """A line whose month is closed does not keep the others from the books."""
        tomorrow = self.day + timedelta(days=1)
        session = self.open_session()
        rows = []
        for day, number in ((self.day, "A-000001"), (tomorrow, "A-000002")):
            self.at("12:00:00", day)
            rows.append(self.pay(number, 10000))
        for day in (self.day, tomorrow):
            _trade, flow = self.fetch(day)
            flow._make_statement()
        suspense = self.journal.suspense_account_id
        self.assertEqual(self.balance(suspense), -200)
        for row in rows:
            row.pos_payment_id = self.sell(session, 100)
        self.close_session(session)
        # Odoo itself would ask to reconcile first.
        self.lock(self.day)
        self.merchant._reconcile_open()
        self.assertEqual(self.balance(suspense), -100)
        # And once more, when the month is open again.
        self.lock(None)
        self.merchant._reconcile_open()
        self.assertEqual(self.balance(suspense), 0)

    def lock(self, day):
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE res_company SET fiscalyear_lock_date = %s WHERE id = %s",
            [day, self.company.id],
        )
        self.env.invalidate_all()
        self.env.registry.clear_cache()

    def test_a_refund_is_not_mostly_a_fee(self):
        """WeChat moves far less than was to be given back: a person looks."""
        session = self.open_session()
        self.at("12:00:00")
        paid = self.pay("A-000001", 100000, pos=self.sell(session, 1000))
        self.refund("B-1", paid, 100000, pos=self.sell(session, -1000))
        ours = {"out_trade_no": "A-000001", "out_refund_no": "B-1"}
        self.change("other_amount", bill="fundflowbill", amount=100, **ours)
        self.close_session(session)
        _trade, flow = self.fetch()
        flow._make_statement()
        self.assertEqual(self.balance(self.journal.suspense_account_id), 1)
        self.assertEqual(self.balance(self.fee_account), 6)

    def test_two_orders_of_one_online_payment(self):
        """The order that was given up comes and goes; the other one pays."""
        web = self.web_tx(100)
        self.at("12:00:00")
        given_up = self.pay("W-000001", 10000, payment_transaction_id=web.id)
        given_up.abandoned = True
        self.refund("B-1", given_up, 10000)
        self.pay("W-000002", 10000, payment_transaction_id=web.id)
        _trade, flow = self.fetch()
        flow._make_statement()
        self.assertEqual(self.balance(self.outstanding), 0)
        self.assertFalse(self.open_items())
        self.assertEqual(web.payment_id.state, "paid")
        self.assertEqual(self.balance(self.journal.suspense_account_id), 0)

    def test_what_is_not_ours_waits_for_a_person(self):
        self.at("12:00:00")
        self.pay("A-000001", 10000)
        ghost = {"bill": "fundflowbill", "out_trade_no": "GHOST-1"}
        self.change("extra_line", amount=123, **ghost)
        _trade, flow = self.fetch()
        flow._make_statement()
        lines = self.lines(flow)
        self.assertEqual(lines.mapped("is_reconciled"), [False, True, False])
        self.assertEqual(self.balance(self.journal.suspense_account_id), -101.23)

    def test_days_follow_each_other(self):
        tomorrow = self.day + timedelta(days=1)
        self.at("12:00:00")
        self.pay("A-000001", 10000)
        self.at("12:00:00", tomorrow)
        self.pay("A-000002", 777)
        _trade, second = self.fetch(tomorrow)
        second._make_statement()
        _trade, first = self.fetch()
        first._make_statement()
        for bill in (first, second):
            last = self.lines(bill)[-1]
            self.assertEqual(last.running_balance, bill.balance_end_amount)
            self.assertTrue(bill.statement_id.is_valid)

    def web_tx(self, yuan):
        """Return an online payment that has been paid, and its payment in Odoo."""
        provider = self.env["payment.provider"].search(
            [("company_id", "=", self.company.id)], limit=1
        ) or self.env["payment.provider"].create(
            {"name": "Web", "company_id": self.company.id}
        )
        partner = self.env["res.partner"].create({"name": "Web customer"})
        received = self.env["account.payment"].create(
            {
                "amount": yuan,
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": partner.id,
                "journal_id": self.journal.id,
            }
        )
        received.outstanding_account_id = self.outstanding
        received.action_post()
        provider.journal_id = self.journal
        line = self.journal.inbound_payment_method_line_ids[:1]
        line.write(
            {
                "payment_provider_id": provider.id,
                "payment_account_id": self.outstanding.id,
            }
        )
        method = self.env["payment.method"].with_context(active_test=False)
        return self.env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": method.search([], limit=1).id,
                "reference": "WEB-1",
                "amount": yuan,
                "currency_id": self.company.currency_id.id,
                "partner_id": partner.id,
                "payment_id": received.id,
            }
        )

    def test_provider_payment(self):
        web = self.web_tx(100)
        self.at("12:00:00")
        self.pay("W-000001", 10000, payment_transaction_id=web.id)
        _trade, flow = self.fetch()
        flow._make_statement()
        self.assertEqual(self.balance(self.outstanding), 0)
        self.assertFalse(self.open_items())
        self.assertEqual(web.payment_id.state, "paid")

    def test_journal_is_needed(self):
        self.at("12:00:00")
        self.pay("A-000001")
        _trade, flow = self.fetch()
        self.merchant.journal_id = False
        with self.assertRaisesRegex(UserError, "journal"):
            flow.action_make_statement()
        self.journal.currency_id = self.env.ref("base.USD")
        self.merchant.journal_id = self.journal
        with self.assertRaisesRegex(UserError, "yuan"):
            flow.action_make_statement()
