"""商家券: handing out, redeeming once, giving back, the link, the phone, the event."""

import json
import time
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from coupon_harness import BEIJING, BUSI, at, link, make_stock, times, use
from harness import Process
from pay_harness import APPID, MCHID, Merchant, code_of, unseal

COUPONS = f"{BUSI}/coupons"


def detail(pay, user, code):
    return pay.call("GET", f"{BUSI}/users/{user}/coupons/{quote(code)}/appids/{APPID}")


def state(pay, user, code):
    return detail(pay, user, code).json()["coupon_state"]


@pytest.fixture
def number(box, pay):
    return make_stock(box, pay)


@pytest.fixture
def code(box, number, user):
    return box.post(f"phone/{user}/busifavor", stock_id=number)["coupon_code"]


def redeem(pay, code, **change):
    return pay.call("POST", f"{COUPONS}/use", use(code, **change))


def give_back(pay, number, code, request="R1"):
    body = {"coupon_code": code, "stock_id": number, "return_request_no": request}
    return pay.call("POST", f"{COUPONS}/return", body)


def deactivate(pay, number, code, request="D1", **change):
    body = {"coupon_code": code, "stock_id": number, "deactivate_request_no": request}
    return pay.call("POST", f"{COUPONS}/deactivate", {**body, **change})


# -- redeeming
def test_use_is_idempotent_by_its_number(pay, user, code, number):
    assert len(code) == 22 and code.isdigit()
    answer = redeem(pay, code)
    assert answer.status_code == 200 and pay.verify(answer.headers, answer.content)
    told = answer.json()
    assert told["stock_id"] == number and told["openid"] == user
    assert redeem(pay, code).json() == told
    assert code_of(redeem(pay, code, number="USE-2")) == (400, "INVALID_REQUEST")
    shown = detail(pay, user, code).json()
    assert shown["coupon_state"] == "USED" and shown["use_request_no"] == "USE-1"
    assert shown["use_time"] == told["wechatpay_use_time"]


def test_one_number_is_one_coupon(box, pay, user, number, code):
    second = box.post(f"phone/{user}/busifavor", stock_id=number)["coupon_code"]
    assert redeem(pay, code).ok
    assert code_of(redeem(pay, second)) == (400, "INVALID_REQUEST")
    assert state(pay, user, second) == "SENDED"


def test_use_after_a_lost_answer(box, pay, user, code):
    box.fault(path="coupons/use", kind="http_status", status=500, commit=True)
    assert redeem(pay, code).status_code == 500
    assert state(pay, user, code) == "USED"
    assert redeem(pay, code).status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"appid": "wxother"}, (400, "APPID_MCHID_NOT_MATCH")),
        ({"openid": "oSomebodyElse"}, (400, "INVALID_REQUEST")),
        ({"stock_id": "12345"}, (404, "RESOURCE_NOT_EXISTS")),
        ({"coupon_code": "1" * 22}, (404, "RESOURCE_NOT_EXISTS")),
        ({"use_time": "2026-01-01"}, (400, "PARAM_ERROR")),
        ({"number": "1" * 33}, (400, "PARAM_ERROR")),
        ({"shop": "1"}, (400, "PARAM_ERROR")),
    ],
)
def test_bad_uses(pay, user, code, change, status):
    sent = dict(change)
    given = sent.pop("coupon_code", code)
    assert code_of(redeem(pay, given, **sent)) == status
    assert state(pay, user, code) == "SENDED"


def test_an_openid_of_another_account(box, pay, number):
    other = box.post("users", nickname="x", appid="wxother")["openid"]
    code = box.post(f"phone/{other}/busifavor", stock_id=number)["coupon_code"]
    assert code_of(redeem(pay, code)) == (400, "INVALID_REQUEST")
    assert code_of(detail(pay, other, code)) == (400, "INVALID_REQUEST")


def test_another_merchant(box, pay, user, number, code):
    made = box.post("merchants", mchid="1900000002", appids=[APPID], generate=True)
    other = Merchant(box, made)
    body = use(code, number)
    answer = other.call("POST", f"{COUPONS}/use", body, mchid="1900000002")
    assert code_of(answer) == (403, "NO_AUTH")
    assert state(pay, user, code) == "SENDED"


# -- when
def test_days_after_receipt(box, pay, user):
    when = times(available_day_after_receive=2, wait_days_after_receive=1)
    number = make_stock(box, pay, when=when)
    code = box.post(f"phone/{user}/busifavor", stock_id=number)["coupon_code"]
    tomorrow = datetime.now(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow += timedelta(days=1)
    shown = detail(pay, user, code).json()
    assert shown["available_start_time"] == at(tomorrow)
    assert shown["expire_time"] == at(tomorrow, days=2, seconds=-1)
    assert code_of(redeem(pay, code)) == (400, "INVALID_REQUEST")
    box.post("clock", set=(tomorrow + timedelta(days=2)).timestamp())
    assert code_of(redeem(pay, code)) == (400, "INVALID_REQUEST")
    assert state(pay, user, code) == "EXPIRED"
    box.post("clock", set=(tomorrow + timedelta(days=1)).timestamp())
    assert redeem(pay, code).status_code == 200


def test_week_days_and_hours(box, pay, user):
    """Sunday is 0; the hours are seconds of the day, both ends included."""
    week = {
        "week_day": [0],
        "available_day_time": [{"begin_time": 36000, "end_time": 64800}],
    }
    number = make_stock(box, pay, when=times(available_week=week))
    codes = [
        box.post(f"phone/{user}/busifavor", stock_id=number)["coupon_code"]
        for _ in range(2)
    ]
    today = datetime.now(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    sunday = today + timedelta(days=7 - today.isoweekday() % 7)
    assert sunday.strftime("%w") == "0"
    for moment in (
        sunday + timedelta(hours=9, minutes=59),
        sunday + timedelta(hours=18, minutes=1),
        sunday + timedelta(days=1, hours=12),
    ):
        box.post("clock", set=moment.timestamp())
        answer = redeem(pay, codes[0])
        assert code_of(answer) == (400, "INVALID_REQUEST"), moment
    box.post("clock", set=(sunday + timedelta(hours=12)).timestamp())
    assert redeem(pay, codes[0]).status_code == 200


def test_irregular_times(box, pay, user):
    """The name is misspelled on the wire."""
    between = {"begin_time": at(days=2), "end_time": at(days=3)}
    number = make_stock(box, pay, when=times(irregulary_avaliable_time=[between]))
    code = box.post(f"phone/{user}/busifavor", stock_id=number)["coupon_code"]
    assert code_of(redeem(pay, code)) == (400, "INVALID_REQUEST")
    box.post("clock", advance=2.5 * 86400)
    assert redeem(pay, code).status_code == 200


# -- undoing
def test_return(pay, user, number, code):
    assert code_of(give_back(pay, number, code)) == (400, "INVALID_REQUEST")
    redeem(pay, code)
    told = give_back(pay, number, code).json()
    assert told["wechatpay_return_time"].endswith("+08:00")
    assert give_back(pay, number, code).json() == told
    assert code_of(give_back(pay, number, code, "R2")) == (400, "INVALID_REQUEST")
    assert detail(pay, user, code).json()["return_request_no"] == "R1"
    assert state(pay, user, code) == "SENDED"
    # The number of the undone use is spent: it must not look like a success.
    assert code_of(redeem(pay, code)) == (400, "INVALID_REQUEST")
    assert redeem(pay, code, number="USE-2").status_code == 200
    assert code_of(give_back(pay, number, code)) == (400, "INVALID_REQUEST")
    assert give_back(pay, number, code, "R2").status_code == 200


def test_return_of_what_has_expired(box, pay, user, number, code):
    redeem(pay, code)
    box.post("clock", advance=31 * 86400)
    assert state(pay, user, code) == "USED"
    assert give_back(pay, number, code).status_code == 200
    assert state(pay, user, code) == "EXPIRED"


def test_deactivate(box, pay, user, number, code):
    told = deactivate(pay, number, code, deactivate_reason="坏了").json()
    assert deactivate(pay, number, code).json() == told
    other = deactivate(pay, number, code, "D2")
    assert code_of(other) == (400, "INVALID_REQUEST")
    assert code_of(redeem(pay, code)) == (400, "INVALID_REQUEST")
    shown = detail(pay, user, code).json()
    assert shown["coupon_state"] == "DEACTIVATED"
    assert shown["deactivate_reason"] == "坏了"
    used = box.post(f"phone/{user}/busifavor", stock_id=number)["coupon_code"]
    redeem(pay, used)
    assert code_of(deactivate(pay, number, used, "D3")) == (400, "INVALID_REQUEST")


def test_deleted_by_the_person(box, pay, user, number, code):
    box.post(f"phone/{user}/busifavor/delete", coupon_code=code)
    assert code_of(redeem(pay, code)) == (404, "RESOURCE_NOT_EXISTS")
    assert state(pay, user, code) == "DELETED"
    box.post(f"phone/{user}/busifavor/delete", status=409, coupon_code=code)


def test_associate(pay, user, number, code):
    body = {
        "stock_id": number,
        "coupon_code": code,
        "out_trade_no": "ORDER-0001",
        "out_request_no": "A1",
    }
    told = pay.call("POST", f"{COUPONS}/associate", body).json()
    assert told["wechatpay_associate_time"].endswith("+08:00")
    assert pay.call("POST", f"{COUPONS}/associate", body).json() == told
    second = {**body, "out_request_no": "A2"}
    answer = pay.call("POST", f"{COUPONS}/associate", second)
    assert code_of(answer) == (400, "INVALID_REQUEST")
    assert detail(pay, user, code).json()["associate_out_trade_no"] == "ORDER-0001"
    wrong = {**second, "out_trade_no": "ORDER-0002"}
    answer = pay.call("POST", f"{COUPONS}/disassociate", wrong)
    assert code_of(answer) == (400, "INVALID_REQUEST")
    for _ in range(2):
        answer = pay.call("POST", f"{COUPONS}/disassociate", second)
        assert "wechatpay_disassociate_time" in answer.json()
    assert "associate_out_trade_no" not in detail(pay, user, code).json()


# -- handing out
def send(pay, number, user, request="S1", **change):
    body = {"openid": user, "appid": APPID, "stock_id": number}
    body.update(out_request_no=request, **change)
    return pay.call("POST", f"{COUPONS}/send", body)


def test_send_needs_a_permission(box, pay, user, number):
    assert code_of(send(pay, number, user)) == (403, "NO_AUTH")
    box.post("merchants", mchid=MCHID, can_send_busifavor=True)
    told = send(pay, number, user).json()["send_coupon_result"]
    assert told["stock_id"] == number and told["out_request_no"] == "S1"
    assert send(pay, number, user).json()["send_coupon_result"] == told
    assert len(box.get(f"phone/{user}/busifavor")) == 1
    assert code_of(send(pay, number, "oNobody")) == (400, "INVALID_REQUEST")
    answer = send(pay, number, user, "S2", coupon_code="A1")
    assert code_of(answer) == (400, "INVALID_REQUEST")


def test_codes_of_the_merchant(box, pay, user):
    box.post("merchants", mchid=MCHID, can_send_busifavor=True)
    one = make_stock(box, pay, coupon_code_mode="MERCHANT_API")
    two = make_stock(box, pay, coupon_code_mode="MERCHANT_API", out_request_no="S-2")
    assert code_of(send(pay, one, user)) == (400, "INVALID_REQUEST")
    assert send(pay, one, user, "S1", coupon_code="A1").ok
    answer = send(pay, one, user, "S2", coupon_code="A1")
    assert code_of(answer) == (400, "INVALID_REQUEST")
    # A code is unique inside its stock only, so its stock must be named.
    assert send(pay, two, user, "S2", coupon_code="A1").ok
    assert code_of(redeem(pay, "A1")) == (400, "PARAM_ERROR")
    assert redeem(pay, "A1", stock_id=two).json()["stock_id"] == two
    states = [item["state"] for item in box.get(f"phone/{user}/busifavor")]
    assert states == ["SENDED", "USED"]


def test_limits(box, pay, user):
    number = make_stock(box, pay, send={"max_coupons": 2, "max_coupons_per_user": 1})
    other = box.post("users", nickname="b")["openid"]
    third = box.post("users", nickname="c")["openid"]
    receive = {"stock_id": number}
    box.post(f"pay/busifavor/stocks/{number}/state", state="PAUSED")
    box.post(f"phone/{user}/busifavor", status=409, **receive)
    box.post(f"pay/busifavor/stocks/{number}/state", state="RUNNING")
    box.post(f"phone/{user}/busifavor", **receive)
    box.post(f"phone/{user}/busifavor", status=409, **receive)
    box.post(f"phone/{other}/busifavor", **receive)
    refused = box.post(f"phone/{third}/busifavor", status=409, **receive)
    assert refused["error"].startswith("INVALID_REQUEST")
    counts = pay.call("GET", f"{BUSI}/stocks/{number}").json()
    assert counts["send_count_information"] == {
        "total_send_num": 2,
        "total_send_amount": 2000,
        "today_send_num": 2,
        "today_send_amount": 2000,
    }


def test_daily_limit(box, pay, user):
    number = make_stock(box, pay, kind="DISCOUNT", send={"max_coupons_by_day": 1})
    box.post(f"phone/{user}/busifavor", stock_id=number)
    box.post(f"phone/{user}/busifavor", status=409, stock_id=number)
    box.post("clock", advance=86400)
    box.post(f"phone/{user}/busifavor", stock_id=number)
    box.post("clock", advance=40 * 86400)
    box.post(f"phone/{user}/busifavor", status=409, stock_id=number)


# -- looking
def test_list(box, pay, user, number, code):
    second = make_stock(box, pay, out_request_no="S-2")
    box.post(f"phone/{user}/busifavor", stock_id=second)
    redeem(pay, code)
    path = f"{BUSI}/users/{user}/coupons?appid={APPID}"
    assert code_of(pay.call("GET", path)) == (400, "PARAM_ERROR")
    path += f"&creator_merchant={MCHID}"
    rows = pay.call("GET", path).json()
    assert rows["total_count"] == 2 and rows["offset"] == 0
    # The offset is a page.
    rows = pay.call("GET", f"{path}&offset=1&limit=1").json()
    assert [row["stock_id"] for row in rows["data"]] == [second]
    rows = pay.call("GET", f"{path}&coupon_state=USED").json()["data"]
    assert [row["coupon_code"] for row in rows] == [code]
    rows = pay.call("GET", f"{path}&stock_id={second}").json()
    assert rows["total_count"] == 1
    for wrong in ("&coupon_state=GONE", "&limit=51", "&belong_merchant=1900000009"):
        assert code_of(pay.call("GET", path + wrong)) == (400, "PARAM_ERROR")


# -- COUPON.SEND
@pytest.mark.parametrize("known", [True, False])
def test_who_received(box, pay, user, receiver, known):
    config = {"notify_appid": APPID} if known else None
    number = make_stock(box, pay, notify_config=config)
    pay.call("POST", f"{BUSI}/callbacks", {"notify_url": receiver.url})
    person = box.post("users", nickname="u", unionid="oUnion")["openid"]
    code = box.post(f"phone/{person}/busifavor", stock_id=number, channel="MINIAPP")[
        "coupon_code"
    ]
    (request,) = receiver.wait(1)
    assert pay.verify(request["headers"], request["body"])
    envelope = json.loads(request["body"])
    assert envelope["event_type"] == "COUPON.SEND"
    assert envelope["resource"]["original_type"] == "coupon"
    told = unseal(envelope["resource"])
    assert told["event_type"] == "EVENT_TYPE_BUSICOUPON_SEND"
    assert told["coupon_code"] == code and told["stock_id"] == number
    assert told["send_channel"] == "BUSICOUPON_SEND_CHANNEL_MINIAPP"
    assert told["send_merchant"] == MCHID
    assert told.get("openid") == (person if known else None)
    assert told.get("unionid") == ("oUnion" if known else None)
    # Nobody is told of a use.
    redeem(pay, code)
    box.wait_callbacks()
    assert len(receiver.requests) == 1
    box.post(f"phone/{person}/busifavor/notify", coupon_code=code)
    receiver.wait(2)


def test_the_event_is_tried_again(box, pay, user, receiver, number):
    receiver.replies = [(500, "")] * 3
    pay.call("POST", f"{BUSI}/callbacks", {"notify_url": receiver.url})
    box.post("settings", time_scale=0.0001)
    box.post(f"phone/{user}/busifavor", stock_id=number)
    first, *others = receiver.wait(4)
    assert all(item["body"] == first["body"] for item in others)


# -- the link
def test_receive_by_link(box, pay, user, browser, receiver):
    number = make_stock(box, pay, notify_config={"notify_appid": APPID})
    pay.call("POST", f"{BUSI}/callbacks", {"notify_url": receiver.url})
    url = link(number, user).split("#")[0]
    # Whose phone it is must be said first.
    assert "小明" in browser.get(url)
    browser.get(f"/phone/{user}")
    page = browser.get(url)
    assert "八月迎新" in page and "领取到卡包" in page and "减 10 元" in page
    assert "Add to wallet" in browser.get(url + "&lang=en")
    assert box.get(f"phone/{user}/busifavor") == []
    here = f"/phone/{user}/busifavor?{url.split('?')[1]}"
    page = browser.post(here)
    (coupon,) = box.get(f"phone/{user}/busifavor")
    code = coupon["coupon_code"]
    assert f'data-code="{code}"' in page and "<svg" in page
    told = unseal(json.loads(receiver.wait(1)[0]["body"])["resource"])
    assert told["openid"] == user
    assert told["send_channel"] == "BUSICOUPON_SEND_CHANNEL_H5"
    # The same number again is the same coupon.
    browser.post(here)
    assert len(box.get(f"phone/{user}/busifavor")) == 1
    assert "八月迎新" in browser.get(f"/phone/{user}")
    redeem(pay, code)
    page = browser.get(f"/phone/{user}/busifavor/{number}/{code}?lang=zh")
    assert "已使用" in page


def test_scanned_link(box, user, browser, number):
    page = browser.post(f"/phone/{user}/scan", url=f"https://x{link(number, user)}")
    assert "八月迎新" in page and "领取到卡包" in page


def test_links_that_are_refused(box, pay, user, browser, number):
    good = link(number, user)
    browser.get(f"/phone/{user}")
    for wrong in (
        good.replace("RECEIVE-1", "RECEIVE-2"),
        link(number, user, key="x" * 32),
        link(number, "oSomebodyElse"),
        link("123", user),
        link(number, user, send_coupon_merchant="1900000009"),
        link(number, user, coupon_code="A1"),
        good.replace("sign=", "signature="),
    ):
        box.post(f"phone/{user}/busifavor", status=409, url=wrong)
    browser.get(good.replace("RECEIVE-1", "RECEIVE-2").split("#")[0], status=409)
    page = browser.get(link(number, "oSomebodyElse").split("#")[0], status=409)
    assert "另一位用户" in page
    assert box.get(f"phone/{user}/busifavor") == []
    got = box.post(f"phone/{user}/busifavor", url=good)
    assert got["send_request_no"] == "RECEIVE-1"
    # What is not a parameter of WeChat is signed, too.
    got = box.post(f"phone/{user}/busifavor", url=link(number, user, "R-2", extra="1"))
    assert got["send_request_no"] == "R-2"


def test_how_the_code_is_shown(box, pay, user, browser):
    entrance = {"code_display_mode": "NOT_SHOW"}
    number = make_stock(
        box, pay, custom_entrance=entrance, kind="DISCOUNT", stock_name="折扣"
    )
    got = box.post(f"phone/{user}/busifavor", stock_id=number)
    here = f"/phone/{user}/busifavor/{number}/{got['coupon_code']}"
    page = browser.get(here)
    assert "8.8 折" in page and got["coupon_code"] not in page.split("symbols")[1][:200]
    assert "12% off" in browser.get(f"{here}?lang=en")
    browser.post(f"{here}/delete")
    browser.get(here, status=404)
    assert "折扣" not in browser.get(f"/phone/{user}")


def test_a_restart_forgets_nothing(tmp_path):
    box = Process("--data", str(tmp_path))
    try:
        box.post("accounts", appid=APPID, secret="s" * 32)
        made = box.post(
            "merchants", mchid=MCHID, appids=[APPID], apiv3_key="k" * 32, generate=True
        )
        pay = Merchant(box, made)
        person = box.post("users", nickname="a")["openid"]
        number = make_stock(box, pay)
        code = box.post(f"phone/{person}/busifavor", stock_id=number)["coupon_code"]
        told = redeem(pay, code).json()
    finally:
        box.stop()
    box = Process("--data", str(tmp_path))
    try:
        pay.box = box
        assert redeem(pay, code).json() == told
        assert code_of(redeem(pay, code, number="N2")) == (400, "INVALID_REQUEST")
        assert time.time() > box.get(f"phone/{person}/busifavor")[0]["used"]
    finally:
        box.stop()
