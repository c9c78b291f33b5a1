"""Nonsense of every kind gets a refusal, never a crash."""

import json
import random

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
    ]
    for path in paths:
        for _ in range(25):
            body = nonsense(rng)
            answer = box.http.post(f"{box.url}/sandbox/{path}", json=body, timeout=10)
            assert answer.status_code < 500, (path, body, answer.text)
