"""Product coupons: both doors, coupons, stocks, codes, shops, pictures."""

import hashlib
import json
import random

import pytest
from pay_harness import MCHID, code_of, number_of
from product_harness import (
    BRAND,
    DOOR,
    PARTNER,
    PNG,
    STORES,
    bundle,
    coupon,
    period,
    rfc,
    stock,
)

BAD_BODY, BAD_PARAM, EXTRA = 268578224, 268435461, 270924358
GONE = 268578608


@pytest.fixture
def ready(shop):
    shop.create()
    return shop


# -- the doors -------------------------------------------------------
def test_brand_signs_for_itself(brand):
    path = f"{DOOR}/product-coupons/1"
    answer = brand.call("GET", path)
    assert code_of(answer) == (400, "INVALID_REQUEST") and number_of(answer) == GONE
    assert brand.verify(answer.headers, answer.content)
    assert answer.headers["Wechatpay-Serial"] == brand.public_key_id
    for change in (
        {"scheme": "WECHATPAY2-SHA256-RSA2048"},
        {"brand_id": "999999"},
        {"serial_no": "0" * 40},
        {"timestamp": "1554208460"},
    ):
        answer = brand.call("GET", path, **change)
        assert code_of(answer) == (401, "SIGN_ERROR"), change
    answer = brand.call("POST", path, {"a": 1}, sent=b'{"a": 2}')
    assert code_of(answer) == (401, "SIGN_ERROR")


def test_the_brand_names_the_public_key(brand):
    for serial in (None, "PUB_KEY_ID_01" + "0" * 30, "A" * 40):
        headers = {"Wechatpay-Serial": serial}
        answer = brand.call("GET", f"{DOOR}/product-coupons/1", headers=headers)
        assert code_of(answer) == (400, "PARAM_ERROR"), serial
        assert answer.json()["detail"]["field"] == "Wechatpay-Serial"


def test_a_merchant_has_no_brand_door(box, brand, pay):
    answer = pay.call("GET", f"{DOOR}/product-coupons/1")
    assert code_of(answer) == (401, "SIGN_ERROR")
    answer = brand.call("GET", f"{PARTNER}/product-coupons/1?brand_id={BRAND}")
    assert code_of(answer) == (401, "SIGN_ERROR")


def test_provider_needs_the_brand(box, partner):
    path = f"{PARTNER}/product-coupons"
    body = coupon(partner.upload().json()["media_url"])
    answer = partner.call("POST", path, body)
    assert code_of(answer) == (400, "PARAM_ERROR")
    assert answer.json()["detail"]["field"] == "/brand_id"
    assert code_of(partner.call("GET", f"{path}/1")) == (400, "PARAM_ERROR")
    for number in ("999999", BRAND):
        box.post("brands", brand_id=BRAND, providers=["1900000099"])
        answer = partner.call("POST", path, {**body, "brand_id": number})
        assert code_of(answer) == (403, "NO_AUTH") and number_of(answer) == 268579803
    box.post("brands", brand_id=BRAND, providers=[MCHID])
    made = partner.call("POST", path, {**body, "brand_id": BRAND})
    assert made.status_code == 200 and made.json()["brand_id"] == BRAND


def test_only_the_maker_finds_it(box, brand, partner):
    made = brand.good(
        "POST", "/product-coupons", coupon(brand.upload().json()["media_url"])
    )
    path = f"/product-coupons/{made['product_coupon_id']}"
    assert brand.good("GET", path)["state"] == "EFFECTIVE"
    assert number_of(partner.do("GET", path)) == GONE


def test_a_number_belongs_to_one(box, brand, pay):
    box.post("brands", brand_id=MCHID, status=409)
    box.post("brands", brand_id="", status=400)
    box.post("brands", brand_id="1", apiv3_key="short", status=400)
    box.post("merchants", mchid=BRAND, status=409)


# -- making -------------------------------------------------------
def test_create(shop):
    made = shop.create(out_product_no="P-1")
    assert made["state"] == "AUDITING" and made["brand_id"] == BRAND
    assert made["stock"]["state"] == "AUDITING"
    assert made["stock"]["sent_count_info"] == {"total_count": 0, "today_count": 0}
    assert made["out_product_no"] == "P-1" and "out_request_no" not in made
    again = shop.create(out_product_no="P-1")
    assert again["product_coupon_id"] == made["product_coupon_id"]
    # The review went by in the meantime.
    assert again["state"] == "EFFECTIVE" and again["stock"]["state"] == "SENDING"
    other = coupon(shop.url, out_product_no="P-2")
    answer = shop.client.do("POST", "/product-coupons", other)
    assert code_of(answer) == (400, "ALREADY_EXISTS")
    assert number_of(answer) == 268578927


def _rule(**change):
    return stock(single_usage_rule={"coupon_available_period": period(), **change})


NORMAL = {"threshold": 1000, "discount_amount": 200}
PERCENT = {"threshold": 0, "percent_off": 30}


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"colour": 1}, EXTRA),
        ({"out_request_no": "short"}, 268435464),
        ({"out_request_no": "with space"}, BAD_PARAM),
        ({"scope": "SOME"}, BAD_PARAM),
        ({"type": "EXCHANGE"}, BAD_BODY),
        ({"single_usage_info": None}, BAD_BODY),
        ({"single_usage_info": {"discount_coupon": PERCENT}}, BAD_BODY),
        ({"scope": "SINGLE"}, BAD_BODY),
        ({"stock": _rule(normal_coupon=NORMAL)}, BAD_BODY),
        ({"stock": None}, BAD_BODY),
        ({"stock": stock(single_usage_rule=None)}, BAD_BODY),
        ({"stock": stock(store_scope="SOME")}, BAD_PARAM),
        ({"stock": stock(stock_send_rule={"max_count": 10**8 + 1})}, 268435464),
        ({"stock": stock(stock_send_rule={"max_count": "100"})}, BAD_PARAM),
        ({"stock": stock(notify_config={"notify_appid": "wxother"})}, 268578704),
        ({"stock": stock(notify_config={})}, BAD_PARAM),
        ({"usage_mode": "PROGRESSIVE_BUNDLE"}, BAD_BODY),
        (
            {
                "single_usage_info": {
                    "normal_coupon": {**NORMAL, "discount_amount": 1001}
                }
            },
            BAD_BODY,
        ),
    ],
)
def test_bad_coupons(shop, change, number):
    body = coupon(shop.url, **change)
    answer = shop.client.do("POST", "/product-coupons", body)
    assert answer.status_code == 400 and number_of(answer) == number, answer.text
    assert shop.box.get("product/coupons") == []


@pytest.mark.parametrize(
    "change",
    [
        {"available_end_time": rfc(-7200)},
        {"available_end_time": rfc(366 * 86400)},
        {"available_days": 3, "available_seconds": 60},
        {"wait_days_after_receive": 31},
        {"weekly_available_period": {"day_list": ["FUNDAY"]}},
        {"available_end_time": "2030-01-01 00:00:00"},
    ],
)
def test_bad_periods(shop, change):
    rule = {"coupon_available_period": period(**change)}
    body = coupon(shop.url, stock=stock(single_usage_rule=rule))
    answer = shop.client.do("POST", "/product-coupons", body)
    assert code_of(answer) == (400, "PARAM_ERROR")


def test_one_product(shop):
    """A coupon for one product has its offer in the stock."""
    rule = {"threshold": 0, "exchange_price": 100}
    display = {"name": "一杯咖啡", "image_url": shop.url, "background_url": shop.url}
    made = shop.create(
        scope="SINGLE",
        type="EXCHANGE",
        single_usage_info=None,
        display_info={**display, "original_price": 0},
        stock=_rule(exchange_coupon=rule),
    )
    assert made["stock"]["single_usage_rule"]["exchange_coupon"] == rule
    assert made["display_info"]["original_price"] == 0


def test_pictures_must_be_uploaded(shop):
    for url in ("https://shop.example/a.png", shop.url.replace("/0", "/1")):
        answer = shop.client.do("POST", "/product-coupons", coupon(url))
        assert code_of(answer) == (400, "PARAM_ERROR") and number_of(answer) == BAD_BODY


def test_upload_image(brand, partner):
    for client in (brand, partner):
        answer = client.upload()
        assert answer.status_code == 200
        assert client.verify(answer.headers, answer.content)
        name = hashlib.sha256(PNG).hexdigest()[:40]
        assert name in answer.json()["media_url"]
    answer = brand.upload(b"\x89PNG\r\n\x1a\n" + b"0" * 2 * 1024 * 1024)
    assert number_of(answer) == 270087680
    assert number_of(brand.upload(digest="0" * 64)) == BAD_BODY
    assert number_of(brand.upload(b"GIF89a picture", "a.gif")) == BAD_BODY
    assert number_of(brand.upload(b"GIF89a picture")) == BAD_BODY


# -- reviews -------------------------------------------------------
def test_held_review(box, shop):
    box.post("settings", product_review="hold")
    shop.create()
    path = f"/product-coupons/{shop.coupon}"
    assert shop.client.good("GET", path)["state"] == "AUDITING"
    assert number_of(shop.send()) == 268577984
    box.post(f"product/coupons/{shop.coupon}/review", **{"pass": True})
    assert shop.client.good("GET", path)["state"] == "EFFECTIVE"
    assert shop.give()
    box.post(f"product/coupons/{shop.coupon}/review", status=409, **{"pass": True})
    more = {"out_request_no": "STOCK-0001", "stock": stock()}
    made = shop.client.good("POST", shop.stocks, more)
    url = f"product/stocks/{made['stock_id']}/review"
    shown = box.post(url, **{"pass": False, "reason": "图片不清"})
    assert shown["state"] == "DEACTIVATED" and shown["deactivate_reason"] == "图片不清"


def test_rejected_at_once(box, shop):
    box.post("settings", product_review="reject")
    shop.create()
    shown = shop.client.good("GET", f"/product-coupons/{shop.coupon}")
    assert shown["state"] == "DEACTIVATED" and shown["deactivate_reason"]
    box.post("settings", product_review="maybe", status=400)


# -- changing -------------------------------------------------------
def test_patch_and_end_coupon(shop):
    shop.create()
    path = f"/product-coupons/{shop.coupon}"
    display = {"name": "新名字", "image_url": shop.url, "background_url": shop.url}
    change = {"out_request_no": "PATCH-0001", "display_info": display}
    shown = shop.client.good("PATCH", path, change)
    assert shown["display_info"] == display and shown["state"] == "EFFECTIVE"
    bad = {**change, "out_request_no": "PATCH-0002", "scope": "SINGLE"}
    assert number_of(shop.client.do("PATCH", path, bad)) == EXTRA
    code = shop.give()
    end = {"out_request_no": "END-00001", "deactivate_reason": "活动结束"}
    shown = shop.client.good("POST", f"{path}/deactivate", end)
    assert shown["state"] == "DEACTIVATED" and shown["deactivate_time"]
    assert shop.client.good("POST", f"{path}/deactivate", end) == shown
    other = {**end, "out_request_no": "END-00002"}
    assert number_of(shop.client.do("POST", f"{path}/deactivate", other)) == 268578367
    assert number_of(shop.send("SEND-0002")) == 268577984
    # What people hold stays good.
    assert shop.use(code).status_code == 200


def test_stocks(box, shop):
    shop.create()
    for number in range(3):
        more = {"out_request_no": f"STOCK-000{number}", "stock": stock()}
        shop.client.good("POST", shop.stocks, more)
    first = shop.client.good("GET", f"{shop.stocks}?page_size=3")
    assert first["total_count"] == 4 and len(first["stock_list"]) == 3
    token = first["next_page_token"]
    rest = shop.client.good("GET", f"{shop.stocks}?page_size=3&page_token={token}")
    assert len(rest["stock_list"]) == 1 and "next_page_token" not in rest
    for query in ("page_size=51", "page_size=x", "page_token=%21", "state=GOOD"):
        answer = shop.client.do("GET", f"{shop.stocks}?{query}")
        assert code_of(answer) == (400, "PARAM_ERROR"), query
    path = f"{shop.stocks}/{shop.stock}"
    change = {"out_request_no": "PATCH-0001", "remark": "新备注", "store_scope": "ALL"}
    shown = shop.client.good("PATCH", path, change)
    assert shown["remark"] == "新备注" and shop.client.good("GET", path) == shown
    locked = {"out_request_no": "PATCH-0002", "stock_send_rule": {"max_count": 1}}
    assert number_of(shop.client.do("PATCH", path, locked)) == EXTRA
    box.post(f"product/stocks/{shop.stock}/state", state="PAUSED")
    assert number_of(shop.send()) == 268577984
    box.post(f"product/stocks/{shop.stock}/state", state="SENDING")
    assert shop.send().status_code == 200
    end = {"out_request_no": "END-00001", "deactivate_reason": "停"}
    assert shop.client.good("POST", f"{path}/deactivate", end)["state"] == "DEACTIVATED"
    ended = shop.client.good("GET", f"{shop.stocks}?state=DEACTIVATED")
    assert [item["stock_id"] for item in ended["stock_list"]] == [shop.stock]
    box.post("clock", advance=31 * 86400)
    stopped = shop.client.good("GET", f"{shop.stocks}?state=STOPPED")
    assert stopped["total_count"] == 3


def test_the_stock_of_another_coupon(shop):
    shop.create()
    other = shop.stock
    shop.create(out_request_no="CREATE-0002")
    assert number_of(shop.client.do("GET", f"{shop.stocks}/{other}")) == GONE


def test_two_hundred_stocks(shop):
    shop.create()
    for number in range(199):
        more = {"out_request_no": f"STOCK-{number:04d}", "stock": stock()}
        assert shop.client.do("POST", shop.stocks, more).status_code == 200
    more = {"out_request_no": "STOCK-9999", "stock": stock()}
    answer = shop.client.do("POST", shop.stocks, more)
    assert code_of(answer) == (400, "INVALID_REQUEST")


def test_budget(shop):
    shop.create()
    path = f"{shop.stocks}/{shop.stock}/update-budget"
    change = {
        "out_request_no": "BUDGET-001",
        "update_mode": "MAX_COUNT",
        "current_max_count": 100,
        "target_max_count": 2,
    }
    shown = shop.client.good("POST", path, change)
    assert shown["stock_send_rule"]["max_count"] == 2
    assert shop.client.good("POST", path, change) == shown
    late = {**change, "out_request_no": "BUDGET-002"}
    assert number_of(shop.client.do("POST", path, late)) == BAD_BODY
    shop.give("SEND-0001"), shop.give("SEND-0002")
    assert number_of(shop.send("SEND-0003")) == 0
    low = {**late, "current_max_count": 2, "target_max_count": 1}
    assert number_of(shop.client.do("POST", path, low)) == BAD_BODY
    shop.client.good("POST", path, {**low, "target_max_count": 3})
    assert shop.send("SEND-0003").status_code == 200
    none = {"out_request_no": "BUDGET-004", "update_mode": "MAX_COUNT_PER_DAY"}
    assert number_of(shop.client.do("POST", path, none)) == BAD_BODY


def test_upload_codes(shop):
    shop.create(stock=stock(coupon_code_mode="UPLOAD"))
    assert number_of(shop.send()) == 0
    path = f"{shop.stocks}/{shop.stock}/upload-coupon-codes"
    codes = ["A-1", "A-2", "A-2", "bad!", "x" * 41]
    sent = {"out_request_no": "CODES-001", "code_list": codes}
    report = shop.client.good("POST", path, sent)
    assert report == {
        "total_count": 4,
        "success_code_list": ["A-1", "A-2"],
        "failed_code_list": ["bad!", "x" * 41],
        "duplicate_code_list": ["A-2"],
    }
    assert shop.client.good("POST", path, sent) == report
    more = {"out_request_no": "CODES-002", "code_list": ["A-2", "A-3"]}
    report = shop.client.good("POST", path, more)
    assert report["already_exist_code_list"] == ["A-2"]
    assert report["success_code_list"] == ["A-3"]
    many = {"out_request_no": "CODES-003", "code_list": [f"B-{n}" for n in range(201)]}
    assert number_of(shop.client.do("POST", path, many)) == 268435464
    assert shop.give() == "A-1"
    shown = shop.client.good("GET", f"{shop.stocks}/{shop.stock}")
    assert shown["coupon_code_count_info"] == {"total_count": 3, "available_count": 2}
    shop.create(out_request_no="CREATE-0002")
    path = f"{shop.stocks}/{shop.stock}/upload-coupon-codes"
    assert number_of(shop.client.do("POST", path, sent)) == BAD_BODY


def test_stores(shop):
    shop.create(stock=stock(store_scope="SPECIFIC"))
    path = f"{shop.stocks}/{shop.stock}"
    stores = {"store_list": [{"store_id": s} for s in ("1001", "1001", "9999")]}
    report = shop.client.good("POST", f"{path}/associate-stores", stores)
    assert report["total_count"] == 2
    assert report["success_store_list"] == [{"store_id": "1001"}]
    (failed,) = report["failed_store_list"]
    assert failed["store_id"] == "9999" and failed["code"] and failed["message"]
    shown = shop.client.good("GET", f"{path}/associated-stores")
    assert shown == {"total_count": 1, "store_list": [{"store_id": "1001"}]}
    shop.client.good("POST", f"{path}/disassociate-stores", stores)
    assert shop.client.good("GET", f"{path}/associated-stores")["total_count"] == 0
    shop.create(out_request_no="CREATE-0002", stock=stock(store_scope="ALL"))
    path = f"{shop.stocks}/{shop.stock}/associate-stores"
    assert number_of(shop.client.do("POST", path, stores)) == 268578813


# -- bundles -------------------------------------------------------
def test_bundles(shop):
    made = shop.client.good("POST", "/product-coupons", bundle(shop.url))
    batch, number = made["stock_bundle"], made["product_coupon_id"]
    rules = [item["progressive_bundle_usage_rule"] for item in batch["stock_list"]]
    amounts = [rule["normal_coupon"]["discount_amount"] for rule in rules]
    assert amounts == [100, 200, 300]
    places = [item["stock_bundle_info"] for item in batch["stock_list"]]
    assert [place["stock_bundle_index"] for place in places] == [0, 1, 2]
    path = f"/product-coupons/{number}/stock-bundles"
    more = {
        "out_request_no": "BUNDLE-001",
        "stock_bundle": bundle(shop.url)["stock_bundle"],
    }
    second = shop.client.good("POST", path, more)["stock_bundle_id"]
    listed = f"/product-coupons/{number}/stocks?stock_bundle_id={second}"
    assert shop.client.good("GET", listed)["total_count"] == 3
    change = {"out_request_no": "PATCH-0001", "store_scope": "SPECIFIC"}
    shown = shop.client.good("PATCH", f"{path}/{second}", change)
    assert {item["store_scope"] for item in shown["stock_list"]} == {"SPECIFIC"}
    stores = {"store_list": [{"store_id": STORES[0]}]}
    report = shop.client.good("POST", f"{path}/{second}/associate-stores", stores)
    assert report["success_store_list"] == [{"store_id": STORES[0]}]
    budget = {
        "out_request_no": "BUDGET-001",
        "update_mode": "MAX_COUNT",
        "current_max_count": 100,
        "target_max_count": 7,
    }
    shown = shop.client.good("POST", f"{path}/{second}/update-budget", budget)
    counts = {item["stock_send_rule"]["max_count"] for item in shown["stock_list"]}
    assert counts == {7}


def test_bad_bundles(shop):
    def refused(number, **change):
        body = bundle(shop.url, **change)
        answer = shop.client.do("POST", "/product-coupons", body)
        assert answer.status_code == 400 and number_of(answer) == number, answer.text

    batch = bundle(shop.url)["stock_bundle"]
    rule = batch["progressive_bundle_usage_rule"]
    falling = {**rule, "normal_coupon_list": rule["normal_coupon_list"][::-1]}
    bad = {**batch, "progressive_bundle_usage_rule": falling}
    refused(268586067, stock_bundle=bad)
    refused(BAD_BODY, progressive_bundle_usage_info={"count": 4})
    refused(268435464, progressive_bundle_usage_info={"count": 2})
    refused(BAD_PARAM, stock_bundle={**batch, "coupon_code_mode": "API_ASSIGN"})
    refused(BAD_BODY, stock=stock())
    refused(BAD_BODY, stock_bundle=None)


# -- where callbacks go -------------------------------------------------------
def test_notify_configs(box, brand, partner):
    for client in (brand, partner):
        path = f"{client.door}/notify-configs"
        assert client.call("GET", path).status_code == 400
        sent = {"notify_url": "https://shop.example/product"}
        shown = client.call("POST", path, sent).json()
        assert shown["notify_url"] == sent["notify_url"] and shown["update_time"]
        assert client.call("GET", path).json() == shown
        bad = {"notify_url": "https://shop.example/product?a=1"}
        assert code_of(client.call("POST", path, bad)) == (400, "PARAM_ERROR")


# -- faults -------------------------------------------------------
def test_faults(box, shop):
    shop.create()
    box.fault(path="/coupons$", kind="http_status", status=500, commit=True)
    answer = shop.send()
    assert answer.status_code == 500 and "Wechatpay-Signature" not in answer.headers
    shown = shop.send().json()
    assert shown["coupon_state"] == "CONFIRMING"
    assert len(box.get(f"phone/{shop.user}/product/coupons")) == 1
    box.fault(path="/coupons$", kind="http_status", status=429)
    answer = shop.send("SEND-0002")
    assert answer.status_code == 429
    assert shop.client.verify(answer.headers, answer.content)
    box.fault(path="/coupons$", kind="bad_signature")
    answer = shop.send("SEND-0002")
    assert not shop.client.verify(answer.headers, answer.content)
    assert len(box.get(f"phone/{shop.user}/product/coupons")) == 2


VALUES = [None, True, -1, 2**63, 1.5, "", "x", "字" * 1200, [], {}, [None], "\x00"]


def _spoil(rng, body):
    """Return a good body with one value replaced, somewhere inside."""
    body = json.loads(json.dumps(body))
    place = body
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = rng.choice(list(keys))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        if rng.random() < 0.2:
            break
        place = place[key]
    place[key] = rng.choice(VALUES)
    return body


def test_nonsense(ready):
    """Nonsense of every kind gets a refusal or an answer, never a crash."""
    rng = random.Random(20261123)
    code = ready.give()
    ids = {**ready.ids, "out_request_no": "NUMBER-01"}
    bodies = [
        ("/product-coupons", coupon(ready.url)),
        ("/product-coupons", bundle(ready.url)),
        (ready.stocks, {"out_request_no": "NUMBER-01", "stock": stock()}),
        (ready.at(), {**ready.ids, "send_request_no": "NUMBER-01", "attach": "a"}),
        (
            ready.at(code, "use"),
            {**ids, "use_time": rfc(), "associated_order_info": {"mchid": "1"}},
        ),
        (ready.at(code, "return"), ids),
    ]
    for path, body in bodies:
        for _ in range(25):
            sent = _spoil(rng, body)
            answer = ready.client.do("POST", path, sent)
            assert answer.status_code in (200, 400), (path, sent, answer.text)


def test_unknown_paths(brand, partner):
    for client in (brand, partner):
        path = f"{client.door}/notify-config?brand_id={BRAND}"
        assert client.call("GET", path).status_code == 404
