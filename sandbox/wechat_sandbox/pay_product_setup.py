"""Product coupons: where callbacks go, and pictures.

WeChat docs: POST and GET notify-configs, POST media/upload-image.  Contracts §6.7.

Both belong to who signs: a provider has one address for all its brands.  The tables
name no ``brand_id`` for them, the contracts one for every call of a provider; so it may
be sent here and need not be.  The other path that circulates, notify-config, is not
served.
"""

import base64
import hashlib
import json

from . import pay_product_schema as shape
from . import pay_schema as schema
from . import pay_transactions as orders
from .clock import rfc3339
from .errors import PayError
from .oa_media import read_part
from .pay_core import PayCall, Reply, route
from .pay_product import (
    BRAND_DOOR,
    IMAGE_TOO_BIG,
    NOT_FOUND,
    PARTNER_DOOR,
    authorised,
    bad,
)

MAX_IMAGE = 2 * 1024 * 1024
IMAGE_HOST = "https://wxpaylogo.qpic.cn/wxpaylogo"
_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"BM": "bmp"}
_ENDINGS = (".jpg", ".jpeg", ".bmp", ".png")
_NOTIFY = dict(shape.NOTIFY.fields or {})


def _check_brand(call: PayCall) -> None:
    number = call.data.get("brand_id") or call.query.get("brand_id")
    if number:
        authorised(call, number)


@route("POST", f"{BRAND_DOOR}/notify-configs", shape.NOTIFY)
@route(
    "POST",
    f"{PARTNER_DOOR}/notify-configs",
    schema.group(required=True, brand_id=schema.string(32), **_NOTIFY),
)
def set_notify(call: PayCall) -> Reply:
    """WeChat docs: POST notify-configs"""
    _check_brand(call)
    url = call.data["notify_url"]
    orders.check_notify_url(url)
    if not call.merchant.apiv3_key:
        # Without a key nothing could be encrypted (contracts §5.4).
        raise PayError(400, "INVALID_REQUEST", "请先设置APIv3密钥", 0)
    call.merchant.product_notify = {
        "notify_url": url,
        "update_time": rfc3339(call.box.clock.now()),
    }
    return 200, dict(call.merchant.product_notify)


@route("GET", f"{BRAND_DOOR}/notify-configs")
@route("GET", f"{PARTNER_DOOR}/notify-configs")
def get_notify(call: PayCall) -> Reply:
    """WeChat docs: GET notify-configs"""
    _check_brand(call)
    if not call.merchant.product_notify:
        raise PayError(400, "INVALID_REQUEST", "未设置事件通知地址", NOT_FOUND)
    return 200, dict(call.merchant.product_notify)


@route("POST", f"{BRAND_DOOR}/media/upload-image")
@route("POST", f"{PARTNER_DOOR}/media/upload-image")
def upload_image(call: PayCall) -> Reply:
    """Keep a picture of at most 2 MB; only the JSON of ``meta`` is signed.

    WeChat docs: POST media/upload-image
    """
    data = read_part(call.content_type, call.body, ("file",))
    meta = _meta(read_part(call.content_type, call.body, ("meta",)))
    if not data:
        raise bad("/file", "", "缺少必填参数")
    if len(data) > MAX_IMAGE:
        raise PayError(400, "INVALID_REQUEST", "图片超过指定大小", IMAGE_TOO_BIG)
    if hashlib.sha256(data).hexdigest() != meta["sha256"].lower():
        raise bad("/meta/sha256", meta["sha256"], "图片的sha256与图片内容不一致")
    if not meta["filename"].lower().endswith(_ENDINGS):
        raise bad("/meta/filename", meta["filename"], "必须以JPG、BMP、PNG为后缀")
    kind = next((k for magic, k in _KINDS.items() if data.startswith(magic)), "")
    if not kind:
        raise bad("/file", "", "图片只支持JPG、BMP、PNG格式")
    name = hashlib.sha256(data).hexdigest()[:40]
    text = base64.b64encode(data).decode()
    call.box.state.images[name] = f"data:image/{kind};base64,{text}"
    return 200, {"media_url": f"{IMAGE_HOST}/{name}/0"}


def _meta(raw: bytes | None) -> dict[str, str]:
    """Return the checked meta part: sha256 and filename, nothing else."""
    try:
        meta = json.loads((raw or b"").decode())
    except ValueError:
        raise bad("/meta", "", "meta不是合法的JSON") from None
    wanted = schema.group(
        required=True,
        sha256=schema.string(64, required=True, low=64),
        filename=schema.string(256, required=True),
    )
    schema.check(meta, wanted, "/meta")
    return meta
