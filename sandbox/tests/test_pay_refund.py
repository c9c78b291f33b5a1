"""Refunds: one number is one refund, vouchers in proportion, what WeChat decides."""

import json

import pytest
from pay_harness import APPID, MCHID, NATIVE, QUERY, code_of, number_of, order, unseal

REFUNDS = "/v3/refund/domestic/refunds"
PAID = f"pay/orders/{MCHID}/ORDER-0001/pay"
CONTROL = f"pay/refunds/{MCHID}/R1"


def refund(**change):
    amount = {"refund": 300, "total": 1000, "currency": "CNY"}
    amount.update(change.pop("amount", {}))
    body = {"out_trade_no": "ORDER-0001", "out_refund_no": "R1", "amount": amount}
    body.update(change)
    return {key: value for key, value in body.items() if value is not None}


@pytest.fixture
def paid(box, pay):
    pay.call("POST", NATIVE, order())
    return box.post(PAID, notify=False)


def test_refund(box, pay, paid):
    answer = pay.call("POST", REFUNDS, refund(reason="太苦"))
    assert answer.status_code == 200 and pay.verify(answer.headers, answer.content)
    shown = answer.json()
    assert shown["status"] == "PROCESSING" and "success_time" not in shown
    assert shown["transaction_id"] == paid["transaction_id"]
    assert shown["amount"] == {
        "total": 1000,
        "refund": 300,
        "from": [],
        "payer_total": 1000,
        "payer_refund": 300,
        "settlement_refund": 300,
        "settlement_total": 1000,
        "discount_refund": 0,
        "currency": "CNY",
    }
    assert pay.call("GET", QUERY).json()["trade_state"] == "REFUND"
    # The same number is the same refund.
    again = pay.call("POST", REFUNDS, refund()).json()
    assert again == shown
    assert len(box.get("state")["refunds"]) == 1
    other = pay.call("POST", REFUNDS, refund(amount={"refund": 301}))
    assert code_of(other) == (400, "INVALID_REQUEST")
    box.post(CONTROL)
    done = pay.call("GET", f"{REFUNDS}/R1").json()
    assert done["status"] == "SUCCESS" and done["success_time"].endswith("+08:00")
    assert pay.call("POST", REFUNDS, refund()).json()["status"] == "SUCCESS"
    box.post(CONTROL, status=409)


def test_refund_by_transaction(pay, paid):
    number = paid["transaction_id"]
    wrong = refund(transaction_id="1" * 28)
    assert code_of(pay.call("POST", REFUNDS, wrong)) == (400, "INVALID_REQUEST")
    sent = refund(out_trade_no=None, transaction_id=number)
    assert pay.call("POST", REFUNDS, sent).status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"amount": {"refund": 1001}}, (400, "INVALID_REQUEST")),
        ({"amount": {"total": 999}}, (400, "INVALID_REQUEST")),
        ({"out_trade_no": "ORDER-0002"}, (404, "RESOURCE_NOT_EXISTS")),
        ({"out_trade_no": None}, (400, "PARAM_ERROR")),
        ({"amount": {"refund": 0}}, (400, "PARAM_ERROR")),
        ({"amount": {"refund": 3.0}}, (400, "PARAM_ERROR")),
        ({"amount": {"currency": None}}, (400, "PARAM_ERROR")),
        (
            {"amount": {"from": [{"account": "AVAILABLE", "amount": 1}]}},
            (400, "PARAM_ERROR"),
        ),
        ({"out_refund_no": "R 1"}, (400, "PARAM_ERROR")),
        ({"reason": "字" * 81}, (400, "PARAM_ERROR")),
        ({"notify_url": "http://shop.example/cb?x=1"}, (400, "PARAM_ERROR")),
        ({"colour": "red"}, (400, "PARAM_ERROR")),
    ],
)
def test_bad_refunds(pay, paid, change, status):
    assert code_of(pay.call("POST", REFUNDS, refund(**change))) == status
    assert pay.call("GET", QUERY).json()["trade_state"] == "SUCCESS"
    assert pay.call("GET", f"{REFUNDS}/R1").status_code == 404


def test_unpaid_and_old_orders(box, pay):
    pay.call("POST", NATIVE, order())
    assert code_of(pay.call("POST", REFUNDS, refund())) == (400, "INVALID_REQUEST")
    box.post(PAID)
    box.post("clock", advance=366 * 86400)
    assert code_of(pay.call("POST", REFUNDS, refund())) == (400, "INVALID_REQUEST")


def test_never_more_than_was_paid(box, pay, paid):
    box.post("settings", refund_gap_seconds=0)
    pay.call("POST", REFUNDS, refund(amount={"refund": 600}))
    second = refund(out_refund_no="R2", amount={"refund": 401})
    assert code_of(pay.call("POST", REFUNDS, second)) == (400, "INVALID_REQUEST")
    # A closed refund gives its amount free again.
    box.control("POST", CONTROL, {"status": "CLOSED"})
    assert pay.call("GET", QUERY).json()["trade_state"] == "SUCCESS"
    assert pay.call("POST", REFUNDS, second).status_code == 200


def test_fifty_refunds(box, pay, paid):
    box.post("settings", refund_gap_seconds=0)
    for number in range(50):
        sent = refund(out_refund_no=f"R{number}", amount={"refund": 1})
        assert pay.call("POST", REFUNDS, sent).status_code == 200
    sent = refund(out_refund_no="R50", amount={"refund": 1})
    assert code_of(pay.call("POST", REFUNDS, sent)) == (400, "INVALID_REQUEST")


def test_a_minute_between_refunds(box, pay, paid):
    pay.call("POST", REFUNDS, refund())
    answer = pay.call("POST", REFUNDS, refund(out_refund_no="R2"))
    assert code_of(answer) == (429, "FREQUENCY_LIMITED")
    assert number_of(answer) == 268447840
    box.post("clock", advance=61)
    answer = pay.call("POST", REFUNDS, refund(out_refund_no="R2"))
    assert answer.status_code == 200


def test_vouchers_in_proportion(box, pay, user):
    box.post("settings", refund_gap_seconds=0, auto_refund=True)
    box.post(f"phone/{user}/vouchers", type="CASH", amount=100)
    box.post(f"phone/{user}/vouchers", type="NOCASH", amount=55)
    pay.call("POST", NATIVE, order())
    box.post(PAID, openid=user)
    first = pay.call("POST", REFUNDS, refund(amount={"refund": 333})).json()
    last = refund(out_refund_no="R2", amount={"refund": 667})
    last = pay.call("POST", REFUNDS, last).json()
    assert first["status"] == "PROCESSING"
    assert pay.call("GET", f"{REFUNDS}/R1").json()["status"] == "SUCCESS"
    kinds = [item["type"] for item in first["promotion_detail"]]
    assert kinds == ["COUPON", "DISCOUNT"]
    parts = [item["refund_amount"] for item in first["promotion_detail"]]
    assert parts == [33, 18]
    amount = first["amount"]
    assert amount["settlement_total"] == 945 and amount["payer_total"] == 845
    assert amount["settlement_refund"] == 315 and amount["payer_refund"] == 282
    assert amount["discount_refund"] == 51
    # Every share adds up in the end.
    for name, total in (("payer_refund", 845), ("settlement_refund", 945)):
        assert first["amount"][name] + last["amount"][name] == total


@pytest.mark.parametrize("status", ["SUCCESS", "ABNORMAL", "CLOSED"])
def test_notification(box, pay, paid, receiver, status):
    pay.call("POST", REFUNDS, refund(notify_url=receiver.url))
    box.control("POST", CONTROL, {"status": status})
    (request,) = receiver.wait(1)
    assert pay.verify(request["headers"], request["body"])
    envelope = json.loads(request["body"])
    assert envelope["event_type"] == f"REFUND.{status}"
    assert envelope["resource"]["original_type"] == "refund"
    data = unseal(envelope["resource"])
    assert data["refund_status"] == status and "status" not in data
    assert data["mchid"] == MCHID and data["out_refund_no"] == "R1"
    assert ("success_time" in data) is (status == "SUCCESS")
    assert set(data["amount"]) == {"total", "refund", "payer_total", "payer_refund"}
    box.post(f"{CONTROL}/notify")
    assert len(receiver.wait(2)) == 2


def test_abnormal_refund(box, pay, paid):
    shown = pay.call("POST", REFUNDS, refund()).json()
    path = f"{REFUNDS}/{shown['refund_id']}/apply-abnormal-refund"
    body = {"out_refund_no": "R1", "type": "MERCHANT_BANK_CARD"}
    assert code_of(pay.call("POST", path, body)) == (400, "INVALID_REQUEST")
    box.control("POST", CONTROL, {"status": "ABNORMAL"})
    wrong = path.replace(shown["refund_id"], "50300")
    assert pay.call("POST", wrong, body).status_code == 404
    wrong = {**body, "type": "USER_BANK_CARD"}
    assert code_of(pay.call("POST", path, wrong)) == (400, "PARAM_ERROR")
    assert pay.call("POST", path, body).json()["status"] == "PROCESSING"
    box.control("POST", CONTROL, {"status": "SUCCESS"})
    box.control("POST", CONTROL, {"status": "DONE"}, 400)


def test_lost_answer(box, pay, paid):
    box.fault(path="refunds$", kind="http_status", status=500, commit=True, times=1)
    assert pay.call("POST", REFUNDS, refund()).status_code == 500
    assert pay.call("POST", REFUNDS, refund()).json()["status"] == "PROCESSING"
    assert len(box.get("state")["refunds"]) == 1


def test_a_reversal_pays_back(box, pay, user):
    code = box.post(f"phone/{user}/pay_code")["auth_code"]
    trade = {
        "appid": APPID,
        "mchid": MCHID,
        "description": "咖啡",
        "out_trade_no": "ORDER-0001",
        "payer": {"auth_code": code},
        "amount": {"total": 1000},
        "scene_info": {"store_info": {"id": "1"}},
    }
    assert pay.call("POST", "/v3/pay/transactions/codepay", trade).status_code == 200
    own = {"appid": APPID, "mchid": MCHID}
    pay.call("POST", QUERY.split("?")[0] + "/reverse", own)
    (record,) = box.get("state")["refunds"]
    assert record["refund"] == 1000 and record["status"] == "SUCCESS"
    assert code_of(pay.call("POST", REFUNDS, refund())) == (400, "INVALID_REQUEST")
