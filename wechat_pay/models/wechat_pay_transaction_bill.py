from odoo import fields, models

from odoo.addons.wechat_base.tools.columns import Fen


class WechatPayTransaction(models.Model):
    """What the bills say about a transaction, and how they find it."""

    _inherit = "wechat.pay.transaction"

    bill_line_id = fields.Many2one(
        "wechat.pay.bill.line",
        string="Bill line",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )

    fee_fen = Fen(
        string="Fee (fen)", readonly=True, copy=False, help="As the bill tells it."
    )

    _bill_by_success = models.Index("(merchant_id, success_at)")
    _bill_by_remote_no = models.Index("(merchant_id, remote_no)")
