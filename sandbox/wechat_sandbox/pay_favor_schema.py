"""The bodies of the 代金券 calls.  Contract 7.2."""

from . import pay_schema as schema
from .pay_marketing import NUMBER

#: The SDK writes COLOR010, the website Color010: both are taken.
COLOURS = tuple(
    f"{word}{number:03d}"
    for word in ("Color", "COLOR")
    for number in (*range(10, 91, 10), 81, 82, 100, 101, 102)
)
MAX_AMOUNT = 10**10
_mchid = schema.string(20, required=True)
_number = schema.string(128, required=True, pattern=NUMBER)
_code = schema.string(128)
_fen = schema.integer(low=1, high=10**7)
_needed_fen = schema.integer(required=True, low=1, high=10**7)

_available = schema.group(
    fix_available_time=schema.group(
        available_week_day=schema.array(schema.integer(low=0, high=6), high=7),
        begin_time=schema.integer(low=0, high=86399),
        end_time=schema.integer(low=0, high=86399),
    ),
    second_day_available=schema.boolean(),
    available_time_after_receive=schema.integer(low=1, high=90 * 1440),
)
_use_rule = schema.group(
    required=True,
    coupon_available_time=_available,
    fixed_normal_coupon=schema.group(
        # More than 1 fen, at most 1000 yuan.
        coupon_amount=schema.integer(required=True, low=2, high=100000),
        transaction_minimum=_needed_fen,
    ),
    discount_coupon=schema.group(
        discount_amount_max=_fen,
        discount_percent=schema.integer(low=1, high=99),
        transaction_minimum=_fen,
    ),
    exchange_coupon=schema.group(exchange_price=_fen, transaction_minimum=_fen),
    goods_tag=schema.array(_code, high=50),
    trade_type=schema.array(
        schema.string(
            16, choices=("MICROAPP", "APPPAY", "PPAY", "CARD", "FACE", "OTHER")
        ),
        high=6,
    ),
    limit_pay=schema.array(schema.string(32), high=1),
    limit_card=schema.group(
        name=schema.string(4, required=True),
        bin=schema.array(
            schema.string(9, low=6, pattern=r"\d+"), required=True, high=10
        ),
    ),
    combine_use=schema.boolean(),
    available_items=schema.array(_code, high=50),
    unavailable_items=schema.array(_code, high=50),
    available_merchants=schema.array(schema.string(20), required=True, high=50),
)
CREATE = schema.group(
    required=True,
    stock_name=schema.string(20, required=True, pattern=r"[^_,;|]+"),
    comment=schema.string(60),
    belong_merchant=_mchid,
    available_begin_time=schema.time(required=True),
    available_end_time=schema.time(required=True),
    stock_use_rule=schema.group(
        required=True,
        max_coupons=schema.integer(required=True, low=5, high=10**7),
        max_amount=schema.integer(required=True, low=1, high=MAX_AMOUNT),
        max_amount_by_day=schema.integer(low=1, high=MAX_AMOUNT),
        max_coupons_per_user=schema.integer(required=True, low=1, high=60),
        natural_person_limit=schema.boolean(required=True),
        prevent_api_abuse=schema.boolean(required=True),
    ),
    pattern_info=schema.group(
        description=schema.string(1000, required=True),
        merchant_logo=schema.string(128),
        merchant_name=schema.string(36),
        background_color=schema.string(16, choices=COLOURS),
        coupon_image=schema.string(128),
        jump_target=schema.string(
            32, choices=("PAYMENT_CODE", "MINI_PROGRAM", "DEFAULT_PAGE")
        ),
        mini_program_appid=schema.string(128),
        mini_program_path=schema.string(128),
    ),
    coupon_use_rule=_use_rule,
    no_cash=schema.boolean(required=True),
    stock_type=schema.string(
        16,
        required=True,
        # EXCHAHGE is how WeChat writes it.
        choices=("NORMAL", "DISCOUNT", "EXCHAHGE", "RANDOM", "DISCOUNT_CUT"),
    ),
    out_request_no=_number,
    ext_info=schema.string(128),
)
CREATOR = schema.group(required=True, stock_creator_mchid=_mchid)
GOODS = schema.group(
    required=True,
    stock_creator_mchid=_mchid,
    add_goods_id_list=schema.array(_code, high=50),
    delete_goods_id_list=schema.array(_code, high=50),
)
SEND = schema.group(
    required=True,
    stock_id=schema.string(20, required=True),
    out_request_no=_number,
    appid=schema.string(128, required=True),
    stock_creator_mchid=_mchid,
    coupon_value=_fen,
    coupon_minimum=_fen,
)
CALLBACKS = schema.group(
    required=True,
    mchid=_mchid,
    notify_url=schema.string(256, required=True),
    switch=schema.boolean(),
)
