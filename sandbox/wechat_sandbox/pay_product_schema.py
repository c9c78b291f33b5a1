"""What the bodies of product coupon calls may hold.  Contracts §6.7.

WeChat docs: POST product-coupons, stocks, stock-bundles, users/{openid}/coupons.
"""

from typing import Any

from . import pay_schema as schema

#: WeChat docs: "digits, letters, underscore and hyphen, 6 to 40 characters".
REQUEST_NO = schema.string(40, required=True, low=6, pattern=r"[0-9A-Za-z_-]+")
SEND_NO = schema.string(128, required=True, low=6, pattern=r"[0-9A-Za-z_-]+")
#: A code that the shop makes; the charset is that of busifavor (contracts §6.3).
CODE = r"[0-9A-Za-z \-_\\/=|]{1,40}"
DAYS = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
COLORS = tuple(f"Color{number:02d}0" for number in range(1, 11))
STOCK_STATES = ("AUDITING", "SENDING", "PAUSED", "STOPPED", "DEACTIVATED")
COUPON_STATES = (
    *("CONFIRMING", "PENDING", "EFFECTIVE", "USED", "EXPIRED"),
    *("DELETED", "DEACTIVATED"),
)
MAX_COUNT = 10**8
MAX_FEN = 10**7

_ID = schema.string(40, required=True)
_URL = schema.string(1024)
_MUST_URL = schema.string(1024, required=True)
_APPID = schema.string(32)
_PATH = schema.string(1024)

# -- the offer -------------------------------------------------------
_THRESHOLD = schema.integer(required=True, low=0, high=MAX_FEN)
NORMAL = schema.group(
    threshold=_THRESHOLD,
    discount_amount=schema.integer(required=True, low=1, high=MAX_FEN),
)
DISCOUNT = schema.group(
    threshold=_THRESHOLD,
    # Percent OFF: 30 is 七折 (contracts §0.1).
    percent_off=schema.integer(required=True, low=1, high=99),
)
EXCHANGE = schema.group(
    threshold=_THRESHOLD,
    exchange_price=schema.integer(required=True, low=0, high=MAX_FEN),
)
OFFERS = {"NORMAL": NORMAL, "DISCOUNT": DISCOUNT, "EXCHANGE": EXCHANGE}
_LISTS = {
    f"{kind.lower()}_coupon_list": schema.array(offer, high=15)
    for kind, offer in OFFERS.items()
}


def _period(**more: schema.Field) -> schema.Field:
    """Return when a coupon can be used; seconds of the day as in busifavor."""
    second = schema.integer(required=True, low=0, high=86399)
    return schema.group(
        required=True,
        available_begin_time=schema.time(required=True),
        available_end_time=schema.time(required=True),
        wait_days_after_receive=schema.integer(low=0, high=30),
        weekly_available_period=schema.group(
            day_list=schema.array(schema.string(16, choices=DAYS), high=7),
            day_period_list=schema.array(
                schema.group(begin_time=second, end_time=second), high=2
            ),
        ),
        irregular_available_period_list=schema.array(
            schema.group(
                begin_time=schema.time(required=True),
                end_time=schema.time(required=True),
            ),
            high=2,
        ),
        **more,
    )


_FULL_PERIOD = _period(
    available_days=schema.integer(low=1, high=365),
    available_seconds=schema.integer(low=1, high=365 * 86400),
)

# -- how it looks -------------------------------------------------------
DISPLAY = schema.group(
    required=True,
    name=schema.string(15, required=True, low=3),
    image_url=_MUST_URL,
    background_url=_MUST_URL,
    detail_image_url_list=schema.array(_URL, high=8),
    original_price=schema.integer(low=0, high=MAX_FEN),
    combo_package_list=schema.array(
        schema.group(
            name=schema.string(15, required=True),
            pick_count=schema.integer(required=True, low=1),
            choice_list=schema.array(
                schema.group(
                    name=schema.string(15, required=True),
                    price=schema.integer(required=True, low=0),
                    count=schema.integer(required=True, low=1, high=99),
                    image_url=_URL,
                    mini_program_appid=_APPID,
                    mini_program_path=_PATH,
                ),
                required=True,
                high=99,
            ),
        ),
        high=50,
    ),
)


def _usage_display(required: bool) -> schema.Field:
    methods = ("OFFLINE", "MINI_PROGRAM", "APP", "PAYMENT_CODE")
    return schema.group(
        required=required,
        coupon_usage_method_list=schema.array(
            schema.string(16, choices=methods), required=True, high=4
        ),
        mini_program_appid=_APPID,
        mini_program_path=_PATH,
        app_path=_PATH,
        usage_description=schema.string(1000, required=True),
        coupon_available_store_info=schema.group(
            description=schema.string(1000, required=True),
            mini_program_appid=_APPID,
            mini_program_path=_PATH,
        ),
        app_jump_type=schema.string(16, choices=("H5", "PASSCODE_LINK", "USAGE_GUIDE")),
        passcode_link=_PATH,
    )


def _coupon_display(required: bool) -> schema.Field:
    return schema.group(
        required=required,
        code_display_mode=schema.string(
            16, required=True, choices=("INVISIBLE", "BARCODE", "QRCODE")
        ),
        background_color=schema.string(8, choices=COLORS),
        entrance_mini_program=schema.group(
            appid=schema.string(32, required=True),
            path=schema.string(1024, required=True),
            entrance_wording=schema.string(5, required=True),
            guidance_wording=schema.string(6),
        ),
        entrance_official_account=schema.group(appid=schema.string(32, required=True)),
        entrance_finder=schema.group(
            finder_id=schema.string(128, required=True),
            finder_video_id=schema.string(128, required=True),
            finder_video_cover_image_url=_MUST_URL,
        ),
    )


# -- batches -------------------------------------------------------
def _send_rule(per_user: bool) -> schema.Field:
    return schema.group(
        required=True,
        max_count=schema.integer(required=True, low=1, high=MAX_COUNT),
        max_count_per_day=schema.integer(low=1, high=MAX_COUNT),
        max_count_per_user=schema.integer(required=per_user, low=1, high=100),
    )


def _face(required: bool) -> dict[str, schema.Field]:
    """Return what may be changed later."""
    scopes = ("NONE", "ALL", "SPECIFIC")
    return {
        "usage_rule_display_info": _usage_display(required),
        "coupon_display_info": _coupon_display(required),
        "notify_config": schema.group(
            required=required, notify_appid=schema.string(32, required=True)
        ),
        "store_scope": schema.string(16, required=required, choices=scopes),
    }


def _modes(*modes: str) -> schema.Field:
    return schema.string(32, required=True, choices=modes)


STOCK = schema.group(
    remark=schema.string(20),
    coupon_code_mode=_modes("WECHATPAY", "UPLOAD", "API_ASSIGN"),
    stock_send_rule=_send_rule(False),
    single_usage_rule=schema.group(
        coupon_available_period=_FULL_PERIOD,
        normal_coupon=NORMAL,
        discount_coupon=DISCOUNT,
        exchange_coupon=EXCHANGE,
    ),
    # The older several-times coupon, SEQUENTIAL: one code for all times.
    sequential_usage_rule=schema.group(
        coupon_available_period=_period(), **_LISTS, special_first=schema.boolean()
    ),
    **_face(True),
)
BUNDLE = schema.group(
    remark=schema.string(20),
    # A bundle makes several codes at once, so nobody can give them one by one.
    coupon_code_mode=_modes("WECHATPAY", "UPLOAD"),
    stock_send_rule=_send_rule(True),
    progressive_bundle_usage_rule=schema.group(
        required=True, coupon_available_period=_FULL_PERIOD, **_LISTS
    ),
    **_face(True),
)


def _required(field: schema.Field) -> schema.Field:
    return schema.group(required=True, **dict(field.fields or {}))


_TIMES = schema.integer(required=True, low=3, high=15)
_INTERVAL = schema.integer(low=0, high=7)
CREATE = schema.group(
    required=True,
    out_request_no=REQUEST_NO,
    scope=schema.string(16, required=True, choices=("ALL", "SINGLE", "CATEGORY")),
    type=schema.string(16, required=True, choices=tuple(OFFERS)),
    usage_mode=schema.string(
        32, required=True, choices=("SINGLE", "PROGRESSIVE_BUNDLE", "SEQUENTIAL")
    ),
    single_usage_info=schema.group(normal_coupon=NORMAL, discount_coupon=DISCOUNT),
    progressive_bundle_usage_info=schema.group(count=_TIMES, interval_days=_INTERVAL),
    sequential_usage_info=schema.group(
        type=schema.string(16, required=True, choices=("INCREMENTAL", "EQUAL")),
        count=_TIMES,
        available_days=schema.integer(required=True, low=3, high=365),
        interval_days=_INTERVAL,
    ),
    display_info=DISPLAY,
    out_product_no=schema.string(40),
    stock=STOCK,
    stock_bundle=BUNDLE,
)
PATCH = schema.group(required=True, out_request_no=REQUEST_NO, display_info=DISPLAY)
DEACTIVATE = schema.group(
    required=True,
    out_request_no=REQUEST_NO,
    deactivate_reason=schema.string(150, required=True),
)
ADD_STOCK = schema.group(
    required=True, out_request_no=REQUEST_NO, stock=_required(STOCK)
)
ADD_BUNDLE = schema.group(
    required=True, out_request_no=REQUEST_NO, stock_bundle=_required(BUNDLE)
)
PATCH_STOCK = schema.group(
    required=True,
    out_request_no=REQUEST_NO,
    remark=schema.string(20),
    **_face(False),
)
_COUNT = schema.integer(low=1, high=MAX_COUNT)
BUDGET = schema.group(
    required=True,
    out_request_no=REQUEST_NO,
    update_mode=_modes("MAX_COUNT", "MAX_COUNT_PER_DAY"),
    current_max_count=_COUNT,
    target_max_count=_COUNT,
    current_max_count_per_day=_COUNT,
    target_max_count_per_day=_COUNT,
)
UPLOAD = schema.group(
    required=True,
    out_request_no=REQUEST_NO,
    # A code that is too long is a failed code, not a bad request.
    code_list=schema.array(schema.string(1024, low=0), required=True, high=200),
)
STORES = schema.group(
    required=True,
    store_list=schema.array(
        schema.group(store_id=schema.string(64, required=True)),
        required=True,
        high=200,
    ),
)
NOTIFY = schema.group(required=True, notify_url=schema.string(256, required=True))

# -- coupons of people -------------------------------------------------------
_TAGS = schema.group(
    coupon_tag_list=schema.array(schema.string(16, choices=("MEMBER",)), high=1),
    member_tag_info=schema.group(member_card_id=schema.string(64, required=True)),
)
_STOCK_IDS: dict[str, Any] = {
    "product_coupon_id": _ID,
    "stock_id": _ID,
    "appid": schema.string(32, required=True),
}
_BUNDLE_IDS: dict[str, Any] = {
    "product_coupon_id": _ID,
    "stock_bundle_id": _ID,
    "appid": schema.string(32, required=True),
}
_GIVEN = schema.string(40, pattern=CODE)
_ATTACH = schema.string(150)
PRE_SEND = schema.group(
    required=True,
    **_STOCK_IDS,
    send_request_no=SEND_NO,
    coupon_code=_GIVEN,
    attach=_ATTACH,
)
SEND = schema.group(required=True, **(PRE_SEND.fields or {}), coupon_tag_info=_TAGS)
PRE_SEND_BUNDLE = schema.group(
    required=True, **_BUNDLE_IDS, send_request_no=SEND_NO, attach=_ATTACH
)
SEND_BUNDLE = schema.group(
    required=True, **(PRE_SEND_BUNDLE.fields or {}), coupon_tag_info=_TAGS
)
_NO: dict[str, Any] = {"out_request_no": REQUEST_NO}
_REASON: dict[str, Any] = {"deactivate_reason": schema.string(150, required=True)}
_INDEX = schema.integer(low=0, high=14)
CONFIRM = schema.group(required=True, **_STOCK_IDS, **_NO)
RETURN = schema.group(
    required=True, **_STOCK_IDS, **_NO, sequential_coupon_index=_INDEX
)
DEACTIVATE_COUPON = schema.group(required=True, **_STOCK_IDS, **_NO, **_REASON)
DEACTIVATE_COUPONS = schema.group(required=True, **_BUNDLE_IDS, **_NO, **_REASON)
_MCHIDS = {"mchid": schema.string(32), "sub_mchid": schema.string(32)}
USE = schema.group(
    required=True,
    **_STOCK_IDS,
    use_time=schema.time(required=True),
    **_NO,
    associated_order_info=schema.group(
        transaction_id=schema.string(32), out_trade_no=schema.string(32), **_MCHIDS
    ),
    associated_pay_score_order_info=schema.group(
        order_id=schema.string(64), out_order_no=schema.string(64), **_MCHIDS
    ),
    store_id=schema.string(64),
    saved_amount=schema.integer(low=0, high=MAX_FEN),
    sequential_coupon_index=_INDEX,
)
