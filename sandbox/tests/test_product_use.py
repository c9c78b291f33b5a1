"""Product coupons of people: sending, confirming, using, returning, callbacks."""

import json

import pytest
from harness import Process
from pay_harness import APPID, KEY, MCHID, code_of, number_of, order, unseal
from product_harness import (
    BRAND,
    PNG,
    BrandClient,
    Shop,
    bundle,
    coupon,
    period,
    rfc,
    stock,
)

GONE, BAD_BODY, BAD_STATE = 268578608, 268578224, 268578367
EXPIRED, DELETED, NOT_NOW = 268578776, 272756769, 272755715
OTHER_NUMBER, OTHER_DATA = 272755200, 268578927


@pytest.fixture
def ready(shop):
    shop.create()
    return shop


def lasting(**change):
    """Return a stock whose coupons are good in this way."""
    return stock(single_usage_rule={"coupon_available_period": period(**change)})


def delete(shop, code):
    return shop.box.post(f"phone/{shop.user}/product/delete", coupon_code=code)


# -- sending -------------------------------------------------------
def test_send(ready):
    answer = ready.send(attach="till 3")
    shown = answer.json()
    assert answer.status_code == 200 and shown["coupon_state"] == "CONFIRMING"
    assert shown["send_channel"] == "API" and shown["attach"] == "till 3"
    assert shown["send_request_no"] == "SEND-0001" and shown["brand_id"] == BRAND
    assert shown["product_coupon"]["state"] == "EFFECTIVE"
    assert shown["stock"]["sent_count_info"] == {"total_count": 1, "today_count": 1}
    assert ready.send(attach="till 3").json() == shown
    answer = ready.send(attach="till 4")
    assert code_of(answer) == (400, "ALREADY_EXISTS")
    assert number_of(answer) == OTHER_DATA
    assert ready.send("SEND-0002").json()["coupon_code"] != shown["coupon_code"]


def test_a_slash_in_a_code(shop):
    """Shops may write codes that a path has to escape."""
    shop.create(stock=stock(coupon_code_mode="API_ASSIGN"))
    shop.send("SEND-0001", coupon_code="A/1 b")
    ids = {**shop.ids, "out_request_no": "CONF-0001"}
    path = f"/users/{shop.user}/coupons/A%2F1%20b/confirm"
    shown = shop.client.good("POST", path, ids)
    assert shown["coupon_code"] == "A/1 b" and shown["coupon_state"] == "EFFECTIVE"


def test_whom(box, ready):
    answer = ready.send(appid="wxother000000001")
    assert code_of(answer) == (400, "INVALID_REQUEST")
    assert number_of(answer) == 268578704
    wrong = 268578526 if ready.client.extra else 268578532
    someone, ready.user = ready.user, "oNobody"
    assert number_of(ready.send()) == wrong
    other = box.post("users", nickname="小红", appid="wxother000000001")
    ready.user = other["openid"]
    assert number_of(ready.send()) == wrong
    ready.user = someone
    assert number_of(ready.send(product_coupon_id="1")) == GONE
    assert number_of(ready.send(stock_id="1")) == GONE
    assert number_of(ready.send(coupon_code="C-1")) == BAD_BODY


def test_limits(box, shop):
    rule = {"max_count": 9, "max_count_per_user": 2, "max_count_per_day": 3}
    shop.create(stock=stock(stock_send_rule=rule))
    # A coupon that nobody has confirmed counts too.
    shop.give("SEND-0001", confirm=False), shop.give("SEND-0002")
    answer = shop.send("SEND-0003")
    assert code_of(answer) == (400, "INVALID_REQUEST")
    assert number_of(answer) == 272756740
    shop.user = box.post("users", nickname="小红")["openid"]
    # A refused request leaves its number free.
    assert shop.send("SEND-0003").status_code == 200
    assert number_of(shop.send("SEND-0004")) == 0
    box.post("clock", advance=86400)
    assert shop.send("SEND-0004").status_code == 200


def test_codes_of_the_shop(shop):
    shop.create(stock=stock(coupon_code_mode="API_ASSIGN"))
    assert number_of(shop.send()) == BAD_BODY
    assert shop.give("SEND-0001", coupon_code="SHOP-1") == "SHOP-1"
    answer = shop.send("SEND-0002", coupon_code="SHOP-1")
    assert code_of(answer) == (400, "INVALID_REQUEST")
    assert number_of(answer) == OTHER_NUMBER
    assert shop.give("SEND-0003", coupon_code="SHOP-2") == "SHOP-2"


def test_member_tag(ready):
    tags = {"coupon_tag_list": ["MEMBER"], "member_tag_info": {"member_card_id": "M1"}}
    assert ready.send(coupon_tag_info=tags).json()["coupon_tag_info"] == tags
    bad = {"coupon_tag_list": ["MEMBER"]}
    assert number_of(ready.send("SEND-0002", coupon_tag_info=bad)) == BAD_BODY


def test_lists(box, ready):
    codes = [ready.give(f"SEND-000{n}", confirm=n > 1) for n in range(3)]
    path = f"{ready.at()}?appid={APPID}"
    shown = ready.client.good("GET", path)
    assert [c["coupon_code"] for c in shown["user_coupon_list"]] == codes
    shown = ready.client.good("GET", f"{path}&coupon_state=CONFIRMING&page_size=1")
    assert shown["total_count"] == 2 and shown["next_page_token"]
    shown = ready.client.good("GET", f"{path}&coupon_state=EFFECTIVE")
    assert [c["coupon_code"] for c in shown["user_coupon_list"]] == codes[2:]
    assert ready.client.good("GET", f"{path}&stock_id=1")["total_count"] == 0
    answer = ready.client.do("GET", f"{path}&coupon_state=NEW")
    assert code_of(answer) == (400, "PARAM_ERROR")
    assert code_of(ready.client.do("GET", ready.at())) == (400, "PARAM_ERROR")


# -- confirming -------------------------------------------------------
def test_confirm(ready):
    code = ready.give(confirm=False)
    assert number_of(ready.use(code)) == BAD_STATE
    shown = ready.ok(code, "confirm", "CONF-0001")
    assert shown["coupon_state"] == "EFFECTIVE"
    assert shown["confirm_request_no"] == "CONF-0001" and shown["confirm_time"]
    assert ready.ok(code, "confirm", "CONF-0001") == shown
    assert number_of(ready.act(code, "confirm", "CONF-0002")) == OTHER_NUMBER
    assert number_of(ready.act("404", "confirm", "CONF-0003")) == GONE
    code = ready.give("SEND-0002", confirm=False)
    # The same number for another coupon.
    answer = ready.act(code, "confirm", "CONF-0001")
    assert number_of(answer) == OTHER_DATA
    delete(ready, code)
    assert number_of(ready.act(code, "confirm", "CONF-0004")) == DELETED


def test_late_confirmation(box, shop):
    shop.create(stock=lasting(available_seconds=60))
    code = shop.give(confirm=False)
    box.post("clock", advance=61)
    assert shop.state(code) == "EXPIRED"
    assert number_of(shop.act(code, "confirm", "CONF-0001")) == EXPIRED


# -- using -------------------------------------------------------
def test_use(ready):
    code, paid, now = ready.give(), ready.payment(), rfc()
    change = {"associated_order_info": paid, "use_time": now, "saved_amount": 200}
    answer = ready.use(code, **change)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["coupon_state"] == "USED"
    assert shown["single_usage_detail"] == {
        "use_request_no": "USE-00001",
        "use_time": now,
        "associated_order_info": paid,
        "saved_amount": 200,
    }
    # The same request again is the same use.
    assert ready.use(code, **change).json() == shown
    answer = ready.use(code, **{**change, "saved_amount": 100})
    assert code_of(answer) == (400, "ALREADY_EXISTS")
    assert number_of(answer) == OTHER_DATA
    answer = ready.use(code, "USE-00002", **change)
    assert code_of(answer) == (400, "INVALID_REQUEST")
    assert number_of(answer) == OTHER_NUMBER
    ready.box.post("settings", product_used_number=272756745)
    assert number_of(ready.use(code, "USE-00002", **change)) == 272756745
    other = ready.give("SEND-0002")
    assert number_of(ready.use(other, **change)) == OTHER_DATA


def test_use_after_the_answer_was_lost(box, ready):
    """What the till sends again must not be a second use."""
    code = ready.give()
    change = {"associated_order_info": ready.payment(), "use_time": rfc()}
    box.fault(path="/use$", kind="http_status", status=502, commit=True)
    assert ready.use(code, **change).status_code == 502
    assert ready.state(code) == "USED"
    assert ready.use(code, **change).json()["coupon_state"] == "USED"
    code = ready.give("SEND-0002")
    box.fault(path="/use$", kind="http_status", status=502)
    change["associated_order_info"] = ready.payment()
    assert ready.use(code, "USE-00002", **change).status_code == 502
    assert ready.state(code) == "EFFECTIVE"


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"associated_order_info": None}, BAD_BODY),
        ({"associated_order_info": {}}, BAD_BODY),
        ({"associated_order_info": {"out_trade_no": "ORDER-0001"}}, BAD_BODY),
        ({"associated_order_info": {"transaction_id": "4200"}}, GONE),
        (
            {"associated_order_info": {"out_trade_no": "NONE-00001", "mchid": MCHID}},
            GONE,
        ),
        ({"associated_pay_score_order_info": {"order_id": "1"}}, BAD_BODY),
        ({"use_time": None}, 268435461),
        ({"use_time": "2026-01-01"}, 268435461),
        ({"saved_amount": -1}, 268435464),
        ({"saved_amount": 1.5}, 268435461),
        ({"sequential_coupon_index": 0}, BAD_BODY),
        ({"store_id": "9999"}, 268584404),
        ({"colour": "red"}, 270924358),
        ({"out_request_no": "a b c d"}, 268435461),
    ],
)
def test_bad_uses(ready, change, number):
    code = ready.give()
    paid = {"associated_order_info": ready.payment()}
    answer = ready.use(code, **{**paid, **change})
    assert answer.status_code == 400 and number_of(answer) == number, answer.text
    assert ready.state(code) == "EFFECTIVE"


def test_the_payment(box, ready):
    code = ready.give()
    unpaid = ready.payment(paid=False)
    answer = ready.use(code, associated_order_info=unpaid)
    assert code_of(answer) == (400, "INVALID_REQUEST") and number_of(answer) == BAD_BODY
    paid = box.post(f"pay/orders/{MCHID}/ORDER-0001/pay", notify=False)
    number = {"transaction_id": paid["transaction_id"]}
    both = {**number, "out_trade_no": "ORDER-0002", "mchid": MCHID}
    assert number_of(ready.use(code, associated_order_info=both)) == BAD_BODY
    other = {**unpaid, "sub_mchid": "1900000011"}
    assert number_of(ready.use(code, associated_order_info=other)) == GONE
    assert ready.use(code, associated_order_info=number).status_code == 200


def test_the_payment_of_a_sub_merchant(box, ready):
    code, sub = ready.give(), "1900000011"
    box.post("merchants", mchid=MCHID, sub_mchids=[sub])
    body = order(appid=None, mchid=None, sp_appid=APPID, sp_mchid=MCHID, sub_mchid=sub)
    path = "/v3/pay/partner/transactions/native"
    assert ready.pay.call("POST", path, body).status_code == 200
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay", notify=False)
    info = {"out_trade_no": "ORDER-0001", "mchid": MCHID}
    assert number_of(ready.use(code, associated_order_info=info)) == GONE
    info["sub_mchid"] = sub
    assert ready.use(code, associated_order_info=info).status_code == 200


def test_pay_score_order(box, ready):
    code = ready.give()
    score = {"out_order_no": "SCORE-1", "mchid": MCHID}
    change = {"associated_order_info": None, "associated_pay_score_order_info": score}
    assert number_of(ready.use(code, **change)) == GONE
    box.post("pay/score_orders", state="DOING", **score)
    assert number_of(ready.use(code, **change)) == BAD_BODY
    box.post("pay/score_orders", **score)
    shown = ready.use(code, **change).json()
    detail = shown["single_usage_detail"]
    assert detail["associated_pay_score_order_info"] == score


def test_shops(shop):
    shop.create(stock=stock(store_scope="SPECIFIC"))
    stores = {"store_list": [{"store_id": "1001"}]}
    path = f"{shop.stocks}/{shop.stock}/associate-stores"
    shop.client.good("POST", path, stores)
    code = shop.give()
    for change in ({}, {"store_id": "1002"}):
        answer = shop.use(code, **change)
        assert code_of(answer) == (400, "INVALID_REQUEST")
        assert number_of(answer) == 268584404
    assert shop.use(code, store_id="1001").status_code == 200


def test_states_that_cannot_be_used(box, ready):
    code = ready.give("SEND-0001")
    reason = {"deactivate_reason": "发错了"}
    shown = ready.ok(code, "deactivate", "END-00001", **reason)
    assert shown["coupon_state"] == "DEACTIVATED"
    assert shown["deactivate_reason"] == "发错了"
    assert ready.ok(code, "deactivate", "END-00001", **reason) == shown
    assert number_of(ready.use(code)) == BAD_STATE
    code = ready.give("SEND-0002")
    delete(ready, code)
    assert ready.state(code) == "DELETED"
    assert number_of(ready.use(code)) == DELETED
    assert number_of(ready.act(code, "deactivate", "END-00002", **reason)) == DELETED
    used = ready.give("SEND-0003")
    assert ready.use(used).status_code == 200
    answer = ready.act(used, "deactivate", "END-00003", **reason)
    assert number_of(answer) == BAD_STATE
    code = ready.give("SEND-0004")
    box.post("clock", advance=31 * 86400)
    assert ready.state(code) == "EXPIRED" and ready.state(used) == "USED"
    assert number_of(ready.use(code, "USE-00004")) == EXPIRED
    assert number_of(ready.act(used, "return", "RET-00001")) == EXPIRED


def test_waiting_days(box, shop):
    shop.create(stock=lasting(wait_days_after_receive=2, available_days=1))
    code = shop.give()
    assert shop.state(code) == "PENDING"
    assert number_of(shop.use(code)) == NOT_NOW
    box.post("clock", advance=2 * 86400)
    assert shop.state(code) == "EFFECTIVE"
    box.post("clock", advance=86400)
    assert shop.state(code) == "EXPIRED"


def test_the_time_of_use(box, shop):
    shop.create()
    code = shop.give()
    answer = shop.use(code, use_time=rfc(-7200))
    assert code_of(answer) == (400, "INVALID_REQUEST") and number_of(answer) == NOT_NOW
    assert number_of(shop.use(code, use_time=rfc(31 * 86400))) == NOT_NOW
    # A client does not know that the clock was moved.
    box.post("clock", advance=3 * 86400)
    assert shop.use(code).status_code == 200


def test_days_of_the_week(box, shop):
    names = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"]
    # Monday noon in Beijing, so that the test is the same on every day.
    now = box.post("clock")["now"]
    monday = now - (now - 4 * 86400 + 8 * 3600) % (7 * 86400) + 7 * 86400 + 12 * 3600
    box.post("clock", set=monday)
    week = {"day_list": names[1:], "day_period_list": []}
    shop.create(stock=lasting(weekly_available_period=week))
    code = shop.give()
    assert number_of(shop.use(code)) == NOT_NOW
    box.post("clock", advance=86400)
    assert shop.use(code).status_code == 200


# -- returning -------------------------------------------------------
def test_return(ready):
    code = ready.give()
    assert number_of(ready.act(code, "return", "RET-00001")) == BAD_STATE
    change = {"associated_order_info": ready.payment(), "use_time": rfc()}
    assert ready.use(code, **change).status_code == 200
    shown = ready.ok(code, "return", "RET-00001")
    assert shown["coupon_state"] == "EFFECTIVE"
    detail = shown["single_usage_detail"]
    assert detail["return_request_no"] == "RET-00001" and detail["return_time"]
    assert ready.ok(code, "return", "RET-00001") == shown
    assert number_of(ready.act(code, "return", "RET-00002")) == BAD_STATE
    # The old use, sent again, is not a new one.
    assert ready.use(code, **change).json()["coupon_state"] == "EFFECTIVE"
    answer = ready.use(code, "USE-00002")
    assert answer.json()["coupon_state"] == "USED"
    detail = answer.json()["single_usage_detail"]
    assert detail["use_request_no"] == "USE-00002"
    assert ready.ok(code, "return", "RET-00003")["coupon_state"] == "EFFECTIVE"


def test_a_refund_returns_nothing(box, ready):
    code = ready.give()
    assert ready.use(code).status_code == 200
    box.post("settings", auto_refund=True)
    amount = {"refund": 1000, "total": 1000, "currency": "CNY"}
    refund = {"out_trade_no": "ORDER-0001", "out_refund_no": "R1", "amount": amount}
    path = "/v3/refund/domestic/refunds"
    assert ready.pay.call("POST", path, refund).status_code == 200
    assert ready.state(code) == "USED"


# -- several times -------------------------------------------------------
@pytest.fixture
def several(shop):
    made = shop.client.good("POST", "/product-coupons", bundle(shop.url))
    shop.coupon = made["product_coupon_id"]
    shop.bundle = made["stock_bundle"]["stock_bundle_id"]
    return shop


def send_bundle(shop, number="SEND-0001"):
    ids = {"product_coupon_id": shop.coupon, "stock_bundle_id": shop.bundle}
    sent = {**ids, "appid": APPID, "send_request_no": number}
    path = f"/users/{shop.user}/coupon-bundles"
    return shop.client.good("POST", path, sent)


def test_bundle_is_used_in_order(several):
    shop = several
    made = send_bundle(shop)
    assert send_bundle(shop) == made
    coupons = made["user_product_coupon_list"]
    places = [item["user_product_coupon_bundle_info"] for item in coupons]
    assert [p["user_coupon_bundle_index"] for p in places] == [0, 1, 2]
    assert {p["total_count"] for p in places} == {3}
    codes = []
    for index, item in enumerate(coupons):
        shop.stock = item["stock"]["stock_id"]
        codes.append((shop.stock, item["coupon_code"]))
        assert item["coupon_state"] == "CONFIRMING"
        shop.ok(item["coupon_code"], "confirm", f"CONF-000{index}")
    states = []
    for shop.stock, code in codes:
        states.append(shop.state(code))
    assert states == ["EFFECTIVE", "PENDING", "PENDING"]
    shop.stock, code = codes[1]
    assert number_of(shop.use(code)) == BAD_STATE
    assert number_of(shop.send("SEND-0009")) == BAD_BODY
    for index, (shop.stock, code) in enumerate(codes[:2]):
        answer = shop.use(code, f"USE-0000{index}")
        assert answer.json()["coupon_state"] == "USED", answer.text
    info = answer.json()["user_product_coupon_bundle_info"]
    assert info["used_count"] == 2
    detail = answer.json()["progressive_bundle_usage_detail"]
    assert detail["use_request_no"] == "USE-00001"
    # Only the last used one can come back.
    shop.stock, code = codes[0]
    assert number_of(shop.act(code, "return", "RET-00001")) == BAD_STATE
    shop.stock, code = codes[1]
    shown = shop.ok(code, "return", "RET-00002")
    assert shown["coupon_state"] == "EFFECTIVE"


def test_bundle_ends_as_one(several):
    shop = several
    made = send_bundle(shop)
    path = f"/users/{shop.user}/coupon-bundles/{made['user_coupon_bundle_id']}"
    ids = {"product_coupon_id": shop.coupon, "stock_bundle_id": shop.bundle}
    end = {**ids, "appid": APPID, "out_request_no": "END-00001"}
    end["deactivate_reason"] = "停"
    shown = shop.client.good("POST", f"{path}/deactivate", end)
    states = {item["coupon_state"] for item in shown["user_product_coupon_list"]}
    assert states == {"DEACTIVATED"}
    again = {**end, "out_request_no": "END-00002"}
    answer = shop.client.do("POST", f"{path}/deactivate", again)
    assert number_of(answer) == BAD_STATE
    listed = f"{shop.at()}?appid={APPID}"
    number = made["user_coupon_bundle_id"]
    shown = shop.client.good("GET", f"{listed}&user_coupon_bundle_id={number}")
    assert shown["total_count"] == 3
    shown = shop.client.good("GET", f"{listed}&user_coupon_bundle_id=1")
    assert shown["total_count"] == 0


def test_bundle_interval(box, shop):
    info = {"count": 3, "interval_days": 1}
    body = bundle(shop.url, progressive_bundle_usage_info=info)
    made = shop.client.good("POST", "/product-coupons", body)
    shop.coupon = made["product_coupon_id"]
    shop.bundle = made["stock_bundle"]["stock_bundle_id"]
    coupons = send_bundle(shop)["user_product_coupon_list"][:2]
    for index, item in enumerate(coupons):
        shop.stock, code = item["stock"]["stock_id"], item["coupon_code"]
        shop.ok(code, "confirm", f"CONF-000{index}")
        if not index:
            assert shop.use(code).status_code == 200
    assert shop.state(code) == "PENDING"
    assert number_of(shop.use(code, "USE-00002")) == NOT_NOW
    box.post("clock", advance=86400)
    assert shop.use(code, "USE-00002").status_code == 200


def test_the_older_several_times_coupon(shop):
    offers = [{"threshold": 0, "discount_amount": n * 100} for n in (1, 2, 3)]
    rule = {"coupon_available_period": period(), "normal_coupon_list": offers}
    body = coupon(
        shop.url,
        usage_mode="SEQUENTIAL",
        single_usage_info=None,
        sequential_usage_info={
            "type": "INCREMENTAL",
            "count": 3,
            "available_days": 30,
        },
        stock=stock(single_usage_rule=None, sequential_usage_rule=rule),
    )
    made = shop.client.good("POST", "/product-coupons", body)
    shop.coupon, shop.stock = made["product_coupon_id"], made["stock"]["stock_id"]
    code = shop.give()
    assert number_of(shop.use(code)) == BAD_BODY
    assert number_of(shop.use(code, sequential_coupon_index=1)) == BAD_BODY
    for index in range(3):
        answer = shop.use(code, f"USE-0000{index}", sequential_coupon_index=index)
        assert answer.status_code == 200, answer.text
        detail = answer.json()["sequential_usage_detail"]
        assert (detail["total_count"], detail["used_count"]) == (3, index + 1)
        last = index == 2
        assert answer.json()["coupon_state"] == ("USED" if last else "EFFECTIVE")
    items = [item["detail_state"] for item in detail["detail_item_list"]]
    assert items == ["USED", "USED", "USED"]
    answer = shop.act(code, "return", "RET-00001", sequential_coupon_index=1)
    assert number_of(answer) == BAD_BODY
    shown = shop.ok(code, "return", "RET-00002", sequential_coupon_index=2)
    assert shown["sequential_usage_detail"]["used_count"] == 2
    assert shown["coupon_state"] == "EFFECTIVE"


# -- claiming and callbacks -------------------------------------------------------
@pytest.fixture
def told(ready, receiver):
    """The receiver hears of product coupons."""
    path = f"{ready.client.door}/notify-configs"
    answer = ready.client.call("POST", path, {"notify_url": receiver.url})
    assert answer.status_code == 200
    return receiver


def events(receiver):
    found = []
    for request in receiver.requests:
        body = json.loads(request["body"])
        assert body["resource"]["original_type"] == "product_coupon"
        kind = body["event_type"].rpartition(".")
        found.append((kind[0], kind[2], unseal(body["resource"])))
    return found


def test_callbacks(box, ready, told):
    code = ready.give(attach="till 3")
    used = {"associated_order_info": ready.payment(), "use_time": rfc()}
    assert ready.use(code, **used).status_code == 200
    ready.ok(code, "return", "RET-00001")
    box.wait_callbacks()
    told.wait(3)
    by_kind = {kind: (prefix, what) for prefix, kind, what in events(told)}
    own = "PRODUCT_COUPON_SP" if ready.client.extra else "PRODUCT_COUPON"
    assert {prefix for prefix, _ in by_kind.values()} == {own}
    sent = by_kind["SEND"][1]
    ids = {name: ready.ids[name] for name in ready.ids}
    assert {**sent, **ids, "coupon_code": code, "openid": ready.user} == sent
    assert sent["brand_id"] == BRAND and sent["attach"] == "till 3"
    assert sent["send_channel"] == "API" and sent["send_request_no"] == "SEND-0001"
    for name in ("receive_time", "valid_begin_time", "valid_end_time"):
        assert sent[name].endswith("+08:00")
    use = by_kind["USE"][1]
    assert use["use_request_no"] == "USE-00001" and use["coupon_code"] == code
    assert by_kind["RETURN"][1]["return_request_no"] == "RET-00001"
    # Signed for whoever made the coupon.
    for request in told.requests:
        assert ready.client.verify(request["headers"], request["body"])


def test_probe(box, brand, receiver):
    """The signature probe goes to brands too; who answers 200 has failed."""
    box.post("brands", brand_id=BRAND, notify_url=receiver.url)
    sent = {"mchid": BRAND, "event_type": "PRODUCT_COUPON.SEND", "signtest": True}
    receiver.replies += [(200, ""), (500, "")]
    for good in (False, True):
        report = box.post("pay_callbacks/send", no_retry=True, wait=5, **sent)
        assert report["attempts"][0]["ok"] is good
    signature = receiver.requests[0]["headers"]["Wechatpay-Signature"]
    assert signature.startswith("WECHATPAY/SIGNTEST/")


def test_callback_switches(box, ready, told):
    box.post(
        "settings", product_use_callbacks=False, product_event_prefix="PRODUCT_COUPON"
    )
    box.control("POST", "callback_faults", {"kind": "duplicate", "match": "SEND"})
    code = ready.give()
    assert ready.use(code).status_code == 200
    box.wait_callbacks()
    found = events(told)
    assert [(p, k) for p, k, _ in found] == [("PRODUCT_COUPON", "SEND")] * 2
    assert found[0][2] == found[1][2]
    box.post("settings", product_event_prefix="OTHER", status=400)


def test_late_callback(box, ready, told):
    """SEND after USE: the fault switches hold for product coupons too."""
    box.control("POST", "callback_faults", {"kind": "disorder", "match": "SEND"})
    code = ready.give()
    assert ready.use(code).status_code == 200
    box.wait_callbacks()
    assert [kind for _, kind, _ in events(told)] == ["USE", "SEND"]


def test_a_person_claims(box, ready, told):
    path = f"phone/{ready.user}/product/claim"
    (shown,) = box.post(path, stock_id=ready.stock)
    assert shown["coupon_state"] == "CONFIRMING"
    assert shown["send_channel"] == "RECEIVE_COMPONENT"
    code = shown["coupon_code"]
    told.wait(1)
    ((_, kind, sent),) = events(told)
    assert kind == "SEND" and sent["coupon_code"] == code
    assert sent["send_channel"] == "RECEIVE_COMPONENT"
    ready.ok(code, "confirm", "CONF-0001")
    delete(ready, code)
    box.wait_callbacks()
    # Nobody hears of a deletion.
    assert len(told.requests) == 1
    box.post(f"phone/{ready.user}/product/notify", coupon_code=code)
    told.wait(2)
    again = {"coupon_code": code, "event": "USE"}
    box.post(f"phone/{ready.user}/product/notify", status=409, **again)
    box.post(f"phone/{ready.user}/product/delete", status=409, coupon_code=code)
    box.post(f"phone/{ready.user}/product/delete", status=404, coupon_code="1")


def test_claim_with_a_token(box, ready):
    sent = {**ready.ids, "send_request_no": "SEND-0001", "attach": "poster"}
    path = f"/users/{ready.user}/pre-send-coupon"
    token = ready.client.good("POST", path, sent)["token"]
    claim = f"phone/{ready.user}/product/claim"
    other = box.post("users", nickname="小红")["openid"]
    box.post(f"phone/{other}/product/claim", status=409, token=token)
    (shown,) = box.post(claim, token=token)
    assert shown["send_request_no"] == "SEND-0001" and shown["attach"] == "poster"
    box.post(claim, status=409, token=token)
    sent["send_request_no"] = "SEND-0002"
    token = ready.client.good("POST", path, sent)["token"]
    box.post("clock", advance=301)
    box.post(claim, status=409, token=token)
    assert len(box.get(f"phone/{ready.user}/product/coupons")) == 1


def test_claim_a_bundle(box, several):
    shop = several
    ids = {"product_coupon_id": shop.coupon, "stock_bundle_id": shop.bundle}
    sent = {**ids, "appid": APPID, "send_request_no": "SEND-0001"}
    path = f"/users/{shop.user}/pre-send-coupon-bundle"
    token = shop.client.good("POST", path, sent)["token"]
    claim = f"phone/{shop.user}/product/claim"
    assert len(box.post(claim, token=token)) == 3
    assert len(box.post(claim, stock_bundle_id=shop.bundle)) == 3
    box.post(claim, status=404, stock_bundle_id="1")


# -- the phone -------------------------------------------------------
def test_on_the_phone(box, browser, ready):
    user, url = ready.user, f"/phone/{ready.user}/product/{ready.stock}"
    page = browser.get(f"/phone/{user}/receive")
    assert url in page and "满十减二" in page and "剩余 100 张" in page
    page = browser.get(url)
    assert "减 2 元 · 满 10 元可用" in page and "示例品牌" in page
    page = browser.post(url)
    assert "等待商家确认" in page and "<svg" not in page
    (shown,) = box.get(f"phone/{user}/product/coupons")
    code = shown["coupon_code"]
    assert "Waiting for the shop" in browser.get(f"{url}/{code}?lang=en")
    ready.ok(code, "confirm", "CONF-0001")
    page = browser.get(f"{url}/{code}")
    assert page.count("<svg") == 1 and f'data-code="{code}"' in page
    assert "¥2 off" in page and "Show this to the cashier" in page
    assert f"{url}/{code}" in browser.get(f"/phone/{user}")
    browser.post(f"{url}/{code}/delete")
    assert f"{url}/{code}" not in browser.get(f"/phone/{user}")
    assert ready.state(code) == "DELETED"
    browser.post(f"{url}/{code}/delete", status=409)
    other = box.post("users", nickname="小红")["openid"]
    browser.get(f"/phone/{other}/product/{ready.stock}/{code}", status=404)


def test_refusals_on_the_phone(box, browser, ready):
    url = f"/phone/{ready.user}/product/{ready.stock}"
    box.post(f"product/stocks/{ready.stock}/state", state="PAUSED")
    assert "商品券没有在发放" in browser.get(url)
    assert ready.stock not in browser.get(f"/phone/{ready.user}/receive")
    assert "商品券没有在发放" in browser.post(url, status=409)
    browser.get(f"/phone/{ready.user}/product/1", status=404)


def test_token_page(browser, ready):
    sent = {**ready.ids, "send_request_no": "SEND-0001"}
    path = f"/users/{ready.user}/pre-send-coupon"
    token = ready.client.good("POST", path, sent)["token"]
    url = f"/phone/{ready.user}/product_token/{token}"
    assert "领取到卡包" in browser.get(url)
    assert "等待商家确认" in browser.post(url)
    browser.post(url, status=409)
    browser.get(f"/phone/{ready.user}/product_token/x", status=404)


# -- over a restart -------------------------------------------------------
def test_nothing_is_lost(tmp_path):
    values = {"brand_id": BRAND, "appids": [APPID], "apiv3_key": KEY}
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"brands": [values]}))
    first = Process("--data", str(tmp_path), "--seed", str(seed))
    assert first.get("state")["brands"] == [BRAND]
    made = first.post("brands", brand_id=BRAND, generate=True)
    user = first.post("users", nickname="小明")["openid"]
    pay = BrandClient(first, made)
    shop = Shop(first, pay, user, pay)
    shop.create()
    code = shop.give()
    before = first.get("product/coupons")
    assert first.stop() == 0
    second = Process("--data", str(tmp_path), "--seed", str(seed))
    try:
        pay.box = shop.box = second
        assert second.get("product/coupons") == before
        assert shop.state(code) == "EFFECTIVE"
        assert shop.give() == code
        assert pay.upload(PNG).json()["media_url"] == shop.url
        assert number_of(shop.send(attach="other")) == OTHER_DATA
    finally:
        second.stop()
