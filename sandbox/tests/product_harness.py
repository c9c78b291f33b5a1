"""Product coupons: a brand's own client, and bodies that are good."""

import base64
import hashlib
import json
import time
import uuid
from datetime import datetime, timedelta, timezone

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from pay_harness import APPID, MCHID, Merchant, order

BRAND = "120344"
STORES = ["1001", "1002"]
DOOR = "/brand/marketing/product-coupon"
PARTNER = "/v3/marketing/partner/product-coupon"
PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 20


class BrandClient(Merchant):
    """Signs with the brand's scheme and names the public key in each call."""

    door = DOOR
    extra: dict = {}

    def authorization(self, method, path, body, **change):
        values = {
            "brand_id": BRAND,
            "nonce_str": uuid.uuid4().hex,
            "timestamp": str(int(time.time())),
            "serial_no": self.serial,
        }
        values.update({k: v for k, v in change.items() if k in values})
        head = [method, path, values["timestamp"], values["nonce_str"], ""]
        message = "\n".join(head).encode() + body + b"\n"
        signature = self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        values["signature"] = base64.b64encode(signature).decode()
        text = ",".join(f'{name}="{value}"' for name, value in values.items())
        return f"{change.get('scheme', 'WECHATPAY-BRAND-SHA256-RSA2048')} {text}"

    def call(self, method, path, data=None, headers=None, body=None, **change):
        headers = {"Wechatpay-Serial": self.public_key_id, **(headers or {})}
        return super().call(method, path, data, headers, body, **change)

    def do(self, method, path, data=None, **change):
        """Call behind this client's door, with what the door wants beside it."""
        if data is not None:
            data = {**self.extra, **data}
        elif self.extra:
            name, value = next(iter(self.extra.items()))
            path += f"{'&' if '?' in path else '?'}{name}={value}"
        return self.call(method, self.door + path, data, **change)

    def good(self, method, path, data=None, **change):
        answer = self.do(method, path, data, **change)
        assert answer.status_code == 200, answer.text
        assert self.verify(answer.headers, answer.content)
        return answer.json()

    def upload(self, data=PNG, filename="a.png", digest=""):
        digest = digest or hashlib.sha256(data).hexdigest()
        meta = json.dumps({"filename": filename, "sha256": digest}).encode()
        mark = "boundary-of-parts"
        parts = (
            f'--{mark}\r\nContent-Disposition: form-data; name="meta";\r\n'
            "Content-Type: application/json\r\n\r\n"
        ).encode() + meta
        parts += (
            f'\r\n--{mark}\r\nContent-Disposition: form-data; name="file"; '
            f'filename="{filename}";\r\nContent-Type: image/png\r\n\r\n'
        ).encode() + data
        parts += f"\r\n--{mark}--\r\n".encode()
        kind = f"multipart/form-data; boundary={mark}"
        # Only the meta part is signed.
        return self.call(
            "POST",
            f"{self.door}/media/upload-image",
            headers={"Content-Type": kind},
            body=meta,
            sent=parts,
        )


class PartnerClient(BrandClient):
    """The same calls through the service provider's door."""

    door = PARTNER
    extra = {"brand_id": BRAND}

    def authorization(self, method, path, body, **change):
        return Merchant.authorization(self, method, path, body, **change)


def rfc(seconds=0):
    moment = datetime.now(timezone(timedelta(hours=8))) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="seconds")


def without(body, change):
    """Return a body with changes; None takes a field away."""
    body = {**body, **change}
    return {name: value for name, value in body.items() if value is not None}


def period(**change):
    body = {
        "available_begin_time": rfc(-3600),
        "available_end_time": rfc(30 * 86400),
    }
    return without(body, change)


def stock(**change):
    body = {
        "remark": "批次",
        "coupon_code_mode": "WECHATPAY",
        "stock_send_rule": {"max_count": 100, "max_count_per_user": 5},
        "single_usage_rule": {"coupon_available_period": period()},
        "usage_rule_display_info": {
            "coupon_usage_method_list": ["OFFLINE"],
            "usage_description": "全场通用",
        },
        "coupon_display_info": {"code_display_mode": "QRCODE"},
        "notify_config": {"notify_appid": APPID},
        "store_scope": "NONE",
    }
    return without(body, change)


def coupon(url, **change):
    body = {
        "out_request_no": "CREATE-0001",
        "scope": "ALL",
        "type": "NORMAL",
        "usage_mode": "SINGLE",
        "single_usage_info": {
            "normal_coupon": {"threshold": 1000, "discount_amount": 200}
        },
        "display_info": {"name": "满十减二", "image_url": url, "background_url": url},
        "stock": stock(),
    }
    return without(body, change)


def bundle(url, **change):
    offers = [{"threshold": 1000, "discount_amount": n * 100} for n in (1, 2, 3)]
    rule = {"coupon_available_period": period(), "normal_coupon_list": offers}
    batch = stock(single_usage_rule=None, progressive_bundle_usage_rule=rule)
    body = coupon(
        url,
        usage_mode="PROGRESSIVE_BUNDLE",
        single_usage_info=None,
        progressive_bundle_usage_info={"count": 3, "interval_days": 0},
        stock=None,
        stock_bundle=batch,
    )
    return without(body, change)


class Shop:
    """A brand's coupon with one stock, and a person who pays there."""

    def __init__(self, box, client, user, pay):
        self.box, self.client, self.user, self.pay = box, client, user, pay
        self.url = client.upload().json()["media_url"]
        self.paid: list[str] = []

    def create(self, **change):
        made = self.client.good("POST", "/product-coupons", coupon(self.url, **change))
        self.coupon = made["product_coupon_id"]
        self.stock = made["stock"]["stock_id"] if "stock" in made else ""
        return made

    @property
    def ids(self):
        return {
            "product_coupon_id": self.coupon,
            "stock_id": self.stock,
            "appid": APPID,
        }

    @property
    def stocks(self):
        return f"/product-coupons/{self.coupon}/stocks"

    def at(self, code="", verb=""):
        parts = ["", "users", self.user, "coupons", code, verb]
        return "/".join(part for i, part in enumerate(parts) if part or not i)

    def send(self, number="SEND-0001", **change):
        sent = {**self.ids, "send_request_no": number, **change}
        return self.client.do("POST", self.at(), sent)

    def give(self, number="SEND-0001", confirm=True, **change):
        answer = self.send(number, **change)
        assert answer.status_code == 200, answer.text
        code = answer.json()["coupon_code"]
        if confirm:
            self.ok(code, "confirm", f"CONF-{number}")
        return code

    def act(self, code, verb, number, **change):
        sent = without({**self.ids, "out_request_no": number}, change)
        return self.client.do("POST", self.at(code, verb), sent)

    def ok(self, code, verb, number, **change):
        answer = self.act(code, verb, number, **change)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def payment(self, paid=True):
        """Place an order and pay it; return its number."""
        number = f"ORDER-{len(self.paid) + 1:04d}"
        self.pay.call("POST", "/v3/pay/transactions/native", order(out_trade_no=number))
        if paid:
            path = f"pay/orders/{MCHID}/{number}/pay"
            self.box.post(path, openid=self.user, notify=False)
        self.paid.append(number)
        return {"out_trade_no": number, "mchid": MCHID}

    def use(self, code, number="USE-00001", **change):
        if "associated_order_info" not in change:
            change["associated_order_info"] = self.payment()
        change.setdefault("use_time", rfc())
        return self.act(code, "use", number, **change)

    def state(self, code):
        query = "&".join(f"{name}={value}" for name, value in self.ids.items())
        return self.client.good("GET", f"{self.at(code)}?{query}")["coupon_state"]
