from . import coupon_report
from . import report_pos_order
from . import report_coupon_cards
