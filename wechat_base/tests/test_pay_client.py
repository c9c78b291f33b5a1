import base64
import io
import json
import time

from odoo.tests import tagged

from ..tools import pay_crypto
from ..tools.exceptions import (
    WechatConfigError,
    WechatRefused,
    WechatSignatureError,
    WechatUnavailable,
    WechatUnknownOutcome,
)
from ..tools.pay_client import WechatPayClient
from . import vectors
from .common import (
    APIV3_KEY,
    MCHID,
    PUBLIC_KEY_ID,
    FakeServer,
    ServerCase,
    make_keys,
)


def sign_answer(body, keys=None, serial=PUBLIC_KEY_ID, timestamp=None):
    """Return the headers with which WeChat signs an answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    timestamp = str(timestamp or int(time.time()))
    keys = keys or make_keys("wechat")
    message = pay_crypto.lines(timestamp, "NONCE", data)
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": "NONCE",
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature": pay_crypto.sign(keys.private, message),
        "Wechatpay-Signature-Type": pay_crypto.SCHEME,
        "Request-ID": "REQ-1-268512771",
    }


class PayClientCase(ServerCase):
    def setUp(self):
        super().setUp()
        self.known = {PUBLIC_KEY_ID: make_keys("wechat").public_pem}
        self.client = self.make_client()

    def make_client(self, **values):
        keys = make_keys("merchant")
        return WechatPayClient(
            MCHID,
            pay_crypto.certificate_serial(keys.certificate),
            keys.private_pem,
            APIV3_KEY,
            **{
                "find_key": self.known.get,
                "public_key_id": PUBLIC_KEY_ID,
                "sandbox_url": self.server.url,
                **values,
            },
        )

    def says(self, path, body, status=200, **values):
        self.server.says(path, body, status, **sign_answer(body, **values))


@tagged("post_install", "-at_install")
class TestPayClient(PayClientCase):
    # --- official vectors ---

    def test_official_jsapi_signature(self):
        client = self.make_client()
        client._private_key_pem = vectors.PRIVATE_KEY
        params = client.jsapi_params(
            "wx2421b1c4370ec43b",
            "wx201410272009395522657a690389285100",
            timestamp=1554208460,
            nonce="593BEC0C930BF1AFEB40B4A08C8FB242",
        )
        self.assertEqual(params["paySign"], vectors.JSAPI_SIGNATURE)
        self.assertEqual(
            params["package"], "prepay_id=wx201410272009395522657a690389285100"
        )
        self.assertEqual(params["signType"], "RSA")
        self.assertEqual(params["timeStamp"], "1554208460")

    def test_official_app_signature(self):
        client = self.make_client()
        client._private_key_pem = vectors.PRIVATE_KEY
        params = client.app_params(
            "wx2421b1c4370ec43b",
            "wx201410272009395522657a690389285100",
            timestamp=1554208460,
            nonce="593BEC0C930BF1AFEB40B4A08C8FB242",
        )
        self.assertTrue(params["sign"].startswith(vectors.APP_SIGNATURE_START))
        self.assertEqual(params["package"], "Sign=WXPay")

    def test_official_request_signature(self):
        header = pay_crypto.authorization(
            "1900007291",
            "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB",
            pay_crypto.load_private_key(vectors.PRIVATE_KEY),
            "POST",
            "/v3/pay/transactions/jsapi",
            vectors.REQUEST_BODY.encode(),
            1554208460,
            "593BEC0C930BF1AFEB40B4A08C8FB242",
        )
        self.assertTrue(header.startswith("WECHATPAY2-SHA256-RSA2048 "))
        self.assertIn(f'signature="{vectors.REQUEST_SIGNATURE}"', header)

    def test_signature_of_a_brand(self):
        """The same message, another scheme, and the brand instead of the merchant."""
        client = self.make_client(scheme=pay_crypto.BRAND_SCHEME)
        client._private_key_pem = vectors.PRIVATE_KEY
        client.serial = "408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB"
        client.mchid = "120344"
        header = client._authorization("GET", "/brand/x", b"")
        scheme, _space, rest = header.partition(" ")
        self.assertEqual(scheme, "WECHATPAY-BRAND-SHA256-RSA2048")
        values = dict(part.split("=", 1) for part in rest.split(","))
        self.assertEqual(values["brand_id"], '"120344"')
        self.assertNotIn("mchid", values)
        message = pay_crypto.lines(
            "GET",
            "/brand/x",
            values["timestamp"].strip('"'),
            values["nonce_str"].strip('"'),
            b"",
        )
        key = pay_crypto.load_private_key(vectors.PRIVATE_KEY).public_key()
        signature = values["signature"].strip('"')
        self.assertTrue(pay_crypto.is_signed(key, message, signature))

    def test_signed_answer_of_the_real_server(self):
        client = self.make_client(
            find_key={"PUB_KEY_ID_1": vectors.ANSWER_PUBLIC_KEY}.get,
            clock=lambda: 1722850421,
        )
        headers = {
            "Wechatpay-Timestamp": "1722850421",
            "Wechatpay-Nonce": "d824f2e086d3c1df967785d13fcd22ef",
            "Wechatpay-Serial": "PUB_KEY_ID_1",
            "Wechatpay-Signature": vectors.ANSWER_SIGNATURE,
        }
        client.verify(headers, vectors.ANSWER_BODY.encode())
        with self.assertRaises(WechatSignatureError):
            client.verify(headers, vectors.ANSWER_BODY.encode() + b" ")

    def test_decryption_of_another_implementation(self):
        for associated_data, ciphertext in vectors.SEALED_BY_NODE.items():
            resource = {
                "algorithm": "AEAD_AES_256_GCM",
                "nonce": "wechatnonce1",
                "associated_data": associated_data,
                "ciphertext": ciphertext,
            }
            self.assertEqual(
                self.client.decrypt(resource),
                {"out_trade_no": "T1", "desc": "支付成功"},
            )

    def test_decryption_refusals(self):
        good = {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": "wechatnonce1",
            "associated_data": "transaction",
            "ciphertext": vectors.SEALED_BY_NODE["transaction"],
        }
        for name, change in {
            "key": {},
            "algorithm": {"algorithm": "AEAD_SM4_GCM"},
            "nonce": {"nonce": "wechatnonce2"},
            "associated": {"associated_data": "refund"},
            "text": {"ciphertext": "AAAA"},
            "base64": {"ciphertext": "*"},
            "none": {"ciphertext": None},
        }.items():
            client = self.make_client()
            if name == "key":
                client._apiv3_key = "x" * 32
            with self.subTest(name), self.assertRaises(WechatConfigError):
                client.decrypt({**good, **change})

    def test_sensitive_fields(self):
        text = self.client.encrypt("张三", PUBLIC_KEY_ID)
        self.assertEqual(
            pay_crypto.decrypt_field(make_keys("wechat").private, text), "张三"
        )
        for_us = pay_crypto.encrypt_field(
            make_keys("merchant").private.public_key(), "李四"
        )
        self.assertEqual(self.client.decrypt_field(for_us), "李四")
        with self.assertRaises(WechatSignatureError):
            self.client.encrypt("x", "PUB_KEY_ID_UNKNOWN")

    # --- requests ---

    def test_what_is_signed_is_what_is_sent(self):
        self.says("/v3/pay/transactions/native", {"code_url": "weixin://x"})
        answer = self.client.request(
            "POST",
            "/v3/pay/transactions/native",
            params={"time": "2026-01-01T00:00:00+08:00", "名": "值"},
            body={"description": "咖啡", "amount": {"total": 1}},
        )
        self.assertEqual((answer.status, answer.done), (200, True))
        self.assertEqual(answer.data, {"code_url": "weixin://x"})
        self.assertEqual(answer.request_id, "REQ-1-268512771")
        call = self.server.requests[-1]
        self.assertIn("咖啡".encode(), call["body"])
        self.assertIn("%2B08%3A00", call["target"])
        scheme, _blank, rest = call["headers"]["Authorization"].partition(" ")
        self.assertEqual(scheme, pay_crypto.SCHEME)
        values = dict(part.split("=", 1) for part in rest.split(","))
        values = {name: value.strip('"') for name, value in values.items()}
        self.assertEqual(values["mchid"], MCHID)
        message = pay_crypto.lines(
            "POST",
            call["target"],
            values["timestamp"],
            values["nonce_str"],
            call["body"],
        )
        self.assertTrue(
            pay_crypto.is_signed(
                make_keys("merchant").private.public_key(), message, values["signature"]
            )
        )
        self.assertEqual(call["headers"]["Wechatpay-Serial"], PUBLIC_KEY_ID)
        self.assertTrue(call["headers"]["User-Agent"])
        self.assertEqual(call["headers"]["Accept"], "application/json")

    def test_204_and_202(self):
        self.says("/v3/close", b"", status=204)
        self.assertTrue(self.client.request("POST", "/v3/close", body={}).done)
        self.says("/v3/pay/transactions/codepay", {"code": "USERPAYING"}, status=202)
        answer = self.client.request("POST", "/v3/pay/transactions/codepay", body={})
        self.assertEqual(answer.status, 202)
        self.assertFalse(answer.done)

    def test_paths(self):
        for path in ("v3/x", "//evil.example/x", "https://evil.example/"):
            with self.subTest(path), self.assertRaises(ValueError):
                self.client.request("GET", path)

    def test_error_classes(self):
        cases = [
            (400, "PARAM_ERROR", WechatRefused),
            (404, "ORDER_NOT_EXIST", WechatRefused),
            (403, "NO_AUTH", WechatConfigError),
            (401, "SIGN_ERROR", WechatConfigError),
            (429, "FREQUENCY_LIMITED", WechatUnavailable),
            (500, "SYSTEM_ERROR", WechatUnknownOutcome),
        ]
        for status, code, error_class in cases:
            with self.subTest(code):
                self.says("/v3/x", {"code": code, "message": "说明"}, status=status)
                with self.assertRaises(error_class) as caught:
                    self.client.request("POST", "/v3/x", body={})
                self.assertEqual(caught.exception.code, code)
                self.assertEqual(caught.exception.request_id, "REQ-1-268512771")
                if status == 429:
                    self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)

    def test_a_success_that_is_not_signed_is_not_believed(self):
        body = {"prepay_id": "wx1"}
        stale = int(time.time()) - 301
        forged = make_keys("forger")
        for name, headers in {
            "unsigned": {},
            "stale": sign_answer(body, timestamp=stale),
            "forged": sign_answer(body, keys=forged),
            "unknown key": sign_answer(body, serial="ABCDEF"),
        }.items():
            with self.subTest(name):
                self.server.says("/v3/x", body, **headers)
                with self.assertRaises(WechatUnknownOutcome):
                    self.client.request("POST", "/v3/x", body={})

    def test_an_unsigned_gateway_page(self):
        self.server.says("/v3/x", b"<html>", status=404)
        with self.assertRaises(WechatRefused):
            self.client.request("POST", "/v3/x", body={})
        self.server.says("/v3/x", b"<html>", status=502)
        with self.assertRaises(WechatUnknownOutcome):
            self.client.request("POST", "/v3/x", body={})
        self.server.says("/v3/x", b"", status=302, Location="http://evil.example/")
        with self.assertRaises(WechatUnknownOutcome):
            self.client.request("POST", "/v3/x", body={})

    def test_what_may_be_repeated(self):
        for method, number, times in (
            ("GET", None, 2),
            ("POST", None, 1),
            ("POST", "R1", 2),
        ):
            for prepare in (
                lambda: self.server.drops("/v3/x"),
                lambda: self.says("/v3/x", {"code": "SYSTEM_ERROR"}, status=500),
            ):
                with self.subTest((method, number)):
                    prepare()
                    self.server.requests.clear()
                    with self.assertRaises(WechatUnavailable):
                        self.client.request(method, "/v3/x", request_no=number)
                    self.assertEqual(len(self.server.requests), times)

    def test_refusals_are_not_repeated(self):
        for status, code, error_class in (
            (429, "FREQUENCY_LIMITED", WechatUnavailable),
            (400, "PARAM_ERROR", WechatRefused),
        ):
            self.says("/v3/x", {"code": code}, status=status)
            self.server.requests.clear()
            with self.assertRaises(error_class):
                self.client.request("GET", "/v3/x")
            self.assertEqual(len(self.server.requests), 1)

    def test_backup_address(self):
        """Nobody was reached, so even a request without a number may go there."""
        self.says("/v3/x", {"a": 1})
        client = self.make_client()
        client._urls = ["http://127.0.0.1:9", self.server.url]
        self.assertEqual(client.request("POST", "/v3/x", body={}).data, {"a": 1})
        self.assertEqual(
            self.make_client(sandbox_url=None)._urls,
            ["https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"],
        )

    def test_refused_by_the_backup_after_a_lost_answer(self):
        """The first address may have done it; what the second says proves nothing."""
        other = FakeServer()
        self.addCleanup(other.close)
        self.says("/v3/x", {"code": "NOT_ENOUGH"}, status=403)
        other.drops("/v3/x")
        client = self.make_client()
        client._urls = [other.url, self.server.url]
        with self.assertRaises(WechatUnknownOutcome):
            client.request("POST", "/v3/x", body={}, request_no="1")
        self.assertEqual(len(self.server.requests), 1)
        # A question changes nothing, so its answer counts.
        with self.assertRaises(WechatRefused):
            client.request("GET", "/v3/x")

    def test_constructor_sends_nothing(self):
        self.make_client(sandbox_url=None)
        self.assertFalse(self.server.requests)

    # --- verification of notices ---

    def test_verify(self):
        body = b'{"id":"EV-1"}'
        good = sign_answer(body)
        self.client.verify(good, body)
        self.client.verify({k.lower(): v for k, v in good.items()}, body)
        for name in ("Timestamp", "Nonce", "Serial", "Signature"):
            with self.subTest(name):
                self.assert_refused(
                    "missing", _without(good, f"Wechatpay-{name}"), body
                )
        now = int(time.time())
        self.assert_refused("stale", sign_answer(body, timestamp=now - 301), body)
        self.assert_refused("stale", sign_answer(body, timestamp=now + 310), body)
        self.assert_refused("stale", {**good, "Wechatpay-Timestamp": "x"}, body)
        self.assert_refused("wrong", good, body + b" ")
        self.assert_refused("wrong", {**good, "Wechatpay-Nonce": "OTHER"}, body)
        self.assert_refused("wrong", {**good, "Wechatpay-Signature": "***"}, body)
        self.assert_refused("unknown_key", {**good, "Wechatpay-Serial": "AB"}, body)
        self.assert_refused(
            "missing", {**good, "Wechatpay-Signature-Type": "SM2"}, body
        )
        probe = f"WECHATPAY/SIGNTEST/{good['Wechatpay-Signature']}"
        self.assert_refused("signtest", {**good, "Wechatpay-Signature": probe}, body)

    def assert_refused(self, code, headers, body):
        with self.assertRaises(WechatSignatureError) as caught:
            self.client.verify(headers, body)
        self.assertEqual(caught.exception.code, code)

    def test_certificate_and_public_key_side_by_side(self):
        platform = make_keys("platform")
        serial = pay_crypto.certificate_serial(platform.certificate)
        self.known[serial] = platform.certificate_pem
        self.client.verify(sign_answer(b"x", platform, serial), b"x")
        self.client.verify(sign_answer(b"x"), b"x")
        self.assert_refused("wrong", sign_answer(b"x", platform), b"x")

    def test_answers_of_the_wrong_shape(self):
        for body in ([], b'"text"', b"5", b"null", b"[" * 100000, b"<html>", b"\xff"):
            with self.subTest(body[:9]):
                self.says("/v3/x", body)
                with self.assertRaises(WechatUnknownOutcome):
                    self.client.request("POST", "/v3/x", body={})
        for body in ({"code": ["A"], "message": {}}, {"code": 5}, {"message": [1]}):
            with self.subTest(body):
                self.says("/v3/x", body, status=400)
                with self.assertRaises(WechatRefused):
                    self.client.request("POST", "/v3/x", body={})

    def test_what_cannot_be_stored(self):
        half = "\ud83d"
        self.says(
            "/v3/x", {"code": f"A{half}", "message": f"cut {half}\0."}, status=400
        )
        with self.assertRaises(WechatRefused) as caught:
            self.client.request("POST", "/v3/x", body={})
        self.assertEqual(caught.exception.code, "A?")
        self.assertIn("cut ?.", str(caught.exception))
        self.says("/v3/x", {"a": f"{half}\0b"})
        answer = self.client.request("POST", "/v3/x", body={})
        self.assertEqual(answer.data, {"a": "?b"})

    # --- platform certificates ---

    def test_certificates_of_the_wrong_shape(self):
        for data in (5, "x", {"a": 1}, [5], [{}], [{"encrypt_certificate": []}]):
            with self.subTest(data):
                self.says("/v3/certificates", {"data": data})
                with self.assertRaises(WechatUnavailable):
                    self.client.certificates()
        sealed = {"nonce": 5, "ciphertext": [], "associated_data": 7}
        self.says(
            "/v3/certificates",
            {"data": [{"serial_no": "A", "encrypt_certificate": sealed}]},
        )
        with self.assertRaises(WechatConfigError):
            self.client.certificates()

    def certificates_answer(self, platform, key=APIV3_KEY):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        sealed = AESGCM(key.encode()).encrypt(
            b"nonce1234567", platform.certificate_pem.encode(), b"certificate"
        )
        return {
            "data": [
                {
                    "serial_no": pay_crypto.certificate_serial(platform.certificate),
                    "effective_time": "2026-01-01T00:00:00+08:00",
                    "expire_time": "2031-01-01T00:00:00+08:00",
                    "encrypt_certificate": {
                        "algorithm": "AEAD_AES_256_GCM",
                        "nonce": "nonce1234567",
                        "associated_data": "certificate",
                        "ciphertext": base64.b64encode(sealed).decode(),
                    },
                }
            ]
        }

    def test_first_certificates_verify_themselves(self):
        self.known.clear()
        platform = make_keys("platform")
        serial = pay_crypto.certificate_serial(platform.certificate)
        body = self.certificates_answer(platform)
        self.says("/v3/certificates", body, keys=platform, serial=serial)
        client = self.make_client(public_key_id=None)
        self.assertEqual(client.certificates(), {serial: platform.certificate_pem})

    def test_certificates_of_a_stranger(self):
        self.known.clear()
        platform, stranger = make_keys("platform"), make_keys("forger")
        serial = pay_crypto.certificate_serial(platform.certificate)
        body = self.certificates_answer(platform)
        self.says("/v3/certificates", body, keys=stranger, serial=serial)
        with self.assertRaises(WechatUnknownOutcome):
            self.make_client().certificates()
        body = self.certificates_answer(platform, key="x" * 32)
        self.says("/v3/certificates", body, keys=platform, serial=serial)
        with self.assertRaises(WechatConfigError):
            self.make_client().certificates()


def _without(headers, name):
    return {key: value for key, value in headers.items() if key != name}


@tagged("post_install", "-at_install")
class TestDownload(PayClientCase):
    """Files: unsigned, streamed, from our servers only."""

    path = "/v3/billdownload/file"

    def download(self, url=None, limit=1000, client=None):
        sink = io.BytesIO()
        url = url or f"{self.server.url}{self.path}?token=SECRET%2Bx"
        (client or self.client).download(url, sink, limit)
        return sink.getvalue()

    def test_signed_request_unsigned_answer(self):
        self.server.says(self.path, b"a bill")
        self.assertEqual(self.download(), b"a bill")
        [request] = self.server.asked(self.path)
        self.assertEqual(request["query"]["token"], "SECRET+x")
        given = dict(
            part.split("=", 1)
            for part in request["headers"]["Authorization"].split(" ", 1)[1].split(",")
        )
        message = pay_crypto.lines(
            "GET",
            request["target"],
            given["timestamp"].strip('"'),
            given["nonce_str"].strip('"'),
            b"",
        )
        key = pay_crypto.load_public_key(make_keys("merchant").public_pem)
        self.assertTrue(
            pay_crypto.is_signed(key, message, given["signature"].strip('"'))
        )

    def test_other_hosts_are_never_asked(self):
        self.server.says(self.path, b"a bill")
        host = self.server.url.removeprefix("http://")
        for url in (
            f"http://evil.example/{self.path}?token=1",
            f"http://{host}.evil.example{self.path}",
            f"http://{host}@evil.example{self.path}",
            f"https://{host}{self.path}",
            f"http://{host}",
            "http://[",
            "file:///etc/passwd",
            "",
            None,
        ):
            with self.subTest(url), self.assertRaises(WechatRefused) as caught:
                self.client.download(url, io.BytesIO(), 1000)
            self.assertEqual(caught.exception.code, "host")
        self.assertFalse(self.server.requests)
        real = self.make_client(sandbox_url=None)
        with self.assertRaises(WechatRefused):
            self.download(client=real)
        self.assertFalse(self.server.requests)

    def test_limit(self):
        self.server.says(self.path, b"x" * 1001)
        with self.assertRaises(WechatUnavailable):
            self.download()

    def test_redirect_is_not_followed(self):
        self.server.says(self.path, b"", 302, Location=f"{self.server.url}/other")
        self.server.says("/other", b"a bill")
        with self.assertRaises(WechatUnavailable):
            self.download()
        self.assertFalse(self.server.asked("/other"))

    def test_refusal(self):
        body = {"code": "INVALID_REQUEST", "message": "token"}
        self.server.says(self.path, body, 400)
        with self.assertRaises(WechatRefused) as caught:
            self.download()
        self.assertEqual(caught.exception.code, "INVALID_REQUEST")

    def test_token_stays_out_of_the_log(self):
        self.server.says(self.path, b"a bill")
        with self.assertLogs("urllib3.connectionpool", "DEBUG") as logs:
            self.download()
        self.assertNotIn("SECRET", "".join(logs.output))
