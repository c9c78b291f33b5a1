"""商家券: the link with which people receive a coupon on a web page.

WeChat docs: H5 领券页 https://action.weixin.qq.com/busifavor/getcouponinfo.  Here it
stands at the same path.  The sign is made with the APIv2 key over exactly the
parameters that are there (contract 6.1).
"""

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import pay_busifavor as stocks
from . import pay_busifavor_coupon as busifavor
from . import pay_marketing as common
from . import pay_schema as schema
from . import pay_v2
from .errors import PayError

if TYPE_CHECKING:
    from .sandbox import Sandbox

#: Of the sandbox's own pages, not of the link.
_OWN = ("lang", "flash")
_NEEDED = ("stock_id", "out_request_no", "sign", "send_coupon_merchant", "open_id")


def _check_sign(box: "Sandbox", values: dict[str, str]) -> None:
    merchant = box.state.merchants.get(values["send_coupon_merchant"])
    if merchant is None or not merchant.apiv2_key:
        raise common.no_auth("发券商户不存在或未设置APIv2密钥")
    if not merchant.can_busifavor:
        raise common.no_auth("商户无权限")
    sign = pay_v2.sign(values, merchant.apiv2_key, "HMAC-SHA256")
    if not hmac.compare_digest(sign.encode(), values["sign"].encode()):
        raise PayError(401, "SIGN_ERROR", "签名错误", schema.BAD_PARAM)


def read_link(
    box: "Sandbox", openid: str, query: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Check a link that a person has opened; return the stock and the parameters."""
    values = {k: v for k, v in query.items() if k not in _OWN}
    for name in _NEEDED:
        if not values.get(name):
            raise common.bad_query(name, "缺少必填参数")
    _check_sign(box, values)
    number = values["out_request_no"]
    if len(number) > 128 or not schema.matches(common.NUMBER, number):
        raise common.bad_query("out_request_no", "格式不符合要求", number)
    stock = stocks.stocks(box).get(values["stock_id"])
    if stock is None:
        raise common.not_found("批次不存在")
    if values["send_coupon_merchant"] not in (stock["creator"], stock["belong"]):
        raise common.no_auth("商户无权发券")
    if values["open_id"] != openid:
        raise common.invalid("openid与当前用户不一致")
    return stock, values


def receive(box: "Sandbox", openid: str, query: Mapping[str, str]) -> busifavor.Coupon:
    """The person takes the coupon of a link."""
    stock, values = read_link(box, openid, query)
    return busifavor.issue(
        box,
        stock,
        openid,
        values["out_request_no"],
        values["send_coupon_merchant"],
        "H5",
        values.get("coupon_code", ""),
    )
