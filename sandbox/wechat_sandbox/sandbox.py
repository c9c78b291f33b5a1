"""The sandbox object: state, clock, log, faults and callbacks in one place."""

import asyncio
import contextlib
import json
import logging
import time
from typing import Any

from aiohttp import web

from .clock import Clock
from .events import Outbox
from .faults import REQUEST_KINDS, FaultBox
from .log import RequestLog
from .state import State, Storage

_logger = logging.getLogger(__name__)


class Sandbox:
    """Everything that one running sandbox holds."""

    def __init__(
        self,
        data: str | None = None,
        public_url: str = "",
        time_scale: float = 1.0,
        seed: int | None = None,
        remote_control: bool = False,
    ) -> None:
        from .pay_core import PayCore
        from .review import Reviewer

        self.clock = Clock()
        self.state = State(self.clock)
        self.log = RequestLog(lambda text: text in self.state.pay_codes)
        self.faults = FaultBox(REQUEST_KINDS)
        self.outbox = Outbox(self)
        self.pay = PayCore(self)
        self.reviewer = Reviewer(self)
        self.public_url = public_url.rstrip("/")
        self.time_scale = time_scale
        self.remote_control = remote_control
        self.storage = Storage(data) if data else None
        self.state.seed(seed)
        self.seed = seed
        self.state.settings["time_scale"] = time_scale
        self._saver: asyncio.Task | None = None

    def base_url(self, request: web.Request) -> str:
        """Return the URL under which clients and phones reach the sandbox."""
        return self.public_url or f"{request.scheme}://{request.host}"

    def reset(self, keep_accounts: bool = False) -> None:
        """Forget cards, users, faults, log; accounts too unless told otherwise."""
        self.outbox.clear()
        self.outbox.faults.clear()
        self.faults.clear()
        self.log.clear()
        self.reviewer.clear()
        self.clock.offset = 0.0
        self.state.clear(keep_accounts)
        self.state.settings["time_scale"] = self.time_scale
        self.state.seed(self.seed)

    # -- life --------------------------------------------------
    async def start(self) -> None:
        await self.outbox.start()
        snapshot = self.storage.read() if self.storage else None
        if snapshot:
            self.state.load(snapshot)
            self.outbox.load(snapshot.get("outbox", []))
            self.reviewer.resume()
        if self.storage:
            self._saver = asyncio.create_task(self._save_often())

    async def stop(self) -> None:
        if self._saver:
            self._saver.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._saver
        self.save()
        self.reviewer.clear()
        await self.outbox.stop()

    def save(self) -> None:
        """Write the snapshot now."""
        if not self.storage:
            return
        self.state.dirty = False
        data = self.state.dump()
        data["outbox"] = self.outbox.dump()
        self.storage.write(data)

    async def _save_often(self) -> None:
        pause = 1.0
        while True:
            await asyncio.sleep(pause)
            if not self.state.dirty:
                continue
            started = time.monotonic()
            try:
                self.save()
            except OSError:
                self.state.dirty = True
                _logger.exception("cannot write the snapshot")
            # A large state is written less often, so that calls are not held up.
            pause = max(1.0, 20 * (time.monotonic() - started))

    def to_json(self, value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)
