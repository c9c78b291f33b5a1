from odoo import models


class WechatEvent(models.Model):
    _inherit = "wechat.event"
