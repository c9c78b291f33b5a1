from . import wechat_pay_refund_wizard
