"""Partner mode: a service provider takes payments for its sub-merchants.

WeChat docs: POST /v3/pay/partner/transactions/jsapi, native, codepay,
GET /v3/pay/partner/transactions/out-trade-no/{out_trade_no}, id/{transaction_id},
POST /v3/pay/partner/transactions/out-trade-no/{out_trade_no}/close, reverse.

An order of a provider is an order of a merchant with ``partner`` in its request: who it
is for.  Numbers are unique over all sub-merchants of a provider.
"""

from dataclasses import replace
from typing import Any

from . import pay_codepay
from . import pay_schema as schema
from . import pay_transactions as orders
from .errors import PayError
from .pay_core import PayCall, Reply, route

PATH = "/v3/pay/partner/transactions"

_APPIDS = {
    "sp_appid": schema.string(32, required=True),
    "sub_appid": schema.string(32),
}
# That there is a sub-merchant has an error of its own.
_MCHIDS = {
    "sp_mchid": schema.string(32, required=True),
    "sub_mchid": schema.string(32),
}


def _for_partners(direct: schema.Field, **change: schema.Field) -> schema.Field:
    """Return the schema of a direct call with a partner's names."""
    fields = dict(direct.fields or {})
    del fields["appid"], fields["mchid"]
    return schema.group(required=True, **{**_APPIDS, **_MCHIDS, **fields, **change})


NATIVE = _for_partners(orders.NATIVE)
JSAPI = _for_partners(
    orders.NATIVE,
    payer=schema.group(
        required=True, sp_openid=schema.string(128), sub_openid=schema.string(128)
    ),
)
CODEPAY = _for_partners(pay_codepay.CODEPAY)
CLOSE = schema.group(required=True, **_MCHIDS)
REVERSE = schema.group(required=True, **_APPIDS, **_MCHIDS)


def _as_direct(call: PayCall) -> PayCall:
    """Return the provider's own call of the same kind, for a sub-merchant."""
    data = dict(call.data)
    call.own_mchid(data["sp_mchid"], "/sp_mchid")
    partner = {"sub_mchid": orders.check_sub(call, data.pop("sub_mchid", ""))}
    sub_appid = data.pop("sub_appid", "")
    if sub_appid:
        partner["sub_appid"] = sub_appid
        _check_sub_appid(call, partner)
    data["mchid"] = data.pop("sp_mchid")
    if "sp_appid" in data:
        data["appid"] = data.pop("sp_appid")
    data["partner"] = partner
    return replace(call, data=data)


def _check_sub_appid(call: PayCall, partner: dict[str, str]) -> None:
    """The AppID of a sub-merchant whom the sandbox knows must be bound to it."""
    known = call.box.state.merchants.get(partner["sub_mchid"])
    if known is not None and partner["sub_appid"] not in known.appids:
        message = "sub_appid和sub_mchid不匹配"
        raise PayError(400, "APPID_MCHID_NOT_MATCH", message, orders.APPID_MISMATCH)


def _find(call: PayCall) -> dict[str, Any]:
    """Return the order of a query's address and parameters."""
    call.own_mchid(call.need_query("sp_mchid"), "sp_mchid")
    sub = orders.check_sub(call, call.query.get("sub_mchid", ""))
    if "transaction_id" in call.params:
        return orders.find_transaction(call, sub)
    return orders.find_own(call, sub)


# -- calls --------------------------------------------------------
@route("POST", f"{PATH}/native", NATIVE)
def native(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/pay/partner/transactions/native"""
    return orders.native(_as_direct(call))


@route("POST", f"{PATH}/jsapi", JSAPI)
def jsapi(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/pay/partner/transactions/jsapi"""
    direct = _as_direct(call)
    data, payer = direct.data, call.data["payer"]
    own, sub = payer.get("sp_openid"), payer.get("sub_openid")
    if own and sub:
        raise schema.param_error("/payer", "", "sp_openid和sub_openid只能传一个")
    sub_appid = data["partner"].get("sub_appid")
    if sub and not sub_appid:
        raise schema.param_error("/sub_appid", "", "缺少必填参数")
    data["payer"] = {"openid": own or sub}
    return orders.place_jsapi(direct, sub_appid if sub else data["appid"])


@route("POST", f"{PATH}/codepay", CODEPAY)
def codepay(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/pay/partner/transactions/codepay"""
    return pay_codepay.codepay(_as_direct(call))


@route("GET", f"{PATH}/out-trade-no/{{out_trade_no}}")
@route("GET", f"{PATH}/id/{{transaction_id}}")
def query(call: PayCall) -> Reply:
    """WeChat docs: GET /v3/pay/partner/transactions/out-trade-no/…, id/…"""
    return 200, orders.show_order(_find(call))


@route("POST", f"{PATH}/out-trade-no/{{out_trade_no}}/close", CLOSE)
def close(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/pay/partner/transactions/out-trade-no/…/close"""
    return orders.close(_as_direct(call))


@route("POST", f"{PATH}/out-trade-no/{{out_trade_no}}/reverse", REVERSE)
def reverse(call: PayCall) -> Reply:
    """WeChat docs: POST /v3/pay/partner/transactions/out-trade-no/…/reverse"""
    pay_codepay.reverse(_as_direct(call))
    return 200, {**call.data, "out_trade_no": call.params["out_trade_no"]}
