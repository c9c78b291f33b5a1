"""Clients that others wrote, unchanged except for the host."""

import gzip
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from harness import cash_card
from requests.adapters import HTTPAdapter

NODE = Path(__file__).parent / "node"
MCHID = "1900000001"
APPID = "wxtest0000000001"
KEY = "k" * 32


# -- wechatpy
class OtherHost(HTTPAdapter):
    """Send what is meant for WeChat's host to the sandbox."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def send(self, request, **options):
        request.url = self.url + request.path_url
        return super().send(request, **options)


@pytest.fixture
def client(box, account):
    from wechatpy import WeChatClient

    client = WeChatClient(account, "s" * 32, timeout=10)
    client._http.trust_env = False
    client._http.mount("https://api.weixin.qq.com/", OtherHost(box.url))
    return client


def test_wechatpy_life_of_a_coupon(box, client, user, listening):
    from wechatpy import parse_message
    from wechatpy.exceptions import WeChatClientException

    png = b"\x89PNG\r\n\x1a\n0000"
    logo = client.media.upload_image(("logo.png", png, "image/png"))
    logo = logo["url"] if isinstance(logo, dict) else logo
    assert len(client.card.get_colors()) == 14
    card_id = client.card.create({"card": cash_card(logo_url=logo)})
    assert client.card.get(card_id)["cash"]["base_info"]["id"] == card_id
    box.post(f"cards/{card_id}/review", **{"pass": True})
    assert card_id in client.card.batch_get()["card_id_list"]
    assert client.card.create_qrcode(
        {"action_name": "QR_CARD", "action_info": {"card": {"card_id": card_id}}}
    )
    code = box.post(f"phone/{user}/receive", card_id=card_id)["code"]
    assert client.card.get_code(code)["openid"] == user
    held = client.card.get_card_list(user, card_id)
    assert held["card_list"] == [{"code": code, "card_id": card_id}]
    assert client.card.consume_code(code)["openid"] == user
    with pytest.raises(WeChatClientException) as caught:
        client.card.consume_code(code)
    assert caught.value.errcode == 40099
    client.card.modify_stock(card_id, -50)
    client.card.set_test_whitelist([user])
    encrypted = box.code(code)["encrypt_code"]
    assert client.card.decrypt_code(encrypted) == code
    second = box.post(f"phone/{user}/receive", card_id=card_id)["code"]
    client.card.invalid_code(second)
    client.card.delete(card_id)
    assert client.jsapi.get_jsapi_card_ticket() != client.jsapi.get_jsapi_ticket()
    box.wait_callbacks()
    messages = [parse_message(item["body"]) for item in listening.requests]
    kinds = {message.event: message for message in messages}
    assert set(kinds) == {"card_pass_check", "user_get_card", "user_consume_card"}
    assert kinds["user_consume_card"].code == code


def test_wechatpy_renews_its_token(box, client):
    assert client.card.get_colors()
    box.fault(path="getcolors", kind="expire_token", times=1)
    assert client.card.get_colors()
    paths = [entry["path"] for entry in box.get("log")]
    assert paths.count("/cgi-bin/token") == 2


@pytest.mark.parametrize("style", ["tight", "blank", "mixed"])
def test_wechatpy_reads_encrypted_events(box, listening, account, card, user, style):
    from wechatpy import parse_message
    from wechatpy.crypto import WeChatCrypto
    from wechatpy.exceptions import InvalidAppIdException, InvalidSignatureException
    from wechatpy.utils import check_signature

    box.post("accounts", appid=account, callback_mode="safe", cdata_style=style)
    code = box.post(f"phone/{user}/receive", card_id=card)["code"]
    (request,) = listening.wait(1)
    query = request["query"]
    signature = [query["signature"], query["timestamp"], query["nonce"]]
    check_signature("callback-token", *signature)
    key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    crypto = WeChatCrypto("callback-token", key, account)

    def read(request):
        query = request["query"]
        names = ("msg_signature", "timestamp", "nonce")
        return crypto.decrypt_message(
            request["body"].decode(), *(query[name] for name in names)
        )

    message = parse_message(read(request))
    assert message.event == "user_get_card" and message.code == code
    box.post("callback_faults", kind="wrong_appid", times=1)
    box.post(f"phone/{user}/delete", code=code)
    with pytest.raises(InvalidAppIdException):
        read(listening.wait(2)[1])
    box.post("callback_faults", kind="bad_signature", times=1)
    box.post(f"phone/{user}/receive", card_id=card)
    with pytest.raises(InvalidSignatureException):
        read(listening.wait(3)[2])


def test_wechatpy_oauth(box, account, user):
    from wechatpy.oauth import WeChatOAuth

    class OAuth(WeChatOAuth):
        API_BASE_URL = f"{box.url}/"
        OAUTH_BASE_URL = f"{box.url}/connect/"

    oauth = OAuth(account, "s" * 32, "http://shop.example/me", state="x")
    page = box.http.get(oauth.authorize_url.split("#")[0])
    assert "小明" in page.text
    cookies = {"sandbox_openid": user}
    answer = box.http.get(oauth.authorize_url, cookies=cookies, allow_redirects=False)
    code = answer.headers["Location"].split("code=")[1].split("&")[0]
    assert oauth.fetch_access_token(code)["openid"] == user


# -- wechatpayv3
@pytest.fixture
def merchant(box, account):
    return box.post(
        "merchants",
        mchid=MCHID,
        appids=[APPID],
        apiv3_key=KEY,
        generate=True,
        mode="public_key",
    )


def pay_client(box, merchant, **options):
    from wechatpayv3 import WeChatPay, WeChatPayType

    client = WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE,
        mchid=MCHID,
        private_key=merchant["merchant_private_key_pem"],
        cert_serial_no=merchant["merchant_serial"],
        apiv3_key=KEY,
        appid=APPID,
        notify_url="http://127.0.0.1:9/notify",
        timeout=(5, 10),
        **options,
    )
    client._core._gate_way = box.url
    return client


@pytest.fixture
def payer(box, merchant):
    """The client in public-key mode."""
    return pay_client(
        box,
        merchant,
        public_key=merchant["public_key_pem"],
        public_key_id=merchant["public_key_id"],
    )


def test_wechatpayv3_public_key(box, payer, receiver):
    client = payer
    status, text = client.pay(
        description="咖啡",
        out_trade_no="ORDER-0001",
        amount={"total": 100},
        notify_url=receiver.url,
    )
    assert status == 200 and json.loads(text)["code_url"]
    status, text = client.query(out_trade_no="ORDER-0001")
    assert json.loads(text)["trade_state"] == "NOTPAY"
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay")
    (request,) = receiver.wait(1)
    notice = client.callback(request["headers"], request["body"])
    assert notice["event_type"] == "TRANSACTION.SUCCESS"
    assert notice["resource"]["trade_state"] == "SUCCESS"
    status, text = client.close(out_trade_no="ORDER-0001")
    assert status == 400 and json.loads(text)["code"] == "ORDER_PAID"
    client.pay(description="茶", out_trade_no="ORDER-0002", amount={"total": 1})
    assert client.close(out_trade_no="ORDER-0002")[0] == 204
    status, text = client.pay(
        description="茶", out_trade_no="ORDER-0003", amount={"total": 0}
    )
    assert status == 400 and json.loads(text)["code"] == "PARAM_ERROR"
    headers = {**request["headers"], "Wechatpay-Signature": "AAAA"}
    assert client.callback(headers, request["body"]) is None


def test_wechatpayv3_notices_a_bad_signature(box, payer):
    client = payer
    box.fault(path="^/v3/", kind="bad_signature", times=1)
    with pytest.raises(Exception, match="verify the signature"):
        client.pay(description="a", out_trade_no="ORDER-0001", amount={"total": 1})


def test_wechatpayv3_certificates(box, merchant, tmp_path):
    box.post("merchants", mchid=MCHID, mode="certificate")
    # A certificate on disk keeps the constructor from asking the real host.
    (tmp_path / "platform.pem").write_text(merchant["platform_cert_pem"])
    client = pay_client(box, merchant, cert_dir=str(tmp_path))
    client._core._update_certificates()
    assert len(client._core._certificates) >= 1
    order = {"description": "a", "out_trade_no": "ORDER-0001", "amount": {"total": 1}}
    status, _text = client.pay(**order)
    assert status == 200
    # After a change of certificate the client finds the new one by itself.
    box.post("merchants/rotate_certificate")
    status, _text = client.query(out_trade_no="ORDER-0001")
    assert status == 200


def test_wechatpayv3_shop_coupons(box, payer, user, receiver):
    from coupon_harness import at, stock

    box.post("settings", busifavor_creating=False)
    client, body = payer, stock(notify_config={"notify_appid": APPID})
    status, text = client.marketing_busifavor_stock_create(**body)
    assert status == 200, text
    number = json.loads(text)["stock_id"]
    url = receiver.url
    assert client.marketing_busifavor_callback_update(MCHID, url)[0] == 200
    code = box.post(f"phone/{user}/busifavor", stock_id=number)["coupon_code"]
    (request,) = receiver.wait(1)
    notice = client.callback(request["headers"], request["body"])
    assert notice["event_type"] == "COUPON.SEND"
    assert notice["resource"]["openid"] == user
    found = client.marketing_busifavor_user_coupon(user, creator_merchant=MCHID)
    assert json.loads(found[1])["data"][0]["coupon_code"] == code
    for _ in range(2):
        used = client.marketing_busifavor_coupon_use(code, at(), "U1", number)
        assert used[0] == 200, used
    shown = client.marketing_busifavor_coupon_detail(code, user)
    assert json.loads(shown[1])["coupon_state"] == "USED"
    assert client.marketing_busifavor_coupon_return(code, number, "R1")[0] == 200
    change = {"current_max_coupons": 100, "target_max_coupons": 101}
    told = client.marketing_busifavor_stock_budget(number, "B1", **change)
    assert json.loads(told[1]) == {"max_coupons": 101}
    gone = client.marketing_busifavor_coupon_deactivate(code, number, "D1", "x")
    assert gone[0] == 200, gone


def test_wechatpayv3_cash_vouchers(box, payer, user, receiver):
    from coupon_harness import favor_stock

    client = payer
    status, text = client.marketing_favor_stock_create(**favor_stock())
    assert status == 200, text
    number = json.loads(text)["stock_id"]
    assert client.marketing_favor_callback_update(receiver.url)[0] == 200
    assert client.marketing_favor_stock_start(MCHID, number)[0] == 200
    box.post("clock", advance=61)
    told = client.marketing_favor_stock_send(number, user, "S1", MCHID)
    coupon = json.loads(told[1])["coupon_id"]
    client.pay(description="茶", out_trade_no="ORDER-0001", amount={"total": 1000})
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay", openid=user, notify=False)
    (request,) = receiver.wait(1)
    notice = client.callback(request["headers"], request["body"])
    assert notice["event_type"] == "COUPON.USE"
    assert notice["resource"]["coupon_id"] == coupon
    shown = json.loads(client.marketing_favor_coupon_detail(coupon, user)[1])
    assert shown["status"] == "USED"
    rows = json.loads(client.marketing_favor_stock_list(MCHID)[1])
    assert rows["data"][0]["distributed_coupons"] == 1
    assert client.marketing_favor_stock_merchant(MCHID, number)[0] == 200


def charge(client, code, number, total=100, **more):
    from wechatpayv3 import WeChatPayType

    status, text = client.pay(
        description="咖啡",
        out_trade_no=number,
        amount={"total": total},
        payer={"auth_code": code},
        scene_info={"store_info": {"id": "1"}},
        pay_type=WeChatPayType.CODEPAY,
        **more,
    )
    return status, json.loads(text)


def test_wechatpayv3_codepay(box, payer, user):
    code = box.post(f"phone/{user}/pay_code")["auth_code"]
    status, shown = charge(payer, code, "ORDER-0001")
    assert status == 200 and shown["trade_state"] == "SUCCESS"
    code = box.post(f"phone/{user}/pay_code")["auth_code"]
    status, shown = charge(payer, code, "ORDER-0002", 100001)
    assert status == 202 and shown == {"trade_state": "USERPAYING"}
    status, text = payer.codepay_reverse(out_trade_no="ORDER-0002")
    assert status == 200 and json.loads(text)["out_trade_no"] == "ORDER-0002"
    _status, text = payer.query(out_trade_no="ORDER-0002")
    assert json.loads(text)["trade_state"] == "REVOKED"


def test_wechatpayv3_partner(box, merchant, user):
    sub = {"sub_mchid": "1900000011"}
    box.post("merchants", mchid=MCHID, sub_mchids=[sub["sub_mchid"]])
    client = pay_client(
        box,
        merchant,
        public_key=merchant["public_key_pem"],
        public_key_id=merchant["public_key_id"],
        partner_mode=True,
    )
    order = {"description": "茶", "out_trade_no": "ORDER-0001", "amount": {"total": 9}}
    assert "code_url" in json.loads(client.pay(**order, **sub)[1])
    assert client.close(out_trade_no="ORDER-0001", **sub)[0] == 204
    code = box.post(f"phone/{user}/pay_code")["auth_code"]
    status, shown = charge(client, code, "ORDER-0002", **sub)
    assert status == 200 and shown["sub_mchid"] == sub["sub_mchid"]
    status, text = client.query(out_trade_no="ORDER-0002", **sub)
    assert json.loads(text) == shown
    amount = {"refund": 40, "total": 100, "currency": "CNY"}
    refund = {"out_refund_no": "R1", "out_trade_no": "ORDER-0002", "amount": amount}
    status, text = client.refund(**refund, **sub)
    assert (status, json.loads(text)["status"]) == (200, "PROCESSING")
    assert client.query_refund(out_refund_no="R1", **sub) == (200, text)
    box.post(f"phone/{user}/ask_password")
    code = box.post(f"phone/{user}/pay_code")["auth_code"]
    assert charge(client, code, "ORDER-0003", **sub)[0] == 202
    assert client.codepay_reverse(out_trade_no="ORDER-0003", **sub)[0] == 200


def test_wechatpayv3_refund_and_bill(box, payer, receiver):
    # Noon in Beijing, so that the day does not end meanwhile.
    now = box.get("state")["now"]
    noon = now - (now + 8 * 3600) % 86400 + 12 * 3600
    box.post("clock", set=noon)
    day = time.strftime("%Y-%m-%d", time.gmtime(noon + 8 * 3600))
    payer.pay(description="茶", out_trade_no="ORDER-0001", amount={"total": 100})
    box.post(f"pay/orders/{MCHID}/ORDER-0001/pay", notify=False)
    status, text = payer.refund(
        out_refund_no="R1",
        out_trade_no="ORDER-0001",
        amount={"refund": 100, "total": 100, "currency": "CNY"},
        notify_url=receiver.url,
    )
    assert status == 200 and json.loads(text)["status"] == "PROCESSING"
    box.post(f"pay/refunds/{MCHID}/R1")
    (request,) = receiver.wait(1)
    notice = payer.callback(request["headers"], request["body"])
    assert notice["event_type"] == "REFUND.SUCCESS"
    assert notice["resource"]["refund_status"] == "SUCCESS"
    _status, text = payer.query_refund("R1")
    assert json.loads(text)["status"] == "SUCCESS"
    box.post("clock", advance=86400)
    for ask in (payer.trade_bill, payer.fundflow_bill):
        status, text = ask(day)
        assert status == 200
        status, raw = payer.download_bill(json.loads(text)["download_url"])
        assert status == 200 and gzip.decompress(raw).startswith(b"\xef\xbb\xbf")


def test_wechatpy_micropay(box, merchant, user):
    from wechatpy.exceptions import WeChatPayException
    from wechatpy.pay import WeChatPay

    box.post("merchants", mchid=MCHID, apiv2_key="v" * 32)
    client = WeChatPay(APPID, "v" * 32, MCHID, timeout=10)
    client._http.trust_env = False
    client._http.mount("https://api.mch.weixin.qq.com/", OtherHost(box.url))
    code = box.post(f"phone/{user}/pay_code")["auth_code"]
    trade = {"body": "咖啡", "total_fee": 100, "client_ip": "127.0.0.1"}
    shown = client.micropay.create(auth_code=code, out_trade_no="ORDER-1", **trade)
    assert shown["trade_type"] == "MICROPAY" and shown["cash_fee"] == "100"
    queried = client.order.query(out_trade_no="ORDER-1")
    assert queried["trade_state"] == "SUCCESS"
    with pytest.raises(WeChatPayException) as caught:
        client.micropay.create(auth_code=code, out_trade_no="ORDER-2", **trade)
    assert caught.value.errcode == "AUTH_CODE_INVALID"
    assert client.order.reverse(out_trade_no="ORDER-1")["recall"] == "N"


# -- Node
@pytest.fixture(scope="session")
def node_modules(tmp_path_factory):
    """Install the Node client from its lock file, once, outside the source."""
    if not shutil.which("npm"):
        # The sandbox itself needs no Node; only this client, which is not ours, does.
        pytest.skip("no npm: install Node.js 18.18 or newer to try the Node client")
    target = tmp_path_factory.mktemp("node")
    for path in NODE.iterdir():
        if path.name != "node_modules":
            shutil.copy(path, target)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=target, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def test_wechatpay_axios_plugin(box, merchant, node_modules, receiver, user):
    settings = {
        "auth_code": box.post(f"phone/{user}/pay_code")["auth_code"],
        "url": box.url,
        "mchid": MCHID,
        "appid": APPID,
        "notify_url": receiver.url,
        "apiv3_key": KEY,
        **merchant,
    }
    done = subprocess.run(
        ["node", "client.js"],
        cwd=node_modules,
        input=json.dumps(settings),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["created"] == 200 and report["code_url"].startswith("weixin://")
    assert report["state"] == "NOTPAY"
    assert report["refused"] == {"status": 400, "code": "PARAM_ERROR"}
    assert report["closed"] == 204
    assert report["charged"] == "SUCCESS" and report["refund"] == "PROCESSING"
    assert report["paid"] == report["transaction_id"]
    assert report["refunded"] == "PROCESSING"
    assert report["forged"] is True
