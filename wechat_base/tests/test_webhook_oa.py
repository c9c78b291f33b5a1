import time
from unittest.mock import patch

from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..tools import callback
from .common import AES_KEY, APPID, TOKEN, FakeServer, WechatCase

LOGGER = "odoo.addons.wechat_base.controllers.main"


@tagged("post_install", "-at_install")
class TestWebhookOA(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = FakeServer()
        cls.addClassCleanup(cls.server.close)
        cls.account = cls.env["wechat.account"].create(
            WechatCase.account_vals.__func__(cls)
        )

    def setUp(self):
        super().setUp()
        self.account.callback_mode = "safe"

    # --- what WeChat sends ---

    def xml(self, **values):
        values = {
            "ToUserName": "gh_shop",
            "FromUserName": "oABC",
            "CreateTime": "1700000000",
            "MsgType": "event",
            "Event": "user_get_card",
            "CardId": "pCARD",
            "UserCardCode": "123456789012",
            **values,
        }
        inner = "".join(
            f"<{name}><![CDATA[{value}]]></{name}>"
            for name, value in values.items()
            if value is not None
        )
        return f"<xml>{inner}</xml>"

    def query(self, encrypted=None, token=TOKEN, **values):
        timestamp, nonce = str(int(time.time())), "nonce"
        query = {
            "signature": callback.signature(token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
        }
        if encrypted is not None:
            query["encrypt_type"] = "aes"
            query["msg_signature"] = callback.signature(
                token, timestamp, nonce, encrypted
            )
        return {**query, **values}

    def post(self, body, query, key=None):
        return self.url_open(
            f"/wechat/oa/{key or self.account.callback_key}?"
            + "&".join(f"{name}={value}" for name, value in query.items()),
            data=body if isinstance(body, bytes) else body.encode(),
            headers={"Content-Type": "text/xml"},
        )

    def post_safe(self, xml=None, appid=APPID, **query):
        encrypted = callback.encrypt(AES_KEY, appid, xml or self.xml())
        outer = (
            "<xml><ToUserName><![CDATA[gh_shop]]></ToUserName>"
            f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        )
        return self.post(outer, self.query(encrypted, **query))

    def events(self):
        return self.env["wechat.event"].search([("account_id", "=", self.account.id)])

    def assert_refused(self, answer, status):
        self.assertEqual(answer.status_code, status)
        self.assertNotEqual(answer.text, "success")
        self.assertFalse(self.events())

    # --- entering the address ---

    def test_echo(self):
        answer = self.url_open(
            f"/wechat/oa/{self.account.callback_key}?"
            + "&".join(f"{k}={v}" for k, v in self.query(echostr="<b>123</b>").items())
        )
        self.assertEqual((answer.status_code, answer.text), (200, "<b>123</b>"))
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertNotIn("Set-Cookie", answer.headers)

    def test_echo_refused(self):
        for query in (
            self.query(echostr="1", token="other"),
            self.query(echostr="1", signature=""),
            {"echostr": "1"},
        ):
            with mute_logger(LOGGER):
                answer = self.url_open(
                    f"/wechat/oa/{self.account.callback_key}?"
                    + "&".join(f"{k}={v}" for k, v in query.items())
                )
            self.assertEqual(answer.status_code, 403)
            self.assertNotEqual(answer.text, "1")

    def test_unknown_address(self):
        for key in ("x" * 32, "%00abc", "%20" * 20, "x" * 300):
            with self.subTest(key=key):
                answer = self.post(self.xml(), self.query(), key=key)
                self.assert_refused(answer, 404)

    # --- the three modes ---

    def test_safe(self):
        answer = self.post_safe()
        self.assertEqual((answer.status_code, answer.text), (200, "success"))
        event = self.events()
        self.assertEqual(event.event_type, "user_get_card")
        self.assertEqual(event.openid, "oABC")
        self.assertEqual(event.company_id, self.account.company_id)
        self.assertEqual(event._payload()["UserCardCode"], "123456789012")

    def test_plain(self):
        self.account.callback_mode = "plain"
        answer = self.post(self.xml(), self.query())
        self.assertEqual(answer.text, "success")
        self.assertEqual(len(self.events()), 1)

    def test_compatible_uses_the_encrypted_part(self):
        self.account.callback_mode = "compat"
        encrypted = callback.encrypt(AES_KEY, APPID, self.xml(UserCardCode="GOOD"))
        forged = self.xml(UserCardCode="FORGED").replace(
            "</xml>", f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        )
        self.assertEqual(self.post(forged, self.query(encrypted)).text, "success")
        self.assertEqual(self.events()._payload()["UserCardCode"], "GOOD")

    def test_plain_account_that_is_sent_encrypted(self):
        self.account.callback_mode = "plain"
        self.assertEqual(self.post_safe().text, "success")
        self.assertEqual(self.events()._payload()["CardId"], "pCARD")

    def test_blanks_around_cdata(self):
        xml = self.xml().replace("<![CDATA[", " <![CDATA[").replace("]]>", "]]> ")
        self.assertEqual(self.post_safe(xml).text, "success")
        self.assertEqual(self.events().event_type, "user_get_card")

    # --- what must be refused ---

    @mute_logger(LOGGER)
    def test_unencrypted_where_encryption_is_on(self):
        for mode in ("safe", "compat"):
            self.account.callback_mode = mode
            self.assert_refused(self.post(self.xml(), self.query()), 403)

    @mute_logger(LOGGER)
    def test_signatures(self):
        self.assert_refused(self.post_safe(token="wrong"), 403)
        self.assert_refused(self.post_safe(signature="0" * 40), 403)
        self.assert_refused(self.post_safe(signature=""), 403)
        self.assert_refused(self.post_safe(msg_signature="0" * 40), 403)
        self.assert_refused(self.post_safe(msg_signature=""), 403)
        self.account.callback_mode = "plain"
        self.assert_refused(self.post(self.xml(), {}), 403)
        self.assert_refused(self.post(self.xml(), self.query(token="wrong")), 403)

    @mute_logger(LOGGER)
    def test_another_account(self):
        self.assert_refused(self.post_safe(appid="wx0000000000000000"), 403)
        self.assert_refused(self.post_safe(self.xml(ToUserName="gh_other")), 403)

    @mute_logger(LOGGER)
    def test_old_signature(self):
        self.account.callback_mode = "plain"
        for timestamp in ("1", "x", "99999999999", "9" * 5000):
            query = self.query()
            query["timestamp"] = timestamp
            query["signature"] = callback.signature(TOKEN, timestamp, "nonce")
            self.assert_refused(self.post(self.xml(), query), 403)

    @mute_logger(LOGGER)
    def test_signature_as_a_file(self):
        query = self.query()
        del query["signature"]
        answer = self.url_open(
            f"/wechat/oa/{self.account.callback_key}?"
            + "&".join(f"{name}={value}" for name, value in query.items()),
            files={"signature": ("a", b"b")},
        )
        self.assert_refused(answer, 403)

    def test_text_that_looks_like_an_escape(self):
        xml = self.xml(MsgType="text", Event=None, MsgId="42", Content="\\u0000")
        self.assertEqual(self.post_safe(xml).text, "success")
        self.assertEqual(self.events()._payload()["Content"], "\\u0000")

    @mute_logger(LOGGER)
    def test_broken_and_hostile_xml(self):
        self.account.callback_mode = "plain"
        laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
        for body in (
            " ",
            "<xml><Event>x</xml>",
            '{"json": true}',
            f'<!DOCTYPE x [<!ENTITY l0 "l">{laughs}]><xml><Event>&l9;</Event></xml>',
            (
                '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
                "<xml><Event>&e;</Event></xml>"
            ),
        ):
            with self.subTest(body[:30]):
                self.assert_refused(self.post(body, self.query()), 400)

    def test_broken_xml_is_logged_once_without_its_text(self):
        self.account.callback_mode = "plain"
        with self.assertLogs(LOGGER, "WARNING") as logs:
            self.post("<xml>SECRET-TEXT", self.query())
        self.assertEqual(len(logs.output), 1)
        self.assertNotIn("SECRET-TEXT", logs.output[0])
        self.assertNotIn(TOKEN, logs.output[0])

    @mute_logger(LOGGER, "odoo.http", "werkzeug")
    def test_huge(self):
        self.account.callback_mode = "plain"
        body = self.xml(Content="x" * 300_000)
        answer = self.post(body, self.query())
        self.assertIn(answer.status_code, (400, 413))
        self.assertFalse(self.events())

    def test_disabled_and_archived(self):
        self.account.environment = "disabled"
        self.assert_refused(self.post_safe(), 404)
        self.account.write({"environment": "sandbox", "active": False})
        self.assert_refused(self.post_safe(), 404)

    @mute_logger(LOGGER)
    def test_key_of_another_server(self):
        with patch.dict("os.environ", {"WECHAT_SECRET_KEY": "nonsense"}):
            self.assert_refused(self.post_safe(), 503)

    # --- replay and disorder ---

    def test_replay(self):
        for _time in range(3):
            self.assertEqual(self.post_safe().text, "success")
        event = self.events()
        self.assertEqual(len(event), 1)
        event.write({"state": "done"})
        self.assertEqual(self.post_safe().text, "success")
        self.assertEqual(self.events().mapped("state"), ["done"])

    def test_disorder(self):
        for created in ("1700000005", "1700000001", "1700000003"):
            self.post_safe(self.xml(CreateTime=created))
        self.assertEqual(len(self.events()), 3)

    def test_messages(self):
        text = self.xml(MsgType="text", Event=None, MsgId="42", Content="你好")
        self.assertEqual(self.post_safe(text).text, "success")
        self.assertEqual(self.post_safe(text).text, "success")
        event = self.events()
        self.assertEqual(event.event_type, "message_text")
        self.assertEqual(event.event_key, "msg:42")
        self.assertIn("你好", event.payload_text)

    def test_two_accounts_may_have_the_same_key(self):
        other = self.env["wechat.account"].create(
            {**WechatCase.account_vals.__func__(type(self)), "appid": "wxother00000001"}
        )
        receive = self.env["wechat.event"]._receive
        for account in (self.account, other, self.account):
            receive("oa", account.id, 1, "same", "x", {})
        self.assertEqual(
            self.env["wechat.event"].search_count([("event_key", "=", "same")]), 2
        )
