from . import coupon_report
from . import report_pos_order
