"""The phone's paying pages: an order to pay or cancel, the payment code, passwords."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from . import pay_codepay, pay_transactions, symbols
from .errors import ControlError
from .phone import View, page

if TYPE_CHECKING:
    from .state import User


def _order(view: View) -> dict[str, Any]:
    number = view.request.match_info["number"]
    for order in view.box.state.orders.values():
        if order["prepay_id"] == number or order["code_url"].endswith(f"pr={number}"):
            return order
    raise ControlError(view.t("not_a_card"), 404)


def _refusal(view: View, user: "User", order: dict[str, Any]) -> str:
    """Return why this person cannot pay this order, "" when nothing is in the way."""
    state = order["trade_state"]
    payer = order["request"].get("payer", {}).get("openid")
    if state in pay_transactions.PAID:
        return "paid"
    now = view.box.clock.now()
    if state != "NOTPAY" or now > order["expires"]:
        return "not_payable"
    if now > order["link_expires"]:
        return "link_expired"
    return "not_yours" if payer and payer != user.openid else ""


def _page(view: View, order: dict[str, Any], refusal: str, **values: Any) -> Any:
    return view.render(
        "pay.html",
        view.t("pay"),
        description=order["request"]["description"],
        amount=f"{order['request']['amount']['total'] / 100:.2f}",
        payable=not refusal,
        state=view.t(refusal) if refusal else "",
        back=f"/phone/{view.openid}",
        **values,
    )


@page("GET", "/phone/{openid}/pay/{number}")
def show_order(view: View) -> Any:
    user, order = view.user, _order(view)
    return _page(view, order, _refusal(view, user, order))


@page("POST", "/phone/{openid}/pay/{number}")
def pay(view: View) -> Any:
    user, order = view.user, _order(view)
    refusal = _refusal(view, user, order)
    if refusal:
        raise ControlError(view.t(refusal), 409)
    if view.field("action") == "cancel":
        return view.message(view.t("pay_cancelled"))
    pay_transactions.pay_order(view.box, order, {"openid": user.openid})
    return view.message(view.t("paid"))


# -- the payment code -------------------------------------------------------
@page("GET", "/phone/{openid}/pay_code")
def show_code(view: View) -> Any:
    """The payment code, and the payments that wait for a password.

    The page loads itself again, as the code changes.
    """
    user, new = view.user, "new" in view.request.query
    code = pay_codepay.current_code(view.box, user.openid, new)["auth_code"]
    response = view.render(
        "pay_code.html",
        view.t("pay_code"),
        user=user,
        code=code,
        spaced=" ".join((code[:6], code[6:10], code[10:14], code[14:])),
        barcode=Markup(symbols.barcode_svg(code)),
        qrcode=Markup(symbols.qr_svg(code)),
        waiting=_waiting(view, user),
        back=f"/phone/{user.openid}",
    )
    response.headers["Refresh"] = f"5; url=/phone/{quote(user.openid)}/pay_code"
    return response


def _waiting(view: View, user: "User") -> list[dict[str, Any]]:
    return [
        {
            "url": f"/phone/{user.openid}/password/{order['mchid']}/"
            + quote(order["out_trade_no"], safe=""),
            "description": order["request"]["description"],
            "amount": f"{order['request']['amount']['total'] / 100:.2f}",
        }
        for order in view.box.state.orders.values()
        if order["trade_state"] == "USERPAYING" and order["openid"] == user.openid
    ]


def _asking(view: View, user: "User") -> dict[str, Any]:
    info = view.request.match_info
    key = pay_transactions.order_key(info["mchid"], info["out_trade_no"])
    order = view.box.state.orders.get(key)
    if order is None or order.get("openid") != user.openid:
        raise ControlError(view.t("not_a_card"), 404)
    return order


@page("GET", "/phone/{openid}/password/{mchid}/{out_trade_no}")
def ask_password(view: View) -> Any:
    user = view.user
    order = _asking(view, user)
    waits = order["trade_state"] == "USERPAYING"
    paid = "paid" if order["trade_state"] in pay_transactions.PAID else "not_payable"
    return _page(view, order, "" if waits else paid, password=True)


@page("POST", "/phone/{openid}/password/{mchid}/{out_trade_no}")
def enter_password(view: View) -> Any:
    user = view.user
    order = _asking(view, user)
    right = view.field("password") == pay_codepay.PASSWORD
    result = "right" if right else "wrong"
    if view.field("action") == "cancel":
        result = "cancel"
    if order["trade_state"] != "USERPAYING":
        raise ControlError(view.t("not_payable"), 409)
    pay_codepay.enter_password(view.box, order, result)
    if result == "wrong":
        return view.go(view.request.path, flash="password_wrong")
    return view.message(view.t("paid" if result == "right" else "pay_failed"))
