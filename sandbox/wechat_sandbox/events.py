"""Callbacks: made here, delivered with retries, spoilt on demand.

WeChat docs: "Coupons, Vouchers and Cards: Event Push Messages", "Access guide",
Pay v3 "Callback notification".
Each delivery is a record of plain values, so that what is pending survives a restart.
"""

import asyncio
import base64
import binascii
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, ParseError

import aiohttp
from defusedxml import DefusedXmlException, ElementTree
from yarl import URL

from . import oa_crypto
from .errors import ControlError
from .faults import CALLBACK_KINDS, FaultBox

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Account

_logger = logging.getLogger(__name__)

MAX_DELIVERIES = 20000
MAX_REPLY = 65536
HELD_SECONDS = 1.0

#: Messages and most events: 3 more tries.
OA_RETRY = [5, 5, 5]
#: user_get_card, wrong answer: 3 more tries, a minute apart.
CARD_RETRY_WRONG = [60, 60, 60]
#: user_get_card, server down: 10 more tries over 24 hours.
CARD_RETRY_DOWN = [8640] * 10
#: Payments and refunds: 15 more tries.
PAY_RETRY = [
    *(15, 15, 30, 180, 600, 1200, 1800, 1800, 1800),
    *(3600, 10800, 10800, 10800, 21600, 21600),
]
#: Coupons: a minute apart.
COUPON_RETRY = {"COUPON.SEND": [60] * 11, "COUPON.USE": [60] * 9}

#: A spoilt callback is sent once and never tried again.
SPOILT = {"bad_signature", "wrong_appid", "broken_xml"}


class Outbox:
    """Sends callbacks and keeps a record of each attempt."""

    def __init__(self, box: "Sandbox") -> None:
        self.box = box
        self.faults = FaultBox(CALLBACK_KINDS)
        self.deliveries: deque[dict[str, Any]] = deque(maxlen=MAX_DELIVERIES)
        self.next = 1
        self.tasks: set[asyncio.Task] = set()
        self.held: dict[str, list[dict[str, Any]]] = {}
        self.session: aiohttp.ClientSession | None = None
        self.slots: dict[str, asyncio.Semaphore] = {}
        self.idle = asyncio.Event()
        self.idle.set()

    # -- life --------------------------------------------------
    async def start(self) -> None:
        self.session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=64, force_close=False),
            headers={"User-Agent": "Mozilla/4.0"},
        )

    async def stop(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.session:
            await self.session.close()

    def clear(self) -> None:
        """Forget everything that waits to be sent."""
        for task in list(self.tasks):
            task.cancel()
        self.tasks.clear()
        self.held.clear()
        self.deliveries.clear()
        self.slots.clear()
        self.idle.set()

    def dump(self) -> list[dict[str, Any]]:
        return [item for item in self.deliveries if item["state"] == "pending"]

    def load(self, items: list[dict[str, Any]]) -> None:
        """Take up what an earlier process had not delivered."""
        for item in items:
            item["n"] = self.next
            self.next += 1
            self.deliveries.append(item)
            self._spawn(item)

    # -- making --------------------------------------------------
    def send_event(
        self, account: "Account", event: str, openid: str, **values: Any
    ) -> dict[str, Any] | None:
        """Push a card or account event to the account's callback URL."""
        if not account.callback_url:
            return None
        fields = {
            "ToUserName": account.original_id,
            "FromUserName": openid,
            "CreateTime": self.box.clock.seconds(),
            "MsgType": "event",
            "Event": event,
            **values,
        }
        return self._enqueue("oa", account.appid, event, {"fields": fields})

    def send_raw(self, account: "Account", **options: Any) -> dict[str, Any]:
        """Send a callback by hand: raw XML or fields, any mode, any openid."""
        if not (options.get("url") or account.callback_url):
            raise ControlError("the account has no callback_url")
        fields = options.get("fields") or {}
        event = str(fields.get("Event") or options.get("event") or "raw")
        content = {key: value for key, value in options.items() if value is not None}
        return self._enqueue("oa", account.appid, event, content)

    def send_pay(
        self, mchid: str, event: str, url: str, body: str, **options: Any
    ) -> dict[str, Any]:
        """Send a Pay v3 notification; the body keeps its bytes over all retries."""
        return self._enqueue("pay", mchid, event, {"url": url, "body": body, **options})

    def _enqueue(
        self, source: str, owner: str, event: str, content: dict[str, Any]
    ) -> dict[str, Any]:
        faults = self.faults.take_callback(owner, event)
        kinds = {fault["kind"] for fault in faults}
        delay = sum(float(f.get("seconds", 1)) for f in faults if f["kind"] == "delay")
        spoil = [kind for kind in sorted(kinds) if kind in SPOILT]
        delivery = self._new(source, owner, event, content, spoil, delay)
        if "drop" in kinds:
            delivery["state"] = "dropped"
            return delivery
        copies = [delivery]
        if "duplicate" in kinds:
            copies.append(self._new(source, owner, event, content, spoil, delay))
        if spoil and any(fault.get("then_genuine") for fault in faults):
            copies.append(self._new(source, owner, event, content, [], delay))
        if "disorder" in kinds:
            self.held.setdefault(owner, []).extend(copies)
            # Without a newer one it goes out after all.
            self._later(HELD_SECONDS, self._release, owner)
            self.idle.clear()
            return delivery
        for copy in copies:
            task = self._spawn(copy)
            if owner in self.held:
                # What was held back follows the newer callback.
                task.add_done_callback(lambda _task: self._release(owner))
        return delivery

    def _new(
        self,
        source: str,
        owner: str,
        event: str,
        content: dict[str, Any],
        spoil: list[str],
        delay: float,
    ) -> dict[str, Any]:
        delivery = {
            "n": self.next,
            "source": source,
            "owner": owner,
            "event": event,
            "content": content,
            "spoil": spoil,
            "delay": delay,
            "state": "pending",
            "attempts": [],
            "created": time.time(),
        }
        self.next += 1
        self.deliveries.append(delivery)
        self.box.state.touch()
        return delivery

    def _later(self, seconds: float, call: Any, *args: Any) -> None:
        asyncio.get_running_loop().call_later(seconds, call, *args)

    def _release(self, owner: str) -> None:
        for delivery in self.held.pop(owner, []):
            self._spawn(delivery)
        self._check_idle()

    # -- sending --------------------------------------------------
    def _spawn(self, delivery: dict[str, Any]) -> asyncio.Task:
        self.idle.clear()
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            _logger.error("callback failed", exc_info=task.exception())
        self.box.state.touch()
        self._check_idle()

    def _check_idle(self) -> None:
        if not self.tasks and not self.held:
            self.idle.set()

    async def _deliver(self, delivery: dict[str, Any]) -> None:
        scale = self.box.state.settings["time_scale"]
        if delivery["delay"] and not delivery["attempts"]:
            await asyncio.sleep(delivery["delay"])
        while True:
            result = await self._attempt(delivery)
            delivery["attempts"].append(result)
            if result["ok"]:
                delivery["state"] = "done"
                return
            tries = len(delivery["attempts"])
            schedule = self._schedule(delivery, result)
            if delivery["spoil"] or tries > len(schedule):
                delivery["state"] = "failed"
                return
            await asyncio.sleep(schedule[tries - 1] * scale)

    def _schedule(self, delivery: dict[str, Any], result: dict[str, Any]) -> list:
        if delivery["content"].get("no_retry"):
            return []
        if delivery["source"] == "pay":
            return COUPON_RETRY.get(delivery["event"], PAY_RETRY)
        if delivery["event"] == "user_get_card":
            return CARD_RETRY_DOWN if result["status"] is None else CARD_RETRY_WRONG
        return OA_RETRY

    async def _attempt(self, delivery: dict[str, Any]) -> dict[str, Any]:
        if delivery["source"] == "pay":
            request = self.box.pay.build_notification(delivery)
        else:
            request = self._build_message(delivery)
        if request is None:
            return {"time": time.time(), "status": None, "ok": False, "error": "gone"}
        result = await self._post(delivery["owner"], *request)
        if delivery["source"] == "pay":
            result["ok"] = result["status"] in (200, 204)
            if delivery["content"].get("signtest"):
                # A probe is passed by refusing it.
                result["ok"] = (result["status"] or 0) >= 400
        else:
            result["ok"] = self._accepted(delivery, result)
        return result

    async def _post(
        self, owner: str, url: str, body: bytes, headers: dict[str, str]
    ) -> dict[str, Any]:
        settings = self.box.state.settings
        slot = self.slots.get(owner)
        if slot is None:
            slot = asyncio.Semaphore(int(settings["callback_concurrency"]))
            self.slots[owner] = slot
        timeout = aiohttp.ClientTimeout(total=float(settings["callback_timeout"]))
        async with slot:
            started = time.time()
            result: dict[str, Any] = {"time": started, "status": None, "reply": ""}
            try:
                assert self.session is not None
                async with self.session.post(
                    URL(url, encoded=True),
                    data=body,
                    headers=headers,
                    timeout=timeout,
                    allow_redirects=False,
                ) as answer:
                    reply = await answer.content.read(MAX_REPLY)
                    result["status"] = answer.status
                    result["reply"] = reply.decode("utf-8", "replace")[:2000]
            except asyncio.TimeoutError:
                result["error"] = "timeout"
            except (aiohttp.ClientError, OSError, ValueError) as error:
                result["error"] = type(error).__name__
            result["seconds"] = round(time.time() - started, 4)
            return result

    # -- Official Account messages -------------------------------------------------
    def _build_message(
        self, delivery: dict[str, Any]
    ) -> tuple[str, bytes, dict[str, str]] | None:
        account = self.box.state.accounts.get(delivery["owner"])
        if account is None:
            return None
        content, spoil = delivery["content"], delivery["spoil"]
        mode = content.get("mode") or account.callback_mode
        style = content.get("cdata_style") or account.cdata_style
        fields = dict(content.get("fields") or {})
        if "wrong_appid" in spoil and mode == "plain":
            fields["ToUserName"] = "gh_ffffffffffff"
        plain = content.get("xml") or oa_crypto.build_xml(fields, style)
        timestamp = str(int(time.time()) + int(content.get("timestamp_offset") or 0))
        nonce = self.box.state.random_digits(10)
        openid = content.get("openid") or str(fields.get("FromUserName", "")).strip()
        query = {
            "signature": oa_crypto.sha1_sorted(account.token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "openid": openid,
        }
        body = plain
        if mode != "plain":
            appid = content.get("suffix") or account.appid
            if "wrong_appid" in spoil:
                appid = "wx0000000000000bad"
            cipher = oa_crypto.encrypt(account.encoding_aes_key, plain, appid)
            query["encrypt_type"] = "aes"
            query["msg_signature"] = oa_crypto.sha1_sorted(
                account.token, timestamp, nonce, cipher
            )
            body = self._wrap(account, fields, cipher, mode, style)
        if "bad_signature" in spoil:
            for name in ("signature", "msg_signature"):
                if name in query:
                    query[name] = query[name][::-1]
        if "broken_xml" in spoil:
            body = body[: len(body) // 2]
        url = str(URL(content.get("url") or account.callback_url).update_query(query))
        return url, body.encode(), {"Content-Type": "text/xml"}

    def _wrap(
        self, account: "Account", fields: dict, cipher: str, mode: str, style: str
    ) -> str:
        if mode == "compat":
            # The clear and the encrypted text together.
            return oa_crypto.build_xml({**fields, "Encrypt": cipher}, style)
        values = {"ToUserName": account.original_id, "Encrypt": cipher}
        return oa_crypto.build_xml(values, style)

    def _accepted(self, delivery: dict[str, Any], result: dict[str, Any]) -> bool:
        """Tell whether WeChat would take the answer: success, empty or reply XML."""
        if result["status"] != 200:
            return False
        reply = result["reply"].strip()
        if reply in ("", "success"):
            return True
        try:
            root = ElementTree.fromstring(reply)
        except (ParseError, DefusedXmlException):
            return False
        account = self.box.state.accounts[delivery["owner"]]
        if account.callback_mode != "safe":
            return True
        return self._reply_ok(account, root)

    def _reply_ok(self, account: "Account", root: Element) -> bool:
        values = {child.tag: (child.text or "").strip() for child in root}
        cipher = values.get("Encrypt", "")
        expected = oa_crypto.sha1_sorted(
            account.token,
            values.get("TimeStamp", ""),
            values.get("Nonce", ""),
            cipher,
        )
        if values.get("MsgSignature") != expected:
            return False
        try:
            return oa_crypto.decrypt(account.encoding_aes_key, cipher)[1] == (
                account.appid
            )
        except (ValueError, binascii.Error):
            return False

    async def verify_callback(self, account: "Account") -> dict[str, Any]:
        """Do the GET with ``echostr`` as WeChat does when the URL is saved."""
        if not account.callback_url:
            raise ControlError("the account has no callback_url")
        timestamp, nonce = str(int(time.time())), self.box.state.random_digits(10)
        echo = base64.b32encode(nonce.encode()).decode().rstrip("=")
        query = {
            "signature": oa_crypto.sha1_sorted(account.token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "echostr": echo,
        }
        timeout = aiohttp.ClientTimeout(
            total=float(self.box.state.settings["callback_timeout"])
        )
        report: dict[str, Any] = {"ok": False, "status": None, "reply": ""}
        try:
            assert self.session is not None
            async with self.session.get(
                URL(account.callback_url).update_query(query),
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                reply = (await answer.content.read(MAX_REPLY)).decode(
                    "utf-8", "replace"
                )
                report.update(status=answer.status, reply=reply[:2000])
                report["ok"] = answer.status == 200 and reply == echo
        except asyncio.TimeoutError:
            report["error"] = "timeout"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            report["error"] = type(error).__name__
        return report

    # -- waiting and reading --------------------------------------------------
    async def wait(
        self, seconds: float, delivery: dict[str, Any] | None = None
    ) -> bool:
        """Wait until all callbacks (or this one) have come to an end."""
        end = time.monotonic() + min(seconds, 600)
        while time.monotonic() < end:
            if delivery and delivery["state"] != "pending":
                return True
            left = end - time.monotonic()
            try:
                await asyncio.wait_for(self.idle.wait(), max(0.0, min(left, 0.05)))
                return True
            except asyncio.TimeoutError:
                continue
        return self.idle.is_set()

    def read(self, since: int = 0) -> list[dict[str, Any]]:
        return [dict(item) for item in self.deliveries if item["n"] > since]
