import ssl
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from odoo.tests import BaseCase, TransactionCase, tagged

from odoo.addons.wechat_base.tests.common import make_keys
from odoo.addons.wechat_base.tests.sandbox import Sandbox
from odoo.addons.wechat_base.tools import transport
from odoo.addons.wechat_base.tools.exceptions import (
    WechatConfigError,
    WechatRefused,
    WechatUnavailable,
    WechatUnknownOutcome,
    plain_translate,
)

from ..tools.codepay_v2 import CodepayV2, sign, ssl_context
from ..tools.pay_api import NOT_FOUND
from .common import APIV2_KEY, APPID, MCHID

# From the page 安全规范 of APIv2.
SAMPLE = {
    "appid": "wxd930ea5d5a258f4f",
    "mch_id": "10000100",
    "device_info": "1000",
    "body": "test",
    "nonce_str": "ibuaiVcKdpRxkhJA",
}
SAMPLE_KEY = "192006250b4c09247ec02edce69f6a2d"


@tagged("post_install", "-at_install")
class TestSignV2(BaseCase):
    def test_official_sample(self):
        self.assertEqual(sign(SAMPLE, SAMPLE_KEY), "9A0A8659F005D6984697E2CA0A9CF3B7")
        self.assertEqual(
            sign(SAMPLE, SAMPLE_KEY, "HMAC-SHA256"),
            "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6",
        )

    def test_client_certificate(self):
        """The certificate is shown to a server that asks for one."""
        server = TlsServer()
        self.addCleanup(server.close)
        keys = make_keys("merchant")
        context = ssl_context(keys.certificate_pem, keys.private_pem)
        context.load_verify_locations(cadata=server.certificate_pem)
        session = transport.new_session(False, context)
        self.assertEqual(self.post(session, server.url).text, "test")
        with self.assertRaises((requests.RequestException, WechatUnavailable)):
            self.post(transport.new_session(False), server.url)

    @staticmethod
    def post(session, url):
        request = session.prepare_request(requests.Request("POST", url, data=b"x"))
        return transport.send(session, request, 10, plain_translate)


class TlsServer:
    """Answers with the common name of the certificate it was shown."""

    def __init__(self):
        keys = make_keys("tls")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(keys.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(keys.private, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.certificate_pem = pem

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                subject = dict(
                    part[0] for part in self.connection.getpeercert()["subject"]
                )
                body = subject["commonName"].encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                """Silent."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(keys.private_pem + pem)
            file.flush()
            context.load_cert_chain(file.name)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=make_keys("merchant").certificate_pem)
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@tagged("post_install", "-at_install")
class TestCodepayV2(TransactionCase):
    """The driver against the sandbox, which shares no code with it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.close)
        cls.sandbox.post("merchants", mchid=MCHID, appids=[APPID], apiv2_key=APIV2_KEY)
        cls.openid = cls.sandbox.post("users", nickname="小林")["openid"]

    def setUp(self):
        super().setUp()
        self.sandbox.call("DELETE", "faults")
        self.driver = self.new_driver()
        self.number = f"v2{id(self)}{self._testMethodName}"[:32]

    def new_driver(self, key=APIV2_KEY, url=None):
        return CodepayV2(MCHID, APPID, key, sandbox_url=url or self.sandbox.url)

    def code(self):
        return self.sandbox.post(f"phone/{self.openid}/pay_code", new=True)["auth_code"]

    def pay(self, code=None, driver=None, amount=1234):
        return (driver or self.driver).pay(
            self.number,
            code or self.code(),
            amount,
            "红茶",
            scene_info={"store_info": {"id": "pos1"}},
        )

    def fault(self, path, kind, **vals):
        self.sandbox.call(
            "POST", "faults", {"path": path, "kind": kind, "times": 1, **vals}
        )

    def test_paid(self):
        order = self.pay()
        self.assertEqual(order["trade_state"], "SUCCESS")
        self.assertEqual(order["amount"]["total"], 1234)
        self.assertEqual(order["payer"]["openid"], self.openid)
        self.assertRegex(order["success_time"], r"^\d{4}-\d\d-\d\dT[\d:]{8}\+08:00$")
        again = self.driver.query(self.number)
        self.assertEqual(again, order)

    def test_promotions(self):
        for kind, amount in (("CASH", 200), ("NOCASH", 100)):
            self.sandbox.post(
                f"phone/{self.openid}/vouchers", type=kind, amount=amount, name=kind
            )
        order = self.pay()
        found = {p["type"]: p["amount"] for p in order["promotion_detail"]}
        self.assertEqual(found, {"CASH": 200, "NOCASH": 100})
        self.assertEqual(order["amount"]["payer_total"], 934)

    def test_password(self):
        self.sandbox.post(f"phone/{self.openid}/ask_password", times=1)
        self.assertEqual(self.pay()["trade_state"], "USERPAYING")
        self.assertEqual(self.driver.query(self.number)["trade_state"], "USERPAYING")
        self.driver.reverse(self.number)
        self.assertEqual(self.driver.query(self.number)["trade_state"], "REVOKED")

    def test_lost_answers(self):
        for number, vals in enumerate(
            (
                {"kind": "errcode", "errcode": "SYSTEMERROR", "commit": True},
                {"kind": "http_status", "status": 502, "commit": True},
                {"kind": "timeout_after", "seconds": 0.05},
            )
        ):
            with self.subTest(vals):
                self.number = f"{self.number[:30]}{number}"
                self.fault("micropay", **vals)
                with self.assertRaises(WechatUnknownOutcome):
                    self.pay()
                self.assertEqual(
                    self.driver.query(self.number)["trade_state"], "SUCCESS"
                )
        sent = self.sandbox.log("/pay/micropay")
        self.assertEqual(len({e["body"] for e in sent[-3:]}), 3)

    def test_refused(self):
        with self.assertRaises(WechatRefused) as caught:
            self.pay(code="130000000000000000")
        self.assertEqual(caught.exception.code, "AUTH_CODE_INVALID")
        self.assertNotIn("130000000000000000", str(caught.exception))
        with self.assertRaises(WechatRefused) as caught:
            self.driver.query("nosuchorder")
        self.assertIn(caught.exception.code, NOT_FOUND)

    def test_wrong_key(self):
        with self.assertRaises(WechatConfigError):
            self.pay(driver=self.new_driver(key="x" * 32))
        with self.assertRaises(WechatConfigError):
            self.pay(driver=self.new_driver(key=""))

    def test_answer_without_a_good_signature(self):
        """Neither a success nor a refusal is believed."""
        for result in ("SUCCESS", "FAIL"):
            body = (
                "<xml><return_code>SUCCESS</return_code>"
                f"<result_code>{result}</result_code><err_code>NOTENOUGH</err_code>"
                f"<mch_id>{MCHID}</mch_id><appid>{APPID}</appid>"
                "<sign>0123456789ABCDEF0123456789ABCDEF</sign></xml>"
            )
            self.fault("micropay", "http_status", status=200, body=body)
            with self.assertRaises(WechatUnknownOutcome):
                self.pay()

    def test_hostile_xml(self):
        bomb = (
            '<!DOCTYPE x [<!ENTITY a "aaaa">]><xml><return_code>&a;</return_code></xml>'
        )
        self.fault("micropay", "http_status", status=200, body=bomb)
        with self.assertRaises(WechatUnknownOutcome):
            self.pay()

    def test_nobody_there(self):
        with self.assertRaises(WechatUnavailable) as caught:
            self.pay(driver=self.new_driver(url="http://127.0.0.1:9"))
        self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)

    def test_reverse_needs_the_certificate(self):
        driver = self.new_driver(url="https://127.0.0.1:9")
        with self.assertRaisesRegex(WechatConfigError, "apiclient_cert.pem"):
            driver.reverse(self.number)
