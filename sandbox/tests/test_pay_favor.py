"""代金券: stocks and their money, vouchers, use at payment, refunds, files."""

import csv
import hashlib
import io
import json
from datetime import datetime

import pytest
from coupon_harness import BEIJING, FAVOR, at, favor_stock
from harness import Process
from pay_harness import (
    APPID,
    MCHID,
    NATIVE,
    Merchant,
    code_of,
    number_of,
    order,
    unseal,
)

CREATE = f"{FAVOR}/coupon-stocks"
STOCKS = f"{FAVOR}/stocks"
OWN = {"stock_creator_mchid": MCHID}
MERCHANT = {
    "mchid": MCHID,
    "appids": [APPID],
    "apiv3_key": "k" * 32,
    "generate": True,
}
REFUNDS = "/v3/refund/domestic/refunds"


def made(pay, **change):
    answer = pay.call("POST", CREATE, favor_stock(**change))
    assert answer.status_code == 200, answer.text
    return answer.json()["stock_id"]


def move(pay, number, verb):
    return pay.call("POST", f"{STOCKS}/{number}/{verb}", OWN)


def shown(pay, number):
    path = f"{STOCKS}/{number}?stock_creator_mchid={MCHID}"
    return pay.call("GET", path).json()


def started(box, pay, **change):
    """Make a stock, start it, and let its time come."""
    now = datetime.fromtimestamp(box.post("clock")["now"], BEIJING)
    number = made(pay, available_begin_time=at(now, seconds=60), **change)
    assert move(pay, number, "start").status_code == 200
    box.post("clock", advance=61)
    return number


def send(pay, number, user, request="S1", **change):
    body = {"stock_id": number, "out_request_no": request, "appid": APPID, **OWN}
    return pay.call("POST", f"{FAVOR}/users/{user}/coupons", {**body, **change})


def one(pay, user, coupon):
    path = f"{FAVOR}/users/{user}/coupons/{coupon}?appid={APPID}"
    return pay.call("GET", path)


def pay_for(box, pay, user, number="ORDER-0001", **change):
    """Place an order and let the person pay; return what the payment shows."""
    assert pay.call("POST", NATIVE, order(out_trade_no=number, **change)).ok
    return box.post(f"pay/orders/{MCHID}/{number}/pay", openid=user, notify=False)


def discounts(paid):
    return [item["amount"] for item in paid.get("promotion_detail", [])]


# -- stocks
def test_create(pay):
    answer = pay.call("POST", CREATE, favor_stock())
    assert answer.status_code == 200 and pay.verify(answer.headers, answer.content)
    told = answer.json()
    stock = shown(pay, told["stock_id"])
    assert stock["status"] == "unactivated" and stock["no_cash"] is True
    assert stock["distributed_coupons"] == 0 and stock["singleitem"] is False
    rule = stock["stock_use_rule"]
    assert rule["fixed_normal_coupon"]["coupon_amount"] == 500


def test_create_again(pay):
    body = favor_stock()
    told = pay.call("POST", CREATE, body).json()
    assert pay.call("POST", CREATE, body).json() == told
    other = {**body, "comment": "other"}
    answer = pay.call("POST", CREATE, other)
    assert code_of(answer) == (400, "RESOURCE_ALREADY_EXISTS")


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"rule": {"max_amount": 4999}}, 268435461),
        ({"count": 4}, 268435464),
        ({"amount": 1}, 268435464),
        ({"amount": 100001, "minimum": 200000}, 268435464),
        ({"amount": 500, "minimum": 500}, 268435461),
        ({"rule": {"max_amount_by_day": 5001}}, 268435461),
        ({"rule": {"max_coupons_per_user": 61}}, 268435464),
        ({"rule": {"natural_person_limit": None}}, 268435461),
        ({"stock_name": "一二三四五六七八九十"}, 268435464),
        ({"stock_name": "a_b"}, 268435461),
        ({"stock_type": "DISCOUNT"}, 268435461),
        ({"available_begin_time": at(seconds=-60)}, 268435461),
        ({"available_end_time": at(days=91)}, 268435461),
        ({"use_rule": {"available_merchants": []}}, 268435461),
        ({"use_rule": {"trade_type": ["JSAPI"]}}, 268435461),
        ({"no_cash": "true"}, 268435461),
        ({"colour": "red"}, 270924358),
    ],
)
def test_bad_stocks(pay, change, number):
    answer = pay.call("POST", CREATE, favor_stock(**change))
    assert code_of(answer) == (400, "PARAM_ERROR")
    assert number_of(answer) == number


def test_whose_merchants(box, pay):
    rule = {"available_merchants": [MCHID, "1900000009"]}
    answer = pay.call("POST", CREATE, favor_stock(use_rule=rule))
    assert code_of(answer) == (400, "MCH_NOT_EXISTS")
    box.post("merchants", mchid="1900000009")
    answer = pay.call("POST", CREATE, favor_stock(use_rule=rule))
    assert code_of(answer) == (400, "INVALID_REQUEST")
    assert pay.call("POST", CREATE, favor_stock(use_rule=rule, no_cash=False)).ok
    answer = pay.call("POST", CREATE, favor_stock(belong_merchant="1900000009"))
    assert code_of(answer) == (400, "INVALID_REQUEST")


def test_life(box, pay):
    number = made(pay)
    assert code_of(move(pay, number, "pause")) == (400, "PARAM_ERROR")
    for verb, status in (
        ("start", "running"),
        ("pause", "paused"),
        ("restart", "running"),
        ("stop", "stoped"),
    ):
        told = move(pay, number, verb).json()
        assert told["stock_id"] == number
        assert told[f"{verb}_time"].endswith("+08:00")
        assert shown(pay, number)["status"] == status
    assert code_of(move(pay, number, "restart")) == (400, "PARAM_ERROR")
    answer = pay.call("POST", f"{STOCKS}/{number}/start", {"stock_creator_mchid": "1"})
    assert code_of(answer) == (404, "RESOURCE_NOT_EXISTS")


def test_not_enough(box, pay, user):
    """预充值 locks its budget, also against a second stock."""
    box.post("merchants", mchid=MCHID, balance=9999)
    first = made(pay, no_cash=False)
    second = made(pay, no_cash=False, out_request_no="FAVOR-2")
    free = made(pay, out_request_no="FAVOR-3")
    assert move(pay, first, "start").status_code == 200
    assert code_of(move(pay, second, "start")) == (403, "NOT_ENOUGH")
    assert shown(pay, second)["status"] == "unactivated"
    assert move(pay, free, "start").status_code == 200
    kept = box.get(f"pay/favor/stocks/{first}")
    assert (kept["held"], kept["free_balance"]) == (5000, 4999)
    # Once stopped it holds only what people have.
    box.post("clock", advance=61)
    assert send(pay, first, user).ok
    move(pay, first, "stop")
    kept = box.get(f"pay/favor/stocks/{first}")
    assert (kept["held"], kept["free_balance"]) == (500, 9499)
    assert move(pay, second, "start").status_code == 200


def test_list_stocks(box, pay):
    numbers = [made(pay, out_request_no=f"F-{i}") for i in range(3)]
    move(pay, numbers[0], "start")
    path = f"{STOCKS}?stock_creator_mchid={MCHID}"
    rows = pay.call("GET", f"{path}&offset=0&limit=2").json()
    assert rows["total_count"] == 3 and len(rows["data"]) == 2
    # The offset is a page, not a place.
    rows = pay.call("GET", f"{path}&offset=1&limit=2").json()["data"]
    assert [row["stock_id"] for row in rows] == [numbers[0]]
    rows = pay.call("GET", f"{path}&offset=0&limit=9&status=running").json()["data"]
    assert [row["stock_id"] for row in rows] == [numbers[0]]
    later = at(hours=1).replace("+", "%2B")
    query = f"{path}&offset=0&limit=9&create_start_time={later}"
    assert pay.call("GET", query).json()["data"] == []
    for wrong in (
        "&limit=2",
        "&offset=0&limit=11",
        "&offset=0&limit=2&status=RUNNING",
        "&offset=0&limit=2&create_end_time=2026-01-01",
    ):
        assert code_of(pay.call("GET", path + wrong)) == (400, "PARAM_ERROR"), wrong


def test_articles(box, pay):
    number = made(pay, use_rule={"available_items": ["TEA", "MILK"]})
    path = f"{STOCKS}/{number}"
    change = {**OWN, "add_goods_id_list": ["COLA"], "delete_goods_id_list": ["TEA"]}
    told = pay.call("POST", f"{path}/modify-goods-id", change).json()
    assert told["stock_id"] == number and "effect_time" in told
    query = f"stock_creator_mchid={MCHID}&offset=0&limit=1"
    rows = pay.call("GET", f"{path}/items?{query}").json()
    assert rows["data"] == ["MILK"] and rows["total_count"] == 2
    rows = pay.call("GET", f"{path}/merchants?{query}").json()
    assert rows["data"] == [MCHID] and rows["stock_id"] == number
    answer = pay.call("GET", f"{path}/merchants?{query[:-1]}51")
    assert code_of(answer) == (400, "PARAM_ERROR")
    plain = made(pay, out_request_no="F-2")
    answer = pay.call("POST", f"{STOCKS}/{plain}/modify-goods-id", change)
    assert code_of(answer) == (400, "INVALID_REQUEST")


# -- handing out
def test_send(box, pay, user):
    number = made(pay)
    assert code_of(send(pay, number, user)) == (400, "INVALID_REQUEST")
    move(pay, number, "start")
    # Started, but its time has not come.
    assert code_of(send(pay, number, user)) == (403, "REQUEST_BLOCKED")
    box.post("clock", advance=61)
    coupon = send(pay, number, user).json()["coupon_id"]
    assert send(pay, number, user).json()["coupon_id"] == coupon
    other = box.post("users", nickname="b")["openid"]
    answer = send(pay, number, other)
    assert code_of(answer) == (400, "RESOURCE_ALREADY_EXISTS")
    assert shown(pay, number)["distributed_coupons"] == 1
    told = one(pay, user, coupon).json()
    assert told["status"] == "SENDED" and told["coupon_name"] == "迎新代金券"
    assert told["normal_coupon_information"]["transaction_minimum"] == 1000
    assert "consume_information" not in told
    move(pay, number, "pause")
    assert code_of(send(pay, number, user, "S2")) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"appid": "wxother"}, (400, "APPID_MCHID_NOT_MATCH")),
        ({"stock_id": "1"}, (404, "RESOURCE_NOT_EXISTS")),
        ({"stock_creator_mchid": "1900000009"}, (404, "RESOURCE_NOT_EXISTS")),
        ({"coupon_value": 100}, (400, "PARAM_ERROR")),
        ({"out_request_no": "a b"}, (400, "PARAM_ERROR")),
    ],
)
def test_bad_sends(box, pay, user, change, status):
    number = started(box, pay)
    assert code_of(send(pay, number, user, **change)) == status
    assert code_of(send(pay, number, "oNobody")) == (400, "INVALID_REQUEST")
    assert shown(pay, number)["distributed_coupons"] == 0


def test_limits(box, pay, user):
    rule = {"max_amount_by_day": 1500, "max_coupons_per_user": 2}
    number = started(box, pay, rule=rule, count=5)
    assert send(pay, number, user, "1").ok and send(pay, number, user, "2").ok
    assert code_of(send(pay, number, user, "3")) == (403, "RULE_LIMIT")
    people = [box.post("users", nickname=str(i))["openid"] for i in range(4)]
    assert send(pay, number, people[0], "4").ok
    assert code_of(send(pay, number, people[1], "5")) == (403, "NOT_ENOUGH")
    box.post("clock", advance=86400)
    assert send(pay, number, people[1], "6").ok and send(pay, number, people[2], "7").ok
    box.post("clock", advance=86400)
    assert code_of(send(pay, number, people[3], "8")) == (403, "NOT_ENOUGH")


def test_lists_of_a_person(box, pay, user):
    numbers = [started(box, pay, out_request_no=f"F-{i}") for i in range(2)]
    coupons = [send(pay, n, user, n).json()["coupon_id"] for n in numbers]
    path = f"{FAVOR}/users/{user}/coupons?appid={APPID}"
    assert code_of(pay.call("GET", path)) == (400, "PARAM_ERROR")
    two = f"{path}&creator_mchid={MCHID}&sender_mchid={MCHID}"
    assert code_of(pay.call("GET", two)) == (400, "PARAM_ERROR")
    query = f"{path}&creator_mchid={MCHID}&stock_id={numbers[1]}"
    rows = pay.call("GET", query).json()
    assert [row["coupon_id"] for row in rows["data"]] == [coupons[1]]
    # With available_mchid the stock and the paging are ignored.
    query = f"{path}&available_mchid={MCHID}&stock_id={numbers[1]}&limit=1"
    rows = pay.call("GET", query).json()
    assert [row["coupon_id"] for row in rows["data"]] == coupons
    query = f"{path}&sender_mchid={MCHID}&offset=1&limit=1"
    rows = pay.call("GET", query).json()
    assert [row["coupon_id"] for row in rows["data"]] == [coupons[1]]
    query = f"{path}&creator_mchid={MCHID}&business_type=MULTIUSE"
    assert pay.call("GET", query).json()["data"] == []
    assert code_of(one(pay, user, "1")) == (404, "RESOURCE_NOT_EXISTS")


# -- at payment
@pytest.mark.parametrize("no_cash", [True, False])
def test_used_at_payment(box, pay, user, receiver, no_cash):
    address = {"mchid": MCHID, "notify_url": receiver.url}
    assert pay.call("POST", f"{FAVOR}/callbacks", address).ok
    number = started(box, pay, no_cash=no_cash)
    coupon = send(pay, number, user).json()["coupon_id"]
    paid = pay_for(box, pay, user)
    assert paid["amount"]["payer_total"] == 500
    (promotion,) = paid["promotion_detail"]
    assert promotion["coupon_id"] == coupon and promotion["stock_id"] == number
    assert promotion["type"] == ("NOCASH" if no_cash else "CASH")
    assert promotion["scope"] == "GLOBAL" and promotion["merchant_contribute"] == 500
    (kept,) = box.get("state")["orders"]
    assert kept["settlement_total"] == (500 if no_cash else 1000)
    (request,) = receiver.wait(1)
    assert pay.verify(request["headers"], request["body"])
    envelope = json.loads(request["body"])
    assert envelope["event_type"] == "COUPON.USE"
    told = unseal(envelope["resource"])
    assert told["coupon_id"] == coupon and told["status"] == "USED"
    use = told["consume_information"]
    assert use["transaction_id"] == paid["transaction_id"]
    assert use["consume_mchid"] == MCHID
    assert told == one(pay, user, coupon).json()
    # It is used once.
    assert discounts(pay_for(box, pay, user, "ORDER-0002")) == []
    box.post(f"phone/{user}/favor/notify", coupon_id=coupon)
    receiver.wait(2)


def test_no_callback_when_switched_off(box, pay, user, receiver):
    address = {"mchid": MCHID, "notify_url": receiver.url, "switch": False}
    assert pay.call("POST", f"{FAVOR}/callbacks", address).ok
    number = started(box, pay)
    send(pay, number, user)
    assert discounts(pay_for(box, pay, user)) == [500]
    assert box.get("callbacks") == []


GOODS = [
    {"merchant_goods_id": "TEA", "quantity": 2, "unit_price": 300},
    {"merchant_goods_id": "CUP", "quantity": 1, "unit_price": 400},
]


@pytest.mark.parametrize(
    ("use_rule", "change", "fits"),
    [
        ({}, {}, True),
        ({}, {"amount": {"total": 999, "currency": "CNY"}}, False),
        ({"goods_tag": ["VIP", "GOLD"]}, {}, False),
        ({"goods_tag": ["VIP", "GOLD"]}, {"goods_tag": "GOLD"}, True),
        ({"trade_type": ["CARD"]}, {}, False),
        ({"trade_type": ["CARD", "OTHER"]}, {}, True),
        ({"limit_pay": ["CMB_DEBIT"]}, {}, False),
        ({"unavailable_items": ["CUP"]}, {"detail": {"goods_detail": GOODS}}, False),
        ({"unavailable_items": ["GIN"]}, {"detail": {"goods_detail": GOODS}}, True),
    ],
)
def test_what_fits(box, pay, user, use_rule, change, fits):
    send(pay, started(box, pay, use_rule=use_rule), user)
    assert discounts(pay_for(box, pay, user, **change)) == ([500] if fits else [])


def test_only_at_these_merchants(box, pay, user):
    box.post("merchants", mchid="1900000009")
    rule = {"available_merchants": ["1900000009"]}
    number = started(box, pay, use_rule=rule, no_cash=False)
    send(pay, number, user)
    assert discounts(pay_for(box, pay, user)) == []


def test_single_articles(box, pay, user):
    """The threshold is on the articles, and the parts add up to the amount."""
    items = {"available_items": ["TEA", "MILK"]}
    number = started(box, pay, amount=100, minimum=600, use_rule=items)
    send(pay, number, user)
    few = [{**GOODS[0], "quantity": 1}, GOODS[1]]
    paid = pay_for(box, pay, user, "ORDER-0001", detail={"goods_detail": few})
    assert discounts(paid) == []
    lines = [*GOODS, {"merchant_goods_id": "MILK", "quantity": 1, "unit_price": 301}]
    paid = pay_for(box, pay, user, "ORDER-0002", detail={"goods_detail": lines})
    (promotion,) = paid["promotion_detail"]
    assert promotion["scope"] == "SINGLE" and promotion["amount"] == 100
    parts = {i["goods_id"]: i["discount_amount"] for i in promotion["goods_detail"]}
    assert parts == {"TEA": 66, "MILK": 34}


def test_payment_by_code(box, pay, user, receiver):
    """A payment by code has no notification of its own, its voucher has."""
    address = {"mchid": MCHID, "notify_url": receiver.url}
    assert pay.call("POST", f"{FAVOR}/callbacks", address).ok
    send(pay, started(box, pay, use_rule={"trade_type": ["CARD"]}), user)
    body = order(
        payer={"auth_code": box.post(f"phone/{user}/pay_code")["auth_code"]},
        scene_info={"store_info": {"id": "1"}},
        notify_url=None,
    )
    paid = pay.call("POST", "/v3/pay/transactions/codepay", body).json()
    assert discounts(paid) == [500] and paid["amount"]["payer_total"] == 500
    (request,) = receiver.wait(1)
    assert json.loads(request["body"])["event_type"] == "COUPON.USE"
    # A reversal pays all of it back.
    path = "/v3/pay/transactions/out-trade-no/ORDER-0001/reverse"
    assert pay.call("POST", path, {"appid": APPID, "mchid": MCHID}).ok
    (voucher,) = box.get(f"phone/{user}/vouchers")
    assert voucher["state"] == "SENDED"


def test_at_a_sub_merchant(box, pay, user):
    """In partner mode it is the sub-merchant that takes a voucher."""
    box.post("merchants", mchid=MCHID, sub_mchids=["1900000009", "1900000010"])
    rule = {"available_merchants": ["1900000009"]}
    number = started(box, pay, use_rule=rule)
    coupon = send(pay, number, user).json()["coupon_id"]
    for sub, amounts in (("1900000010", []), ("1900000009", [500])):
        body = order(out_trade_no=f"ORDER-{sub}", appid=None, mchid=None)
        body.update(sp_appid=APPID, sp_mchid=MCHID, sub_mchid=sub)
        answer = pay.call("POST", "/v3/pay/partner/transactions/native", body)
        assert answer.ok, answer.text
        path = f"pay/orders/{MCHID}/ORDER-{sub}/pay"
        assert discounts(box.post(path, openid=user, notify=False)) == amounts
    use = one(pay, user, coupon).json()["consume_information"]
    assert use["consume_mchid"] == "1900000009"


def test_vouchers_survive_a_restart(tmp_path):
    box = Process("--data", str(tmp_path))
    try:
        box.post("accounts", appid=APPID, secret="s" * 32)
        pay = Merchant(box, box.post("merchants", **MERCHANT))
        user = box.post("users", nickname="a")["openid"]
        number = started(box, pay)
        coupon = send(pay, number, user).json()["coupon_id"]
        paid = pay_for(box, pay, user)
        assert discounts(paid) == [500]
    finally:
        box.stop()
    box = Process("--data", str(tmp_path))
    try:
        pay.box = box
        assert one(pay, user, coupon).json()["status"] == "USED"
        assert send(pay, number, user).json()["coupon_id"] == coupon
        refund(box, pay, 1000, "R1")
        assert one(pay, user, coupon).json()["status"] == "SENDED"
    finally:
        box.stop()


@pytest.mark.parametrize(
    ("alone", "uses"), [(400, [[400], [300, 5]]), (200, [[300, 5], [200]])]
)
def test_combining(box, pay, user, alone, uses):
    """What must not be combined is used alone; the largest goes first."""
    first = started(box, pay, amount=alone)
    rule = {"combine_use": True}
    second = started(box, pay, out_request_no="F-2", amount=300, use_rule=rule)
    send(pay, first, user, "1")
    send(pay, second, user, "2")
    box.post(f"phone/{user}/vouchers", type="CASH", amount=5)
    for number, amounts in enumerate(uses):
        paid = pay_for(box, pay, user, f"ORDER-000{number}")
        assert discounts(paid) == amounts


def test_hours_of_vouchers(box, pay, user):
    now = datetime.now(BEIJING)
    tomorrow = (now.isoweekday() + 1) % 7
    fixed = {"available_week_day": [tomorrow], "begin_time": 0, "end_time": 86399}
    rule = {"coupon_available_time": {"fix_available_time": fixed}}
    send(pay, started(box, pay, use_rule=rule), user)
    today = now.replace(hour=12, minute=0, second=0, microsecond=0)
    box.post("clock", set=today.timestamp() + 2 * 86400)
    assert discounts(pay_for(box, pay, user, "ORDER-0001")) == []
    box.post("clock", set=today.timestamp() + 8 * 86400)
    assert discounts(pay_for(box, pay, user, "ORDER-0002")) == [500]


def test_minutes_after_receipt(box, pay, user):
    rule = {"coupon_available_time": {"available_time_after_receive": 30}}
    coupon = send(pay, started(box, pay, use_rule=rule), user).json()["coupon_id"]
    box.post("clock", advance=31 * 60)
    assert discounts(pay_for(box, pay, user)) == []
    assert one(pay, user, coupon).json()["status"] == "EXPIRED"


# -- refunds
def refund(box, pay, amount, number, order_no="ORDER-0001"):
    body = {
        "out_trade_no": order_no,
        "out_refund_no": number,
        "amount": {"refund": amount, "total": 1000, "currency": "CNY"},
    }
    assert pay.call("POST", REFUNDS, body).status_code == 200
    box.post(f"pay/refunds/{MCHID}/{number}", notify=False)


def test_back_with_the_last_fen(box, pay, user):
    box.post("settings", refund_gap_seconds=0)
    coupon = send(pay, started(box, pay), user).json()["coupon_id"]
    pay_for(box, pay, user)
    refund(box, pay, 400, "R1")
    assert one(pay, user, coupon).json()["status"] == "USED"
    refund(box, pay, 600, "R2")
    told = one(pay, user, coupon).json()
    assert told["status"] == "SENDED" and "consume_information" not in told
    assert discounts(pay_for(box, pay, user, "ORDER-0002")) == [500]
    # The first order's refund gives nothing back a second time.
    assert one(pay, user, coupon).json()["status"] == "USED"


def test_back_too_late(box, pay, user):
    coupon = send(pay, started(box, pay), user).json()["coupon_id"]
    pay_for(box, pay, user)
    box.post("clock", advance=31 * 86400)
    refund(box, pay, 1000, "R1")
    assert one(pay, user, coupon).json()["status"] == "EXPIRED"


# -- files
def read(pay, answer, digest="hash_value"):
    told = answer.json()
    path = told["url"][told["url"].index("/v3/") :]
    file = pay.call("GET", path)
    assert "Wechatpay-Signature" not in file.headers
    found = hashlib.sha1(file.content, usedforsecurity=False).hexdigest()
    assert found == told[digest]
    text = file.content.decode().replace("`", "")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[-2] == ["总条数"] and rows[-1] == [str(len(rows) - 3)]
    again = pay.call("GET", path)
    assert again.status_code == 400
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:-2]]


def test_flows(box, pay, user):
    number = started(box, pay)
    coupon = send(pay, number, user).json()["coupon_id"]
    paid = pay_for(box, pay, user)
    refund(box, pay, 400, "R1")
    path = f"{STOCKS}/{number}"
    assert code_of(pay.call("GET", f"{path}/use-flow")) == (400, "INVALID_REQUEST")
    move(pay, number, "stop")
    day = datetime.now(BEIJING).strftime("%Y-%m-%d")
    assert pay.call("GET", f"{path}/use-flow-by-day?bill_date={day}").status_code == 400
    box.post("clock", advance=2 * 86400)
    answer = pay.call("GET", f"{path}/use-flow")
    assert answer.json()["hash_type"] == "sha1"
    (row,) = read(pay, answer)
    assert row["优惠id"] == coupon and row["优惠金额（元）"] == "5.00"
    assert row["支付单号"] == paid["transaction_id"] and row["消耗商户号"] == MCHID
    (row,) = read(pay, pay.call("GET", f"{path}/refund-flow"))
    assert row["优惠金额（元）"] == "2.00"
    day = row["消耗时间"][:10]
    answer = pay.call("GET", f"{path}/refund-flow-by-day?bill_date={day}")
    assert answer.json()["stock_refundflow_count"] == "1"
    assert len(read(pay, answer, "stock_refundflow_hash")) == 1
    answer = pay.call("GET", f"{path}/use-flow-by-day?bill_date=2020-01-01")
    assert answer.json()["stock_useflow_count"] == "0"
    late = pay.call("GET", f"{path}/use-flow").json()["url"]
    box.post("clock", advance=31)
    assert pay.call("GET", late[late.index("/v3/") :]).status_code == 400


# -- the phone and the control API
def test_on_the_phone(box, pay, user, browser):
    items = {"available_items": ["TEA"]}
    number = started(box, pay, use_rule=items)
    got = box.post(f"phone/{user}/favor", stock_id=number)
    page = browser.get(f"/phone/{user}")
    assert "迎新代金券" in page and "减 5 元" in page
    page = browser.get(f"/phone/{user}/voucher/{got['coupon_id']}")
    assert "付款时满足条件自动使用" in page and "TEA" in page
    page = browser.get(f"/phone/{user}/voucher/{got['coupon_id']}?lang=en")
    assert "¥5 off" in page
    browser.get(f"/phone/{user}/voucher/1", status=404)
    box.post(f"phone/{user}/vouchers", type="CASH", amount=5, name="随手券")
    assert "随手券" in browser.get(f"/phone/{user}")
    box.post(f"pay/favor/stocks/{number}/state", state="audit")
    assert shown(pay, number)["status"] == "audit"
    told = box.post(f"phone/{user}/favor", status=409, stock_id=number)
    assert told["error"].startswith("INVALID_REQUEST")


def test_faults(box, pay, user):
    number = started(box, pay)
    box.fault(path="favor/users", kind="http_status", status=500, commit=True)
    assert send(pay, number, user).status_code == 500
    assert send(pay, number, user).status_code == 200
    assert shown(pay, number)["distributed_coupons"] == 1
    box.fault(path="favor/stocks", kind="http_status", status=429)
    answer = move(pay, number, "pause")
    assert code_of(answer) == (429, "FREQUENCY_LIMITED")
    assert shown(pay, number)["status"] == "running"
