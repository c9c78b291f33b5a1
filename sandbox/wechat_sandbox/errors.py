"""The three kinds of refusal: Official Account, WeChat Pay v3, control API."""

#: Official Account error texts.  WeChat adds a hint to each; only the number counts.
OA_MESSAGES = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40009: "invalid image size",
    40013: "invalid appid",
    40014: "invalid access_token",
    40029: "invalid code",
    40033: "invalid charset. please check your request, if include \\uxxxx will "
    "create fail!",
    40035: "invalid parameter",
    40037: "invalid template_id",
    40048: "invalid url domain",
    40053: "invalid action info",
    40056: "invalid serial code",
    40066: "invalid url",
    40070: "invalid sku info",
    40071: "invalid card type",
    40072: "invalid code type",
    40073: "invalid card id",
    40075: "invalid encrypt code",
    40076: "invalid color id",
    40078: "invalid card status",
    40079: "invalid time",
    40080: "invalid card ext",
    40097: "invalid args",
    40099: "invalid code, this code has consumed",
    40100: "invalid DateInfo, Make Sure OldDateInfoType==NewDateInfoType && "
    "NewBeginTime<=OldBeginTime && OldEndTime<= NewEndTime",
    40109: "exceed max code count",
    40110: "empty code",
    40111: "same code",
    40112: "can not set bind openid",
    40113: "unsupported file type",
    40116: "invalid code",
    40122: "invalid card quantity",
    40124: "too many custom field",
    40127: "invalid user-card status! Hint: the card was given to user, but may be "
    "deleted or expired or set unavailable !",
    40135: "invalid not supply bonus, can not change card_id which supply bonus to "
    "be not supply",
    40136: "invalid use DepositCodeMode, make sure sku.quantity>DepositCode.quantity",
    40141: "invalid logo url, the domain must be mmbiz.qpic.cn",
    40143: "invalid least cost info, should be 0",
    40145: "can not both set PayCell and CenterCellInfo",
    40146: "invalid openid! card may be marked by other user",
    40147: "invalid consume! Consume time overranging restricts",
    40149: "invalid use time limit",
    40150: "invalid card parameters",
    40158: "invalid use_custom_code, need be false",
    40163: "code been used",
    40164: "invalid ip, not in whitelist",
    40174: "not card user",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    41005: "media data missing",
    41008: "missing code",
    41011: "missing required fields! please check document and request json!",
    41012: "missing card id",
    41013: "missing code",
    42001: "access_token expired",
    42003: "code timeout",
    43001: "require GET method",
    43002: "require POST method",
    43004: "require subscribe",
    43009: "can not use custom code, need authorize",
    43010: "can not use balance, need authorize",
    43011: "can not use bonus, need authorize",
    43012: "can not use custom url, need authorize",
    43018: "code has no been mark",
    44002: "empty post data",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45021: "some argument may be out of length limit! please check document and "
    "request json!",
    45026: "template num exceeds limit",
    45029: "qrcode count out of limit",
    45030: "limit cardid, not support this function",
    45031: "stock is out of limit",
    45033: "user get card num is out of get_limit",
    45039: "card_list_size out of limit",
    45041: "this card reach total sku quantity limit",
    45044: "icon url size in abstract out of limit",
    45046: "operate field conflict, CenterCell, PayCell, SelfConsumeCell conflict",
    47001: "data format error",
    47002: "data format error, do not use unicode escape",
    47003: "argument invalid!",
    48001: "api unauthorized",
    61500: "date format error",
    61501: "date range error",
    72007: "invalid reduce cost, can not less than 100",
    72008: "invalid least cost, must be larger than reduce cost",
    72009: "invalid get limit, can not over 50",
    72016: "unauthorized create member card",
    72020: "limit consume in use limit",
    72021: "unauthorized create general card",
    72022: "user unexpected, please add user to white list",
}


class OaError(Exception):
    """A refusal of the Official Account API (HTTP 200 and an ``errcode``)."""

    def __init__(self, errcode: int, detail: str = "") -> None:
        text = OA_MESSAGES.get(errcode, "unknown error")
        super().__init__(f"{text}: {detail}" if detail else text)
        self.errcode = errcode


class PayError(Exception):
    """A refusal of the Pay v3 API: HTTP status, code, message and detail.

    ``number`` is the numeric suffix of the ``Request-ID`` header.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        number: int = 0,
        detail: dict | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.number = number
        self.detail = detail


class ControlError(Exception):
    """A refusal of the sandbox's own control API."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
