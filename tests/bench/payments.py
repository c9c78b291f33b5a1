"""A payment at the till against WeChat's own time for it, and WeChat's notices."""

import base64
import json
import secrets
import time
from statistics import median

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.bench.callbacks import measure
from tests.support import coupons
from tests.support.payments import PayDesk
from tests.support.world import World, running
from wxenv import shop

SERIAL = "PUB_KEY_ID_0000000000000001"


def run(figure, small: bool) -> None:
    """Measure and print the figures.

    :param figure: function that prints one figure
    """
    with running("benchpay") as world:
        coupons.open_session(world, world.ref("till_1"))
        _round_trip(figure, world, 30 if small else 300)
        for title, event in (
            ("payment notice verified and stored vs an empty route", "OTHER.EVENT"),
            ("payment notice worked off vs an empty route", "TRANSACTION.SUCCESS"),
        ):
            notices = Notices(world, event)
            measure(figure, world, title, notices, 3 if small else 15, 2)


def _round_trip(figure, world: World, count: int) -> None:
    """From the scan to "paid", through one worker; the sandbox times itself."""
    desk = PayDesk(world, world.person("cashier"))
    times = []
    for _number in range(count):
        payment = {**desk.payment(), "way": "codepay", "code": desk.code()}
        start = time.monotonic()
        answer = desk.call("start", payment)
        times.append((time.monotonic() - start) * 1000)
        assert answer["state"] == "done", answer
    calls = [e["seconds"] * 1000 for e in world.sandbox.log("codepay")][-count:]
    assert len(calls) == count
    ours, peer = median(times), median(calls)
    times.sort()
    figure(
        "payment by code at the till vs WeChat's own time (sandbox)",
        unit="ms, median",
        payments=count,
        ours=round(ours, 1),
        peer=round(peer, 1),
        ratio=round(ours / peer, 1),
        p95_ms=round(times[int(count * 0.95)], 1),
    )


class Notices:
    """Notices of WeChat Pay, each one new, signed with a key that Odoo is told."""

    def __init__(self, world: World, event: str):
        self.event = event
        self.apiv3_key = shop.merchant_credentials()["apiv3_key"].encode()
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        merchant, address = world.sql(
            "SELECT id, notify_key FROM wechat_merchant WHERE mchid = %s", shop.MCHID
        )[0]
        world.sql(
            "UPDATE wechat_merchant_key SET serial = %s, pem = %s "
            "WHERE merchant_id = %s",
            SERIAL,
            public.decode(),
            merchant,
        )
        self.path = f"/wechat/pay/{address}"
        self.number = 0

    def next(self) -> tuple[str, bytes, dict]:
        self.number += 1
        order = {
            "mchid": shop.MCHID,
            "out_trade_no": secrets.token_hex(16),
            "trade_state": "SUCCESS",
            "amount": {"total": 500, "currency": "CNY"},
        }
        nonce = secrets.token_hex(6)
        sealed = AESGCM(self.apiv3_key).encrypt(
            nonce.encode(), json.dumps(order).encode(), b"transaction"
        )
        body = json.dumps(
            {
                "id": secrets.token_hex(16),
                "event_type": self.event,
                "resource_type": "encrypt-resource",
                "resource": {
                    "algorithm": "AEAD_AES_256_GCM",
                    "ciphertext": base64.b64encode(sealed).decode(),
                    "associated_data": "transaction",
                    "nonce": nonce,
                    "original_type": "transaction",
                },
            }
        ).encode()
        stamp = str(int(time.time()))
        message = f"{stamp}\n{nonce}\n".encode() + body + b"\n"
        signature = self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        headers = {
            "Content-Type": "application/json",
            "Wechatpay-Timestamp": stamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": SERIAL,
            "Wechatpay-Signature": base64.b64encode(signature).decode(),
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        }
        return self.path, body, headers
