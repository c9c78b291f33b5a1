"""Pay v3: signatures both ways, error bodies, orders, notifications."""

import base64
import http.client
import json
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pay_harness import (
    CLOSE,
    JSAPI,
    KEY,
    MCHID,
    NATIVE,
    QUERY,
    Merchant,
    code_of,
    number_of,
    order,
    unseal,
)


# -- signatures
def test_answers_are_signed_with_the_certificate(pay):
    answer = pay.call("POST", NATIVE, order())
    assert answer.status_code == 200
    assert answer.json()["code_url"].startswith("weixin://wxpay/bizpayurl?pr=")
    assert not answer.headers["Wechatpay-Serial"].startswith("PUB_KEY_ID_")
    assert pay.verify(answer.headers, answer.content)
    assert not pay.verify(answer.headers, answer.content + b" ")


def test_answers_are_signed_with_the_public_key(pay):
    header = {"Wechatpay-Serial": pay.public_key_id}
    answer = pay.call("POST", NATIVE, order(), header)
    assert answer.headers["Wechatpay-Serial"] == pay.public_key_id
    assert pay.verify(answer.headers, answer.content)


def test_merchant_modes(box, pay):
    box.post("merchants", mchid=MCHID, mode="public_key")
    answer = pay.call("GET", QUERY)
    assert answer.headers["Wechatpay-Serial"] == pay.public_key_id
    assert code_of(pay.call("GET", "/v3/certificates"))[0] == 404
    certificate = next(k for k in pay.keys if not k.startswith("PUB"))
    header = {"Wechatpay-Serial": certificate}
    assert code_of(pay.call("GET", QUERY, headers=header)) == (400, "PARAM_ERROR")
    box.post("merchants", mchid=MCHID, mode="certificate")
    header = {"Wechatpay-Serial": pay.public_key_id}
    assert code_of(pay.call("GET", QUERY, headers=header)) == (400, "PARAM_ERROR")
    header = {"Wechatpay-Serial": certificate}
    assert pay.call("GET", QUERY, headers=header).status_code == 404
    header = {"Wechatpay-Serial": "ABCDEF"}
    assert code_of(pay.call("GET", QUERY, headers=header)) == (400, "PARAM_ERROR")


def test_refusals_are_signed_too(pay):
    answer = pay.call("GET", QUERY)
    assert code_of(answer) == (404, "ORDER_NOT_EXIST")
    assert number_of(answer) == 268512771
    assert pay.verify(answer.headers, answer.content)


def test_the_order_of_the_parameters_is_free(pay):
    names = ["timestamp", "signature", "serial_no", "nonce_str", "mchid"]
    assert pay.call("POST", NATIVE, order(), order=names).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"scheme": "WECHATPAY2-SM2-WITH-SM3"},
        {"timestamp": str(int(time.time()) - 301)},
        {"timestamp": str(int(time.time()) + 360)},
        {"timestamp": "now"},
        {"serial_no": "00FF"},
        {"sent": b'{"mchid": "other"}'},
        {"order": ["mchid", "timestamp", "signature", "serial_no"]},
        {"order": ["mchid", "mchid", "timestamp", "signature", "serial_no"]},
        {"headers": {"Authorization": None}},
        {"headers": {"Authorization": "WECHATPAY2-SHA256-RSA2048 nonsense"}},
    ],
)
def test_sign_error(pay, change):
    answer = pay.call("POST", NATIVE, order(), **change)
    assert code_of(answer) == (401, "SIGN_ERROR")
    assert number_of(answer) == 268443699
    assert "Wechatpay-Signature" in answer.headers


def test_path_and_query_are_signed(box, pay):
    authorization = pay.authorization("GET", QUERY, b"")
    headers = {"Authorization": authorization, "Accept": "*/*", "User-Agent": "t"}
    answer = box.http.get(box.url + QUERY.replace("0001?", "0002?"), headers=headers)
    assert answer.status_code == 401
    answer = box.http.get(box.url + QUERY + "&a=1", headers=headers)
    assert answer.status_code == 401
    assert box.http.get(box.url + QUERY, headers=headers).status_code == 404


def test_unknown_merchant(pay):
    answer = pay.call("GET", QUERY, mchid="1900000009")
    assert code_of(answer) == (400, "MCH_NOT_EXISTS")


def test_mandatory_headers(box, pay):
    authorization = pay.authorization("GET", QUERY, b"")
    for name in ("Accept", "User-Agent"):
        headers = {"Accept": "*/*", "User-Agent": "t", "Authorization": authorization}
        del headers[name]
        # http.client adds neither header by itself.
        connection = http.client.HTTPConnection(box.url.removeprefix("http://"))
        connection.request("GET", QUERY, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 400, name
        assert json.loads(answer.read())["code"] == "PARAM_ERROR"
        connection.close()
    answer = pay.call("GET", QUERY, headers={"Accept": "text/html"})
    assert answer.status_code == 406
    answer = pay.call("POST", NATIVE, order(), {"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_unknown_paths(pay):
    assert pay.call("GET", "/v3/nothing").status_code == 404
    assert pay.call("GET", NATIVE).status_code == 405


def test_certificates(box, pay):
    box.post("merchants/rotate_certificate")
    rows = pay.call("GET", "/v3/certificates").json()["data"]
    assert len(rows) == 2
    for row in rows:
        sealed = row["encrypt_certificate"]
        raw = AESGCM(KEY.encode()).decrypt(
            sealed["nonce"].encode(),
            base64.b64decode(sealed["ciphertext"]),
            sealed["associated_data"].encode(),
        )
        certificate = x509.load_pem_x509_certificate(raw)
        assert int(row["serial_no"], 16) == certificate.serial_number
        assert len(row["serial_no"]) % 2 == 0
        assert row["effective_time"].endswith("+08:00")
        assert row["serial_no"] in pay.keys or row is rows[-1]


def test_no_apiv3_key(box, account):
    made = box.post("merchants", mchid="1900000002", generate=True)
    other = Merchant(box, made)
    answer = other.call("GET", "/v3/certificates", mchid="1900000002")
    assert code_of(answer) == (401, "SIGN_ERROR")


# -- bodies
@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"extra": 1}, 270924358),
        ({"amount": {"total": 1000, "tax": 1}}, 270924358),
        ({"amount": {"total": "1000"}}, 268435461),
        ({"amount": {"total": 10.0}}, 268435461),
        ({"amount": {"total": True}}, 268435461),
        ({"amount": {"total": 0}}, 268435464),
        ({"amount": {"total": 1, "currency": "USD"}}, 268435461),
        ({"amount": None}, 268435461),
        ({"description": "字" * 128}, 268435464),
        ({"out_trade_no": "short"}, 268435464),
        ({"out_trade_no": "has blank"}, 268435461),
        ({"time_expire": "2030-01-01T00:00:00"}, 268435461),
        ({"time_expire": "2030-02-30T00:00:00+08:00"}, 268435461),
        ({"time_expire": "2020-01-01T00:00:00+08:00"}, 268435461),
        ({"notify_url": "http://shop.example/cb?x=1"}, 268435461),
        ({"notify_url": "shop.example"}, 268435461),
        ({"limit_pay": ["cash"]}, 268435461),
        ({"mchid": "1900000009"}, 268447843),
        ({"payer": {"openid": "o"}}, 270924358),
    ],
)
def test_bad_parameters(pay, change, number):
    answer = pay.call("POST", NATIVE, order(**change))
    assert code_of(answer) == (400, "PARAM_ERROR")
    assert number_of(answer) == number
    assert answer.json()["detail"]["field"]


def test_bad_json(pay):
    answer = pay.call("POST", NATIVE, body=b"{")
    assert code_of(answer) == (400, "PARAM_ERROR")


def test_wrong_appid(pay):
    answer = pay.call("POST", NATIVE, order(appid="wxother"))
    assert code_of(answer) == (400, "APPID_MCHID_NOT_MATCH")
    assert number_of(answer) == 268445527


def test_jsapi_needs_an_openid(pay, user):
    answer = pay.call("POST", JSAPI, order(payer={}))
    assert number_of(answer) == 268501013
    answer = pay.call("POST", JSAPI, order(payer={"openid": "onobody"}))
    assert code_of(answer) == (400, "PARAM_ERROR")
    answer = pay.call("POST", JSAPI, order(payer={"openid": user}))
    assert answer.json()["prepay_id"].startswith("wx")


# -- orders
def test_entering_an_order_again(box, pay, user):
    payer = {"openid": user}
    first = pay.call("POST", JSAPI, order(payer=payer)).json()["prepay_id"]
    second = pay.call("POST", JSAPI, order(payer=payer)).json()["prepay_id"]
    assert first != second
    other = order(payer=payer, amount={"total": 999, "currency": "CNY"})
    answer = pay.call("POST", JSAPI, other)
    assert code_of(answer) == (400, "INVALID_REQUEST")
    assert number_of(answer) == 268498688
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay", notify=False)
    answer = pay.call("POST", JSAPI, order(payer=payer))
    assert code_of(answer) == (400, "ORDERPAID")
    assert number_of(answer) == 268449538


def test_query_and_pay(box, pay):
    pay.call("POST", NATIVE, order(attach="till 1"))
    shown = pay.call("GET", QUERY).json()
    assert shown["trade_state"] == "NOTPAY" and "transaction_id" not in shown
    coupon = {"coupon_id": "1", "type": "NOCASH", "amount": 100}
    box.post(
        f"pay/orders/{MCHID}/ORDER-0001/pay", notify=False, promotion_detail=[coupon]
    )
    shown = pay.call("GET", QUERY).json()
    assert shown["trade_state"] == "SUCCESS"
    assert shown["amount"]["payer_total"] == 900
    assert shown["attach"] == "till 1"
    path = f"/v3/pay/transactions/id/{shown['transaction_id']}?mchid={MCHID}"
    assert pay.call("GET", path).json() == shown
    assert pay.call("GET", path.split("?")[0]).status_code == 400
    assert (
        pay.call("GET", "/v3/pay/transactions/id/1?mchid=" + MCHID).status_code == 404
    )
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay", status=409)


def test_close(box, pay):
    pay.call("POST", NATIVE, order())
    for _ in range(2):
        answer = pay.call("POST", CLOSE, {"mchid": MCHID})
        assert answer.status_code == 204 and answer.content == b""
        assert pay.verify(answer.headers, b"")
    assert pay.call("GET", QUERY).json()["trade_state"] == "CLOSED"
    assert code_of(pay.call("POST", NATIVE, order())) == (400, "ORDER_CLOSED")
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay", status=409)
    missing = CLOSE.replace("0001", "0002")
    assert pay.call("POST", missing, {"mchid": MCHID}).status_code == 404
    pay.call("POST", NATIVE, order(out_trade_no="ORDER-0002"))
    box.post(f"pay/orders/{MCHID}/ORDER-0002/pay", notify=False)
    answer = pay.call("POST", missing, {"mchid": MCHID})
    assert code_of(answer) == (400, "ORDER_PAID")


def test_an_order_expires(box, pay):
    expires = time.strftime(
        "%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(time.time() + 8 * 3600 + 600)
    )
    pay.call("POST", NATIVE, order(time_expire=expires))
    box.post("clock", advance=601)
    answer = pay.call("POST", NATIVE, order(time_expire=expires))
    assert number_of(answer) == 268447914
    assert pay.call("GET", QUERY).json()["trade_state"] == "CLOSED"


# -- notifications
@pytest.mark.parametrize("style", ["present", "empty", "absent"])
def test_notification(box, pay, receiver, user, style):
    box.post("settings", associated_data=style)
    pay.call("POST", NATIVE, order(notify_url=receiver.url))
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay", openid=user)
    (request,) = receiver.wait(1)
    assert pay.verify(request["headers"], request["body"])
    envelope = json.loads(request["body"])
    assert envelope["event_type"] == "TRANSACTION.SUCCESS"
    assert envelope["resource_type"] == "encrypt-resource"
    resource = envelope["resource"]
    assert resource["original_type"] == "transaction"
    assert len(resource["nonce"]) == 12
    expected = {"present": "transaction", "empty": "", "absent": None}[style]
    assert resource.get("associated_data") == expected
    data = unseal(resource)
    assert data["out_trade_no"] == "ORDER-0001" and data["payer"]["openid"] == user
    assert data == pay.call("GET", QUERY).json()


def test_notification_retries_keep_the_body(box, pay, receiver):
    box.post("settings", time_scale=0)
    receiver.replies = [(500, "")] * 3 + [(204, "")]
    pay.call("POST", NATIVE, order(notify_url=receiver.url))
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay")
    box.wait_callbacks()
    assert len(receiver.requests) == 4
    assert len({request["body"] for request in receiver.requests}) == 1
    signatures = {r["headers"]["Wechatpay-Signature"] for r in receiver.requests}
    assert len(signatures) == 4
    receiver.requests.clear()
    receiver.replies = [(500, "")] * 20
    box.post(f"pay/orders/{MCHID}/ORDER-0001/notify")
    box.wait_callbacks()
    assert len(receiver.requests) == 16


def test_notifications_follow_the_mode(box, pay, receiver):
    box.post("merchants", mchid=MCHID, mode="public_key", notify_url=receiver.url)
    box.post("pay_callbacks/send", mchid=MCHID, resource={"a": 1}, wait=5)
    sent = receiver.requests[-1]["headers"]["Wechatpay-Serial"]
    assert sent == pay.public_key_id
    options = {"mchid": MCHID, "resource": {}, "wait": 5}
    box.post("pay_callbacks/send", sign_with="certificate", **options)
    sent = receiver.requests[-1]["headers"]["Wechatpay-Serial"]
    assert sent != pay.public_key_id
    assert pay.verify(receiver.requests[-1]["headers"], receiver.requests[-1]["body"])


def test_signature_probe_is_passed_by_refusing(box, pay, receiver):
    box.post("merchants", mchid=MCHID, notify_url=receiver.url)
    receiver.replies = [(401, ""), (200, "")]
    options = {"mchid": MCHID, "resource": {}, "signtest": True, "no_retry": True}
    first = box.post("pay_callbacks/send", wait=5, **options)
    assert first["state"] == "done"
    headers = receiver.requests[-1]["headers"]
    assert headers["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")
    second = box.post("pay_callbacks/send", wait=5, **options)
    assert second["state"] == "failed"


def test_spoilt_notifications(box, pay, receiver):
    box.post("merchants", mchid=MCHID, notify_url=receiver.url)
    options = {"mchid": MCHID, "resource": {"a": 1}, "wait": 5}
    box.post("pay_callbacks/send", bad_signature=True, **options)
    request = receiver.requests[-1]
    assert not pay.verify(request["headers"], request["body"])
    box.post("pay_callbacks/send", key="z" * 32, **options)
    with pytest.raises(Exception):  # noqa: B017 (InvalidTag)
        unseal(json.loads(receiver.requests[-1]["body"])["resource"])
    box.post("callback_faults", kind="duplicate", times=1)
    count = len(receiver.requests)
    box.post("pay_callbacks/send", **options)
    box.wait_callbacks()
    one, two = receiver.requests[count:]
    assert one["body"] == two["body"]
    old = box.post("pay_callbacks/send", timestamp_offset=-301, **options)
    assert old["state"] == "done"
    stamp = int(receiver.requests[-1]["headers"]["Wechatpay-Timestamp"])
    assert time.time() - stamp > 300


# -- faults
def test_pay_faults(box, pay):
    box.fault(path="^/v3/", kind="http_status", status=502, times=1)
    answer = pay.call("GET", QUERY)
    assert answer.status_code == 502 and "Wechatpay-Signature" not in answer.headers
    box.fault(path="^/v3/", kind="http_status", status=429, times=1)
    answer = pay.call("GET", QUERY)
    assert code_of(answer) == (429, "FREQUENCY_LIMITED")
    assert pay.verify(answer.headers, answer.content)
    box.fault(path="^/v3/", kind="http_status", status=403, code="NO_AUTH", times=1)
    assert code_of(pay.call("GET", QUERY)) == (403, "NO_AUTH")
    box.fault(path="^/v3/", kind="bad_signature", times=1)
    answer = pay.call("POST", NATIVE, order())
    assert answer.status_code == 200
    assert not pay.verify(answer.headers, answer.content)
