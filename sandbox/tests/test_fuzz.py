"""Nonsense of every kind gets a refusal, never a crash."""

import json
import random

from coupon_harness import BUSI, FAVOR, favor_stock, make_stock, stock, use
from pay_harness import APPID
from test_pay import JSAPI, MCHID, NATIVE, Merchant

NAMES = """card_id code card base_info sku quantity action_name action_info openid
card_list offset count status_list increase_stock_value reduce_stock_value cash groupon
new_code encrypt_code reason is_mark is_open banner page_title can_share scene scene_id
scene_str expire_seconds touser template_id data begin_date end_date cond_source
member_card date_info type begin_timestamp end_timestamp fixed_term fixed_begin_term
multiple_card username outer_str is_unique_code check_consume appid secret grant_type
force_refresh card_type title brand_name notice description logo_url color code_type
template_id_short keyword_name_list need_verify_cod""".split()
VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**63,
    10**30,
    1.5,
    "",
    "x",
    "字" * 50,
    "CASH",
    "QR_CARD",
    "QR_STR_SCENE",
    "DATE_TYPE_FIX_TERM",
    "DATE_TYPE_FIX_TIME_RANGE",
    "2026-01-01",
    "\x00",
    "\ud83d\ude00",
]


def nonsense(rng, depth=0):
    roll = rng.random()
    if depth < 4 and roll < 0.45:
        count = rng.randint(0, 6)
        return {rng.choice(NAMES): nonsense(rng, depth + 1) for _ in range(count)}
    if depth < 4 and roll < 0.55:
        return [nonsense(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return rng.choice(VALUES)


def routes():
    from wechat_sandbox import app  # noqa: F401  (registers the routes)
    from wechat_sandbox.oa_core import ROUTES

    return [entry.path for entry in ROUTES.values() if entry.method == "POST"]


def test_official_account_paths(box, api, card, user):
    rng = random.Random(20261122)
    code = box.post(f"phone/{user}/receive", card_id=card)["code"]
    for path in routes():
        for _ in range(60):
            body = nonsense(rng)
            if isinstance(body, dict) and rng.random() < 0.7:
                body.setdefault("card_id", card)
                body.setdefault("code", code)
            data = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
            answer = api.raw("POST", path.lstrip("/"), data)
            assert answer.status_code == 200, (path, body, answer.text)
            assert isinstance(answer.json(), dict)


def test_pay_paths(box, account):
    made = box.post(
        "merchants",
        mchid=MCHID,
        appids=[account],
        apiv3_key="k" * 32,
        generate=True,
    )
    pay = Merchant(box, made)
    rng = random.Random(20261122)
    fields = "appid mchid amount payer detail scene_info time_expire".split()
    for path in (NATIVE, JSAPI, "/v3/pay/transactions/out-trade-no/x/close"):
        for _ in range(40):
            body = {name: nonsense(rng) for name in rng.sample(fields, 4)}
            answer = pay.call("POST", path, body)
            assert answer.status_code in (400, 404), (path, body, answer.text)
    half = pay.call("POST", NATIVE, body=b'{"attach": "\\ud83d"}')
    assert half.status_code == 400


COUPON_NAMES = """stock_name belong_merchant goods_name stock_type coupon_use_rule
stock_send_rule out_request_no coupon_code_mode coupon_available_time available_week
week_day available_begin_time available_end_time fixed_normal_coupon max_coupons
coupon_code stock_id appid use_time use_request_no openid coupon_code_list no_cash
upload_request_no return_request_no amount stock_use_rule coupon_amount""".split()


def test_coupon_paths(box, pay, user):
    """Good bodies with nonsense in a few places; no answer is a 5xx."""
    rng = random.Random(20261122)
    busi, favor = make_stock(box, pay), favor_stock()
    code = box.post(f"phone/{user}/busifavor", stock_id=busi)["coupon_code"]
    bodies = {
        f"{BUSI}/stocks": stock(),
        f"{BUSI}/stocks/{busi}/couponcodes": {"coupon_code_list": ["A"]},
        f"{BUSI}/coupons/use": use(code, busi),
        f"{BUSI}/coupons/return": {"coupon_code": code, "stock_id": busi},
        f"{BUSI}/coupons/associate": {"coupon_code": code, "stock_id": busi},
        f"{BUSI}/subsidy/pay-receipts": {"coupon_code": code, "stock_id": busi},
        f"{FAVOR}/coupon-stocks": favor,
        f"{FAVOR}/users/{user}/coupons": {"stock_id": "1", "appid": APPID},
        f"{FAVOR}/callbacks": {"mchid": MCHID},
    }
    for path, good in bodies.items():
        for _ in range(40):
            body = json.loads(json.dumps(good))
            for _ in range(rng.randint(1, 3)):
                place = rng.choice([body, *filter(_is_object, body.values())])
                names = [*place, rng.choice(COUPON_NAMES)]
                place[rng.choice(names)] = nonsense(rng)
            answer = pay.call("POST", path, body)
            assert answer.status_code < 500, (path, body, answer.text)
    for query in ("offset=x", "offset=-1", "limit=99999999999", "status=%00", "a=%FF"):
        for path in (f"{BUSI}/users/{user}/coupons", f"{FAVOR}/stocks"):
            answer = pay.call("GET", f"{path}?{query}")
            assert answer.status_code == 400, (path, query, answer.text)


def _is_object(value):
    return isinstance(value, dict)


def test_control_paths(box, account, card, user):
    rng = random.Random(20261122)
    paths = [
        *("accounts", "merchants", "faults", "callback_faults", "settings"),
        *("callbacks/send", "pay_callbacks/send", "users", "cards", "clock"),
        f"phone/{user}/receive",
        f"phone/{user}/gift",
        f"phone/{user}/accept",
        f"phone/{user}/scan",
        f"cards/{card}/issue",
        f"phone/{user}/busifavor",
        f"phone/{user}/busifavor/delete",
        f"phone/{user}/favor",
    ]
    for path in paths:
        for _ in range(25):
            body = nonsense(rng)
            answer = box.http.post(f"{box.url}/sandbox/{path}", json=body, timeout=10)
            assert answer.status_code < 500, (path, body, answer.text)
