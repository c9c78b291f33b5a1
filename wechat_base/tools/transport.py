"""One way to send a request: time-outs, no redirects, a limit on the answer.

Errors are told apart by what the other side may have done (see
:mod:`.exceptions`). The text of the library's own exceptions is never passed on:
it holds the address, and with it the access token.
"""

import io
import logging
import re
import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import connection as urllib3_connection
from urllib3 import connectionpool as urllib3_pool
from urllib3 import exceptions as urllib3_exceptions

from ..const import MAX_ANSWER_BYTES
from .exceptions import (
    WechatError,
    WechatUnavailable,
    WechatUnknownOutcome,
    make_error,
)

_BEFORE_SENDING = (
    urllib3_exceptions.NewConnectionError,
    urllib3_exceptions.ConnectTimeoutError,
    urllib3_exceptions.ProxyError,
)
# Above all time-outs between two bytes: the longest that a whole answer may take.
_WHOLE_ANSWER = 30.0
_WHOLE_FILE = 300.0


_SECRET_PARAMETER = re.compile(r"\b((?:(?:access_)?token|secret|code)=)[^&\s)\"]+")


class _NoTokens(logging.Filter):
    """Cuts access tokens and secrets out of addresses that the library logs."""

    def filter(self, record):
        message = record.getMessage()
        if _SECRET_PARAMETER.search(message):
            record.msg = _SECRET_PARAMETER.sub(r"\1***", message)
            record.args = ()
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_NoTokens())


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


def new_session(trust_env=True, context=None):
    """Return a session that follows nothing and remembers nothing.

    :param bool trust_env: whether the proxies of the environment are used; a
        sandbox is reached directly
    :param context: of TLS, with a certificate of ours; the server's is checked anyway
    """
    session = requests.Session()
    session.trust_env = trust_env
    session.max_redirects = 0
    session.mount("http://", _Adapter())
    session.mount("https://", _Adapter(context))
    return session


def with_backup(call, urls, repeatable):
    """Return ``call(url)`` of the first address, or of the backup address after it.

    :param bool repeatable: whether it does no harm to send it again after an answer
        was lost
    :raises WechatUnknownOutcome: also if the backup address refuses what may have
        been carried out by the first
    """
    first, second = urls
    lost = None
    try:
        return call(first)
    except WechatUnknownOutcome as error:
        if not repeatable:
            raise
        lost = error
    except WechatUnavailable as error:
        # With a code it is WeChat that asks us to wait, not a dead line.
        if error.code:
            raise
    try:
        return call(second)
    except WechatError as error:
        if lost and not isinstance(error, WechatUnknownOutcome):
            # Whatever the second says, the first may have been carried out.
            raise lost from error
        raise


@contextmanager
def within(seconds):
    """Let all exchanges of this thread together take no longer than that.

    A till's request holds a worker that other tills need.

    :param float seconds: ``None`` for no limit
    """
    before = getattr(_thread, "deadline", None)
    if seconds is not None:
        _thread.deadline = _sooner(before, time.monotonic() + seconds)
    try:
        yield
    finally:
        _thread.deadline = before


def _sooner(*moments):
    return min((moment for moment in moments if moment is not None), default=None)


def send(
    session,
    prepared,
    timeout,
    translate,
    changes=True,
    deadline=None,
    sink=None,
    limit=MAX_ANSWER_BYTES,
):
    """Send a prepared request and return its answer, fully read.

    :param float timeout: seconds to connect, and between two bytes
    :param changes: whether the request could change something on the other side
    :param float deadline: of the monotonic clock; by then it is over, however
        slowly the answer comes (only the name server is waited for as long as the
        system is told to)
    :param sink: binary file that takes the content of a success instead of memory
    :param int limit: bytes of such a content
    :raises WechatUnavailable: if nothing can have happened; with the code
        ``deadline`` when there was no time left to try
    :raises WechatUnknownOutcome: if the request was sent and no answer came
    """
    lost = WechatUnknownOutcome if changes else WechatUnavailable
    end = time.monotonic() + timeout + (_WHOLE_FILE if sink else _WHOLE_ANSWER)
    deadline = _sooner(deadline, getattr(_thread, "deadline", None))
    if deadline is not None:
        end = min(end, deadline)
        timeout = min(timeout, deadline - time.monotonic())
        if timeout <= 0:
            raise make_error(translate, WechatUnavailable, "no_answer", code="deadline")
    settings = session.merge_environment_settings(prepared.url, {}, True, None, None)
    _thread.end = end
    try:
        response = session.send(
            prepared,
            timeout=timeout,
            allow_redirects=False,
            **settings,
        )
        if sink and response.status_code == 200:
            _read(response, end, sink, limit)
        else:
            _read(response, end)
    except requests.ConnectionError as error:
        # ``from None`` here and below: the cause's text holds the access token.
        if _never_sent(error):
            raise make_error(translate, WechatUnavailable, "unreachable") from None
        raise make_error(translate, lost, "no_answer") from None
    except _TooLarge:
        raise make_error(translate, lost, "bad_answer", detail="size") from None
    except requests.RequestException:
        raise make_error(translate, lost, "no_answer") from None
    finally:
        _thread.end = None
    return response


class _TooLarge(Exception):
    pass


def _read(response, end, sink=None, limit=MAX_ANSWER_BYTES):
    """Read the answer into ``response.content``, or ``sink``, up to the limit."""
    parts, size = [], 0
    keep = sink.write if sink else parts.append
    try:
        for part in response.iter_content(65536):
            size += len(part)
            if size > limit:
                raise _TooLarge()
            keep(part)
            # Said by the socket, too; not by that of a SOCKS proxy.
            if time.monotonic() > end:
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


# === THE END OF AN EXCHANGE === #
#
# A time-out is that of one wait: an answer that comes byte by byte, or a host of many
# addresses, takes any number of them. So the socket itself is told when all must be
# over. A thread makes one exchange at a time, on connections that many calls use.

_thread = threading.local()


def _left():
    """Return the seconds until this thread's exchange ends, or ``None``."""
    end = getattr(_thread, "end", None)
    return None if end is None else end - time.monotonic()


class _TimedSocket:
    """A socket that never waits beyond the end of the exchange."""

    def __init__(self, sock):
        self._sock = sock
        self._timeout = sock.gettimeout()

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def settimeout(self, timeout):
        self._timeout = timeout
        self._sock.settimeout(timeout)

    def _set_time(self):
        timeout, left = self._timeout, _left()
        if left is not None:
            if left <= 0:
                raise TimeoutError("deadline")
            timeout = left if timeout is None else min(timeout, left)
        self._sock.settimeout(timeout)

    def recv_into(self, *args):
        self._set_time()
        return self._sock.recv_into(*args)

    def sendall(self, *args):
        self._set_time()
        return self._sock.sendall(*args)

    def makefile(self, mode="rb", *_args, **_kwargs):
        """What `http.client` reads the answer from: as `socket.makefile` does it."""
        stream = socket.SocketIO(self, mode)
        self._sock._io_refs += 1
        return io.BufferedReader(stream)


class _TimedConnection:
    def _new_conn(self):
        """Override of urllib3: what is left is shared by the host's addresses."""
        host, timeout = self._dns_host, self.timeout
        failure = None
        for address in self._addresses(host):
            left = _left()
            if left is not None:
                if left <= 0:
                    break
                self.timeout = min(timeout, left)
            self._dns_host = address
            try:
                return super()._new_conn()
            except (
                urllib3_exceptions.NewConnectionError,
                urllib3_exceptions.ConnectTimeoutError,
            ) as error:
                failure = error
            finally:
                self._dns_host, self.timeout = host, timeout
        raise failure or urllib3_exceptions.ConnectTimeoutError(self, "deadline")

    def _addresses(self, host):
        try:
            found = socket.getaddrinfo(
                host.strip("[]"), self.port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError):
            # Said again, in its own way, by urllib3.
            return [host]
        return dict.fromkeys(address[4][0] for address in found)

    def connect(self):
        result = super().connect()
        self.sock = _TimedSocket(self.sock)
        return result


class _HTTPConnection(_TimedConnection, urllib3_connection.HTTPConnection):
    pass


class _HTTPSConnection(_TimedConnection, urllib3_connection.HTTPSConnection):
    pass


class _HTTPPool(urllib3_pool.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3_pool.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Adapter(HTTPAdapter):
    """Connections that keep to the end of the exchange."""

    _pools = {"http": _HTTPPool, "https": _HTTPSPool}

    def __init__(self, context=None):
        self._tls_context = context
        super().__init__()

    def init_poolmanager(self, *args, **kwargs):
        kwargs.update(self._tls())
        result = super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools
        return result

    def _tls(self):
        return {"ssl_context": self._tls_context} if self._tls_context else {}

    def proxy_manager_for(self, proxy, **kwargs):
        kwargs.update(self._tls())
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager
