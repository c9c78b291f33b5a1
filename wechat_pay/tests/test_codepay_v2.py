import hashlib
import logging
import os
import ssl
import tempfile
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from socket import create_server

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from odoo.tests import BaseCase, tagged

from odoo.addons.wechat_base.tests.common import FakeServer, make_keys
from odoo.addons.wechat_base.tools.exceptions import (
    WechatConfigError,
    WechatError,
    WechatRefused,
    WechatUnavailable,
    WechatUnknownOutcome,
)

from ..tools import codepay_v2
from ..tools.codepay_v2 import CodepayV2, calculate_signature_hmac
from ..tools.pay_api import NOT_FOUND
from .pay_sandbox import APIV2_KEY, APPID, MCHID, SHOP, PaySandboxCase

MICROPAY = "/pay/micropay"
QUERY = "/pay/orderquery"
REVERSE = "/secapi/pay/reverse"
# The example of WeChat's page on signatures.
VECTOR = {
    "appid": "wxd930ea5d5a258f4f",
    "mch_id": "10000100",
    "device_info": "1000",
    "body": "test",
    "nonce_str": "ibuaiVcKdpRxkhJA",
}
VECTOR_KEY = "192006250b4c09247ec02edce69f6a2d"
VECTOR_MD5 = "9A0A8659F005D6984697E2CA0A9CF3B7"
VECTOR_HMAC = "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6"


def md5(values, key):
    """Return the older signature, which we neither make nor believe."""
    text = "&".join(f"{name}={values[name]}" for name in sorted(values) if values[name])
    text = f"{text}&key={key}".encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()


def driver(url, **values):
    keys = make_keys("merchant")
    values = {
        "certificate": keys.certificate_pem,
        "private_key": keys.private_pem,
        **values,
    }
    return CodepayV2(MCHID, APPID, APIV2_KEY, sandbox_url=url, **values)


@tagged("post_install", "-at_install")
class TestCodepayV2(PaySandboxCase):
    """Against the sandbox, which shares no code with us."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.driver = driver(cls.sandbox.url)

    def pay(self, code=None, amount=1234, **more):
        more = {"scene_info": SHOP, **more}
        return self.driver.pay(
            self.number, code or self.code(), amount, "咖啡 & <茶> ]]>", **more
        )

    def state(self):
        return self.driver.query(self.number)["trade_state"]

    def test_paid_at_once(self):
        order = self.pay(attach="till 1")
        self.assertEqual(order["trade_state"], "SUCCESS")
        self.assertEqual(order["trade_type"], "MICROPAY")
        self.assertEqual(order["payer"], {"openid": self.openid})
        self.assertEqual(
            order["amount"],
            {
                "total": 1234,
                "currency": "CNY",
                "payer_total": 1234,
                "payer_currency": "CNY",
                "settlement_total": 1234,
            },
        )
        self.assertEqual((order["mchid"], order["appid"]), (MCHID, APPID))
        self.assertEqual(order["out_trade_no"], self.number)
        self.assertEqual(order["attach"], "till 1")
        self.assertNotIn("promotion_detail", order)
        paid = datetime.fromisoformat(order["success_time"])
        self.assertEqual(paid.utcoffset(), timedelta(hours=8))
        self.assertLess(abs(datetime.now(timezone.utc) - paid), timedelta(seconds=30))
        again = self.driver.query(self.number)
        self.assertEqual(again.pop("trade_state_desc"), "支付成功")
        self.assertEqual(again, order)

    def test_coupons(self):
        for kind, amount in (("CASH", 100), ("NOCASH", 30)):
            self.sandbox.post(
                f"phone/{self.openid}/vouchers",
                type=kind,
                amount=amount,
                name=kind.title(),
                stock_id=f"S{amount}",
                wechatpay_contribute=amount,
            )
        paid = self.pay()
        amounts = {"total": 1234, "payer_total": 1104, "settlement_total": 1204}
        asked = self.driver.query(self.number)
        for order in (paid, asked):
            self.assertEqual(order["amount"], {**order["amount"], **amounts})
            self.assertEqual(
                {row["type"]: row["amount"] for row in order["promotion_detail"]},
                {"CASH": 100, "NOCASH": 30},
            )
        rows = {row["type"]: row for row in asked["promotion_detail"]}
        self.assertEqual(rows["NOCASH"]["name"], "Nocash")
        self.assertEqual(rows["CASH"]["stock_id"], "S100")
        self.assertTrue(rows["CASH"]["coupon_id"])
        self.assertEqual(rows["CASH"]["wechatpay_contribute"], 100)
        self.assertNotIn("wxpay_contribute", rows["CASH"])

    def test_password(self):
        self.ask_password()
        order = self.pay()
        self.assertEqual(order["trade_state"], "USERPAYING")
        self.assertEqual(order["out_trade_no"], self.number)
        self.assertEqual(self.state(), "USERPAYING")
        self.password("right")
        self.assertEqual(self.state(), "SUCCESS")
        self.assertEqual(self.sent(MICROPAY), 1)

    def test_password_is_not_entered(self):
        self.ask_password()
        self.pay()
        self.password("cancel")
        self.assertEqual(self.state(), "PAYERROR")

    def test_unknown_number(self):
        for call in (self.driver.query, self.driver.reverse):
            with self.assertRaises(WechatRefused) as caught:
                call(self.number)
            self.assertIn(caught.exception.code, NOT_FOUND)

    def test_refused_code(self):
        code = "134567890123456789"
        with self.assertRaises(WechatRefused) as caught:
            self.pay(code)
        self.assertEqual(caught.exception.code, "AUTH_CODE_INVALID")
        self.assertNotIn(code, str(caught.exception))
        self.assertEqual(self.sent(MICROPAY), 1)

    def test_reverse(self):
        self.pay()
        for _again in range(2):
            self.assertIsNone(self.driver.reverse(self.number))
        self.assertEqual(self.state(), "REVOKED")
        self.assertEqual([r["refund"] for r in self.refunds()], [1234])

    def test_reverse_of_an_unpaid_order(self):
        self.ask_password()
        self.pay()
        self.driver.reverse(self.number)
        self.assertEqual(self.state(), "REVOKED")
        self.assertEqual(self.refunds(), [])

    def test_reverse_without_a_certificate(self):
        other = make_keys("wechat")
        for values in (
            {"certificate": None},
            {"private_key": None},
            {"certificate": "no PEM"},
            {"private_key": "no PEM"},
            {"private_key": other.private_pem},
        ):
            with self.subTest(values), self.assertRaises(WechatConfigError) as caught:
                driver(self.sandbox.url, **values).reverse(self.number)
            self.assertIn("certificate", str(caught.exception))
            self.assertEqual(caught.exception.code, "certificate")
        self.assertEqual(self.sent(REVERSE), 0)

    def test_error_after_the_money_was_taken(self):
        for err_code in ("SYSTEMERROR", "BANKERROR"):
            with self.subTest(err_code):
                self.number += err_code[0]
                self.fault("micropay", "errcode", errcode=err_code, commit=True)
                with self.assertRaises(WechatUnknownOutcome) as caught:
                    self.pay()
                self.assertEqual(caught.exception.code, err_code)
                self.assertEqual(self.state(), "SUCCESS")
                self.assertEqual(self.sent(MICROPAY), 1)

    def test_no_answer_is_an_unknown_outcome(self):
        faults = (
            ("timeout_after", {"seconds": 0.1}),
            ("drop_connection", {}),
            ("http_status", {"status": 500, "commit": True}),
            ("http_status", {"status": 302, "commit": True}),
            ("http_status", {"status": 404, "body": "<html>not here</html>"}),
            ("http_status", {"status": 200, "body": "<xml><return_code>SUCC"}),
            ("http_status", {"status": 200, "body": ""}),
            ("bad_signature", {}),
        )
        for index, (kind, values) in enumerate(faults):
            with self.subTest(kind, **values):
                self.number += str(index)
                self.fault("micropay", kind, **values)
                with self.assertRaises(WechatUnknownOutcome):
                    self.pay()
                self.assertEqual(self.sent(MICROPAY), 1)

    def test_questions_and_reversals_are_asked_twice(self):
        self.pay()
        self.fault("orderquery", "drop_connection")
        self.assertEqual(self.state(), "SUCCESS")
        self.fault("orderquery", "bad_signature", times=2)
        with self.assertRaises(WechatUnknownOutcome):
            self.state()
        self.fault("reverse", "timeout_after", seconds=0.1)
        self.driver.reverse(self.number)
        self.assertEqual(self.sent(REVERSE), 2)
        self.assertEqual(len(self.refunds()), 1)

    def test_lost_question(self):
        """A question changes nothing, so that its loss is no unknown outcome."""
        self.fault("orderquery", "drop_connection", times=2)
        with self.assertRaises(WechatUnavailable) as caught:
            self.state()
        self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)

    def test_slow_down(self):
        self.fault("micropay", "errcode", errcode="FREQUENCY_LIMITED")
        with self.assertRaises(WechatUnavailable) as caught:
            self.pay()
        self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)
        self.assertEqual(self.sent(MICROPAY), 1)

    def test_set_up(self):
        url = self.sandbox.url
        for wrong in (
            CodepayV2(MCHID, APPID, "w" * 32, sandbox_url=url),
            CodepayV2("1999999999", APPID, APIV2_KEY, sandbox_url=url),
            CodepayV2(MCHID, "wxother", APIV2_KEY, sandbox_url=url),
            CodepayV2(MCHID, APPID, None, sandbox_url=url),
        ):
            with self.assertRaises(WechatConfigError):
                wrong.pay(self.number, self.code(), 1, "咖啡")
        for err_code in codepay_v2._CONFIG_ERRORS:
            self.fault("micropay", "errcode", errcode=err_code)
            with self.subTest(err_code), self.assertRaises(WechatConfigError) as caught:
                self.pay()
            self.assertEqual(caught.exception.code, err_code)

    def test_not_reached(self):
        with create_server(("127.0.0.1", 0)) as probe:
            url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        with self.assertRaises(WechatUnavailable) as caught:
            driver(url).pay(self.number, self.code(), 1, "咖啡")
        self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)

    def test_the_code_and_the_key_stay_secret(self):
        logger = logging.getLogger()
        code = self.code()
        with self.assertLogs(logger, logging.DEBUG) as logs:
            logger.debug("at least one line")
            self.pay(code)
            self.driver.query(self.number)
        text = "\n".join(logs.output) + repr(self.driver) + repr(vars(self.driver))
        self.assertNotIn(code, text)
        self.assertNotIn(APIV2_KEY, "\n".join(logs.output) + repr(self.driver))


@tagged("post_install", "-at_install")
class TestCodepayV2Answers(BaseCase):
    """Answers that the sandbox does not give."""

    def setUp(self):
        super().setUp()
        self.server = FakeServer()
        self.addCleanup(self.server.close)
        self.driver = driver(self.server.url)

    def says(self, path, key=APIV2_KEY, sign=calculate_signature_hmac, **values):
        values = {
            "return_code": "SUCCESS",
            "result_code": "SUCCESS",
            "mch_id": MCHID,
            "out_trade_no": "N-00001",
            "total_fee": "100",
            **values,
        }
        if sign:
            values["sign"] = sign(values, key)
        self.says_xml(path, codepay_v2._to_xml(values))

    def says_xml(self, path, text):
        self.server.says(path, text.encode())

    def pay(self, code="130000000000000001"):
        return self.driver.pay("N-00001", code, 100, "咖啡", scene_info=SHOP)

    def query(self, **values):
        self.says(QUERY, **{"trade_state": "SUCCESS", "cash_fee": "100", **values})
        return self.driver.query("N-00001")

    def assert_doubtful(self, call):
        self.server.requests.clear()
        with self.assertRaises(WechatUnknownOutcome):
            call()

    def test_official_signatures(self):
        self.assertEqual(calculate_signature_hmac(VECTOR, VECTOR_KEY), VECTOR_HMAC)
        self.assertEqual(md5(VECTOR, VECTOR_KEY), VECTOR_MD5)
        # What we believe.
        own = CodepayV2("10000100", VECTOR["appid"], VECTOR_KEY)
        for sign, believed in ((VECTOR_HMAC, True), (VECTOR_MD5, False), ("", False)):
            with self.subTest(sign):
                known = {**VECTOR, "sign": sign}
                self.assertEqual(own._is_signed(known), believed)
        self.assertEqual(own._signed({"attach": ""})["sign_type"], "HMAC-SHA256")

    def test_what_is_sent(self):
        self.says(MICROPAY, cash_fee="100", transaction_id="42")
        place = {"device_id": "T1", "device_ip": "1.2.3.4", "store_info": {"out_id": 7}}
        self.driver.pay(
            "N-00001", "130000000000000001", 100, "a" * 130, scene_info=place
        )
        (request,) = self.server.asked(MICROPAY)
        sent = codepay_v2.parse_xml(request["body"])
        sign = sent.pop("sign")
        self.assertEqual(sign, calculate_signature_hmac(sent, APIV2_KEY))
        self.assertRegex(sent.pop("nonce_str"), "^[0-9a-f]{32}$")
        self.assertEqual(
            sent,
            {
                "appid": APPID,
                "mch_id": MCHID,
                "sign_type": "HMAC-SHA256",
                "body": "a" * 127,
                "out_trade_no": "N-00001",
                "total_fee": "100",
                "auth_code": "130000000000000001",
                "device_info": "T1",
                "spbill_create_ip": "1.2.3.4",
                "scene_info": '{"store_info": {"id": 7}}',
            },
        )

    def test_what_is_not_believed(self):
        paid = {"trade_state": "SUCCESS", "cash_fee": "100", "transaction_id": "42"}
        for name, values in {
            "no signature": {"sign": None},
            "another key": {"key": "w" * 32},
            "a weaker signature": {"sign": md5},
            "another merchant": {"mch_id": "1999999999"},
            "another order": {"out_trade_no": "N-00002"},
            "no order": {"out_trade_no": ""},
            "no amount": {"total_fee": ""},
            "an amount that is none": {"total_fee": "1e2"},
            "no result": {"result_code": ""},
            "a result that is none": {"result_code": "PERHAPS"},
            "no state of the call": {"return_code": ""},
            "a failure without a code": {"result_code": "FAIL"},
        }.items():
            with self.subTest(name):
                self.says(MICROPAY, **{**paid, **values})
                self.assert_doubtful(self.pay)
                self.assertEqual(len(self.server.requests), 1)
                self.says(QUERY, **{**paid, **values})
                self.assert_doubtful(lambda: self.driver.query("N-00001"))
        with self.subTest("no state of the order"):
            self.says(QUERY)
            self.assert_doubtful(lambda: self.driver.query("N-00001"))

    def test_hostile_xml(self):
        bomb = "<!DOCTYPE x [" + '<!ENTITY a "aaaaaaaaaa">'
        bomb += "".join(
            f'<!ENTITY {b} "{f"&{a};" * 10}">'
            for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        )
        secret = Path(tempfile.mkdtemp()) / "secret"
        secret.write_text("SUCCESS")
        self.addCleanup(os.rmdir, secret.parent)
        self.addCleanup(secret.unlink)
        outside = f'<!DOCTYPE x [<!ENTITY i SYSTEM "file://{secret}">'
        for text in (
            bomb + "]><xml><return_code>&i;</return_code></xml>",
            outside + "]><xml><return_code>&i;</return_code></xml>",
            "<xml>" + "<a>" * 5000,
            "<xml><return_code><a>SUCCESS</a></return_code></xml>",
            "<xml><sign>1</sign><sign>2</sign></xml>",
            "<html><body>gateway</body></html>",
        ):
            with self.subTest(text[:40]):
                self.says_xml(MICROPAY, text)
                self.assert_doubtful(self.pay)
                self.assertEqual(len(self.server.requests), 1)

    def test_unsigned_refusals(self):
        """What WeChat cannot read it does not sign: only a wrong set-up is believed."""
        for message, expected in {
            "签名错误": WechatConfigError,
            "mch_id参数格式错误": WechatConfigError,
            "证书验证失败": WechatConfigError,
            "系统繁忙": WechatUnknownOutcome,
            "": WechatUnknownOutcome,
        }.items():
            with self.subTest(message), self.assertRaises(expected):
                self.says(MICROPAY, return_code="FAIL", return_msg=message, sign=None)
                self.pay()

    def test_the_code_is_not_repeated(self):
        code = "130000000000000009"
        for values in (
            {"return_code": "FAIL", "return_msg": f"签名错误 {code}", "sign": None},
            {"return_code": "FAIL", "return_msg": code, "sign": None},
            {"result_code": "FAIL", "err_code": "X", "err_code_des": f"no {code}"},
        ):
            self.says(MICROPAY, **values)
            with self.assertRaises(WechatError) as caught:
                self.pay(code)
            self.assertNotIn(code, str(caught.exception))
            self.assertNotIn(code, repr(caught.exception.args))

    def test_recall(self):
        for values in (
            {"recall": "Y"},
            {"recall": "Y", "result_code": "FAIL", "err_code": "SYSTEMERROR"},
        ):
            self.says(REVERSE, **values)
            with self.assertRaises(WechatUnavailable):
                self.driver.reverse("N-00001")
        self.assertEqual(len(self.server.requests), 2)

    def test_states(self):
        for state in ("NOTPAY", "CLOSED", "REVOKED", "USERPAYING", "PAYERROR"):
            with self.subTest(state):
                order = self.query(trade_state=state, total_fee="", cash_fee="")
                self.assertEqual(order["trade_state"], state)
                self.assertNotIn("amount", order)
        order = self.query(trade_state="REFUND", transaction_id="42")
        self.assertEqual(order["trade_state"], "REFUND")
        self.assertEqual(order["amount"]["payer_total"], 100)

    def test_times(self):
        for text, time in {
            "20260131235959": "2026-01-31T23:59:59+08:00",
            "20260231235959": None,
            "2026013123595": None,
            "２０２６０１３１２３５９５９": None,
        }.items():
            with self.subTest(text):
                order = self.query(time_end=text)
                self.assertEqual(order.get("success_time"), time)

    def test_coupons_of_every_form(self):
        numbered = {
            "coupon_count": "2",
            "coupon_type_0": "CASH",
            "coupon_id_0": "C1",
            "coupon_fee_0": "20",
            "coupon_type_1": "NO_CASH",
            "coupon_id_1": "C2",
            "coupon_fee_1": "10",
        }
        detail = """{"promotion_detail": [
            {"promotion_id": "C1", "type": "COUPON", "amount": 20},
            {"promotion_id": "C2", "type": "DISCOUNT", "amount": 10, "goods_detail":
                [{"goods_id": "G", "quantity": 1, "price": 7, "discount_amount": 10}]}
        ]}"""
        sums = {"coupon_fee": "30", "settlement_total_fee": "90"}
        for values in (numbered, {"promotion_detail": detail}, sums):
            with self.subTest(values):
                order = self.query(transaction_id="42", cash_fee="70", **values)
                self.assertEqual(order["amount"]["payer_total"], 70)
                self.assertEqual(order["amount"]["settlement_total"], 90)
                kinds = {r["type"]: r["amount"] for r in order["promotion_detail"]}
                self.assertEqual(kinds, {"CASH": 20, "NOCASH": 10})
        order = self.query(transaction_id="42", promotion_detail=detail)
        goods = order["promotion_detail"][1]["goods_detail"]
        self.assertEqual(goods[0]["unit_price"], 7)
        for text in ("{", "[]", "{}", '{"promotion_detail": 1}', "[1]", "[" * 9999):
            with self.subTest(text[:30]):
                order = self.query(transaction_id="42", promotion_detail=text)
                self.assertNotIn("promotion_detail", order)


class _MutualServer:
    """A server that talks to clients with a certificate of one authority only."""

    def __init__(self, folder, ca_pem, answer):
        self.asked = asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                asked.append(self.connection.getpeercert(binary_form=True))
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                """Silent: the tests look at ``asked``."""

        (folder / "client.pem").write_text(ca_pem)
        self.ca = str(folder / "server.pem")
        certificate, key = server_certificate()
        Path(self.ca).write_text(certificate)
        (folder / "both.pem").write_text(certificate + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "both.pem")
        context.load_verify_locations(folder / "client.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *args: None
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def server_certificate():
    """Return the PEM of a certificate for this machine, and of its key."""
    keys = make_keys("tls")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    addresses = [x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(keys.private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(keys.private, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode(), keys.private_pem


@tagged("post_install", "-at_install")
class TestClientCertificate(BaseCase):
    """The reversal over TLS to a server that asks for the merchant's certificate."""

    def setUp(self):
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        values = {
            "return_code": "SUCCESS",
            "result_code": "SUCCESS",
            "mch_id": MCHID,
            "recall": "N",
        }
        values["sign"] = calculate_signature_hmac(values, APIV2_KEY)
        self.server = _MutualServer(
            self.folder,
            make_keys("merchant").certificate_pem,
            codepay_v2._to_xml(values).encode(),
        )
        self.addCleanup(self.server.close)

    def driver(self, trust=True, **values):
        result = driver(self.server.url, **values)
        if trust:
            result._http.verify = result._http_mutual.verify = self.server.ca
        return result

    def test_shown(self):
        self.driver().reverse("N-00001")
        shown = make_keys("merchant").certificate.public_bytes(Encoding.DER)
        self.assertEqual(self.server.asked, [shown])

    def test_a_payment_shows_none(self):
        with self.assertRaises(WechatUnavailable):
            self.driver().pay("N-00001", "130000000000000001", 100, "咖啡")
        self.assertEqual(self.server.asked, [])

    def test_another_certificate(self):
        other = make_keys("wechat")
        wrong = self.driver(
            certificate=other.certificate_pem, private_key=other.private_pem
        )
        with self.assertRaises(WechatUnavailable):
            wrong.reverse("N-00001")
        self.assertEqual(self.server.asked, [])

    def test_the_server_is_checked(self):
        with self.assertRaises(WechatUnavailable) as caught:
            self.driver(trust=False).reverse("N-00001")
        self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)
        self.assertEqual(self.server.asked, [])

    def test_the_key_is_left_nowhere(self):
        folder = self.folder / "tmp"
        folder.mkdir()
        self.patch(tempfile, "tempdir", str(folder))
        written = []
        load = ssl.SSLContext.load_cert_chain

        def spy(context, path, *args, **kwargs):
            file = Path(path)
            written.append((file.read_text(), file.stat().st_mode & 0o777, file.parent))
            return load(context, path, *args, **kwargs)

        self.patch(ssl.SSLContext, "load_cert_chain", spy)
        self.driver().reverse("N-00001")
        ((text, mode, parent),) = written
        self.assertEqual((mode, parent), (0o600, folder))
        self.assertIn("ENCRYPTED PRIVATE KEY", text)
        self.assertNotIn("BEGIN PRIVATE KEY", text)
        self.assertEqual(list(folder.iterdir()), [])
