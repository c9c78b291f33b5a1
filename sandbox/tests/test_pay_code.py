"""Payment by code: codes, passwords, reversal, and what must not be logged."""

import json
import re

import pytest
from pay_harness import APPID, MCHID, NATIVE, QUERY, code_of, number_of, order

CODEPAY = "/v3/pay/transactions/codepay"
NUMBER = "/v3/pay/transactions/out-trade-no/ORDER-0001"
ORDER = f"pay/orders/{MCHID}/ORDER-0001"
OWN = {"appid": APPID, "mchid": MCHID}


@pytest.fixture
def code(box, user):
    return box.post(f"phone/{user}/pay_code")["auth_code"]


def trade(code, **change):
    body = {
        "appid": APPID,
        "mchid": MCHID,
        "description": "咖啡",
        "out_trade_no": "ORDER-0001",
        "payer": {"auth_code": code},
        "amount": {"total": 1000, "currency": "CNY"},
        "scene_info": {"store_info": {"out_id": "1"}},
    }
    body.update(change)
    return body


def state(pay):
    return pay.call("GET", QUERY).json()["trade_state"]


def test_codes(box, user, code):
    assert re.fullmatch(r"1[0-5]\d{16}", code)
    assert box.post(f"phone/{user}/pay_code")["auth_code"] == code
    assert box.post(f"phone/{user}/pay_code", new=True)["auth_code"] != code
    code = box.post(f"phone/{user}/pay_code")["auth_code"]
    box.post("clock", advance=61)
    assert box.post(f"phone/{user}/pay_code")["auth_code"] != code


def test_paid_at_once(box, pay, user, code):
    box.post(f"phone/{user}/vouchers", type="NOCASH", amount=100)
    answer = pay.call("POST", CODEPAY, trade(code, attach="till"))
    assert answer.status_code == 200 and pay.verify(answer.headers, answer.content)
    shown = answer.json()
    assert shown["trade_state"] == "SUCCESS" and shown["trade_type"] == "MICROPAY"
    assert shown["amount"]["payer_total"] == 900 and shown["attach"] == "till"
    assert shown["payer"] == {"openid": user}
    assert shown == pay.call("GET", QUERY).json()
    assert box.get("callbacks") == []
    box.post(f"{ORDER}/notify", status=409)
    # The phone shows another code now; this one is used.
    assert box.post(f"phone/{user}/pay_code")["auth_code"] != code
    answer = pay.call("POST", CODEPAY, trade(code, out_trade_no="ORDER-0002"))
    assert code_of(answer) == (400, "AUTH_CODE_INVALID")
    answer = pay.call("POST", CODEPAY, trade(code, attach="till"))
    assert code_of(answer) == (400, "ORDERPAID")


def test_one_number_is_one_code(box, pay, user, code):
    pay.call("POST", CODEPAY, trade(code))
    other = box.post(f"phone/{user}/pay_code")["auth_code"]
    answer = pay.call("POST", CODEPAY, trade(other))
    assert code_of(answer) == (400, "AUTH_CODE_INVALID")
    # The other code was not touched.
    answer = pay.call("POST", CODEPAY, trade(other, out_trade_no="ORDER-0002"))
    assert answer.status_code == 200


def test_the_number_of_another_kind(pay, code):
    pay.call("POST", NATIVE, order())
    assert number_of(pay.call("POST", CODEPAY, trade(code))) == 268498688


def test_old_and_unknown_codes(box, pay, code):
    for wrong in ("134567890123456789", "281234567890123456", "1345"):
        answer = pay.call("POST", CODEPAY, trade(wrong))
        assert code_of(answer) == (400, "AUTH_CODE_INVALID")
        assert "134567890123456789" not in answer.text
    box.post("clock", advance=61)
    answer = pay.call("POST", CODEPAY, trade(code))
    assert code_of(answer) == (400, "AUTH_CODE_INVALID")
    assert pay.call("GET", QUERY).status_code == 404


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"notify_url": "http://127.0.0.1/x"}, 270924358),
        ({"auth_code": "134567890123456789"}, 270924358),
        ({"payer": {"auth_code": "1" * 33}}, 268435464),
        ({"payer": {"auth_code": 134567890123456789}}, 268435461),
        ({"payer": {}}, 268435461),
        ({"scene_info": {}}, 268435461),
        ({"scene_info": {"store_info": {}}}, 268435461),
        ({"amount": {"total": 0}}, 268435464),
        ({"detail": {"goods_detail": [{"wechatpay_goods_id": "1"}]}}, 270924358),
        ({"mchid": "1900000009"}, 268447843),
    ],
)
def test_bad_parameters(pay, code, change, number):
    answer = pay.call("POST", CODEPAY, trade(code, **change))
    assert code_of(answer) == (400, "PARAM_ERROR")
    assert number_of(answer) == number
    assert "134567890123456789" not in answer.text


def test_wrong_appid(pay, code):
    answer = pay.call("POST", CODEPAY, trade(code, appid="wxother"))
    assert number_of(answer) == 268445527


# -- passwords
@pytest.mark.parametrize("way", ["amount", "person", "setting"])
def test_password(box, pay, user, code, way):
    amount = {"total": 100001 if way == "amount" else 100000}
    if way == "person":
        box.post(f"phone/{user}/ask_password")
    if way == "setting":
        box.post("settings", ask_password=True)
    answer = pay.call("POST", CODEPAY, trade(code, amount=amount))
    assert answer.status_code == 202 and answer.json() == {"trade_state": "USERPAYING"}
    assert pay.verify(answer.headers, answer.content)
    shown = pay.call("GET", QUERY).json()
    assert shown["trade_state"] == "USERPAYING" and "transaction_id" not in shown
    # The same call again says the same.
    again = pay.call("POST", CODEPAY, trade(code, amount=amount))
    assert again.status_code == 202
    other = pay.call("POST", CODEPAY, trade(code, amount={"total": 1}))
    assert number_of(other) == 268498688
    assert box.post(f"{ORDER}/password", result="wrong")["trade_state"] == "USERPAYING"
    assert box.post(f"{ORDER}/password", result="right")["trade_state"] == "SUCCESS"
    assert state(pay) == "SUCCESS"
    box.post(f"{ORDER}/password", status=409)


def test_password_is_not_asked_below(pay, code):
    answer = pay.call("POST", CODEPAY, trade(code, amount={"total": 100000}))
    assert answer.status_code == 200


def test_ten_payments_a_day_need_no_password(box, pay, user):
    def charge(number, amount=100):
        code = box.post(f"phone/{user}/pay_code", new=True)["auth_code"]
        changes = {"out_trade_no": f"MANY-{number:04}", "amount": {"total": amount}}
        return pay.call("POST", CODEPAY, trade(code, **changes)).status_code

    # The middle of a day, and one with the password, which does not count.
    now = box.get("state")["now"]
    box.post("clock", advance=86400 - (now + 8 * 3600) % 86400 + 43200)
    assert charge(0, 100001) == 202
    assert [charge(number) for number in range(1, 11)] == [200] * 10
    assert charge(11) == 202
    box.post("settings", free_payments=None)
    assert charge(12) == 200
    box.post("settings", free_payments=10)
    assert charge(13) == 202
    box.post("clock", advance=86400)
    assert charge(14) == 200
    box.post("settings", status=400, free_payments="all")


def test_cancelled_password(box, pay, user, code):
    box.post(f"phone/{user}/ask_password")
    pay.call("POST", CODEPAY, trade(code))
    box.post(f"{ORDER}/password", status=400, result="perhaps")
    box.post(f"{ORDER}/password", result="cancel")
    assert state(pay) == "PAYERROR"
    answer = pay.call("POST", CODEPAY, trade(code))
    assert code_of(answer) == (400, "ORDER_CLOSED")
    assert pay.call("POST", NUMBER + "/reverse", OWN).status_code == 200


def test_password_on_the_phone(box, pay, user, code, browser):
    assert "付款码" in browser.get(f"/phone/{user}")
    page = browser.get(f"/phone/{user}/pay_code")
    assert f'data-code="{code}"' in page and page.count("<svg") == 2
    assert f'data-code="{code}"' not in browser.get(f"/phone/{user}/pay_code?new=1")
    shown = box.post(f"phone/{user}/pay_code")["auth_code"]
    pay.call("POST", CODEPAY, trade(shown, amount={"total": 123456}))
    here = f"/phone/{user}/password/{MCHID}/ORDER-0001"
    assert here in browser.get(f"/phone/{user}/pay_code")
    assert "1234.56" in browser.get(here)
    page = browser.post(here, action="pay", password="000000")
    assert "支付密码错误" in page
    assert state(pay) == "USERPAYING"
    other = box.post("users", nickname="b")["openid"]
    browser.get(f"/phone/{other}/password/{MCHID}/ORDER-0001", status=404)
    assert "支付成功" in browser.post(here, action="pay", password="123456")
    assert state(pay) == "SUCCESS"
    browser.post(here, status=409, action="cancel")


# -- reversal
def test_no_normal_close(box, pay, user, code):
    box.post(f"phone/{user}/ask_password")
    pay.call("POST", CODEPAY, trade(code))
    answer = pay.call("POST", NUMBER + "/close", {"mchid": MCHID})
    assert answer.status_code == 400 and number_of(answer) == 268449641


@pytest.mark.parametrize("paid", [True, False])
def test_reverse(box, pay, user, code, paid):
    box.post(f"phone/{user}/ask_password", times=0 if paid else 1)
    pay.call("POST", CODEPAY, trade(code))
    for _ in range(2):
        answer = pay.call("POST", NUMBER + "/reverse", OWN)
        assert answer.status_code == 200
        assert answer.json() == {**OWN, "out_trade_no": "ORDER-0001"}
    shown = pay.call("GET", QUERY).json()
    assert shown["trade_state"] == "REVOKED"
    assert ("transaction_id" in shown) is paid
    box.post(f"{ORDER}/password", status=409)
    answer = pay.call("POST", CODEPAY, trade(code))
    assert code_of(answer) == (400, "ORDER_CLOSED")


def test_what_cannot_be_reversed(box, pay, code):
    assert pay.call("POST", NUMBER + "/reverse", OWN).status_code == 404
    pay.call("POST", NATIVE, order())
    answer = pay.call("POST", NUMBER + "/reverse", OWN)
    assert code_of(answer) == (400, "INVALID_REQUEST")
    pay.call("POST", CODEPAY, trade(code, out_trade_no="ORDER-0002"))
    other = NUMBER.replace("0001", "0002") + "/reverse"
    answer = pay.call("POST", other, {"appid": "wxother", "mchid": MCHID})
    assert code_of(answer) == (400, "APPID_MCHID_NOT_MATCH")
    assert code_of(pay.call("POST", other, {"mchid": MCHID})) == (400, "PARAM_ERROR")
    box.post("clock", advance=8 * 86400)
    assert code_of(pay.call("POST", other, OWN)) == (400, "INVALID_REQUEST")


# -- what goes wrong
def test_ordered_refusal_by_rate(box, pay, code):
    box.fault(path="codepay", kind="http_status", status=429, times=1)
    answer = pay.call("POST", CODEPAY, trade(code))
    assert code_of(answer) == (429, "FREQUENCY_LIMITED")
    assert number_of(answer) == 268447840


def test_error_after_the_money_was_taken(box, pay, code):
    box.fault(path="codepay", kind="http_status", status=500, commit=True, times=1)
    answer = pay.call("POST", CODEPAY, trade(code))
    assert code_of(answer) == (500, "SYSTEM_ERROR")
    assert state(pay) == "SUCCESS"
    answer = pay.call("POST", CODEPAY, trade(code))
    assert code_of(answer) == (400, "ORDERPAID")


def test_codes_are_not_in_the_log(box, pay, user, code):
    new = [box.post(f"phone/{user}/pay_code", new=True)["auth_code"] for _ in range(4)]
    pay.call("POST", CODEPAY, trade(new[0]))
    pay.call("POST", CODEPAY, trade(code, description=code))
    pay.call("POST", CODEPAY, trade(int(new[1])))
    pay.call("POST", CODEPAY, {"auth_code": new[2]})
    pay.call("GET", f"/v3/{new[3]}?auth_code={new[3]}&x={new[3]}")
    pay.call("POST", CODEPAY, body=b'{"payer": {"auth_code": "134567890123456789"')
    log = json.dumps(box.get("log"))
    for secret in (code, *new, "134567890123456789"):
        assert secret not in log
    assert "ORDER-0001" in log and "***" in log
    orders = json.dumps(box.get("state")["orders"])
    assert new[0] not in orders
