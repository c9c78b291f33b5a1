"""Cards: create, read, change, stock, delete, cells, shelf, white list.

WeChat docs: card/create, card/get, card/batchget, card/update, card/modifystock,
card/delete, card/getcolors, card/landingpage/create, card/mpnews/gethtml,
card/paycell/set, card/selfconsumecell/set, card/testwhitelist/set.
"""

import copy
from typing import TYPE_CHECKING, Any

from . import oa_card_rules as rules
from .errors import OaError
from .oa_core import OaCall, boolean, integer, listing, route, text
from .review import DELETED, NOT_VERIFY, STATUSES
from .state import Card
from .wallet import user_of

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Account

MAX_BATCH = 50
MAX_WHITELIST = 10
SCENES = {
    "SCENE_NEAR_BY",
    "SCENE_MENU",
    "SCENE_QRCODE",
    "SCENE_ARTICLE",
    "SCENE_H5",
    "SCENE_IVR",
    "SCENE_CARD_CUSTOM_CELL",
}


@route("/card/getcolors", "GET")
def get_colors(call: OaCall) -> dict:
    """WeChat docs: card/getcolors"""
    colors = [{"name": name, "value": value} for name, value in rules.COLORS.items()]
    return {"colors": colors}


def create_card(
    box: "Sandbox", account: "Account", data: dict, privileged: bool = False
) -> Card:
    """Check and store a new card; it starts unreviewed."""
    card_type, body = rules.check_create(account, data, box.clock.now(), privileged)
    body = copy.deepcopy(body)
    quantity = body["base_info"].pop("sku")["quantity"]
    now = box.clock.seconds()
    card = Card(
        card_id="p" + box.state.random_text(27),
        appid=account.appid,
        card_type=card_type,
        body=body,
        quantity=quantity,
        total_quantity=quantity,
        created=now,
        updated=now,
    )
    box.state.cards[card.card_id] = card
    box.state.touch()
    box.reviewer.submit(card)
    return card


@route("/card/create")
def create(call: OaCall) -> dict:
    """WeChat docs: card/create"""
    return {"card_id": create_card(call.box, call.account, call.data).card_id}


def show_card(card: Card) -> dict[str, Any]:
    """Return a card as card/get shows it: the colour as hex, the stock as it is."""
    body = copy.deepcopy(card.body)
    base = body["base_info"]
    base.update(
        id=card.card_id,
        color=rules.COLORS[base["color"]],
        status=card.status,
        create_time=card.created,
        update_time=card.updated,
        sku={"quantity": card.quantity, "total_quantity": card.total_quantity},
    )
    base.setdefault("use_limit", 50)
    base.setdefault("get_limit", 50)
    base.setdefault("can_share", True)
    base.setdefault("can_give_friend", True)
    base.setdefault("use_custom_code", False)
    base.setdefault("bind_openid", False)
    body.setdefault("advanced_info", {})
    return {"card_type": card.card_type, card.card_type.lower(): body}


@route("/card/get")
def get(call: OaCall) -> dict:
    """WeChat docs: card/get"""
    return {"card": show_card(call.card())}


@route("/card/batchget")
def batch_get(call: OaCall) -> dict:
    """WeChat docs: card/batchget"""
    offset = integer(call.data, "offset", required=True)
    count = integer(call.data, "count", required=True)
    if offset < 0 or count < 0:
        raise OaError(40097)
    if count > MAX_BATCH:
        raise OaError(45039)
    wanted = listing(call.data, "status_list")
    if set(wanted) - STATUSES:
        raise OaError(40078)
    ids = [
        card.card_id
        for card in call.state.cards.values()
        if card.appid == call.account.appid
        and (card.status in wanted if wanted else card.status != DELETED)
    ]
    return {"card_id_list": ids[offset : offset + count], "total_num": len(ids)}


@route("/card/update")
def update(call: OaCall) -> dict:
    """Change a card; visible changes go back to review.  WeChat docs: card/update"""
    card = call.card()
    if card.status == DELETED:
        raise OaError(40078)
    change = copy.deepcopy(rules.check_update(card, call.data))
    base = change.pop("base_info", {})
    old = card.base_info
    changed = {name for name, value in base.items() if old.get(name) != value}
    if "date_info" in base:
        base["date_info"] = {**old["date_info"], **base["date_info"]}
    old.update(base)
    card.body.update(change)
    card.updated = call.box.clock.seconds()
    check = bool(changed & rules.REVIEWED)
    if check and call.state.settings["update_needs_review"]:
        card.status = NOT_VERIFY
        call.box.reviewer.submit(card)
    return {"send_check": check}


@route("/card/modifystock")
def modify_stock(call: OaCall) -> dict:
    """WeChat docs: card/modifystock"""
    card = call.card()
    increase = integer(call.data, "increase_stock_value", 0)
    reduce = integer(call.data, "reduce_stock_value", 0)
    if increase < 0 or reduce < 0 or (not increase and not reduce):
        raise OaError(40122)
    change = increase - reduce
    if card.quantity + change < 0:
        raise OaError(45031)
    if card.total_quantity + change > rules.MAX_QUANTITY:
        raise OaError(45041)
    if card.deposit_mode:
        left = len(card.deposit_order) - card.deposit_next
        if card.quantity + change > left:
            raise OaError(40136)
    card.quantity += change
    card.total_quantity += change
    card.updated = call.box.clock.seconds()
    if card.quantity:
        card.reminded = [mark for mark in card.reminded if mark != "empty"]
    return {}


@route("/card/delete")
def delete(call: OaCall) -> dict:
    """Delete a card; codes in wallets stay good.  WeChat docs: card/delete"""
    card = call.card()
    if card.status == DELETED:
        raise OaError(40078)
    card.status = DELETED
    card.updated = call.box.clock.seconds()
    return {}


# -- cells -------------------------------------------------------
@route("/card/paycell/set")
def set_pay_cell(call: OaCall) -> dict:
    """WeChat docs: card/paycell/set"""
    card = call.card()
    is_open = boolean(call.data, "is_open")
    if is_open and card.base_info.get("center_url"):
        raise OaError(40145)
    if is_open and card.self_consume.get("is_open"):
        raise OaError(45046)
    card.pay_cell = is_open
    return {}


@route("/card/selfconsumecell/set")
def set_self_consume(call: OaCall) -> dict:
    """The official field name is really spelled ``need_verify_cod``.

    WeChat docs: card/selfconsumecell/set
    """
    card = call.card()
    cell = {
        name: boolean(call.data, name)
        for name in ("is_open", "need_verify_cod", "need_remark_amount")
    }
    if cell["is_open"] and (card.pay_cell or card.base_info.get("center_url")):
        raise OaError(45046)
    card.self_consume = cell
    return {}


@route("/card/testwhitelist/set")
def set_test_whitelist(call: OaCall) -> dict:
    """Replace the list of people who may claim unreviewed cards.

    WeChat docs: card/testwhitelist/set
    """
    openids = listing(call.data, "openid")
    names = listing(call.data, "username")
    for openid in openids:
        user_of(call.box, call.account, openid)
    by_name = {user.nickname: user.openid for user in call.state.users.values()}
    everyone = openids + [by_name[name] for name in names if name in by_name]
    everyone = list(dict.fromkeys(everyone))
    if len(openids) + len(names) > MAX_WHITELIST:
        raise OaError(45039)
    call.account.test_whitelist = everyone
    return {"white_list_size": len(everyone)}


# -- pages -------------------------------------------------------
@route("/card/landingpage/create")
def create_landing_page(call: OaCall) -> dict:
    """WeChat docs: card/landingpage/create"""
    text(call.data, "banner", 128, required=True)
    text(call.data, "page_title", 128, required=True)
    if "can_share" not in call.data:
        raise OaError(41011, "can_share")
    boolean(call.data, "can_share")
    if text(call.data, "scene", required=True) not in SCENES:
        raise OaError(40150, "scene")
    items = listing(call.data, "card_list", dict)
    if not items:
        raise OaError(41011, "card_list")
    for item in items:
        card = call.state.cards.get(text(item, "card_id", 32, required=41012))
        if card is None or card.appid != call.account.appid:
            raise OaError(40073)
        text(item, "thumb_url", 128)
    page_id = len(call.state.pages) + 1
    call.state.pages[str(page_id)] = {
        "appid": call.account.appid,
        "title": call.data["page_title"],
        "cards": [item["card_id"] for item in items],
    }
    return {"url": f"{call.base_url}/phone/shelf/{page_id}", "page_id": page_id}


@route("/card/mpnews/gethtml")
def get_html(call: OaCall) -> dict:
    """WeChat docs: card/mpnews/gethtml"""
    card = call.card()
    content = (
        f'<iframe class="res_iframe card_iframe js_editor_card" '
        f'data-src="{call.base_url}/phone/receive/{card.card_id}"></iframe>'
    )
    return {"content": content}
