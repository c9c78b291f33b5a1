from odoo import models


class CouponChannelLocal(models.AbstractModel):
    _name = "coupon.channel.local"
    _inherit = "coupon.channel"
    _description = "Coupon Channel: Our Own Coupons"

    _can_generate = True
