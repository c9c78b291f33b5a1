"""The bodies of the 商家券 calls.  Contract 6.2, 6.3, 6.4."""

from . import pay_schema as schema
from .pay_marketing import NUMBER

CODE = r"[0-9a-zA-Z \-_\\/=|]+"
COLOURS = tuple(f"Color{number:03d}" for number in range(10, 101, 10))
MAX_COUPONS = 10**9
MAX_FEN = 10**7

_number = schema.string(128, required=True, pattern=NUMBER)
_stock_id = schema.string(20, required=True)
_code = schema.string(32, required=True)
_day_time = schema.group(
    begin_time=schema.integer(required=True, low=1, high=86399),
    end_time=schema.integer(required=True, low=1, high=86399),
)
_between = schema.group(
    begin_time=schema.time(required=True), end_time=schema.time(required=True)
)
_available = schema.group(
    required=True,
    available_begin_time=schema.time(required=True),
    available_end_time=schema.time(required=True),
    available_day_after_receive=schema.integer(low=1, high=365),
    wait_days_after_receive=schema.integer(low=0, high=30),
    available_week=schema.group(
        week_day=schema.array(schema.integer(low=0, high=6), high=7),
        available_day_time=schema.array(_day_time, high=2),
    ),
    # Misspelled on the wire.
    irregulary_avaliable_time=schema.array(_between, high=100),
)
_minimum = schema.integer(required=True, low=1, high=MAX_FEN)
_METHODS = ("OFF_LINE", "MINI_PROGRAMS", "SELF_CONSUME", "PAYMENT_CODE")
_program = {
    "mini_programs_appid": schema.string(32),
    "mini_programs_path": schema.string(128),
}
_use_rule = schema.group(
    required=True,
    coupon_available_time=_available,
    fixed_normal_coupon=schema.group(
        discount_amount=schema.integer(required=True, low=1, high=MAX_FEN),
        transaction_minimum=_minimum,
    ),
    discount_coupon=schema.group(
        # 88 is 88 % paid, so 100 would be no discount.
        discount_percent=schema.integer(required=True, low=1, high=99),
        transaction_minimum=_minimum,
    ),
    exchange_coupon=schema.group(
        exchange_price=schema.integer(required=True, low=0, high=MAX_FEN),
        transaction_minimum=_minimum,
    ),
    use_method=schema.string(32, required=True, choices=_METHODS),
    **_program,
)
_send_rule = schema.group(
    required=True,
    max_coupons=schema.integer(low=1, high=MAX_COUPONS),
    max_coupons_per_user=schema.integer(required=True, low=1, high=100),
    max_coupons_by_day=schema.integer(low=1, high=MAX_COUPONS),
    natural_person_limit=schema.boolean(),
    prevent_api_abuse=schema.boolean(),
    transferable=schema.boolean(),
    shareable=schema.boolean(),
    max_amount=schema.integer(low=1),
    max_amount_by_day=schema.integer(low=1),
)
_entrance = schema.group(
    mini_programs_info=schema.group(
        mini_programs_appid=schema.string(32, required=True),
        mini_programs_path=schema.string(128, required=True),
        entrance_words=schema.string(5, required=True),
        guiding_words=schema.string(6),
    ),
    appid=schema.string(32),
    hall_id=schema.string(64),
    store_id=schema.string(64),
    code_display_mode=schema.string(8, choices=("NOT_SHOW", "BARCODE", "QRCODE")),
)
_pattern = {
    "description": schema.string(1000),
    "background_color": schema.string(15, choices=COLOURS),
    "coupon_image_url": schema.string(128),
    "finder_info": schema.group(
        finder_id=schema.string(64, required=True),
        finder_video_id=schema.string(64, required=True),
        finder_video_cover_image_url=schema.string(256, required=True),
    ),
}
_notify = schema.group(notify_appid=schema.string(32))

CREATE = schema.group(
    required=True,
    stock_name=schema.string(21, required=True),
    belong_merchant=schema.string(15, required=True),
    comment=schema.string(20),
    goods_name=schema.string(15, required=True),
    stock_type=schema.string(
        32, required=True, choices=("NORMAL", "DISCOUNT", "EXCHANGE")
    ),
    coupon_use_rule=_use_rule,
    stock_send_rule=_send_rule,
    out_request_no=_number,
    custom_entrance=_entrance,
    # merchant_name is the brand's and cannot be set.
    display_pattern_info=schema.group(**_pattern, merchant_logo_url=schema.string(128)),
    coupon_code_mode=schema.string(
        16,
        required=True,
        choices=("WECHATPAY_MODE", "MERCHANT_API", "MERCHANT_UPLOAD"),
    ),
    notify_config=_notify,
    subsidy=schema.boolean(),
)
#: What is not here (stock_name, natural_person_limit, the logo) cannot be changed.
MODIFY = schema.group(
    required=True,
    out_request_no=_number,
    comment=schema.string(20),
    goods_name=schema.string(15),
    custom_entrance=_entrance,
    display_pattern_info=schema.group(**_pattern),
    coupon_use_rule=schema.group(
        use_method=schema.string(32, choices=_METHODS), **_program
    ),
    stock_send_rule=schema.group(prevent_api_abuse=schema.boolean()),
    notify_config=_notify,
)
_count = schema.integer(low=1, high=MAX_COUPONS)
BUDGET = schema.group(
    required=True,
    modify_budget_request_no=_number,
    target_max_coupons=_count,
    current_max_coupons=_count,
    target_max_coupons_by_day=_count,
    current_max_coupons_by_day=_count,
)
#: The codes' own form is not an error of the call: a bad one is listed as failed.
UPLOAD = schema.group(
    required=True,
    coupon_code_list=schema.array(schema.string(1000, low=0), required=True, high=200),
    upload_request_no=_number,
)
SEND = schema.group(
    required=True,
    openid=schema.string(128, required=True),
    appid=schema.string(32, required=True),
    stock_id=_stock_id,
    out_request_no=_number,
    coupon_code=schema.string(32, pattern=CODE),
)
USE = schema.group(
    required=True,
    coupon_code=_code,
    stock_id=schema.string(20),
    appid=schema.string(32, required=True),
    use_time=schema.time(required=True),
    # Contract 6.3: 32 in the wiki, 128 in the newer documentation.
    use_request_no=schema.string(32, required=True, pattern=NUMBER),
    openid=schema.string(128),
)
RETURN = schema.group(
    required=True, coupon_code=_code, stock_id=_stock_id, return_request_no=_number
)
DEACTIVATE = schema.group(
    required=True,
    coupon_code=_code,
    stock_id=_stock_id,
    deactivate_request_no=_number,
    deactivate_reason=schema.string(64),
)
ASSOCIATE = schema.group(
    required=True,
    stock_id=_stock_id,
    coupon_code=_code,
    out_trade_no=schema.string(128, required=True),
    out_request_no=_number,
)
_receipt = {
    "stock_id": _stock_id,
    "coupon_code": _code,
    "transaction_id": schema.string(32, required=True),
    "payer_merchant": schema.string(15, required=True),
    "payee_merchant": schema.string(15, required=True),
    "amount": schema.integer(required=True, low=1, high=500000),
    "description": schema.string(1024, required=True),
}
SUBSIDY = schema.group(required=True, **_receipt, out_subsidy_no=_number)
SUBSIDY_RETURN = schema.group(
    required=True,
    **_receipt,
    refund_id=schema.string(32, required=True),
    out_subsidy_return_no=_number,
)
