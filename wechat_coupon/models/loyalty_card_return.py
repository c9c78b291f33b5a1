from odoo import fields, models


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    wechat_replaces_id = fields.Many2one(
        "loyalty.card",
        string="Instead of",
        readonly=True,
        copy=False,
        ondelete="restrict",
        help="The coupon that WeChat did not take back.",
    )

    _wechat_replaces_once = models.UniqueIndex(
        "(wechat_replaces_id) WHERE wechat_replaces_id IS NOT NULL",
        "This coupon was replaced already.",
    )
