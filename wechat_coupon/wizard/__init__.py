from . import base_partner_merge_automatic_wizard
from . import coupon_card_page_wizard
from . import coupon_card_testers_wizard
from . import coupon_generate_wizard
from . import coupon_pull_wizard
from . import coupon_reason_wizard
