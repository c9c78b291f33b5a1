import base64
import time

from wechatpy.crypto import WeChatCrypto

from odoo.tests import BaseCase, tagged

from ..tools import callback
from ..tools.callback import CallbackRefused
from .common import AES_KEY, APPID, TOKEN

TIGHT = b"""<xml><ToUserName><![CDATA[gh_shop]]></ToUserName>
<FromUserName><![CDATA[oABC]]></FromUserName><CreateTime>1700000000</CreateTime>
<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[user_get_card]]></Event>
<CardId><![CDATA[pCARD]]></CardId><IsGiveByFriend>0</IsGiveByFriend>
<UserCardCode><![CDATA[123456789012]]></UserCardCode><OuterStr><![CDATA[]]></OuterStr>
</xml>"""
BLANK = TIGHT.replace(b"<![CDATA[", b" <![CDATA[").replace(b"]]></", b"]]> </")


@tagged("post_install", "-at_install")
class TestCallbackTools(BaseCase):
    def refused(self, status, function, *args):
        with self.assertRaises(CallbackRefused) as caught:
            function(*args)
        self.assertEqual(caught.exception.status, status)
        return caught.exception.reason

    # --- signature ---

    def test_signature_is_the_documented_one(self):
        # sha1 of the sorted, joined parts, computed with sha1sum.
        self.assertEqual(
            callback.signature("token", "1700000000", "nonce"),
            "bf37e74fc61ce5974ce58c68e55130b79b2578b9",
        )

    def test_signature_refusals(self):
        good = callback.signature(TOKEN, "1", "2")
        callback.check_signature(good, TOKEN, "1", "2")
        self.refused(403, callback.check_signature, None, TOKEN, "1", "2")
        self.refused(403, callback.check_signature, "", TOKEN, "1", "2")
        self.refused(403, callback.check_signature, good.upper(), TOKEN, "1", "2")
        self.refused(403, callback.check_signature, "签名", TOKEN, "1", "2")
        self.refused(403, callback.check_signature, good, "other", "1", "2")

    def test_age(self):
        now = time.time()
        callback.check_age(str(int(now) - 50), now, 60, 10)
        for timestamp in (None, "", "abc", "²", str(int(now) - 61), "9" * 5000):
            self.refused(403, callback.check_age, timestamp, now, 60, 10)

    # --- encryption; wechatpy is the other side, not our own code ---

    def test_decrypts_what_wechatpy_encrypts(self):
        crypto = WeChatCrypto(TOKEN, AES_KEY, APPID)
        outer = callback.parse_xml(
            crypto.encrypt_message(TIGHT.decode(), "nonce", "1700000000").encode()
        )
        self.assertEqual(
            outer["MsgSignature"],
            callback.signature(TOKEN, "1700000000", "nonce", outer["Encrypt"]),
        )
        self.assertEqual(callback.decrypt(AES_KEY, APPID, outer["Encrypt"]), TIGHT)

    def test_wechatpy_decrypts_what_we_encrypt(self):
        encrypted = callback.encrypt(AES_KEY, APPID, "<xml><A>汉字</A></xml>")
        signature = callback.signature(TOKEN, "1", "2", encrypted)
        crypto = WeChatCrypto(TOKEN, AES_KEY, APPID)
        self.assertEqual(
            crypto.decrypt_message({"Encrypt": encrypted}, signature, "1", "2"),
            "<xml><A>汉字</A></xml>",
        )

    def test_decrypt_refusals(self):
        good = callback.encrypt(AES_KEY, APPID, TIGHT)
        cases = {
            "not base64": "***",
            "empty": "",
            "not whole blocks": base64.b64encode(b"x" * 33).decode(),
            "random": base64.b64encode(bytes(range(64))).decode(),
            "cut": base64.b64encode(base64.b64decode(good)[:-32]).decode(),
        }
        for name, encrypted in cases.items():
            with self.subTest(name):
                self.refused(403, callback.decrypt, AES_KEY, APPID, encrypted)
        other = callback.encrypt(AES_KEY, "wx0000000000000000", TIGHT)
        reason = self.refused(403, callback.decrypt, AES_KEY, APPID, other)
        self.assertIn("another account", reason)

    # --- XML ---

    def test_both_styles_of_cdata(self):
        for body in (TIGHT, BLANK):
            message = callback.parse_xml(body)
            self.assertEqual(message["Event"], "user_get_card")
            self.assertEqual(message["UserCardCode"], "123456789012")
            self.assertEqual(message["OuterStr"], "")
        self.assertEqual(
            callback.event_key(callback.parse_xml(TIGHT)),
            callback.event_key(callback.parse_xml(BLANK)),
        )

    def test_nested_and_repeated_elements(self):
        message = callback.parse_xml(
            b"<xml><Info><Item>1</Item><Item>2</Item></Info><A>x</A></xml>"
        )
        self.assertEqual(message, {"Info": {"Item": ["1", "2"]}, "A": "x"})

    def test_text_of_a_person_may_look_hostile(self):
        message = callback.parse_xml(
            b"<xml><MsgType>text</MsgType>"
            b"<Content><![CDATA[<!DOCTYPE x [<!ENTITY a 'b'>]>]]></Content></xml>"
        )
        self.assertEqual(message["Content"], "<!DOCTYPE x [<!ENTITY a 'b'>]>")

    def test_text_that_looks_like_an_escape(self):
        message = callback.parse_xml(b"<xml><Content>a\\u0000b</Content></xml>")
        self.assertEqual(message["Content"], "a\\u0000b")

    def test_hostile_xml(self):
        lol = "".join(
            f'<!ENTITY l{i} "{"".join([f"&l{i - 1};"] * 10)}">' for i in range(1, 10)
        )
        bodies = {
            "billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "lol">{lol}]>'
            "<xml><A>&l9;</A></xml>",
            "external entity": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
            "<xml><A>&e;</A></xml>",
            "external DTD": '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">'
            "<xml><A>1</A></xml>",
            "parameter entity": '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://x/">%p;]>'
            "<xml><A>1</A></xml>",
            "undefined entity": "<xml><A>&nothing;</A></xml>",
            "deep": "<xml>" + "<a>" * 50 + "</a>" * 50 + "</xml>",
            "wide": "<xml>" + "<a/>" * 5000 + "</xml>",
            "broken": "<xml><A>1</xml>",
            "empty": "",
            "text": "hello",
            "no elements": "<xml>text</xml>",
            "other root": "<html><a>1</a></html>",
            "null": "<xml><A>\x00</A></xml>",
        }
        for name, body in bodies.items():
            with self.subTest(name):
                self.refused(400, callback.parse_xml, body.encode())
        for encoding in ("utf-16", "utf-32"):
            with self.subTest(encoding):
                hostile = bodies["external entity"].encode(encoding)
                self.refused(400, callback.parse_xml, hostile)
        self.refused(
            400,
            callback.parse_xml,
            b'<?xml version="1.0" encoding="nonsense"?><xml><A>1</A></xml>',
        )

    # --- what kind of event, and which one ---

    def test_event_type(self):
        cases = {
            "user_get_card": {"MsgType": "event", "Event": "user_get_card"},
            "subscribe": {"MsgType": "event", "Event": "subscribe"},
            "scan": {"MsgType": "event", "Event": "SCAN"},
            "templatesendjobfinish": {
                "MsgType": "event",
                "Event": "TEMPLATESENDJOBFINISH",
            },
            "message_text": {"MsgType": "text"},
            "unknown": {},
            "name_of_a_method": {"MsgType": "event", "Event": "name.of-a method"},
        }
        for expected, message in cases.items():
            self.assertEqual(callback.event_type(message), expected)
        self.assertEqual(
            callback.event_type({"MsgType": "event", "Event": {"a": "b"}}), "unknown"
        )

    def test_event_key(self):
        event = callback.parse_xml(TIGHT)
        self.assertEqual(callback.event_key(event), callback.event_key(dict(event)))
        for name, value in (
            ("FromUserName", "oXYZ"),
            ("CreateTime", "1700000001"),
            ("Event", "user_del_card"),
            ("CardId", "pOTHER"),
            ("UserCardCode", "999"),
            ("ModifyBonus", "5"),
        ):
            with self.subTest(name):
                self.assertNotEqual(
                    callback.event_key(event),
                    callback.event_key({**event, name: value}),
                )
        self.assertEqual(callback.event_key({"MsgId": "42"}), "msg:42")
        long = callback.event_key({**event, "EventKey": "x" * 500})
        self.assertLessEqual(len(long), 200)
        self.assertNotEqual(
            long, callback.event_key({**event, "EventKey": "x" * 499 + "y"})
        )
