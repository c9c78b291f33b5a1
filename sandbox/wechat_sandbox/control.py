"""The control API under /sandbox/: set up, look inside, act for people, break it."""

import asyncio
import ipaddress
import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import (
    __version__,
    oa_card,
    oa_crypto,
    oa_qrcode,
    pay_keys,
    wallet,
)
from .errors import ControlError, OaError, PayError
from .state import DEFAULT_SETTINGS, SETTING_CHOICES, Account, Merchant, User

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Card, Code

ACCOUNT_FIELDS = {
    "appid": str,
    "secret": str,
    "name": str,
    "token": str,
    "encoding_aes_key": str,
    "original_id": str,
    "callback_url": str,
    "callback_mode": str,
    "cdata_style": str,
    "can_create_coupons": bool,
    "can_create_member_cards": bool,
    "can_create_general_cards": bool,
    "can_custom_code": bool,
    "can_balance": bool,
    "can_bonus": bool,
    "ip_whitelist": (list, type(None)),
    "oauth_domains": (list, type(None)),
    "templates": dict,
    "admin_openid": str,
}
CHOICES = {
    "callback_mode": ("plain", "compat", "safe"),
    "cdata_style": ("tight", "blank", "mixed"),
    "mode": ("certificate", "public_key", "both"),
    "blocked": ("", "disabled", "restricted"),
}
MERCHANT_FIELDS = {
    "mchid": str,
    "appids": list,
    "sub_mchids": list,
    "blocked": str,
    "apiv3_key": str,
    "apiv2_key": str,
    "merchant_serial": str,
    "merchant_public_key_pem": str,
    "merchant_cert_pem": str,
    "mode": str,
    "notify_url": str,
    "can_busifavor": bool,
    "can_send_busifavor": bool,
    "balance": (int, type(None)),
    "generate": bool,
}

_logger = logging.getLogger(__name__)

routes: list[tuple[str, str, Callable]] = []


def control(method: str, path: str) -> Callable:
    """Register a control call.  Handlers get the sandbox, the request, the body."""

    def register(handler: Callable) -> Callable:
        routes.append((method, path, handler))
        return handler

    return register


def add_routes(app: web.Application) -> None:
    for method, path, handler in routes:
        app.router.add_route(method, path, _wrap(handler))


def _wrap(handler: Callable) -> Callable:
    async def serve(request: web.Request) -> web.Response:
        from .app import BOX

        box = request.app[BOX]
        try:
            _check_peer(box, request)
            data = await _body(request)
            result = handler(box, request, data)
            if asyncio.iscoroutine(result):
                result = await result
            box.state.touch()
            return _json(result)
        except ControlError as error:
            return _json({"ok": False, "error": str(error)}, error.status)
        except OaError as error:
            payload = {"ok": False, "errcode": error.errcode, "errmsg": str(error)}
            return _json(payload, 409)
        except PayError as error:
            payload = {"ok": False, "code": error.code, "number": error.number}
            return _json({**payload, "error": str(error)}, 409)
        except (TypeError, ValueError, OverflowError) as error:
            # A value of the wrong kind; the caller is a test and wants to know.
            _logger.info("control call failed", exc_info=error)
            return _json({"ok": False, "error": f"bad value: {error}"}, 400)

    return serve


def _json(payload: Any, status: int = 200) -> web.Response:
    text = json.dumps(payload, ensure_ascii=False)
    return web.Response(text=text, status=status, content_type="application/json")


def _check_peer(box: "Sandbox", request: web.Request) -> None:
    """The control API has no password: it is for this machine only."""
    if box.remote_control:
        return
    try:
        if ipaddress.ip_address(request.remote or "").is_loopback:
            return
    except ValueError:
        pass
    raise ControlError("the control API answers this machine only", 403)


async def _body(request: web.Request) -> dict[str, Any]:
    if request.method not in ("POST", "PUT", "PATCH"):
        return {}
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        data = json.loads(raw)
    except ValueError:
        raise ControlError("the body is not JSON") from None
    if not isinstance(data, dict):
        raise ControlError("the body must be an object")
    return data


def _fields(data: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Check names, types and choices of a record that a test sends."""
    for name, value in data.items():
        if name not in known:
            raise ControlError(f"unknown field {name}")
        if not isinstance(value, known[name]):
            raise ControlError(f"{name} has the wrong type")
        if name in CHOICES and value not in CHOICES[name]:
            raise ControlError(f"{name} must be one of {', '.join(CHOICES[name])}")
    return data


# -- service -------------------------------------------------------
@control("GET", "/sandbox/health")
def health(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return {"ok": True, "version": __version__}


@control("POST", "/sandbox/reset")
def reset(box: "Sandbox", request: web.Request, data: dict) -> dict:
    box.reset(bool(data.get("keep_accounts")))
    return {"ok": True}


@control("GET", "/sandbox/settings")
def get_settings(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return dict(box.state.settings)


@control("POST", "/sandbox/settings")
def set_settings(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Change settings; ``seed`` makes random values repeatable."""
    data = dict(data)
    if "seed" in data:
        seed = data.pop("seed")
        if seed is not None and not isinstance(seed, int):
            raise ControlError("seed must be a number or null")
        box.state.seed(seed)
    unknown = set(data) - set(DEFAULT_SETTINGS)
    if unknown:
        raise ControlError(f"unknown settings: {', '.join(sorted(unknown))}")
    for name, value in data.items():
        _check_setting(name, value)
    box.state.settings.update(data)
    box.outbox.slots.clear()
    if "auto_review_seconds" in data:
        box.reviewer.clear()
        box.reviewer.resume()
    return dict(box.state.settings)


def _check_setting(name: str, value: Any) -> None:
    default = DEFAULT_SETTINGS[name]
    if value not in SETTING_CHOICES.get(name, (value,)):
        raise ControlError(f"bad value for {name}")
    if name in ("auto_review_seconds", "free_payments") and value is None:
        return
    if isinstance(default, bool) or isinstance(value, bool):
        good = isinstance(value, bool) and isinstance(default, bool)
    elif isinstance(default, str):
        good = isinstance(value, str)
    else:
        good = isinstance(value, int | float) and value >= 0
    if not good:
        raise ControlError(f"bad value for {name}")


@control("POST", "/sandbox/clock")
def set_clock(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Move the business clock: {"advance": s}, {"set": unix time}, {"reset": true}."""
    try:
        if data.get("reset"):
            box.clock.offset = 0.0
        if "set" in data:
            box.clock.offset += float(data["set"]) - box.clock.now()
        box.clock.offset += float(data.get("advance", 0))
    except (TypeError, ValueError):
        raise ControlError("advance and set are numbers of seconds") from None
    return {"now": box.clock.now(), "offset": box.clock.offset}


@control("POST", "/sandbox/save")
def save(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Write the snapshot at once."""
    box.save()
    return {"ok": bool(box.storage)}


# -- accounts and merchants -------------------------------------------------------
@control("POST", "/sandbox/accounts")
def upsert_account(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return put_account(box, data)


def put_account(box: "Sandbox", data: dict) -> dict:
    """Make or change an account; fields that are not sent stay as they are."""
    _fields(data, ACCOUNT_FIELDS)
    appid = data.get("appid")
    if not appid:
        raise ControlError("appid is required")
    account = box.state.accounts.get(appid)
    values = vars(account) if account else {}
    merged = {**{k: v for k, v in values.items() if k in ACCOUNT_FIELDS}, **data}
    if merged.get("callback_mode", "plain") != "plain":
        _check_aes_key(merged.get("encoding_aes_key") or "")
    if account is None:
        account = box.state.accounts[appid] = Account(appid)
        account.original_id = "gh_" + box.state.random_text(12, "0123456789abcdef")
        account.admin_openid = "oAdmin" + box.state.random_text(22)
    for name, value in data.items():
        setattr(account, name, value)
    box.state.touch()
    return show_account(account)


def _check_aes_key(key: str) -> None:
    try:
        oa_crypto.aes_key(key)
    except ValueError:
        raise ControlError("encoding_aes_key must be a 43-character key") from None


def show_account(account: Account) -> dict:
    hidden = {"secret", "encoding_aes_key", "token", "tickets", "quota"}
    shown = {key: value for key, value in vars(account).items() if key not in hidden}
    return {**shown, "subscribers": sorted(account.subscribers)}


def _account(box: "Sandbox", appid: Any) -> Account:
    account = box.state.accounts.get(appid) if isinstance(appid, str) else None
    if account is None:
        raise ControlError("unknown appid", 404)
    return account


@control("POST", "/sandbox/accounts/{appid}/verify_callback")
async def verify_callback(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Ask the callback URL to echo, as WeChat does when the URL is saved."""
    account = _account(box, request.match_info["appid"])
    return await box.outbox.verify_callback(account)


@control("POST", "/sandbox/merchants")
def upsert_merchant(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return put_merchant(box, data)


def put_merchant(box: "Sandbox", data: dict) -> dict:
    """Make or change a merchant; answer the platform's keys.

    ``generate`` makes the merchant's own key and certificate too.
    """
    _fields(data, MERCHANT_FIELDS)
    mchid = data.get("mchid")
    if not mchid:
        raise ControlError("mchid is required")
    if mchid in box.state.brands:
        raise ControlError("there is a brand with this number", 409)
    values = dict(data)
    made = {}
    if values.pop("generate", False):
        made = _new_merchant_key(mchid)
        values["merchant_cert_pem"] = made["merchant_cert_pem"]
    certificate = values.pop("merchant_cert_pem", "")
    if certificate:
        values.update(box.pay.read_certificate(certificate))
    if values.get("merchant_public_key_pem"):
        box.pay.check_public_key(values["merchant_public_key_pem"])
    if values.get("apiv3_key") and len(values["apiv3_key"].encode()) != 32:
        raise ControlError("apiv3_key must have 32 bytes")
    if values.get("apiv2_key") and len(values["apiv2_key"].encode()) != 32:
        raise ControlError("apiv2_key must have 32 bytes")
    merchant = box.state.merchants.get(mchid)
    if merchant is None:
        merchant = box.state.merchants[mchid] = Merchant(mchid)
        merchant.public_key_id = box.pay.new_public_key_id(mchid)
    for name, value in values.items():
        setattr(merchant, name, value)
    box.pay.forget_keys(mchid)
    box.state.touch()
    return {
        "mchid": mchid,
        "mode": merchant.mode,
        "merchant_serial": merchant.merchant_serial,
        **box.pay.platform_keys(merchant),
        **made,
    }


def _new_merchant_key(mchid: str) -> dict[str, str]:
    key = pay_keys.new_private_key()
    return {
        "merchant_cert_pem": pay_keys.new_certificate(key, mchid)["pem"],
        "merchant_private_key_pem": pay_keys.private_pem(key),
    }


@control("POST", "/sandbox/merchants/rotate_certificate")
def rotate_certificate(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Make a new platform certificate; the former one stays listed."""
    return box.pay.rotate_certificate()


# -- faults -------------------------------------------------------
@control("POST", "/sandbox/faults")
def add_fault(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return box.faults.add(data)


@control("GET", "/sandbox/faults")
def list_faults(box: "Sandbox", request: web.Request, data: dict) -> list:
    return box.faults.show_all()


@control("DELETE", "/sandbox/faults")
def clear_faults(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return {"cleared": box.faults.clear()}


@control("POST", "/sandbox/callback_faults")
def add_callback_fault(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return box.outbox.faults.add(data)


@control("GET", "/sandbox/callback_faults")
def list_callback_faults(box: "Sandbox", request: web.Request, data: dict) -> list:
    return box.outbox.faults.show_all()


@control("DELETE", "/sandbox/callback_faults")
def clear_callback_faults(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return {"cleared": box.outbox.faults.clear()}


# -- callbacks -------------------------------------------------------
@control("POST", "/sandbox/callbacks/send")
async def send_callback(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Send any message: raw ``xml``, or ``event``, ``openid`` and ``fields``.

    Options: mode, cdata_style, suffix (appid inside the cipher text),
    timestamp_offset, url, bad_signature, broken_xml, wrong_appid, no_retry,
    wait (seconds to wait for the outcome).
    """
    account = _account(box, data.get("appid"))
    for name in ("mode", "cdata_style"):
        choices = CHOICES["callback_mode" if name == "mode" else name]
        if data.get(name) and data[name] not in choices:
            raise ControlError(f"{name} must be one of {', '.join(choices)}")
    if (data.get("mode") or account.callback_mode) != "plain":
        _check_aes_key(account.encoding_aes_key)
    options: dict[str, Any] = {
        name: data.get(name)
        for name in (
            *("xml", "mode", "cdata_style", "suffix", "timestamp_offset"),
            *("url", "openid", "no_retry"),
        )
    }
    if not data.get("xml"):
        options["fields"] = _event_fields(box, account, data)
    delivery = box.outbox.send_raw(account, **options)
    for name in ("bad_signature", "broken_xml", "wrong_appid"):
        if data.get(name):
            delivery["spoil"].append(name)
    await box.outbox.wait(float(data.get("wait") or 0), delivery)
    return delivery


def _event_fields(box: "Sandbox", account: Account, data: dict) -> dict:
    fields = dict(data.get("fields") or {})
    event = data.get("event") or fields.get("Event")
    if not event:
        raise ControlError("xml or event is required")
    head = {
        "ToUserName": account.original_id,
        "FromUserName": data.get("openid") or account.admin_openid,
        "CreateTime": box.clock.seconds(),
        "MsgType": "event",
        "Event": event,
    }
    return {**head, **fields}


@control("GET", "/sandbox/callbacks")
def list_callbacks(box: "Sandbox", request: web.Request, data: dict) -> list:
    """List deliveries with their attempts, after number ``since``."""
    return box.outbox.read(_since(request))


@control("POST", "/sandbox/callbacks/wait")
async def wait_callbacks(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Wait until no callback is under way: {"timeout": seconds}."""
    idle = await box.outbox.wait(float(data.get("timeout", 10)))
    pending = [item["n"] for item in box.outbox.dump()]
    return {"idle": idle, "pending": pending}


# -- payments
@control("POST", "/sandbox/pay_callbacks/send")
async def send_pay_callback(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Send any Pay v3 notification, or a SIGNTEST probe.

    {mchid, event_type, original_type, resource, associated_data?, sign_with?,
    signtest?, bad_signature?, broken_json?, url?, id?, key?, timestamp_offset?,
    no_retry?, wait?}
    """
    brand = box.state.brands.get(str(data.get("mchid")))
    merchant = brand or _merchant(box, data.get("mchid"))
    url = str(data.get("url") or merchant.notify_url)
    if not url or not merchant.apiv3_key:
        raise ControlError("the merchant needs notify_url and apiv3_key")
    if data.get("sign_with") not in (None, "certificate", "public_key"):
        raise ControlError("sign_with must be certificate or public_key")
    names = (
        *("associated_data", "sign_with", "signtest", "id", "key", "summary"),
        *("timestamp_offset", "no_retry"),
    )
    options = {name: data[name] for name in names if data.get(name) is not None}
    if len(options.get("key", "x" * 32).encode()) != 32:
        raise ControlError("key must have 32 bytes")
    delivery = box.pay.notify(
        merchant,
        url,
        str(data.get("event_type") or "TRANSACTION.SUCCESS"),
        str(data.get("original_type") or "transaction"),
        data.get("resource") or {},
        **options,
    )
    assert delivery is not None
    for name, spoil in (
        ("bad_signature", "bad_signature"),
        ("broken_json", "broken_xml"),
    ):
        if data.get(name):
            delivery["spoil"].append(spoil)
    await box.outbox.wait(float(data.get("wait") or 0), delivery)
    return delivery


def _merchant(box: "Sandbox", mchid: Any) -> Merchant:
    merchant = box.state.merchants.get(mchid) if isinstance(mchid, str) else None
    if merchant is None:
        raise ControlError("unknown mchid", 404)
    return merchant


# -- looking inside -------------------------------------------------------
def _since(request: web.Request) -> int:
    try:
        return int(request.query.get("since", 0))
    except ValueError:
        raise ControlError("since must be a number") from None


@control("GET", "/sandbox/log")
def read_log(box: "Sandbox", request: web.Request, data: dict) -> list:
    return box.log.read(_since(request))


def show_code(box: "Sandbox", code: "Code") -> dict:
    return {
        **vars(code),
        "state": wallet.code_state(box, code),
        "encrypt_code": wallet.encrypt_code(box, code),
    }


def show_card(card: "Card") -> dict:
    hidden = {"body", "deposit_order", "deposit_next"}
    shown = {key: value for key, value in vars(card).items() if key not in hidden}
    shown["title"] = card.base_info["title"]
    shown["brand_name"] = card.base_info["brand_name"]
    shown["deposited"] = len(card.deposit_order)
    return shown


def _candidates(box: "Sandbox", wanted: dict[str, str]) -> list["Code"]:
    """Return the codes that a filter may mean, by an index where there is one."""
    if "code" in wanted:
        found = []
        for appid in box.state.accounts:
            found += box.state.account_codes.get((appid, wanted["code"]), [])
        return found
    if "openid" in wanted:
        return box.state.wallets.get(wanted["openid"], [])
    return list(box.state.codes.values())


@control("GET", "/sandbox/state")
def read_state(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Show cards, codes, users, tokens; filters: code, card_id, openid, appid."""
    wanted = {
        name: request.query[name]
        for name in ("code", "card_id", "openid", "appid")
        if name in request.query
    }
    codes = [
        code
        for code in _candidates(box, wanted)
        if all(getattr(code, name) == value for name, value in wanted.items())
    ]
    people = {code.openid for code in codes} | {wanted.get("openid", "")}
    return {
        "now": box.clock.now(),
        "accounts": [show_account(item) for item in box.state.accounts.values()],
        "merchants": [
            {"mchid": m.mchid, "appids": m.appids, "mode": m.mode}
            for m in box.state.merchants.values()
        ],
        "cards": [show_card(card) for card in box.state.cards.values()],
        "codes": [show_code(box, code) for code in codes],
        "stocks": {
            "busifavor": list(box.state.busifavor.get("stocks", {})),
            "favor": list(box.state.favor.get("stocks", {})),
        },
        "users": [
            vars(user)
            for user in box.state.users.values()
            if not wanted or user.openid in people
        ],
        "tokens": len(box.state.tokens),
        "orders": list(box.state.orders.values()),
        "refunds": list(box.state.refunds.values()),
        "brands": sorted(box.state.brands),
        "messages": list(box.state.messages.values()),
        "settings": dict(box.state.settings),
        "pending_callbacks": len(box.outbox.dump()),
    }


# -- cards -------------------------------------------------------
@control("POST", "/sandbox/cards")
def make_card(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return put_card(box, data)


def put_card(box: "Sandbox", data: dict) -> dict:
    """Make a card as on WeChat's own page: without the API's permissions.

    This is how coupons from before 2021-04-01 come to be: {"appid", "card",
    "review": "pass" | "fail" | null}
    """
    account = _account(box, data.get("appid"))
    card = oa_card.create_card(
        box, account, {"card": data.get("card")}, privileged=True
    )
    if data.get("review") in ("pass", "fail"):
        box.reviewer.review(card, data["review"] == "pass")
    return show_card(card)


def _card(box: "Sandbox", card_id: str) -> "Card":
    card = box.state.cards.get(card_id)
    if card is None:
        raise ControlError("unknown card_id", 404)
    return card


@control("POST", "/sandbox/cards/{card_id}/review")
def review(box: "Sandbox", request: web.Request, data: dict) -> dict:
    card = _card(box, request.match_info["card_id"])
    box.reviewer.review(card, bool(data.get("pass")), str(data.get("reason") or ""))
    return show_card(card)


@control("POST", "/sandbox/cards/{card_id}/issue")
def issue(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Give many codes out at once: {"count", "openid"?, "events": false}."""
    card = _card(box, request.match_info["card_id"])
    count = data.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= 100000:
        raise ControlError("count must be 1 to 100000")
    codes = []
    for number in range(count):
        openid = (
            data.get("openid") or put_user(box, {"nickname": f"{number + 1}"})["openid"]
        )
        record = wallet.receive(
            box, card.card_id, openid, quiet=not data.get("events", False)
        )
        codes.append({"code": record.code, "openid": openid})
    return {"card_id": card.card_id, "codes": codes}


# -- people -------------------------------------------------------
@control("POST", "/sandbox/users")
def make_user(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return put_user(box, data)


def put_user(box: "Sandbox", data: dict) -> dict:
    """Add a person: {"nickname", "openid"?, "appid"?, "unionid"?, "snapshot"?}."""
    openid = data.get("openid") or "o" + box.state.random_text(27)
    if not isinstance(openid, str) or not 1 <= len(openid) <= 64:
        raise ControlError("openid must be a text")
    user = User(
        openid,
        str(data.get("nickname") or openid[:8]),
        str(data.get("appid") or ""),
        str(data.get("unionid") or ""),
        bool(data.get("snapshot")),
    )
    box.state.users[openid] = user
    box.state.touch()
    return vars(user)


def _person(box: "Sandbox", request: web.Request) -> str:
    openid = request.match_info["openid"]
    if openid not in box.state.users:
        raise ControlError("unknown openid", 404)
    return openid


def _held(box: "Sandbox", request: web.Request, data: dict) -> "Code":
    openid = _person(box, request)
    code, card_id = str(data.get("code", "")), str(data.get("card_id") or "")
    return wallet.find_in_wallet(box, openid, code, card_id)


@control("POST", "/sandbox/phone/{openid}/receive")
def receive(box: "Sandbox", request: web.Request, data: dict) -> dict:
    openid = _person(box, request)
    record = wallet.receive(
        box,
        str(data.get("card_id", "")),
        openid,
        str(data.get("outer_str") or ""),
        str(data.get("code") or ""),
    )
    return show_code(box, record)


@control("POST", "/sandbox/phone/{openid}/gift")
def gift(box: "Sandbox", request: web.Request, data: dict) -> dict:
    code = _held(box, request, data)
    to_openid = str(data.get("to_openid") or "")
    wallet.gift(box, code, to_openid, bool(data.get("chat_room")))
    return show_code(box, code)


@control("POST", "/sandbox/phone/{openid}/accept")
def accept(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Take a gift: the one with this ``gift_id`` or ``code``, else the oldest."""
    record = wallet.accept(
        box,
        _person(box, request),
        str(data.get("gift_id") or ""),
        str(data.get("code") or ""),
    )
    return show_code(box, record)


@control("POST", "/sandbox/phone/{openid}/take_back")
def take_back(box: "Sandbox", request: web.Request, data: dict) -> dict:
    code = _held(box, request, data)
    wallet.take_back(box, code)
    return show_code(box, code)


@control("POST", "/sandbox/phone/{openid}/delete")
def delete(box: "Sandbox", request: web.Request, data: dict) -> dict:
    code = _held(box, request, data)
    wallet.delete(box, code)
    return show_code(box, code)


@control("POST", "/sandbox/phone/{openid}/view")
def view(box: "Sandbox", request: web.Request, data: dict) -> dict:
    code = _held(box, request, data)
    wallet.view(box, code)
    return show_code(box, code)


@control("POST", "/sandbox/phone/{openid}/enter_session")
def enter_session(box: "Sandbox", request: web.Request, data: dict) -> dict:
    code = _held(box, request, data)
    wallet.enter_session(box, code)
    return show_code(box, code)


@control("POST", "/sandbox/phone/{openid}/consume")
def consume(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Use a card elsewhere: {"code", "source": "FROM_MP" …, "StaffOpenId"? …}."""
    code = _held(box, request, data)
    names = ("LocationName", "StaffOpenId", "VerifyCode", "RemarkAmount")
    values = {name: str(data[name]) for name in names if name in data}
    wallet.consume(box, code, str(data.get("source") or "FROM_MP"), **values)
    return show_code(box, code)


@control("POST", "/sandbox/phone/{openid}/scan")
def scan(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Scan a QR code: {"url"} or {"ticket"}; card codes are received at once."""
    openid = _person(box, request)
    ticket = oa_qrcode.find_ticket(box, str(data.get("url") or data.get("ticket", "")))
    if ticket is None:
        raise ControlError("unknown QR code", 404)
    if ticket.kind == "scene":
        return {"event": oa_qrcode.scan_scene(box, ticket, openid)}
    records = wallet.receive_by_ticket(box, ticket, openid)
    return {"codes": [show_code(box, record) for record in records]}


@control("POST", "/sandbox/phone/{openid}/subscribe")
def subscribe(box: "Sandbox", request: web.Request, data: dict) -> dict:
    openid = _person(box, request)
    account = _account(box, data.get("appid"))
    wallet.user_of(box, account, openid)
    account.subscribers[openid] = box.clock.seconds()
    box.outbox.send_event(account, "subscribe", openid, EventKey="")
    return {"ok": True}


@control("POST", "/sandbox/phone/{openid}/unsubscribe")
def unsubscribe(box: "Sandbox", request: web.Request, data: dict) -> dict:
    openid = _person(box, request)
    account = _account(box, data.get("appid"))
    if account.subscribers.pop(openid, None) is None:
        raise ControlError("does not follow the account", 409)
    box.outbox.send_event(account, "unsubscribe", openid, EventKey="")
    return {"ok": True}


# -- seed -------------------------------------------------------
def apply_seed(box: "Sandbox", seed: dict[str, Any]) -> None:
    """Set up from a file: settings, accounts, merchants, users, cards.

    What is there already (after a restart) is kept; cards are made only when the
    account has none.
    """
    for name, value in (seed.get("settings") or {}).items():
        if name not in DEFAULT_SETTINGS:
            raise ControlError(f"unknown setting {name}")
        _check_setting(name, value)
        box.state.settings[name] = value
    for item in seed.get("accounts") or []:
        put_account(box, item)
    for item in seed.get("merchants") or []:
        put_merchant(box, item)
    for item in seed.get("brands") or []:
        from .control_product import put_brand

        put_brand(box, item)
    for item in seed.get("users") or []:
        if item.get("openid") not in box.state.users:
            put_user(box, item)
    busy = {card.appid for card in box.state.cards.values()}
    for item in seed.get("cards") or []:
        if item.get("appid") not in busy:
            put_card(box, item)
