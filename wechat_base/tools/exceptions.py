"""What a call to WeChat can end in, and the sentence that a person reads.

The class tells a caller what to do next, the code and the request id are for the
worklist and for WeChat's support.
"""

from collections.abc import Callable

from odoo.exceptions import UserError
from odoo.tools.translate import LazyTranslate

from ..const import (
    OFFICIAL_CONFIG_ERRORS,
    OFFICIAL_RETRY_ERRORS,
    PAY_CONFIG_ERRORS,
    PAY_RETRY_ERRORS,
)
from .text import storable

_lt = LazyTranslate(__name__)


class WechatError(UserError):
    """Base of all errors of the connection to WeChat.

    :param str message: a translated sentence
    :param code: WeChat's own code, an integer (official account) or a word (Pay)
    :param str request_id: WeChat's id of the request, for its support
    :param float retry_after: seconds to wait before the next attempt, if known
    """

    def __init__(self, message, code=None, request_id=None, retry_after=None):
        # Whoever keeps an error must not fail on what WeChat has put into it.
        super().__init__(storable(message))
        self.code = storable(code)
        self.request_id = storable(request_id)
        self.retry_after = retry_after


class WechatConfigError(WechatError):
    """Nothing was done; an administrator has to change something first."""


class WechatRefused(WechatError):
    """WeChat understood the call and said no; the same call will fail again."""


class WechatUnavailable(WechatError):
    """Nothing was done; the same call may succeed later."""


class WechatUnknownOutcome(WechatUnavailable):
    """The call was sent and no answer that can be trusted came back."""


class WechatSignatureError(WechatError):
    """A signature is missing, stale or wrong."""


# Functions, because a lazy text takes its values when it is made.
MESSAGES: dict[str, Callable] = {
    "unreachable": lambda detail: _lt(
        "WeChat cannot be reached at the moment. Nothing was changed; "
        "please try again shortly."
    ),
    "no_answer": lambda detail: _lt(
        "WeChat did not answer in time. It is not known yet whether the request "
        "was carried out; it will be checked before it is repeated."
    ),
    "bad_answer": lambda detail: _lt(
        "WeChat's answer could not be trusted or understood (%(detail)s). "
        "It will be checked before the request is repeated.",
        detail=detail,
    ),
    "busy": lambda detail: _lt(
        "WeChat is busy. Nothing was changed; please try again shortly."
    ),
    "quota": lambda detail: _lt(
        "The daily number of calls that WeChat allows for this account is used up. "
        "Calls go on tomorrow, or after the quota is raised or cleared in the "
        "account's console."
    ),
    "too_fast": lambda detail: _lt(
        "Too many calls at once. WeChat asks us to wait a moment."
    ),
    "token": lambda detail: _lt(
        "WeChat no longer accepts the access token. Another system may be using "
        "the same account; a new token will be fetched."
    ),
    "secret": lambda detail: _lt(
        "WeChat refused the app secret. Enter the current AppSecret on the "
        "WeChat account and test the connection."
    ),
    "appid": lambda detail: _lt(
        "WeChat does not know this AppID. Check it on the WeChat account."
    ),
    "ip": lambda detail: _lt(
        "This server's address is not on the IP white list of the account "
        "(%(detail)s). Add it in WeChat's console under Basic Configuration.",
        detail=detail,
    ),
    "not_authorised": lambda detail: _lt(
        "This WeChat account is not allowed to use this function (%(detail)s). "
        "Apply for it in WeChat's console, or use another kind of coupon.",
        detail=detail,
    ),
    "restricted": lambda detail: _lt(
        "WeChat has restricted this account (%(detail)s). See the notices in "
        "WeChat's console.",
        detail=detail,
    ),
    "refused": lambda detail: _lt(
        "WeChat refused the request: %(detail)s", detail=detail
    ),
    "sign": lambda detail: _lt(
        "WeChat Pay does not accept our signature. Check the merchant number, the "
        "certificate serial number, the private key and the server's clock, and "
        "that an APIv3 key has been set."
    ),
    "pay_not_authorised": lambda detail: _lt(
        "The merchant is not allowed to use this WeChat Pay function (%(detail)s). "
        "Apply for it in the merchant platform.",
        detail=detail,
    ),
    "pay_config": lambda detail: _lt(
        "WeChat Pay does not accept this merchant's set-up: %(detail)s",
        detail=detail,
    ),
    "host": lambda detail: _lt(
        "Calls to %(detail)s are not allowed by this account's settings.", detail=detail
    ),
    "disabled": lambda detail: _lt(
        "“%(detail)s” is disabled, so nothing is sent to WeChat. Choose an "
        "environment on its form first.",
        detail=detail,
    ),
    "incomplete": lambda detail: _lt("Please fill in first: %(detail)s", detail=detail),
}

_OFFICIAL_MESSAGES: dict[int, str] = {
    -1: "busy",
    40001: "secret",
    40013: "appid",
    40014: "token",
    40125: "secret",
    40164: "ip",
    41002: "appid",
    41004: "secret",
    42001: "token",
    45009: "quota",
    45011: "too_fast",
    48001: "not_authorised",
    48004: "restricted",
    50002: "restricted",
    89503: "ip",
    89506: "ip",
    89507: "ip",
}
_PAY_MESSAGES: dict[str, str] = {
    "SIGN_ERROR": "sign",
    "NO_AUTH": "pay_not_authorised",
}
# Seconds; a quota is not worth asking for again every few seconds.
_RETRY_AFTER: dict[int, float] = {45009: 3600.0, 45011: 10.0}


def plain_translate(message):
    """Stand-in for ``env._`` where there is no environment: English."""
    return message._translate("en_US")


def make_error(
    translate,
    error_class,
    key,
    *,
    detail="",
    code=None,
    request_id=None,
    retry_after=None,
):
    """Build an error whose message is one of :data:`MESSAGES`.

    :param translate: ``env._`` or a function like it
    :param error_class: the class to instantiate
    :param str key: key of :data:`MESSAGES`
    :param str detail: what goes into the sentence
    :return: the exception, not raised
    """
    if code is None and key == "bad_answer":
        # Callers tell an answer that is wrong from one that does not come.
        code = key
    return error_class(
        translate(MESSAGES[key](detail)),
        code=code,
        request_id=request_id,
        retry_after=retry_after,
    )


def official_error(translate, errcode, errmsg):
    """Map an answer of the Official-account API to an exception.

    :param int errcode: WeChat's ``errcode``, not 0
    :param str errmsg: WeChat's ``errmsg``; it ends with a hint that holds the
        request id
    """
    if errcode in OFFICIAL_CONFIG_ERRORS:
        error_class = WechatConfigError
    elif errcode in OFFICIAL_RETRY_ERRORS:
        error_class = WechatUnavailable
    else:
        error_class = WechatRefused
    return make_error(
        translate,
        error_class,
        _OFFICIAL_MESSAGES.get(errcode, "refused"),
        code=errcode,
        request_id=request_id_of(errmsg),
        retry_after=_RETRY_AFTER.get(errcode),
        detail=f"{errcode} {errmsg}",
    )


def request_id_of(errmsg):
    """Return the request id that WeChat hides in ``errmsg``, or ``None``."""
    for mark, end in (("rid: ", " "), ("hint: [", "]")):
        _before, found, rest = str(errmsg or "").partition(mark)
        if found:
            return rest.partition(end)[0].strip()
    return None


def pay_error(translate, status, code, message, request_id):
    """Map an error answer of the Pay v3 API to an exception.

    :param int status: HTTP status
    :param str code: WeChat's ``code``
    :param str message: WeChat's ``message``
    """
    values = {"code": code, "request_id": request_id, "detail": f"{code} {message}"}
    if status == 429 or code in PAY_RETRY_ERRORS:
        return make_error(
            translate, WechatUnavailable, "too_fast", retry_after=5.0, **values
        )
    if status >= 500:
        return make_error(translate, WechatUnknownOutcome, "bad_answer", **values)
    if code in PAY_CONFIG_ERRORS:
        key = _PAY_MESSAGES.get(code, "pay_config")
        return make_error(translate, WechatConfigError, key, **values)
    return make_error(translate, WechatRefused, "refused", **values)
