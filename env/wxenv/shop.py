"""The training shop: its data in Odoo, its account in the sandbox."""

import json
import secrets
import string
import urllib.request
from pathlib import Path

from . import databases, paths
from .postgres import Database
from .services import Stack
from .stamps import digest

APPID = "wx8a1b2c3d4e5f6071"
ORIGINAL_ID = "gh_7f083739789a"
CONTENT = Path(__file__).with_name("shop_data.py")


def credentials() -> dict[str, str]:
    """Random secrets of the training account, kept for this checkout only."""
    file = paths.RUN / "training-account.json"
    if file.exists():
        return json.loads(file.read_text())
    letters = string.ascii_letters + string.digits
    made = {
        "secret": secrets.token_hex(16),
        "token": secrets.token_hex(12),
        "encoding_aes_key": "".join(secrets.choice(letters) for _ in range(42)) + "A",
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(0o600)
    file.write_text(json.dumps(made))
    return made


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
    _post(stack, "settings", {"auto_review_seconds": 1, "time_scale": 0.1})


def _post(stack: Stack, path: str, body: dict) -> None:
    request = urllib.request.Request(
        f"{stack.sandbox_url}/sandbox/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10):
        pass


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
