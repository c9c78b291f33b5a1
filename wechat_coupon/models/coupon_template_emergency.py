from odoo import api, fields, models

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    offline_policy = fields.Selection(
        [
            ("refuse", "Refuse the coupon"),
            ("release", "A manager may release it"),
        ],
        string="When WeChat Is Down",
        required=True,
        default="refuse",
        help="What the till does when WeChat cannot be asked whether a coupon is good.",
    )
    offline_cap_fen = Fen(string="Release up to (fen)")
    offline_cap = fields.Monetary(
        string="Release up to",
        compute="_compute_offline_cap",
        inverse="_inverse_offline_cap",
        help="The discounts that a shop may give in this way in a day, in all.",
    )

    _offline_cap_positive = models.Constraint(
        "CHECK(offline_cap_fen >= 0)", "Amounts cannot be negative."
    )

    @api.depends("offline_cap_fen")
    def _compute_offline_cap(self):
        for template in self:
            template.offline_cap = money.from_fen(template.offline_cap_fen)

    def _inverse_offline_cap(self):
        for template in self:
            template.offline_cap_fen = money.storable(
                money.to_fen(template.offline_cap)
            )

    def _today(self):
        """Return the day that it is where the template's days begin."""
        self.ensure_one()
        return fields.Date.context_today(self.with_context(tz=self._zone()))
