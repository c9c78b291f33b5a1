"""Codes: query, use, decrypt, change, invalidate, import, mark, list.

WeChat docs: card/code/get, card/code/consume, card/code/decrypt, card/code/update,
card/code/unavailable, card/code/deposit, card/code/getdepositcount,
card/code/checkcode, card/code/mark, card/user/getcardlist.
"""

from typing import TYPE_CHECKING

from . import wallet
from .errors import OaError
from .oa_core import MAX_CODE, OaCall, boolean, listing, route, text

if TYPE_CHECKING:
    from .state import Card, Code

MAX_DEPOSIT = 100


def find_code(call: OaCall) -> "Code":
    """Return the code that a call names.

    41013 no code, 41012 a custom code without its card, 40073 unknown card,
    40056 unknown code.
    """
    value = text(call.data, "code", required=41013)
    if len(value.encode()) > MAX_CODE:
        raise OaError(40056)
    card = call.card(required=False)
    if card:
        code = call.state.codes.get((card.card_id, value))
        if code is None:
            raise OaError(40056)
        return code
    found = call.state.account_codes.get((call.account.appid, value), [])
    if not found:
        raise OaError(40056)
    if call.state.cards[found[0].card_id].custom_code:
        raise OaError(41012)
    return found[0]


@route("/card/code/get")
def get(call: OaCall) -> dict:
    """Tell the state of a code; with check_consume refuse what cannot be used.

    WeChat docs: card/code/get
    """
    check = boolean(call.data, "check_consume", True)
    code = find_code(call)
    if check:
        consumed = call.state.settings["consumed_errcode"]
        wallet.check_usable(call.box, code, consumed)
    state = wallet.code_state(call.box, code)
    return {
        "card": {
            "card_id": code.card_id,
            "begin_time": code.begin,
            "end_time": code.end,
        },
        "openid": code.openid,
        "can_consume": state == wallet.USABLE and wallet.begun(call.box, code),
        "outer_str": code.outer_str,
        "user_card_status": state,
    }


@route("/card/code/consume")
def consume(call: OaCall) -> dict:
    """Use a code: once, for ever, without an idempotency key.

    WeChat docs: card/code/consume
    """
    code = wallet.consume(call.box, find_code(call))
    return {"card": {"card_id": code.card_id}, "openid": code.openid}


@route("/card/code/decrypt")
def decrypt(call: OaCall) -> dict:
    """WeChat docs: card/code/decrypt"""
    value = text(call.data, "encrypt_code", required=40075)
    return {"code": wallet.decrypt_code(call.box, call.account, value)}


@route("/card/code/update")
def update(call: OaCall) -> dict:
    """Change a custom code that a person holds.  WeChat docs: card/code/update"""
    new = text(call.data, "new_code", MAX_CODE, required=True)
    code = find_code(call)
    card = call.state.cards[code.card_id]
    if not card.custom_code:
        raise OaError(45030)
    if (card.card_id, new) in call.state.codes:
        raise OaError(40111)
    wallet.check_usable(call.box, code)
    call.state.rename_code(code, new)
    return {}


@route("/card/code/unavailable")
def unavailable(call: OaCall) -> dict:
    """Make a code unusable for ever; no event.  WeChat docs: card/code/unavailable"""
    reason = text(call.data, "reason", 512)
    code = find_code(call)
    state = wallet.code_state(call.box, code)
    if state == "CONSUMED":
        raise OaError(40099)
    if state not in (wallet.USABLE, "EXPIRE"):
        raise OaError(40127)
    code.state, code.reason = "UNAVAILABLE", reason
    return {}


# -- imported codes -------------------------------------------------------
def _codes(call: OaCall) -> "tuple[Card, list[str]]":
    card = call.card()
    codes = listing(call.data, "code")
    if len(codes) > MAX_DEPOSIT:
        raise OaError(40109)
    if not codes or "" in codes:
        raise OaError(40110)
    return card, codes


@route("/card/code/deposit")
def deposit(call: OaCall) -> dict:
    """Import codes, at most 100 a call.  WeChat docs: card/code/deposit"""
    card, codes = _codes(call)
    if not card.deposit_mode:
        raise OaError(40136)
    if len(set(codes)) != len(codes):
        raise OaError(40111)
    known = call.state.deposited_codes(card)
    succeeded, duplicate, failed = [], [], []
    for code in codes:
        if len(code.encode()) > MAX_CODE:
            failed.append(code)
        elif code in known:
            duplicate.append(code)
        else:
            succeeded.append(code)
    card.deposit_order.extend(succeeded)
    known.update(succeeded)
    return {
        "succ_code": succeeded,
        "duplicate_code": duplicate,
        "fail_code": failed,
    }


@route("/card/code/getdepositcount")
def get_deposit_count(call: OaCall) -> dict:
    """WeChat docs: card/code/getdepositcount"""
    return {"count": len(call.card().deposit_order)}


@route("/card/code/checkcode")
def check_code(call: OaCall) -> dict:
    """WeChat docs: card/code/checkcode"""
    card, codes = _codes(call)
    known = call.state.deposited_codes(card)
    return {
        "exist_code": [code for code in codes if code in known],
        "not_exist_code": [code for code in codes if code not in known],
    }


@route("/card/code/mark")
def mark(call: OaCall) -> dict:
    """Bind a code to the person who wants to use it.  WeChat docs: card/code/mark"""
    openid = text(call.data, "openid", required=40003)
    wallet.user_of(call.box, call.account, openid)
    code = find_code(call)
    is_mark = boolean(call.data, "is_mark")
    wallet.check_usable(call.box, code)
    if code.marked_by and code.marked_by != openid:
        raise OaError(40146)
    if not is_mark and not code.marked_by:
        raise OaError(43018)
    code.marked_by = openid if is_mark else ""
    return {}


@route("/card/user/getcardlist")
def get_card_list(call: OaCall) -> dict:
    """List the valid cards of a person.  WeChat docs: card/user/getcardlist"""
    openid = text(call.data, "openid", required=40003)
    wallet.user_of(call.box, call.account, openid)
    card = call.card(required=False)
    found = [
        {"code": code.code, "card_id": code.card_id}
        for code in call.state.wallets.get(openid, [])
        if code.appid == call.account.appid
        and (card is None or code.card_id == card.card_id)
        and wallet.code_state(call.box, code) == wallet.USABLE
    ]
    return {"card_list": found, "has_share_card": False}
