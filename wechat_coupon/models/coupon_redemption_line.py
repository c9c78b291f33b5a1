from odoo import api, fields, models

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen


class CouponRedemptionLine(models.Model):
    """The part of a discount that fell on one order line.

    Its columns repeat those of the redemption: a ledger is written once and read
    by reports that group over millions of rows.
    """

    _name = "coupon.redemption.line"
    _description = "Coupon Redemption by Product"
    _order = "id desc"
    _rec_name = "product_id"

    redemption_id = fields.Many2one(
        "coupon.redemption",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    pos_line_id = fields.Many2one(
        "pos.order.line", readonly=True, index="btree_not_null", ondelete="set null"
    )
    product_id = fields.Many2one(
        "product.product", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    tax_label = fields.Char(string="Taxes", readonly=True)
    quantity = fields.Float(readonly=True)
    line_fen = Fen(string="Goods (fen)", readonly=True)
    discount_fen = Fen(string="Discount (fen)", readonly=True)
    untaxed_fen = Fen(string="Discount without Tax (fen)", readonly=True)
    line_amount = fields.Monetary(string="Goods", readonly=True)
    discount_amount = fields.Monetary(string="Discount", readonly=True)
    untaxed_amount = fields.Monetary(string="Discount without Tax", readonly=True)
    currency_id = fields.Many2one(related="company_id.currency_id")

    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )
    template_id = fields.Many2one(
        "coupon.template", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    channel = fields.Selection(
        selection=lambda self: (
            self.env["coupon.template"]
            ._fields["channel"]
            ._description_selection(self.env)
        ),
        readonly=True,
    )
    config_id = fields.Many2one(
        "pos.config", string="Shop", readonly=True, ondelete="restrict"
    )
    user_id = fields.Many2one(
        "res.users", string="Cashier", readonly=True, ondelete="restrict"
    )
    redeemed_at = fields.Datetime(readonly=True, index=True)

    @api.model
    def _add(self, redemptions, uses):
        """Write the lines of new redemptions.

        :param redemptions: ``coupon.redemption`` records
        :param dict uses: see ``coupon.redemption._redeem``
        """
        rows = []
        for redemption in redemptions:
            common = {
                "redemption_id": redemption.id,
                "company_id": redemption.company_id.id,
                "template_id": redemption.template_id.id,
                "channel": redemption.channel,
                "config_id": redemption.config_id.id,
                "user_id": redemption.user_id.id,
                "redeemed_at": redemption.redeemed_at,
            }
            for line in (uses.get(redemption.coupon_id) or {}).get("lines", []):
                rows.append(
                    {
                        **common,
                        **line,
                        "line_amount": money.from_fen(line["line_fen"]),
                        "discount_amount": money.from_fen(line["discount_fen"]),
                        "untaxed_amount": money.from_fen(line["untaxed_fen"]),
                    }
                )
        return self.sudo().create(rows)
