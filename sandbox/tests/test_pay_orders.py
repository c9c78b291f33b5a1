"""Orders of all kinds, their links, and vouchers spent at payment."""

import json
import re

import pytest
from harness import Process
from pay_harness import (
    JSAPI,
    MCHID,
    NATIVE,
    QUERY,
    code_of,
    number_of,
    order,
    unseal,
)

H5 = "/v3/pay/transactions/h5"
APP = "/v3/pay/transactions/app"
PAID = f"pay/orders/{MCHID}/ORDER-0001/pay"


def scene(**info):
    return {"payer_client_ip": "127.0.0.1", "h5_info": {"type": "Wap", **info}}


def test_app_and_h5(box, pay):
    answer = pay.call("POST", APP, order())
    assert answer.json()["prepay_id"].startswith("wx")
    changed = order(out_trade_no="ORDER-0002", scene_info=scene())
    url = pay.call("POST", H5, changed).json()["h5_url"]
    assert re.match(r"https://wx\.tenpay\.com/.*prepay_id=wx\w+&package=\d+$", url)
    shown = box.post(f"pay/orders/{MCHID}/ORDER-0002/pay")
    assert shown["trade_type"] == "MWEB"
    assert box.post(PAID)["trade_type"] == "APP"


@pytest.mark.parametrize(
    "wrong", [None, {"payer_client_ip": "127.0.0.1"}, {"h5_info": {"type": "Wap"}}]
)
def test_h5_needs_its_scene(pay, wrong):
    answer = pay.call("POST", H5, order(scene_info=wrong))
    assert code_of(answer) == (400, "PARAM_ERROR")


def test_a_number_keeps_its_kind(pay):
    pay.call("POST", NATIVE, order())
    assert number_of(pay.call("POST", APP, order())) == 268498688


def test_links_live_two_hours(box, pay, user):
    first = pay.call("POST", NATIVE, order()).json()["code_url"]
    assert pay.call("POST", NATIVE, order()).json()["code_url"] == first
    box.post("clock", advance=7201)
    assert "expired" in box.post(PAID, status=409)["error"]
    second = pay.call("POST", NATIVE, order()).json()["code_url"]
    assert second != first
    assert box.post(PAID)["trade_state"] == "SUCCESS"


def test_h5_links_live_five_minutes(box, pay):
    pay.call("POST", H5, order(scene_info=scene()))
    box.post("clock", advance=301)
    box.post(PAID, status=409)


def test_null_is_not_sent(box, pay, user):
    box.post(
        f"phone/{user}/vouchers", type="CASH", amount=1, scope="SINGLE", goods_id="A"
    )
    nulls = dict.fromkeys(("detail", "scene_info", "attach", "settle_info"))
    body = {**order(), **nulls}
    assert pay.call("POST", NATIVE, body).status_code == 200
    assert pay.call("POST", NATIVE, order()).status_code == 200
    assert pay.call("GET", QUERY).status_code == 200
    assert box.post(PAID, openid=user)["amount"]["payer_total"] == 1000


def test_a_restart_forgets_nothing(tmp_path):
    box = Process("--data", str(tmp_path))
    try:
        person = box.post("users", nickname="a")["openid"]
        code = box.post(f"phone/{person}/pay_code")["auth_code"]
        box.post(f"phone/{person}/vouchers", type="CASH", amount=5)
    finally:
        box.stop()
    box = Process("--data", str(tmp_path))
    try:
        assert box.post(f"phone/{person}/pay_code")["auth_code"] == code
        (voucher,) = box.get(f"phone/{person}/vouchers")
        assert voucher["amount"] == 5
    finally:
        box.stop()


def test_orders_of_older_snapshots():
    from wechat_sandbox.clock import Clock
    from wechat_sandbox.state import State

    state = State(Clock())
    common = {"expires": 9.0, "request": {"amount": {"total": 100}}}
    state.orders["a"] = {**common, "transaction_id": ""}
    promotions = [{"amount": 10}, {"amount": 5, "type": "CASH"}]
    state.orders["b"] = {
        **common,
        "transaction_id": "42",
        "promotion_detail": promotions,
    }
    data = state.dump()
    for name in ("refunds", "vouchers", "pay_codes"):
        del data[name]
    state.load(data)
    assert state.orders["a"]["link_expires"] == 9.0
    assert state.orders["b"]["settlement_total"] == 90
    assert state.refunds == {}


# -- the phone
def test_native_on_the_phone(box, pay, user, browser, receiver):
    sent = order(notify_url=receiver.url)
    url = pay.call("POST", NATIVE, sent).json()["code_url"]
    page = browser.post(f"/phone/{user}/scan", url=url)
    assert "10.00" in page and "立即支付" in page and "取消" in page
    here = f"/phone/{user}/pay/{url.split('pr=')[1]}"
    assert "已取消支付" in browser.post(here, action="cancel")
    assert pay.call("GET", QUERY).json()["trade_state"] == "NOTPAY"
    assert "支付成功" in browser.post(here, action="pay")
    (request,) = receiver.wait(1)
    data = unseal(json.loads(request["body"])["resource"])
    assert data["payer"] == {"openid": user} and data["trade_type"] == "NATIVE"
    assert "支付成功" in browser.post(here, status=409, action="pay")


def test_jsapi_on_the_phone(box, pay, user, browser):
    sent = order(payer={"openid": user})
    number = pay.call("POST", JSAPI, sent).json()["prepay_id"]
    other = box.post("users", nickname="b")["openid"]
    browser.post(f"/phone/{other}/pay/{number}", status=409, action="pay")
    page = browser.post(f"/phone/{user}/scan", url=f"prepay_id={number}")
    assert "立即支付" in page
    box.post("clock", advance=7201)
    assert "已过期" in browser.get(f"/phone/{user}/pay/{number}")
    browser.post(f"/phone/{user}/pay/{number}", status=409, action="pay")
    number = pay.call("POST", JSAPI, sent).json()["prepay_id"]
    browser.post(f"/phone/{user}/pay/{number}", action="pay")
    assert pay.call("GET", QUERY).json()["payer"]["openid"] == user


# -- vouchers
def test_vouchers_of_both_kinds(box, pay, user):
    box.post(f"phone/{user}/vouchers", type="CASH", amount=100)
    box.post(f"phone/{user}/vouchers", type="NOCASH", amount=50, minimum=1000)
    box.post(f"phone/{user}/vouchers", type="NOCASH", amount=60, minimum=1001)
    box.post(f"phone/{user}/vouchers", type="NOCASH", amount=5, goods_tag="OTHER")
    pay.call("POST", NATIVE, order())
    shown = box.post(PAID, openid=user)
    assert shown["amount"]["payer_total"] == 850
    first, second = shown["promotion_detail"]
    assert (first["type"], first["amount"]) == ("CASH", 100)
    assert (second["type"], second["amount"]) == ("NOCASH", 50)
    assert first["merchant_contribute"] == 100 and first["scope"] == "GLOBAL"
    states = [item["state"] for item in box.get(f"phone/{user}/vouchers")]
    assert states == ["USED", "USED", "SENDED", "SENDED"]
    assert pay.call("GET", QUERY).json() == shown
    # A voucher is spent once.
    pay.call("POST", NATIVE, order(out_trade_no="ORDER-0002"))
    shown = box.post(f"pay/orders/{MCHID}/ORDER-0002/pay", openid=user)
    assert shown["amount"]["payer_total"] == 1000


def test_vouchers_for_one_article(box, pay, user):
    options = {"type": "NOCASH", "scope": "SINGLE", "amount": 30}
    box.post(f"phone/{user}/vouchers", status=400, **options)
    box.post(f"phone/{user}/vouchers", goods_id="TEA", **options)
    line = {"merchant_goods_id": "TEA", "quantity": 2, "unit_price": 100}
    pay.call("POST", NATIVE, order(detail={"goods_detail": [line]}))
    (shown,) = box.post(PAID, openid=user)["promotion_detail"]
    assert shown["goods_detail"] == [
        {"goods_id": "TEA", "quantity": 2, "unit_price": 100, "discount_amount": 30}
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "COUPON", "amount": 1},
        {"type": "CASH", "amount": 0},
        {"type": "CASH", "amount": 1.5},
        {"type": "CASH", "amount": 5, "wechatpay_contribute": 4},
        {"type": "CASH", "amount": 5, "colour": "red"},
    ],
)
def test_bad_vouchers(box, pay, user, wrong):
    box.post(f"phone/{user}/vouchers", status=400, **wrong)


def test_bad_promotions(box, pay):
    pay.call("POST", NATIVE, order())
    for wrong in ({"amount": 1001}, {"amount": -1}, {}, {"amount": 1, "type": "x"}):
        box.post(PAID, status=400, promotion_detail=[wrong])
