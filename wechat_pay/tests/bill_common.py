"""A merchant with a real sandbox, a till, and days of payments."""

import unittest
from datetime import datetime, timedelta
from uuid import uuid4

from odoo import Command, fields
from odoo.tests import TransactionCase, new_test_user

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
        cls.company = cls.new_company("Bill Shop CN")
        cls.env.user.company_ids |= cls.company
        cls.env = cls.env(
            context={**cls.env.context, "allowed_company_ids": cls.company.ids}
        )
        cls.make_books()
        cls.merchant = cls.env["wechat.merchant"].create(
            {
                "name": "Shop",
                "mchid": MCHID,
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
        cls.bills = cls.env["wechat.pay.bill"]
        cls.day = cls.bills._today() - timedelta(days=3)

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
        self.client = self.merchant._get_pay_client()

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
        """A customer pays at WeChat, and we know it.

        :param coupons: pairs of type and fen
        """
        body = {
            "appid": APPID,
            "mchid": MCHID,
            "description": "茶, `大`",
            "out_trade_no": number,
            "notify_url": f"{self.url}/nobody",
            "amount": {"total": amount, "currency": "CNY"},
        }
        openid = self.control("users", nickname="小明")["openid"]
        for kind, fen in coupons:
            self.control(f"phone/{openid}/vouchers", type=kind, amount=fen)
        self.client.request("POST", "/v3/pay/transactions/native", body=body)
        order = self.control(
            f"pay/orders/{MCHID}/{number}/pay", openid=openid, notify=False
        )
        promotions = order.get("promotion_detail", [])
        free = sum(p["amount"] for p in promotions if p["type"] == "NOCASH")
        return self.transaction(
            "payment",
            number,
            order["transaction_id"],
            order["success_time"],
            amount_fen=amount,
            payer_total_fen=order["amount"]["payer_total"],
            settlement_fen=amount - free,
            pos_payment_id=pos and pos.id,
            **vals,
        )

    def refund(self, number, payment, amount, pos=None, **vals):
        """We give money back."""
        body = {
            "out_trade_no": payment.number,
            "out_refund_no": number,
            "amount": {
                "refund": amount,
                "total": payment.amount_fen,
                "currency": "CNY",
            },
        }
        path = "/v3/refund/domestic/refunds"
        self.client.request("POST", path, body=body)
        data = self.client.request("GET", f"{path}/{number}").data
        self.assertEqual(data["status"], "SUCCESS")
        return self.transaction(
            "refund",
            number,
            data["refund_id"],
            data["success_time"],
            amount_fen=amount,
            settlement_fen=data["amount"]["settlement_refund"],
            payment_id=payment.id,
            pos_payment_id=pos and pos.id,
            **vals,
        )

    def transaction(self, kind, number, remote_no, success, **vals):
        moment = datetime.fromisoformat(success).replace(tzinfo=None) - BEIJING
        return self.env["wechat.pay.transaction"].create(
            {
                "kind": kind,
                "way": "native",
                "number": number,
                "remote_no": remote_no,
                "merchant_id": self.merchant.id,
                "company_id": self.company.id,
                "currency_id": self.company.currency_id.id,
                "state": "done",
                "success_at": moment,
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
