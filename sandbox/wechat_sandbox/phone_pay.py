"""The phone's paying pages: an order, with a button to pay and one to cancel."""

from typing import TYPE_CHECKING, Any

from . import pay_transactions
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
        state=view.t(refusal),
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
