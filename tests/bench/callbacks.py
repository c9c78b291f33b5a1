"""Callbacks accepted per second against an empty Odoo route, from one load."""

import asyncio
import base64
import hashlib
import os
import secrets
import struct
import time

import aiohttp
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.support.world import World, running, wait_until
from wxenv import shop

# /web/health answers without looking anything up: the least that Odoo can do.
EMPTY = "/web/health"
CLIENTS = 8


def run(figure, small: bool) -> None:
    """Measure and print the figures.

    :param figure: function that prints one figure
    """
    seconds = 3 if small else 15
    rounds = 2 if small else 4
    with running("benchcb") as world:
        # What nobody handles is only stored; the other kind is worked off at once,
        # by the same two workers that accept it.
        for title, kind in (
            ("callback verified and stored vs an empty route", "user_view_card"),
            ("callback stored and worked off vs an empty route", "subscribe"),
        ):
            measure(figure, world, title, Letters(world, kind), seconds, rounds)


def measure(figure, world, title, letters, seconds, rounds) -> None:
    accepted, empty = [], []
    for _round in range(rounds):
        empty.append(asyncio.run(load(world, seconds, None))[0])
        accepted.append(asyncio.run(load(world, seconds, letters)))
    waiting = "SELECT count(*) FROM wechat_event WHERE state = 'pending'"
    left = world.sql(waiting)[0][0]
    start = time.monotonic()
    wait_until("the inbox is worked off", lambda: not world.sql(waiting)[0][0], 600)
    drained = time.monotonic() - start
    ours = sum(rate for rate, _slowest in accepted) / rounds
    peer = sum(empty) / rounds
    figure(
        title,
        unit="per second",
        ours=round(ours, 1),
        peer=round(peer, 1),
        ratio=round(ours / peer, 2),
        p99_ms=round(max(slowest for _rate, slowest in accepted)),
        sent=letters.number,
        left_at_the_end=left,
        seconds_to_work_off_the_rest=round(drained, 1),
    )


class Letters:
    """Encrypted events as WeChat sends them, each one new."""

    def __init__(self, world: World, kind: str):
        self.kind = kind
        known = shop.credentials()
        self.token = known["token"]
        self.key = base64.b64decode(known["encoding_aes_key"] + "=")
        key = world.sql(
            "SELECT callback_key FROM wechat_account WHERE appid = %s", shop.APPID
        )[0][0]
        self.path = f"/wechat/oa/{key}"
        self.number = 0

    def next(self) -> tuple[str, bytes, dict]:
        self.number += 1
        xml = (
            f"<xml><ToUserName><![CDATA[{shop.ORIGINAL_ID}]]></ToUserName>"
            f"<FromUserName><![CDATA[o{secrets.token_hex(13)}]]></FromUserName>"
            f"<CreateTime>{int(time.time())}</CreateTime>"
            "<MsgType><![CDATA[event]]></MsgType>"
            f"<Event><![CDATA[{self.kind}]]></Event>"
            f"<CardId><![CDATA[p{secrets.token_hex(13)}]]></CardId>"
            f"<UserCardCode><![CDATA[{secrets.randbelow(10**12):012d}]]></UserCardCode>"
            "</xml>"
        ).encode()
        encrypted = self._encrypt(xml)
        timestamp, nonce = str(int(time.time())), secrets.token_hex(5)
        query = (
            f"?timestamp={timestamp}&nonce={nonce}&encrypt_type=aes"
            f"&signature={_sha1(self.token, timestamp, nonce)}"
            f"&msg_signature={_sha1(self.token, timestamp, nonce, encrypted)}"
        )
        body = (
            f"<xml><ToUserName><![CDATA[{shop.ORIGINAL_ID}]]></ToUserName>"
            f"<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
        )
        return self.path + query, body.encode(), {}

    def _encrypt(self, xml: bytes) -> str:
        plain = os.urandom(16) + struct.pack(">I", len(xml)) + xml + shop.APPID.encode()
        fill = 32 - len(plain) % 32
        plain += bytes([fill]) * fill
        encryptor = Cipher(
            algorithms.AES(self.key), modes.CBC(self.key[:16])
        ).encryptor()
        return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def _sha1(*parts: str) -> str:
    return hashlib.sha1(
        "".join(sorted(parts)).encode(), usedforsecurity=False
    ).hexdigest()


async def load(world: World, seconds: float, letters: Letters | None):
    """Requests per second and the 99th percentile in ms, straight to the workers."""
    base = f"http://127.0.0.1:{world.stack.odoo_port}"
    end = time.monotonic() + seconds
    times = []

    async def client(session):
        while time.monotonic() < end:
            path, body, head = letters.next() if letters else (EMPTY, None, {})
            start = time.monotonic()
            method = "POST" if letters else "GET"
            async with session.request(
                method, base + path, data=body, headers=head
            ) as answer:
                text = await answer.text()
                assert answer.status in (200, 204), (answer.status, text)
            times.append((time.monotonic() - start) * 1000)

    connector = aiohttp.TCPConnector(limit=CLIENTS, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(client(session) for _number in range(CLIENTS)))
    times.sort()
    return len(times) / seconds, times[int(len(times) * 0.99)]
