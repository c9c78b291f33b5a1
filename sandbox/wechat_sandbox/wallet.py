"""What happens to a card in a person's wallet: received, given away, used, deleted.

WeChat docs: "Event Push Messages", card/code/get, card/code/consume.
All changes of a code's state are made here, whoever asks for them: the API, the phone
page or the control API.  Checks come first and changes after, without an await.
"""

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from .clock import midnight
from .errors import OaError
from .review import DELETED, ISSUABLE, NOT_VERIFY
from .stats import count_event

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Account, Card, Code, Ticket, User

DAY = 86400
GIFT_TIMEOUT = 86400
#: Stock reminders: the first stock must be above, the rest at or below.
REMIND_INITIAL = 200
REMIND_LEFT = 100
DEFAULT_LIMIT = 50

USABLE = "NORMAL"


def code_state(box: "Sandbox", code: "Code") -> str:
    """Return ``user_card_status`` as of now."""
    now = box.clock.now()
    if code.state == "GIFTING" and now > code.gift_time + GIFT_TIMEOUT:
        return "GIFT_TIMEOUT"
    if code.state == "NORMAL" and code.end and now > code.end:
        return "EXPIRE"
    return code.state


def begun(box: "Sandbox", code: "Code") -> bool:
    """Tell whether the validity of the code has begun."""
    return box.clock.now() >= code.begin


def validity(box: "Sandbox", card: "Card") -> tuple[int, int]:
    """Return first and last second for a code received now (0 = without end)."""
    info = card.base_info["date_info"]
    kind = info.get("type")
    if kind in ("DATE_TYPE_FIX_TIME_RANGE", 1):
        return info["begin_timestamp"], info["end_timestamp"]
    if kind in ("DATE_TYPE_FIX_TERM", 2):
        start = midnight(box.clock.now()) + info.get("fixed_begin_term", 0) * DAY
        begin = start if info.get("fixed_begin_term") else box.clock.seconds()
        end = start + info["fixed_term"] * DAY - 1
        if info.get("end_timestamp"):
            end = min(end, info["end_timestamp"])
        return begin, end
    return box.clock.seconds(), 0


def user_of(box: "Sandbox", account: "Account", openid: str) -> "User":
    """Return the person behind an openid of this account, else 40003."""
    user = box.state.users.get(openid)
    if user is None or (user.appid and user.appid != account.appid):
        raise OaError(40003)
    return user


def encrypt_code(box: "Sandbox", code: "Code") -> str:
    """Return the encrypted form that web pages get instead of the code."""
    secret = box.state.accounts[code.appid].secret
    seal = hashlib.sha256(f"{secret}|{code.card_id}|{code.code}".encode()).digest()
    return base64.b64encode(seal + code.code.encode()).decode()


def decrypt_code(box: "Sandbox", account: "Account", value: str) -> str:
    """Return the code behind its encrypted form, else 40075."""
    try:
        raw = base64.b64decode(value, validate=True)
        plain = raw[32:].decode()
    except ValueError:
        raise OaError(40075) from None
    for code in box.state.account_codes.get((account.appid, plain), []):
        if encrypt_code(box, code) == value:
            return plain
    raise OaError(40075)


def issuable(box: "Sandbox", card: "Card", openid: str) -> str:
    """Return "" when this person may receive the card, else why not (an errcode)."""
    try:
        check_receive(box, card, openid)
    except OaError as error:
        return str(error.errcode)
    return ""


def check_receive(box: "Sandbox", card: "Card", openid: str) -> None:
    """Refuse what WeChat refuses when a person claims a card."""
    account = box.state.accounts[card.appid]
    user_of(box, account, openid)
    if card.status == DELETED:
        raise OaError(40078)
    if card.status not in ISSUABLE and not (
        card.status == NOT_VERIFY and openid in account.test_whitelist
    ):
        raise OaError(72022)
    end = card.base_info["date_info"].get("end_timestamp")
    if end and end < box.clock.now():
        raise OaError(40079)
    if _deleted_member_card(box, card, openid):
        return
    limit = card.base_info.get("get_limit", DEFAULT_LIMIT)
    if card.card_type == "MEMBER_CARD":
        limit = 1
    if box.state.received.get((card.card_id, openid), 0) >= limit:
        raise OaError(45033)
    if card.quantity < 1:
        raise OaError(45031)


def _deleted_member_card(box: "Sandbox", card: "Card", openid: str) -> "Code | None":
    """Return the member card that this person deleted and may have back."""
    if card.card_type != "MEMBER_CARD":
        return None
    for code in box.state.wallets.get(openid, []):
        if code.card_id == card.card_id and code.state == "DELETE":
            return code
    return None


def receive(
    box: "Sandbox",
    card_id: str,
    openid: str,
    outer_str: str = "",
    code: str = "",
    outer_id: int = 0,
    quiet: bool = False,
) -> "Code":
    """Put a card into a wallet and push ``user_get_card``.

    :param code: the custom code, if a QR code or cardExt names one
    :param quiet: push nothing (for filling a sandbox with many codes)
    """
    card = box.state.cards.get(card_id)
    if card is None:
        raise OaError(40073)
    check_receive(box, card, openid)
    old = _deleted_member_card(box, card, openid)
    if old:
        return _restore(box, card, old)
    value = _pick_code(box, card, code)
    begin, end = validity(box, card)
    record = _new_code(card, value, openid, begin, end)
    record.received = box.clock.seconds()
    record.outer_str, record.outer_id = outer_str, outer_id
    if card.deposit_mode:
        card.deposit_next += 1
    card.quantity -= 1
    key = (card_id, openid)
    box.state.received[key] = box.state.received.get(key, 0) + 1
    box.state.add_code(record)
    count_event(box, card, "receive", openid)
    if not quiet:
        push_get(box, record)
        _remind_stock(box, card)
    return record


def ticket_refusal(box: "Sandbox", ticket: "Ticket", openid: str) -> str:
    """Return "" when this person may receive the QR code's cards, else an errcode."""
    try:
        _check_ticket(box, ticket, openid)
    except OaError as error:
        return str(error.errcode)
    return ""


def _check_ticket(box: "Sandbox", ticket: "Ticket", openid: str) -> None:
    if ticket.expires < box.clock.now():
        raise OaError(40053, "expired")
    once = any(entry["unique"] or entry["openid"] for entry in ticket.cards)
    if once and ticket.used:
        raise OaError(40053, "used")
    for entry in ticket.cards:
        if entry["openid"] and entry["openid"] != openid:
            raise OaError(40003)
        card = box.state.cards[entry["card_id"]]
        check_receive(box, card, openid)
        _pick_code(box, card, entry["code"])


def receive_by_ticket(box: "Sandbox", ticket: "Ticket", openid: str) -> "list[Code]":
    """Receive what a QR code offers.

    A code for one person or one code works once.  WeChat docs: card/qrcode/create
    """
    _check_ticket(box, ticket, openid)
    records = []
    for entry in ticket.cards:
        record = receive(
            box,
            entry["card_id"],
            openid,
            entry["outer_str"],
            entry["code"],
            entry["outer_id"],
        )
        records.append(record)
    ticket.used = True
    return records


def _new_code(card: "Card", value: str, openid: str, begin: int, end: int) -> "Code":
    from .state import Code

    return Code(value, card.card_id, card.appid, openid, begin=begin, end=end)


def _pick_code(box: "Sandbox", card: "Card", code: str) -> str:
    if card.deposit_mode:
        # Imported codes go out in the order in which they came in.
        if code:
            raise OaError(40080)
        if card.deposit_next >= len(card.deposit_order):
            raise OaError(45031)
        return card.deposit_order[card.deposit_next]
    if card.custom_code:
        if not code:
            raise OaError(41013)
        if len(code.encode()) > 20:
            raise OaError(45021)
        if (card.card_id, code) in box.state.codes:
            raise OaError(40116)
        return code
    if code:
        raise OaError(40080)
    return box.state.new_code(card.appid)


def push_get(box: "Sandbox", code: "Code", restored: bool = False) -> None:
    """Push ``user_get_card`` with the elements in the official order."""
    account = box.state.accounts[code.appid]
    user = box.state.users.get(code.openid)
    values: dict[str, Any] = {
        "CardId": code.card_id,
        "IsGiveByFriend": int(code.by_gift),
        "UserCardCode": code.code,
        "FriendUserName": code.friend,
        "OuterId": code.outer_id,
        "OldUserCardCode": code.old_code,
    }
    if not restored:
        values["OuterStr"] = code.outer_str
    values["IsRestoreMemberCard"] = int(restored)
    values["IsRecommendByFriend"] = 0
    if user and user.unionid:
        values["UnionId"] = user.unionid
    box.outbox.send_event(account, "user_get_card", code.openid, **values)


def _restore(box: "Sandbox", card: "Card", code: "Code") -> "Code":
    code.state, code.hidden = "NORMAL", False
    code.received = box.clock.seconds()
    box.state.touch()
    push_get(box, code, restored=True)
    return code


def _remind_stock(box: "Sandbox", card: "Card") -> None:
    """Push ``card_sku_remind`` when the stock is low, once, and when it is gone."""
    marks = []
    if card.total_quantity > REMIND_INITIAL and card.quantity <= REMIND_LEFT:
        marks.append("low")
    if card.quantity == 0:
        marks.append("empty")
    new = [mark for mark in marks if mark not in card.reminded]
    if not new:
        return
    card.reminded.extend(new)
    account = box.state.accounts[card.appid]
    detail = f"the card's quantity is equal to {card.quantity}"
    if card.quantity:
        detail = f"the card's quantity is less than {REMIND_LEFT + 1}"
    box.outbox.send_event(
        account,
        "card_sku_remind",
        account.admin_openid,
        CardId=card.card_id,
        Detail=detail,
    )


# -- one code of a wallet -------------------------------------------------------
def find_in_wallet(box: "Sandbox", openid: str, code: str, card_id: str = "") -> "Code":
    """Return a code that this person holds, else 40056."""
    for record in box.state.wallets.get(openid, []):
        if record.code == code and card_id in ("", record.card_id):
            return record
    raise OaError(40056)


def delete(box: "Sandbox", code: "Code") -> None:
    """The person removes the card from the wallet."""
    if code.hidden or code.state in ("DELETE", "GIFTING", "GIFT_SUCC"):
        raise OaError(40127)
    if code.state == "NORMAL":
        code.state = "DELETE"
    code.hidden = True
    box.state.touch()
    _push(box, code, "user_del_card")


def view(box: "Sandbox", code: "Code") -> None:
    """The person opens the card."""
    card = box.state.cards[code.card_id]
    count_event(box, card, "view", code.openid)
    if card.base_info.get("need_push_on_view"):
        _push(box, code, "user_view_card", OuterStr=code.outer_str)


def enter_session(box: "Sandbox", code: "Code") -> None:
    """The person goes from the card to the account's conversation."""
    _push(box, code, "user_enter_session_from_card")


def _push(box: "Sandbox", code: "Code", event: str, **values: Any) -> None:
    box.outbox.send_event(
        box.state.accounts[code.appid],
        event,
        code.openid,
        CardId=code.card_id,
        UserCardCode=code.code,
        **values,
    )


# -- gifts -------------------------------------------------------
def gift(
    box: "Sandbox", code: "Code", to_openid: str = "", chat_room: bool = False
) -> "Code":
    """Offer a card to a friend or to a chat room."""
    card = box.state.cards[code.card_id]
    account = box.state.accounts[code.appid]
    if code_state(box, code) != USABLE:
        raise OaError(40127)
    if not card.base_info.get("can_give_friend", True):
        raise OaError(40150, "can_give_friend")
    if to_openid:
        user_of(box, account, to_openid)
        if to_openid == code.openid:
            raise OaError(40003)
    elif not chat_room:
        raise OaError(40003)
    code.state = "GIFTING"
    code.gift_to = "" if chat_room else to_openid
    code.gift_time = box.clock.seconds()
    code.gift_id = box.state.random_text(24)
    box.state.gifts[code.gift_id] = code
    count_event(box, card, "given", code.openid)
    box.state.touch()
    _push_gifting(box, code, returned=False, chat_room=chat_room)
    return code


def _push_gifting(
    box: "Sandbox", code: "Code", returned: bool, chat_room: bool = False
) -> None:
    _push(
        box,
        code,
        "user_gifting_card",
        IsReturnBack=int(returned),
        FriendUserName=code.gift_to,
        IsChatRoom=int(chat_room),
    )


def gifts_for(box: "Sandbox", openid: str) -> list["Code"]:
    """Return the cards that are offered to this person (or to anyone)."""
    return [
        code
        for code in box.state.gifts.values()
        if code.openid != openid
        and code.gift_to in ("", openid)
        and code_state(box, code) == "GIFTING"
    ]


def accept(box: "Sandbox", openid: str, gift_id: str = "", code: str = "") -> "Code":
    """Take a gift: the receiver gets a new code; a custom code stays the same."""
    for offered in gifts_for(box, openid):
        if (not gift_id or offered.gift_id == gift_id) and (
            not code or offered.code == code
        ):
            return _take(box, offered, openid)
    raise OaError(40127)


def _take(box: "Sandbox", offered: "Code", openid: str) -> "Code":
    card = box.state.cards[offered.card_id]
    user_of(box, box.state.accounts[card.appid], openid)
    giver = offered.openid
    box.state.gifts.pop(offered.gift_id, None)
    if card.custom_code:
        box.state.move_code(offered, openid)
        received = offered
        received.state = "NORMAL"
        received.gift_to = received.gift_id = ""
    else:
        value = box.state.new_code(card.appid)
        received = _new_code(card, value, openid, offered.begin, offered.end)
        offered.state = "GIFT_SUCC"
        offered.gift_to = openid
        box.state.add_code(received)
    received.old_code = offered.code
    received.by_gift, received.friend = True, giver
    received.received = box.clock.seconds()
    received.outer_str = offered.outer_str
    box.state.touch()
    push_get(box, received)
    return received


def take_back(box: "Sandbox", code: "Code") -> "Code":
    """An unclaimed gift returns to the giver."""
    if code_state(box, code) not in ("GIFTING", "GIFT_TIMEOUT"):
        raise OaError(40127)
    code.state = "NORMAL"
    box.state.gifts.pop(code.gift_id, None)
    box.state.touch()
    _push_gifting(box, code, returned=True, chat_room=not code.gift_to)
    code.gift_to = code.gift_id = ""
    return code


# -- use -------------------------------------------------------
def check_usable(box: "Sandbox", code: "Code", consumed: int = 40099) -> None:
    """Refuse a code that cannot be used now.

    :param consumed: the errcode for a code that was used before
    """
    state = code_state(box, code)
    if state == "CONSUMED":
        raise OaError(consumed)
    if state != USABLE:
        raise OaError(40127)
    if not begun(box, code):
        raise OaError(40079)


def consume(
    box: "Sandbox", code: "Code", source: str = "FROM_API", **values: Any
) -> "Code":
    """Use a code, once and for ever, and push ``user_consume_card``.

    WeChat docs: card/code/consume
    """
    code.consume_attempts += 1
    check_usable(box, code)
    card = box.state.cards[code.card_id]
    key = (code.card_id, code.openid)
    limit = card.base_info.get("use_limit", DEFAULT_LIMIT)
    if box.state.used.get(key, 0) >= limit:
        raise OaError(72020)
    code.state = "CONSUMED"
    code.consumed_at = box.clock.seconds()
    code.consume_count += 1
    box.state.used[key] = box.state.used.get(key, 0) + 1
    count_event(box, card, "verify", code.openid)
    box.state.touch()
    extra: dict[str, Any] = {
        "ConsumeSource": source,
        "LocationName": "",
        "StaffOpenId": "",
        "VerifyCode": "",
        "RemarkAmount": "",
        "OuterStr": code.outer_str,
    }
    extra.update(values)
    _push(box, code, "user_consume_card", **extra)
    return code
