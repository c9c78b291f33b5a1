"""What the tests share: accounts, keys, a scripted server, a model of operations."""

import json
import threading
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from odoo import SUPERUSER_ID, api
from odoo.modules.registry import DummyRLock, Registry
from odoo.tests import TransactionCase, new_test_user
from odoo.tools import mute_logger

APPID = "wx2421b1c4370ec43b"
APPSECRET = "0123456789abcdef0123456789abcdef"
TOKEN = "shoptoken2026"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APIV3_KEY = "0123456789abcdefghijklmnopqrstuv"
MCHID = "1900007291"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119000072912026"


class Keys:
    """A private key, its public half and a certificate for it."""

    def __init__(self, days=30):
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        now = datetime.now(timezone.utc)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=60))
            .not_valid_after(now + timedelta(days=days))
            .sign(self.private, SHA256())
        )

    @property
    def private_pem(self):
        return self.private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    @property
    def public_pem(self):
        return (
            self.private.public_key()
            .public_bytes(
                serialization.Encoding.PEM,
                serialization.PublicFormat.SubjectPublicKeyInfo,
            )
            .decode()
        )

    @property
    def certificate_pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


@lru_cache(maxsize=8)
def make_keys(name, days=30):
    """Return the keys of ``name``; made once, because making them is slow."""
    return Keys(days)


class FakeServer:
    """A scripted HTTP server: what it is asked is kept, what it answers is told.

    ``answers`` maps a path to a function that takes the request (a dictionary) and
    returns (status, headers, body); or raises ``Drop`` to close the connection
    without an answer.
    """

    class Drop(Exception):
        pass

    def __init__(self):
        self.requests = []
        self.answers = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                length = int(self.headers.get("Content-Length") or 0)
                parts = urlsplit(self.path)
                request = {
                    "method": self.command,
                    "path": parts.path,
                    "target": self.path,
                    "query": {k: v[0] for k, v in parse_qs(parts.query).items()},
                    "headers": dict(self.headers.items()),
                    "body": self.rfile.read(length),
                }
                fake.requests.append(request)
                try:
                    status, headers, body = fake.answers[parts.path](request)
                except FakeServer.Drop:
                    self.close_connection = True
                    return
                except KeyError:
                    status, headers, body = 404, {}, b"unknown path"
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = handle_one

            def log_message(self, *args):
                """Silent: the tests look at ``requests``."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def says(self, path, body, status=200, **headers):
        """Answer ``path`` always like this."""
        self.answers[path] = lambda request: (status, headers, body)

    def says_in_turn(self, path, *bodies):
        """Answer ``path`` with each of these once, then with the last one."""
        left = list(bodies)
        self.answers[path] = lambda request: (
            200,
            {},
            left.pop(0) if len(left) > 1 else left[0],
        )

    def drops(self, path):
        """Read the request and close the connection."""

        def drop(_request):
            raise FakeServer.Drop()

        self.answers[path] = drop

    def asked(self, path):
        """Return the requests for ``path``."""
        return [request for request in self.requests if request["path"] == path]


class ServerCase(TransactionCase):
    """A scripted server, and the values of records that use it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = FakeServer()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        super().setUp()
        self.server.requests.clear()
        self.server.answers.clear()
        self.server.says("/cgi-bin/stable_token", self.token_answer("TOKEN1"))

    @classmethod
    def account_vals(cls, **vals):
        return {
            "name": "Shop",
            "appid": APPID,
            "original_id": "gh_shop",
            "secret": APPSECRET,
            "token": TOKEN,
            "encoding_aes_key": AES_KEY,
            "environment": "sandbox",
            "sandbox_url": cls.server.url,
            **vals,
        }

    @classmethod
    def merchant_vals(cls, **vals):
        return {
            "name": "Shop",
            "mchid": MCHID,
            "apiv3_key": APIV3_KEY,
            "private_key": make_keys("merchant").private_pem,
            "certificate": make_keys("merchant").certificate_pem,
            "environment": "sandbox",
            "sandbox_url": cls.server.url,
            "key_ids": [
                (
                    0,
                    0,
                    {
                        "kind": "public_key",
                        "serial": PUBLIC_KEY_ID,
                        "pem": make_keys("wechat").public_pem,
                    },
                )
            ],
            **vals,
        }

    @staticmethod
    def token_answer(token, seconds=7200):
        return {"access_token": token, "expires_in": seconds}

    @classmethod
    def new_user(cls, login, *groups, **values):
        return new_test_user(
            cls.env,
            login,
            groups=",".join(["base.group_user", *groups]),
            **values,
        )


class WechatCase(ServerCase):
    """An account and a merchant that talk to the scripted server."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.env.company
        cls.account = cls.env["wechat.account"].create(cls.account_vals())
        cls.merchant = cls.env["wechat.merchant"].create(cls.merchant_vals())


class CommittedCase(ServerCase):
    """Tests with several real transactions: what they need is committed.

    Each test's rows are removed by :meth:`clean_up`, whatever has happened.
    """

    _retry = False

    def setUp(self):
        super().setUp()
        self.addCleanup(self.commit, self.clean_up)
        self.committed_account_id = self.commit(
            lambda env: (
                env["wechat.account"]
                .create(
                    self.account_vals(
                        appid="wxcommitted0001", name="Committed", original_id=False
                    )
                )
                .id
            )
        )

    def commit(self, function):
        """Call ``function(env)`` in a transaction of its own and commit it."""
        with self.registry.cursor() as cr:
            return function(api.Environment(cr, SUPERUSER_ID, {}))

    @staticmethod
    def clean_up(env):
        accounts = env["wechat.account"].search([("appid", "=", "wxcommitted0001")])
        for name in ("wechat.event", "wechat.identity"):
            env[name].search([("account_id", "in", accounts.ids)]).unlink()
        accounts.unlink()
        env.cr.execute("DELETE FROM wechat_rate_guard WHERE key LIKE 'test%'")
        env.cr.execute("DELETE FROM queue_job WHERE identity_key LIKE 'wechat.%'")

    def in_threads(self, count, function):
        """Call ``function(env, index)`` in threads at the same moment.

        :return: what each call returned
        """
        barrier = threading.Barrier(count)
        results, errors = [None] * count, []

        def run(index):
            try:
                with self.registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    barrier.wait(20)
                    results[index] = function(env, index)
            except Exception as error:
                errors.append(error)

        threads = [
            threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)
        ]
        # The tests' thread holds the registry's lock; conflicts are expected.
        with (
            patch.object(Registry, "_lock", DummyRLock()),
            mute_logger("odoo.sql_db"),
        ):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
        self.assertFalse([thread for thread in threads if thread.is_alive()])
        self.assertEqual(errors, [])
        return results
