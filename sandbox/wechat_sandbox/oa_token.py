"""Access tokens, tickets and WeChat's own addresses.

WeChat docs: cgi-bin/token, cgi-bin/stable_token, cgi-bin/ticket/getticket,
cgi-bin/get_api_domain_ip, cgi-bin/getcallbackip.
"""

import math
from typing import TYPE_CHECKING

from .errors import OaError
from .oa_core import Bare, OaCall, boolean, check_ip, route, text
from .state import Token

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Account

LIFE = 7200
#: The former classic token stays good this long; the stable one is renewed this early.
OVERLAP = 300
FORCE_PER_DAY = 20
FORCE_INTERVAL = 30
STABLE_PER_MINUTE = 10000
STABLE_PER_DAY = 500000
KEEP_EXPIRED = 86400


def _account(call: OaCall, appid: str, secret: str) -> "Account":
    if not appid:
        raise OaError(41002)
    if not secret:
        raise OaError(41004)
    account = call.state.accounts.get(appid)
    if account is None:
        raise OaError(40013)
    if account.secret != secret:
        raise OaError(40001, "invalid appsecret")
    check_ip(account, call.remote)
    return account


def _count(call: OaCall, account: "Account", name: str, limit: int) -> None:
    """Count a call of today; 45009 beyond the limit."""
    day = call.box.clock.today()
    if account.quota.get("day") != day:
        account.quota = {"day": day}
    used = account.quota.get(name, 0)
    if used >= limit:
        raise OaError(45009)
    account.quota[name] = used + 1


def issue(box: "Sandbox", account: "Account", kind: str) -> Token:
    """Make a new token; drop those that nobody can mistake for a live one."""
    now = box.clock.now()
    state = box.state
    for token in list(state.tokens.values()):
        if now > token.expires + KEEP_EXPIRED:
            del state.tokens[token.value]
    prefix = f"{len(state.tokens) % 90 + 10}_"
    value = prefix + state.random_text(133)
    token = Token(value, account.appid, kind, now, now + LIFE)
    state.tokens[value] = token
    state.touch()
    return token


def _live(call: OaCall, account: "Account", kind: str) -> list[Token]:
    now = call.box.clock.now()
    return [
        token
        for token in call.state.tokens.values()
        if token.appid == account.appid
        and token.kind == kind
        and token.dead_at is None
        and token.expires > now
    ]


def _reply(call: OaCall, token: Token) -> Bare:
    left = math.ceil(token.expires - call.box.clock.now())
    return Bare(access_token=token.value, expires_in=min(LIFE, left))


@route("/cgi-bin/token", "GET", token=False)
def classic_token(call: OaCall) -> dict:
    """Each call makes a new token; the former one lives on for five minutes.

    WeChat docs: cgi-bin/token
    """
    if call.query.get("grant_type") != "client_credential":
        raise OaError(40002)
    account = _account(call, call.query.get("appid", ""), call.query.get("secret", ""))
    _count(call, account, "classic", call.state.settings["classic_token_quota"])
    now = call.box.clock.now()
    for token in _live(call, account, "classic"):
        token.dead_at = now + OVERLAP
    for token in call.state.tokens.values():
        # Only one generation overlaps: the ones before it die at once.
        same = token.appid == account.appid and token.kind == "classic"
        if same and token.dead_at is not None and token.dead_at < now + OVERLAP:
            token.dead_at = min(token.dead_at, now)
    return _reply(call, issue(call.box, account, "classic"))


@route("/cgi-bin/stable_token", token=False)
def stable_token(call: OaCall) -> dict:
    """The same token until its last five minutes, unless a refresh is forced.

    WeChat docs: cgi-bin/stable_token
    """
    if call.data.get("grant_type") != "client_credential":
        raise OaError(40002)
    account = _account(call, text(call.data, "appid"), text(call.data, "secret"))
    force = boolean(call.data, "force_refresh")
    now = call.box.clock.now()
    minute = int(now // 60)
    if account.quota.get("minute") != minute:
        account.quota["minute"], account.quota["in_minute"] = minute, 0
    if account.quota["in_minute"] >= STABLE_PER_MINUTE:
        raise OaError(45011)
    _count(call, account, "stable", STABLE_PER_DAY)
    account.quota.update(minute=minute, in_minute=account.quota.get("in_minute", 0) + 1)
    live = _live(call, account, "stable")
    if force:
        _check_force(call, account, now)
        for token in live:
            token.dead_at = now
        return _reply(call, issue(call.box, account, "stable"))
    newest = max(live, key=lambda token: token.expires, default=None)
    if newest and newest.expires - now > OVERLAP:
        return _reply(call, newest)
    return _reply(call, issue(call.box, account, "stable"))


def _check_force(call: OaCall, account: "Account", now: float) -> None:
    last = account.tickets.get("force_at", 0)
    if now - last < FORCE_INTERVAL:
        raise OaError(45011)
    _count(call, account, "force", FORCE_PER_DAY)
    account.tickets["force_at"] = now


@route("/cgi-bin/ticket/getticket", "GET")
def get_ticket(call: OaCall) -> dict:
    """Two kinds of ticket, never the same.  WeChat docs: cgi-bin/ticket/getticket"""
    kind = call.query.get("type", "")
    if kind not in ("jsapi", "wx_card"):
        raise OaError(40097, "type")
    now = call.box.clock.now()
    ticket = call.account.tickets.get(kind)
    if not ticket or ticket["expires"] - now <= 0:
        value = call.state.random_text(86)
        ticket = {"value": value, "expires": now + LIFE}
        call.account.tickets[kind] = ticket
        call.state.touch()
    left = min(LIFE, math.ceil(ticket["expires"] - now))
    return {"ticket": ticket["value"], "expires_in": left}


@route("/cgi-bin/get_api_domain_ip", "GET")
def api_domain_ip(call: OaCall) -> dict:
    """WeChat docs: cgi-bin/get_api_domain_ip"""
    return Bare(ip_list=["127.0.0.1"])


@route("/cgi-bin/getcallbackip", "GET")
def callback_ip(call: OaCall) -> dict:
    """WeChat docs: cgi-bin/getcallbackip"""
    return Bare(ip_list=["127.0.0.1"])


@route("/cgi-bin/clear_quota")
def clear_quota(call: OaCall) -> dict:
    """WeChat docs: cgi-bin/clear_quota"""
    if text(call.data, "appid") != call.account.appid:
        raise OaError(40013)
    call.account.quota = {}
    return {}
