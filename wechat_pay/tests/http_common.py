"""What the tests of the web share: a provider, an invoice, a customer's browser."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

from odoo import Command, fields
from odoo.tests import HttpCase

from odoo.addons.payment.controllers.post_processing import PaymentPostProcessing

from .common import APPID, MCHID, PayCase

DESKTOP = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140.0 Safari/537.36"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile Safari/604.1"
WECHAT = f"{PHONE} MicroMessenger/8.0.50(0x18003231) Language/zh_CN"


class WebCase(PayCase, HttpCase):
    """Payments of 12.34 yuan in the browser, against the sandbox."""

    account_appid = APPID
    #: id of the payment that the browser has begun in Odoo's payment form
    begun = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider = cls.make_provider()
        cls.partner = cls.env["res.partner"].create(
            {
                "name": "小林",
                "email": "lin@example.com",
                "phone": "+86 138 0013 8000",
                "company_id": cls.company.id,
            }
        )
        cls.payment_method = cls.env.ref("payment.payment_method_wechat_pay")

    @classmethod
    def make_provider(cls):
        provider = cls.env["payment.provider"].search(
            [("code", "=", "wechat_pay"), ("company_id", "=", cls.company.id)], limit=1
        )
        provider.write(
            {
                "wechat_merchant_id": cls.merchant.id,
                "state": "test",
                "is_published": True,
            }
        )
        return provider

    def setUp(self):
        super().setUp()
        self.env["ir.config_parameter"].set_param("web.base.url", self.base_url())
        self.merchant.invalidate_recordset(["notify_url"])
        self.browse_as(DESKTOP)

    def browse_as(self, agent):
        """Start a new browser, which knows nothing."""
        self.opener.cookies.clear()
        self.authenticate(None, None)
        self.opener.headers["User-Agent"] = agent

    def authenticate(self, user, password, **kwargs):
        """Override: every new session has begun what this browser has begun."""
        if self.begun:
            key = PaymentPostProcessing.MONITORED_TX_ID_KEY
            kwargs["session_extra"] = {key: self.begun}
        return super().authenticate(user, password, **kwargs)

    def begin(self, tx):
        """Let this browser be the one in which the customer has begun to pay."""
        self.begun = tx.id
        self.browse_as(DESKTOP)

    # === WHAT IS PAID === #

    def make_tx(self, **vals):
        tx = self.env["payment.transaction"].create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": self.payment_method.id,
                "amount": 12.34,
                "currency_id": self.company.currency_id.id,
                "partner_id": self.partner.id,
                "operation": "online_redirect",
                "landing_route": "/landed",
                **vals,
            }
        )
        self.env.flush_all()
        return tx

    def make_invoice(self):
        invoice = self.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "company_id": self.company.id,
                "partner_id": self.partner.id,
                "invoice_line_ids": [
                    Command.create(
                        {"name": "Tea", "price_unit": 12.34, "tax_ids": False}
                    )
                ],
            }
        )
        invoice.action_post()
        return invoice

    def invoice_tx(self, **vals):
        invoice = self.make_invoice()
        return self.make_tx(invoice_ids=[Command.set(invoice.ids)], **vals)

    # === IN THE BROWSER === #

    def open_page(self, tx, **kwargs):
        self.env.flush_all()
        answer = self.url_open(tx._wechat_url(), **kwargs)
        self.env.invalidate_all()
        return answer

    def ask(self, tx, what="status", **params):
        self.env.flush_all()
        params.setdefault("access_token", tx._wechat_token())
        answer = self.make_jsonrpc_request(f"{tx._wechat_path()}/{what}", params)
        self.env.invalidate_all()
        return answer

    def shown(self, answer):
        """Return what the page says about itself."""
        return dict(re.findall(r'data-(state|way|number|jsapi)="([^"]*)"', answer.text))

    def rows(self, tx):
        self.env.invalidate_all()
        return self.env["wechat.pay.transaction"]._web_rows(tx)

    @staticmethod
    def seconds_ago(seconds):
        return fields.Datetime.now() - timedelta(seconds=seconds)

    def later(self, row):
        """Let so much time pass that WeChat may be asked again."""
        row.write({"queried_at": False, "sent_at": self.long_ago()})
        self.env.flush_all()

    # === AT WECHAT === #

    def pay(self, number, notify=False, **vals):
        self.env.flush_all()
        vals = {"openid": self.openid, "notify": notify, **vals}
        with self.allow_requests(all_requests=True):
            self.sandbox.post(f"pay/orders/{MCHID}/{number}/pay", **vals)
            if notify:
                self.sandbox.post("callbacks/wait", timeout=10)
        if notify:
            return self.process_events()
        return None

    def process_events(self):
        self.env.invalidate_all()
        events = self.env["wechat.event"].search(
            [("merchant_id", "=", self.merchant.id), ("state", "=", "pending")]
        )
        for event in events:
            event._process()
        self.env.flush_all()
        # What the customer's vouchers say is not about payments.
        return events.filtered(lambda event: not event.event_type.startswith("coupon."))

    def scan(self, number):
        """Pay with the phone what its camera has read from the screen."""
        code_url = self.remote(number)["code_url"]
        key = urlsplit(code_url).query.removeprefix("pr=")
        answer = self.sandbox_page(
            f"/phone/{self.openid}/pay/{key}", data={"action": "pay"}
        )
        self.assertEqual(answer.status_code, 200)

    def sandbox_page(self, path, **kwargs):
        """Ask for a page of the sandbox's phone."""
        return self.opener.request(
            "POST" if "data" in kwargs else "GET", f"{self.sandbox.url}{path}", **kwargs
        )
