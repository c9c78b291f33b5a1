"""How an Official Account call is received: token, method, body, answer.

WeChat docs: "Global return codes", "Get access token".
The checks come in WeChat's order: first the token, then the method, then the body.
"""

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .errors import OaError

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Account, Card

MAX_BODY = 1024 * 1024
MAX_CODE = 20

# An odd number of backslashes before "u": an escape, not an escaped backslash.
_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u[0-9a-fA-F]{4}")
_TOKEN = re.compile(r"[A-Za-z0-9_\-]{32,512}\Z")


class Bare(dict):
    """An answer without ``errcode``, as some calls give on success."""


@dataclass
class OaCall:
    """One call: who calls, with what, on which base URL."""

    box: "Sandbox"
    account: "Account"
    query: dict[str, str]
    data: dict[str, Any]
    base_url: str
    remote: str
    body: bytes = b""
    content_type: str = ""

    @property
    def state(self) -> Any:
        return self.box.state

    def card(self, required: bool = True) -> "Card | None":
        """Return the account's card named by ``card_id``."""
        card_id = text(self.data, "card_id", 32)
        if not card_id:
            if required:
                raise OaError(41012)
            return None
        card = self.state.cards.get(card_id)
        if card is None or card.appid != self.account.appid:
            raise OaError(40073)
        return card


@dataclass
class OaRoute:
    path: str
    method: str
    handler: Callable[[OaCall], dict]
    token: bool = True
    raw: bool = False


ROUTES: dict[str, OaRoute] = {}


def route(
    path: str, method: str = "POST", token: bool = True, raw: bool = False
) -> Callable:
    """Register a handler.  Handlers are plain functions: check, change, answer."""

    def register(handler: Callable[[OaCall], dict]) -> Callable[[OaCall], dict]:
        ROUTES[path] = OaRoute(path, method, handler, token, raw)
        return handler

    return register


# -- reading fields -------------------------------------------------------
def text(
    data: dict, key: str, limit: int | None = None, required: int | bool = False
) -> str:
    """Return a text field.

    :param limit: maximal length in bytes of UTF-8, else 45021
    :param required: an errcode (or True for 41011) for when it is missing or empty
    """
    value = data.get(key)
    if value is None or value == "":
        if required:
            raise OaError(41011 if required is True else required, key)
        return ""
    if not isinstance(value, str):
        raise OaError(47001, key)
    if limit is not None and len(value.encode()) > limit:
        raise OaError(45021, key)
    return value


def integer(
    data: dict, key: str, default: int | None = None, required: bool = False
) -> int | None:
    """Return a whole number; texts, booleans and fractions are refused."""
    value = data.get(key)
    if value is None:
        if required:
            raise OaError(41011, key)
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise OaError(47001, key)
    return value


def boolean(data: dict, key: str, default: bool = False) -> bool:
    value = data.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise OaError(47001, key)
    return value


def mapping(data: dict, key: str, required: int | bool = False) -> dict:
    value = data.get(key)
    if value is None:
        if required:
            raise OaError(41011 if required is True else required, key)
        return {}
    if not isinstance(value, dict):
        raise OaError(47001, key)
    return value


def listing(data: dict, key: str, kind: type = str) -> list:
    value = data.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise OaError(47001, key)
    for item in value:
        if not isinstance(item, kind) or isinstance(item, bool):
            raise OaError(47001, key)
    return value


def parse_json(body: bytes, path: str) -> dict[str, Any]:
    """Parse a request body as strictly as WeChat does."""
    if not body.strip():
        raise OaError(44002)
    if _ESCAPE.search(body):
        raise OaError(40033 if path.startswith("/card/") else 47002)
    try:
        data = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise OaError(47001) from None
    if not isinstance(data, dict):
        raise OaError(47001)
    return data


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


# -- access -------------------------------------------------------
def check_ip(account: "Account", remote: str) -> None:
    """Refuse an address that is not on the account's white list (40164)."""
    if account.ip_whitelist is None:
        return
    try:
        address = ipaddress.ip_address(remote)
        for entry in account.ip_whitelist:
            if address in ipaddress.ip_network(entry, strict=False):
                return
    except ValueError:
        pass
    raise OaError(40164, remote)


def check_token(box: "Sandbox", value: str | None) -> "Account":
    """Return the account whose valid token this is.

    41001 none sent, 40014 malformed, 40001 unknown or replaced, 42001 expired.
    """
    if not value:
        raise OaError(41001)
    if not _TOKEN.match(value):
        raise OaError(40014)
    token = box.state.tokens.get(value)
    account = box.state.accounts.get(token.appid) if token else None
    if token is None or account is None:
        raise OaError(40001)
    now = box.clock.now()
    if now >= token.expires:
        raise OaError(42001)
    if token.dead_at is not None and now >= token.dead_at:
        raise OaError(40001)
    return account


def answer(box: "Sandbox", result: dict) -> web.Response:
    """Build the HTTP answer: always 200, UTF-8 JSON without escapes."""
    if not isinstance(result, Bare):
        result = {"errcode": 0, "errmsg": "ok", **result}
    payload = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    return web.Response(
        body=payload.encode(),
        headers={"Content-Type": "application/json; encoding=utf-8"},
    )


def refusal(box: "Sandbox", errcode: int, message: str = "") -> web.Response:
    """Build a refusal, with the trailing hint that WeChat always adds."""
    error = OaError(errcode)
    rid = "-".join(box.state.random_text(8, "0123456789abcdef") for _ in range(3))
    payload = {"errcode": errcode, "errmsg": f"{message or error} rid: {rid}"}
    return answer(box, payload)


async def dispatch(box: "Sandbox", request: web.Request) -> web.StreamResponse:
    """Serve one Official Account call."""
    path = request.path
    entry = ROUTES.get(path)
    try:
        if entry is None:
            raise OaError(40066)
        account = None
        if entry.token:
            account = check_token(box, request.query.get("access_token"))
        if request.method != entry.method:
            raise OaError(43001 if entry.method == "GET" else 43002)
        body = await request.read() if entry.method == "POST" else b""
        data = {}
        if entry.method == "POST" and not entry.raw:
            data = parse_json(body, path)
        call = OaCall(
            box=box,
            account=account,
            query=dict(request.query),
            data=data,
            base_url=box.base_url(request),
            remote=request.remote or "",
            body=body,
            content_type=request.headers.get("Content-Type", ""),
        )
        result = entry.handler(call)
        if entry.method == "POST":
            box.state.touch()
        return answer(box, result)
    except OaError as error:
        return refusal(box, error.errcode, str(error))
