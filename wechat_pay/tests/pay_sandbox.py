"""A merchant at the sandbox, for tests of calls that need no database."""

import json

from odoo.tests import BaseCase

from odoo.addons.wechat_base.tests.common import APIV3_KEY, make_keys
from odoo.addons.wechat_base.tests.sandbox import Sandbox

MCHID = "1900009192"
APPID = "wxpay000000000002"
APIV2_KEY = "2abcdefghijklmnopqrstuvwxyz01234"
SHOP = {"store_info": {"id": "shop1"}}


class AtWechat:
    """A merchant and a customer with a phone at the sandbox; for cases of any kind."""

    @classmethod
    def tell_sandbox(cls, mchid, appid, original_id):
        """Have a merchant with an account, and a customer.

        :return: what the sandbox says of the merchant
        """
        # One customer pays all day long, and is not to be asked for the password.
        cls.sandbox.post("settings", free_payments=None)
        cls.sandbox.post(
            "accounts",
            appid=appid,
            secret="0123456789abcdef0123456789abcdef",
            token="paytoken",
            original_id=original_id,
            callback_mode="plain",
        )
        cls.openid = cls.sandbox.post("users", nickname="小林")["openid"]
        return cls.sandbox.post(
            "merchants",
            mchid=mchid,
            appids=[appid],
            apiv3_key=APIV3_KEY,
            apiv2_key=APIV2_KEY,
            merchant_cert_pem=make_keys("merchant").certificate_pem,
        )

    def reset_sandbox(self):
        """Have nothing go wrong at WeChat, and the password not asked."""
        self.sandbox.call("DELETE", "faults")
        self.sandbox.post(
            "settings", refund_gap_seconds=0, ask_password=False, free_payments=None
        )

    def fault(self, path, kind, times=1, **vals):
        body = {"path": path, "kind": kind, "times": times, **vals}
        self.sandbox.call("POST", "faults", body)

    def code(self, new=True):
        """Return the payment code on the customer's phone."""
        return self.sandbox.post(f"phone/{self.openid}/pay_code", new=new)["auth_code"]

    def ask_password(self):
        """Have the customer asked for the password with the next payment."""
        self.sandbox.post(f"phone/{self.openid}/ask_password", times=1)


class PaySandboxCase(AtWechat, BaseCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.close)
        cls.known = cls.tell_sandbox(MCHID, APPID, "gh_pay000000001")
        cls.count = 0

    def setUp(self):
        super().setUp()
        self.reset_sandbox()
        type(self).count += 1
        self.number = f"ORDER-{self.count:04}"

    def password(self, result):
        path = f"pay/orders/{MCHID}/{self.number}/password"
        self.sandbox.post(path, result=result)

    def sent(self, path):
        """Return how often this test's order was sent to a path."""
        return sum(self.number in json.dumps(e["body"]) for e in self.sandbox.log(path))

    def refunds(self):
        """Return the refunds of this test's order at WeChat."""
        refunds = self.sandbox.call("GET", "state")["refunds"]
        return [r for r in refunds if r["out_trade_no"] == self.number]
