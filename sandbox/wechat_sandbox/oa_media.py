"""Pictures for cards.  WeChat docs: cgi-bin/media/uploadimg"""

import base64
import hashlib
from email import policy
from email.parser import BytesParser

from .errors import OaError
from .oa_core import Bare, OaCall, route

MAX_IMAGE = 1024 * 1024
#: The documented part name, and the one that wechatpy sends.
PART_NAMES = ("buffer", "media")
_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


def read_part(content_type: str, body: bytes, names: tuple[str, ...]) -> bytes | None:
    """Return the bytes of the first multipart part with one of these names."""
    if not content_type.lower().startswith("multipart/form-data"):
        return None
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n"
    message = BytesParser(policy=policy.HTTP).parsebytes(head.encode() + body)
    if not message.is_multipart():
        return None
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if name in names:
            return part.get_payload(decode=True)
    return None


def image_kind(data: bytes) -> str:
    """Return png or jpeg by the file's first bytes, else 40113."""
    for magic, kind in _KINDS.items():
        if data.startswith(magic):
            return kind
    raise OaError(40113)


@route("/cgi-bin/media/uploadimg", raw=True)
def upload_image(call: OaCall) -> dict:
    """Keep a picture of at most 1 MB; answer its address at mmbiz.qpic.cn."""
    data = read_part(call.content_type, call.body, PART_NAMES)
    if not data:
        raise OaError(41005)
    if len(data) > MAX_IMAGE:
        raise OaError(40009)
    kind = image_kind(data)
    name = hashlib.sha256(data).hexdigest()[:40]
    encoded = base64.b64encode(data).decode()
    call.state.images[name] = f"data:image/{kind};base64,{encoded}"
    return Bare(url=f"http://mmbiz.qpic.cn/mmbiz_{kind}/{name}/0?wx_fmt={kind}")
