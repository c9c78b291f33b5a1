"""Which parts of the environment are finished, and for which inputs."""

import contextlib
import fcntl
import hashlib
from pathlib import Path


def digest(*parts: str | bytes | Path) -> str:
    """A short hash of texts and of the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            part = part.read_bytes()
        total.update(part.encode() if isinstance(part, str) else part)
        total.update(b"\0")
    return total.hexdigest()[:12]


def fresh(stamp: Path, key: str) -> bool:
    return stamp.exists() and stamp.read_text() == key


def set_stamp(stamp: Path, key: str) -> None:
    """Only a finished part gets its stamp, so a cut in the middle is resumed."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)


@contextlib.contextmanager
def lock(path: Path):
    """One process at a time, also between checkouts that share a home."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
