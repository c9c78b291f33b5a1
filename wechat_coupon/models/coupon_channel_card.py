from odoo import models


class CouponChannelCard(models.AbstractModel):
    _name = "coupon.channel.card"
    _inherit = "coupon.channel"
    _description = "Coupon Channel: Official-Account Cards"

    _can_create = True
    _asks_before_reserve = True
    _needs_write_off = True
