import gzip
import io
import json
import logging
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from socket import create_server
from tempfile import TemporaryDirectory

import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.hashes import SHA256

from odoo.tests import BaseCase, tagged

from ..tools import transport
from ..tools.exceptions import (
    WechatUnavailable,
    WechatUnknownOutcome,
    plain_translate,
)
from ..tools.official_client import WechatOfficialClient
from .common import APPID, APPSECRET, FakeServer, make_keys
from .test_official_client import MemoryTokens

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
# Seconds: what is meant to end after PATIENCE would take minutes otherwise.
PATIENCE, FAR_TOO_LONG = 1.5, 15.0


class SlowServer:
    """Answers with ``start`` at once and ``rest`` one byte every tenth of a second.

    :param bytes start: of the answer, head included
    :param bytes rest: of the answer
    :param context: of TLS, if the server is to speak it
    """

    def __init__(self, start=b"", rest=b"", context=None):
        self.start, self.rest, self.context = start, rest, context
        self.closed = threading.Event()
        self._server = create_server(("127.0.0.1", 0))
        port = self._server.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while not self.closed.is_set():
            try:
                connection, _address = self._server.accept()
            except OSError:
                return
            threading.Thread(
                target=self._answer, args=(connection,), daemon=True
            ).start()

    def _answer(self, connection):
        # The other side hangs up, which is what this is about.
        with suppress(OSError), connection:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            # All of it: who closes with something unread takes its answer back.
            with connection.makefile("rb") as request:
                size = 0
                while line := request.readline().strip().lower():
                    if line.startswith(b"content-length:"):
                        size = int(line.partition(b":")[2])
                request.read(size)
            connection.sendall(self.start)
            for byte in self.rest:
                if self.closed.wait(0.1):
                    break
                connection.sendall(bytes([byte]))
            self.closed.wait(60 if not self.start else 0)
            connection.close()

    def close(self):
        self.closed.set()
        self._server.close()


@tagged("post_install", "-at_install")
class TestDeadline(BaseCase):
    """However slow the other side is, who waits is told in time."""

    def slow(self, *args, **kwargs):
        server = SlowServer(*args, **kwargs)
        self.addCleanup(server.close)
        return server

    def send(self, url, seconds, session=None, **values):
        session = session or transport.new_session(trust_env=False)
        return transport.send(
            session,
            session.prepare_request(requests.Request("POST", f"{url}/x", data=b"y")),
            timeout=values.pop("timeout", 30.0),
            translate=plain_translate,
            deadline=seconds and time.monotonic() + seconds,
            **values,
        )

    def assert_in_time(self, error_class, function, *args, **kwargs):
        start = time.monotonic()
        with self.assertRaises(error_class) as caught:
            function(*args, **kwargs)
        self.assertLess(time.monotonic() - start, FAR_TOO_LONG)
        return caught.exception

    def test_an_answer_that_dribbles(self):
        body = b" " * 1000
        chunks = b"".join(b"1\r\n \r\n" for _byte in range(500))
        cases = (
            (HEAD + b"Content-Length: 1000\r\n\r\n", body),
            (HEAD + b"\r\n", body),
            (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunks),
            (
                HEAD + b"Content-Encoding: gzip\r\n\r\n",
                gzip.compress(bytes(range(256)) * 4),
            ),
            # The head itself, and an answer that never begins.
            (b"HTTP/1.1 200 OK\r\n", b"X-Slow: " + body),
            (b"", b""),
        )
        calls = [
            (self.slow(start, rest).url, changes)
            for start, rest in cases
            for changes in (True, False)
        ]

        def ask(url, changes):
            return self.assert_in_time(
                WechatUnavailable, self.send, url, PATIENCE, changes=changes
            )

        # All at the same time: each thread keeps to its own deadline.
        with ThreadPoolExecutor(len(calls)) as threads:
            errors = threads.map(ask, *zip(*calls, strict=True))
            for error, (_url, changes) in zip(errors, calls, strict=True):
                self.assertEqual(isinstance(error, WechatUnknownOutcome), changes)
                self.assertNotEqual(error.code, "deadline")

    def test_no_time_left(self):
        server = FakeServer()
        self.addCleanup(server.close)
        error = self.assert_in_time(WechatUnavailable, self.send, server.url, -1)
        self.assertNotIsInstance(error, WechatUnknownOutcome)
        self.assertEqual((error.code, server.requests), ("deadline", []))

    def test_an_answer_in_time_is_whole(self):
        text = json.dumps({"a": "汉字" * 50000}).encode()
        packed = gzip.compress(text)
        size = str(len(packed)).encode()
        head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: " + size
        server = self.slow(head + b"\r\n\r\n" + packed)
        for seconds in (None, 20):
            with self.subTest(seconds):
                response = self.send(server.url, seconds)
                self.assertEqual(response.content, text)

    def test_a_packed_answer_has_its_limit(self):
        packed = gzip.compress(bytes(11 * 1024 * 1024))
        server = self.slow(HEAD + b"Content-Encoding: gzip\r\n\r\n" + packed)
        with self.assertRaises(WechatUnknownOutcome) as caught:
            self.send(server.url, 20)
        self.assertIn("size", str(caught.exception))

    def test_the_next_call_has_its_own_time(self):
        """A connection is used again; the end of the first call is not the second's."""
        server = FakeServer()
        self.addCleanup(server.close)
        session = transport.new_session(trust_env=False)
        server.says("/x", {"a": 1})
        self.send(server.url, 0.3, session=session)
        release = threading.Event()

        def slow(_request):
            release.wait(0.5)
            return 200, {}, {"a": 2}

        server.answers["/x"] = slow
        for seconds in (20, None):
            response = self.send(server.url, seconds, session=session)
            self.assertEqual(response.json(), {"a": 2})

        def never(_request):
            release.wait(30)
            raise FakeServer.Drop()

        server.answers["/x"] = never
        self.addCleanup(release.set)
        self.assert_in_time(
            WechatUnknownOutcome, self.send, server.url, PATIENCE, session=session
        )

    def test_over_tls(self):
        keys = make_keys("tls")
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = datetime.now(timezone.utc)
        addresses = [x509.IPAddress(ip_address("127.0.0.1"))]
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
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "all.pem"
            path.write_text(pem + keys.private_pem)
            context.load_cert_chain(path)
            session = transport.new_session(trust_env=False)
            session.verify = str(path)
            quick = self.slow(HEAD + b"Content-Length: 2\r\n\r\n{}", context=context)
            self.assertEqual(self.send(quick.url, 20, session=session).content, b"{}")
            slow = self.slow(
                HEAD + b"Content-Length: 900\r\n\r\n", b" " * 900, context=context
            )
            self.assert_in_time(
                WechatUnknownOutcome, self.send, slow.url, PATIENCE, session=session
            )

    def test_all_addresses_of_a_host_share_the_time(self):
        """Of a host that does not answer each address would take the time-out."""
        addresses = [f"127.0.0.{number}" for number in range(2, 12)]
        asked = []

        class Connection(transport._HTTPConnection):
            def _addresses(self, host):
                return addresses

        def dead(address, timeout, **_values):
            asked.append((address[0], timeout))
            transport._thread.end -= timeout
            raise TimeoutError("dead")

        connection = Connection("shop.example", 80, timeout=30)
        self.patch(transport.urllib3_connection.connection, "create_connection", dead)
        transport._thread.end = time.monotonic() + 73
        self.addCleanup(setattr, transport._thread, "end", None)
        with self.assertRaises(transport.urllib3_exceptions.ConnectTimeoutError):
            connection.connect()
        self.assertEqual([address for address, _time in asked], addresses[:3])
        self.assertEqual(
            [round(seconds, -1) for _address, seconds in asked], [30, 30, 10]
        )
        self.assertEqual((connection.host, connection.timeout), ("shop.example", 30))

    # --- the client ---

    def client(self, url, seconds, tokens=None):
        client = WechatOfficialClient(
            APPID, APPSECRET, tokens or MemoryTokens(), sandbox_url=url
        )
        client.deadline = time.monotonic() + seconds
        return client

    def test_token_and_call_share_the_time(self):
        server, release = FakeServer(), threading.Event()
        self.addCleanup(server.close)
        self.addCleanup(release.set)

        def never(_request):
            release.wait(60)
            raise FakeServer.Drop()

        server.answers["/cgi-bin/stable_token"] = never
        server.says("/card/code/consume", {"errcode": 0})
        error = self.assert_in_time(
            WechatUnavailable, self.client(server.url, PATIENCE).card.consume_code, "1"
        )
        self.assertNotIsInstance(error, WechatUnknownOutcome)
        self.assertEqual(server.asked("/card/code/consume"), [])
        # The token is there; a refusal for its sake leads to another that is slow.
        tokens = MemoryTokens()
        tokens.values["access_token"] = "OLD"
        server.says("/card/code/consume", {"errcode": 42001, "errmsg": "old"})
        error = self.assert_in_time(
            WechatUnavailable,
            self.client(server.url, PATIENCE, tokens).card.consume_code,
            "1",
        )
        self.assertNotIsInstance(error, WechatUnknownOutcome)

    def test_a_call_that_dribbles(self):
        server = self.slow(HEAD + b"Content-Length: 900\r\n\r\n", b" " * 900)
        tokens = MemoryTokens()
        tokens.values["access_token"] = "T"
        client = self.client(server.url, PATIENCE, tokens)
        self.assert_in_time(
            WechatUnknownOutcome, client.media.upload_image, io.BytesIO(b"PNG")
        )
        # It is over for good: nothing else is sent.
        error = self.assert_in_time(WechatUnavailable, client.card.get, "p1")
        self.assertEqual(error.code, "deadline")


@tagged("post_install", "-at_install")
class TestLog(BaseCase):
    def test_the_librarys_warnings_hold_no_token(self):
        logger = logging.getLogger("urllib3.connectionpool")
        with self.assertLogs(logger, "WARNING") as logs:
            logger.warning(
                "Failed to parse headers (url=%s): %s",
                "https://api.weixin.qq.com/card/get?access_token=SECRET&x=1",
                "odd",
            )
        self.assertNotIn("SECRET", logs.output[0])
        self.assertIn("access_token=***&x=1", logs.output[0])
