from datetime import datetime, timedelta, timezone
from uuid import uuid4

from odoo import Command
from odoo.tests import tagged

from ..tools.bill import BEIJING
from .common import MCHID, PayCase


@tagged("post_install", "-at_install")
class TestDay(PayCase):
    """The books of a day: cash, WeChat Pay, its coupons, refunds, and the bills."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()

        def account(name, code, kind, **vals):
            return cls.env["account.account"].create(
                {"name": name, "code": code, "account_type": kind, **vals}
            )

        cls.outstanding = account(
            "Outstanding", "101489", "asset_current", reconcile=True
        )
        cls.fees = account("Fees", "601489", "expense")
        cls.discounts = account("WeChat coupons", "601488", "expense")
        cls.journal = cls.env["account.journal"].create(
            {"name": "WeChat", "code": "WXD", "type": "bank"}
        )
        cls.merchant.write(
            {
                "journal_id": cls.journal.id,
                "fee_account_id": cls.fees.id,
                "discount_account_id": cls.discounts.id,
            }
        )
        cls.config.current_session_id.action_pos_session_closing_control()
        cls.method.write(
            {"journal_id": cls.journal.id, "outstanding_account_id": cls.outstanding.id}
        )
        cls.cash = cls.env["pos.payment.method"].create(
            {
                "name": "Cash",
                "journal_id": cls.env["account.journal"]
                .create({"name": "Till", "code": "TIL", "type": "cash"})
                .id,
            }
        )
        cls.config.payment_method_ids = [Command.link(cls.cash.id)]
        cls.config.open_ui()
        cls.session = cls.config.current_session_id
        cls.session.set_opening_control(0, "")
        cls.tea = cls.env["product.product"].create(
            {"name": "Tea", "available_in_pos": True, "taxes_id": [Command.clear()]}
        )
        cls.env.flush_all()

    def wechat(self, yuan, vouchers=(), total=None, way="codepay"):
        """A customer pays with WeChat; return what the order says of it."""
        for kind, fen in vouchers:
            self.sandbox.post(
                f"phone/{self.openid}/vouchers", type=kind, amount=fen, name=kind
            )
        line, fen = str(uuid4()), round(yuan * 100)
        payment = self.payment(
            line=line, amount=fen, total=round((total or yuan) * 100), way=way
        )
        if way == "codepay":
            answer = self.call("start", {**payment, "code": self.code()})
        else:
            answer = self.call("start", payment)
            path = f"pay/orders/{MCHID}/{answer['number']}/pay"
            self.sandbox.post(path, openid=self.openid, notify=False)
            answer = self.status(line)
        self.assertEqual(answer["state"], "done", answer)
        return (line, self.method, yuan)

    def in_cash(self, yuan):
        return (str(uuid4()), self.cash, yuan)

    def order_of(self, yuan, *payments, **vals):
        order = self.sell(self.tea, 1 if yuan > 0 else -1, abs(yuan), payments, **vals)
        self.order = str(uuid4())
        return order

    def give_back(self, order, yuan, goods):
        line = str(uuid4())
        answer = self.call(
            "refund",
            {
                "config": self.config.id,
                "order": self.order,
                "line": line,
                "amount": round(yuan * 100),
                "orders": order.ids,
                "goods": [[goods.id, round(yuan * 100)]],
            },
        )
        self.assertIn(answer["state"], ("done", "waiting"), answer)
        return (line, self.method, -yuan)

    def balance(self, accounts):
        items = self.env["account.move.line"].search(
            [
                ("account_id", "in", accounts.ids),
                ("parent_state", "=", "posted"),
                ("company_id", "=", self.company.id),
            ]
        )
        return round(sum(items.mapped("balance")), 2)

    def bills(self):
        """Tomorrow at eleven the bills of today are fetched."""
        bills = self.env["wechat.pay.bill"]
        eleven = datetime.combine(self.today, datetime.min.time()) + timedelta(hours=35)
        seconds = (eleven - BEIJING - datetime(1970, 1, 1)).total_seconds()
        self.sandbox.post("clock", set=seconds)
        found = bills._get_bills(self.merchant, [self.today], ("trade", "fundflow"))
        for bill in found.sorted("bill_type"):
            bill._fetch()
        return found.sorted("bill_type", reverse=True)

    def test_day(self):
        # A day that ends while it is sold would have two bills.
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        self.today = (now + BEIJING).date()
        if (now + BEIJING + timedelta(minutes=20)).date() != self.today:
            early = now - timedelta(minutes=40) - datetime(1970, 1, 1)
            self.sandbox.post("clock", set=early.total_seconds())
        self.sandbox.post("settings", auto_refund=True)
        self.order_of(50, self.in_cash(50))
        plain = self.order_of(100, self.wechat(100))
        both = self.order_of(100, self.wechat(100, [("CASH", 1000), ("NOCASH", 2000)]))
        self.order_of(30, self.wechat(30, way="native"))
        self.order_of(40, self.in_cash(15), self.wechat(25, total=40))
        # A payment whose answer was lost and that the cashier gave up: reversed.
        self.fault("codepay", "http_status", status=500, commit=True)
        self.charge()
        self.assertEqual(self.cancel()["state"], "cancelled")
        self.order = str(uuid4())
        # Half of the order with coupons comes back, and a part of the plain one.
        self.order_of(-50, self.give_back(both, 50, both.lines), refunds=both.lines)
        self.order_of(-10, self.give_back(plain, 10, plain.lines), refunds=plain.lines)
        self.order_of(-5, self.in_cash(-5))
        self.env["wechat.pay.transaction"].search([("state", "=", "waiting")]).write(
            {"next_at": self.long_ago()}
        )
        self.drain()
        self.session.post_closing_cash_details(60)
        self.session.action_pos_session_closing_control()
        self.assertEqual(self.session.state, "closed")
        self.assertEqual(self.balance(self.outstanding), 195)

        trade, flow = self.bills()
        self.assertEqual((trade.state, flow.state), ("done", "done"))
        differences = self.env["wechat.pay.difference"].search([])
        self.assertFalse(differences.mapped("display_name"))
        flow._make_statement()

        lines = self.env["account.bank.statement.line"].search(
            [("journal_id", "=", self.journal.id)]
        )
        self.assertAlmostEqual(sum(lines.mapped("amount")), flow.balance_end_amount)
        # Settlement: what lies at WeChat is what the fund flow says, to the fen.
        self.assertEqual(
            self.balance(self.journal.default_account_id), flow.balance_end_amount
        )
        self.assertEqual(self.balance(self.outstanding), 0)
        self.assertEqual(self.balance(self.journal.suspense_account_id), 0)
        self.assertTrue(all(lines.mapped("is_reconciled")))
        # Twenty yuan off for nothing, half of that given back with the goods.
        self.assertEqual(self.balance(self.discounts), 10)
        revenue = self.env["account.account"].search(
            [
                ("company_ids", "in", self.company.ids),
                ("account_type", "in", ("income", "income_other")),
            ]
        )
        self.assertEqual(
            self.balance(revenue), -(50 + 100 + 100 + 30 + 40 - 50 - 10 - 5)
        )
        self.assertEqual(self.balance(self.cash.journal_id.default_account_id), 60)
        receivable = self.env["account.account"].search(
            [
                ("company_ids", "in", self.company.ids),
                ("account_type", "=", "asset_receivable"),
            ]
        )
        self.assertEqual(self.balance(receivable), 0)
        everything = self.env["account.account"].search(
            [("company_ids", "in", self.company.ids)]
        )
        self.assertEqual(self.balance(everything), 0)
        fee = self.balance(self.fees)
        self.assertEqual(
            flow.balance_end_amount, round(195 - 10 - fee, 2), "settled less fees"
        )
