from odoo import fields, models

from odoo.addons.wechat_base.tools.columns import Fen


class WechatPayTransaction(models.Model):
    """One payment or refund of ours: only the columns that bills are matched with.

    Stands in for the model of the payments, which replaces this file.
    """

    _name = "wechat.pay.transaction"
    _description = "WeChat Pay Transaction"
    _order = "id desc"
    _rec_name = "number"

    kind = fields.Selection(
        [("payment", "Payment"), ("refund", "Refund")], required=True, readonly=True
    )
    api = fields.Selection(
        [("codepay", "Payment code"), ("native", "QR code"), ("jsapi", "JSAPI")]
    )
    number = fields.Char(required=True, readonly=True)
    remote_no = fields.Char(readonly=True)
    merchant_id = fields.Many2one("wechat.merchant", required=True, ondelete="restrict")
    company_id = fields.Many2one("res.company", required=True)
    currency_id = fields.Many2one("res.currency", required=True)
    amount_fen = Fen()
    payer_total_fen = Fen()
    settlement_fen = Fen()
    payment_id = fields.Many2one("wechat.pay.transaction", index="btree_not_null")
    state = fields.Selection(
        [
            (name, name.capitalize())
            for name in (
                "draft",
                "sending",
                "waiting",
                "unknown",
                "closing",
                "done",
                "failed",
                "cancelled",
                "abnormal",
            )
        ],
        required=True,
        default="draft",
    )
    abandoned = fields.Boolean()
    success_at = fields.Datetime()
    fee_fen = Fen()
    pos_payment_id = fields.Many2one("pos.payment", index="btree_not_null")
    pos_order_id = fields.Many2one("pos.order")
    pos_session_id = fields.Many2one("pos.session")
    payment_transaction_id = fields.Many2one("payment.transaction")
    promotion_ids = fields.One2many("wechat.pay.promotion", "transaction_id")

    _number_uniq = models.UniqueIndex("(merchant_id, kind, number)")
