"""The training shop: its data in Odoo, its account in the sandbox."""

import datetime
import json
import secrets
import string
import urllib.request
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from . import databases, paths
from .postgres import Database
from .services import Stack
from .stamps import digest

APPID = "wx8a1b2c3d4e5f6071"
ORIGINAL_ID = "gh_7f083739789a"
MCHID = "1900012345"
CONTENT = Path(__file__).with_name("shop_data.py")


def credentials() -> dict[str, str]:
    """Random secrets of the training account, kept for this checkout only."""
    return _kept("training-account.json", _new_account)


def merchant_credentials() -> dict[str, str]:
    """The same for the training merchant: its keys and its certificate."""
    return _kept("training-merchant.json", _new_merchant)


def _kept(name: str, make) -> dict[str, str]:
    file = paths.RUN / name
    if file.exists():
        return json.loads(file.read_text())
    made = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(0o600)
    file.write_text(json.dumps(made))
    return made


LETTERS = string.ascii_letters + string.digits


def _new_account() -> dict[str, str]:
    return {
        "secret": secrets.token_hex(16),
        "token": secrets.token_hex(12),
        "encoding_aes_key": "".join(secrets.choice(LETTERS) for _ in range(42)) + "A",
    }


def _new_merchant() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, MCHID)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1825))
        .sign(key, hashes.SHA256())
    )
    return {
        "apiv3_key": "".join(secrets.choice(LETTERS) for _ in range(32)),
        "apiv2_key": "".join(secrets.choice(LETTERS) for _ in range(32)),
        "private_key": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
    }


def _public_pem(certificate: str) -> str:
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


LANGUAGE = """
languages = env["res.lang"].with_context(active_test=False)
chinese = languages.search([("code", "=", "zh_CN")])
env["base.language.install"].create({"lang_ids": chinese.ids}).lang_install()
env.cr.commit()
"""


def template(database: Database, **settings) -> str:
    """The name of a template database that holds the shop.

    :param settings: ``lang`` is the language of the shop's people
    """
    known = {
        "appid": APPID,
        "original_id": ORIGINAL_ID,
        **credentials(),
        "mchid": MCHID,
        "merchant": merchant_credentials(),
        "public_pem": _public_pem(merchant_credentials()["certificate"]),
        **settings,
    }
    code = f"SETTINGS = {known!r}\n{CONTENT.read_text()}"
    source = databases.with_addons(database)

    def build(name: str) -> None:
        # Odoo's --load-language comes before most models are there, and leaves out
        # their terms.
        databases.shell(database, name, LANGUAGE)
        databases.shell(database, name, code)

    key = digest(source, code, LANGUAGE)
    return databases.derived(database, "shop", source, key, build)


def aim(stack: Stack) -> None:
    """Tell the database where Odoo and the sandbox will be; before Odoo starts."""
    stack.database.execute(
        "UPDATE ir_config_parameter SET value = %s WHERE key = 'web.base.url'",
        stack.url,
        name=stack.name,
    )
    stack.database.execute(
        "UPDATE wechat_account SET sandbox_url = %s WHERE appid = %s",
        stack.sandbox_url,
        APPID,
        name=stack.name,
    )
    stack.database.execute(
        "UPDATE wechat_merchant SET sandbox_url = %s WHERE mchid = %s",
        stack.sandbox_url,
        MCHID,
        name=stack.name,
    )


def connect(stack: Stack, **options) -> None:
    """Tell the sandbox of the shop's account and where its callbacks go.

    :param options: further fields of the sandbox's account
    """
    rows = stack.database.execute(
        "SELECT callback_key FROM wechat_account WHERE appid = %s AND active",
        APPID,
        name=stack.name,
    )
    account = {
        "appid": APPID,
        "original_id": ORIGINAL_ID,
        **credentials(),
        "callback_mode": "safe",
        "callback_url": f"{stack.url}/wechat/oa/{rows[0][0]}",
        "can_create_coupons": True,
        **options,
    }
    _post(stack, "accounts", account)
    _connect_merchant(stack)
    _post(stack, "settings", {"auto_review_seconds": 1, "time_scale": 0.1})


def _connect_merchant(stack: Stack) -> None:
    """Exchange keys: the sandbox has made its own when it started."""
    mine = merchant_credentials()
    theirs = _post(
        stack,
        "merchants",
        {
            "mchid": MCHID,
            "appids": [APPID],
            "apiv3_key": mine["apiv3_key"],
            "apiv2_key": mine["apiv2_key"],
            "merchant_cert_pem": mine["certificate"],
        },
    )
    stack.database.execute(
        "UPDATE wechat_merchant_key SET serial = %s, pem = %s WHERE merchant_id = "
        "(SELECT id FROM wechat_merchant WHERE mchid = %s)",
        theirs["public_key_id"],
        theirs["public_key_pem"],
        MCHID,
        name=stack.name,
    )


def _post(stack: Stack, path: str, body: dict) -> dict:
    request = urllib.request.Request(
        f"{stack.sandbox_url}/sandbox/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"{}")


def welcome(stack: Stack) -> str:
    return f"""
Odoo:            {stack.url.replace("127.0.0.1", "localhost")}
  admin / admin            everything
  cashier / cashier        the till (收银员)
  marketer / marketer      coupons (营销)
  accountant / accountant  redemptions and reports (会计)
Customer phone:  {stack.sandbox_url.replace("127.0.0.1", "localhost")}/phone
Logs:            {paths.LOGS}
Ctrl-C stops everything; the data stays for the next time."""
