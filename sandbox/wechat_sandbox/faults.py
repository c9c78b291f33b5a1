"""Fault switches: what goes wrong on the wire, on demand and a given number of times.

A request fault is found by a regular expression on the path; with ``share`` it hits
that share of the requests only, by chance.  ``timeout_after`` is the
one that matters most: the change is committed here and the answer never arrives.
"""

import random
import re
from collections.abc import Iterable
from typing import Any

from .errors import ControlError

REQUEST_KINDS = {
    "delay",
    "timeout_before",
    "timeout_after",
    "http_status",
    "errcode",
    "bad_signature",
    "drop_connection",
    "expire_token",
}
CALLBACK_KINDS = {
    "duplicate",
    "disorder",
    "bad_signature",
    "wrong_appid",
    "broken_xml",
    "delay",
    "drop",
}


class FaultBox:
    """The faults that are set, in the order in which they were set."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self.kinds = set(kinds)
        self.faults: list[dict[str, Any]] = []
        self._chance = random.Random(2026)

    def add(self, fault: dict[str, Any]) -> dict[str, Any]:
        if fault.get("kind") not in self.kinds:
            raise ControlError(f"kind must be one of {', '.join(sorted(self.kinds))}")
        try:
            pattern = re.compile(fault.get("path") or fault.get("match") or "")
            times = int(fault.get("times", 1))
            seconds = float(fault.get("seconds", 0))
            share = float(fault.get("share", 1))
        except (re.error, TypeError, ValueError) as error:
            raise ControlError(f"bad fault: {error}") from None
        if times < 0 or not 0 <= seconds <= 3600:
            raise ControlError("times and seconds must not be negative")
        if not 0 < share <= 1:
            raise ControlError("share must be more than 0 and at most 1")
        entry = {**fault, "times": times, "used": 0, "_pattern": pattern}
        self.faults.append(entry)
        return self.show(entry)

    def clear(self) -> int:
        count = len(self.faults)
        self.faults.clear()
        return count

    def show(self, fault: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in fault.items() if key[0] != "_"}

    def show_all(self) -> list[dict[str, Any]]:
        return [self.show(fault) for fault in self.faults]

    def take_request(self, method: str, host: str, path: str) -> dict[str, Any] | None:
        """Return the first fault for this request and count it."""
        for fault in self.faults:
            if fault.get("method") and fault["method"].upper() != method:
                continue
            if fault.get("host") and not re.search(fault["host"], host):
                continue
            if fault["_pattern"].search(path) and self._hits(fault):
                return self._use(fault)
        return None

    def take_callback(self, owner: str, event: str) -> list[dict[str, Any]]:
        """Return all faults for a callback to ``owner`` (an appid or mchid)."""
        taken = []
        for fault in list(self.faults):
            wanted = fault.get("appid") or fault.get("mchid")
            if wanted and wanted != owner:
                continue
            if fault["_pattern"].search(event):
                taken.append(self._use(fault))
        return taken

    def _hits(self, fault: dict[str, Any]) -> bool:
        return self._chance.random() < float(fault.get("share", 1))

    def _use(self, fault: dict[str, Any]) -> dict[str, Any]:
        fault["used"] += 1
        if fault["times"] and fault["used"] >= fault["times"]:
            self.faults.remove(fault)
        return fault
