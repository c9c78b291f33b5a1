from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..tools import pay_crypto
from .common import FakeServer, WechatCase, make_keys
from .test_pay_client import sign_answer


@tagged("post_install", "-at_install")
class TestConnectionCheck(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = FakeServer()
        cls.addClassCleanup(cls.server.close)
        cls.account = cls.env["wechat.account"].create(
            WechatCase.account_vals.__func__(cls)
        )
        cls.merchant = cls.env["wechat.merchant"].create(
            WechatCase.merchant_vals.__func__(cls)
        )

    def setUp(self):
        super().setUp()
        self.env["ir.config_parameter"].set_param("web.base.url", self.base_url())
        self.server.answers.clear()
        self.server.says(
            "/cgi-bin/stable_token", {"access_token": "T", "expires_in": 7200}
        )
        body = {"code": "ORDER_NOT_EXIST", "message": "no"}

        class AnyOrder(dict):
            def __missing__(self, path):
                if path.startswith("/v3/pay/transactions/out-trade-no/check"):
                    return lambda request: (404, sign_answer(body), body)
                raise KeyError(path)

        self.server.answers = AnyOrder(self.server.answers)

    def run_check(self, record):
        with self.allow_requests(all_requests=True):
            action = record.action_test_connection()
        check = self.env["wechat.connection.check"].browse(action["res_id"])
        self.assertEqual(action["target"], "new")
        for line in check.line_ids:
            self.assertTrue(line.state == "ok" or line.advice, line.name)
        return {line.name: line for line in check.line_ids}, check

    @mute_logger("odoo.addons.wechat_base.controllers.main")
    def test_account_all_good(self):
        self.env["wechat.event"]._receive("oa", self.account.id, 1, "k", "x", {})
        lines, check = self.run_check(self.account)
        self.assertEqual({line.state for line in lines.values()}, {"ok"}, lines)
        self.assertEqual(check.verdict, "ok")
        for name in (
            "Key for secrets",
            "AppID and AppSecret",
            "IP white list",
            "Clock",
            "Callback address",
            "Signature of callbacks",
            "Last callback",
        ):
            self.assertIn(name, lines)
        with self.allow_requests(all_requests=True):
            self.assertEqual(check.action_again()["res_model"], check._name)

    @mute_logger("odoo.addons.wechat_base.controllers.main")
    def test_account_errors(self):
        for errcode, name in ((40164, "IP white list"), (40125, "AppID and AppSecret")):
            with self.subTest(errcode):
                self.server.says(
                    "/cgi-bin/stable_token", {"errcode": errcode, "errmsg": "no"}
                )
                lines, check = self.run_check(self.account)
                self.assertEqual(lines[name].state, "error")
                self.assertEqual(check.verdict, "error")
        self.account.sandbox_url = "http://127.0.0.1:9"
        lines, _check = self.run_check(self.account)
        self.assertEqual(lines["WeChat reachable"].state, "error")
        self.assertIn("127.0.0.1:9", lines["WeChat reachable"].advice)

    @mute_logger("odoo.addons.wechat_base.controllers.main")
    def test_account_incomplete(self):
        self.account.write({"token": False, "encoding_aes_key": False})
        lines, _check = self.run_check(self.account)
        self.assertEqual(lines["Callback address"].state, "error")
        self.account.token = "abc123"
        lines, _check = self.run_check(self.account)
        self.assertEqual(lines["Encryption of callbacks"].state, "error")
        self.account.environment = "disabled"
        lines, _check = self.run_check(self.account)
        self.assertEqual(lines["Environment"].state, "error")

    @mute_logger("odoo.addons.wechat_base.controllers.main")
    def test_clock(self):
        late = format_datetime(
            datetime.now(timezone.utc) - timedelta(hours=1), usegmt=True
        )
        client = self.account._get_client()
        client.last_date = late
        check = self.env["wechat.connection.check"].create({})
        check._check_clock(late)
        self.assertEqual(check.line_ids.state, "error")
        # The second may have changed since.
        self.assertRegex(check.line_ids.detail, "36[0-9][0-9] seconds")

    def test_address_of_somebody_else(self):
        self.server.says("/wechat/oa/x", b"hello")
        check = self.env["wechat.connection.check"].create(
            {"account_id": self.account.id}
        )
        self.env["ir.config_parameter"].set_param("web.base.url", self.server.url)
        self.account.invalidate_recordset()
        check._check_callback(self.account)
        self.assertEqual(check.line_ids.mapped("state"), ["error"])

    def test_address_out_of_reach(self):
        self.env["ir.config_parameter"].set_param("web.base.url", "http://127.0.0.1:9")
        self.account.invalidate_recordset()
        check = self.env["wechat.connection.check"].create(
            {"account_id": self.account.id}
        )
        check._check_callback(self.account)
        self.assertEqual(check.line_ids.mapped("state"), ["warning"])

    @mute_logger("odoo.addons.wechat_base.controllers.main")
    def test_merchant_all_good(self):
        self.merchant.account_ids = self.account
        self.env["wechat.event"]._receive("pay", self.merchant.id, 1, "k", "x", {})
        lines, check = self.run_check(self.merchant)
        self.assertEqual({line.state for line in lines.values()}, {"ok"}, lines)
        self.assertEqual(check.verdict, "ok")
        self.assertIn("Signed call to WeChat Pay", lines)
        self.assertIn("Notification address", lines)

    @mute_logger("odoo.addons.wechat_base.controllers.main")
    def test_merchant_errors(self):
        name = "API private key and certificate"
        self.merchant.certificate = make_keys("forger").certificate_pem
        lines, _check = self.run_check(self.merchant)
        self.assertEqual(lines[name].state, "error")
        self.assertNotIn("Signed call to WeChat Pay", lines)
        self.merchant.certificate = make_keys("merchant").certificate_pem
        self.merchant.merchant_serial = "ABCD"
        lines, _check = self.run_check(self.merchant)
        self.assertEqual(lines[name].state, "error")
        self.merchant.merchant_serial = pay_crypto.certificate_serial(
            make_keys("merchant").certificate
        )
        self.merchant.apiv3_key = False
        lines, _check = self.run_check(self.merchant)
        self.assertEqual(lines["APIv3 key"].state, "error")
        self.merchant.key_ids.unlink()
        lines, _check = self.run_check(self.merchant)
        self.assertEqual(lines["WeChat's keys"].state, "error")
