"""One way to send a request: time-outs, no redirects, a limit on the answer.

Errors are told apart by what the other side may have done (see
:mod:`.exceptions`). The text of the library's own exceptions is never passed on:
it holds the address, and with it the access token.
"""

import time
from urllib.parse import urlsplit

import requests
from urllib3 import exceptions as urllib3_exceptions

from ..const import MAX_ANSWER_BYTES
from .exceptions import WechatUnavailable, WechatUnknownOutcome, make_error

_BEFORE_SENDING = (
    urllib3_exceptions.NewConnectionError,
    urllib3_exceptions.ConnectTimeoutError,
    urllib3_exceptions.ProxyError,
)
# Above all time-outs between two bytes: the longest that a whole answer may take.
_WHOLE_ANSWER = 30.0


def check_sandbox_url(url):
    """Return a sandbox address without its trailing slash.

    :raises ValueError: if it is not a plain http or https address of a server
    """
    parts = urlsplit((url or "").strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("scheme or host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("more than an address")
    _ = parts.port  # raises ValueError when out of range
    return parts.geturl().rstrip("/")


def new_session(trust_env=True):
    """Return a session that follows nothing and remembers nothing.

    :param bool trust_env: whether the proxies of the environment are used; a
        sandbox is reached directly
    """
    session = requests.Session()
    session.trust_env = trust_env
    session.max_redirects = 0
    return session


def send(session, prepared, timeout, translate, changes=True):
    """Send a prepared request and return its answer, fully read.

    :param changes: whether the request could change something on the other side
    :raises WechatUnavailable: if nothing can have happened
    :raises WechatUnknownOutcome: if the request was sent and no answer came
    """
    lost = WechatUnknownOutcome if changes else WechatUnavailable
    settings = session.merge_environment_settings(prepared.url, {}, True, None, None)
    try:
        response = session.send(
            prepared,
            timeout=timeout,
            allow_redirects=False,
            **settings,
        )
        _read(response)
    except requests.ConnectionError as error:
        # ``from None`` here and below: the cause's text holds the access token.
        if _never_sent(error):
            raise make_error(translate, WechatUnavailable, "unreachable") from None
        raise make_error(translate, lost, "no_answer") from None
    except _TooLarge:
        raise make_error(translate, lost, "bad_answer", detail="size") from None
    except requests.RequestException:
        raise make_error(translate, lost, "no_answer") from None
    return response


class _TooLarge(Exception):
    pass


def _read(response):
    """Read the answer into ``response.content``, up to the limit."""
    deadline = time.monotonic() + _WHOLE_ANSWER
    parts, size = [], 0
    try:
        for part in response.iter_content(65536):
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise _TooLarge()
            if time.monotonic() > deadline:
                raise requests.ReadTimeout()
    finally:
        response.close()
    response._content = b"".join(parts)
    response._content_consumed = True


def _never_sent(error):
    """Whether a connection error came before the first byte went out."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(reason, _BEFORE_SENDING):
        return True
    # A certificate that does not verify ends the handshake, before the request.
    return isinstance(error, requests.exceptions.SSLError) and (
        "CERTIFICATE_VERIFY_FAILED" in str(reason)
    )
