"""商家券: stocks, budgets, uploaded codes, and who may not."""

import hashlib
import json

import pytest
from coupon_harness import BUSI, at, make_stock, stock, times, use
from pay_harness import APPID, MCHID, code_of, number_of

STOCKS = f"{BUSI}/stocks"


def test_create(pay):
    body = stock()
    answer = pay.call("POST", STOCKS, body)
    assert answer.status_code == 200 and pay.verify(answer.headers, answer.content)
    made = answer.json()
    assert made["stock_id"].isdigit() and made["create_time"].endswith("+08:00")
    # The same number with the same body is the same stock; it is never "creating".
    assert pay.call("POST", STOCKS, body).json() == made
    other = pay.call("POST", STOCKS, {**body, "comment": "other"})
    assert code_of(other) == (400, "RESOURCE_ALREADY_EXISTS")


def test_creating_once(pay):
    path = f"{STOCKS}/{pay.call('POST', STOCKS, stock()).json()['stock_id']}"
    assert code_of(pay.call("GET", path)) == (400, "STATEMENT_CREATING")
    shown = pay.call("GET", path).json()
    assert shown["stock_state"] == "RUNNING" and "out_request_no" not in shown
    assert shown["send_count_information"]["total_send_num"] == 0
    assert "coupon_code_count" not in shown


def test_week_days_come_back_as_strings(box, pay):
    when = times(available_week={"week_day": [0, 6]})
    path = f"{STOCKS}/{make_stock(box, pay, when=when)}"
    rule = pay.call("GET", path).json()["coupon_use_rule"]
    week = rule["coupon_available_time"]["available_week"]
    assert week["week_day"] == ["0", "6"]


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"colour": "red"}, 270924358),
        ({"stock_name": "字" * 22}, 268435464),
        ({"goods_name": None}, 268435461),
        ({"stock_type": "GIFT"}, 268435461),
        ({"send": {"max_coupons_per_user": 101}}, 268435464),
        ({"send": {"max_coupons": None}}, 268435461),
        ({"send": {"max_coupons_by_day": 5}}, 268435461),
        ({"send": {"transferable": True}}, 268435461),
        ({"send": {"max_amount": 100}}, 268435461),
        ({"subsidy": True}, 268435461),
        ({"when": times(available_end_time=at(days=400))}, 268435461),
        ({"when": times(available_end_time="2030-01-01 00:00:00")}, 268435461),
        ({"when": times(wait_days_after_receive=1)}, 268435461),
        ({"when": times(wait_days_after_receive=31)}, 268435464),
        ({"when": times(irregular_available_time=[])}, 270924358),
        ({"when": times(available_week={"week_day": ["1"]})}, 268435461),
        (
            {
                "when": times(
                    available_week={
                        "available_day_time": [{"begin_time": 1, "end_time": 2}]
                    }
                )
            },
            268435461,
        ),
        ({"display_pattern_info": {"merchant_name": "x"}}, 270924358),
        ({"display_pattern_info": {"background_color": "Color011"}}, 268435461),
        ({"coupon_code_mode": "FREE"}, 268435461),
        ({"out_request_no": "a b"}, 268435461),
    ],
)
def test_bad_stocks(pay, change, number):
    answer = pay.call("POST", STOCKS, stock(**change))
    assert code_of(answer) == (400, "PARAM_ERROR")
    assert number_of(answer) == number


def test_one_kind_of_benefit(pay):
    body = stock("DISCOUNT")
    cut = {"discount_amount": 1, "transaction_minimum": 1}
    body["coupon_use_rule"]["fixed_normal_coupon"] = cut
    assert code_of(pay.call("POST", STOCKS, body)) == (400, "PARAM_ERROR")
    body["coupon_use_rule"].pop("discount_coupon")
    assert code_of(pay.call("POST", STOCKS, body)) == (400, "PARAM_ERROR")


def test_not_onboarded(box, pay, user):
    number = make_stock(box, pay)
    box.post("merchants", mchid=MCHID, can_busifavor=False)
    calls = [
        ("POST", STOCKS, stock(out_request_no="2")),
        ("GET", f"{STOCKS}/{number}", None),
        ("POST", f"{BUSI}/coupons/use", use("1" * 22)),
        ("POST", f"{BUSI}/callbacks", {"notify_url": "http://127.0.0.1:9/x"}),
        ("GET", f"{BUSI}/users/{user}/coupons?appid={APPID}", None),
    ]
    for call in calls:
        answer = pay.call(*call)
        assert code_of(answer) == (403, "NO_AUTH"), call
        assert pay.verify(answer.headers, answer.content)


def test_somebody_elses_stock(box, pay):
    belong = pay.call("POST", STOCKS, stock(belong_merchant="1900000009"))
    assert code_of(belong) == (403, "NO_AUTH")
    box.post("merchants", mchid=MCHID, sub_mchids=["1900000009"])
    assert pay.call("POST", STOCKS, stock(belong_merchant="1900000009")).ok
    assert code_of(pay.call("GET", f"{STOCKS}/1")) == (404, "RESOURCE_NOT_EXISTS")


# -- changing
def test_modify(box, pay):
    path = f"{STOCKS}/{make_stock(box, pay)}"
    change = {
        "out_request_no": "M1",
        "comment": "改",
        "custom_entrance": {"code_display_mode": "BARCODE"},
        "notify_config": {"notify_appid": APPID},
    }
    answer = pay.call("PATCH", path, change)
    assert answer.status_code == 204 and answer.content == b""
    assert pay.verify(answer.headers, b"")
    assert pay.call("PATCH", path, change).status_code == 204
    shown = pay.call("GET", path).json()
    assert shown["comment"] == "改" and shown["stock_name"] == "八月迎新"
    assert shown["notify_config"] == {"notify_appid": APPID}
    for wrong in (
        {"stock_name": "x"},
        {"stock_send_rule": {"natural_person_limit": True}},
        {"display_pattern_info": {"merchant_logo_url": "x"}},
    ):
        answer = pay.call("PATCH", path, {"out_request_no": "M2", **wrong})
        assert number_of(answer) == 270924358
    other = {"out_request_no": "M3", "notify_config": {"notify_appid": "wxother"}}
    assert code_of(pay.call("PATCH", path, other)) == (400, "APPID_MCHID_NOT_MATCH")


def test_budget(box, pay):
    path = f"{STOCKS}/{make_stock(box, pay)}/budget"
    change = {
        "modify_budget_request_no": "B1",
        "current_max_coupons": 100,
        "target_max_coupons": 200,
    }
    assert pay.call("PATCH", path, change).json() == {"max_coupons": 200}
    # A retry is the same change; who believes 100 still is too late.
    assert pay.call("PATCH", path, change).json() == {"max_coupons": 200}
    late = {**change, "modify_budget_request_no": "B2"}
    assert code_of(pay.call("PATCH", path, late)) == (400, "INVALID_REQUEST")
    half = {"modify_budget_request_no": "B3", "target_max_coupons": 300}
    assert code_of(pay.call("PATCH", path, half)) == (400, "PARAM_ERROR")
    both = {
        **late,
        "current_max_coupons": 200,
        "current_max_coupons_by_day": 1,
        "target_max_coupons_by_day": 2,
    }
    assert code_of(pay.call("PATCH", path, both)) == (400, "PARAM_ERROR")


def test_budget_below_what_was_sent(box, pay, user):
    number = make_stock(box, pay)
    for _ in range(2):
        box.post(f"phone/{user}/busifavor", stock_id=number)
    change = {
        "modify_budget_request_no": "B1",
        "current_max_coupons": 100,
        "target_max_coupons": 1,
    }
    answer = pay.call("PATCH", f"{STOCKS}/{number}/budget", change)
    assert code_of(answer) == (400, "INVALID_REQUEST")


def test_the_way_of_use(box, pay):
    """An online coupon needs its mini program, now and after a change."""
    body = stock()
    body["coupon_use_rule"]["use_method"] = "MINI_PROGRAMS"
    assert code_of(pay.call("POST", STOCKS, body)) == (400, "PARAM_ERROR")
    path = f"{STOCKS}/{make_stock(box, pay)}"
    rule = {"use_method": "MINI_PROGRAMS", "mini_programs_appid": "wx1"}
    change = {"out_request_no": "M1", "coupon_use_rule": rule}
    assert code_of(pay.call("PATCH", path, change)) == (400, "PARAM_ERROR")
    rule["mini_programs_path"] = "/pages/x"
    assert pay.call("PATCH", path, change).status_code == 204
    later = {"mini_programs_path": "/pages/y"}
    change = {"out_request_no": "M2", "coupon_use_rule": later}
    assert pay.call("PATCH", path, change).status_code == 204
    shown = pay.call("GET", path).json()["coupon_use_rule"]
    assert shown["use_method"] == "MINI_PROGRAMS"
    assert shown["mini_programs_path"] == "/pages/y"
    assert shown["fixed_normal_coupon"]["discount_amount"] == 1000


# -- uploaded codes
@pytest.fixture
def codes(box, pay):
    number = make_stock(box, pay, coupon_code_mode="MERCHANT_UPLOAD")
    return f"{STOCKS}/{number}/couponcodes"


def upload(pay, codes, *texts, number="U1"):
    body = {"coupon_code_list": list(texts), "upload_request_no": number}
    return pay.call("POST", codes, body)


def test_partial_upload(pay, codes):
    upload(pay, codes, "OLD")
    texts = ["A1", "A1", "OLD", "B-2/x|y", "", "C" * 33, "码"]
    answer = upload(pay, codes, *texts, number="U2")
    assert answer.status_code == 200
    told = answer.json()
    assert told["total_count"] == 6 and told["success_codes"] == ["A1", "B-2/x|y"]
    assert told["success_count"] == 2 and told["fail_count"] == 3
    assert told["exist_codes"] == ["OLD"] and told["duplicate_codes"] == ["A1"]
    failed = {item["coupon_code"]: item["code"] for item in told["fail_codes"]}
    assert failed[""] == failed["C" * 33] == "LENGTH_LIMIT" and "码" in failed
    assert upload(pay, codes, *texts, number="U2").json() == told
    shown = pay.call("GET", codes.removesuffix("/couponcodes")).json()
    assert shown["coupon_code_count"] == {"total_count": 3, "available_count": 3}


def test_too_many_codes(pay, codes):
    answer = upload(pay, codes, *map(str, range(201)))
    assert number_of(answer) == 268435464
    assert code_of(upload(pay, codes)) == (400, "PARAM_ERROR")


def test_list_show_and_delete_codes(box, pay, codes, user):
    upload(pay, codes, "A1", "B/2", "C3")
    number = codes.split("/")[-2]
    got = box.post(f"phone/{user}/busifavor", stock_id=number)
    assert got["coupon_code"] == "A1"
    rows = pay.call("GET", f"{codes}?offset=1&limit=1").json()
    assert rows["total_count"] == 3 and rows["data"][0]["code"] == "B/2"
    rows = pay.call("GET", f"{codes}?status=DISPATCHED&appid={APPID}").json()["data"]
    assert [(row["code"], row["openid"]) for row in rows] == [("A1", user)]
    assert code_of(pay.call("GET", f"{codes}?limit=201")) == (400, "PARAM_ERROR")
    one = pay.call("GET", f"{codes}/A1").json()
    assert one["code_information"]["code_status"] == "DISPATCHED"
    assert one["coupon_information"]["coupon_state"] == "SENDED"
    # A slash in a code is written %2F.
    gone = pay.call("DELETE", f"{codes}/B%2F2?delete_request_no=D1")
    assert gone.status_code == 200 and gone.json()["stock_id"] == number
    again = pay.call("DELETE", f"{codes}/B%2F2?delete_request_no=D1")
    assert again.json() == gone.json()
    taken = pay.call("DELETE", f"{codes}/A1?delete_request_no=D2")
    assert code_of(taken) == (400, "INVALID_REQUEST")
    gone = pay.call("GET", f"{codes}/B%2F2")
    assert code_of(gone) == (404, "RESOURCE_NOT_EXISTS")
    assert code_of(pay.call("DELETE", f"{codes}/C3")) == (400, "PARAM_ERROR")


def test_upload_is_for_one_mode(box, pay):
    path = f"{STOCKS}/{make_stock(box, pay)}/couponcodes"
    assert code_of(upload(pay, path, "A1")) == (400, "INVALID_REQUEST")


# -- callback address
def test_callback_address(pay):
    path = f"{BUSI}/callbacks"
    answer = pay.call("GET", f"{path}?mchid={MCHID}")
    assert code_of(answer) == (404, "RESOURCE_NOT_EXISTS")
    url = "http://127.0.0.1:9/coupons"
    told = pay.call("POST", path, {"mchid": MCHID, "notify_url": url}).json()
    assert told["notify_url"] == url and told["update_time"].endswith("+08:00")
    shown = pay.call("GET", f"{path}?mchid={MCHID}").json()
    assert shown == {"mchid": MCHID, "notify_url": url}
    wrong = {"notify_url": url + "?a=1"}
    assert code_of(pay.call("POST", path, wrong)) == (400, "PARAM_ERROR")
    other = {"mchid": "1900000009", "notify_url": url}
    assert pay.call("POST", path, other).status_code == 400


# -- pictures
IMAGE = "/v3/marketing/favor/media/image-upload"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def upload_image(pay, data=PNG, name="a.png", sha256=None, signed=None):
    """Send a picture of which only the JSON of ``meta`` is signed."""
    digest = sha256 or hashlib.sha256(data).hexdigest()
    meta = json.dumps({"filename": name, "sha256": digest}).encode()
    parts = [
        b'--b0\r\nContent-Disposition: form-data; name="meta"\r\n'
        b"Content-Type: application/json\r\n\r\n" + meta + b"\r\n",
        b'--b0\r\nContent-Disposition: form-data; name="file"; filename="'
        + name.encode()
        + b'"\r\nContent-Type: image/png\r\n\r\n'
        + data
        + b"\r\n--b0--\r\n",
    ]
    headers = {"Content-Type": "multipart/form-data; boundary=b0"}
    body = meta if signed is None else signed
    return pay.call("POST", IMAGE, None, headers, body, sent=b"".join(parts))


def test_pictures(box, pay, user, browser):
    answer = upload_image(pay)
    assert answer.status_code == 200 and pay.verify(answer.headers, answer.content)
    url = answer.json()["media_url"]
    assert url.startswith("https://wxpaylogo.qpic.cn/")
    pattern = {"merchant_logo_url": url}
    number = make_stock(box, pay, display_pattern_info=pattern)
    box.post(f"phone/{user}/busifavor", stock_id=number)
    assert "data:image/png;base64," in browser.get(f"/phone/{user}")
    large = PNG + bytes(2 * 1024 * 1024 - len(PNG))
    assert upload_image(pay, large).status_code == 200
    for change in (
        {"data": b"GIF89a"},
        {"name": "a.gif"},
        {"sha256": "0" * 64},
        {"data": large + b"0"},
    ):
        assert code_of(upload_image(pay, **change)) == (400, "PARAM_ERROR"), change
    assert code_of(upload_image(pay, signed=b"{}")) == (401, "SIGN_ERROR")


# -- faults
def test_faults(box, pay):
    body = stock()
    path = {"path": "busifavor/stocks$", "method": "POST"}
    box.fault(**path, kind="http_status", status=500)
    answer = pay.call("POST", STOCKS, body)
    assert code_of(answer) == (500, "SYSTEM_ERROR")
    assert "Wechatpay-Signature" not in answer.headers
    box.fault(**path, kind="http_status", status=429)
    assert pay.call("POST", STOCKS, body).status_code == 429
    box.fault(**path, kind="http_status", status=500, commit=True)
    assert pay.call("POST", STOCKS, body).status_code == 500
    # It was made all the same: another body under its number is refused.
    other = pay.call("POST", STOCKS, {**body, "comment": "other"})
    assert code_of(other) == (400, "RESOURCE_ALREADY_EXISTS")
    box.fault(**path, kind="bad_signature")
    answer = pay.call("POST", STOCKS, body)
    assert not pay.verify(answer.headers, answer.content)
    assert json.loads(answer.content)["stock_id"]
