"""Callbacks: what is sent, in which mode, how often, and how it is spoilt."""

import base64
import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from defusedxml import ElementTree
from harness import cash_card

TOKEN = "callback-token"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


def sha1(*values):
    return hashlib.sha1(
        "".join(sorted(values)).encode(), usedforsecurity=False
    ).hexdigest()


def decrypt(text):
    """Decrypt with nothing of the sandbox's own."""
    key = base64.b64decode(AES_KEY + "=")
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    plain = cipher.update(base64.b64decode(text)) + cipher.finalize()
    assert len(plain) % 32 == 0
    plain = plain[: -plain[-1]]
    (length,) = struct.unpack(">I", plain[16:20])
    return plain[20 : 20 + length].decode(), plain[20 + length :].decode()


def receive(box, user, card, **extra):
    return box.post(f"phone/{user}/receive", card_id=card, **extra)["code"]


def names(listening):
    return [event["Event"] for event in listening.events()]


def test_user_get_card(box, listening, card, user):
    code = receive(box, user, card, outer_str="12b")
    (request,) = listening.wait(1)
    query = request["query"]
    assert query["signature"] == sha1(TOKEN, query["timestamp"], query["nonce"])
    assert query["openid"] == user
    assert request["headers"]["Content-Type"] == "text/xml"
    root = ElementTree.fromstring(request["body"])
    assert [child.tag for child in root] == [
        *("ToUserName", "FromUserName", "CreateTime", "MsgType", "Event"),
        *("CardId", "IsGiveByFriend", "UserCardCode", "FriendUserName"),
        *("OuterId", "OldUserCardCode", "OuterStr"),
        *("IsRestoreMemberCard", "IsRecommendByFriend"),
    ]
    (event,) = listening.events()
    assert event["ToUserName"] == "gh_0123456789ab"
    assert event["FromUserName"] == user
    assert event["Event"] == "user_get_card"
    assert event["UserCardCode"] == code
    assert event["OuterStr"] == "12b"
    assert b"<IsGiveByFriend>0</IsGiveByFriend>" in request["body"]


def test_review_events(box, listening, api):
    first = api.post("card/create", card=cash_card())["card_id"]
    second = api.post("card/create", card=cash_card())["card_id"]
    box.post(f"cards/{first}/review", **{"pass": True})
    box.post(f"cards/{second}/review", **{"pass": False, "reason": "图片不清楚"})
    box.wait_callbacks()
    found = {event["CardId"]: event for event in listening.events()}
    assert found[first]["Event"] == "card_pass_check"
    assert found[second]["Event"] == "card_not_pass_check"
    assert found[second]["RefuseReason"] == "图片不清楚"


def test_automatic_review(box, listening, api):
    box.post("settings", auto_review_seconds=0.01)
    card = api.post("card/create", card=cash_card())["card_id"]
    listening.wait(1)
    assert names(listening) == ["card_pass_check"]
    shown = api.post("card/get", card_id=card)["card"]["cash"]["base_info"]
    assert shown["status"] == "CARD_STATUS_VERIFY_OK"


def test_gift_events(box, listening, api, card, user):
    friend = box.post("users", nickname="小红", unionid="u-1")["openid"]
    old = receive(box, user, card)
    box.post(f"phone/{user}/gift", code=old, to_openid=friend)
    new = box.post(f"phone/{friend}/accept")["code"]
    assert new != old
    box.wait_callbacks()
    events = listening.events()
    gifting = next(e for e in events if e["Event"] == "user_gifting_card")
    assert gifting["UserCardCode"] == old
    assert gifting["FriendUserName"] == friend
    assert (gifting["IsReturnBack"], gifting["IsChatRoom"]) == ("0", "0")
    got = next(e for e in events if e.get("IsGiveByFriend") == "1")
    assert got["FromUserName"] == friend
    assert got["FriendUserName"] == user
    assert got["UserCardCode"] == new
    assert got["OldUserCardCode"] == old
    assert got["UnionId"] == "u-1"
    assert api.post("card/code/consume", code=new)["openid"] == friend


def test_gift_comes_back(box, listening, api, card, user):
    code = receive(box, user, card)
    box.post(f"phone/{user}/gift", code=code, chat_room=True)
    box.post(f"phone/{user}/take_back", code=code)
    box.wait_callbacks()
    events = [e for e in listening.events() if e["Event"] == "user_gifting_card"]
    assert sorted(e["IsReturnBack"] for e in events) == ["0", "1"]
    assert {e["IsChatRoom"] for e in events} == {"1"}
    assert api.post("card/code/get", code=code)["errcode"] == 0


def test_gift_needs_permission(box, api, user):
    card = api.post("card/create", card=cash_card(can_give_friend=False))["card_id"]
    box.post(f"cards/{card}/review", **{"pass": True})
    code = receive(box, user, card)
    refused = box.post(f"phone/{user}/gift", status=409, code=code, chat_room=True)
    assert refused["errcode"] == 40150


def test_consume_delete_and_view_events(box, listening, api, user):
    card = api.post("card/create", card=cash_card(need_push_on_view=True))["card_id"]
    box.post(f"cards/{card}/review", **{"pass": True})
    one, two = receive(box, user, card, outer_str="q"), receive(box, user, card)
    box.post(f"phone/{user}/view", code=one)
    api.post("card/code/consume", code=one)
    box.post(f"phone/{user}/delete", code=two)
    third = receive(box, user, card)
    box.post(f"phone/{user}/consume", code=third, source="FROM_MP", RemarkAmount="500")
    box.wait_callbacks()
    events = listening.events()
    used = [e for e in events if e["Event"] == "user_consume_card"]
    by_code = {e["UserCardCode"]: e for e in used}
    assert by_code[one]["ConsumeSource"] == "FROM_API"
    assert by_code[one]["OuterStr"] == "q"
    assert by_code[third]["ConsumeSource"] == "FROM_MP"
    assert by_code[third]["RemarkAmount"] == "500"
    assert [e["UserCardCode"] for e in events if e["Event"] == "user_del_card"] == [two]
    assert [e["UserCardCode"] for e in events if e["Event"] == "user_view_card"] == [
        one
    ]


def test_stock_reminder(box, listening, api):
    card = api.post("card/create", card=cash_card(sku={"quantity": 201}))["card_id"]
    box.post(f"cards/{card}/review", **{"pass": True})
    box.post(f"cards/{card}/issue", count=100)
    for _ in range(2):
        user = box.post("users", nickname="x")["openid"]
        receive(box, user, card)
    box.post(f"cards/{card}/issue", count=98)
    receive(box, box.post("users", nickname="x")["openid"], card)
    box.wait_callbacks()
    marks = [e["Detail"] for e in listening.events() if e["Event"] == "card_sku_remind"]
    assert len(marks) == 2
    assert "equal to 0" in marks[-1]


def test_follow_events(box, listening, account, user):
    box.post(f"phone/{user}/subscribe", appid=account)
    box.post(f"phone/{user}/unsubscribe", appid=account)
    box.wait_callbacks()
    assert sorted(names(listening)) == ["subscribe", "unsubscribe"]


def test_safe_mode(box, listening, account, card, user):
    box.post("accounts", appid=account, callback_mode="safe")
    code = receive(box, user, card)
    (request,) = listening.wait(1)
    query = request["query"]
    root = ElementTree.fromstring(request["body"])
    assert [child.tag for child in root] == ["ToUserName", "Encrypt"]
    cipher = root.findtext("Encrypt").strip()
    assert query["encrypt_type"] == "aes"
    signed = sha1(TOKEN, query["timestamp"], query["nonce"], cipher)
    assert query["msg_signature"] == signed
    text, appid = decrypt(cipher)
    assert appid == account
    inner = ElementTree.fromstring(text)
    assert inner.findtext("UserCardCode").strip() == code


def test_compatible_mode_has_both(box, listening, account, card, user):
    box.post("accounts", appid=account, callback_mode="compat")
    code = receive(box, user, card)
    (request,) = listening.wait(1)
    root = ElementTree.fromstring(request["body"])
    assert root.findtext("UserCardCode").strip() == code
    text, _appid = decrypt(root.findtext("Encrypt").strip())
    assert code in text
    assert request["query"]["encrypt_type"] == "aes"


@pytest.mark.parametrize(
    ("style", "present", "absent"),
    [
        ("tight", b"<Event><![CDATA[", b"<Event> <![CDATA["),
        ("blank", b"<Event> <![CDATA[user_get_card]]> </Event>", b"<Event><!["),
    ],
)
def test_cdata_styles(box, listening, account, card, user, style, present, absent):
    box.post("accounts", appid=account, cdata_style=style)
    receive(box, user, card)
    (request,) = listening.wait(1)
    assert present in request["body"] and absent not in request["body"]


def test_mixed_style(box, listening, account, card, user):
    box.post("accounts", appid=account, cdata_style="mixed")
    receive(box, user, card)
    (request,) = listening.wait(1)
    assert b"> <![CDATA[" in request["body"]
    assert b"e><![CDATA[" in request["body"]


def test_text_is_escaped(box, listening, account, card, user):
    nasty = "a]]>b<c>&\"'"
    receive(box, user, card, outer_str=nasty)
    listening.wait(1)
    assert listening.events()[0]["OuterStr"] == nasty


def test_three_retries_then_nothing(box, listening, api, card, user):
    code = receive(box, user, card)
    listening.wait(1)
    listening.requests.clear()
    listening.replies = [(500, "")] * 9
    api.post("card/code/consume", code=code)
    box.wait_callbacks()
    assert len(listening.requests) == 4
    assert len({request["body"] for request in listening.requests}) == 1
    last = box.get("callbacks")[-1]
    assert last["state"] == "failed" and len(last["attempts"]) == 4


def test_a_wrong_answer_is_retried_until_it_is_right(box, listening, card, user):
    listening.replies = [(200, "thanks"), (403, "success")]
    receive(box, user, card)
    listening.wait(3)
    box.wait_callbacks()
    assert box.get("callbacks")[-1]["state"] == "done"


def test_timeout_is_a_failure(box, account, listening, card, user):
    import socket

    silent = socket.create_server(("127.0.0.1", 0))
    try:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        box.post("accounts", appid=account, callback_url=url)
        box.post("settings", callback_timeout=0.05, time_scale=0)
        receive(box, user, card)
        box.wait_callbacks()
        last = box.get("callbacks")[-1]
        assert last["state"] == "failed" and last["attempts"][0]["error"] == "timeout"
    finally:
        silent.close()


def test_duplicate_is_the_same_message(box, listening, card, user):
    box.post("callback_faults", kind="duplicate", times=1)
    receive(box, user, card)
    requests = listening.wait(2)
    box.wait_callbacks()
    assert requests[0]["body"] == requests[1]["body"]
    assert len(listening.requests) == 2


def test_disorder(box, listening, api, card, user):
    box.post("callback_faults", kind="disorder", times=1, match="user_get_card")
    code = receive(box, user, card)
    api.post("card/code/consume", code=code)
    box.wait_callbacks()
    assert names(listening) == ["user_consume_card", "user_get_card"]


def test_bad_signature_is_sent_once(box, listening, card, user):
    box.post("callback_faults", kind="bad_signature", times=1)
    listening.replies = [(403, "")]
    receive(box, user, card)
    box.wait_callbacks()
    (request,) = listening.requests
    query = request["query"]
    assert query["signature"] != sha1(TOKEN, query["timestamp"], query["nonce"])


def test_bad_signature_then_the_real_one(box, listening, card, user):
    box.post("callback_faults", kind="bad_signature", times=1, then_genuine=True)
    receive(box, user, card)
    box.wait_callbacks()
    good = [
        request["query"]["signature"]
        == sha1(TOKEN, request["query"]["timestamp"], request["query"]["nonce"])
        for request in listening.requests
    ]
    assert sorted(good) == [False, True]


def test_wrong_appid(box, listening, account, card, user):
    box.post("accounts", appid=account, callback_mode="safe")
    box.post("callback_faults", kind="wrong_appid", times=1)
    receive(box, user, card)
    (request,) = listening.wait(1)
    root = ElementTree.fromstring(request["body"])
    _text, appid = decrypt(root.findtext("Encrypt"))
    assert appid != account


def test_broken_xml_drop_and_delay(box, listening, card, user):
    box.post("callback_faults", kind="broken_xml", times=1)
    receive(box, user, card)
    (request,) = listening.wait(1)
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(request["body"])
    box.post("callback_faults", kind="drop", times=1)
    receive(box, user, card)
    box.wait_callbacks()
    assert len(listening.requests) == 1
    box.post("callback_faults", kind="delay", times=1, seconds=0.2)
    receive(box, user, card)
    box.wait_callbacks()
    sent = box.get("callbacks")[-1]
    assert sent["attempts"][0]["time"] - sent["created"] >= 0.2


def test_faults_can_be_cleared_and_are_checked(box):
    box.post("callback_faults", kind="drop", times=0)
    assert len(box.get("callback_faults")) == 1
    assert box.control("DELETE", "callback_faults")["cleared"] == 1
    assert box.get("callback_faults") == []
    box.post("callback_faults", status=400, kind="other")


def test_send_by_hand(box, listening, account, user):
    hostile = (
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
        "<xml><Event>&b;</Event></xml>"
    )
    sent = box.post("callbacks/send", appid=account, xml=hostile, wait=5)
    assert sent["state"] == "done"
    assert listening.requests[-1]["body"].decode() == hostile
    box.post(
        "callbacks/send",
        appid=account,
        event="update_member_card",
        openid=user,
        fields={"CardId": "p1", "ModifyBonus": 5},
        mode="safe",
        wait=5,
    )
    root = ElementTree.fromstring(listening.requests[-1]["body"])
    text, _appid = decrypt(root.findtext("Encrypt"))
    assert "<ModifyBonus>5</ModifyBonus>" in text
    box.post("callbacks/send", status=404, appid="wxunknown", xml="<xml/>")
    box.post("callbacks/send", status=400, appid=account)


def test_encrypted_replies_are_checked(box, listening, account, card, user):
    box.post("accounts", appid=account, callback_mode="safe")
    listening.replies = [(200, "<xml><Encrypt>x</Encrypt></xml>")]
    receive(box, user, card)
    listening.wait(2)


def test_verify_callback(box, listening, account):
    listening.replies = [(200, "ECHO"), (200, "no"), (500, "ECHO")]
    results = [box.post(f"accounts/{account}/verify_callback") for _ in range(3)]
    assert [result["ok"] for result in results] == [True, False, False]
    query = listening.requests[0]["query"]
    assert query["signature"] == sha1(TOKEN, query["timestamp"], query["nonce"])
    box.post("accounts", appid=account, callback_url="http://127.0.0.1:9/none")
    assert box.post(f"accounts/{account}/verify_callback")["ok"] is False


def test_official_vector():
    """The sample of WeChat's own encryption kit: signature and cipher text."""
    from wechat_sandbox.oa_crypto import aes_key, decrypt, encrypt, sha1_sorted

    key = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
    cipher = (
        "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO"
        "+FZXvnaqQ=="
    )
    signature = sha1_sorted("QDG6eK", "1409659589", "263014780", cipher)
    assert signature == "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"
    assert decrypt(key, cipher) == ("1616140317555161061", "wx5823bf96d3bd56c7")
    assert decrypt(key, encrypt(key, "中文", "wx1")) == ("中文", "wx1")
    with pytest.raises(ValueError):
        aes_key("short")


def test_template_messages(box, listening, api, account, user):
    box.post("accounts", appid=account, templates={"T1": "金额:{{amount1.DATA}}"})

    def send(**changes):
        body = {
            "touser": user,
            "template_id": "T1",
            "data": {"amount1": {"value": "12.50元"}},
            **changes,
        }
        return api.post("cgi-bin/message/template/send", **body)

    assert send()["errcode"] == 43004
    box.post(f"phone/{user}/subscribe", appid=account)
    assert send(touser="x")["errcode"] == 40003
    assert send(template_id="T2")["errcode"] == 40037
    assert send(data={"amount1": {"value": "many"}})["errcode"] == 47003
    assert send(data={})["errcode"] == 47003
    first = send(client_msg_id="order-1")["msgid"]
    assert send(client_msg_id="order-1")["msgid"] == first
    box.post("clock", advance=601)
    assert send(client_msg_id="order-1")["msgid"] != first
    box.wait_callbacks()
    done = [e for e in listening.events() if e["Event"] == "TEMPLATESENDJOBFINISH"]
    assert [e["Status"] for e in done] == ["success", "success"]
