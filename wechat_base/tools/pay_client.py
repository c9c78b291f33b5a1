"""A thin client of WeChat Pay v3.

It signs, sends, verifies and maps errors, and knows nothing of any single API.
Creating one costs nothing and sends nothing.
"""

import hashlib
import json
import time
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlencode, urlsplit

import requests

from ..const import (
    MAX_DIGITS,
    PAY_BACKUP_URL,
    PAY_MAX_SKEW,
    PAY_SIGNTEST_PREFIX,
    PAY_URL,
    TIMEOUT,
)
from . import pay_crypto, transport
from .exceptions import (
    WechatConfigError,
    WechatRefused,
    WechatSignatureError,
    WechatUnavailable,
    WechatUnknownOutcome,
    make_error,
    pay_error,
    plain_translate,
)
from .text import storable

USER_AGENT = "odoo-wechat/19.0"


@dataclass(frozen=True)
class PayResponse:
    """An answer whose signature has been checked.

    ``status`` matters: 202 means "accepted, not yet done" (e.g. USERPAYING), and is
    success only for a caller that says so.
    """

    status: int
    data: dict
    request_id: str | None = None
    headers: dict = field(default_factory=dict)

    @property
    def done(self):
        """Whether WeChat has carried out the request."""
        return self.status in (200, 204)


class WechatPayClient:
    """Client of one merchant or brand.

    :param str mchid: merchant number, or number of the brand
    :param str serial: serial number of the merchant's certificate
    :param str private_key: PEM of the merchant's private key
    :param str apiv3_key: the 32 characters set in the merchant platform
    :param find_key: function that returns the PEM of WeChat's key with a serial
        number (or public key ID), or ``None``
    :param str former_apiv3_key: the one before it: notices that were encrypted with
        it may still be under way
    :param str public_key_id: sent with each request, so that WeChat signs with its
        public key and not with a platform certificate
    :param str scheme: how requests are signed, a key of ``pay_crypto.SIGNERS``
    :param str sandbox_url: used instead of WeChat's servers
    :param translate: ``env._``
    :param clock: function that returns the Unix time
    """

    def __init__(
        self,
        mchid,
        serial,
        private_key,
        apiv3_key,
        find_key,
        public_key_id=None,
        former_apiv3_key=None,
        sandbox_url=None,
        scheme=pay_crypto.SCHEME,
        timeout=TIMEOUT,
        translate=plain_translate,
        clock=time.time,
    ):
        self.mchid = mchid
        self.serial = serial
        self.public_key_id = public_key_id
        self.scheme = scheme
        self.timeout = timeout
        self._private_key_pem = private_key
        self._apiv3_key = apiv3_key
        self._former_apiv3_key = former_apiv3_key
        self._find_key = find_key
        self._translate = translate
        self._clock = clock
        self._urls = [sandbox_url, sandbox_url] if sandbox_url else self._pay_urls()
        self._trust_env = not sandbox_url
        # Date of the last answer, for the check of our clock.
        self.last_date = None

    def __repr__(self):
        return f"<{type(self).__name__} {self.mchid}>"

    @cached_property
    def _http(self):
        return transport.new_session(trust_env=self._trust_env)

    def _pay_urls(self):
        return [PAY_URL, PAY_BACKUP_URL]

    # === REQUESTS === #

    def request(
        self, method, path, params=None, body=None, request_no=None, timeout=None
    ):
        """Send a request and return its verified answer.

        A request that may have been carried out is sent a second time (by the
        backup address) only if that cannot do harm: a GET, or a request whose
        number was stored before.

        :param str method: HTTP method
        :param str path: begins with a slash, without host; parts already quoted
        :param dict params: query
        :param dict body: sent as JSON
        :param str request_no: the stored number in the body that makes WeChat carry
            out the request only once
        :param float timeout: seconds to connect, and between two bytes
        :rtype: PayResponse
        :raises WechatError: one of its subclasses, see :mod:`.exceptions`
        """
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError("path must begin with one slash")
        method = method.upper()
        repeatable = method == "GET" or bool(request_no)

        def call(base):
            return self._request_once(method, base, path, params, body, timeout)

        return transport.with_backup(call, self._urls, repeatable)

    def certificates(self):
        """Download the platform certificates.

        There may be no key yet to verify this answer with. It is then verified with
        the certificates in it, which only our APIv3 key can have decrypted.

        :return: dictionary of serial number to PEM
        """
        found = {}

        def find_key(serial):
            return found.get(serial) or self._find_key(serial)

        response = self._send("GET", self._urls[0], "/v3/certificates")
        if response.status_code == 200:
            found.update(self._read_certificates(self._parse(response)))
        self._handle(response, find_key)
        return found

    def upload_image(self, path, name, content):
        """Upload a picture; only its description is signed (contracts 6.1).

        :param str path: begins with a slash, without host
        :param str name: of the file, with its ending
        :param bytes content: PNG, JPEG or BMP
        :return: WeChat's answer, with ``media_url``
        """
        meta = json.dumps(
            {"filename": name, "sha256": hashlib.sha256(content).hexdigest()}
        ).encode()

        def call(base):
            prepared = self._prepare("POST", base, path, None, None, signed=meta)
            files = {
                "meta": (None, meta, "application/json"),
                "file": (name, content, "application/octet-stream"),
            }
            parts = requests.Request("POST", prepared.url, files=files).prepare()
            prepared.body = parts.body
            for header in ("Content-Type", "Content-Length"):
                prepared.headers[header] = parts.headers[header]
            response = transport.send(
                self._http, prepared, self.timeout, self._translate
            )
            return self._handle(response)

        # The same picture twice does no harm.
        return transport.with_backup(call, self._urls, True).data

    def download(self, url, sink, limit):
        """Write a file that WeChat offers by its address (a bill) into ``sink``.

        The answer is not signed: whoever calls this compares the file with the hash
        of the signed offer. Nothing is written unless the answer is a success.

        :param str url: as offered; followed to the servers of this client only
        :param sink: binary file
        :param int limit: bytes, as sent
        :raises WechatRefused: with the code ``host`` if the address is elsewhere
        :raises WechatError: as for :meth:`request`
        """
        base = self._base_of(url)
        prepared = self._prepare("GET", base, url[len(base) :], None, None)
        # Compressed once more on the way, a small answer could become a huge one.
        prepared.headers["Accept-Encoding"] = "identity"
        response = transport.send(
            self._http,
            prepared,
            self.timeout,
            self._translate,
            changes=False,
            sink=sink,
            limit=limit,
        )
        if response.status_code == 200:
            return
        if response.status_code < 400:
            detail = f"HTTP {response.status_code}"
            raise self._error(WechatUnavailable, "bad_answer", detail=detail)
        self._handle(response)

    def _base_of(self, url):
        """Return which of our servers' addresses ``url`` begins with."""
        found = str(url or "")
        for base in self._urls:
            # The path's slash ends the host: "…mch.weixin.qq.com.evil" does not.
            if found.startswith(f"{base}/"):
                return base
        host = "".join(found.split("/")[2:3])
        raise self._error(WechatRefused, "host", detail=host or "?", code="host")

    def _read_certificates(self, data):
        result = {}
        items = data.get("data") or []
        if not isinstance(items, list) or not all(
            isinstance(item, dict)
            and isinstance(item.get("encrypt_certificate"), dict)
            and isinstance(item.get("serial_no"), str)
            for item in items
        ):
            raise self._error(WechatUnavailable, "bad_answer", detail="data")
        for item in items:
            try:
                pem = pay_crypto.decrypt_resource(
                    self._apiv3_key, item["encrypt_certificate"]
                ).decode()
                serial = pay_crypto.certificate_serial(pay_crypto.load_certificate(pem))
            except (KeyError, TypeError, ValueError):
                raise self._error(
                    WechatConfigError,
                    "pay_config",
                    detail="APIv3 key",
                    code="APIV3_KEY",
                ) from None
            if serial == item["serial_no"].upper():
                result[item["serial_no"]] = pem
        return result

    def _request_once(self, method, url, path, params, body, timeout):
        return self._handle(self._send(method, url, path, params, body, timeout))

    def _send(self, method, url, path, params=None, body=None, timeout=None):
        response = transport.send(
            self._http,
            self._prepare(method, url, path, params, body),
            timeout or self.timeout,
            self._translate,
            changes=method != "GET",
        )
        self.last_date = response.headers.get("Date")
        return response

    def _prepare(self, method, url, path, params, body, signed=None):
        """Return the signed request; what is signed is what is sent.

        :param bytes signed: what is signed instead, where WeChat wants that
        """
        query = f"?{urlencode(params)}" if params else ""
        data = b""
        if body is not None:
            data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Accept": "application/json",
            "User-Agent": USER_AGENT,
        }
        if data:
            headers["Content-Type"] = "application/json"
        if self.public_key_id:
            headers["Wechatpay-Serial"] = self.public_key_id
        prepared = self._http.prepare_request(
            requests.Request(
                method, f"{url}{path}{query}", data=data or None, headers=headers
            )
        )
        # A sandbox may live below a path; only WeChat's part is signed.
        target = prepared.path_url[len(_path_of(url)) :]
        prepared.headers["Authorization"] = self._authorization(
            method, target, signed or data
        )
        return prepared

    def _authorization(self, method, target, data):
        try:
            private_key = pay_crypto.load_private_key(self._private_key_pem)
        except ValueError:
            raise self._error(
                WechatConfigError, "incomplete", detail="API private key"
            ) from None
        return pay_crypto.authorization(
            self.mchid,
            self.serial,
            private_key,
            method,
            target,
            data,
            int(self._clock()),
            pay_crypto.nonce(),
            self.scheme,
        )

    def _handle(self, response, find_key=None):
        status = response.status_code
        request_id = storable(response.headers.get("Request-ID"))
        if 300 <= status < 400:
            raise self._error(
                WechatUnknownOutcome, "bad_answer", detail=f"HTTP {status}"
            )
        signed = "Wechatpay-Signature" in response.headers
        # A gateway's error is not signed; a success that is not, is not believed.
        if signed or status < 300:
            self._verify_answer(response, find_key)
        data = self._parse(response)
        if status < 300:
            return PayResponse(status, data, request_id, dict(response.headers))
        raise pay_error(
            self._translate,
            status,
            str(data.get("code") or f"HTTP_{status}"),
            str(data.get("message") or ""),
            request_id,
        )

    def _parse(self, response):
        status = response.status_code
        if not response.content:
            return {}
        try:
            data = storable(json.loads(response.content))
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict):
            return data
        if 400 <= status < 500:
            # A gateway's page; the status says enough.
            return {}
        raise self._error(
            WechatUnknownOutcome,
            "bad_answer",
            detail=f"HTTP {status}",
            request_id=response.headers.get("Request-ID"),
        )

    def _verify_answer(self, response, find_key):
        try:
            self.verify(response.headers, response.content, find_key)
        except WechatSignatureError as error:
            raise self._error(
                WechatUnknownOutcome,
                "bad_answer",
                detail=f"signature: {error.code}",
                code=error.code,
                request_id=response.headers.get("Request-ID"),
            ) from error

    # === SIGNATURES === #

    def verify(self, headers, body, find_key=None):
        """Check the signature of an answer or a notice.

        :param headers: mapping; names in any case
        :param bytes body: exactly as received
        :raises WechatSignatureError: with the code ``missing``, ``stale``,
            ``signtest``, ``unknown_key`` or ``wrong``
        """
        found = {str(name).lower(): value for name, value in headers.items()}
        names = ("timestamp", "nonce", "signature", "serial")
        timestamp, nonce, signature, serial = (
            found.get(f"wechatpay-{name}") or "" for name in names
        )
        if not (timestamp and nonce and signature and serial):
            raise self._refuse("missing")
        scheme = found.get("wechatpay-signature-type") or pay_crypto.SCHEME
        if scheme != pay_crypto.SCHEME:
            raise self._refuse("missing")
        if not timestamp.isdigit() or not timestamp.isascii():
            raise self._refuse("stale")
        if len(timestamp) > MAX_DIGITS:
            raise self._refuse("stale")
        if abs(self._clock() - int(timestamp)) > PAY_MAX_SKEW:
            raise self._refuse("stale")
        if signature.startswith(PAY_SIGNTEST_PREFIX):
            raise self._refuse("signtest")
        pem = (find_key or self._find_key)(serial)
        if not pem:
            raise self._refuse("unknown_key")
        message = pay_crypto.lines(timestamp, nonce, body)
        if not pay_crypto.is_signed(
            pay_crypto.load_public_key(pem), message, signature
        ):
            raise self._refuse("wrong")

    def _refuse(self, code):
        return self._error(
            WechatSignatureError, "bad_answer", detail=f"signature: {code}", code=code
        )

    def decrypt(self, resource):
        """Return the content of the ``resource`` of a notice.

        :param dict resource: as in the notice
        :rtype: dict
        :raises WechatConfigError: if our APIv3 key does not fit
        """
        for key in filter(None, (self._apiv3_key, self._former_apiv3_key)):
            try:
                return pay_crypto.decrypt_json(key, resource)
            except ValueError:
                continue
        raise self._error(
            WechatConfigError, "pay_config", detail="APIv3 key", code="APIV3_KEY"
        )

    def encrypt(self, text, serial):
        """Encrypt a sensitive field of a request.

        :param str text: clear text
        :param str serial: which of WeChat's keys; to be sent in the header
            ``Wechatpay-Serial`` too
        """
        pem = self._find_key(serial)
        if not pem:
            raise self._refuse("unknown_key")
        return pay_crypto.encrypt_field(pay_crypto.load_public_key(pem), text)

    def decrypt_field(self, text):
        """Decrypt a sensitive field of an answer."""
        private_key = pay_crypto.load_private_key(self._private_key_pem)
        return pay_crypto.decrypt_field(private_key, text)

    def jsapi_params(self, appid, prepay_id, timestamp=None, nonce=None):
        """Return what the page inside WeChat needs to open the payment."""
        timestamp = str(timestamp or int(self._clock()))
        nonce = nonce or pay_crypto.nonce()
        package = f"prepay_id={prepay_id}"
        return {
            "appId": appid,
            "timeStamp": timestamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": self._sign(appid, timestamp, nonce, package),
        }

    def app_params(self, appid, prepay_id, timestamp=None, nonce=None):
        """Return what a mobile application needs to open the payment."""
        timestamp = str(timestamp or int(self._clock()))
        nonce = nonce or pay_crypto.nonce()
        return {
            "appid": appid,
            "partnerid": self.mchid,
            "prepayid": prepay_id,
            "package": "Sign=WXPay",
            "noncestr": nonce,
            "timestamp": timestamp,
            "sign": self._sign(appid, timestamp, nonce, prepay_id),
        }

    def _sign(self, *parts):
        private_key = pay_crypto.load_private_key(self._private_key_pem)
        return pay_crypto.sign(private_key, pay_crypto.lines(*parts))

    def _error(self, error_class, key, **values):
        return make_error(self._translate, error_class, key, **values)


def _path_of(url):
    return urlsplit(url).path.rstrip("/")
