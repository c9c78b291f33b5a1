from odoo.exceptions import ValidationError
from odoo.tests import tagged

from ..tools import pay_crypto
from ..tools.exceptions import WechatConfigError
from .common import PUBLIC_KEY_ID, WechatCase, make_keys
from .test_pay_client import TestPayClient, sign_answer


@tagged("post_install", "-at_install")
class TestMerchant(WechatCase):
    def test_serial_is_read_from_the_certificate(self):
        serial = pay_crypto.certificate_serial(make_keys("merchant").certificate)
        self.assertEqual(self.merchant.merchant_serial, serial)
        self.merchant.merchant_serial = "ABC"
        self.assertEqual(self.merchant.merchant_serial, "ABC")

    def test_checks_of_what_is_pasted(self):
        for name, value in (
            ("apiv3_key", "short"),
            ("apiv3_key", "汉" * 32),
            ("private_key", "-----BEGIN PRIVATE KEY-----"),
            ("private_key", make_keys("merchant").public_pem),
            ("certificate", "text"),
            ("mchid", "abc"),
        ):
            with self.subTest(name), self.assertRaises(ValidationError):
                self.merchant[name] = value
                self.merchant.flush_recordset()

    def test_keys(self):
        for vals in (
            {"kind": "public_key", "serial": "AB12", "pem": make_keys("w").public_pem},
            {"kind": "certificate", "serial": "PUB_KEY_ID_9", "pem": "x"},
            {"kind": "public_key", "serial": "PUB_KEY_ID_9", "pem": "x"},
        ):
            with self.assertRaises(ValidationError):
                self.merchant.key_ids = [(0, 0, vals)]

    def test_expired_certificate_does_not_count(self):
        for name, days, expected in (("old", -1, False), ("young", 30, True)):
            keys = make_keys(name, days)
            serial = pay_crypto.certificate_serial(keys.certificate)
            self.merchant.key_ids = [
                (
                    0,
                    0,
                    {
                        "kind": "certificate",
                        "serial": serial,
                        "pem": keys.certificate_pem,
                    },
                )
            ]
            self.assertEqual(bool(self.merchant._find_key(serial)), expected)
            self.env.flush_all()
            _id, _company, client = self.merchant._notified(self.merchant.notify_key)
            self.assertEqual(bool(client._find_key(serial)), expected)
        self.assertTrue(self.merchant._find_key(PUBLIC_KEY_ID))
        self.assertIsNone(self.merchant._find_key("UNKNOWN"))

    def test_client(self):
        client = self.merchant._get_pay_client()
        self.assertEqual(client.public_key_id, PUBLIC_KEY_ID)
        self.merchant.key_mode = "certificate"
        self.assertIsNone(self.merchant._get_pay_client().public_key_id)
        self.merchant.environment = "production"
        self.assertEqual(
            self.merchant._get_pay_client()._urls[0], "https://api.mch.weixin.qq.com"
        )
        self.merchant.environment = "disabled"
        with self.assertRaises(WechatConfigError):
            self.merchant._get_pay_client()

    def test_incomplete(self):
        self.merchant.apiv3_key = False
        with self.assertRaisesRegex(WechatConfigError, "apiv3_key|APIv3"):
            self.merchant._get_pay_client()

    def test_fetch_certificates(self):
        self.merchant.key_mode = "certificate"
        platform = make_keys("platform")
        serial = pay_crypto.certificate_serial(platform.certificate)
        body = TestPayClient.certificates_answer(self, platform)
        headers = sign_answer(body, platform, serial)
        self.server.says("/v3/certificates", body, **headers)
        self.assertEqual(self.merchant._fetch_certificates(), 1)
        self.assertEqual(self.merchant._fetch_certificates(), 0)
        self.assertTrue(self.merchant._find_key(serial))
        self.merchant._cron_fetch_certificates()
        self.merchant._cron_fetch_certificates()
        key = f"wechat.merchant:certificates:{self.merchant.id}"
        jobs = self.env["queue.job"].search([("identity_key", "=", key)])
        self.assertEqual(jobs.mapped("channel"), ["root.wechat.pay"])
