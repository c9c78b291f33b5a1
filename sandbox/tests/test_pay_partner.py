"""Partner mode: a service provider and those for whom it collects."""

import json

import pytest
from pay_harness import APPID, MCHID, QUERY, code_of, number_of, order, unseal
from test_pay_bill import noon, offer, read, tomorrow

SUB, OTHER, STRANGER = "1900000011", "1900000012", "1900000013"
SUB_APPID = "wxsub00000000001"
PATH = "/v3/pay/partner/transactions"
NUMBER = f"{PATH}/out-trade-no/ORDER-0001"
ASK = f"{NUMBER}?sp_mchid={MCHID}&sub_mchid={SUB}"
REFUNDS = "/v3/refund/domestic/refunds"
PAID = f"pay/orders/{MCHID}/ORDER-0001/pay"
OWN = {"sp_mchid": MCHID, "sub_mchid": SUB}
APPIDS = {"sp_appid": APPID}

MISSING, IS_OWN, NO_RELATION, MISMATCH = 268443704, 268443705, 268443701, 268447845


@pytest.fixture
def provider(box, pay):
    box.post("merchants", mchid=MCHID, sub_mchids=[SUB, OTHER])
    box.post("merchants", mchid=OTHER, appids=[SUB_APPID])
    return pay


@pytest.fixture
def code(box, user):
    return box.post(f"phone/{user}/pay_code")["auth_code"]


def partner_order(**change):
    return order(appid=None, mchid=None, **{**APPIDS, **OWN, **change})


def trade(code, **change):
    scene = {"store_info": {"id": "1"}}
    values = {"payer": {"auth_code": code}, "scene_info": scene, "notify_url": None}
    return partner_order(**{**values, **change})


def refund(**change):
    amount = {"refund": 300, "total": 1000, "currency": "CNY"}
    body = {"out_trade_no": "ORDER-0001", "out_refund_no": "R1", "amount": amount}
    return {k: v for k, v in {**body, "sub_mchid": SUB, **change}.items() if v}


def place(pay, api="native", **change):
    return pay.call("POST", f"{PATH}/{api}", partner_order(**change))


def test_native(box, provider, receiver, user):
    answer = place(provider, notify_url=receiver.url, sub_appid=SUB_APPID)
    assert answer.json()["code_url"].startswith("weixin://")
    assert provider.verify(answer.headers, answer.content)
    shown = provider.call("GET", ASK).json()
    parties = {**APPIDS, **OWN, "sub_appid": SUB_APPID}
    assert shown["trade_state"] == "NOTPAY"
    assert {name: shown[name] for name in parties} == parties
    assert "mchid" not in shown and "appid" not in shown
    box.post(PAID, openid=user)
    shown = provider.call("GET", ASK).json()
    assert shown["payer"] == {"sp_openid": user, "sub_openid": user}
    by_id = f"{PATH}/id/{shown['transaction_id']}?sp_mchid={MCHID}&sub_mchid={SUB}"
    assert provider.call("GET", by_id).json() == shown
    (notice,) = receiver.wait(1)
    assert unseal(json.loads(notice["body"])["resource"]) == shown


def test_jsapi(box, provider, user):
    payer = {"sp_openid": user}
    assert "prepay_id" in place(provider, "jsapi", payer=payer).json()
    both = {"sp_openid": user, "sub_openid": user}
    wrong = [
        {"payer": {}},
        {"payer": both},
        {"payer": {"openid": user}},
        {"payer": {"sub_openid": user}},
        {"payer": {"sp_openid": "oNobody"}},
    ]
    for change in wrong:
        answer = place(provider, "jsapi", out_trade_no="ORDER-0002", **change)
        assert code_of(answer) == (400, "PARAM_ERROR")
    known = box.post("users", nickname="b", appid=SUB_APPID)["openid"]
    change = {"payer": {"sub_openid": known}, "sub_appid": SUB_APPID}
    answer = place(provider, "jsapi", out_trade_no="ORDER-0003", **change)
    assert answer.status_code == 200
    change["payer"] = {"sp_openid": known}
    answer = place(provider, "jsapi", out_trade_no="ORDER-0004", **change)
    assert code_of(answer) == (400, "PARAM_ERROR")


def test_codepay(box, provider, user, code):
    answer = provider.call("POST", f"{PATH}/codepay", trade(code))
    shown = answer.json()
    assert answer.status_code == 200 and shown["trade_state"] == "SUCCESS"
    assert shown["payer"] == {"sp_openid": user} and shown["sub_mchid"] == SUB
    assert provider.call("GET", ASK).json() == shown
    closed = provider.call("POST", f"{NUMBER}/close", OWN)
    assert number_of(closed) == 268449641
    for _ in range(2):
        answer = provider.call("POST", f"{NUMBER}/reverse", {**APPIDS, **OWN})
        assert answer.json() == {**APPIDS, **OWN, "out_trade_no": "ORDER-0001"}
    assert provider.call("GET", ASK).json()["trade_state"] == "REVOKED"
    assert len(box.get("state")["refunds"]) == 1


def test_codepay_with_password(box, provider, user, code):
    box.post(f"phone/{user}/ask_password")
    answer = provider.call("POST", f"{PATH}/codepay", trade(code))
    assert (answer.status_code, answer.json()) == (202, {"trade_state": "USERPAYING"})
    assert provider.call("GET", ASK).json()["trade_state"] == "USERPAYING"


def test_close(provider):
    place(provider)
    for _ in range(2):
        assert provider.call("POST", f"{NUMBER}/close", OWN).status_code == 204
    assert provider.call("GET", ASK).json()["trade_state"] == "CLOSED"


def test_who_collects(provider, code):
    """Each call says for whom it is; each wrong answer has its number."""
    place(provider)
    calls = {
        "place": lambda sub: place(provider, out_trade_no="ORDER-0002", sub_mchid=sub),
        "codepay": lambda sub: provider.call(
            "POST", f"{PATH}/codepay", trade(code, sub_mchid=sub)
        ),
        "query": lambda sub: provider.call(
            "GET", f"{NUMBER}?sp_mchid={MCHID}" + (f"&sub_mchid={sub}" if sub else "")
        ),
        "close": lambda sub: provider.call(
            "POST", f"{NUMBER}/close", {"sp_mchid": MCHID, "sub_mchid": sub}
        ),
        "reverse": lambda sub: provider.call(
            "POST",
            f"{NUMBER}/reverse",
            {**APPIDS, "sp_mchid": MCHID, "sub_mchid": sub},
        ),
    }
    for call in calls.values():
        answer = call(None)
        assert code_of(answer) == (400, "PARAM_ERROR") and number_of(answer) == MISSING
        answer = call(MCHID)
        assert code_of(answer) == (400, "PARAM_ERROR") and number_of(answer) == IS_OWN
        answer = call(STRANGER)
        assert code_of(answer) == (403, "NO_AUTH") and number_of(answer) == NO_RELATION
    for name in ("query", "close", "reverse"):
        assert number_of(calls[name](OTHER)) == MISMATCH
    # One number for all sub-merchants of a provider.
    assert number_of(place(provider, sub_mchid=OTHER)) == 268498688
    assert number_of(place(provider, sp_mchid=SUB)) == 268447843
    wrong = place(provider, out_trade_no="ORDER-0002", sp_appid="wxother")
    assert number_of(wrong) == 268445527
    change = {"out_trade_no": "ORDER-0002", "sub_appid": "wxother", "sub_mchid": OTHER}
    assert number_of(place(provider, **change)) == 268445527
    both = {**partner_order(), "mchid": MCHID}
    assert number_of(provider.call("POST", f"{PATH}/native", both)) == 270924358


def test_the_two_modes_do_not_mix(provider):
    place(provider)
    assert number_of(provider.call("GET", QUERY)) == 268447843
    direct = {"mchid": MCHID}
    path = "/v3/pay/transactions/out-trade-no/ORDER-0001/close"
    assert number_of(provider.call("POST", path, direct)) == 268447843
    native = "/v3/pay/transactions/native"
    provider.call("POST", native, order(out_trade_no="ORDER-0002"))
    answer = provider.call("GET", ASK.replace("ORDER-0001", "ORDER-0002"))
    assert code_of(answer) == (400, "PARAM_ERROR") and number_of(answer) == MISMATCH


def test_no_provider(pay):
    """Without sub-merchants nobody is a provider."""
    assert number_of(place(pay)) == NO_RELATION


def test_refund(box, provider, receiver):
    place(provider)
    box.post(PAID, notify=False)
    for sub, number in ((None, MISSING), (STRANGER, NO_RELATION), (OTHER, MISMATCH)):
        answer = provider.call("POST", REFUNDS, refund(sub_mchid=sub))
        assert number_of(answer) == number
    sent = refund(notify_url=receiver.url)
    shown = provider.call("POST", REFUNDS, sent).json()
    assert shown["status"] == "PROCESSING"
    assert provider.call("POST", REFUNDS, sent).json() == shown
    assert number_of(provider.call("GET", f"{REFUNDS}/R1")) == MISSING
    answer = provider.call("GET", f"{REFUNDS}/R1?sub_mchid={OTHER}")
    assert number_of(answer) == MISMATCH
    assert provider.call("GET", f"{REFUNDS}/R1?sub_mchid={SUB}").json() == shown
    box.control("POST", f"pay/refunds/{MCHID}/R1", {"status": "ABNORMAL"})
    (notice,) = receiver.wait(1)
    told = unseal(json.loads(notice["body"])["resource"])
    assert {**told, **OWN} == told and "mchid" not in told
    path = f"{REFUNDS}/{shown['refund_id']}/apply-abnormal-refund"
    again = {"out_refund_no": "R1", "type": "MERCHANT_BANK_CARD"}
    assert number_of(provider.call("POST", path, again)) == MISSING
    answer = provider.call("POST", path, {**again, "sub_mchid": SUB})
    assert answer.json()["status"] == "PROCESSING"


def test_direct_refund_names_nobody(box, provider):
    provider.call("POST", "/v3/pay/transactions/native", order())
    box.post(PAID, notify=False)
    assert number_of(provider.call("POST", REFUNDS, refund())) == MISMATCH
    answer = provider.call("POST", REFUNDS, refund(sub_mchid=None))
    assert answer.status_code == 200


def test_bill(box, provider):
    day = noon(box)
    for number, sub in (("ORDER-0001", SUB), ("ORDER-0002", OTHER)):
        place(provider, out_trade_no=number, sub_mchid=sub)
        box.post(f"pay/orders/{MCHID}/{number}/pay", notify=False)
    tomorrow(box)
    for sub, numbers in (
        (None, ["ORDER-0001", "ORDER-0002"]),
        (SUB, ["ORDER-0001"]),
        (OTHER, ["ORDER-0002"]),
    ):
        rows, sums = read(provider, day, **({"sub_mchid": sub} if sub else {}))
        assert [row["商户订单号"] for row in rows] == numbers
        assert sums["总交易单数"] == str(len(numbers))
        assert rows[-1]["特约商户号"] == (sub or OTHER)
    path = "/v3/bill/tradebill"
    answer = offer(provider, path, bill_date=day, sub_mchid=STRANGER)
    assert number_of(answer) == NO_RELATION


@pytest.mark.parametrize(
    ("blocked", "answered", "number"),
    [
        ("disabled", (403, "NO_AUTH"), 268443715),
        ("restricted", (403, "RULE_LIMIT"), 268448010),
    ],
)
def test_blocked_merchants(box, provider, code, blocked, answered, number):
    box.post("merchants", mchid=MCHID, blocked=blocked)
    native = provider.call("POST", "/v3/pay/transactions/native", order())
    charged = provider.call("POST", f"{PATH}/codepay", trade(code))
    for answer in (native, charged, place(provider)):
        assert code_of(answer) == answered and number_of(answer) == number
    box.post("merchants", mchid=MCHID, blocked="")
    assert place(provider).status_code == 200
