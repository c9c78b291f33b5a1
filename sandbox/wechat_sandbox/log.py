"""The request log that tests read.  Secrets are masked when it is read."""

import re
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

MAX_ENTRIES = 20000
MAX_TEXT = 16000

_HIDDEN = (
    "secret|access_token|refresh_token|apiv3_key|encoding_aes_key|appsecret|auth_code"
)
_SECRET_JSON = re.compile(rf'("(?:{_HIDDEN})"\s*:\s*")(?:[^"\\]|\\.)*(")')
_TICKET_JSON = re.compile(r'("ticket"\s*:\s*")(?:[^"\\]|\\.)*(")')
#: What is not a text, and the same fields in XML.
_CODE_JSON = re.compile(r'("auth_code"\s*:\s*)[-+.\w]+')
_SECRET_XML = re.compile(r"(<auth_code>).*?(</auth_code>|\Z)", re.DOTALL)
_PAY_CODE = re.compile(r"(?<!\d)1[0-5]\d{16}(?!\d)")
_SECRET_QUERY = set(_HIDDEN.split("|"))


def mask_text(text: str, path: str = "") -> str:
    """Return ``text`` with the values of secret JSON fields replaced by stars."""
    text = _SECRET_JSON.sub(r"\1***\2", text)
    text = _CODE_JSON.sub(r'\1"***"', text)
    text = _SECRET_XML.sub(r"\1***\2", text)
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

    def __init__(self, is_code: Callable[[str], bool] | None = None) -> None:
        """:param is_code: says whether a number is a payment code of somebody"""
        self.is_code = is_code or (lambda text: False)
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
            "path": self._hide(path),
            "query": self._hide(mask_query(entry["query"])),
            "body": self._hide(mask_text(_text(entry["body"]), path)),
            "response": self._hide(mask_text(_text(entry["response"]), path)),
        }

    def _hide(self, text: str) -> str:
        """Mask payment codes wherever a client has put them."""
        return _PAY_CODE.sub(
            lambda match: "***" if self.is_code(match[0]) else match[0], text
        )
