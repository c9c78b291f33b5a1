"""The core of WeChat Pay v3: who calls, is the signature good, sign the answer.

WeChat docs: Pay v3 "Signature generation", "Signature verification",
GET /v3/certificates, "Callback notification".

A family of calls is one file: it registers its paths with :func:`route` and makes its
notifications with :meth:`PayCore.notify`.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web

from . import pay_keys, pay_schema
from .clock import rfc3339
from .errors import ControlError, PayError
from .oa_media import read_part
from .state import Brand

if TYPE_CHECKING:
    from .sandbox import Sandbox
    from .state import Merchant

SCHEME = "WECHATPAY2-SHA256-RSA2048"
#: A brand signs for itself, with a scheme of its own (contracts §6.7).
BRAND_SCHEME = "WECHATPAY-BRAND-SHA256-RSA2048"
BRAND_PREFIX = "/brand/"
PREFIXES = ("/v3/", BRAND_PREFIX)
PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
MAX_SKEW = 300
SIGN_ERROR = 268443699
NOT_FOUND = 268435463
RATE_LIMIT = 268447840
PARAMETERS = {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}
_PARAMETER = re.compile(r'\s*([a-z_]+)="([^"]*)"\s*(?:,|\Z)')

#: Status and body to sign, or a file that goes out unsigned.
Reply = tuple[int, dict[str, Any] | None] | web.Response


@dataclass
class PayCall:
    """One Pay v3 call of a merchant whose signature was good."""

    box: "Sandbox"
    merchant: "Merchant | Brand"
    method: str
    path: str
    params: dict[str, str]
    query: dict[str, str]
    data: dict[str, Any]
    body: bytes
    content_type: str
    base_url: str

    def need_query(self, name: str) -> str:
        """Return a query parameter, else PARAM_ERROR."""
        value = self.query.get(name, "")
        if not value:
            raise pay_schema.param_error(name, "", "缺少必填参数", location="query")
        return value

    def own_mchid(self, value: str, where: str = "/mchid") -> str:
        """Refuse the number of another merchant than the one that signed."""
        if value != self.merchant.mchid:
            message = "商户号与签名商户号不一致"
            raise PayError(400, "PARAM_ERROR", message, 268447843, {"field": where})
        return value


@dataclass
class PayRoute:
    method: str
    pattern: re.Pattern
    handler: Callable[[PayCall], Reply]
    schema: pay_schema.Field | None


ROUTES: list[PayRoute] = []


def route(
    method: str, path: str, schema: pay_schema.Field | None = None
) -> Callable[[Callable], Callable]:
    """Register a call.  ``{name}`` in the path becomes ``call.params["name"]``."""
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + r"\Z")

    def register(handler: Callable[[PayCall], Reply]) -> Callable:
        ROUTES.append(PayRoute(method, pattern, handler, schema))
        return handler

    return register


class PayCore:
    """Platform keys, signatures and notifications."""

    def __init__(self, box: "Sandbox") -> None:
        self.box = box
        self._private: dict[str, Any] = {}
        self._public: dict[str, Any] = {}

    # -- keys --------------------------------------------------
    @property
    def platform(self) -> dict[str, Any]:
        """Return the platform's keys; made when first needed."""
        platform = self.box.state.platform
        if not platform:
            key = pay_keys.new_private_key()
            platform["public_key"] = {
                "pem": pay_keys.public_pem(key.public_key()),
                "key": pay_keys.private_pem(key),
            }
            platform["certificates"] = []
            self._new_certificate()
        return platform

    def _new_certificate(self) -> dict[str, Any]:
        key = pay_keys.new_private_key()
        entry = pay_keys.new_certificate(key, "WeChat Pay sandbox platform")
        entry["key"] = pay_keys.private_pem(key)
        self.box.state.platform["certificates"].append(entry)
        self.box.state.touch()
        return entry

    def rotate_certificate(self) -> dict[str, Any]:
        """Make a new platform certificate; the former one stays listed."""
        certificates = self.platform["certificates"]
        entry = self._new_certificate()
        del certificates[:-2]
        return {"platform_serial": entry["serial"], "platform_cert_pem": entry["pem"]}

    def new_public_key_id(self, mchid: str) -> str:
        digits = re.sub(r"\D", "", mchid).rjust(10, "0")[:10]
        return f"{PUBLIC_KEY_PREFIX}01{digits}{self.box.state.random_digits(20)}"

    def platform_keys(self, merchant: "Merchant | Brand") -> dict[str, str]:
        """Return what a merchant may know of the platform."""
        certificate = self.platform["certificates"][-1]
        return {
            "platform_cert_pem": certificate["pem"],
            "platform_serial": certificate["serial"],
            "public_key_id": merchant.public_key_id,
            "public_key_pem": self.platform["public_key"]["pem"],
        }

    def read_certificate(self, pem: str) -> dict[str, str]:
        try:
            serial, key = pay_keys.read_certificate(pem)
        except ValueError as error:
            raise ControlError(f"bad merchant_cert_pem: {error}") from None
        return {"merchant_serial": serial, "merchant_public_key_pem": key}

    def check_public_key(self, pem: str) -> None:
        try:
            pay_keys.load_public(pem)
        except ValueError as error:
            raise ControlError(f"bad merchant_public_key_pem: {error}") from None

    def forget_keys(self, mchid: str) -> None:
        self._public.pop(mchid, None)

    def _merchant_key(self, merchant: "Merchant | Brand") -> Any:
        key = self._public.get(merchant.mchid)
        if key is None and merchant.merchant_public_key_pem:
            key = pay_keys.load_public(merchant.merchant_public_key_pem)
            self._public[merchant.mchid] = key
        return key

    def _signer(
        self, merchant: "Merchant | Brand | None", kind: str
    ) -> tuple[str, Any]:
        """Return the serial and the private key to sign with."""
        if kind == "public_key" and merchant:
            serial, pem = merchant.public_key_id, self.platform["public_key"]["key"]
        else:
            certificate = self.platform["certificates"][-1]
            serial, pem = certificate["serial"], certificate["key"]
        key = self._private.get(pem)
        if key is None:
            key = self._private[pem] = pay_keys.load_private(pem)
        return serial, key

    # -- who calls --------------------------------------------------
    def party(self, number: str) -> "Merchant | Brand | None":
        """Return the merchant or the brand with this number."""
        state = self.box.state
        return state.merchants.get(number) or state.brands.get(number)

    def authenticate(self, request: web.Request, body: bytes) -> "Merchant | Brand":
        """Check the Authorization header; return the merchant or the brand.

        WeChat docs: Pay v3 "Signature generation"
        """
        brand = request.path.startswith(BRAND_PREFIX)
        header = request.headers.get("Authorization", "")
        values = parse_authorization(header, brand)
        try:
            skew = abs(int(values["timestamp"]) - time.time())
        except ValueError:
            raise sign_error("timestamp格式错误") from None
        if skew > MAX_SKEW:
            raise sign_error(
                "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
            )
        merchant: Any
        if brand:
            merchant = self.box.state.brands.get(values["brand_id"])
        else:
            merchant = self.box.state.merchants.get(values["mchid"])
        if merchant is None and brand:
            # What WeChat says of an unknown brand is not documented.
            raise sign_error("品牌ID不存在")
        if merchant is None:
            raise PayError(400, "MCH_NOT_EXISTS", "商户号不存在", 268443715)
        if values["serial_no"].upper() != merchant.merchant_serial.upper():
            raise sign_error("商户证书序列号有误")
        key = self._merchant_key(merchant)
        if key is None:
            raise sign_error("商户未设置公钥")
        head = [request.method, request.raw_path, values["timestamp"]]
        message = "\n".join([*head, values["nonce_str"], ""]).encode()
        message += self._signed_body(request, body) + b"\n"
        if not pay_keys.verify(key, message, values["signature"]):
            raise sign_error("错误的签名，验签失败", request)
        return merchant

    def _signed_body(self, request: web.Request, body: bytes) -> bytes:
        """An upload signs only the JSON of its ``meta`` part."""
        content_type = request.headers.get("Content-Type", "")
        if content_type.lower().startswith("multipart/form-data"):
            return read_part(content_type, body, ("meta",)) or b""
        return body

    def choose_key(self, merchant: "Merchant | Brand", header: str) -> str:
        """Choose how to sign the answer, by merchant mode and Wechatpay-Serial."""
        wants_public = header.startswith(PUBLIC_KEY_PREFIX)
        serials = {item["serial"] for item in self.platform["certificates"]}
        # A brand must say which key it expects (contracts §6.7).
        known = (
            (not header and not isinstance(merchant, Brand))
            or (wants_public and header == merchant.public_key_id)
            or (not wants_public and header.upper() in serials)
        )
        allowed = {"certificate": not wants_public, "public_key": True, "both": True}
        if merchant.mode == "public_key" and header and not wants_public:
            known = False
        if not known or not allowed[merchant.mode]:
            raise PayError(
                400,
                "PARAM_ERROR",
                "平台证书序列号Wechatpay-Serial错误",
                pay_schema.BAD_PARAM,
                {"location": "header", "field": "Wechatpay-Serial", "value": header},
            )
        if merchant.mode == "public_key" or wants_public:
            return "public_key"
        return "certificate"

    # -- answers --------------------------------------------------
    def headers(
        self,
        merchant: "Merchant | Brand | None",
        kind: str,
        body: bytes,
        shift: int = 0,
    ) -> dict[str, str]:
        """Return the signature headers for an answer or a notification."""
        serial, key = self._signer(merchant, kind)
        timestamp = str(int(time.time()) + shift)
        nonce = self.box.state.random_text(32)
        message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": serial,
            "Wechatpay-Signature": pay_keys.sign(key, message),
            "Wechatpay-Signature-Type": SCHEME,
        }

    def answer(
        self,
        status: int,
        payload: dict[str, Any] | None,
        merchant: "Merchant | Brand | None" = None,
        kind: str = "certificate",
        number: int = 0,
        signed: bool = True,
    ) -> web.Response:
        """Return a signed answer; 204 has no body and signs the empty text."""
        body = b""
        headers = {}
        if payload is not None:
            body = json.dumps(payload, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json; charset=utf-8"
        if signed:
            headers.update(self.headers(merchant, kind, body))
        trace = self.box.state.random_text(40, "0123456789ABCDEF")
        headers["Request-ID"] = f"08{trace}-{number}"
        return web.Response(status=status, body=body or None, headers=headers)

    def refusal(
        self,
        error: PayError,
        merchant: "Merchant | Brand | None" = None,
        kind: str = "certificate",
    ) -> web.Response:
        payload: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.detail is not None:
            payload["detail"] = error.detail
        signed = error.status < 500
        return self.answer(
            error.status, payload, merchant, kind, error.number, signed=signed
        )

    # -- notifications --------------------------------------------------
    def notify(
        self,
        merchant: "Merchant | Brand",
        url: str,
        event_type: str,
        original_type: str,
        resource: dict[str, Any],
        **options: Any,
    ) -> dict[str, Any] | None:
        """Encrypt a resource and send it until it is acknowledged.

        WeChat docs: Pay v3 "Callback notification"
        :param options: associated_data, summary, id, key, sign_with, signtest,
            timestamp_offset, no_retry
        """
        if not url or not merchant.apiv3_key:
            # Without an APIv3 key nothing is sent at all.
            return None
        body = self._envelope(merchant, event_type, original_type, resource, options)
        names = ("sign_with", "signtest", "timestamp_offset", "no_retry")
        content = {name: options[name] for name in names if options.get(name)}
        return self.box.outbox.send_pay(
            merchant.mchid, event_type, url, body, **content
        )

    def _envelope(
        self,
        merchant: "Merchant | Brand",
        event_type: str,
        original_type: str,
        resource: dict[str, Any],
        options: dict[str, Any],
    ) -> str:
        state = self.box.state
        style = state.settings["associated_data"]
        extra = options.get("associated_data")
        if extra is None:
            extra = original_type if style == "present" else ""
        nonce = state.random_text(12)
        text = json.dumps(resource, ensure_ascii=False)
        key = options.get("key") or merchant.apiv3_key
        sealed: dict[str, Any] = {
            "original_type": original_type,
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": pay_keys.aead_encrypt(key, nonce, extra, text),
            "associated_data": extra,
            "nonce": nonce,
        }
        if style == "absent" and not extra:
            del sealed["associated_data"]
        envelope = {
            "id": options.get("id")
            or state.random_text(8) + "-" + state.random_text(27),
            "create_time": rfc3339(self.box.clock.now()),
            "resource_type": "encrypt-resource",
            "event_type": event_type,
            "summary": options.get("summary") or "通知",
            "resource": sealed,
        }
        return json.dumps(envelope, ensure_ascii=False)

    def build_notification(
        self, delivery: dict[str, Any]
    ) -> tuple[str, bytes, dict[str, str]] | None:
        """Sign a notification anew for each attempt; its body stays the same."""
        merchant = self.party(delivery["owner"])
        if merchant is None:
            return None
        content, spoil = delivery["content"], delivery["spoil"]
        body = content["body"].encode()
        kind = content.get("sign_with") or self._callback_kind(merchant)
        shift = int(content.get("timestamp_offset") or 0)
        headers = self.headers(merchant, kind, body, shift)
        if content.get("signtest"):
            signature = headers["Wechatpay-Signature"]
            headers["Wechatpay-Signature"] = f"WECHATPAY/SIGNTEST/{signature[:-20]}"
        if "bad_signature" in spoil:
            headers["Wechatpay-Signature"] = headers["Wechatpay-Signature"][::-1]
        if "broken_xml" in spoil:
            body = body[: len(body) // 2]
        headers["Content-Type"] = "application/json"
        headers["Accept"] = "*/*"
        return content["url"], body, headers

    def _callback_kind(self, merchant: "Merchant | Brand") -> str:
        """In both modes a callback is signed as the last answer was."""
        if merchant.mode != "both":
            return merchant.mode
        public = merchant.last_serial.startswith(PUBLIC_KEY_PREFIX)
        return "public_key" if public else "certificate"


def parse_authorization(header: str, brand: bool = False) -> dict[str, str]:
    """Return the five parameters, in whatever order they stand."""
    scheme, _, rest = header.partition(" ")
    if not header:
        raise sign_error("Http头缺少Authorization")
    if scheme != (BRAND_SCHEME if brand else SCHEME):
        raise sign_error("Http头Authorization认证类型不正确")
    values: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _PARAMETER.match(rest, position)
        if not match or match.group(1) in values:
            raise sign_error("Http头Authorization值格式错误")
        values[match.group(1)] = match.group(2)
        position = match.end()
    wanted = PARAMETERS ^ {"mchid", "brand_id"} if brand else PARAMETERS
    if set(values) != wanted or not all(values.values()):
        raise sign_error("Http头Authorization值格式错误")
    return values


def sign_error(message: str, request: web.Request | None = None) -> PayError:
    detail: dict[str, Any] = {"location": "authorization", "issue": message}
    if request is not None:
        detail["field"] = "signature"
        detail["sign_information"] = {
            "method": request.method,
            "url": request.raw_path,
        }
    return PayError(401, "SIGN_ERROR", message, SIGN_ERROR, detail)


def _check_headers(request: web.Request) -> None:
    """User-Agent and Accept are mandatory; a body must be JSON."""
    accept = request.headers.get("Accept", "")
    if not request.headers.get("User-Agent") or not accept:
        message = "Http头缺少Accept或User-Agent"
        raise PayError(400, "PARAM_ERROR", message, pay_schema.BAD_PARAM)
    if "application/json" not in accept and "*/*" not in accept:
        message = "Http头Accept不支持"
        raise PayError(406, "PARAM_ERROR", message, pay_schema.BAD_PARAM)
    content_type = request.headers.get("Content-Type", "").lower()
    if request.method in ("POST", "PUT", "PATCH") and not content_type.startswith(
        ("application/json", "multipart/form-data")
    ):
        message = "Http头Content-Type必须为application/json"
        raise PayError(415, "PARAM_ERROR", message, pay_schema.BAD_PARAM)


def _find(method: str, path: str) -> tuple[PayRoute, dict[str, str]]:
    other = False
    for entry in ROUTES:
        match = entry.pattern.match(path)
        if match and entry.method == method:
            # Decoded only now: a code in the path may hold a slash.
            return entry, {k: unquote(v) for k, v in match.groupdict().items()}
        other = other or bool(match)
    if other:
        raise PayError(405, "INVALID_REQUEST", "不支持的请求方法", NOT_FOUND)
    raise PayError(404, "RESOURCE_NOT_EXISTS", "请求的资源不存在", NOT_FOUND)


def _parse(request: web.Request, body: bytes) -> dict[str, Any]:
    if request.method not in ("POST", "PUT", "PATCH") or not body:
        return {}
    if not request.headers.get("Content-Type", "").lower().startswith("application/"):
        return {}
    try:
        data = json.loads(body.decode("utf-8"))
        if b"\\u" in body:
            # Half of a surrogate pair is not a character.
            json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        message = "请求的body不是合法的JSON"
        raise PayError(400, "PARAM_ERROR", message, pay_schema.BAD_PARAM) from None
    if not isinstance(data, dict):
        raise pay_schema.param_error("/", "", "必须是对象")
    return data


async def dispatch(box: "Sandbox", request: web.Request) -> web.StreamResponse:
    """Serve one Pay v3 call."""
    merchant, kind = None, "certificate"
    try:
        body = await request.read()
        merchant = box.pay.authenticate(request, body)
        kind = box.pay.choose_key(merchant, request.headers.get("Wechatpay-Serial", ""))
        merchant.last_serial = box.pay._signer(merchant, kind)[0]
        _check_headers(request)
        entry, params = _find(request.method, request.rel_url.raw_path)
        data = _parse(request, body)
        if entry.schema:
            pay_schema.check(data, entry.schema)
            data = pay_schema.without_nulls(data)
        call = PayCall(
            box=box,
            merchant=merchant,
            method=request.method,
            path=request.path,
            params=params,
            query=dict(request.query),
            data=data,
            body=body,
            content_type=request.headers.get("Content-Type", ""),
            base_url=box.base_url(request),
        )
        reply = entry.handler(call)
        if isinstance(reply, web.Response):
            return reply
        status, payload = reply
        if request.method != "GET":
            box.state.touch()
        return box.pay.answer(status, payload, merchant, kind)
    except PayError as error:
        return box.pay.refusal(error, merchant, kind)


def fault_answer(
    box: "Sandbox", request: web.Request, status: int, fault: dict[str, Any]
) -> web.Response:
    """Answer an ordered fault; 5xx come from a gateway and are unsigned."""
    values = parse_mchid(request.headers.get("Authorization", ""))
    merchant = box.pay.party(values)
    payload = fault.get("body")
    if payload is None:
        code = "FREQUENCY_LIMITED" if status == 429 else "SYSTEM_ERROR"
        message = "频率超限" if status == 429 else "系统异常，请稍后重试"
        payload = {"code": fault.get("code") or code, "message": message}
    kind = "certificate"
    if merchant:
        try:
            header = request.headers.get("Wechatpay-Serial", "")
            kind = box.pay.choose_key(merchant, header)
        except PayError:
            pass
    signed = bool(fault.get("signed", status < 500))
    number = int(fault.get("number", RATE_LIMIT if status == 429 else 0))
    return box.pay.answer(status, payload, merchant, kind, number, signed=signed)


def parse_mchid(header: str) -> str:
    match = re.search(r'(?:mchid|brand_id)="([^"]*)"', header)
    return match.group(1) if match else ""


@route("GET", "/v3/certificates")
def certificates(call: PayCall) -> Reply:
    """List the platform certificates.  WeChat docs: GET /v3/certificates"""
    if call.merchant.mode == "public_key":
        message = "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥"
        raise PayError(404, "RESOURCE_NOT_EXISTS", message, NOT_FOUND)
    if not call.merchant.apiv3_key:
        raise PayError(401, "SIGN_ERROR", "商户未设置加密的密钥", SIGN_ERROR)
    rows = []
    for entry in call.box.pay.platform["certificates"]:
        nonce = call.box.state.random_text(12)
        sealed = pay_keys.aead_encrypt(
            call.merchant.apiv3_key, nonce, "certificate", entry["pem"]
        )
        rows.append(
            {
                "serial_no": entry["serial"],
                "effective_time": rfc3339(entry["begin"]),
                "expire_time": rfc3339(entry["end"]),
                "encrypt_certificate": {
                    "algorithm": "AEAD_AES_256_GCM",
                    "nonce": nonce,
                    "associated_data": "certificate",
                    "ciphertext": sealed,
                },
            }
        )
    return 200, {"data": rows}
