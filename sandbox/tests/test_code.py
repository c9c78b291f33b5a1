"""The matrix of card/code/get and what each call refuses."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import Api, cash_card, member_card

NOW = int(time.time())


def receive(box, user, card, **extra):
    return box.post(f"phone/{user}/receive", card_id=card, **extra)


def get(api, code, check=True, **extra):
    return api.post("card/code/get", code=code, check_consume=check, **extra)


@pytest.fixture
def code(box, card, user):
    return receive(box, user, card, outer_str="shelf-7")["code"]


def published(box, api, **changes):
    card_id = api.post("card/create", card=cash_card(**changes))["card_id"]
    box.post(f"cards/{card_id}/review", **{"pass": True})
    return card_id


def test_normal_code(api, card, code, user):
    assert len(code) == 12 and code.isdigit()
    reply = get(api, code)
    assert reply["errcode"] == 0
    assert reply["can_consume"] is True
    assert reply["user_card_status"] == "NORMAL"
    assert reply["openid"] == user
    assert reply["outer_str"] == "shelf-7"
    assert reply["card"]["card_id"] == card
    assert reply["card"]["end_time"] > NOW
    assert get(api, code, False)["can_consume"] is True


def consumed(box, api, code, user):
    assert api.post("card/code/consume", code=code)["errcode"] == 0


def expired(box, api, code, user):
    box.post("clock", advance=40 * 86400)
    api.login()


def gifting(box, api, code, user):
    box.post(f"phone/{user}/gift", code=code, chat_room=True)


def gift_timeout(box, api, code, user):
    gifting(box, api, code, user)
    box.post("clock", advance=86401)
    api.login()


def given(box, api, code, user):
    other = box.post("users", nickname="小红")["openid"]
    box.post(f"phone/{user}/gift", code=code, to_openid=other)
    box.post(f"phone/{other}/accept")


def deleted(box, api, code, user):
    box.post(f"phone/{user}/delete", code=code)


def unavailable(box, api, code, user):
    assert api.post("card/code/unavailable", code=code, reason="退款")["errcode"] == 0


MATRIX = [
    (consumed, "CONSUMED", 40099),
    (expired, "EXPIRE", 40127),
    (gifting, "GIFTING", 40127),
    (gift_timeout, "GIFT_TIMEOUT", 40127),
    (given, "GIFT_SUCC", 40127),
    (deleted, "DELETE", 40127),
    (unavailable, "UNAVAILABLE", 40127),
]


@pytest.mark.parametrize(("act", "status", "errcode"), MATRIX)
def test_matrix(box, api, code, user, act, status, errcode):
    act(box, api, code, user)
    assert get(api, code)["errcode"] == 40127
    soft = get(api, code, False)
    assert soft["errcode"] == 0
    assert soft["can_consume"] is False
    assert soft["user_card_status"] == status
    assert api.post("card/code/consume", code=code)["errcode"] == errcode


def test_consumed_errcode_is_a_setting(box, api, code):
    api.post("card/code/consume", code=code)
    box.post("settings", consumed_errcode=40099)
    assert get(api, code)["errcode"] == 40099


def test_unknown_codes(box, api, card, code):
    assert get(api, "000000000000")["errcode"] == 40056
    assert get(api, "000000000000", False)["errcode"] == 40056
    assert api.post("card/code/consume", code="1")["errcode"] == 40056
    assert api.post("card/code/get", code="9" * 21)["errcode"] == 40056
    assert api.post("card/code/get")["errcode"] == 41013
    assert get(api, code, card_id="pnothing")["errcode"] == 40073
    other = published(box, api)
    assert get(api, code, card_id=other)["errcode"] == 40056
    box.post("accounts", appid="wxother", secret="o" * 32)
    stranger = Api(box, "wxother", "o" * 32)
    assert stranger.post("card/code/get", code=code)["errcode"] == 40056
    assert stranger.post("card/code/consume", code=code)["errcode"] == 40056


def test_not_yet_valid(box, api, user):
    dates = {
        "type": "DATE_TYPE_FIX_TIME_RANGE",
        "begin_timestamp": NOW + 3600,
        "end_timestamp": NOW + 7200,
    }
    card = published(box, api, date_info=dates)
    code = receive(box, user, card)["code"]
    assert get(api, code)["errcode"] == 40079
    assert get(api, code, False)["can_consume"] is False
    assert api.post("card/code/consume", code=code)["errcode"] == 40079
    box.post("clock", advance=3700)
    assert api.post("card/code/consume", code=code)["errcode"] == 0


def test_fixed_term_counts_beijing_days(box, api, user):
    dates = {"type": "DATE_TYPE_FIX_TERM", "fixed_term": 3, "fixed_begin_term": 1}
    card = published(box, api, date_info=dates)
    code = receive(box, user, card)["code"]
    times = get(api, code, False)["card"]
    midnight = (int(time.time()) + 8 * 3600) // 86400 * 86400 - 8 * 3600
    assert times["begin_time"] == midnight + 86400
    assert times["end_time"] == midnight + 4 * 86400 - 1


def test_consume_is_exactly_once_under_load(box, api, code):
    with ThreadPoolExecutor(16) as pool:
        replies = list(
            pool.map(
                lambda _: api.post("card/code/consume", code=code)["errcode"], range(48)
            )
        )
    assert sorted(replies) == [0] + [40099] * 47
    shown = box.code(code)
    assert shown["consume_count"] == 1 and shown["consume_attempts"] == 48


def test_limits(box, api, user):
    card = published(box, api, get_limit=2, use_limit=1, sku={"quantity": 3})
    codes = [receive(box, user, card)["code"] for _ in range(2)]
    refused = box.post(f"phone/{user}/receive", status=409, card_id=card)
    assert refused["errcode"] == 45033
    assert api.post("card/code/consume", code=codes[0])["errcode"] == 0
    assert api.post("card/code/consume", code=codes[1])["errcode"] == 72020
    second = box.post("users", nickname="b")["openid"]
    receive(box, second, card)
    third = box.post("users", nickname="c")["openid"]
    refused = box.post(f"phone/{third}/receive", status=409, card_id=card)
    assert refused["errcode"] == 45031


def test_review_comes_before_issue(box, api, user):
    card = api.post("card/create", card=cash_card())["card_id"]
    refused = box.post(f"phone/{user}/receive", status=409, card_id=card)
    assert refused["errcode"] == 72022
    box.post(f"cards/{card}/review", **{"pass": False, "reason": "logo"})
    refused = box.post(f"phone/{user}/receive", status=409, card_id=card)
    assert refused["errcode"] == 72022
    box.post(f"cards/{card}/review", **{"pass": True})
    receive(box, user, card)


def test_decrypt(box, api, code):
    encrypted = box.code(code)["encrypt_code"]
    assert api.post("card/code/decrypt", encrypt_code=encrypted)["code"] == code
    forged = base64.b64encode(b"0" * 32 + code.encode()).decode()
    for bad in (forged, "nonsense", encrypted[:-4], ""):
        assert api.post("card/code/decrypt", encrypt_code=bad)["errcode"] == 40075


def test_custom_codes(box, api, user):
    card = published(box, api, use_custom_code=True)
    refused = box.post(f"phone/{user}/receive", status=409, card_id=card)
    assert refused["errcode"] == 41013
    assert receive(box, user, card, code="VIP-1")["code"] == "VIP-1"
    refused = box.post(f"phone/{user}/receive", status=409, card_id=card, code="VIP-1")
    assert refused["errcode"] == 40116
    assert get(api, "VIP-1")["errcode"] == 41012
    assert get(api, "VIP-1", card_id=card)["errcode"] == 0
    update = {"code": "VIP-1", "card_id": card}
    assert api.post("card/code/update", **update)["errcode"] == 41011
    assert api.post("card/code/update", **update, new_code="9" * 21)["errcode"] == 45021
    assert api.post("card/code/update", **update, new_code="VIP-2")["errcode"] == 0
    assert get(api, "VIP-1", card_id=card)["errcode"] == 40056
    assert api.post("card/code/consume", code="VIP-2")["errcode"] == 41012
    done = api.post("card/code/consume", code="VIP-2", card_id=card)
    assert done["card"]["card_id"] == card and done["openid"] == user


def test_wechat_codes_cannot_be_changed(api, code):
    reply = api.post("card/code/update", code=code, new_code="123")
    assert reply["errcode"] == 45030


def test_deposit(box, api, user):
    mode = "GET_CUSTOM_CODE_MODE_DEPOSIT"
    card = published(
        box,
        api,
        use_custom_code=True,
        get_custom_code_mode=mode,
        sku={"quantity": 0},
    )

    def deposit(*codes):
        return api.post("card/code/deposit", card_id=card, code=list(codes))

    assert deposit()["errcode"] == 40110
    assert deposit("a", "")["errcode"] == 40110
    assert deposit("a", "a")["errcode"] == 40111
    assert deposit(*(str(n) for n in range(101)))["errcode"] == 40109
    reply = deposit("a", "b", "c", "x" * 21)
    assert reply["succ_code"] == ["a", "b", "c"]
    assert reply["fail_code"] == ["x" * 21]
    assert deposit("c", "d")["duplicate_code"] == ["c"]
    assert api.post("card/code/getdepositcount", card_id=card)["count"] == 4
    reply = api.post("card/code/checkcode", card_id=card, code=["a", "z"])
    assert (reply["exist_code"], reply["not_exist_code"]) == (["a"], ["z"])
    refused = box.post(f"phone/{user}/receive", status=409, card_id=card)
    assert refused["errcode"] == 45031
    stock = {"card_id": card, "increase_stock_value": 5}
    assert api.post("card/modifystock", **stock)["errcode"] == 40136
    stock["increase_stock_value"] = 4
    assert api.post("card/modifystock", **stock)["errcode"] == 0
    assert get(api, "a", card_id=card)["errcode"] == 40056
    assert [receive(box, user, card)["code"] for _ in range(2)] == ["a", "b"]
    assert get(api, "a", card_id=card)["errcode"] == 0


def test_deposit_needs_the_mode(api, card):
    reply = api.post("card/code/deposit", card_id=card, code=["a"])
    assert reply["errcode"] == 40136


def test_unavailable_cannot_undo_a_use(api, code):
    api.post("card/code/consume", code=code)
    assert api.post("card/code/unavailable", code=code)["errcode"] == 40099


def test_mark(box, api, code, user):
    other = box.post("users", nickname="b")["openid"]

    def mark(openid, is_mark=True):
        body = {"code": code, "openid": openid, "is_mark": is_mark}
        return api.post("card/code/mark", **body)["errcode"]

    assert mark(user, False) == 43018
    assert mark(user) == 0
    assert mark(other) == 40146
    assert mark("onobody") == 40003
    assert mark(user, False) == 0
    assert mark(other) == 0


def test_getcardlist_shows_valid_cards_only(box, api, card, user, code):
    second = receive(box, user, card)["code"]
    api.post("card/code/consume", code=second)
    reply = api.post("card/user/getcardlist", openid=user)
    assert reply["card_list"] == [{"code": code, "card_id": card}]
    assert reply["has_share_card"] is False
    reply = api.post("card/user/getcardlist", openid=user, card_id=card)
    assert len(reply["card_list"]) == 1
    assert api.post("card/user/getcardlist", openid="x")["errcode"] == 40003
    assert api.post("card/user/getcardlist")["errcode"] == 40003


def test_openids_of_another_account(box, api, card):
    stranger = box.post("users", nickname="x", appid="wxother")["openid"]
    assert api.post("card/user/getcardlist", openid=stranger)["errcode"] == 40003
    refused = box.post(f"phone/{stranger}/receive", status=409, card_id=card)
    assert refused["errcode"] == 40003


def test_member_card_is_one_each_and_comes_back(box, listening, api, user):
    card = api.post("card/create", card=member_card())["card_id"]
    box.post(f"cards/{card}/review", **{"pass": True})
    code = receive(box, user, card, outer_str="a")["code"]
    refused = box.post(f"phone/{user}/receive", status=409, card_id=card)
    assert refused["errcode"] == 45033
    box.post(f"phone/{user}/delete", code=code)
    assert receive(box, user, card, outer_str="b")["code"] == code
    box.wait_callbacks()
    # Callbacks overtake each other, as WeChat's do.
    got = [e for e in listening.events() if e["Event"] == "user_get_card"]
    assert sorted(e["IsRestoreMemberCard"] for e in got) == ["0", "1"]
    (restored,) = (e for e in got if e["IsRestoreMemberCard"] == "1")
    assert "OuterStr" not in restored


def test_repeatable_random_values(box, api, card, user):
    def draw():
        box.post("settings", seed=7)
        return receive(box, user, card)["code"]

    first = draw()
    box.post("settings", seed=None)
    box.post("reset", keep_accounts=True)
    api.login()
    card_id = published(box, api)
    other = box.post("users", nickname="x")["openid"]
    box.post("settings", seed=7)
    assert receive(box, other, card_id)["code"] == first
