"""What WeChat checks before it makes or changes a card.

WeChat docs: card/create, card/update, "Coupon error codes".
Lengths are counted in bytes of UTF-8: one Chinese character is three.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .errors import OaError
from .oa_core import boolean, integer, listing, mapping, text

if TYPE_CHECKING:
    from .state import Account, Card

COLORS = {
    "Color010": "#63b359",
    "Color020": "#2c9f67",
    "Color030": "#509fc9",
    "Color040": "#5885cf",
    "Color050": "#9062c0",
    "Color060": "#d09a45",
    "Color070": "#e4b138",
    "Color080": "#ee903c",
    "Color081": "#f08500",
    "Color082": "#a9d92d",
    "Color090": "#dd6549",
    "Color100": "#cc463d",
    "Color101": "#cf3e36",
    "Color102": "#5E6671",
}
CODE_TYPES = {
    "CODE_TYPE_TEXT",
    "CODE_TYPE_BARCODE",
    "CODE_TYPE_QRCODE",
    "CODE_TYPE_ONLY_QRCODE",
    "CODE_TYPE_ONLY_BARCODE",
    "CODE_TYPE_NONE",
}
#: The coupon types that closed for new cards on 2021-04-01.
COUPONS = {"GROUPON", "CASH", "DISCOUNT", "GIFT", "GENERAL_COUPON"}
OTHERS = {
    "MEMBER_CARD",
    "GENERAL_CARD",
    "MEETING_TICKET",
    "SCENIC_TICKET",
    "MOVIE_TICKET",
    "BOARDING_PASS",
}
CARD_TYPES = COUPONS | OTHERS
PERMANENT = {"MEMBER_CARD", "GENERAL_CARD"}
MAX_QUANTITY = 100_000_000
MAX_GET_LIMIT = 50
MAX_TIME = 2**32
MAX_DAYS = 36500
LOGO_HOST = "mmbiz.qpic.cn"

FIX_RANGE = ("DATE_TYPE_FIX_TIME_RANGE", 1)
FIX_TERM = ("DATE_TYPE_FIX_TERM", 2)
FOREVER = "DATE_TYPE_PERMANENT"

#: Optional text fields of base_info and their limits in bytes.
LIMITS = {
    "service_phone": 24,
    "center_title": 18,
    "center_sub_title": 24,
    "center_url": 128,
    "center_app_brand_user_name": 128,
    "center_app_brand_pass": 128,
    "custom_url_name": 15,
    "custom_url": 128,
    "custom_url_sub_title": 18,
    "custom_app_brand_user_name": 128,
    "custom_app_brand_pass": 128,
    "promotion_url_name": 15,
    "promotion_url": 128,
    "promotion_url_sub_title": 18,
    "promotion_app_brand_user_name": 128,
    "promotion_app_brand_pass": 128,
    "source": 36,
}
REQUIRED = {"brand_name": 36, "title": 27, "notice": 48, "description": 3072}
FLAGS = (
    "use_custom_code",
    "bind_openid",
    "can_share",
    "can_give_friend",
    "use_all_locations",
    "need_push_on_view",
    "is_pay_and_qrcode",
)
#: What card/update takes.  Anything else is 47001.
UPDATABLE = {
    *LIMITS,
    "logo_url",
    "notice",
    "description",
    "color",
    "code_type",
    "get_limit",
    "can_share",
    "can_give_friend",
    "use_all_locations",
    "location_id_list",
    "date_info",
    "need_push_on_view",
    "pay_info",
    "is_pay_and_qrcode",
} - {"source"}
#: Changing one of these puts the card back into review.
REVIEWED = {
    "logo_url",
    "notice",
    "description",
    "color",
    "center_title",
    "center_sub_title",
    "center_url",
    "custom_url_name",
    "custom_url",
    "custom_url_sub_title",
    "promotion_url_name",
    "promotion_url",
    "promotion_url_sub_title",
}
MEMBER_TEXTS = {
    "prerogative": 3072,
    "background_pic_url": 128,
    "activate_url": 128,
    "bonus_url": 128,
    "balance_url": 128,
    "bonus_cleared": 3072,
    "bonus_rules": 3072,
    "balance_rules": 3072,
}
MEMBER_FLAGS = (
    "supply_bonus",
    "supply_balance",
    "auto_activate",
    "wx_activate",
    "wx_activate_after_submit",
)
FIELD_NAMES = {
    f"FIELD_NAME_TYPE_{name}"
    for name in (
        *("LEVEL", "COUPON", "STAMP", "DISCOUNT"),
        *("ACHIEVEMEN", "MILEAGE", "SET_POINTS", "TIMS"),
    )
}
SERVICES = {
    "BIZ_SERVICE_DELIVER",
    "BIZ_SERVICE_FREE_PARK",
    "BIZ_SERVICE_WITH_PET",
    "BIZ_SERVICE_FREE_WIFI",
}
DAYS = {
    *("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY"),
    *("FRIDAY", "SATURDAY", "SUNDAY", "HOLIDAY"),
}


def check_permission(account: "Account", card_type: str) -> None:
    """48001 where coupons can no longer be made; 72016, 72021 for other kinds."""
    if card_type in COUPONS and not account.can_create_coupons:
        raise OaError(48001)
    if card_type == "MEMBER_CARD" and not account.can_create_member_cards:
        raise OaError(72016)
    if card_type == "GENERAL_CARD" and not account.can_create_general_cards:
        raise OaError(72021)


def check_create(
    account: "Account", data: dict, now: float, privileged: bool = False
) -> tuple[str, dict]:
    """Check a card/create body; return the card type and the inner object.

    :param privileged: a card from before 2021 or made on WeChat's own page
    """
    card = mapping(data, "card", required=True)
    card_type = text(card, "card_type", required=40071)
    if card_type not in CARD_TYPES:
        raise OaError(40071)
    if not privileged:
        check_permission(account, card_type)
    body = mapping(card, card_type.lower(), required=True)
    base = mapping(body, "base_info", required=True)
    _check_base(account, card_type, base, now, privileged)
    _check_advanced(mapping(body, "advanced_info"))
    _check_type(account, card_type, body, privileged)
    return card_type, body


def _check_base(
    account: "Account", card_type: str, base: dict, now: float, privileged: bool
) -> None:
    check_logo(text(base, "logo_url", 128, required=True))
    for name, limit in REQUIRED.items():
        text(base, name, limit, required=True)
    _enum(base, "code_type", CODE_TYPES, 40072)
    _enum(base, "color", COLORS, 40076)
    check_optional(base)
    check_dates(card_type, mapping(base, "date_info", required=True), now)
    custom = boolean(base, "use_custom_code")
    if custom and not (account.can_custom_code or privileged):
        raise OaError(43009)
    deposit = text(base, "get_custom_code_mode")
    if deposit and (deposit != "GET_CUSTOM_CODE_MODE_DEPOSIT" or not custom):
        raise OaError(40150, "get_custom_code_mode")
    _check_sku(base, bool(deposit))


def _enum(data: dict, key: str, allowed: Any, errcode: int) -> None:
    value = data.get(key)
    if value is None or value == "":
        raise OaError(41011, key)
    if not isinstance(value, str) or value not in allowed:
        raise OaError(errcode, key)


def check_logo(url: str) -> None:
    """40141 unless the picture was uploaded to WeChat."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname != LOGO_HOST:
        raise OaError(40141)


def check_optional(base: dict) -> None:
    """Check the optional fields that creation and change have in common."""
    for name, limit in LIMITS.items():
        text(base, name, limit)
    for name in FLAGS:
        boolean(base, name)
    for name in ("use_limit", "get_limit"):
        value = integer(base, name)
        if value is not None and value < 1:
            raise OaError(40150, name)
    if (base.get("get_limit") or 0) > MAX_GET_LIMIT:
        raise OaError(72009)
    locations = listing(base, "location_id_list", int)
    if locations and base.get("use_all_locations"):
        raise OaError(40150, "location_id_list")
    mapping(base, "pay_info")


def _check_sku(base: dict, deposit: bool) -> None:
    sku = mapping(base, "sku", required=40070)
    if "quantity" not in sku:
        raise OaError(40070)
    quantity = integer(sku, "quantity", required=True)
    if deposit and quantity:
        raise OaError(40122)
    if not deposit and quantity < 1:
        raise OaError(40122)
    if quantity > MAX_QUANTITY:
        raise OaError(40122)


def check_dates(card_type: str, info: dict, now: float) -> None:
    """40079 for a validity that cannot be."""
    kind = info.get("type")
    if kind in FIX_RANGE and not isinstance(kind, bool):
        begin = integer(info, "begin_timestamp")
        end = integer(info, "end_timestamp")
        if not begin or not end or begin >= end or not now < end < MAX_TIME:
            raise OaError(40079)
        return
    if kind in FIX_TERM:
        term = integer(info, "fixed_term")
        begin_term = integer(info, "fixed_begin_term")
        end = integer(info, "end_timestamp")
        if term is None or not 1 <= term <= MAX_DAYS:
            raise OaError(40079)
        if begin_term is None or not 0 <= begin_term <= MAX_DAYS:
            raise OaError(40079)
        if end is not None and not now < end < MAX_TIME:
            raise OaError(40079)
        return
    if kind == FOREVER and card_type in PERMANENT:
        return
    raise OaError(40079)


def _check_advanced(info: dict) -> None:
    condition = mapping(info, "use_condition")
    for name in ("accept_category", "reject_category", "object_use_for"):
        text(condition, name, 512)
    integer(condition, "least_cost")
    boolean(condition, "can_use_with_other_discount")
    abstract = mapping(info, "abstract")
    text(abstract, "abstract", 24)
    if len(listing(abstract, "icon_url_list")) > 1:
        raise OaError(45044)
    for item in listing(info, "text_image_list", dict):
        text(item, "image_url", 128)
        text(item, "text", 512)
    for service in listing(info, "business_service"):
        if service not in SERVICES:
            raise OaError(40150, "business_service")
    for limit in listing(info, "time_limit", dict):
        _check_time_limit(limit)


def _check_time_limit(limit: dict) -> None:
    if limit.get("type") not in DAYS:
        raise OaError(40149)
    for name, top in (
        ("begin_hour", 23),
        ("end_hour", 24),
        ("begin_minute", 59),
        ("end_minute", 59),
    ):
        value = integer(limit, name)
        if value is not None and not 0 <= value <= top:
            raise OaError(40149)


# -- fields of one card type -------------------------------------------------------
def _check_type(
    account: "Account", card_type: str, body: dict, privileged: bool
) -> None:
    check = _TYPE_CHECKS.get(card_type)
    if check:
        check(body)
    if card_type == "MEMBER_CARD":
        _check_member(account, body, privileged)


def _check_groupon(body: dict) -> None:
    text(body, "deal_detail", 3072, required=True)


def _check_cash(body: dict) -> None:
    least = integer(body, "least_cost", 0)
    reduce = integer(body, "reduce_cost", required=True)
    if reduce < 100:
        raise OaError(72007)
    if least < 0 or (least and least <= reduce):
        raise OaError(72008)


def _check_discount(body: dict) -> None:
    if not 1 <= integer(body, "discount", required=True) <= 99:
        raise OaError(40150, "discount")


def _check_gift(body: dict) -> None:
    text(body, "gift", 3072, required=True)


def _check_general_coupon(body: dict) -> None:
    text(body, "default_detail", 3072, required=True)
    if not listing(mapping(body, "advanced_info"), "text_image_list", dict):
        raise OaError(40150, "text_image_list")


_TYPE_CHECKS = {
    "GROUPON": _check_groupon,
    "CASH": _check_cash,
    "DISCOUNT": _check_discount,
    "GIFT": _check_gift,
    "GENERAL_COUPON": _check_general_coupon,
}


def _check_member(account: "Account", body: dict, privileged: bool) -> None:
    text(body, "prerogative", 3072, required=True)
    for name in ("supply_bonus", "supply_balance"):
        if body.get(name) is None:
            raise OaError(41011, name)
    check_member_fields(body)
    if body["supply_bonus"] and not (account.can_bonus or privileged):
        raise OaError(43011)
    if body["supply_balance"] and not (account.can_balance or privileged):
        raise OaError(43010)


def check_member_fields(body: dict) -> None:
    """Check the member card fields that creation and change have in common."""
    for name, limit in MEMBER_TEXTS.items():
        text(body, name, limit)
    for name in MEMBER_FLAGS:
        boolean(body, name)
    if body.get("wx_activate") and body.get("activate_url"):
        raise OaError(40150, "wx_activate and activate_url")
    shown = sum(bool(body.get(name)) for name in ("supply_bonus", "supply_balance"))
    for index in (1, 2, 3):
        field = mapping(body, f"custom_field{index}")
        if field:
            shown += 1
            name = field.get("name_type")
            if name is not None and name not in FIELD_NAMES:
                raise OaError(40150, "name_type")
            text(field, "url", 128)
    if shown > 3:
        raise OaError(40124)
    cell = mapping(body, "custom_cell1")
    text(cell, "name", 15)
    text(cell, "tips", 18)
    text(cell, "url", 128)
    discount = integer(body, "discount")
    if discount is not None and not 0 <= discount <= 99:
        raise OaError(40150, "discount")


# -- card/update
UPDATABLE_MEMBER = {
    *MEMBER_TEXTS,
    *MEMBER_FLAGS,
    "base_info",
    "advanced_info",
    "wx_activate_after_submit_url",
    "activated_msg",
    "activate_msg_operation",
    "custom_field1",
    "custom_field2",
    "custom_field3",
    "custom_cell1",
    "bonus_rule",
    "discount",
}


def check_update(card: "Card", data: dict) -> dict:
    """Check a card/update body; return the inner object.

    47001 for a field that cannot be changed, 40100 for a validity that shrinks,
    40135 for taking points away.
    """
    key = card.card_type.lower()
    extra = set(data) - {"card_id", key}
    if extra & {name.lower() for name in CARD_TYPES} or key not in data:
        raise OaError(40071)
    if extra:
        raise OaError(47001, sorted(extra)[0])
    change = mapping(data, key, required=True)
    member = card.card_type == "MEMBER_CARD"
    allowed = UPDATABLE_MEMBER if member else {"base_info"}
    _only(change, allowed)
    base = mapping(change, "base_info")
    _only(base, UPDATABLE)
    _check_changed_base(card, base)
    if member:
        _check_advanced(mapping(change, "advanced_info"))
        check_member_fields({**card.body, **change})
        if card.body.get("supply_bonus") and change.get("supply_bonus") is False:
            raise OaError(40135)
    return change


def _only(data: dict, allowed: set[str]) -> None:
    unknown = sorted(set(data) - allowed)
    if unknown:
        raise OaError(47001, unknown[0])


def _check_changed_base(card: "Card", base: dict) -> None:
    if "logo_url" in base:
        check_logo(text(base, "logo_url", 128, required=True))
    for name in ("notice", "description"):
        if name in base:
            text(base, name, REQUIRED[name], required=True)
    if "code_type" in base:
        _enum(base, "code_type", CODE_TYPES, 40072)
    if "color" in base:
        _enum(base, "color", COLORS, 40076)
    check_optional({**card.base_info, **base} if base else base)
    if "date_info" in base:
        check_new_dates(card.base_info["date_info"], mapping(base, "date_info"))
    if base.get("center_url") and card.pay_cell:
        raise OaError(40145)
    if base.get("center_url") and card.self_consume.get("is_open"):
        raise OaError(45046)


def _canonical(kind: Any) -> Any:
    for group in (FIX_RANGE, FIX_TERM):
        if kind in group:
            return group[0]
    return kind


def check_new_dates(old: dict, new: dict) -> None:
    """40100 unless the new validity holds the old one."""
    kind = _canonical(old.get("type"))
    if _canonical(new.get("type")) != kind:
        raise OaError(40100)
    if kind == FIX_RANGE[0]:
        begin = integer(new, "begin_timestamp", old["begin_timestamp"])
        end = integer(new, "end_timestamp", old["end_timestamp"])
        if not 0 < begin <= old["begin_timestamp"]:
            raise OaError(40100)
        if not old["end_timestamp"] <= end < MAX_TIME:
            raise OaError(40100)
    if kind == FIX_TERM[0]:
        term = integer(new, "fixed_term", old["fixed_term"])
        begin = integer(new, "fixed_begin_term", old["fixed_begin_term"])
        last = old["fixed_begin_term"] + old["fixed_term"]
        if not 0 <= begin <= old["fixed_begin_term"] or term > MAX_DAYS:
            raise OaError(40100)
        if begin + term < last:
            raise OaError(40100)
