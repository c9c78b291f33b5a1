"""A Pay v3 client written from the documentation alone."""

import base64
import json
import time
import uuid

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MCHID = "1900000001"
APPID = "wxtest0000000001"
KEY = "k" * 32
KEY_V2 = "v" * 32


class Merchant:
    """A Pay v3 client written from the documentation alone."""

    def __init__(self, box, made) -> None:
        self.box = box
        self.serial = made["merchant_serial"]
        self.key = serialization.load_pem_private_key(
            made["merchant_private_key_pem"].encode(), None
        )
        certificate = x509.load_pem_x509_certificate(made["platform_cert_pem"].encode())
        public = serialization.load_pem_public_key(made["public_key_pem"].encode())
        self.keys = {
            made["platform_serial"]: certificate.public_key(),
            made["public_key_id"]: public,
        }
        self.public_key_id = made["public_key_id"]

    def authorization(self, method, path, body, **change):
        values = {
            "mchid": MCHID,
            "nonce_str": uuid.uuid4().hex,
            "timestamp": str(int(time.time())),
            "serial_no": self.serial,
        }
        values.update({k: v for k, v in change.items() if k in values})
        message = "\n".join(
            [method, path, values["timestamp"], values["nonce_str"], ""]
        ).encode()
        message += body + b"\n"
        signature = self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        values["signature"] = base64.b64encode(signature).decode()
        order = change.get("order") or list(values)
        text = ",".join(f'{name}="{values[name]}"' for name in order)
        return f"{change.get('scheme', 'WECHATPAY2-SHA256-RSA2048')} {text}"

    def call(self, method, path, data=None, headers=None, body=None, **change):
        if body is None:
            body = json.dumps(data).encode() if data is not None else b""
        sent = {
            "Authorization": self.authorization(method, path, body, **change),
            "Accept": "application/json",
            "User-Agent": "test",
        }
        if body:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        sent = {name: value for name, value in sent.items() if value is not None}
        return self.box.http.request(
            method, self.box.url + path, data=change.get("sent", body), headers=sent
        )

    def verify(self, headers, body: bytes) -> bool:
        assert headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"
        assert abs(int(headers["Wechatpay-Timestamp"]) - time.time()) < 300
        head = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n"
        try:
            signature = base64.b64decode(headers["Wechatpay-Signature"])
            self.keys[headers["Wechatpay-Serial"]].verify(
                signature,
                head.encode() + body + b"\n",
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except (InvalidSignature, ValueError):
            return False
        return True


def unseal(resource):
    extra = resource.get("associated_data") or ""
    plain = AESGCM(KEY.encode()).decrypt(
        resource["nonce"].encode(),
        base64.b64decode(resource["ciphertext"]),
        extra.encode(),
    )
    return json.loads(plain)


def order(**change):
    body = {
        "appid": APPID,
        "mchid": MCHID,
        "description": "咖啡",
        "out_trade_no": "ORDER-0001",
        "notify_url": "http://127.0.0.1:9/notify",
        "amount": {"total": 1000, "currency": "CNY"},
    }
    body.update(change)
    return {key: value for key, value in body.items() if value is not None}


NATIVE = "/v3/pay/transactions/native"
JSAPI = "/v3/pay/transactions/jsapi"
QUERY = f"/v3/pay/transactions/out-trade-no/ORDER-0001?mchid={MCHID}"
CLOSE = "/v3/pay/transactions/out-trade-no/ORDER-0001/close"


def code_of(answer):
    return answer.status_code, answer.json()["code"]


def number_of(answer):
    return int(answer.headers["Request-ID"].rsplit("-", 1)[1])
