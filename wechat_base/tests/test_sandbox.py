from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..tools.exceptions import WechatRefused, WechatUnknownOutcome
from .common import APIV3_KEY, MCHID, WechatCase, make_keys
from .sandbox import Sandbox


@tagged("post_install", "-at_install")
class TestSandbox(HttpCase):
    """Against the sandbox, which shares no code with us."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.close)
        cls.url = cls.sandbox.url
        cls.server = cls  # account_vals() asks for ``server.url``
        cls.account = cls.env["wechat.account"].create(
            WechatCase.account_vals.__func__(cls)
        )
        cls.merchant = cls.env["wechat.merchant"].create(
            {**WechatCase.merchant_vals.__func__(cls), "key_ids": []}
        )

    def control(self, order, /, **values):
        return self.sandbox.post(order, **values)

    def setUp(self):
        super().setUp()
        self.control("reset", keep_accounts=False)
        self.control(
            "accounts",
            appid=self.account.appid,
            secret=self.account._secret("secret"),
            token=self.account._secret("token"),
            encoding_aes_key=self.account._secret("encoding_aes_key"),
            original_id="gh_shop",
            callback_url=self.base_url() + f"/wechat/oa/{self.account.callback_key}",
            callback_mode="safe",
            cdata_style="mixed",
            can_create_coupons=True,
            can_custom_code=True,
        )

    def test_token_and_refusal(self):
        client = self.account._get_client()
        with self.assertRaises(WechatRefused):
            client.card.get_code("000000000000")
        self.control("faults", path="/card/code/get", kind="expire_token", times=1)
        with self.assertRaises(WechatRefused):
            client.card.get_code("000000000000")

    def test_lost_answer(self):
        self.control(
            "faults", path="/card/code/consume", kind="drop_connection", times=1
        )
        with self.assertRaises(WechatUnknownOutcome):
            self.account._get_client().card.consume_code("000000000000")

    def receive(self, **values):
        self.env.flush_all()
        with self.allow_requests(all_requests=True):
            self.control(
                "callbacks/send",
                appid=self.account.appid,
                openid="oSANDBOX",
                event="user_view_card",
                fields={"CardId": "pCARD", "UserCardCode": "123456789012"},
                wait=10,
                no_retry=True,
                **values,
            )
        return self.env["wechat.event"].search([("account_id", "=", self.account.id)])

    @mute_logger("odoo.addons.wechat_base.controllers.main")
    def test_spoilt_callbacks(self):
        for name in ("bad_signature", "broken_xml", "wrong_appid"):
            with self.subTest(name):
                self.assertFalse(self.receive(**{name: True}))

    def test_callbacks_in_every_mode(self):
        for mode in ("safe", "compat", "plain"):
            with self.subTest(mode):
                self.account.callback_mode = mode
                events = self.receive(mode=mode)
                self.assertEqual(events.mapped("event_type"), ["user_view_card"])
                events.unlink()

    @mute_logger("odoo.addons.wechat_base.controllers.main")
    def test_connection_test(self):
        self.env["ir.config_parameter"].set_param("web.base.url", self.base_url())
        with self.allow_requests(all_requests=True):
            action = self.account.action_test_connection()
        check = self.env["wechat.connection.check"].browse(action["res_id"])
        states = {line.name: line.state for line in check.line_ids}
        states.pop("Last callback")
        self.assertEqual(set(states.values()), {"ok"}, states)

    def test_pay_in_both_key_modes(self):
        answer = self.control(
            "merchants",
            mchid=MCHID,
            appids=[self.account.appid],
            apiv3_key=APIV3_KEY,
            merchant_serial=self.merchant.merchant_serial,
            merchant_cert_pem=make_keys("merchant").certificate_pem,
            mode="both",
        )
        self.merchant.key_ids = [
            (5,),
            (
                0,
                0,
                {
                    "kind": "public_key",
                    "serial": answer["public_key_id"],
                    "pem": answer["public_key_pem"],
                },
            ),
        ]
        path = "/v3/pay/transactions/out-trade-no/nosuchorder1"
        with self.assertRaises(WechatRefused):
            self.merchant._get_pay_client().request("GET", path, {"mchid": MCHID})
        self.merchant.key_mode = "certificate"
        self.assertEqual(self.merchant._fetch_certificates(), 1)
        with self.assertRaises(WechatRefused):
            self.merchant._get_pay_client().request("GET", path, {"mchid": MCHID})
