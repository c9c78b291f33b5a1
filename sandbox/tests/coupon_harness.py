"""Bodies of stocks, and small helpers for the tests of 商家券 and 代金券."""

import hashlib
import hmac
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

from pay_harness import APPID, KEY_V2, MCHID

BUSI = "/v3/marketing/busifavor"
FAVOR = "/v3/marketing/favor"
BEIJING = timezone(timedelta(hours=8))


def at(moment=None, **delta):
    """Return a time as Pay v3 writes it, from now on or from a given moment."""
    moment = moment or datetime.now(BEIJING)
    return (moment + timedelta(**delta)).isoformat(timespec="seconds")


def times(**change):
    return {
        "available_begin_time": at(hours=-1),
        "available_end_time": at(days=30),
        **change,
    }


def stock(kind="NORMAL", when=None, send=None, **change):
    rules = {
        "NORMAL": {
            "fixed_normal_coupon": {
                "discount_amount": 1000,
                "transaction_minimum": 5000,
            }
        },
        "DISCOUNT": {
            "discount_coupon": {"discount_percent": 88, "transaction_minimum": 100}
        },
        "EXCHANGE": {
            "exchange_coupon": {"exchange_price": 100, "transaction_minimum": 100}
        },
    }
    body = {
        "stock_name": "八月迎新",
        "belong_merchant": MCHID,
        "goods_name": "全场商品",
        "stock_type": kind,
        "coupon_use_rule": {
            "coupon_available_time": when or times(),
            "use_method": "OFF_LINE",
            **rules[kind],
        },
        "stock_send_rule": {
            "max_coupons": 100,
            "max_coupons_per_user": 3,
            **(send or {}),
        },
        "out_request_no": "STOCK-1",
        "coupon_code_mode": "WECHATPAY_MODE",
    }
    body.update(change)
    return {key: value for key, value in body.items() if value is not None}


def make_stock(box, pay, **change):
    """Make a stock that is past its first STATEMENT_CREATING."""
    box.post("settings", busifavor_creating=False)
    answer = pay.call("POST", f"{BUSI}/stocks", stock(**change))
    assert answer.status_code == 200, answer.text
    return answer.json()["stock_id"]


def sign(values, key=KEY_V2):
    """HMAC-SHA256 over the sorted parameters, written from the documentation."""
    pairs = [f"{name}={values[name]}" for name in sorted(values) if name != "sign"]
    text = "&".join([*pairs, f"key={key}"])
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest().upper()


def link(stock_id, openid, number="RECEIVE-1", key=KEY_V2, **change):
    values = {
        "stock_id": stock_id,
        "out_request_no": number,
        "send_coupon_merchant": MCHID,
        "open_id": openid,
        **change,
    }
    values["sign"] = sign(values, key)
    return f"/busifavor/getcouponinfo?{urlencode(values)}#wechat_pay&wechat_redirect"


def use(code, stock_id=None, number="USE-1", **change):
    body = {
        "coupon_code": code,
        "stock_id": stock_id,
        "appid": APPID,
        "use_time": at(),
        "use_request_no": number,
        **change,
    }
    return {key: value for key, value in body.items() if value is not None}


def favor_stock(amount=500, minimum=1000, count=10, rule=None, use_rule=None, **change):
    body = {
        "stock_name": "迎新代金券",
        "belong_merchant": MCHID,
        "available_begin_time": at(seconds=60),
        "available_end_time": at(days=30),
        "stock_use_rule": {
            "max_coupons": count,
            "max_amount": amount * count,
            "max_coupons_per_user": 2,
            "natural_person_limit": False,
            "prevent_api_abuse": False,
            **(rule or {}),
        },
        "coupon_use_rule": {
            "fixed_normal_coupon": {
                "coupon_amount": amount,
                "transaction_minimum": minimum,
            },
            "available_merchants": [MCHID],
            **(use_rule or {}),
        },
        "no_cash": True,
        "stock_type": "NORMAL",
        "out_request_no": "FAVOR-1",
    }
    body.update(change)
    return {key: value for key, value in body.items() if value is not None}
