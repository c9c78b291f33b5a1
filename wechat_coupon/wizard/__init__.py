from . import coupon_generate_wizard
from . import coupon_pull_wizard
from . import coupon_reason_wizard
