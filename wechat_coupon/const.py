"""Facts about coupons on WeChat's side, and the mapping to ours."""

import re
from datetime import timedelta

# --- What a till is told ----------------------------------------------------------

MAX_COUPONS_PER_ORDER = 20
# A till waits for an answer: one call, and all calls of one request, in seconds.
TILL_TIMEOUT = 4.0
TILL_DEADLINE = 8.0
# A till that is without a connection brings in its orders after this time at most.
OFFLINE_TIME = timedelta(days=7)
# Codes that nobody knows, per user and minute; a scanner does not get near it.
MISSES_PER_MINUTE = 30
IS_CODE_PER_MINUTE = 300
# Customers whose coupons a user may look at, and how many are shown of each.
HELD_PER_MINUTE = 20
MAX_HELD_SHOWN = 20
# Questions about codes per account and second, shared by all tills.
QUERIES_PER_SECOND = 50

# What the checks of a till read of a coupon, in one query.
COUPON_FIELDS: tuple[str, ...] = (
    "code",
    "company_id",
    "coupon_template_id",
    "partner_id",
    "program_id",
    "wechat_state",
    "wechat_valid_from",
    "wechat_valid_to",
)

# Kinds of tasks that say what is going on with a template.
TEMPLATE_TASKS: tuple[str, ...] = (
    "picture",
    "publish",
    "start",
    "pause",
    "end",
    "update",
    "stock",
)

# Kinds of coupons that are about one product.
PRODUCT_TYPES: tuple[str, ...] = ("gift", "exchange")

# --- Official-account cards (卡券) --------------------------------------------------

# Inner key of the card in `card/create` and `card/get` -> our kind of coupon.
CARD_TYPES: dict[str, str] = {
    "CASH": "amount",
    "DISCOUNT": "percent",
    "GIFT": "gift",
    "GENERAL_COUPON": "gift",
    "GROUPON": "gift",
}
# Our kind of coupon -> the card that we create for it.
CREATED_CARD_TYPES: dict[str, str] = {
    "amount": "CASH",
    "percent": "DISCOUNT",
    "gift": "GIFT",
    # What a 兑换券 gives, WeChat says in words.
    "exchange": "GIFT",
}
# `base_info.status` -> state of the template.
CARD_STATES: dict[str, str] = {
    "CARD_STATUS_NOT_VERIFY": "review",
    "CARD_STATUS_VERIFY_FAIL": "draft",
    "CARD_STATUS_VERIFY_OK": "live",
    "CARD_STATUS_DISPATCH": "live",
    "CARD_STATUS_USER_DISPATCH": "live",
    "CARD_STATUS_DELETE": "ended",
    "CARD_STATUS_USER_DELETE": "ended",
}
# `user_card_status` of `card/code/get` -> state of the coupon.
USER_CARD_STATES: dict[str, str] = {
    "NORMAL": "usable",
    "GIFT_TIMEOUT": "usable",
    "CONSUMED": "used",
    "EXPIRE": "expired",
    "GIFTING": "gifting",
    "GIFT_SUCC": "gifted",
    "DELETE": "deleted",
    "UNAVAILABLE": "void",
}
# State of the coupon -> why it is refused.
STATE_REASONS: dict[str, str] = {
    "waiting": "not_received",
    "confirming": "being_confirmed",
    "used": "used",
    "expired": "expired",
    "gifting": "gifting",
    "gifted": "given_away",
    "deleted": "deleted",
    "void": "void",
}
# `errcode`s of the code APIs -> why it is refused.
CODE_ERRORS: dict[int, str] = {
    40056: "unknown_code",
    40116: "unknown_code",
    40099: "used",
    40127: "void",
    40078: "template_paused",
    40079: "expired",
    # Product coupons (contracts 6.7): numbers of errors.
    268578776: "expired",
    268578367: "not_open_yet",
    272756769: "deleted",
    272755715: "outside_hours",
    272755200: "used",
    272756745: "used",
    268578608: "unknown_code",
}
ERROR_UNKNOWN_CODE = 40056
UNKNOWN_CODE_ERRORS: tuple[int, ...] = (40056, 40073, 40116)
ERROR_NEEDS_CARD_ID = 41012
ERROR_CONSUMED = 40099
ERROR_NOT_AUTHORISED = 48001
# Longest texts of `base_info`, in bytes of UTF-8, by field of the template.
CARD_BYTES: dict[str, int] = {
    "title": 27,
    "brand_name": 36,
    "notice": 48,
    "description": 3072,
    "service_phone": 24,
    "gift_text": 3072,
    "logo_url": 128,
}
# WeChat answers a hex value where it took a name.
CARD_COLORS: dict[str, str] = {
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
# Where WeChat keeps the pictures that it gives an address for.
LOGO_URL = re.compile(r"https?://([a-z0-9-]+\.)*(qpic|qlogo)\.cn/\S*")
# 72007, 72008 and 72009 of the card API, in fen and pieces.
CARD_MIN_AMOUNT_FEN = 100
CARD_MAX_GET_LIMIT = 50
CARD_MAX_STOCK = 100_000_000
CARD_DEPOSIT_MODE = "GET_CUSTOM_CODE_MODE_DEPOSIT"
# Codes that one `card/code/deposit` takes.
CARD_DEPOSIT_CODES = 100
# Customers of a test list (contracts 2.1), and days of one question for figures.
CARD_TESTERS = 10
CARD_STAT_DAYS = 62
# How long a QR code without `expire_seconds` is good (contracts 2.6), less a margin.
CARD_QR_DAYS = 360
CARD_MAX_CODE = 20
# 512 bytes.
CARD_MAX_REASON = 170
# Cards with codes of their own that one look-up asks for.
CUSTOM_CODE_CARDS = 20
# Pages and cards that one "pull" reads.
PULL_PAGE = 50
PULL_LIMIT = 500
# An account with no more cards is read while the marketer waits, others by a job.
PULL_AT_ONCE = 20
# WeChat counts the days of a card in this zone, wherever the shop is.
WECHAT_TZ = "Asia/Shanghai"
