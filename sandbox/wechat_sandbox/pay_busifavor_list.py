"""商家券: what a merchant can look at.

WeChat docs: GET /v3/marketing/busifavor/users/{openid}/coupons,
GET …/coupons/{coupon_code}/appids/{appid},
GET /v3/marketing/busifavor/stocks/{stock_id}/couponcodes/{coupon_code}.
"""

from typing import TYPE_CHECKING, Any

from . import pay_busifavor as stocks
from . import pay_marketing as common
from .clock import rfc3339
from .errors import PayError
from .pay_busifavor import PATH
from .pay_busifavor_coupon import (
    STATES,
    Coupon,
    coupon_key,
    coupons,
    held,
    state_of,
    stock_of,
)
from .pay_core import PayCall, Reply, route

if TYPE_CHECKING:
    from .sandbox import Sandbox

_TEXTS = (
    *("send_request_no", "use_request_no", "associate_out_trade_no"),
    *("return_request_no", "deactivate_request_no", "deactivate_reason"),
)
_TIMES = {
    "starts": "available_start_time",
    "expires": "expire_time",
    "received": "receive_time",
    "used": "use_time",
    "returned": "return_time",
    "deactivated": "deactivate_time",
}
_OF_STOCK = (
    *("belong_merchant", "stock_name", "comment", "goods_name", "stock_type"),
    *("display_pattern_info", "custom_entrance"),
)


def show_coupon(box: "Sandbox", coupon: Coupon) -> dict[str, Any]:
    request = stock_of(box, coupon)["request"]
    rule = request["coupon_use_rule"]
    return {
        **{name: request[name] for name in _OF_STOCK if name in request},
        "transferable": False,
        "shareable": False,
        "coupon_use_rule": stocks.show_use_rule(rule),
        "coupon_code": coupon["coupon_code"],
        "stock_id": coupon["stock_id"],
        "coupon_state": state_of(box, coupon),
        **{name: coupon[name] for name in _TEXTS if name in coupon},
        **{name: rfc3339(coupon[key]) for key, name in _TIMES.items() if key in coupon},
    }


_ROLES = {
    "creator_merchant": lambda stock, coupon: stock["creator"],
    "belong_merchant": lambda stock, coupon: stock["belong"],
    "sender_merchant": lambda stock, coupon: coupon["sender"],
}


def _role_filter(call: PayCall) -> dict[str, str]:
    """Return the merchants asked for: at least one, and only the caller's own."""
    wanted = {name: call.query[name] for name in _ROLES if call.query.get(name)}
    if not wanted:
        raise _bad_roles()
    for name, mchid in wanted.items():
        if not common.may_act_for(call, mchid):
            raise common.bad_query(name, "商户号与调用方不一致", mchid)
    return wanted


def _bad_roles() -> PayError:
    issue = "creator_merchant、belong_merchant、sender_merchant至少填写一个"
    return common.bad_query("creator_merchant", issue)


@route("GET", f"{PATH}/users/{{openid}}/coupons")
def list_coupons(call: PayCall) -> Reply:
    """List a person's coupons.

    WeChat docs: GET /v3/marketing/busifavor/users/{openid}/coupons
    """
    box, openid = call.box, call.params["openid"]
    stocks.check_onboarded(call)
    appid = call.need_query("appid")
    common.check_appid(call, appid)
    common.check_person(box, appid, openid)
    roles = _role_filter(call)
    state = common.choice_query(call, "coupon_state", STATES)
    stock_id = call.query.get("stock_id", "")
    page = common.number_query(call, "offset", 0, 0, 10**6)
    # The default and the largest page are unconfirmed (contract 6.1).
    size = common.number_query(call, "limit", 20, 1, 50)
    rows = []
    for coupon in held(box, openid):
        stock = stock_of(box, coupon)
        fits = (
            stock_id in ("", coupon["stock_id"])
            and state in ("", state_of(box, coupon))
            and all(_ROLES[n](stock, coupon) == mchid for n, mchid in roles.items())
        )
        if fits:
            rows.append(show_coupon(box, coupon))
    return 200, common.pages(rows, page, size)


@route("GET", f"{PATH}/users/{{openid}}/coupons/{{coupon_code}}/appids/{{appid}}")
def get_coupon(call: PayCall) -> Reply:
    """Show one coupon.  Nothing says which, where two stocks have the same code: the
    newest of those that the merchant may see.

    WeChat docs: GET …/users/{openid}/coupons/{coupon_code}/appids/{appid}
    """
    box, openid = call.box, call.params["openid"]
    stocks.check_onboarded(call)
    common.check_appid(call, call.params["appid"])
    common.check_person(box, call.params["appid"], openid)
    code = call.params["coupon_code"]
    found = [c for c in held(box, openid) if c["coupon_code"] == code]
    if not found:
        raise common.not_found("券不存在")
    own = [c for c in found if stocks.may_handle(call, stock_of(box, c))]
    if not own:
        raise common.no_auth()
    return 200, show_coupon(box, own[-1])


@route("GET", f"{PATH}/stocks/{{stock_id}}/couponcodes/{{coupon_code}}")
def get_code(call: PayCall) -> Reply:
    """Show an uploaded code, and the coupon that it became.

    WeChat docs: GET /v3/marketing/busifavor/stocks/{stock_id}/couponcodes/{coupon_code}
    """
    code, shown = call.params["coupon_code"], stocks.show_code(call)
    coupon = coupons(call.box).get(coupon_key(call.params["stock_id"], code))
    if coupon:
        shown["coupon_information"] = show_coupon(call.box, coupon)
    return 200, shown
