"""A merchant at the sandbox, for tests of calls that need no database."""

import json

from odoo.tests import BaseCase

from odoo.addons.wechat_base.tests.common import APIV3_KEY, make_keys
from odoo.addons.wechat_base.tests.sandbox import Sandbox

MCHID = "1900009192"
APPID = "wxpay000000000002"
APIV2_KEY = "2abcdefghijklmnopqrstuvwxyz01234"
SHOP = {"store_info": {"id": "shop1"}}


class PaySandboxCase(BaseCase):
    """A merchant and a customer with a phone at the sandbox."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.close)
        cls.sandbox.post(
            "accounts",
            appid=APPID,
            secret="0123456789abcdef0123456789abcdef",
            token="paytoken",
            original_id="gh_pay000000001",
            callback_mode="plain",
        )
        cls.known = cls.sandbox.post(
            "merchants",
            mchid=MCHID,
            appids=[APPID],
            apiv3_key=APIV3_KEY,
            apiv2_key=APIV2_KEY,
            merchant_cert_pem=make_keys("merchant").certificate_pem,
        )
        cls.openid = cls.sandbox.post("users", nickname="小林")["openid"]
        cls.count = 0

    def setUp(self):
        super().setUp()
        self.sandbox.call("DELETE", "faults")
        self.sandbox.post(
            "settings", refund_gap_seconds=0, ask_password=False, free_payments=None
        )
        type(self).count += 1
        self.number = f"ORDER-{self.count:04}"

    def code(self):
        """Return a new payment code on the customer's phone."""
        return self.sandbox.post(f"phone/{self.openid}/pay_code", new=True)["auth_code"]

    def ask_password(self):
        self.sandbox.post(f"phone/{self.openid}/ask_password", times=1)

    def password(self, result):
        path = f"pay/orders/{MCHID}/{self.number}/password"
        self.sandbox.post(path, result=result)

    def fault(self, path, kind, times=1, **vals):
        body = {"path": path, "kind": kind, "times": times, **vals}
        self.sandbox.call("POST", "faults", body)

    def sent(self, path):
        """Return how often this test's order was sent to a path."""
        return sum(self.number in json.dumps(e["body"]) for e in self.sandbox.log(path))

    def refunds(self):
        """Return the refunds of this test's order at WeChat."""
        refunds = self.sandbox.call("GET", "state")["refunds"]
        return [r for r in refunds if r["out_trade_no"] == self.number]
