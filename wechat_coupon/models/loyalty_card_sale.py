"""What Odoo's sales orders book on coupons, the ledger books on guarded ones."""

from odoo import api, fields, models


def _skips(env):
    """Whether an order is at work whose coupons the ledger sees to.

    The key only makes changes of guarded coupons fall away, so anybody may have it.
    """
    return env.context.get("wechat_ledger_books")


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    wechat_sale_order_ids = fields.Many2many(
        "sale.order",
        "sale_order_wechat_coupon_rel",
        "coupon_id",
        "order_id",
        string="Sales Orders",
        readonly=True,
        copy=False,
    )

    def write(self, vals):
        if _skips(self.env) and vals.keys() == {"points"}:
            # sudo: the template is not for salespeople to read.
            guarded = self.filtered(lambda card: card.sudo().coupon_template_id)
            return super(LoyaltyCard, self - guarded).write(vals)
        return super().write(vals)


class LoyaltyHistory(models.Model):
    _inherit = "loyalty.history"

    @api.model_create_multi
    def create(self, vals_list):
        if _skips(self.env):
            # sudo: the template is not for salespeople to read.
            cards_sudo = self.env["loyalty.card"].sudo()
            vals_list = [
                vals
                for vals in vals_list
                if not cards_sudo.browse(vals["card_id"]).coupon_template_id
            ]
        return super().create(vals_list)

    def unlink(self):
        if _skips(self.env):
            # sudo: the template is not for salespeople to read.
            return super(
                LoyaltyHistory,
                self.filtered(lambda row: not row.sudo().card_id.coupon_template_id),
            ).unlink()
        return super().unlink()
