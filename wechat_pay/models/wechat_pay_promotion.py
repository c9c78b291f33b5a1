from odoo import api, fields, models

from odoo.addons.wechat_base.tools.columns import Fen
from odoo.addons.wechat_base.tools.money import from_fen


class WechatPayPromotion(models.Model):
    """A WeChat coupon that took part in a payment, or its share of a refund.

    From ``promotion_detail`` (contracts 5.5 and 5.8).
    """

    _name = "wechat.pay.promotion"
    _description = "WeChat Coupon in a Payment"
    _inherit = "wechat.pay.fen.mixin"
    _order = "id"
    _rec_name = "name"

    _FEN_COLUMNS = {
        "amount": "amount_fen",
        "wechatpay_contribute": "wechatpay_contribute_fen",
        "merchant_contribute": "merchant_contribute_fen",
        "other_contribute": "other_contribute_fen",
    }

    transaction_id = fields.Many2one(
        "wechat.pay.transaction",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="transaction_id.company_id", store=True)
    currency_id = fields.Many2one(related="transaction_id.currency_id", store=True)
    name = fields.Char(readonly=True)
    coupon_id = fields.Char(string="Coupon number", readonly=True)
    stock_id = fields.Char(string="Stock number", readonly=True)
    scope = fields.Selection(
        [("GLOBAL", "Whole order"), ("SINGLE", "Single products")], readonly=True
    )
    # A refund calls CASH "COUPON" and NOCASH "DISCOUNT"; here it is one thing.
    type = fields.Selection(
        [("CASH", "Funded (充值型)"), ("NOCASH", "Not funded (免充值)")],
        readonly=True,
        help="Funded: the merchant receives the whole amount, the coupon was paid for "
        "before. Not funded: the merchant receives that much less.",
    )
    amount_fen = Fen(string="Amount (fen)", readonly=True)
    wechatpay_contribute_fen = Fen(string="Paid by WeChat (fen)", readonly=True)
    merchant_contribute_fen = Fen(string="Paid by the merchant (fen)", readonly=True)
    other_contribute_fen = Fen(string="Paid by others (fen)", readonly=True)
    amount = fields.Monetary(compute="_compute_amounts")
    wechatpay_contribute = fields.Monetary(
        string="Paid by WeChat", compute="_compute_amounts"
    )
    merchant_contribute = fields.Monetary(
        string="Paid by the merchant", compute="_compute_amounts"
    )
    other_contribute = fields.Monetary(
        string="Paid by others", compute="_compute_amounts"
    )
    goods_detail = fields.Json(readonly=True)

    @api.depends(lambda self: list(self._FEN_COLUMNS.values()))
    def _compute_amounts(self):
        for promotion in self:
            for name, column in self._FEN_COLUMNS.items():
                promotion[name] = from_fen(promotion[column])
