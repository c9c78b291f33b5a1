from . import report_coupon_cards
