from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    wechat_coupon_ttl = fields.Integer(
        related="company_id.wechat_coupon_ttl", readonly=False
    )
