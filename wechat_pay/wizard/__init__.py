from . import wechat_connection_check
from . import wechat_pay_refund_wizard
from . import wechat_pay_bill_fetch
from . import wechat_pay_bill_upload
from . import wechat_pay_difference_settle
