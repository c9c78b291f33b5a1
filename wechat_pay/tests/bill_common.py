"""A merchant with a real sandbox, a till, and days of payments."""

import unittest
from datetime import datetime, timedelta
from uuid import uuid4

from odoo import Command, fields
from odoo.tests import TransactionCase, new_test_user
from odoo.tools import SQL

from odoo.addons.wechat_base.tests.common import APIV3_KEY, APPID, MCHID, make_keys
from odoo.addons.wechat_base.tests.sandbox import SANDBOX, Sandbox

from ..tools.bill import BEIJING


# Installed with pip, the add-on stands alone; in the repository this is never skipped.
@unittest.skipUnless(
    (SANDBOX / "wechat_sandbox").is_dir(), "the sandbox is not beside this add-on"
)
class BillCase(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context={**cls.env.context, "tracking_disable": True})
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.close)
        cls.url = cls.sandbox.url
        # The engine's steps and the job's progress are transactions of their own.
        cls.registry_enter_test_mode_cls()
        cls.company = cls.new_company("Bill Shop CN")
        cls.env.user.company_ids |= cls.company
        cls.env = cls.env(
            context={**cls.env.context, "allowed_company_ids": cls.company.ids}
        )
        cls.make_books()
        cls.merchant = cls.new_merchant("Shop", MCHID)
        cls.bills = cls.env["wechat.pay.bill"]
        cls.yuan = cls.env.ref("base.CNY")
        cls.day = cls.bills._today() - timedelta(days=3)

    @classmethod
    def new_merchant(cls, name, mchid):
        return cls.env["wechat.merchant"].create(
            {
                "name": name,
                "mchid": mchid,
                "apiv3_key": APIV3_KEY,
                "private_key": make_keys("merchant").private_pem,
                "certificate": make_keys("merchant").certificate_pem,
                "environment": "sandbox",
                "sandbox_url": cls.url,
                "company_id": cls.company.id,
                "fee_account_id": cls.fee_account.id,
                "discount_account_id": cls.discount_account.id,
            }
        )

    @classmethod
    def new_company(cls, name):
        yuan = cls.env.ref("base.CNY")
        yuan.active = True
        company = cls.env["res.company"].create(
            {
                "name": name,
                "country_id": cls.env.ref("base.cn").id,
                "currency_id": yuan.id,
            }
        )
        cls.env["account.chart.template"].try_loading(
            "generic_coa", company=company, install_demo=False
        )
        company.currency_id = yuan
        return company

    @classmethod
    def make_books(cls):
        def account(name, code, kind, **vals):
            return cls.env["account.account"].create(
                {"name": name, "code": code, "account_type": kind, **vals}
            )

        cls.outstanding = account(
            "WeChat outstanding", "101499", "asset_current", reconcile=True
        )
        cls.fee_account = account("WeChat fees", "601499", "expense")
        cls.discount_account = account("WeChat coupons", "601498", "expense")
        cls.journal = cls.env["account.journal"].create(
            {"name": "WeChat Pay", "code": "WXP", "type": "bank"}
        )
        cls.method = cls.env["pos.payment.method"].create(
            {
                "name": "WeChat Pay",
                "journal_id": cls.journal.id,
                "outstanding_account_id": cls.outstanding.id,
            }
        )
        cls.config = cls.env["pos.config"].create(
            {"name": "Till", "payment_method_ids": [Command.set(cls.method.ids)]}
        )
        cls.product = cls.env["product.product"].create(
            {"name": "Tea", "available_in_pos": True, "taxes_id": [Command.clear()]}
        )

    @classmethod
    def new_user(cls, login, *groups):
        return new_test_user(
            cls.env(context={**cls.env.context, "no_reset_password": True}),
            login,
            groups=",".join(["base.group_user", *groups]),
            company_id=cls.company.id,
            company_ids=[Command.set(cls.company.ids)],
        )

    def setUp(self):
        super().setUp()
        self.control("reset", keep_accounts=False)
        self.control(
            "accounts",
            appid=APPID,
            secret="s" * 32,
            token="token",
            encoding_aes_key="abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
            original_id="gh_shop",
        )
        answer = self.control(
            "merchants",
            mchid=MCHID,
            appids=[APPID],
            apiv3_key=APIV3_KEY,
            merchant_serial=self.merchant.merchant_serial,
            merchant_cert_pem=make_keys("merchant").certificate_pem,
        )
        self.merchant.key_ids = [
            Command.clear(),
            Command.create(
                {
                    "kind": "public_key",
                    "serial": answer["public_key_id"],
                    "pem": answer["public_key_pem"],
                }
            ),
        ]
        self.control("settings", refund_gap_seconds=0, auto_refund=True)

    # === AT WECHAT === #

    def control(self, order, /, **values):
        return self.sandbox.post(order, **values) or {}

    def at(self, text, day=None):
        """Move the sandbox's clock to a Beijing time."""
        moment = datetime.fromisoformat(f"{day or self.day} {text}") - BEIJING
        seconds = (moment - datetime(1970, 1, 1)).total_seconds()
        self.control("clock", set=seconds + 0.2)

    def change(self, kind, day=None, **values):
        """Let a bill say something else."""
        values.setdefault("bill_date", str(day or self.day))
        self.control(f"pay/bills/{MCHID}/changes", kind=kind, **values)

    def unchange(self):
        self.sandbox.call("DELETE", f"pay/bills/{MCHID}/changes")

    def pay(self, number, amount=10000, coupons=(), pos=None, **vals):
        """A customer pays by QR code, through the engine.

        :param coupons: pairs of type and fen
        :param vals: what we have got wrong, written past the engine, which would not
        """
        openid = self.control("users", nickname="小明")["openid"]
        for kind, fen in coupons:
            self.control(f"phone/{openid}/vouchers", type=kind, amount=fen)
        payment = self.place(number, amount)
        self.control(f"pay/orders/{MCHID}/{number}/pay", openid=openid, notify=False)
        self.work(payment, "query")
        self.assertEqual(payment.state, "done")
        return self.spoil(payment, pos_payment_id=pos and pos.id, **vals)

    def place(self, number, amount=10000):
        """A QR code is shown; nobody has paid it yet."""
        payment = self.transaction(
            "payment",
            number,
            description="茶, `大`",
            amount_fen=amount,
            # By the real clock; the sandbox's may be days behind.
            expires_at=fields.Datetime.now() + timedelta(days=1),
        )
        self.work(payment, "place")
        self.assertEqual(payment.state, "waiting")
        return payment

    def refund(self, number, payment, amount, pos=None, **vals):
        """We give money back, through the engine."""
        refund = payment._refund(amount, number=number)
        self.work(refund)
        self.work(refund, "query")
        self.assertEqual(refund.state, "done")
        return self.spoil(refund, pos_payment_id=pos and pos.id, **vals)

    def work(self, row, wish=None):
        """Let the engine take its next step; it has transactions of its own."""
        self.env.flush_all()
        row._work(row.id, wish)
        self.env.invalidate_all()

    def spoil(self, row, **vals):
        """Write what the engine would refuse: a mistake that a bill has to show."""
        vals = {name: value for name, value in vals.items() if value is not None}
        self.env.flush_all()
        for name, value in vals.items():
            self.env.cr.execute(
                SQL(
                    "UPDATE wechat_pay_transaction SET %s = %s WHERE id = %s",
                    SQL.identifier(name),
                    value,
                    row.id,
                )
            )
        row.invalidate_recordset()
        return row

    def transaction(self, kind, number, **vals):
        return self.env["wechat.pay.transaction"].create(
            {
                "kind": kind,
                "way": "native",
                "number": number,
                "appid": APPID,
                "merchant_id": self.merchant.id,
                "company_id": self.company.id,
                "currency_id": self.company.currency_id.id,
                **vals,
            }
        )

    # === BILLS === #

    def fetch(self, day=None, *types):
        """Fetch the bills of a day now; return them by type."""
        self.control("clock", reset=True)
        found = self.bills._get_bills(
            self.merchant, [day or self.day], types or ("trade", "fundflow")
        )
        for bill in found.sorted("bill_type"):
            bill._fetch()
        return found.sorted("bill_type", reverse=True)

    def differences(self, state="open"):
        found = self.env["wechat.pay.difference"].search(
            [("merchant_id", "=", self.merchant.id), ("state", "=", state)]
        )
        return found.sorted("id")

    def kinds(self):
        return [(d.kind, d.number) for d in self.differences()]

    # === THE TILL === #

    def open_session(self):
        self.config.open_ui()
        session = self.config.current_session_id
        session.set_opening_control(0, None)
        return session

    def sell(self, session, yuan):
        """Return the payment of a paid order, or of one that is given back."""
        sign = 1 if yuan > 0 else -1
        order = self.env["pos.order"].create(
            {
                "uuid": str(uuid4()),
                "session_id": session.id,
                "company_id": self.company.id,
                "amount_total": yuan,
                "amount_tax": 0,
                "amount_paid": 0,
                "amount_return": 0,
                "date_order": fields.Datetime.now(),
                "lines": [
                    Command.create(
                        {
                            "product_id": self.product.id,
                            "qty": sign,
                            "price_unit": abs(yuan),
                            "price_subtotal": yuan,
                            "price_subtotal_incl": yuan,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
            }
        )
        order.add_payment(
            {
                "pos_order_id": order.id,
                "amount": yuan,
                "payment_method_id": self.method.id,
            }
        )
        order.action_pos_order_paid()
        return order.payment_ids

    def close_session(self, session):
        session.action_pos_session_closing_control()
        self.assertEqual(session.state, "closed")
