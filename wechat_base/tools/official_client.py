"""The Official-account API, through wechatpy with its known bugs worked round.

What is different from wechatpy 1.8.18: the token lives in the database and comes
from ``stable_token``; one retry, not any number; time-outs; one place that sends,
to known hosts only; our exceptions. What its methods return is unchanged except
where the class below says so.
"""

import hashlib
import json
import secrets
import time
from urllib.parse import urlencode, urlsplit

import requests
from wechatpy import WeChatClient
from wechatpy.client.api import (
    WeChatCard,
    WeChatDataCube,
    WeChatInvoice,
    WeChatJSAPI,
    WeChatMedia,
    WeChatQRCode,
)

from ..const import OFFICIAL_HOSTS, OFFICIAL_URL, TIMEOUT, TOKEN_ERRORS
from . import transport
from .exceptions import (
    WechatConfigError,
    WechatRefused,
    WechatUnavailable,
    WechatUnknownOutcome,
    make_error,
    official_error,
    plain_translate,
)
from .text import storable

# Where a visitor is sent, not where we call.
AUTHORIZE_URL = "https://open.weixin.qq.com"
# Seconds; WeChat says 7200 of both.
_LONGEST_LIFE = 86400
# Answers that are not JSON but a file.
_FILES = ("image/", "audio/", "video/", "application/octet-stream", "application/zip")


class OfficialCard(WeChatCard):
    """Cards; `/card/…`."""

    def create_qrcode(self, qrcode_data):
        """Return the whole answer: wechatpy keeps the ticket and drops the rest."""
        return self._post("card/qrcode/create", data=qrcode_data)

    def invalid_code(self, code, card_id=None, reason=None):
        """Make a code unusable; wechatpy cannot send the reason.

        :param str reason: shown to the merchant's staff
        """
        data = {"code": code, "card_id": card_id, "reason": reason}
        return self._post(
            "card/code/unavailable",
            data={name: value for name, value in data.items() if value},
        )


class OfficialDataCube(WeChatDataCube):
    """Statistics; wechatpy has those of cards not at all."""

    def get_user_summary(self, begin_date, end_date):
        """Return the followers won and lost, one entry for each day and source.

        wechatpy's own does not look whether the answer holds a list.
        """
        return self._figures("getusersummary", begin_date, end_date)

    def get_card_bizuin_info(self, begin_date, end_date, cond_source=1):
        """Return the figures of all cards, one entry for each day."""
        return self._figures("getcardbizuininfo", begin_date, end_date, cond_source)

    def get_card_info(self, begin_date, end_date, cond_source=1, card_id=None):
        """Return the figures of free coupons, one entry for each day and card."""
        return self._figures(
            "getcardcardinfo", begin_date, end_date, cond_source, card_id
        )

    def get_membercard_info(self, begin_date, end_date, cond_source=1):
        """Return the figures of all member cards, one entry for each day."""
        return self._figures("getcardmembercardinfo", begin_date, end_date, cond_source)

    def get_membercard_detail(self, begin_date, end_date, card_id):
        """Return the figures of one member card, one entry for each day."""
        return self._figures(
            "getcardmembercarddetail", begin_date, end_date, None, card_id
        )

    def _figures(self, name, begin_date, end_date, cond_source=None, card_id=None):
        data = {
            "begin_date": self._to_date_str(begin_date),
            "end_date": self._to_date_str(end_date),
        }
        if cond_source is not None:
            data["cond_source"] = cond_source
        if card_id:
            data["card_id"] = card_id
        return self._post(name, data=data, result_processor=lambda x: x["list"])


class OfficialInvoice(WeChatInvoice):
    """Invoices in the card wallet."""

    def get_user_title_url(self, user_fill, title=None, **values):
        """Return the link with which a person adds an invoice title.

        wechatpy asks for the title in the wrong case: it is needed when it is not
        the person who fills it in.
        """
        if not user_fill and not title:
            raise ValueError("title is required when user_fill is False")
        return super().get_user_title_url(bool(user_fill), title or "", **values)


class OfficialJSAPI(WeChatJSAPI):
    """Tickets and signatures for pages inside WeChat."""

    def get_jsapi_ticket(self):
        """Return the ticket for ``wx.config``, kept in the database."""
        return self._client.obtain_ticket("jsapi")

    def get_jsapi_card_ticket(self):
        """Return the ticket for cards, kept in the database."""
        return self._client.obtain_ticket("wx_card")

    def get_jsapi_card_params(self, card_ticket, card_type=None, **values):
        """Return the ``cardExt`` of ``wx.addCard`` with its signature.

        wechatpy signs other values than WeChat does. ``outer_str`` and
        ``fixed_begintimestamp`` are sent, not signed. A nonce must never be used
        twice.

        :param str card_ticket: see :meth:`get_jsapi_card_ticket`
        :param card_type: not used by WeChat; here for wechatpy's callers
        :param values: ``card_id`` (needed), ``code``, ``openid``, ``timestamp``,
            ``nonce_str``, ``fixed_begintimestamp``, ``outer_str``
        """
        nonce = values.get("nonce_str") or values.get("noncestr")
        signed = {
            "timestamp": str(values.get("timestamp") or int(time.time())),
            "nonce_str": nonce or secrets.token_hex(16),
            "card_id": values["card_id"],
            "code": values.get("code") or "",
            "openid": values.get("openid") or "",
        }
        result = {name: value for name, value in signed.items() if value}
        result["signature"] = card_signature(card_ticket, *signed.values())
        for name in ("fixed_begintimestamp", "outer_str"):
            if values.get(name):
                result[name] = str(values[name])
        del result["card_id"]
        return result

    def get_choose_card_params(self, card_ticket, **values):
        """Return what ``wx.chooseCard`` needs.

        :param values: ``location_id``, ``card_id``, ``card_type``, ``timestamp``,
            ``nonce_str``
        """
        signed = {
            "timestamp": str(values.get("timestamp") or int(time.time())),
            "nonceStr": values.get("nonce_str") or secrets.token_hex(16),
            "shopId": values.get("location_id") or "",
            "cardId": values.get("card_id") or "",
            "cardType": values.get("card_type") or "",
        }
        sign = card_signature(card_ticket, self.appid, *signed.values())
        return {**signed, "signType": "SHA1", "cardSign": sign}


class OfficialMedia(WeChatMedia):
    """Files."""

    def upload_mass_image(self, media_file):
        """Return the address of an uploaded picture.

        The part is called ``buffer`` in WeChat's documents, ``media`` in wechatpy.
        """
        return self._post(
            "media/uploadimg",
            files={"buffer": media_file},
            result_processor=lambda x: x["url"],
        )

    upload_image = upload_mass_image


class OfficialQRCode(WeChatQRCode):
    """Scene codes."""

    def show(self, ticket):
        """Return the picture of a ticket; wechatpy asks without a time-out."""
        ticket = ticket["ticket"] if isinstance(ticket, dict) else ticket
        return self._client.get(
            "https://mp.weixin.qq.com/cgi-bin/showqrcode",
            params={"ticket": ticket, "access_token": None},
        )


class WechatOfficialClient(WeChatClient):
    """Client of one account; see the module.

    :param str appid: AppID
    :param str secret: AppSecret
    :param tokens: object with ``obtain(kind, fetch, stale=None, timeout=…)``
    :param str sandbox_url: used instead of WeChat's servers
    :param float timeout: seconds to connect, and between two bytes
    :param translate: ``env._``
    :param float deadline: of the monotonic clock; may be set later. By then each call
        has ended, with the token it needs, however slow WeChat is
    """

    card = OfficialCard()
    datacube = OfficialDataCube()
    invoice = OfficialInvoice()
    jsapi = OfficialJSAPI()
    media = OfficialMedia()
    qrcode = OfficialQRCode()

    def __init__(
        self,
        appid,
        secret,
        tokens,
        sandbox_url=None,
        timeout=TIMEOUT,
        translate=plain_translate,
        deadline=None,
    ):
        super().__init__(appid, secret, timeout=timeout, auto_retry=False)
        self._tokens = tokens
        self.deadline = deadline
        self._translate = translate
        self._sandbox_url = sandbox_url
        self._http = transport.new_session(trust_env=not sandbox_url)
        # Date of the last answer, for the check of our clock.
        self.last_date = None

    def __repr__(self):
        return f"<{type(self).__name__} {self.appid}>"

    # === TOKENS === #

    @property
    def access_token(self):
        """The token of the account; asks WeChat only when the kept one is old."""
        # wechatpy looks at all attributes before __init__: nothing may be sent.
        tokens = self.__dict__["_tokens"] if "_tokens" in self.__dict__ else None
        if tokens is None:
            raise AttributeError("access_token")
        return tokens.obtain(
            "access_token", self.fetch_access_token, timeout=self._patience()
        )

    def fetch_access_token(self, stale=None):
        """Ask WeChat for the token of the account.

        :param str stale: a token that WeChat has just refused
        :return: (token, seconds it lives)
        """
        token, seconds = self._fetch_stable_token(force=False)
        if stale and token == stale:
            # Normal mode hands out the same token for as long as it believes it to
            # be good. Forcing is allowed 20 times a day, 30 s apart.
            token, seconds = self._fetch_stable_token(force=True)
        return token, seconds

    def _fetch_stable_token(self, force):
        data = {
            "grant_type": "client_credential",
            "appid": self.appid,
            "secret": self.secret,
            "force_refresh": force,
        }
        result = self._send_json(
            "post", self._url("stable_token"), {"data": data}, changes=False
        )
        return self._token_in(result, "access_token")

    def _token_in(self, result, name):
        """Return a token or ticket of an answer, and the seconds it lives."""
        token, seconds = result.get(name), result.get("expires_in", 7200)
        try:
            seconds = min(max(int(seconds), 0), _LONGEST_LIFE)
        except (TypeError, ValueError, OverflowError):
            token = None
        if not isinstance(token, str) or not token:
            raise self._error(WechatUnavailable, "bad_answer", detail=name)
        return token, seconds

    def obtain_ticket(self, kind):
        """Return a ``wx_card`` or ``jsapi`` ticket, kept in the database."""

        def fetch():
            return self._token_in(self.jsapi.get_ticket(kind), "ticket")

        return self._tokens.obtain(kind, fetch, timeout=self._patience())

    def _patience(self):
        """Return the seconds that somebody else's fetching is waited for."""
        if self.deadline is None:
            return self.timeout
        return max(0.0, min(self.timeout, self.deadline - time.monotonic()))

    # === WEB AUTHORISATION === #

    # https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/Wechat_webpage_authorization.html

    def oauth_url(self, redirect_uri, state):
        """Return where a page inside WeChat sends its visitor to learn the openid.

        :param str redirect_uri: where WeChat sends the visitor back; its host is
            registered in WeChat's console
        :param str state: comes back unchanged; at most 128 letters and digits
        """
        base = self._sandbox_url or AUTHORIZE_URL
        query = urlencode(
            {
                # WeChat wants them in this order (contracts 1.5).
                "appid": self.appid,
                "redirect_uri": redirect_uri,
                "response_type": "code",
                "scope": "snsapi_base",
                "state": state,
            }
        )
        return f"{base}/connect/oauth2/authorize?{query}#wechat_redirect"

    def oauth_openid(self, code):
        """Exchange the code that a visitor came back with; it is good once.

        :return: the openid, or ``None`` if WeChat shows the page to a stand-in
            (``is_snapshotuser``), whose openid is nobody's
        :raises WechatRefused: if the code is used, too old or not ours
        """
        result = self.get(
            f"{OFFICIAL_URL}/sns/oauth2/access_token",
            params={
                "appid": self.appid,
                "secret": self.secret,
                "code": code,
                "grant_type": "authorization_code",
                # The account's own token has no place here.
                "access_token": None,
            },
        )
        openid = result.get("openid") if isinstance(result, dict) else None
        if not isinstance(openid, str) or not openid:
            raise self._error(WechatUnavailable, "bad_answer", detail="openid")
        return None if result.get("is_snapshotuser") else openid

    # === REQUESTS === #

    def _request(self, method, url_or_endpoint, **kwargs):
        """Override of wechatpy: every call of every API class comes through here."""
        kwargs.pop("result_processor_args", None)
        processor = kwargs.pop("result_processor", None)
        url = self._url(url_or_endpoint, kwargs.pop("api_base_url", None))
        params = dict(kwargs.pop("params", None) or {})
        changes = method.lower() != "get"
        if "access_token" in params:
            # The caller has its own, or (None) wants to go without.
            if params["access_token"] is None:
                del params["access_token"]
            result = self._send_json(method, url, {**kwargs, "params": params}, changes)
        else:
            result = self._request_with_token(method, url, params, kwargs, changes)
        if processor and isinstance(result, dict):
            return self._process(processor, result, changes)
        return result

    def _process(self, processor, result, changes):
        """Pick from an answer what a method of wechatpy returns."""
        try:
            return processor(result)
        except (AttributeError, LookupError, TypeError, ValueError):
            # Good as far as it goes, but what was asked for is not in it.
            lost = WechatUnknownOutcome if changes else WechatUnavailable
            raise self._error(lost, "bad_answer", detail="content") from None

    def _request_with_token(self, method, url, params, kwargs, changes):
        token = self.access_token
        try:
            return self._send_json(
                method, url, {**kwargs, "params": _with(params, token)}, changes
            )
        except (WechatConfigError, WechatUnavailable) as error:
            if error.code not in TOKEN_ERRORS:
                raise
        # Refused for the token's sake, so nothing was done: once more, and only
        # once, with another token.
        _rewind(kwargs.get("files"))
        token = self._tokens.obtain(
            "access_token",
            lambda: self.fetch_access_token(stale=token),
            stale=token,
            timeout=self._patience(),
        )
        return self._send_json(
            method, url, {**kwargs, "params": _with(params, token)}, changes
        )

    def _url(self, url_or_endpoint, api_base_url=None):
        """Return the address to call; only WeChat's hosts or the sandbox."""
        url = url_or_endpoint
        if not url.startswith(("http://", "https://")):
            url = f"{api_base_url or self.API_BASE_URL}{url}"
        parts = urlsplit(url)
        if parts.hostname not in OFFICIAL_HOSTS:
            raise self._error(WechatConfigError, "host", detail=parts.hostname)
        base = self._sandbox_url or (
            OFFICIAL_URL
            if parts.hostname == "api.weixin.qq.com"
            else f"https://{parts.hostname}"
        )
        query = f"?{parts.query}" if parts.query else ""
        return f"{base}{parts.path}{query}"

    def _send_json(self, method, url, kwargs, changes):
        """Send a request and return its answer, parsed."""
        data = kwargs.get("data")
        headers = dict(kwargs.get("headers") or {})
        if isinstance(data, dict):
            # UTF-8 and no \\u escapes: WeChat refuses those (40033, 47002).
            data = json.dumps(data, ensure_ascii=False).encode()
            headers.setdefault("Content-Type", "application/json; charset=utf-8")
        request = requests.Request(
            method.upper(),
            url,
            params=kwargs.get("params"),
            data=data,
            json=kwargs.get("json"),
            files=kwargs.get("files"),
            headers=headers,
        )
        response = transport.send(
            self._http,
            self._http.prepare_request(request),
            kwargs.get("timeout") or self.timeout,
            self._translate,
            changes=changes,
            deadline=self.deadline,
        )
        self.last_date = response.headers.get("Date")
        return self._handle_answer(response, changes)

    def _handle_answer(self, response, changes):
        lost = WechatUnknownOutcome if changes else WechatUnavailable
        status = response.status_code
        if status == 429:
            raise self._error(WechatUnavailable, "too_fast", code="HTTP_429")
        if status >= 500 or 300 <= status < 400:
            raise self._error(
                lost, "bad_answer", detail=f"HTTP {status}", code=f"HTTP_{status}"
            )
        if status >= 400:
            raise self._error(
                WechatRefused, "refused", detail=f"HTTP {status}", code=f"HTTP_{status}"
            )
        try:
            text = response.content.decode("utf-8", "replace")
            result = storable(json.loads(text, strict=False))
        except (ValueError, RecursionError):
            result = None
        if isinstance(result, dict):
            return self._check_errcode(result, lost)
        # The bytes of a file may look like a number, too.
        if response.headers.get("Content-Type", "").lower().startswith(_FILES):
            return response
        raise self._error(lost, "bad_answer", detail="JSON")

    def _check_errcode(self, result, lost):
        if isinstance(result.get("base_resp"), dict):
            result.update(result.pop("base_resp"))
        try:
            errcode = int(result.get("errcode", 0))
        except (TypeError, ValueError, OverflowError):
            raise self._error(lost, "bad_answer", detail="errcode") from None
        if errcode:
            raise official_error(
                self._translate, errcode, str(result.get("errmsg") or "")
            )
        return result

    def _error(self, error_class, key, **values):
        return make_error(self._translate, error_class, key, **values)


def card_signature(*values):
    """Return WeChat's SHA-1 over the sorted values; empty ones contribute nothing."""
    joined = "".join(sorted(str(value) for value in values)).encode()
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()


def _with(params, token):
    return {**params, "access_token": token}


def _rewind(files):
    """Let files be read a second time."""
    for file in (files or {}).values():
        stream = file[1] if isinstance(file, tuple) else file
        if hasattr(stream, "seek"):
            stream.seek(0)
