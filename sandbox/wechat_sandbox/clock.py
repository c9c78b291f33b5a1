"""The sandbox's clock: real time plus an offset that tests may move."""

import time
from datetime import datetime, timedelta, timezone

#: WeChat's calendar: all dates of cards and statistics are Beijing dates.
BEIJING = timezone(timedelta(hours=8))


class Clock:
    """Business time.  Signatures and HTTP headers always use the real time."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return time.time() + self.offset

    def seconds(self) -> int:
        return int(self.now())

    def today(self) -> str:
        """Return the Beijing date as ``YYYY-MM-DD``."""
        return beijing(self.now()).strftime("%Y-%m-%d")


def beijing(timestamp: float) -> datetime:
    """Return ``timestamp`` as an aware Beijing date and time."""
    return datetime.fromtimestamp(timestamp, BEIJING)


def midnight(timestamp: float) -> int:
    """Return the start of the Beijing day that holds ``timestamp``."""
    moment = beijing(timestamp).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(moment.timestamp())


def rfc3339(timestamp: float) -> str:
    """Return ``timestamp`` as Pay v3 writes it: ``2018-06-08T10:34:56+08:00``."""
    return beijing(timestamp).isoformat(timespec="seconds")
