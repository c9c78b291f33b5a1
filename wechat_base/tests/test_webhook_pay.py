import json

from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..tools import pay_crypto
from .common import APIV3_KEY, PUBLIC_KEY_ID, FakeServer, WechatCase, make_keys
from .test_pay_client import sign_answer

LOGGER = "odoo.addons.wechat_base.controllers.main"


def seal(content, key=APIV3_KEY, associated_data="transaction"):
    """Encrypt a resource as WeChat does."""
    import base64

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    data = AESGCM(key.encode()).encrypt(
        b"nonce1234567", json.dumps(content).encode(), associated_data.encode()
    )
    return {
        "original_type": "transaction",
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(data).decode(),
        "associated_data": associated_data,
        "nonce": "nonce1234567",
    }


@tagged("post_install", "-at_install")
class TestWebhookPay(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = FakeServer()
        cls.addClassCleanup(cls.server.close)
        cls.merchant = cls.env["wechat.merchant"].create(
            WechatCase.merchant_vals.__func__(cls)
        )

    def notice(self, **values):
        return {
            "id": "EV-2018022511223320873",
            "create_time": "2015-05-20T13:29:35+08:00",
            "event_type": "TRANSACTION.SUCCESS",
            "resource_type": "encrypt-resource",
            "summary": "支付成功",
            "resource": seal(
                {"out_trade_no": "T1", "payer": {"openid": "oPAYER"}, "amount": {}}
            ),
            **values,
        }

    def post(self, notice=None, headers=None, key=None):
        notice = self.notice() if notice is None else notice
        body = notice if isinstance(notice, bytes) else json.dumps(notice).encode()
        return self.url_open(
            f"/wechat/pay/{key or self.merchant.notify_key}",
            data=body,
            headers={
                "Content-Type": "application/json",
                **(sign_answer(body) if headers is None else headers),
            },
        )

    def events(self):
        return self.env["wechat.event"].search([("merchant_id", "=", self.merchant.id)])

    def assert_refused(self, answer, status):
        self.assertEqual(answer.status_code, status)
        self.assertEqual(answer.json()["code"], "FAIL")
        self.assertFalse(self.events())

    def test_accepts(self):
        answer = self.post()
        self.assertEqual((answer.status_code, answer.content), (204, b""))
        event = self.events()
        self.assertEqual(event.event_type, "transaction.success")
        self.assertEqual(event.openid, "oPAYER")
        self.assertEqual(event._payload()["out_trade_no"], "T1")
        self.assertEqual(event.event_key, "EV-2018022511223320873")

    def test_empty_associated_data(self):
        answer = self.post(self.notice(resource=seal({"a": 1}, associated_data="")))
        self.assertEqual(answer.status_code, 204)

    def test_platform_certificate(self):
        platform = make_keys("platform")
        serial = pay_crypto.certificate_serial(platform.certificate)
        body = json.dumps(self.notice()).encode()
        with mute_logger(LOGGER):
            self.assert_refused(
                self.post(body, sign_answer(body, platform, serial)), 401
            )
        self.merchant.key_ids = [
            (
                0,
                0,
                {
                    "kind": "certificate",
                    "serial": serial,
                    "pem": platform.certificate_pem,
                },
            )
        ]
        self.assertEqual(
            self.post(body, sign_answer(body, platform, serial)).status_code, 204
        )

    def test_replay(self):
        for _time in range(3):
            self.assertEqual(self.post().status_code, 204)
        self.assertEqual(len(self.events()), 1)

    @mute_logger(LOGGER)
    def test_signatures(self):
        body = json.dumps(self.notice()).encode()
        good = sign_answer(body)
        self.assert_refused(self.post(body, {}), 401)
        for name in ("Timestamp", "Nonce", "Serial", "Signature"):
            headers = {k: v for k, v in good.items() if k != f"Wechatpay-{name}"}
            self.assert_refused(self.post(body, headers), 401)
        self.assert_refused(self.post(body + b" ", good), 401)
        stale = sign_answer(body, timestamp=1554208460)
        self.assert_refused(self.post(body, stale), 401)
        forged = sign_answer(body, keys=make_keys("forger"))
        self.assert_refused(self.post(body, forged), 401)
        unknown = {**good, "Wechatpay-Serial": f"{PUBLIC_KEY_ID}9"}
        self.assert_refused(self.post(body, unknown), 401)
        probe = f"WECHATPAY/SIGNTEST/{good['Wechatpay-Signature']}"
        self.assert_refused(
            self.post(body, {**good, "Wechatpay-Signature": probe}), 401
        )

    @mute_logger(LOGGER)
    def test_content(self):
        for notice in (
            b"not json",
            b"[]",
            b"{}",
            self.notice(id=None),
            self.notice(event_type=5),
            self.notice(resource="x"),
        ):
            self.assert_refused(self.post(notice), 400)

    @mute_logger(LOGGER)
    def test_wrong_apiv3_key(self):
        """WeChat repeats it; by then an administrator may have corrected the key."""
        notice = self.notice(resource=seal({"a": 1}, key="x" * 32))
        self.assert_refused(self.post(notice), 503)
        self.merchant.apiv3_key = False
        self.assert_refused(self.post(), 503)

    def test_unknown_address(self):
        for key in ("x" * 32, "%00abc", "x" * 300):
            with self.subTest(key=key):
                self.assert_refused(self.post(key=key), 404)
        self.merchant.environment = "disabled"
        self.assert_refused(self.post(), 404)

    def test_only_post(self):
        with mute_logger("odoo.http"):
            answer = self.url_open(f"/wechat/pay/{self.merchant.notify_key}")
        self.assertEqual(answer.status_code, 405)
