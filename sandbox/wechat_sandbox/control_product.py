"""The control API's product coupons: brands, reviews, what people do on the phone."""

from typing import TYPE_CHECKING, Any

from aiohttp import web

from . import product_wallet as wallet
from .control import _fields, _new_merchant_key, _person, control
from .errors import ControlError
from .pay_product import all_stocks, notify, review, show_coupon, show_stock
from .state import Brand

if TYPE_CHECKING:
    from .sandbox import Sandbox

BRAND_FIELDS = {
    "brand_id": str,
    "name": str,
    "appids": list,
    "providers": list,
    "stores": list,
    "apiv3_key": str,
    "merchant_serial": str,
    "merchant_public_key_pem": str,
    "merchant_cert_pem": str,
    "notify_url": str,
    "generate": bool,
}


# -- brands -------------------------------------------------------
@control("POST", "/sandbox/brands")
def upsert_brand(box: "Sandbox", request: web.Request, data: dict) -> dict:
    return put_brand(box, data)


def put_brand(box: "Sandbox", data: dict) -> dict:
    """Make or change a brand; answer the keys, as for merchants.

    ``providers`` are the service providers that the brand has authorised; ``stores``
    the numbers of its shops; ``notify_url`` is what notify-configs would set.
    """
    values = dict(_fields(data, BRAND_FIELDS))
    brand_id = values.get("brand_id")
    if not brand_id:
        raise ControlError("brand_id is required")
    if brand_id in box.state.merchants:
        raise ControlError("there is a merchant with this number", 409)
    if values.get("apiv3_key") and len(values["apiv3_key"].encode()) != 32:
        raise ControlError("apiv3_key must have 32 bytes")
    made = {}
    if values.pop("generate", False):
        made = _new_merchant_key(brand_id)
        values["merchant_cert_pem"] = made["merchant_cert_pem"]
    if certificate := values.pop("merchant_cert_pem", ""):
        values.update(box.pay.read_certificate(certificate))
    if values.get("merchant_public_key_pem"):
        box.pay.check_public_key(values["merchant_public_key_pem"])
    url = values.pop("notify_url", None)
    brand = box.state.brands.get(brand_id)
    if brand is None:
        brand = box.state.brands[brand_id] = Brand(brand_id)
        brand.public_key_id = box.pay.new_public_key_id(brand_id)
    for name, value in values.items():
        setattr(brand, name, value)
    if url is not None:
        brand.product_notify = {"notify_url": url, "update_time": ""} if url else {}
    box.pay.forget_keys(brand_id)
    box.state.touch()
    return {
        "brand_id": brand_id,
        "merchant_serial": brand.merchant_serial,
        **box.pay.platform_keys(brand),
        **made,
    }


# -- what WeChat decides -------------------------------------------------------
def _record(box: "Sandbox", table: dict, number: str, what: str) -> dict:
    record = table.get(number)
    if record is None:
        raise ControlError(f"unknown {what}", 404)
    return record


def _coupon(box: "Sandbox", request: web.Request) -> dict:
    number = request.match_info["product_coupon_id"]
    return _record(box, box.state.product_coupons, number, "product_coupon_id")


def _stock(box: "Sandbox", number: str) -> dict:
    return _record(box, box.state.product_stocks, number, "stock_id")


def _decide(box: "Sandbox", records: list[dict], data: dict) -> None:
    if not any(record["state"] == "AUDITING" for record in records):
        raise ControlError("nothing waits for review", 409)
    for record in records:
        review(box, record, bool(data.get("pass")), str(data.get("reason") or ""))


@control("POST", "/sandbox/product/coupons/{product_coupon_id}/review")
def review_coupon(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """End the review of a coupon and its stocks: {"pass": bool, "reason"?}."""
    coupon = _coupon(box, request)
    _decide(box, [coupon, *all_stocks(box, coupon)], data)
    return show_coupon(coupon)


@control("POST", "/sandbox/product/stocks/{stock_id}/review")
def review_stock(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """End the review of one stock: {"pass": bool, "reason"?}."""
    stock = _stock(box, request.match_info["stock_id"])
    _decide(box, [stock], data)
    return show_stock(box, stock)


@control("POST", "/sandbox/product/stocks/{stock_id}/state")
def stock_state(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Pause a stock, let it go on, or stop it: {"state"}."""
    stock = _stock(box, request.match_info["stock_id"])
    states = ("SENDING", "PAUSED", "STOPPED")
    if data.get("state") not in states:
        raise ControlError(f"state must be one of {', '.join(states)}")
    if stock["state"] not in states:
        raise ControlError(f"the stock is {stock['state']}", 409)
    stock["state"] = data["state"]
    return show_stock(box, stock)


@control("GET", "/sandbox/product/coupons")
def read_coupons(box: "Sandbox", request: web.Request, data: dict) -> list:
    """List the coupons with their stocks: state, counts, shops."""
    return [
        {
            **show_coupon(coupon),
            "stocks": [
                {**show_stock(box, stock), "stores": stock["stores"]}
                for stock in all_stocks(box, coupon)
            ],
        }
        for coupon in box.state.product_coupons.values()
    ]


# -- what people do -------------------------------------------------------
def _held(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Return a person's coupon by its code, and its stock where codes are the same."""
    openid = _person(box, request)
    for record in wallet.held_by(box, openid):
        same = record["coupon_code"] == data.get("coupon_code")
        if same and data.get("stock_id", record["stock_id"]) == record["stock_id"]:
            return record
    raise ControlError("no such coupon in the wallet", 404)


@control("POST", "/sandbox/phone/{openid}/product/claim")
def claim(box: "Sandbox", request: web.Request, data: dict) -> list:
    """Claim: {"stock_id"}, {"stock_bundle_id"} or {"token"} of a pre-send."""
    openid = _person(box, request)
    if token := data.get("token"):
        records = wallet.claim(box, openid, token=str(token))
    else:
        number = str(data.get("stock_id", ""))
        if bundle := data.get("stock_bundle_id"):
            bundles = box.state.product_bundles
            number = _record(box, bundles, bundle, "stock_bundle_id")["stock_ids"][0]
        records = wallet.claim(box, openid, _stock(box, number))
    return [wallet.show(box, record) for record in records]


@control("GET", "/sandbox/phone/{openid}/product/coupons")
def list_coupons(box: "Sandbox", request: web.Request, data: dict) -> list:
    openid = _person(box, request)
    return [wallet.show(box, record) for record in wallet.held_by(box, openid)]


@control("POST", "/sandbox/phone/{openid}/product/delete")
def delete(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """The person deletes a coupon: {"coupon_code", "stock_id"?}; nobody is told."""
    record = _held(box, request, data)
    wallet.delete(box, record)
    return wallet.show(box, record)


@control("POST", "/sandbox/phone/{openid}/product/notify")
def notify_again(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Send a callback again.

    {"coupon_code", "stock_id"?, "event": SEND | USE | RETURN}
    """
    record = _held(box, request, data)
    kind = data.get("event", "SEND")
    last = record["rounds"][record["last_round"]]
    done = {"SEND": True, "USE": "use_request_no" in last}
    done["RETURN"] = "return_request_no" in last
    if kind not in done:
        raise ControlError("event must be SEND, USE or RETURN")
    if not done[kind]:
        raise ControlError("that did not happen", 409)
    notify(box, record, kind)
    return {"ok": True}


# -- pay-score orders -------------------------------------------------------
@control("POST", "/sandbox/pay/score_orders")
def put_score_order(box: "Sandbox", request: web.Request, data: dict) -> dict:
    """Make or change a pay-score order, which the sandbox has no calls for.

    {"mchid", "out_order_no", "sub_mchid"?, "state"?: DONE | DOING}
    """
    known = dict.fromkeys(("mchid", "out_order_no", "sub_mchid", "state"), str)
    order: dict[str, Any] = {"state": "DONE", **_fields(data, known)}
    if not order.get("mchid") or not order.get("out_order_no"):
        raise ControlError("mchid and out_order_no are required")
    if order["state"] not in ("DONE", "DOING"):
        raise ControlError("state must be DONE or DOING")
    key = f"{order['mchid']}|{order['out_order_no']}"
    table = box.state.pay_score_orders
    before = table.get(key, {"order_id": "15" + box.state.random_digits(26)})
    table[key] = {**before, **order}
    return table[key]
