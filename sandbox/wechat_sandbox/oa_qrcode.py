"""QR codes: of cards, and of scenes.

WeChat docs: card/qrcode/create, cgi-bin/qrcode/create, cgi-bin/showqrcode.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from .errors import OaError
from .oa_core import MAX_CODE, OaCall, boolean, integer, listing, mapping, route, text
from .review import DELETED, ISSUABLE
from .state import Ticket
from .wallet import user_of

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Card

DEFAULT_LIFE = 365 * 86400
MAX_MULTIPLE = 5
MAX_SCENE_LIFE = 2592000
MAX_PERMANENT = 100000
FOREVER = 10**11


def _life(call: OaCall) -> int:
    seconds = integer(call.data, "expire_seconds")
    if seconds is None:
        return DEFAULT_LIFE
    if not 60 <= seconds <= 1800:
        raise OaError(40053, "expire_seconds")
    return seconds


def _entry(call: OaCall, item: dict) -> dict[str, Any]:
    """Check one card of a QR code against the rules for its kind of code."""
    card_id = text(item, "card_id", 32, required=41012)
    card = call.state.cards.get(card_id)
    if card is None or card.appid != call.account.appid:
        raise OaError(40073)
    if card.status == DELETED:
        raise OaError(40078)
    code = text(item, "code", MAX_CODE)
    if card.custom_code and not card.deposit_mode:
        if not code:
            raise OaError(41013)
    elif code:
        # WeChat's own and imported codes are chosen by WeChat.
        raise OaError(40053, "code")
    openid = text(item, "openid", 64)
    if card.base_info.get("bind_openid"):
        if not openid:
            raise OaError(40003)
        user_of(call.box, call.account, openid)
    elif openid:
        raise OaError(40112)
    unique = boolean(item, "is_unique_code")
    if unique:
        _check_unique(card)
    return {
        "card_id": card_id,
        "code": code,
        "openid": openid,
        "unique": unique or bool(code),
        "outer_str": text(item, "outer_str", 128),
        "outer_id": integer(item, "outer_id", 0),
    }


def _check_unique(card: "Card") -> None:
    if card.status not in ISSUABLE:
        raise OaError(40078)
    if card.quantity < 1:
        raise OaError(45031)


@route("/card/qrcode/create")
def create_card_qrcode(call: OaCall) -> dict:
    """WeChat docs: card/qrcode/create"""
    action = text(call.data, "action_name")
    info = mapping(call.data, "action_info", required=40053)
    if action == "QR_CARD":
        entries = [_entry(call, mapping(info, "card", required=40053))]
    elif action == "QR_MULTIPLE_CARD":
        items = listing(
            mapping(info, "multiple_card", required=40053), "card_list", dict
        )
        if not 1 <= len(items) <= MAX_MULTIPLE:
            raise OaError(40053, "card_list")
        entries = [_entry(call, item) for item in items]
        if len({entry["card_id"] for entry in entries}) != len(entries):
            raise OaError(40053, "card_list")
    else:
        raise OaError(40053, "action_name")
    life = _life(call)
    ticket = new_ticket(call.box, call.account.appid, "card", life)
    ticket.cards = entries
    return {
        "ticket": ticket.ticket,
        "expire_seconds": life,
        "url": f"{call.base_url}/q/{ticket.key}",
        "show_qrcode_url": _show_url(call, ticket),
    }


def _show_url(call: OaCall, ticket: Ticket) -> str:
    return f"{call.base_url}/cgi-bin/showqrcode?ticket={quote(ticket.ticket, safe='')}"


def new_ticket(box: "Sandbox", appid: str, kind: str, life: float) -> Ticket:
    """Make and store the ticket of a QR code."""
    state = box.state
    value = "gQ" + state.random_text(6) + state.random_text(84) + "=="
    ticket = Ticket(value, state.random_text(16), appid, kind)
    ticket.expires = box.clock.now() + life
    state.tickets[ticket.ticket] = ticket
    state.ticket_keys[ticket.key] = ticket.ticket
    state.touch()
    return ticket


# -- scenes -------------------------------------------------------
@route("/cgi-bin/qrcode/create")
def create_scene_qrcode(call: OaCall) -> dict:
    """WeChat docs: cgi-bin/qrcode/create"""
    action = text(call.data, "action_name")
    scene = mapping(
        mapping(call.data, "action_info", required=40053), "scene", required=40053
    )
    permanent = action in ("QR_LIMIT_SCENE", "QR_LIMIT_STR_SCENE")
    if action in ("QR_SCENE", "QR_LIMIT_SCENE"):
        number = integer(scene, "scene_id")
        top = MAX_PERMANENT if permanent else 2**32 - 1
        if number is None or not 1 <= number <= top:
            raise OaError(40053, "scene_id")
        value = str(number)
    elif action in ("QR_STR_SCENE", "QR_LIMIT_STR_SCENE"):
        value = text(scene, "scene_str", required=40053)
        if len(value) > 64:
            raise OaError(40053, "scene_str")
    else:
        raise OaError(40053, "action_name")
    life = FOREVER
    if not permanent:
        life = integer(call.data, "expire_seconds", 60)
        if not 1 <= life <= MAX_SCENE_LIFE:
            raise OaError(40053, "expire_seconds")
    ticket = new_ticket(call.box, call.account.appid, "scene", life)
    ticket.scene = value
    reply = {"ticket": ticket.ticket, "url": f"{call.base_url}/q/{ticket.key}"}
    if not permanent:
        reply["expire_seconds"] = life
    return reply


def scan_scene(box: "Sandbox", ticket: Ticket, openid: str) -> str:
    """A person scans a scene code: ``subscribe`` the first time, then ``SCAN``."""
    account = box.state.accounts[ticket.appid]
    user_of(box, account, openid)
    if ticket.expires < box.clock.now():
        raise OaError(40053, "expired")
    if openid in account.subscribers:
        event, key = "SCAN", ticket.scene
    else:
        account.subscribers[openid] = box.clock.seconds()
        event, key = "subscribe", f"qrscene_{ticket.scene}"
    box.state.touch()
    values = {"EventKey": key, "Ticket": ticket.ticket}
    box.outbox.send_event(account, event, openid, **values)
    return event


def find_ticket(box: "Sandbox", value: str) -> Ticket | None:
    """Return the QR code for a ticket, a key, or the address in the picture."""
    value = value.strip()
    if "/q/" in value:
        value = value.rsplit("/q/", 1)[1]
    elif "ticket=" in value:
        value = parse_qs(urlsplit(value).query).get("ticket", [""])[0]
    return box.state.tickets.get(box.state.ticket_keys.get(value, value))
