from odoo import api, fields, models

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    receipt_print = fields.Boolean(
        string="Print on Receipts",
        help="Each paid order of at least the amount gets a new coupon of this kind, "
        "printed at the end of its receipt.",
    )
    receipt_fen = Fen(string="From an Order of (fen)")
    receipt_amount = fields.Monetary(
        string="From an Order of",
        compute="_compute_receipt_amount",
        inverse="_inverse_receipt_amount",
    )

    _receipt_positive = models.Constraint(
        "CHECK (receipt_fen >= 0)", "Amounts cannot be negative."
    )

    @api.depends("receipt_fen")
    def _compute_receipt_amount(self):
        for template in self:
            template.receipt_amount = money.from_fen(template.receipt_fen)

    def _inverse_receipt_amount(self):
        for template in self:
            template.receipt_fen = money.to_fen(template.receipt_amount)
