"""What the tests share: a shop in China whose merchant lives at the sandbox."""

from datetime import timedelta
from uuid import uuid4

from odoo import Command, fields
from odoo.tests import HttpCase, TransactionCase, new_test_user

from odoo.addons.wechat_base.tests.common import APIV3_KEY, make_keys
from odoo.addons.wechat_base.tests.sandbox import Sandbox

from .pay_sandbox import APIV2_KEY, AtWechat

MCHID = "1900009191"
APPID = "wxpay000000000001"


class PayShop(AtWechat):
    """Records of a shop; for test cases of any kind."""

    @classmethod
    def make_shop(cls, company):
        """Make a merchant, known here and at the sandbox."""
        known = cls.tell_sandbox(MCHID, APPID, "gh_pay000000000")
        cls.account = cls.env["wechat.account"].create(
            {
                "name": "Shop",
                "appid": APPID,
                "original_id": "gh_pay000000000",
                "secret": "0123456789abcdef0123456789abcdef",
                "token": "paytoken",
                "company_id": company.id,
                "environment": "sandbox",
                "sandbox_url": cls.sandbox.url,
            }
        )
        journal = cls.env["account.journal"].search(
            [("type", "=", "bank"), ("company_id", "=", company.id)], limit=1
        )
        cls.merchant = cls.env["wechat.merchant"].create(
            {
                "name": "Shop",
                "mchid": MCHID,
                "company_id": company.id,
                "account_ids": [Command.set(cls.account.ids)],
                "apiv3_key": APIV3_KEY,
                "apiv2_key": APIV2_KEY,
                "private_key": make_keys("merchant").private_pem,
                "certificate": make_keys("merchant").certificate_pem,
                "environment": "sandbox",
                "sandbox_url": cls.sandbox.url,
                "journal_id": journal.id,
                "key_ids": [
                    Command.create(
                        {
                            "kind": "public_key",
                            "serial": known["public_key_id"],
                            "pem": known["public_key_pem"],
                        }
                    )
                ],
            }
        )
        cls.method = cls.env["pos.payment.method"].create(
            {
                "name": "WeChat Pay",
                "journal_id": journal.id,
                "company_id": company.id,
                "payment_method_type": "terminal",
                "use_payment_terminal": "wechat_pay",
                "wechat_merchant_id": cls.merchant.id,
            }
        )


class PayCase(PayShop, TransactionCase):
    """A till with an open session and a customer with a phone."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context={**cls.env.context, "tracking_disable": True})
        cls.company = cls.new_company("Test Shop CN")
        cls.env.user.company_ids |= cls.company
        cls.env = cls.env(
            context={**cls.env.context, "allowed_company_ids": cls.company.ids}
        )
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.close)
        # The steps of a payment are transactions of their own, which have to see
        # what the test has not committed.
        if not issubclass(cls, HttpCase):
            cls.registry_enter_test_mode_cls()
        cls.make_shop(cls.company)
        cls.card = cls.env["pos.payment.method"].create(
            {
                "name": "Card",
                "company_id": cls.company.id,
                "journal_id": cls.method.journal_id.id,
            }
        )
        cls.config = cls.env["pos.config"].create(
            {
                "name": "Shop 1",
                "company_id": cls.company.id,
                "payment_method_ids": [Command.set((cls.method | cls.card).ids)],
            }
        )
        cls.config.open_ui()
        cls.config.current_session_id.set_opening_control(0, "")
        cls.cashier = cls.new_user("pay_cashier", "point_of_sale.group_pos_user")
        cls.manager = cls.new_user("pay_boss", "wechat_pay.pay_group_manager")
        cls.till = cls.method.with_user(cls.cashier)
        cls.env.flush_all()

    @classmethod
    def new_company(cls, name):
        cls.env.ref("base.CNY").active = True
        company = cls.env["res.company"].create(
            {
                "name": name,
                "country_id": cls.env.ref("base.cn").id,
                "currency_id": cls.env.ref("base.CNY").id,
            }
        )
        cls.env["account.chart.template"].try_loading(
            "generic_coa", company=company, install_demo=False
        )
        company.currency_id = cls.env.ref("base.CNY")
        return company

    @classmethod
    def new_user(cls, login, *groups):
        return new_test_user(
            cls.env,
            login,
            groups=",".join(["base.group_user", *groups]),
            company_id=cls.company.id,
            company_ids=[Command.set(cls.company.ids)],
        )

    def setUp(self):
        super().setUp()
        self.reset_sandbox()
        self.order = str(uuid4())
        self.line = str(uuid4())

    # === AT THE TILL === #

    def payment(self, **vals):
        """Return what the till sends for a payment of 12.34 yuan."""
        return {
            "config": self.config.id,
            "order": self.order,
            "line": self.line,
            "name": "0001",
            "amount": 1234,
            "total": 1234,
            "way": "codepay",
            **vals,
        }

    def charge(self, code=None, **vals):
        return self.call("start", self.payment(code=code or self.code(), **vals))

    def cancel(self):
        return self.call("cancel", self.line)

    def call(self, name, *args):
        """Call the till's method as a request of its own would."""
        self.env.flush_all()
        self.env.invalidate_all()
        return getattr(self.till, f"wechat_pay_{name}")(*args)

    def status(self, line=None):
        """Ask as the till does, some seconds later."""
        self.row(line).write({"queried_at": False, "sent_at": self.long_ago()})
        return self.call("status", line or self.line)

    @staticmethod
    def long_ago():
        return fields.Datetime.now() - timedelta(seconds=20)

    def row(self, line=None):
        rows = self.env["wechat.pay.transaction"]
        rows.invalidate_model()
        return rows._pos_row(self.method.id, line or self.line)

    def let_time_pass(self, row=None):
        """The customer has had time enough; whatever waits is due."""
        row = row or self.row()
        row.write({"expires_at": self.long_ago(), "next_at": self.long_ago()})
        row.flush_recordset()

    def drain(self):
        self.env.flush_all()
        self.env["wechat.pay.transaction"]._pay_drain()
        self.env.invalidate_all()

    def sell(self, product, qty, price, payments, order=None, refunds=None):
        """Save a paid order, as the till does after the payment.

        :param list payments: (uuid, payment method, yuan)
        :param refunds: order line that comes back
        """
        total = round(qty * price, 2)
        line = {
            "uuid": str(uuid4()),
            "product_id": product.id,
            "qty": qty,
            "price_unit": price,
            "price_subtotal": total,
            "price_subtotal_incl": total,
            "discount": 0,
            "tax_ids": [],
        }
        if refunds:
            line["refunded_orderline_id"] = refunds.id
        order = order or self.order
        self.env.flush_all()
        self.env.invalidate_all()
        self.env["pos.order"].sync_from_ui(
            [
                {
                    "uuid": order,
                    "name": f"Order {order[:8]}",
                    "session_id": self.config.current_session_id.id,
                    "user_id": self.env.uid,
                    "partner_id": False,
                    "amount_paid": total,
                    "amount_total": total,
                    "amount_tax": 0,
                    "amount_return": 0,
                    "state": "paid",
                    "to_invoice": False,
                    "lines": [Command.create(line)],
                    "payment_ids": [
                        Command.create(
                            {
                                "uuid": uuid,
                                "amount": amount,
                                "payment_method_id": method.id,
                                "payment_status": "done",
                            }
                        )
                        for uuid, method, amount in payments
                    ],
                }
            ]
        )
        return self.env["pos.order"].search([("uuid", "=", order)])

    # === AT WECHAT === #

    def remote(self, number):
        """Return what the sandbox knows about an order."""
        orders = self.sandbox.call("GET", "state")["orders"]
        return next(o for o in orders if o["out_trade_no"] == number)

    def remote_refunds(self, number):
        refunds = self.sandbox.call("GET", "state")["refunds"]
        return [r for r in refunds if r["out_trade_no"] == number]

    def count(self, path):
        """Return how often something was asked for."""
        return len(self.sandbox.log(path))

    def password(self, number, result):
        self.sandbox.post(f"pay/orders/{MCHID}/{number}/password", result=result)
