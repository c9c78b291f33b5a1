from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    wechat_coupon_ttl = fields.Integer(
        string="Coupons Are Held For (minutes)",
        default=15,
        help="A coupon that a till holds for an order becomes free again after this "
        "time, unless the order is paid or asks for it again.",
    )

    _wechat_coupon_ttl_positive = models.Constraint(
        "CHECK (wechat_coupon_ttl > 0)",
        "Coupons have to be held for at least one minute.",
    )
