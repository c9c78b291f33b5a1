"""营销补差: receipts that are accepted, and what became of the money."""

import pytest
from coupon_harness import BUSI, make_stock, use
from pay_harness import MCHID, NATIVE, code_of, order

PAY = f"{BUSI}/subsidy/pay-receipts"
RETURN = f"{BUSI}/subsidy/return-receipts"
REFUNDS = "/v3/refund/domestic/refunds"


@pytest.fixture
def number(box, pay):
    return make_stock(box, pay)


def redeemed(box, pay, user, number, out_trade_no="ORDER-0001", split=True):
    """A coupon that was redeemed for a paid order; return its code and the payment."""
    code = box.post(f"phone/{user}/busifavor", stock_id=number)["coupon_code"]
    assert pay.call("POST", f"{BUSI}/coupons/use", use(code, number, code)).ok
    body = order(
        out_trade_no=out_trade_no,
        amount={"total": 8800, "currency": "CNY"},
        settle_info={"profit_sharing": split},
    )
    assert pay.call("POST", NATIVE, body).ok
    paid = box.post(f"pay/orders/{MCHID}/{out_trade_no}/pay", notify=False)
    return code, paid["transaction_id"]


def associate(pay, number, code, out_trade_no="ORDER-0001"):
    body = {"stock_id": number, "coupon_code": code, "out_trade_no": out_trade_no}
    body["out_request_no"] = f"A-{code}"
    assert pay.call("POST", f"{BUSI}/coupons/associate", body).ok


def subsidy(number, code, transaction, amount=1000, **change):
    body = {
        "stock_id": number,
        "coupon_code": code,
        "transaction_id": transaction,
        "payer_merchant": MCHID,
        "payee_merchant": MCHID,
        "amount": amount,
        "description": "补差",
        "out_subsidy_no": "SUB-1",
        **change,
    }
    return {key: value for key, value in body.items() if value is not None}


def test_paid_when_queried(box, pay, user, number):
    code, transaction = redeemed(box, pay, user, number)
    body = subsidy(number, code, transaction)
    assert code_of(pay.call("POST", PAY, body)) == (400, "INVALID_REQUEST")
    associate(pay, number, code)
    told = pay.call("POST", PAY, body).json()
    assert told["status"] == "PAY_RECEIPT_ACCEPTED" and "success_time" not in told
    receipt = told["subsidy_receipt_id"]
    shown = pay.call("GET", f"{PAY}/{receipt}").json()
    assert shown["status"] == "PAY_RECEIPT_SUCCESS" and shown["amount"] == 1000
    box.post("settings", subsidy_prefix=False)
    assert pay.call("GET", f"{PAY}/{receipt}").json()["status"] == "SUCCESS"
    assert pay.call("POST", PAY, body).json()["subsidy_receipt_id"] == receipt
    query = f"{PAY}?stock_id={number}&coupon_code={code}"
    rows = pay.call("GET", query).json()["pay_receipt_list"]
    assert [row["subsidy_receipt_id"] for row in rows] == [receipt]
    rows = pay.call("GET", f"{query}&out_subsidy_no=OTHER").json()
    assert rows["pay_receipt_list"] == []
    second = subsidy(number, code, transaction, out_subsidy_no="SUB-2")
    told = pay.call("POST", PAY, second).json()
    shown = pay.call("GET", f"{PAY}/{told['subsidy_receipt_id']}").json()
    assert shown["fail_reason"] == "PAY_RECEIPT_EXCEED_SUBSIDY_COUNT_QUOTA"


@pytest.mark.parametrize(
    ("split", "amount", "balance", "reason"),
    [
        (False, 1000, None, "NOT_INCOMESPLIT_ORDER"),
        (True, 1001, None, "EXCEED_SUBSIDY_AMOUNT_QUOTA"),
        (True, 1000, 999, "INSUFFICIENT_BALANCE"),
    ],
)
def test_failed(box, pay, user, number, split, amount, balance, reason):
    code, transaction = redeemed(box, pay, user, number, split=split)
    associate(pay, number, code)
    box.post("merchants", mchid=MCHID, balance=balance)
    body = subsidy(number, code, transaction, amount)
    told = pay.call("POST", PAY, body).json()
    shown = pay.call("GET", f"{PAY}/{told['subsidy_receipt_id']}").json()
    assert shown["status"] == "PAY_RECEIPT_FAIL"
    assert shown["fail_reason"] == f"PAY_RECEIPT_{reason}"


def test_a_percentage(box, pay, user):
    """88 % were paid: 8800 fen stand for 1200 fen off."""
    number = make_stock(box, pay, kind="DISCOUNT")
    code, transaction = redeemed(box, pay, user, number)
    associate(pay, number, code)
    body = subsidy(number, code, transaction, 1200)
    told = pay.call("POST", PAY, body).json()
    shown = pay.call("GET", f"{PAY}/{told['subsidy_receipt_id']}").json()
    assert shown["status"] == "PAY_RECEIPT_SUCCESS"


def test_refused(box, pay, user, number):
    code, transaction = redeemed(box, pay, user, number)
    associate(pay, number, code)
    for change, status in (
        ({"amount": 500001}, (400, "PARAM_ERROR")),
        ({"payer_merchant": "1900000009"}, (403, "NO_AUTH")),
        ({"payee_merchant": "1900000009"}, (403, "NO_AUTH")),
        ({"transaction_id": "42"}, (404, "RESOURCE_NOT_EXISTS")),
        ({"coupon_code": "1" * 22}, (404, "RESOURCE_NOT_EXISTS")),
    ):
        body = {**subsidy(number, code, transaction), **change}
        assert code_of(pay.call("POST", PAY, body)) == status, change
    swap = make_stock(box, pay, kind="EXCHANGE", out_request_no="S-2")
    code, transaction = redeemed(box, pay, user, swap, "ORDER-0002")
    associate(pay, swap, code, "ORDER-0002")
    answer = pay.call("POST", PAY, subsidy(swap, code, transaction))
    assert code_of(answer) == (400, "INVALID_REQUEST")


def test_given_back(box, pay, user, number):
    code, transaction = redeemed(box, pay, user, number)
    associate(pay, number, code)
    told = pay.call("POST", PAY, subsidy(number, code, transaction)).json()
    amount = {"refund": 8800, "total": 8800, "currency": "CNY"}
    body = {"out_trade_no": "ORDER-0001", "out_refund_no": "R1", "amount": amount}
    refund = pay.call("POST", REFUNDS, body).json()["refund_id"]

    def give(amount, no, **change):
        body = subsidy(number, code, transaction, amount, out_subsidy_no=None)
        body.update({"refund_id": refund, "out_subsidy_return_no": no, **change})
        return pay.call("POST", RETURN, body)

    first = give(400, "B1").json()
    assert first["status"] == "RETURN_RECEIPT_ACCEPTED"
    number_of_return = first["subsidy_return_receipt_id"]
    shown = pay.call("GET", f"{RETURN}/{number_of_return}").json()
    assert shown["status"] == "RETURN_RECEIPT_SUCCESS"
    assert shown["subsidy_receipt_id"] == told["subsidy_receipt_id"]
    path = f"{PAY}/{told['subsidy_receipt_id']}"
    assert pay.call("GET", path).json()["status"] == "PAY_RECEIPT_PARTIAL_RETURN"
    assert give(400, "B1").json()["subsidy_return_receipt_id"] == number_of_return
    assert code_of(give(601, "B2")) == (400, "INVALID_REQUEST")
    wrong = give(600, "B3", refund_id="503")
    assert code_of(wrong) == (404, "RESOURCE_NOT_EXISTS")
    assert give(600, "B4").ok
    assert pay.call("GET", path).json()["status"] == "PAY_RECEIPT_FULL_RETURN"
