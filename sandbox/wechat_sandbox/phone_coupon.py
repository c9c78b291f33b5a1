"""The phone's pages of 商家券 and 代金券: receive, show, delete."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from . import oa_card_rules, symbols
from . import pay_busifavor_coupon as busifavor
from . import pay_busifavor_h5 as h5
from .errors import ControlError, PayError
from .pay_favor_coupon import state_of as voucher_state
from .phone import MORE_CARDS, View, _group, _period, _users_page, money, page

if TYPE_CHECKING:
    from .sandbox import Sandbox

_GREY = "#9a9a9a"


# -- how they look ----------------------------------------------------------------
def _shop(box: "Sandbox", mchid: str) -> str:
    """Return the name of a merchant's account: brands are not known here."""
    merchant = box.state.merchants.get(mchid)
    for appid in merchant.appids if merchant else []:
        account = box.state.accounts.get(appid)
        if account and account.name:
            return account.name
    return mchid


def _colour(pattern: dict[str, Any]) -> str:
    name = pattern.get("background_color", "Color010").capitalize()
    return oa_card_rules.COLORS.get(name, oa_card_rules.COLORS["Color010"])


def _picture(view: View, url: str) -> str | None:
    parts = url.split("/")
    return view.box.state.images.get(parts[-2]) if len(parts) > 1 else None


def _off(view: View, amount: int, minimum: int) -> str:
    parts = [view.t("off_cash") % money(amount)]
    if minimum > 1:
        parts.append(view.t("off_least") % money(minimum))
    return " · ".join(parts)


def _busi_offer(view: View, rule: dict[str, Any]) -> str:
    """Return the benefit; contract 0.1: 88 is 88 % paid."""
    if "fixed_normal_coupon" in rule:
        cut = rule["fixed_normal_coupon"]
        return _off(view, cut["discount_amount"], cut["transaction_minimum"])
    if "exchange_coupon" in rule:
        return view.t("exchange") % money(rule["exchange_coupon"]["exchange_price"])
    percent = rule["discount_coupon"]["discount_percent"]
    shown = f"{percent / 10:g}" if view.lang == "zh" else str(100 - percent)
    return view.t("off_percent") % shown


def _busi_face(view: View, stock: dict[str, Any], begin: float, end: float) -> dict:
    request = stock["request"]
    pattern = request.get("display_pattern_info", {})
    shop = _shop(view.box, stock["belong"])
    return {
        "color": _colour(pattern),
        "logo": _picture(view, pattern.get("merchant_logo_url", "")),
        "initial": shop[:1],
        "brand": shop,
        "title": request["stock_name"],
        "type": view.t("busifavor"),
        "offer": _busi_offer(view, request["coupon_use_rule"]),
        "validity": _period(view, int(begin), int(end)),
        "notice": request["goods_name"],
        "description": pattern.get("description", ""),
        "service_phone": "",
    }


def _coupon_face(view: View, coupon: dict[str, Any]) -> dict[str, Any]:
    stock = busifavor.stock_of(view.box, coupon)
    return _busi_face(view, stock, coupon["starts"], coupon["expires"])


def _voucher_face(view: View, voucher: dict[str, Any]) -> dict[str, Any]:
    stock = view.box.state.favor.get("stocks", {}).get(voucher["stock_id"])
    pattern = stock["request"].get("pattern_info", {}) if stock else {}
    shop = _shop(view.box, stock["belong"] if stock else voucher.get("mchid", ""))
    end = voucher.get("expires", 0)
    begin = voucher.get("begins", view.box.clock.now())
    notes = [view.t("voucher_hint")]
    if voucher.get("goods_tags") or voucher.get("goods_tag"):
        tags = voucher.get("goods_tags") or [voucher["goods_tag"]]
        notes.append(view.t("voucher_tag") % ", ".join(tags))
    items = voucher.get("items") or [voucher.get("goods_id", "")]
    if voucher["scope"] == "SINGLE":
        notes.append(view.t("voucher_items") % ", ".join(items))
    return {
        "color": _colour(pattern),
        "logo": _picture(view, pattern.get("merchant_logo", "")),
        "initial": shop[:1],
        "brand": shop,
        "title": voucher["name"],
        "type": view.t("voucher"),
        "offer": _off(view, voucher["amount"], voucher.get("minimum", 0)),
        "validity": _period(view, int(begin), int(end)),
        "notice": "\n".join(notes),
        "description": pattern.get("description", ""),
        "service_phone": "",
    }


# -- in the wallet ----------------------------------------------------------------
def _badge(view: View, state: str, begin: float) -> str:
    if state != "SENDED":
        return view.t(state)
    return view.t("NOT_YET") if view.box.clock.now() < begin else ""


def _url(openid: str, coupon: dict[str, Any]) -> str:
    code = quote(coupon["coupon_code"], safe="")
    return f"/phone/{openid}/busifavor/{coupon['stock_id']}/{code}"


def _busi_items(view: View, openid: str) -> list[dict[str, Any]]:
    items = []
    for coupon in reversed(busifavor.held(view.box, openid)):
        state = busifavor.state_of(view.box, coupon)
        if state != "DELETED":
            items.append(
                {
                    "url": _url(openid, coupon),
                    "badge": _badge(view, state, coupon["starts"]),
                    "card": _coupon_face(view, coupon),
                    "spent": state != "SENDED",
                }
            )
    return items


def _state(view: View, voucher: dict[str, Any]) -> str:
    """A voucher of the control API may have no end."""
    if "expires" not in voucher:
        return voucher["state"]
    return voucher_state(view.box, voucher)


def _voucher_items(view: View, openid: str) -> list[dict[str, Any]]:
    return [
        {
            "url": f"/phone/{openid}/voucher/{voucher['coupon_id']}",
            "badge": _badge(view, _state(view, voucher), voucher.get("begins", 0)),
            "card": _voucher_face(view, voucher),
            "spent": _state(view, voucher) != "SENDED",
        }
        for voucher in reversed(view.box.state.vouchers.get(openid, []))
    ]


MORE_CARDS += [_busi_items, _voucher_items]


# -- receiving --------------------------------------------------------------------
@page("GET", "/busifavor/getcouponinfo")
def landing(view: View) -> Any:
    """Where the link of a shop leads: the coupon, on the phone of whoever opens it."""
    query = view.request.rel_url.raw_query_string
    openid = view.current()
    if openid:
        return view.go(f"/phone/{openid}/busifavor?{query}")
    return _users_page(
        view,
        view.t("pick_hint"),
        lambda chosen: f"/phone/{chosen}/busifavor?{query}",
        view.request.path_qs,
    )


def _message(view: View, error: PayError) -> str:
    """Return WeChat's words, or ours where the link is somebody else's."""
    if "openid" in error.message:
        return view.t("not_this_person")
    return f"{error.message}（{error.code}）"


def _checked(view: View) -> dict[str, Any]:
    try:
        return h5.read_link(view.box, view.user.openid, view.request.query)[0]
    except PayError as error:
        raise ControlError(_message(view, error), 409) from None


@page("GET", "/phone/{openid}/busifavor")
def offer(view: View) -> Any:
    stock = _checked(view)
    begin, end = busifavor.validity(stock, view.box.clock.now())
    face = _busi_face(view, stock, begin, end)
    return view.render(
        "receive.html",
        view.t("get_card"),
        cards=[{"card": face}],
        tint=face["color"],
        refusal="",
        back=f"/phone/{view.openid}",
    )


@page("POST", "/phone/{openid}/busifavor")
def receive(view: View) -> Any:
    openid = view.user.openid
    try:
        coupon = h5.receive(view.box, openid, view.request.query)
    except PayError as error:
        raise ControlError(_message(view, error), 409) from None
    return view.go(_url(openid, coupon), flash="received")


# -- one coupon -------------------------------------------------------------------
def _coupon(view: View) -> dict[str, Any]:
    info, openid = view.request.match_info, view.user.openid
    key = busifavor.coupon_key(info["stock_id"], info["code"])
    coupon = busifavor.coupons(view.box).get(key)
    if coupon is None or coupon["openid"] != openid or coupon["state"] == "DELETED":
        raise ControlError(view.t("not_a_card"), 404)
    return coupon


def _symbols(stock: dict[str, Any], code: str) -> dict[str, Any]:
    """Return how the code is shown: as QR unless the stock says otherwise."""
    mode = stock["request"].get("custom_entrance", {}).get("code_display_mode")
    return {
        "qr": Markup(symbols.qr_svg(code)) if mode in (None, "QRCODE") else "",
        "bars": Markup(symbols.barcode_svg(code)) if mode == "BARCODE" else "",
        "show_text": mode != "NOT_SHOW",
        "bars_first": True,
    }


def _page(view: View, face: dict, state: str, begin: float, **values: Any) -> Any:
    live = state == "SENDED" and view.box.clock.now() >= begin
    return view.render(
        "card.html",
        face["type"],
        card=face,
        tint=face["color"] if live else _GREY,
        state=state,
        live=live,
        badge=_badge(view, state, begin),
        validity=face["validity"],
        back=f"/phone/{view.openid}",
        **values,
    )


@page("GET", "/phone/{openid}/busifavor/{stock_id}/{code}")
def show_coupon(view: View) -> Any:
    coupon = _coupon(view)
    stock, code = busifavor.stock_of(view.box, coupon), coupon["coupon_code"]
    state = busifavor.state_of(view.box, coupon)
    here = _url(view.openid, coupon)
    return _page(
        view,
        _coupon_face(view, coupon),
        state,
        coupon["starts"],
        code={"code": code},
        grouped=_group(code),
        here=here,
        refresh=here if state == "SENDED" else "",
        can_delete=True,
        **_symbols(stock, code),
    )


@page("POST", "/phone/{openid}/busifavor/{stock_id}/{code}/delete")
def delete_coupon(view: View) -> Any:
    busifavor.delete(view.box, _coupon(view))
    return view.go(f"/phone/{view.openid}", flash="DELETED")


@page("GET", "/phone/{openid}/voucher/{coupon_id}")
def show_voucher(view: View) -> Any:
    number = view.request.match_info["coupon_id"]
    for voucher in view.box.state.vouchers.get(view.user.openid, []):
        if voucher["coupon_id"] == number:
            return _page(
                view,
                _voucher_face(view, voucher),
                _state(view, voucher),
                voucher.get("begins", 0),
                code={"code": number},
                grouped=number,
                here=f"/phone/{view.openid}/voucher/{number}",
            )
    raise ControlError(view.t("not_a_card"), 404)
