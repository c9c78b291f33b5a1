import hashlib
import io
import json
from unittest.mock import patch

import requests

from odoo.tests import tagged

from ..tools.exceptions import (
    WechatConfigError,
    WechatRefused,
    WechatUnavailable,
    WechatUnknownOutcome,
)
from ..tools.official_client import WechatOfficialClient
from .common import APPID, APPSECRET, ServerCase


class MemoryTokens:
    """Tokens of one process, for tests without a database."""

    def __init__(self):
        self.values = {}

    def obtain(self, kind, fetch, stale=None, timeout=None):
        value = self.values.get(kind)
        if not value or value == stale:
            self.values[kind] = value = fetch()[0]
        return value


@tagged("post_install", "-at_install")
class TestOfficialClient(ServerCase):
    def setUp(self):
        super().setUp()
        self.tokens = MemoryTokens()
        self.client = self.make_client()

    def make_client(self, **values):
        return WechatOfficialClient(
            APPID, APPSECRET, self.tokens, **{"sandbox_url": self.server.url, **values}
        )

    def body_of(self, path):
        return json.loads(self.server.asked(path)[-1]["body"])

    # --- construction and addresses ---

    def test_constructor_sends_nothing(self):
        self.assertFalse(self.server.requests)
        self.assertEqual(self.client.card._client, self.client)
        self.assertNotIn(APPSECRET, repr(self.client))

    def test_only_known_hosts(self):
        for url in (
            "https://evil.example/cgi-bin/x",
            "http://127.0.0.1:1/x",
            "https://api.weixin.qq.com.evil.example/x",
            "https://api.weixin.qq.com@evil.example/x",
        ):
            with self.subTest(url), self.assertRaises(WechatConfigError):
                self.client.get(url)
        self.assertFalse(self.server.requests)

    def test_production_address(self):
        client = self.make_client(sandbox_url=None)
        self.assertEqual(
            client._url("stable_token"),
            "https://api.weixin.qq.com/cgi-bin/stable_token",
        )
        self.assertEqual(
            client._url("http://api.weixin.qq.com/x?a=b"),
            "https://api.weixin.qq.com/x?a=b",
        )

    # --- web authorisation ---

    def test_oauth_url(self):
        url = self.make_client(sandbox_url=None).oauth_url("https://shop/x?a=b", "s1")
        self.assertEqual(
            url,
            "https://open.weixin.qq.com/connect/oauth2/authorize"
            f"?appid={APPID}&redirect_uri=https%3A%2F%2Fshop%2Fx%3Fa%3Db"
            "&response_type=code&scope=snsapi_base&state=s1#wechat_redirect",
        )
        self.assertTrue(
            self.client.oauth_url("https://shop/", "s1").startswith(self.server.url)
        )

    def test_oauth_openid(self):
        path = "/sns/oauth2/access_token"
        self.server.says(path, {"access_token": "T", "openid": "o1"})
        self.assertEqual(self.client.oauth_openid("c1"), "o1")
        self.assertEqual(
            self.server.asked(path)[-1]["query"],
            {
                "appid": APPID,
                "secret": APPSECRET,
                "code": "c1",
                "grant_type": "authorization_code",
            },
        )
        self.server.says(path, {"openid": "o2", "is_snapshotuser": 1})
        self.assertIsNone(self.client.oauth_openid("c2"))
        self.server.says(path, {"errcode": 40163, "errmsg": "code been used"})
        with self.assertRaises(WechatRefused):
            self.client.oauth_openid("c1")
        self.server.says(path, {"access_token": "T"})
        with self.assertRaises(WechatUnavailable):
            self.client.oauth_openid("c3")

    def test_secret_of_oauth_is_not_logged(self):
        self.server.says("/sns/oauth2/access_token", {"openid": "o1"})
        with self.assertLogs("urllib3.connectionpool", "DEBUG") as logs:
            self.client.oauth_openid("c0de")
        text = "\n".join(logs.output)
        self.assertIn("/sns/oauth2/access_token", text)
        self.assertNotIn(APPSECRET, text)
        self.assertNotIn("c0de", text)

    # --- token ---

    def test_stable_token_and_utf8_body(self):
        self.server.says("/card/get", {"errcode": 0, "card": {}})
        self.client.card.get("汉字")
        self.assertEqual(
            self.body_of("/cgi-bin/stable_token"),
            {
                "grant_type": "client_credential",
                "appid": APPID,
                "secret": APPSECRET,
                "force_refresh": False,
            },
        )
        call = self.server.asked("/card/get")[0]
        self.assertEqual(call["query"], {"access_token": "TOKEN1"})
        self.assertIn("汉字".encode(), call["body"])
        self.assertNotIn(b"\\u", call["body"])

    def test_one_retry_on_each_token_error(self):
        for errcode in (40001, 40014, 42001):
            with self.subTest(errcode):
                self.tokens.values.clear()
                self.server.requests.clear()
                self.server.says_in_turn(
                    "/cgi-bin/stable_token",
                    self.token_answer("OLD"),
                    self.token_answer("NEW"),
                )
                self.server.says_in_turn(
                    "/card/get",
                    {"errcode": errcode, "errmsg": "invalid credential"},
                    {"errcode": 0, "card": {}},
                )
                self.client.card.get("p1")
                tokens = [
                    call["query"]["access_token"]
                    for call in self.server.asked("/card/get")
                ]
                self.assertEqual(tokens, ["OLD", "NEW"])

    def test_retry_is_bounded(self):
        self.server.says("/card/get", {"errcode": 40001, "errmsg": "no"})
        with self.assertRaises(WechatConfigError):
            self.client.card.get("p1")
        self.assertEqual(len(self.server.asked("/card/get")), 2)

    def test_the_same_token_again_is_forced(self):
        """Normal mode hands out what it believes to be good."""
        self.server.says_in_turn(
            "/cgi-bin/stable_token",
            self.token_answer("SAME"),
            self.token_answer("SAME"),
            self.token_answer("FORCED"),
        )
        self.server.says_in_turn(
            "/card/get",
            {"errcode": 40001, "errmsg": "not latest"},
            {"errcode": 0, "card": {}},
        )
        self.client.card.get("p1")
        forced = [
            json.loads(call["body"])["force_refresh"]
            for call in self.server.asked("/cgi-bin/stable_token")
        ]
        self.assertEqual(forced, [False, False, True])
        self.assertEqual(
            self.server.asked("/card/get")[-1]["query"]["access_token"], "FORCED"
        )

    # --- errors ---

    def test_error_classes(self):
        cases = {
            -1: WechatUnavailable,
            45009: WechatUnavailable,
            45011: WechatUnavailable,
            40013: WechatConfigError,
            40164: WechatConfigError,
            48001: WechatConfigError,
            40127: WechatRefused,
            72015: WechatRefused,
        }
        for errcode, error_class in cases.items():
            with self.subTest(errcode):
                self.server.says(
                    "/card/get",
                    {"errcode": errcode, "errmsg": "text rid: 5f-abc"},
                )
                with self.assertRaises(error_class) as caught:
                    self.client.card.get("p1")
                self.assertEqual(caught.exception.code, errcode)
                self.assertEqual(caught.exception.request_id, "5f-abc")
                self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)

    def test_answers_that_leave_the_outcome_open(self):
        self.server.says("/cgi-bin/stable_token", self.token_answer("T"))
        cases = {
            "500": lambda: self.server.says("/card/code/consume", b"", status=500),
            "502": lambda: self.server.says("/card/code/consume", b"x", status=502),
            "redirect": lambda: self.server.says(
                "/card/code/consume", b"", status=302, Location="http://evil.example/"
            ),
            "page": lambda: self.server.says(
                "/card/code/consume", b"<html>", **{"Content-Type": "text/html"}
            ),
            "dropped": lambda: self.server.drops("/card/code/consume"),
            "errcode": lambda: self.server.says("/card/code/consume", {"errcode": "x"}),
            "large": lambda: self.server.says("/card/code/consume", b" " * 11_000_000),
        }
        for name, prepare in cases.items():
            with self.subTest(name):
                prepare()
                self.server.requests.clear()
                with self.assertRaises(WechatUnknownOutcome) as caught:
                    self.client.card.consume_code("123")
                self.assertEqual(len(self.server.asked("/card/code/consume")), 1)
                self.assertNotIn("access_token", str(caught.exception))

    def test_a_closed_port_is_not_unknown(self):
        client = self.make_client(sandbox_url="http://127.0.0.1:9")
        with self.assertRaises(WechatUnavailable) as caught:
            client.card.get("p1")
        self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)

    def test_a_lost_answer_to_a_question_changes_nothing(self):
        self.server.drops("/card/getcolors")
        with self.assertRaises(WechatUnavailable) as caught:
            self.client.card.get_colors()
        self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)

    def test_time_out(self):
        # Odoo's tests raise the time-outs of real calls to 10 s.
        seen, session_send = [], self.client._http.send

        def send(prepared, **values):
            seen.append(values["timeout"])
            if "/consume" in prepared.url:
                raise requests.ReadTimeout("slow")
            return session_send(prepared, **values)

        self.client.timeout = 0.3
        with (
            patch.object(self.client._http, "send", send),
            self.assertRaises(WechatUnknownOutcome),
        ):
            self.client.card.consume_code("1")
        self.assertEqual(seen, [0.3, 0.3])

    def test_a_token_is_never_in_a_message(self):
        self.server.drops("/card/code/consume")
        with self.assertRaises(WechatUnknownOutcome) as caught:
            self.client.card.consume_code("1")
        error = caught.exception
        self.assertTrue(error.__suppress_context__)
        self.assertNotIn("TOKEN1", str(error))

    def test_answers_of_the_wrong_shape(self):
        """Whatever comes, it is an error of ours that callers know."""
        pages = ([], "text", 5, True, None, [{"errcode": 0}], b"[" * 100000, b"<html>")
        broken = ({"errcode": []}, {"errcode": 1e999}, {"base_resp": {"ret": 1}})
        calls = {
            "/card/code/consume": lambda: self.client.card.consume_code("1"),
            "/cgi-bin/media/uploadimg": lambda: self.client.media.upload_image(
                io.BytesIO(b"PNG")
            ),
            "/datacube/getcardcardinfo": lambda: self.client.datacube.get_card_info(
                "2026-11-01", "2026-11-02"
            ),
            "/datacube/getusersummary": lambda: self.client.datacube.get_user_summary(
                "2026-11-01", "2026-11-02"
            ),
        }
        for path, call in calls.items():
            whole = path == "/card/code/consume"
            for body in pages + (broken[:2] if whole else broken):
                with self.subTest((path, str(body)[:20])):
                    self.server.says(path, body)
                    with self.assertRaises(WechatUnknownOutcome) as caught:
                        call()
                    self.assertIn("could not be trusted", str(caught.exception))

    def test_tokens_of_the_wrong_shape(self):
        token, ticket = "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket"
        bodies = (
            [],
            {},
            {"{}": 5},
            {"{}": ["T"], "expires_in": 7200},
            {"{}": "T", "expires_in": "soon"},
            {"{}": "T", "expires_in": 1e999},
            {"{}": "T", "expires_in": {}},
        )
        for path, name in ((ticket, "ticket"), (token, "access_token")):
            for body in bodies:
                if isinstance(body, dict):
                    body = {key.format(name): value for key, value in body.items()}
                with self.subTest((path, body)):
                    self.server.says(path, body)
                    if path == token:
                        self.tokens.values.clear()
                    with self.assertRaises(WechatUnavailable) as caught:
                        self.client.jsapi.get_jsapi_card_ticket()
                    self.assertNotIsInstance(caught.exception, WechatUnknownOutcome)

    def test_what_cannot_be_stored(self):
        half = "\ud83d"
        self.server.says(
            "/card/get", {"errcode": 40013, "errmsg": f"cut {half}\0 rid: a{half}b"}
        )
        with self.assertRaises(WechatConfigError):
            self.client.card.get("p1")
        self.server.says("/card/get", {"errcode": 40127, "errmsg": f"cut {half}\0."})
        with self.assertRaises(WechatRefused) as caught:
            self.client.card.get("p1")
        self.assertIn("cut ?.", str(caught.exception))
        body = {"card": {half: [f"A{half}\0B"], "cost": float("nan")}}
        self.server.says("/card/get", body)
        self.assertEqual(self.client.card.get("p1"), {"?": ["A?B"], "cost": None})

    # --- known bugs of wechatpy 1.8.18 ---

    def test_create_qrcode_returns_everything(self):
        answer = {
            "errcode": 0,
            "errmsg": "ok",
            "ticket": "t",
            "url": "http://weixin.qq.com/q/x",
            "show_qrcode_url": "https://mp.weixin.qq.com/x",
        }
        self.server.says("/card/qrcode/create", answer)
        result = self.client.card.create_qrcode({"action_name": "QR_CARD"})
        self.assertEqual(result, answer)

    def test_invalid_code_sends_the_reason(self):
        self.server.says("/card/code/unavailable", {"errcode": 0})
        self.client.card.invalid_code("123", card_id="p1", reason="退款")
        self.assertEqual(
            self.body_of("/card/code/unavailable"),
            {"code": "123", "card_id": "p1", "reason": "退款"},
        )
        self.client.card.invalid_code("123")
        self.assertEqual(self.body_of("/card/code/unavailable"), {"code": "123"})

    def test_user_title_url(self):
        self.server.says(
            "/card/invoice/biz/getusertitleurl", {"errcode": 0, "url": "u"}
        )
        self.assertEqual(self.client.invoice.get_user_title_url(True), "u")
        self.assertEqual(
            self.client.invoice.get_user_title_url(False, title="公司"), "u"
        )
        with self.assertRaises(ValueError):
            self.client.invoice.get_user_title_url(False)

    def test_upload_part_is_called_buffer(self):
        self.server.says("/cgi-bin/media/uploadimg", {"url": "http://img"})
        url = self.client.media.upload_image(io.BytesIO(b"PNG"))
        self.assertEqual(url, "http://img")
        body = self.server.asked("/cgi-bin/media/uploadimg")[0]["body"]
        self.assertIn(b'name="buffer"', body)
        self.assertNotIn(b'name="media"', body)

    def test_a_file_is_sent_whole_in_the_retry(self):
        self.server.says_in_turn(
            "/cgi-bin/stable_token", self.token_answer("A"), self.token_answer("B")
        )
        self.server.says_in_turn(
            "/cgi-bin/media/uploadimg", {"errcode": 42001}, {"url": "http://img"}
        )
        self.client.media.upload_image(io.BytesIO(b"PNGDATA"))
        bodies = [
            call["body"] for call in self.server.asked("/cgi-bin/media/uploadimg")
        ]
        self.assertEqual([b"PNGDATA" in body for body in bodies], [True, True])

    def test_card_ext(self):
        ext = self.client.jsapi.get_jsapi_card_params(
            "TICKET",
            card_id="pCARD",
            timestamp=1700000000,
            nonce_str="NONCE",
            code="123",
            openid="oABC",
            outer_str="desk1",
        )
        signed = "".join(
            sorted(["TICKET", "1700000000", "NONCE", "pCARD", "123", "oABC"])
        )
        self.assertEqual(
            ext["signature"],
            hashlib.sha1(signed.encode(), usedforsecurity=False).hexdigest(),
        )
        self.assertEqual(ext["outer_str"], "desk1")
        self.assertNotIn("card_id", ext)
        self.assertNotIn("card_type", ext)
        short = self.client.jsapi.get_jsapi_card_params("TICKET", card_id="pCARD")
        self.assertEqual(set(short), {"timestamp", "nonce_str", "signature"})
        again = self.client.jsapi.get_jsapi_card_params("TICKET", card_id="pCARD")
        self.assertNotEqual(short["nonce_str"], again["nonce_str"])

    def test_choose_card(self):
        params = self.client.jsapi.get_choose_card_params(
            "TICKET", card_id="pCARD", timestamp=1700000000, nonce_str="NONCE"
        )
        signed = "".join(sorted([APPID, "TICKET", "1700000000", "NONCE", "pCARD"]))
        self.assertEqual(
            params["cardSign"],
            hashlib.sha1(signed.encode(), usedforsecurity=False).hexdigest(),
        )

    def test_tickets_are_kept(self):
        self.server.says(
            "/cgi-bin/ticket/getticket",
            {"errcode": 0, "ticket": "T", "expires_in": 7200},
        )
        for _time in range(2):
            self.assertEqual(self.client.jsapi.get_jsapi_card_ticket(), "T")
        calls = self.server.asked("/cgi-bin/ticket/getticket")
        self.assertEqual([call["query"]["type"] for call in calls], ["wx_card"])

    def test_datacube_of_cards(self):
        self.server.says("/datacube/getcardcardinfo", {"list": [{"view_cnt": 1}]})
        rows = self.client.datacube.get_card_info(
            "2026-11-01", "2026-11-02", cond_source=1, card_id="p1"
        )
        self.assertEqual(rows, [{"view_cnt": 1}])
        self.assertEqual(
            self.body_of("/datacube/getcardcardinfo"),
            {
                "begin_date": "2026-11-01",
                "end_date": "2026-11-02",
                "cond_source": 1,
                "card_id": "p1",
            },
        )

    def test_qrcode_picture(self):
        self.server.says(
            "/cgi-bin/showqrcode", b"\x89PNG", **{"Content-Type": "image/png"}
        )
        picture = self.client.qrcode.show("a b/c")
        self.assertEqual(picture.content, b"\x89PNG")
        call = self.server.asked("/cgi-bin/showqrcode")[0]
        self.assertEqual(call["query"], {"ticket": "a b/c"})

    def test_default_time_out(self):
        self.assertTrue(self.client.timeout)
