from . import wechat_merchant
from . import wechat_pay_promotion
from . import wechat_pay_transaction
