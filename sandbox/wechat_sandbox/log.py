"""The request log that tests read.  Secrets are masked when it is read."""

import re
from collections import deque
from typing import Any
from urllib.parse import parse_qsl, urlencode

MAX_ENTRIES = 20000
MAX_TEXT = 16000

_HIDDEN = (
    "secret|access_token|refresh_token|apiv3_key|encoding_aes_key|appsecret|auth_code"
)
_SECRET_JSON = re.compile(rf'("(?:{_HIDDEN})"\s*:\s*")(?:[^"\\]|\\.)*(")')
_TICKET_JSON = re.compile(r'("ticket"\s*:\s*")(?:[^"\\]|\\.)*(")')
_SECRET_QUERY = set(_HIDDEN.split("|"))


def mask_text(text: str, path: str = "") -> str:
    """Return ``text`` with the values of secret JSON fields replaced by stars."""
    text = _SECRET_JSON.sub(r"\1***\2", text)
    if path.endswith("/ticket/getticket"):
        text = _TICKET_JSON.sub(r"\1***\2", text)
    return text


def mask_query(query: str) -> str:
    """Return the query string with secret values replaced by stars."""
    if not query:
        return ""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode(
        [(key, "***" if key in _SECRET_QUERY else value) for key, value in pairs],
        safe="*",
    )


def _text(data: bytes | str | None) -> str:
    if data is None:
        return ""
    if isinstance(data, bytes):
        data = data[: MAX_TEXT * 4].decode("utf-8", "replace")
    return data[:MAX_TEXT]


class RequestLog:
    """A bounded list of what clients asked and what the sandbox answered."""

    def __init__(self) -> None:
        self.next = 1
        self.entries: deque[dict[str, Any]] = deque(maxlen=MAX_ENTRIES)

    def clear(self) -> None:
        """Empty the log.  Numbers go on rising, so ``since`` stays meaningful."""
        self.entries.clear()

    def add(self, **entry: Any) -> None:
        entry["n"] = self.next
        self.next += 1
        self.entries.append(entry)

    def read(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the entries after number ``since``, oldest first."""
        return [self._show(entry) for entry in self.entries if entry["n"] > since]

    def _show(self, entry: dict[str, Any]) -> dict[str, Any]:
        path = entry["path"]
        return {
            **entry,
            "query": mask_query(entry["query"]),
            "body": mask_text(_text(entry["body"]), path),
            "response": mask_text(_text(entry["response"]), path),
        }
