"""The phone's product coupons: claim one, show its code, delete it."""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from . import oa_card_rules, symbols
from . import product_wallet as wallet
from .errors import ControlError, PayError
from .pay_product import stock_state
from .phone import (
    MORE_CARDS,
    MORE_TO_RECEIVE,
    View,
    _group,
    _period,
    money,
    page,
)
from .phone_text import TEXTS

if TYPE_CHECKING:
    from .sandbox import Sandbox

TEXTS.update(
    {
        "CONFIRMING": ("等待商家确认", "Waiting for the shop"),
        "P_NORMAL": ("满减券", "Money off"),
        "P_DISCOUNT": ("折扣券", "Discount coupon"),
        "P_EXCHANGE": ("兑换券", "Exchange coupon"),
        "exchange_for": ("%s 元兑换", "yours for ¥%s"),
        "product_coupon": ("商品券", "Product coupon"),
        "p268577984": ("商品券没有在发放。", "This coupon is not given out now."),
        "p272756740": ("你已达到领取上限。", "You have as many as allowed."),
        "p268578367": ("卡券状态已改变。", "The card's state has changed."),
        "p0": ("现在不能领取。", "It cannot be claimed now."),
    }
)
#: The states in the words that the phone has for cards.
_BADGES = {
    "CONFIRMING": "CONFIRMING",
    "PENDING": "NOT_YET",
    "USED": "CONSUMED",
    "EXPIRED": "EXPIRE",
    "DELETED": "DELETE",
    "DEACTIVATED": "UNAVAILABLE",
}
_IMAGE = re.compile(r"/wxpaylogo/([0-9a-f]{40})/")


# -- how it looks -------------------------------------------------------
def _current_offer(
    coupon: dict[str, Any], stock: dict[str, Any], index: int
) -> dict[str, int]:
    """Return the offer, wherever the coupon's mode keeps it."""
    kind = f"{coupon['type'].lower()}_coupon"
    rule = next(v for k, v in stock["data"].items() if k.endswith("_usage_rule"))
    if offers := rule.get(f"{kind}_list"):
        return offers[min(index, len(offers) - 1)]
    return rule.get(kind) or coupon["single_usage_info"][kind]


def _offer(view: View, offer: dict[str, int]) -> str:
    if "percent_off" in offer:
        off = offer["percent_off"]
        shown = f"{(100 - off) / 10:g}" if view.lang == "zh" else str(off)
        parts = [view.t("off_percent") % shown]
    elif "exchange_price" in offer:
        parts = [view.t("exchange_for") % money(offer["exchange_price"])]
    else:
        parts = [view.t("off_cash") % money(offer["discount_amount"])]
    if offer["threshold"]:
        parts.append(view.t("off_least") % money(offer["threshold"]))
    return " · ".join(parts)


def _show(
    view: View, stock: dict[str, Any], record: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return what the templates need to draw a coupon."""
    state = view.box.state
    coupon = state.product_coupons[stock["product_coupon_id"]]["data"]
    brand = state.brands[stock["brand_id"]].name or stock["brand_id"]
    usage = stock["data"]["usage_rule_display_info"]
    color = stock["data"]["coupon_display_info"].get("background_color", "Color010")
    match = _IMAGE.search(coupon["display_info"]["image_url"])
    used = sum(bool(item.get("used")) for item in record["rounds"]) if record else 0
    dates = (record or stock)["begin"], (record or stock)["end"]
    return {
        "color": oa_card_rules.COLORS[color],
        "logo": state.images.get(match.group(1)) if match else None,
        "initial": brand[:1],
        "brand": brand,
        "title": coupon["display_info"]["name"],
        "notice": usage.get("coupon_available_store_info", {}).get("description", ""),
        "description": usage["usage_description"],
        "service_phone": "",
        "type": view.t(f"P_{coupon['type']}"),
        "offer": _offer(view, _current_offer(coupon, stock, used)),
        "validity": _period(view, int(dates[0]), int(dates[1])),
    }


def _badge(view: View, state: str) -> str:
    return view.t(_BADGES[state]) if state in _BADGES else ""


def _url(record: dict[str, Any]) -> str:
    code = quote(record["coupon_code"], safe="")
    return f"/phone/{record['openid']}/product/{record['stock_id']}/{code}"


def _stock_of(box: "Sandbox", record: dict[str, Any]) -> dict[str, Any]:
    return box.state.product_stocks[record["stock_id"]]


def _cards(view: View, openid: str) -> list[dict[str, Any]]:
    rows = []
    for record in reversed(wallet.held_by(view.box, openid)):
        state = wallet.state_of(view.box, record)
        if state == "DELETED":
            continue
        row = {"url": _url(record), "badge": _badge(view, state)}
        row["card"] = _show(view, _stock_of(view.box, record), record)
        row["spent"] = state in ("USED", "EXPIRED", "DEACTIVATED")
        rows.append(row)
    return rows


def _offered(view: View, openid: str) -> list[dict[str, Any]]:
    """Return the stocks that people can claim from, a bundle once."""
    rows = []
    for stock in reversed(list(view.box.state.product_stocks.values())):
        data, place = stock["data"], stock["bundle"]
        known = view.user.appid in ("", data["notify_config"]["notify_appid"])
        first = not place or place["stock_bundle_index"] == 0
        if not known or not first or data["coupon_code_mode"] == "API_ASSIGN":
            continue
        if stock_state(view.box, stock) != "SENDING":
            continue
        left = data["stock_send_rule"]["max_count"] - stock["sent"]
        url = f"/phone/{openid}/product/{stock['stock_id']}"
        row = {"url": url, "note": view.t("stock") % left}
        rows.append({**row, "card": _show(view, stock)})
    return rows


MORE_CARDS.append(_cards)
MORE_TO_RECEIVE.append(_offered)


# -- claiming -------------------------------------------------------
def _refused(view: View, error: PayError) -> str:
    key = f"p{error.number}"
    return view.t(key) if key in TEXTS else view.t("p0")


def _stock(view: View) -> dict[str, Any]:
    number = view.request.match_info["stock_id"]
    stock = view.box.state.product_stocks.get(number)
    if stock is None:
        raise ControlError(view.t("not_a_card"), 404)
    return stock


def _claimed(view: View, **what: Any) -> Any:
    try:
        records = wallet.claim(view.box, view.openid, **what)
    except PayError as error:
        raise ControlError(_refused(view, error), 409) from None
    return view.go(_url(records[0]), flash="received")


@page("GET", "/phone/{openid}/product/{stock_id}")
def show_stock(view: View) -> Any:
    user, stock = view.user, _stock(view)
    refusal = ""
    try:
        wallet.check_can_give(view.box, stock, user.openid)
    except PayError as error:
        refusal = _refused(view, error)
    return view.render(
        "receive.html",
        view.t("product_coupon"),
        cards=[{"card": _show(view, stock)}],
        refusal=refusal,
        back=f"/phone/{user.openid}/receive",
    )


@page("POST", "/phone/{openid}/product/{stock_id}")
def claim(view: View) -> Any:
    """The person claims; the shop hears of it and has to confirm."""
    return _claimed(view, stock=_stock(view) if view.user else None)


@page("GET", "/phone/{openid}/product_token/{token}")
def show_token(view: View) -> Any:
    """The claiming component, opened with the token of a pre-send."""
    user, state = view.user, view.box.state
    entry = state.product_tokens.get(view.request.match_info["token"], {})
    bundle = state.product_bundles.get(entry.get("stock_bundle_id", ""), {})
    number = entry.get("stock_id") or bundle.get("stock_ids", [""])[0]
    if not number or entry["openid"] != user.openid:
        raise ControlError(view.t("not_a_card"), 404)
    return view.render(
        "receive.html",
        view.t("product_coupon"),
        cards=[{"card": _show(view, state.product_stocks[number])}],
        refusal="",
        back=f"/phone/{user.openid}",
    )


@page("POST", "/phone/{openid}/product_token/{token}")
def claim_token(view: View) -> Any:
    token = view.request.match_info["token"] if view.user else ""
    return _claimed(view, token=token)


# -- one coupon -------------------------------------------------------
def _coupon(view: View) -> dict[str, Any]:
    info, user = view.request.match_info, view.user
    key = wallet.code_key(info["stock_id"], info["code"])
    record = view.box.state.product_codes.get(key)
    if record is None or record["openid"] != user.openid:
        raise ControlError(view.t("not_a_card"), 404)
    return record


def _symbols(mode: str, code: str) -> dict[str, Any]:
    """Return the code as the stock wants it shown; INVISIBLE shows nothing."""
    parts: dict[str, Any] = {"qr": "", "bars": "", "bars_first": False}
    if mode == "QRCODE":
        parts["qr"] = Markup(symbols.qr_svg(code))
    if mode == "BARCODE":
        parts["bars"] = Markup(symbols.barcode_svg(code))
    return {**parts, "show_text": mode != "INVISIBLE"}


@page("GET", "/phone/{openid}/product/{stock_id}/{code}")
def show_coupon(view: View) -> Any:
    record = _coupon(view)
    stock, state = _stock_of(view.box, record), wallet.state_of(view.box, record)
    shown, live = _show(view, stock, record), state == "EFFECTIVE"
    code, here = record["coupon_code"], _url(record)
    mode = stock["data"]["coupon_display_info"]["code_display_mode"]
    waiting = state in ("CONFIRMING", "PENDING", "EFFECTIVE")
    return view.render(
        "card.html",
        shown["type"],
        card=shown,
        tint=shown["color"] if live else "#9a9a9a",
        code={"code": code},
        state=state,
        live=live,
        badge=_badge(view, state),
        grouped=_group(code),
        validity=shown["validity"],
        center=None,
        cells=[],
        here=here,
        back=f"/phone/{view.openid}",
        refresh=here if waiting else "",
        can_delete=waiting,
        **_symbols(mode, code),
    )


@page("POST", "/phone/{openid}/product/{stock_id}/{code}/delete")
def delete(view: View) -> Any:
    record = _coupon(view)
    try:
        wallet.delete(view.box, record)
    except PayError as error:
        raise ControlError(_refused(view, error), 409) from None
    return view.go(f"/phone/{view.openid}", flash="DELETE")
