from odoo import api, fields, models

from odoo.addons.wechat_base.tools.columns import Fen
from odoo.addons.wechat_base.tools.money import from_fen


class WechatPayBillLine(models.Model):
    """One line of a trade bill. Written by the import in bulk, by nobody else."""

    _name = "wechat.pay.bill.line"
    _description = "WeChat Pay Trade Bill Line"
    # By the id: the bill's own order would join its table.
    _order = "bill_id.id desc, line_no"
    _inherit = "wechat.pay.fen.mixin"
    _rec_name = "number"
    _log_access = False

    _FEN_COLUMNS = {
        "amount": "amount_fen",
        "settlement_amount": "settlement_fen",
        "fee_amount": "fee_fen",
    }

    bill_id = fields.Many2one(
        "wechat.pay.bill", required=True, readonly=True, ondelete="cascade"
    )
    merchant_id = fields.Many2one(
        "wechat.merchant", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, ondelete="restrict"
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        readonly=True,
        default=lambda self: self.env["wechat.pay.bill"]._yuan(),
    )
    line_no = fields.Integer(readonly=True)
    kind = fields.Selection(
        [("payment", "Payment"), ("refund", "Refund")], required=True, readonly=True
    )
    number = fields.Char(
        readonly=True, help="Our number: of the order, or of the refund."
    )
    order_number = fields.Char(string="Order number", readonly=True)
    remote_no = fields.Char(string="WeChat's number", readonly=True)
    order_remote_no = fields.Char(string="WeChat's order number", readonly=True)
    transaction_id = fields.Many2one(
        "wechat.pay.transaction", readonly=True, index=True
    )
    trade_at = fields.Datetime(string="Time", readonly=True)
    appid = fields.Char(string="AppID", readonly=True)
    mchid = fields.Char(string="Merchant number", readonly=True)
    sub_mchid = fields.Char(string="Sub-merchant number", readonly=True)
    device = fields.Char(readonly=True)
    openid = fields.Char(
        string="OpenID", readonly=True, groups="wechat_base.wechat_group_manager"
    )
    trade_type = fields.Char(string="Way of payment", readonly=True)
    trade_state = fields.Char(string="State", readonly=True)
    refund_state = fields.Char(readonly=True)
    bank_type = fields.Char(string="Bank", readonly=True)
    amount_fen = Fen(string="Amount (fen)", readonly=True)
    settlement_fen = Fen(string="Settlement (fen)", readonly=True)
    coupon_fen = Fen(string="Funded coupons (fen)", readonly=True)
    fee_fen = Fen(string="Fee (fen)", readonly=True)
    fee_exact = fields.Char(
        string="Exact fee", readonly=True, help="As in the file, up to five decimals."
    )
    fee_expected_fen = Fen(
        string="Expected fee (fen)", readonly=True, help="Rate × settlement."
    )
    rate = fields.Char(readonly=True)
    product = fields.Char(readonly=True)
    attach = fields.Char(string="Data", readonly=True)
    amount = fields.Monetary(compute="_compute_amounts")
    settlement_amount = fields.Monetary(string="Settlement", compute="_compute_amounts")
    fee_amount = fields.Monetary(string="Fee", compute="_compute_amounts")

    _by_bill = models.Index("(bill_id, line_no)")
    _by_number = models.Index("(merchant_id, kind, number)")
    _by_remote_no = models.Index("(merchant_id, remote_no)")
    _revoked = models.Index("(merchant_id, order_number) WHERE trade_state = 'REVOKED'")

    @api.depends("amount_fen", "settlement_fen", "fee_fen")
    def _compute_amounts(self):
        for line in self:
            line.amount = from_fen(line.amount_fen)
            line.settlement_amount = from_fen(line.settlement_fen)
            line.fee_amount = from_fen(line.fee_fen)
