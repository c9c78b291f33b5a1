"""Payment codes are as good as money for a minute: no log has them."""

from odoo.addons.wechat_base.tools.call_log import keep_out

keep_out("wechat_pay_start", r"(?<![0-9])1[0-5][0-9]{16}(?![0-9])")
