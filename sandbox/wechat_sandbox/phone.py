"""The phone: a web page on which a person receives, shows, gives and deletes cards.

It looks like a wallet on a 390 by 844 screen, needs no script and loads nothing from
elsewhere.  Chinese by default, ``?lang=en`` for English.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from aiohttp import web
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from . import oa_card_rules, oa_qrcode, oa_user, symbols, wallet
from .clock import beijing
from .errors import ControlError, OaError
from .phone_text import LANGUAGES, reason, text
from .review import DELETED

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Card, Code, Ticket, User

STATIC = Path(__file__).parent / "static"
COOKIE_LIFE = 365 * 86400
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; base-uri 'none'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
#: A Native code, an h5_url, or what a page gives to the JSAPI payment.
_PAYABLE = re.compile(
    r"(?:\Aweixin://wxpay/bizpayurl\?pr=|\bprepay_id=)([\w%-]+)", re.ASCII
)
_IMAGE = re.compile(r"/mmbiz_\w+/([0-9a-f]{40})/")

environment = Environment(
    loader=PackageLoader("wechat_sandbox"), autoescape=select_autoescape()
)

routes: list[tuple[str, str, Callable]] = []
#: Other families' cards for the wallet: functions of the view and the openid that
#: return items with ``url``, ``badge``, ``card`` and ``spent``.
MORE_CARDS: list[Callable[["View", str], list[dict[str, Any]]]] = []


def page(method: str, path: str) -> Callable:
    def register(handler: Callable) -> Callable:
        routes.append((method, path, handler))
        return handler

    return register


def add_routes(app: web.Application) -> None:
    app.router.add_static("/static/", STATIC)
    for method, path, handler in routes:
        app.router.add_route(method, path, _wrap(handler))


def _wrap(handler: Callable) -> Callable:
    async def serve(request: web.Request) -> web.StreamResponse:
        from .app import BOX

        view = View(request.app[BOX], request)
        if request.method == "POST":
            view.form = dict(await request.post())
        try:
            response = handler(view)
        except OaError as error:
            response = view.message(reason(error.errcode, view.lang), status=409)
        except ControlError as error:
            response = view.message(str(error), status=error.status)
        return view.finish(response)

    return serve


class View:
    """One page view: who, in which language, with which answer."""

    def __init__(self, box: "Sandbox", request: web.Request) -> None:
        self.box = box
        self.request = request
        self.form: dict[str, Any] = {}
        asked = request.query.get("lang")
        lang = asked or request.cookies.get("sandbox_lang")
        default = box.state.settings["pages_language"]
        self.lang = lang if lang in LANGUAGES else default
        self.new_lang = asked if asked in LANGUAGES else None
        self.openid = ""

    def t(self, key: str) -> str:
        return text(key, self.lang)

    @property
    def user(self) -> "User":
        """Return the person in the address; pages belong to nobody else."""
        openid = self.request.match_info["openid"]
        user = self.box.state.users.get(openid)
        if user is None:
            raise web.HTTPSeeOther("/phone")
        self.openid = openid
        return user

    def field(self, name: str) -> str:
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def render(self, name: str, title: str, status: int = 200, **values: Any) -> Any:
        flash = self.request.query.get("flash", "")
        html = environment.get_template(name).render(
            lang=self.lang,
            lang_url=self._lang_url(),
            t=self.t,
            title=title,
            flash=self.t(flash) if flash.isidentifier() else "",
            **values,
        )
        return web.Response(text=html, status=status, content_type="text/html")

    def _lang_url(self) -> str:
        """Return this page in the other language; nothing after a form was sent."""
        if self.request.method != "GET":
            return ""
        query = {k: v for k, v in self.request.query.items() if k != "flash"}
        query["lang"] = "en" if self.lang == "zh" else "zh"
        return f"{self.request.path}?{urlencode(query)}"

    def message(self, message: str, status: int = 200, back: str = "") -> Any:
        home = f"/phone/{self.openid}" if self.openid else "/phone"
        return self.render(
            "message.html",
            self.t("app"),
            status,
            message=message,
            back=back or home,
        )

    def go(self, path: str, **query: str) -> Any:
        target = f"{path}?{urlencode(query)}" if query else path
        return web.Response(status=303, headers={"Location": target})

    def finish(self, response: web.StreamResponse) -> web.StreamResponse:
        for name, value in SECURITY.items():
            response.headers.setdefault(name, value)
        options: dict[str, Any] = {"max_age": COOKIE_LIFE, "samesite": "Lax"}
        if self.new_lang:
            response.set_cookie("sandbox_lang", self.new_lang, **options)
        if self.openid:
            # This browser is now this person's phone.
            response.set_cookie("sandbox_openid", self.openid, **options)
        return response

    def current(self) -> str:
        """Return the person whose phone this browser was last."""
        openid = self.request.cookies.get("sandbox_openid", "")
        return openid if openid in self.box.state.users else ""


# -- how things look -------------------------------------------------------
def money(fen: int) -> str:
    yuan, rest = divmod(fen, 100)
    return f"{yuan}.{rest:02d}" if rest else str(yuan)


def _offer(view: View, card: "Card") -> str:
    """Return the benefit in a few words."""
    body = card.body
    if card.card_type == "CASH":
        parts = [view.t("off_cash") % money(body["reduce_cost"])]
        if body.get("least_cost"):
            parts.append(view.t("off_least") % money(body["least_cost"]))
        return " · ".join(parts)
    if card.card_type == "DISCOUNT":
        off = body["discount"]
        shown = f"{(100 - off) / 10:g}" if view.lang == "zh" else str(off)
        return view.t("off_percent") % shown
    return ""


def _period(view: View, begin: int, end: int) -> str:
    if not end:
        return view.t("forever")
    days = [beijing(moment).strftime("%Y.%m.%d") for moment in (begin, end)]
    return f"{days[0]} – {days[1]}"


def _card_validity(view: View, card: "Card") -> str:
    info = card.base_info["date_info"]
    if info.get("fixed_term"):
        return view.t("from_receive") % info["fixed_term"]
    return _period(view, info.get("begin_timestamp", 0), info.get("end_timestamp", 0))


def show(view: View, card: "Card", code: "Code | None" = None) -> dict[str, Any]:
    """Return what the templates need to draw a card."""
    base = card.base_info
    match = _IMAGE.search(base["logo_url"])
    validity = _card_validity(view, card)
    if code:
        validity = _period(view, code.begin, code.end)
    return {
        "color": oa_card_rules.COLORS[base["color"]],
        "logo": view.box.state.images.get(match.group(1)) if match else None,
        "initial": base["brand_name"][:1],
        "brand": base["brand_name"],
        "title": base["title"],
        "notice": base["notice"],
        "description": base["description"],
        "service_phone": base.get("service_phone", ""),
        "type": view.t(card.card_type),
        "offer": _offer(view, card),
        "validity": validity,
    }


def _badge(view: View, code: "Code") -> str:
    """Return the state to print on a card, "" for a usable one."""
    state = wallet.code_state(view.box, code)
    if state != wallet.USABLE:
        return view.t(state)
    return "" if wallet.begun(view.box, code) else view.t("NOT_YET")


def _url(openid: str, code: "Code") -> str:
    return f"/phone/{openid}/card/{code.card_id}/{quote(code.code, safe='')}"


# -- people -------------------------------------------------------
def _users_page(view: View, hint: str, link: Callable, after: str = "") -> Any:
    users = [
        {
            "openid": user.openid,
            "nickname": user.nickname,
            "count": len(_held(view.box, user.openid)),
        }
        for user in list(view.box.state.users.values())[:200]
    ]
    return view.render(
        "users.html",
        view.t("pick_user"),
        users=users,
        hint=hint,
        link=lambda user: link(user["openid"]),
        next=after,
    )


def _held(box: "Sandbox", openid: str) -> list["Code"]:
    return [
        code
        for code in box.state.wallets.get(openid, [])
        if wallet.code_state(box, code) == wallet.USABLE
    ]


@page("GET", "/")
def root(view: View) -> Any:
    return view.go("/phone")


@page("GET", "/phone")
def users(view: View) -> Any:
    return _users_page(view, view.t("pick_hint"), lambda openid: f"/phone/{openid}")


@page("POST", "/phone/users")
def add_user(view: View) -> Any:
    from .control import put_user

    nickname = view.field("nickname")[:32]
    if nickname:
        put_user(view.box, {"nickname": nickname})
    after = view.field("next")
    local = after.startswith("/") and not after.startswith(("//", "/\\"))
    return view.go(after if local else "/phone")


# -- wallet -------------------------------------------------------
@page("GET", "/phone/{openid}")
def show_wallet(view: View) -> Any:
    user, state = view.user, view.box.state
    cards, old = [], []
    for code in reversed(state.wallets.get(user.openid, [])):
        if code.hidden or code.state in ("DELETE", "GIFT_SUCC"):
            continue
        card = state.cards[code.card_id]
        badge = _badge(view, code)
        item = {"url": _url(user.openid, code), "badge": badge}
        item["card"] = show(view, card, code)
        spent = wallet.code_state(view.box, code) in (
            *("CONSUMED", "EXPIRE", "UNAVAILABLE"),
        )
        (old if spent else cards).append(item)
    for more in MORE_CARDS:
        for item in more(view, user.openid):
            (old if item["spent"] else cards).append(item)
    gifts = [_show_gift(view, code) for code in wallet.gifts_for(view.box, user.openid)]
    return view.render(
        "wallet.html",
        view.t("wallet"),
        user=user,
        cards=cards,
        old=old,
        gifts=gifts,
        back="/phone",
    )


def _show_gift(view: View, code: "Code") -> dict[str, Any]:
    card = show(view, view.box.state.cards[code.card_id], code)
    giver = view.box.state.users[code.openid].nickname
    return {"id": code.gift_id, "card": card, "giver": giver}


@page("POST", "/phone/{openid}/accept/{gift_id}")
def accept(view: View) -> Any:
    user = view.user
    gift_id = view.request.match_info["gift_id"]
    code = wallet.accept(view.box, user.openid, gift_id=gift_id)
    return view.go(_url(user.openid, code), flash="received")


# -- one card -------------------------------------------------------
def _code(view: View) -> "Code":
    info = view.request.match_info
    return wallet.find_in_wallet(
        view.box, view.user.openid, info["code"], info["card_id"]
    )


def _group(code: str) -> str:
    """Return a long number in groups of four, as phones show it."""
    if not code.isdigit() or len(code) < 8:
        return code
    return " ".join(code[start : start + 4] for start in range(0, len(code), 4))


def _symbols(card: "Card", code: "Code") -> dict[str, Any]:
    """Return QR code, barcode and text as the card's code_type wants them."""
    kind = card.base_info["code_type"]
    parts: dict[str, Any] = {"qr": "", "bars": "", "show_text": True}
    parts["bars_first"] = kind == "CODE_TYPE_BARCODE"
    if kind in ("CODE_TYPE_QRCODE", "CODE_TYPE_BARCODE", "CODE_TYPE_ONLY_QRCODE"):
        parts["qr"] = Markup(symbols.qr_svg(code.code))
    if kind in ("CODE_TYPE_QRCODE", "CODE_TYPE_BARCODE", "CODE_TYPE_ONLY_BARCODE"):
        parts["bars"] = Markup(symbols.barcode_svg(code.code))
    if kind in ("CODE_TYPE_ONLY_QRCODE", "CODE_TYPE_ONLY_BARCODE", "CODE_TYPE_NONE"):
        parts["show_text"] = False
    return parts


def _cell_url(view: View, code: "Code", url: str) -> str:
    """Return a shop's link with what WeChat adds to it."""
    extra = {
        "card_id": code.card_id,
        "encrypt_code": wallet.encrypt_code(view.box, code),
        "openid": code.openid,
        "outer_str": code.outer_str,
    }
    return f"{url}{'&' if '?' in url else '?'}{urlencode(extra)}"


def _cells(view: View, card: "Card", code: "Code") -> list[dict[str, str]]:
    base = card.base_info
    return [
        {
            "name": base[f"{kind}_url_name"],
            "sub": base.get(f"{kind}_url_sub_title", ""),
            "url": _cell_url(view, code, base[f"{kind}_url"]),
        }
        for kind in ("custom", "promotion")
        if base.get(f"{kind}_url_name")
        and urlsplit(base.get(f"{kind}_url") or "").scheme in ("http", "https")
    ]


def _center(view: View, card: "Card", code: "Code") -> dict[str, str] | None:
    base = card.base_info
    url = base.get("center_url") or ""
    if not base.get("center_title") or urlsplit(url).scheme not in ("http", "https"):
        return None
    sub = base.get("center_sub_title", "")
    return {
        "title": base["center_title"],
        "sub": sub,
        "url": _cell_url(view, code, url),
    }


@page("GET", "/phone/{openid}/card/{card_id}/{code}")
def show_code(view: View) -> Any:
    code = _code(view)
    card = view.box.state.cards[code.card_id]
    if "again" not in view.request.query:
        wallet.view(view.box, code)
    state = wallet.code_state(view.box, code)
    live = state == wallet.USABLE and wallet.begun(view.box, code)
    here = _url(view.openid, code)
    shown = show(view, card, code)
    return view.render(
        "card.html",
        view.t(card.card_type),
        card=shown,
        tint=shown["color"] if live else "#9a9a9a",
        code=code,
        state=state,
        live=live,
        badge=_badge(view, code),
        grouped=_group(code.code),
        validity=shown["validity"],
        center=_center(view, card, code),
        cells=_cells(view, card, code),
        here=here,
        back=f"/phone/{view.openid}",
        refresh=f"{here}?again=1" if state in (wallet.USABLE, "GIFTING") else "",
        can_give=state == wallet.USABLE and card.base_info.get("can_give_friend", True),
        can_take_back=state in ("GIFTING", "GIFT_TIMEOUT"),
        can_delete=state not in ("GIFTING", "GIFT_SUCC", "DELETE") and not code.hidden,
        can_self=live and card.self_consume.get("is_open"),
        **_symbols(card, code),
    )


@page("POST", "/phone/{openid}/card/{card_id}/{code}/delete")
def delete(view: View) -> Any:
    wallet.delete(view.box, _code(view))
    return view.go(f"/phone/{view.openid}", flash="DELETE")


@page("POST", "/phone/{openid}/card/{card_id}/{code}/self_consume")
def self_consume(view: View) -> Any:
    code = _code(view)
    if not view.box.state.cards[code.card_id].self_consume.get("is_open"):
        raise OaError(40150)
    wallet.consume(view.box, code, "FROM_SELF_CONSUME")
    return view.go(_url(view.openid, code), flash="CONSUMED")


@page("GET", "/phone/{openid}/card/{card_id}/{code}/gift")
def choose_friend(view: View) -> Any:
    code = _code(view)
    users = [
        user for user in view.box.state.users.values() if user.openid != view.openid
    ]
    return view.render(
        "gift.html",
        view.t("give"),
        card=show(view, view.box.state.cards[code.card_id], code),
        users=users[:200],
        back=_url(view.openid, code),
    )


@page("POST", "/phone/{openid}/card/{card_id}/{code}/gift")
def gift(view: View) -> Any:
    code = _code(view)
    wallet.gift(view.box, code, view.field("to_openid"), bool(view.field("chat_room")))
    return view.go(_url(view.openid, code), flash="GIFTING")


@page("POST", "/phone/{openid}/card/{card_id}/{code}/take_back")
def take_back(view: View) -> Any:
    code = wallet.take_back(view.box, _code(view))
    return view.go(_url(view.openid, code), flash="NORMAL")


# -- receiving -------------------------------------------------------
#: What other families offer: items with ``url``, ``note`` and ``card``.
MORE_TO_RECEIVE: list[Callable[[View, str], list[dict[str, Any]]]] = []


def _receive_row(view: View, card: "Card", openid: str) -> dict[str, Any]:
    refusal = wallet.issuable(view.box, card, openid)
    note = view.t("stock") % card.quantity
    return {
        "card": show(view, card),
        "url": f"/phone/{openid}/receive/{card.card_id}",
        "note": reason(refusal, view.lang) if refusal else note,
    }


@page("GET", "/phone/{openid}/receive")
def receive_list(view: View) -> Any:
    user = view.user
    cards = [
        _receive_row(view, card, user.openid)
        for card in reversed(list(view.box.state.cards.values()))
        if card.status != DELETED
        and (card.deposit_mode or not card.custom_code)
        and (not user.appid or user.appid == card.appid)
    ]
    for more in MORE_TO_RECEIVE:
        cards += more(view, user.openid)
    return view.render(
        "receive_list.html",
        view.t("get_card"),
        cards=cards[:100],
        back=f"/phone/{user.openid}",
    )


@page("GET", "/phone/receive/{card_id}")
def receive_anyone(view: View) -> Any:
    """A link to a card that does not say yet whose phone this is."""
    card_id = view.request.match_info["card_id"]
    return _for_someone(view, f"receive/{card_id}")


def _for_someone(view: View, rest: str) -> Any:
    openid = view.current()
    if openid:
        return view.go(f"/phone/{openid}/{rest}")
    return _users_page(
        view,
        view.t("pick_hint"),
        lambda chosen: f"/phone/{chosen}/{rest}",
        view.request.path,
    )


def _card(view: View, card_id: str) -> "Card":
    card = view.box.state.cards.get(card_id)
    if card is None:
        raise OaError(40056)
    return card


@page("GET", "/phone/{openid}/receive/{card_id}")
def offer(view: View) -> Any:
    user = view.user
    card = _card(view, view.request.match_info["card_id"])
    refusal = wallet.issuable(view.box, card, user.openid)
    return _offer_page(view, [card], refusal)


def _offer_page(view: View, cards: "list[Card]", refusal: str) -> Any:
    shown = [{"card": show(view, card)} for card in cards]
    return view.render(
        "receive.html",
        view.t("get_card"),
        cards=shown,
        tint=shown[0]["card"]["color"],
        refusal=reason(refusal, view.lang) if refusal else "",
        back=f"/phone/{view.openid}",
    )


@page("POST", "/phone/{openid}/receive/{card_id}")
def receive(view: View) -> Any:
    user = view.user
    outer = view.request.query.get("outer_str", "")[:128]
    card_id = view.request.match_info["card_id"]
    code = wallet.receive(view.box, card_id, user.openid, outer)
    return view.go(_url(user.openid, code), flash="received")


@page("GET", "/phone/shelf/{page_id}")
def shelf(view: View) -> Any:
    """A landing page with several cards.  WeChat docs: card/landingpage/create"""
    entry = view.box.state.pages.get(view.request.match_info["page_id"])
    if entry is None:
        return view.message(view.t("not_a_card"), 404)
    openid = view.current()
    cards = []
    for card_id in entry["cards"]:
        card = view.box.state.cards[card_id]
        url = f"/phone/{openid}/receive/{card_id}" if openid else ""
        url = url or f"/phone/receive/{card_id}"
        note = view.t("stock") % card.quantity
        cards.append({"card": show(view, card), "url": url, "note": note})
    return view.render("receive_list.html", entry["title"], cards=cards)


# -- QR codes -------------------------------------------------------
def _ticket(view: View) -> "Ticket":
    ticket = oa_qrcode.find_ticket(view.box, view.request.match_info["key"])
    if ticket is None:
        raise OaError(40053)
    return ticket


@page("GET", "/cgi-bin/showqrcode")
def show_qrcode(view: View) -> Any:
    """The picture of a QR code, 404 for a wrong ticket.

    WeChat docs: cgi-bin/showqrcode
    """
    ticket = view.box.state.tickets.get(view.request.query.get("ticket", ""))
    if ticket is None:
        return web.Response(status=404, text="not found")
    url = f"{view.box.base_url(view.request)}/q/{ticket.key}"
    return web.Response(body=symbols.qr_png(url), content_type="image/png")


@page("GET", "/q/{key}")
def scanned(view: View) -> Any:
    """Where the address in a QR code leads."""
    key = _ticket(view).key
    return _for_someone(view, f"q/{key}")


@page("GET", "/phone/{openid}/q/{key}")
def scanned_by(view: View) -> Any:
    user, ticket = view.user, _ticket(view)
    if ticket.kind == "scene":
        oa_qrcode.scan_scene(view.box, ticket, user.openid)
        return view.message(view.t("followed"))
    cards = [_card(view, entry["card_id"]) for entry in ticket.cards]
    return _offer_page(
        view, cards, wallet.ticket_refusal(view.box, ticket, user.openid)
    )


@page("POST", "/phone/{openid}/q/{key}")
def receive_scanned(view: View) -> Any:
    user = view.user
    records = wallet.receive_by_ticket(view.box, _ticket(view), user.openid)
    if len(records) > 1:
        return view.go(f"/phone/{user.openid}", flash="received")
    return view.go(_url(user.openid, records[0]), flash="received")


@page("GET", "/phone/{openid}/scan")
def scan(view: View) -> Any:
    user = view.user
    return view.render("scan.html", view.t("scan"), back=f"/phone/{user.openid}")


@page("POST", "/phone/{openid}/scan")
def scan_text(view: View) -> Any:
    user, url = view.user, view.field("url")
    payable = _PAYABLE.search(url)
    if payable:
        return view.go(f"/phone/{user.openid}/pay/{quote(payable.group(1))}")
    if urlsplit(url).path == "/busifavor/getcouponinfo":
        return view.go(f"/phone/{user.openid}/busifavor?{urlsplit(url).query}")
    ticket = oa_qrcode.find_ticket(view.box, url)
    if ticket is None:
        return view.message(
            view.t("not_a_card"), 404, back=f"/phone/{user.openid}/scan"
        )
    return view.go(f"/phone/{user.openid}/q/{ticket.key}")


# -- web authorisation -------------------------------------------------------
@page("GET", "/connect/oauth2/authorize")
def authorize(view: View) -> Any:
    """Ask who is there, unless this browser is somebody's phone already.

    WeChat docs: connect/oauth2/authorize
    """
    query = view.request.query
    problem = _authorize_problem(view, query)
    if problem:
        return view.message(view.t(problem), 400)
    openid = view.current()
    if openid and query["scope"] == "snsapi_base" and _may(view, openid, query):
        return _authorized(view, openid, query)
    users = [
        {"openid": user.openid, "nickname": user.nickname}
        for user in view.box.state.users.values()
        if _may(view, user.openid, query)
    ]
    account = view.box.state.accounts[query["appid"]]
    return view.render(
        "users.html",
        view.t("authorize"),
        users=users[:200],
        hint=view.t("authorize_hint") % (account.name or account.appid),
        action="/connect/oauth2/authorize",
        fields={
            name: query.get(name, "")
            for name in ("appid", "redirect_uri", "response_type", "scope", "state")
        },
        next=view.request.path_qs,
    )


@page("POST", "/connect/oauth2/authorize")
def authorize_as(view: View) -> Any:
    form = {name: view.field(name) for name in view.form}
    problem = _authorize_problem(view, form)
    if problem or not _may(view, form.get("openid", ""), form):
        return view.message(view.t(problem or "error"), 400)
    return _authorized(view, form["openid"], form)


def _may(view: View, openid: str, query: Any) -> bool:
    user = view.box.state.users.get(openid)
    return user is not None and user.appid in ("", query["appid"])


def _authorize_problem(view: View, query: Any) -> str:
    account = view.box.state.accounts.get(query.get("appid", ""))
    if account is None:
        return "bad_appid"
    parts = urlsplit(query.get("redirect_uri", ""))
    allowed = account.oauth_domains is None or parts.hostname in account.oauth_domains
    if parts.scheme not in ("http", "https") or not parts.hostname or not allowed:
        return "bad_redirect"
    good = query.get("scope") in oa_user.SCOPES and query.get("response_type") == "code"
    return "" if good and len(query.get("state", "")) <= 128 else "bad_scope"


def _authorized(view: View, openid: str, query: Any) -> Any:
    account = view.box.state.accounts[query["appid"]]
    code = oa_user.new_oauth_code(view.box, account, openid, query["scope"])
    target = query["redirect_uri"]
    extra = urlencode({"code": code, "state": query.get("state", "")})
    view.openid = openid
    target = f"{target}{'&' if '?' in target else '?'}{extra}"
    return web.Response(status=302, headers={"Location": target})
