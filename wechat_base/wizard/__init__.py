from . import wechat_connection_check
from . import wechat_connection_check_line
from . import wechat_merchant_keys
