"""Fixtures: a running sandbox, an account that may do everything, a callback URL."""

import sys
from pathlib import Path

import pytest
from harness import Api, Browser, Process, Receiver, cash_card
from pay_harness import APPID, KEY, KEY_V2, MCHID, Merchant
from product_harness import BRAND, STORES, BrandClient, PartnerClient, Shop

# Some tests look at single functions of the package.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


@pytest.fixture(scope="session")
def process():
    box = Process("--time-scale", "0.01")
    yield box
    assert box.stop() == 0


@pytest.fixture
def box(process):
    process.post("reset", keep_accounts=False)
    return process


@pytest.fixture
def account(box):
    """An account that may do everything, without a callback URL."""
    box.post(
        "accounts",
        appid="wxtest0000000001",
        secret="s" * 32,
        token="callback-token",
        encoding_aes_key="abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        original_id="gh_0123456789ab",
        can_create_coupons=True,
        can_custom_code=True,
        can_balance=True,
        can_bonus=True,
    )
    return "wxtest0000000001"


@pytest.fixture
def api(box, account):
    return Api(box, account, "s" * 32)


@pytest.fixture
def user(box):
    return box.post("users", nickname="小明")["openid"]


@pytest.fixture
def card(box, api):
    """A reviewed cash coupon."""
    card_id = api.post("card/create", card=cash_card())["card_id"]
    box.post(f"cards/{card_id}/review", **{"pass": True})
    return card_id


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.close()


@pytest.fixture
def listening(box, account, card, receiver):
    """From now on the receiver is the account's callback URL."""
    box.post("accounts", appid=account, callback_url=receiver.url)
    return receiver


@pytest.fixture
def browser(box):
    return Browser(box)


@pytest.fixture
def pay(box, account):
    """A merchant with both keys, and a client for it."""
    made = box.post(
        "merchants",
        mchid=MCHID,
        appids=[APPID],
        apiv3_key=KEY,
        apiv2_key=KEY_V2,
        generate=True,
    )
    return Merchant(box, made)


@pytest.fixture(scope="session")
def keep():
    """Make a party with the keys that it had before: new keys take long."""
    kept = {}

    def make(box, path, **values):
        if path not in kept:
            made = box.post(path, generate=True, **values)
            names = ("merchant_cert_pem", "merchant_private_key_pem")
            kept[path] = {name: made[name] for name in names}
            return made
        pem = kept[path]["merchant_cert_pem"]
        return {**kept[path], **box.post(path, merchant_cert_pem=pem, **values)}

    return make


@pytest.fixture
def brand(box, account, keep):
    """A brand that signs for itself, and a client for it."""
    made = keep(
        box,
        "brands",
        brand_id=BRAND,
        name="示例品牌",
        appids=[APPID],
        stores=STORES,
        apiv3_key=KEY,
    )
    return BrandClient(box, made)


@pytest.fixture
def partner(box, brand, keep):
    """A service provider whom the brand has authorised, and a client for it."""
    made = keep(box, "merchants", mchid=MCHID, appids=[APPID], apiv3_key=KEY)
    box.post("brands", brand_id=BRAND, providers=[MCHID])
    return PartnerClient(box, made)


@pytest.fixture(params=["brand", "partner"])
def shop(request, box, user, brand, partner):
    """Product coupons through each of the two doors."""
    client = request.getfixturevalue(request.param)
    return Shop(box, client, user, partner)
