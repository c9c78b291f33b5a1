"""Payment by code in the old XML form."""

import hashlib
import hmac
import json
import uuid

import pytest
from defusedxml import ElementTree
from pay_harness import APPID, KEY_V2, MCHID, NATIVE, QUERY, order

ORDER = f"pay/orders/{MCHID}/ORDER-0001"


def signature(values, kind="MD5", key=KEY_V2):
    pairs = sorted(f"{k}={v}" for k, v in values.items() if v and k != "sign")
    text = "&".join([*pairs, f"key={key}"]).encode()
    if kind == "MD5":
        return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest().upper()


class Client:
    """The old API, from its documentation alone."""

    def __init__(self, box) -> None:
        self.box = box

    def raw(self, path, body):
        answer = self.box.http.post(self.box.url + path, data=body)
        assert answer.status_code == 200
        root = ElementTree.fromstring(answer.content)
        return {child.tag: child.text or "" for child in root}

    def call(self, path, kind="MD5", key=KEY_V2, **values):
        values = {
            "appid": APPID,
            "mch_id": MCHID,
            "nonce_str": uuid.uuid4().hex,
            **values,
        }
        values = {k: v for k, v in values.items() if v is not None}
        if kind != "MD5":
            values["sign_type"] = kind
        values["sign"] = signature(values, kind, key)
        cells = "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in values.items())
        shown = self.raw(path, f"<xml>{cells}</xml>".encode())
        if shown["return_code"] == "SUCCESS":
            assert shown["sign"] == signature(shown, kind)
        return shown

    def pay(self, code, **values):
        fields = {
            "body": "咖啡",
            "out_trade_no": "ORDER-0001",
            "total_fee": "1000",
            "spbill_create_ip": "127.0.0.1",
            "auth_code": code,
        }
        return self.call("/pay/micropay", **{**fields, **values})

    def query(self, **values):
        return self.call("/pay/orderquery", **{"out_trade_no": "ORDER-0001", **values})

    def reverse(self):
        return self.call("/secapi/pay/reverse", out_trade_no="ORDER-0001")


@pytest.fixture
def client(box, pay):
    return Client(box)


@pytest.fixture
def code(box, user):
    return box.post(f"phone/{user}/pay_code")["auth_code"]


@pytest.mark.parametrize("kind", ["MD5", "HMAC-SHA256"])
def test_paid_at_once(box, pay, client, user, code, kind):
    box.post(f"phone/{user}/vouchers", type="NOCASH", amount=100)
    shown = client.pay(code, kind=kind, attach="till", device_info="T1")
    assert shown["result_code"] == "SUCCESS" and shown["trade_type"] == "MICROPAY"
    assert shown["cash_fee"] == "900" and shown["coupon_fee"] == "100"
    assert shown["settlement_total_fee"] == "900" and shown["total_fee"] == "1000"
    assert len(shown["time_end"]) == 14 and shown["device_info"] == "T1"
    queried = client.query()
    assert queried["coupon_type_0"] == "NO_CASH" and queried["coupon_fee_0"] == "100"
    assert queried["trade_state"] == "SUCCESS" and queried["attach"] == "till"
    number = {"out_trade_no": None, "transaction_id": shown["transaction_id"]}
    assert client.query(**number)["out_trade_no"] == "ORDER-0001"
    # Pay v3 sees the same payment.
    assert pay.call("GET", QUERY).json()["transaction_id"] == shown["transaction_id"]
    assert client.pay(code, attach="till", device_info="T1")["err_code"] == "ORDERPAID"
    assert client.pay(code)["err_code"] == "OUT_TRADE_NO_USED"
    assert code not in json.dumps(box.get("log"))


def test_coupons_in_detail(box, client, user, code):
    box.post(f"phone/{user}/vouchers", type="NOCASH", amount=100)
    paid = client.pay(code, version="1.0")
    for shown in (paid, client.query(version="1.0")):
        (row,) = json.loads(shown["promotion_detail"])["promotion_detail"]
        assert row["type"] == "DISCOUNT" and row["amount"] == 100
        assert "coupon_fee" not in shown and "settlement_total_fee" not in shown
    assert client.query(version="2.0")["err_code"] == "PARAM_ERROR"


def test_ordered_bad_signature(box, client, code):
    box.fault(path="micropay", kind="bad_signature", times=1)
    with pytest.raises(AssertionError):
        client.pay(code)
    assert client.query()["trade_state"] == "SUCCESS"


def test_password(box, client, user, code):
    box.post(f"phone/{user}/ask_password")
    shown = client.pay(code)
    assert (shown["result_code"], shown["err_code"]) == ("FAIL", "USERPAYING")
    assert client.pay(code)["err_code"] == "USERPAYING"
    assert client.query()["trade_state"] == "USERPAYING"
    box.post(f"{ORDER}/password", result="cancel")
    assert client.query()["trade_state"] == "PAYERROR"
    assert client.pay(code)["err_code"] == "ORDERCLOSED"


@pytest.mark.parametrize("paid", [True, False])
def test_reverse(box, client, user, code, paid):
    box.post(f"phone/{user}/ask_password", times=0 if paid else 1)
    client.pay(code)
    for _ in range(2):
        shown = client.reverse()
        assert (shown["result_code"], shown["recall"]) == ("SUCCESS", "N")
    assert client.query()["trade_state"] == "REVOKED"
    assert len(box.get("state")["refunds"]) == int(paid)


def test_codes_that_do_not_work(box, pay, client, user, code):
    assert client.pay("134567890123456789")["err_code"] == "AUTH_CODE_INVALID"
    assert client.pay("13")["err_code"] == "AUTH_CODE_INVALID"
    assert client.query()["err_code"] == "ORDERNOTEXIST"
    client.pay(code)
    assert client.pay(code, out_trade_no="O2")["err_code"] == "AUTH_CODE_INVALID"
    other = box.post(f"phone/{user}/pay_code")["auth_code"]
    shown = client.pay(other)
    assert shown["err_code"] == "AUTH_CODE_INVALID" and "101" in shown["err_code_des"]
    pay.call("POST", NATIVE, order(out_trade_no="ORDER-0002"))
    shown = client.pay(other, out_trade_no="ORDER-0002")
    assert shown["err_code"] == "OUT_TRADE_NO_USED"


@pytest.mark.parametrize(
    ("change", "code_"),
    [
        ({"total_fee": "10.5"}, "PARAM_ERROR"),
        ({"total_fee": "0"}, "PARAM_ERROR"),
        ({"total_fee": None}, "LACK_PARAMS"),
        ({"body": "字" * 128}, "PARAM_ERROR"),
        ({"notify_url": "http://127.0.0.1/x"}, "PARAM_ERROR"),
        ({"fee_type": "USD"}, "PARAM_ERROR"),
        ({"out_trade_no": "has blank"}, "PARAM_ERROR"),
        ({"appid": "wxother"}, "APPID_MCHID_NOT_MATCH"),
    ],
)
def test_bad_parameters(client, code, change, code_):
    assert client.pay(code, **change)["err_code"] == code_
    assert client.query()["err_code"] == "ORDERNOTEXIST"


def test_blocked_merchants(box, client, code):
    box.post("merchants", mchid=MCHID, blocked="restricted")
    assert client.pay(code)["err_code"] == "NOAUTH"


def test_before_the_signature(box, client, code):
    for early in (
        client.pay(code, key="w" * 32),
        client.pay(code, kind="SHA1"),
        client.pay(code, mch_id="1"),
        client.pay(code, nonce_str=None),
        client.raw("/pay/micropay", b""),
        client.raw("/pay/micropay", b"<xml><a>"),
        client.raw("/pay/micropay", b"<xml><a>1</a><a>2</a></xml>"),
        client.raw("/pay/micropay", b"<xml><a>\xff</a></xml>"),
        client.raw("/pay/micropay", b'<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>'),
    ):
        assert early["return_code"] == "FAIL" and "sign" not in early
    assert box.http.post(box.url + "/pay/other", data=b"<xml/>").status_code == 404
    assert "return_code" in box.http.get(box.url + "/pay/micropay").text


def test_error_after_the_money_was_taken(box, client, code):
    fault = {"path": "micropay", "kind": "errcode", "errcode": "SYSTEMERROR"}
    box.fault(**fault, commit=True, times=1)
    assert client.pay(code)["err_code"] == "SYSTEMERROR"
    assert client.query()["trade_state"] == "SUCCESS"
    box.fault(**fault, times=1)
    shown = client.pay(code, out_trade_no="O2")
    assert shown["err_code"] == "SYSTEMERROR"
    assert client.query(out_trade_no="O2")["err_code"] == "ORDERNOTEXIST"


def test_what_cannot_be_reversed(pay, client):
    assert client.reverse()["err_code"] == "ORDERNOTEXIST"
    pay.call("POST", NATIVE, order())
    assert client.reverse()["err_code"] == "TRADE_STATE_ERROR"
