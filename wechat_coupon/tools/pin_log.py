"""A manager's PIN is in no log."""

from odoo.addons.wechat_base.tools.call_log import keep_out

keep_out("wechat_coupon_release_offline", r"(?<='pin': ')[^']*")
