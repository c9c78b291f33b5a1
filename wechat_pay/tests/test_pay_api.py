import logging

from odoo.tests import tagged

from odoo.addons.wechat_base.tests.common import APIV3_KEY, make_keys
from odoo.addons.wechat_base.tools import pay_crypto
from odoo.addons.wechat_base.tools.exceptions import (
    WechatConfigError,
    WechatRefused,
    WechatUnavailable,
    WechatUnknownOutcome,
)
from odoo.addons.wechat_base.tools.pay_client import WechatPayClient

from ..tools.pay_api import NOT_FOUND, CodepayV3, cut
from .pay_sandbox import APPID, MCHID, SHOP, PaySandboxCase

CODEPAY = "/v3/pay/transactions/codepay"
REFUNDS = "/v3/refund/domestic/refunds"
NOTIFY_URL = "http://127.0.0.1:9/notify"


@tagged("post_install", "-at_install")
class TestPayApi(PaySandboxCase):
    """The calls of APIv3 against the sandbox."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keys = make_keys("merchant")
        pems = {cls.known["public_key_id"]: cls.known["public_key_pem"]}
        client = WechatPayClient(
            MCHID,
            pay_crypto.certificate_serial(keys.certificate),
            keys.private_pem,
            APIV3_KEY,
            find_key=pems.get,
            public_key_id=cls.known["public_key_id"],
            sandbox_url=cls.sandbox.url,
        )
        cls.api = CodepayV3(client, APPID)

    def pay(self, code=None, **more):
        more = {"scene_info": SHOP, **more}
        return self.api.pay(self.number, code or self.code(), 1234, "咖啡", **more)

    def place(self, api="native", amount=1234, **more):
        return self.api.place(api, self.number, amount, "咖啡", NOTIFY_URL, **more)

    def pay_on_phone(self):
        path = f"pay/orders/{MCHID}/{self.number}/pay"
        self.sandbox.post(path, openid=self.openid, notify=False)

    def refund(self, number="1", amount=34, total=1234):
        return self.api.refund(
            f"{self.number}R{number}", self.number, amount, total, NOTIFY_URL
        )

    def state(self):
        return self.api.query(self.number)["trade_state"]

    def assert_unknown(self, call):
        with self.assertRaises(WechatRefused) as caught:
            call()
        self.assertIn(caught.exception.code, NOT_FOUND)

    # --- payment by code ---

    def test_paid_at_once(self):
        order = self.pay(attach="till 1")
        self.assertEqual(order["trade_state"], "SUCCESS")
        self.assertEqual(order["amount"]["total"], 1234)
        self.assertEqual(order["payer"], {"openid": self.openid})
        self.assertEqual(order["attach"], "till 1")
        self.assertEqual(self.api.query(self.number), order)
        with self.assertRaises(WechatRefused):
            self.api.close(self.number)

    def test_password(self):
        """202 is not paid."""
        self.ask_password()
        self.assertEqual(self.pay()["trade_state"], "USERPAYING")
        self.assertEqual(self.state(), "USERPAYING")
        self.password("right")
        self.assertEqual(self.state(), "SUCCESS")
        self.assertEqual(self.sent(CODEPAY), 1)

    def test_reverse(self):
        self.pay()
        for _again in range(2):
            self.assertIsNone(self.api.reverse(self.number))
        self.assertEqual(self.state(), "REVOKED")
        self.assertEqual([r["refund"] for r in self.refunds()], [1234])

    def test_lost_reverse_is_sent_again(self):
        self.pay()
        self.fault("reverse", "timeout_after", seconds=0.1)
        self.api.reverse(self.number)
        self.assertEqual(len(self.refunds()), 1)

    def test_a_charge_is_sent_once(self):
        faults = (
            ("http_status", {"status": 500, "commit": True}),
            ("http_status", {"status": 502, "body": "gateway", "commit": True}),
            ("timeout_after", {"seconds": 0.1}),
            ("bad_signature", {}),
        )
        for index, (kind, values) in enumerate(faults):
            with self.subTest(kind, **values):
                self.number += str(index)
                self.fault("codepay", kind, **values)
                with self.assertRaises(WechatUnknownOutcome):
                    self.pay()
                self.assertEqual(self.sent(CODEPAY), 1)
                self.assertEqual(self.state(), "SUCCESS")

    def test_refused_code(self):
        code = "134567890123456789"
        with self.assertRaises(WechatRefused) as caught:
            self.pay(code)
        self.assertEqual(caught.exception.code, "AUTH_CODE_INVALID")
        self.assert_unknown(lambda: self.api.query(self.number))

    def test_the_code_stays_secret(self):
        code = self.code()
        body = {"code": "AUTH_CODE_INVALID", "message": f"code {code} is bad"}
        self.fault("codepay", "http_status", status=400, body=body)
        logger = logging.getLogger()
        with self.assertLogs(logger, logging.DEBUG) as logs:
            logger.debug("at least one line")
            with self.assertRaises(WechatRefused) as caught:
                self.pay(code)
        self.assertIn("code *** is bad", str(caught.exception))
        self.assertNotIn(code, "\n".join(logs.output) + repr(caught.exception.args))

    def test_slow_down(self):
        self.fault("codepay", "http_status", status=429)
        with self.assertRaises(WechatUnavailable) as caught:
            self.pay()
        self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)
        self.assertEqual(self.sent(CODEPAY), 1)

    # --- orders ---

    def test_native(self):
        first = self.place()
        self.assertRegex(first["code_url"], r"^weixin://wxpay/bizpayurl\?pr=")
        self.assertEqual(self.place()["code_url"], first["code_url"])
        self.assertEqual(self.state(), "NOTPAY")
        with self.assertRaises(WechatRefused):
            self.place(amount=1)
        self.pay_on_phone()
        self.assertEqual(self.state(), "SUCCESS")
        with self.assertRaises(WechatRefused):
            self.api.close(self.number)

    def test_jsapi(self):
        payer = {"openid": self.openid}
        self.assertTrue(self.place("jsapi", payer=payer)["prepay_id"])
        with self.assertRaises(WechatRefused):
            self.place("jsapi", payer={})

    def test_close(self):
        self.place()
        for _again in range(2):
            self.assertIsNone(self.api.close(self.number))
        self.assertEqual(self.state(), "CLOSED")

    def test_lost_answers_of_orders(self):
        """With a number that was stored before, the same request goes out again."""
        self.fault("native", "timeout_after", seconds=0.1)
        self.assertTrue(self.place()["code_url"])
        self.fault("close", "http_status", status=500, commit=True)
        self.api.close(self.number)
        self.fault("out-trade-no", "drop_connection")
        self.assertEqual(self.state(), "CLOSED")

    def test_set_up(self):
        stranger = CodepayV3(self.api.client, "wxother")
        with self.assertRaises(WechatConfigError):
            stranger.place("native", self.number, 1, "咖啡", NOTIFY_URL)

    # --- refunds ---

    def test_refund(self):
        self.pay()
        first = self.refund()
        self.assertEqual(first["status"], "PROCESSING")
        self.assertEqual(first["amount"]["refund"], 34)
        # The same number is the same refund.
        self.assertEqual(self.refund()["refund_id"], first["refund_id"])
        self.assertEqual(len(self.refunds()), 1)
        self.sandbox.post(
            f"pay/refunds/{MCHID}/{self.number}R1", status="SUCCESS", notify=False
        )
        asked = self.api.query_refund(f"{self.number}R1")
        self.assertEqual(asked["status"], "SUCCESS")
        self.assertEqual(self.state(), "REFUND")
        with self.assertRaises(WechatRefused):
            self.refund("2", amount=1201)

    def test_lost_answer_of_a_refund(self):
        self.pay()
        self.fault(REFUNDS, "timeout_after", seconds=0.1)
        self.assertEqual(self.refund()["status"], "PROCESSING")
        self.assertEqual(len(self.refunds()), 1)

    # --- what WeChat does not know ---

    def test_unknown_numbers(self):
        for call in (
            lambda: self.api.query(self.number),
            lambda: self.api.close(self.number),
            lambda: self.api.reverse(self.number),
            lambda: self.api.query_refund(self.number),
            self.refund,
        ):
            self.assert_unknown(call)

    def test_a_gateways_404_says_nothing_of_the_order(self):
        self.fault("out-trade-no", "http_status", status=404, body="<html>", times=2)
        with self.assertRaises(WechatRefused) as caught:
            self.api.query(self.number)
        self.assertNotIn(caught.exception.code, NOT_FOUND)

    def test_numbers_are_quoted(self):
        self.assert_unknown(lambda: self.api.query("a/../b?c"))

    def test_cut(self):
        self.assertEqual(cut("咖\x00啡\n\n茶 ", 3), "咖 啡")
        self.assertEqual(cut(None, 9), "-")
