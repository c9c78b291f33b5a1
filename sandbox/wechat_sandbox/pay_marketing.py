"""What the coupon families of WeChat Pay have in common.

WeChat docs: POST /v3/marketing/favor/media/image-upload, and the rules about request
numbers, paging, appids and hours that 商家券 and 代金券 share.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import pay_schema as schema
from . import pay_transactions as orders
from .clock import beijing, midnight
from .errors import PayError
from .oa_media import read_part
from .pay_core import NOT_FOUND, PayCall, Reply, route

if TYPE_CHECKING:
    from .sandbox import Sandbox

DAY = 86400
MAX_IMAGE = 2 * 1024 * 1024
_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"BM": "bmp"}
_IMAGE_NAME = re.compile(r".+\.(jpg|jpeg|bmp|png)", re.IGNORECASE)
#: ``[0-9A-Za-z|_*-]``, as all of their request numbers are.
NUMBER = r"[0-9A-Za-z|_*\-]+"

CALLBACKS = schema.group(
    required=True,
    mchid=schema.string(32),
    notify_url=schema.string(256, required=True),
)


# -- refusals ---------------------------------------------------------------------
def invalid(message: str) -> PayError:
    return PayError(400, "INVALID_REQUEST", message, schema.BAD_PARAM)


def not_found(message: str) -> PayError:
    return PayError(404, "RESOURCE_NOT_EXISTS", message, NOT_FOUND)


def no_auth(message: str = "商户无权限操作该券") -> PayError:
    return PayError(403, "NO_AUTH", message, orders.NO_RELATION)


def bad_query(name: str, issue: str, value: str = "") -> PayError:
    return schema.param_error(name, value, issue, location="query")


# -- records ----------------------------------------------------------------------
def table(box: "Sandbox", family: str, name: str) -> dict[str, Any]:
    """Return one of a family's tables; it is made when first needed."""
    return getattr(box.state, family).setdefault(name, {})


def replayed(box: "Sandbox", family: str, key: str, data: Any) -> Any:
    """Return the answer to a request number that is known, None for a new one.

    Contract 6.6, 7.5: the same number with other content is RESOURCE_ALREADY_EXISTS.
    """
    known = table(box, family, "requests").get(key)
    if known is not None and known["data"] != data:
        message = "创建请求重入，但本次请求与上次请求信息不一致"
        raise PayError(400, "RESOURCE_ALREADY_EXISTS", message, schema.BAD_PARAM)
    return known["answer"] if known else None


def remember(box: "Sandbox", family: str, key: str, data: Any, answer: Any) -> Any:
    table(box, family, "requests")[key] = {"data": data, "answer": answer}
    return answer


# -- who -------------------------------------------------------------------------
def may_act_for(call: PayCall, mchid: str) -> bool:
    """Is this the merchant that signed, or one of its sub-merchants?"""
    return mchid == call.merchant.mchid or mchid in call.merchant.sub_mchids


def check_appid(call: PayCall, appid: str) -> None:
    if appid not in call.merchant.appids:
        message = "appid和mch_id不匹配"
        raise PayError(400, "APPID_MCHID_NOT_MATCH", message, orders.APPID_MISMATCH)


def check_person(box: "Sandbox", appid: str, openid: str) -> None:
    """Refuse an openid that nobody has under this appid."""
    user = box.state.users.get(openid)
    if user is None or (user.appid and user.appid != appid):
        raise invalid("openid与appid不匹配")


# -- paging -----------------------------------------------------------------------
def number_query(
    call: PayCall, name: str, default: int | None, low: int, high: int
) -> int:
    """Return a number in the query; without a default it must be there."""
    text = call.query.get(name, "")
    if not text and default is not None:
        return default
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise bad_query(name, "必须是整数", text)
    if not low <= int(text) <= high:
        raise bad_query(name, "页大小超过阈值", text)
    return int(text)


def choice_query(call: PayCall, name: str, choices: Iterable[str]) -> str:
    value = call.query.get(name, "")
    if value and value not in choices:
        raise bad_query(name, "取值不在枚举范围内", value)
    return value


def pages(rows: list[Any], page: int, size: int) -> dict[str, Any]:
    """Return one page; ``offset`` is a page number from 0."""
    start = page * size
    return {
        "total_count": len(rows),
        "offset": page,
        "limit": size,
        "data": rows[start : start + size],
    }


# -- hours ------------------------------------------------------------------------
def week_day(moment: float) -> int:
    """Return the Beijing week day; contract 0.1: 0 is Sunday."""
    return beijing(moment).isoweekday() % 7


def second_of_day(moment: float) -> float:
    return moment - midnight(moment)


def in_hours(moment: float, days: list[int], hours: list[dict[str, int]]) -> bool:
    """Is a moment on one of the days and in one of the hours?  Empty is always."""
    if days and week_day(moment) not in days:
        return False
    second = second_of_day(moment)
    return not hours or any(
        item.get("begin_time", 0) <= second <= item.get("end_time", DAY - 1)
        for item in hours
    )


# -- callback addresses -----------------------------------------------------------
def set_callback(call: PayCall, family: str) -> dict[str, Any]:
    """Keep an address.  https is not insisted on: there is no TLS here."""
    data = call.data
    mchid = call.own_mchid(data.get("mchid", call.merchant.mchid))
    orders.check_notify_url(data["notify_url"])
    entry = {"notify_url": data["notify_url"], "switch": data.get("switch", True)}
    table(call.box, family, "callbacks")[mchid] = entry
    return entry


def get_callback(call: PayCall, family: str) -> Reply:
    mchid = call.own_mchid(call.need_query("mchid"), "mchid")
    entry = table(call.box, family, "callbacks").get(mchid)
    if entry is None:
        raise not_found("未设置通知地址")
    return 200, {"mchid": mchid, "notify_url": entry["notify_url"]}


def notify(
    box: "Sandbox", family: str, mchid: str, event: str, resource: dict[str, Any]
) -> None:
    """Tell a merchant who has set an address for this family."""
    entry = table(box, family, "callbacks").get(mchid)
    merchant = box.state.merchants.get(mchid)
    if not entry or not entry["switch"] or merchant is None:
        return
    summary = "领券" if event == "COUPON.SEND" else "代金券核销通知"
    box.pay.notify(
        merchant, entry["notify_url"], event, "coupon", resource, summary=summary
    )


# -- pictures ---------------------------------------------------------------------
def _meta(call: PayCall) -> dict[str, str]:
    part = read_part(call.content_type, call.body, ("meta",))
    try:
        meta = json.loads(part or b"")
    except ValueError:
        raise schema.param_error("/meta", "", "meta不是合法的JSON") from None
    field = schema.group(
        required=True,
        filename=schema.string(256, required=True),
        sha256=schema.string(64, required=True, low=64),
    )
    schema.check(meta, field)
    if not _IMAGE_NAME.fullmatch(meta["filename"]):
        raise schema.param_error("/filename", meta["filename"], "图片格式不支持")
    return meta


@route("POST", "/v3/marketing/favor/media/image-upload")
def upload_image(call: PayCall) -> Reply:
    """Keep a picture of at most 2 MB; only its ``meta`` is signed.

    WeChat docs: POST /v3/marketing/favor/media/image-upload
    """
    meta = _meta(call)
    data = read_part(call.content_type, call.body, ("file",))
    if not data:
        raise schema.param_error("/file", "", "缺少必填参数")
    if len(data) > MAX_IMAGE:
        raise schema.param_error("/file", "", "图片大小超过2M", schema.OUT_OF_RANGE)
    if hashlib.sha256(data).hexdigest() != meta["sha256"].lower():
        raise schema.param_error("/sha256", meta["sha256"], "文件摘要不一致")
    kind = next((name for magic, name in _KINDS.items() if data.startswith(magic)), "")
    if not kind:
        raise schema.param_error("/file", "", "图片格式不支持")
    name = hashlib.sha256(data).hexdigest()[:40]
    encoded = base64.b64encode(data).decode()
    call.box.state.images[name] = f"data:image/{kind};base64,{encoded}"
    return 200, {"media_url": f"https://wxpaylogo.qpic.cn/wxpaylogo/{name}/0"}
