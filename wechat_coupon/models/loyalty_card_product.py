from odoo import fields, models


class LoyaltyCard(models.Model):
    """Coupons that are confirmed before they are good, alone or as one of a set."""

    _inherit = "loyalty.card"

    wechat_state = fields.Selection(
        selection_add=[("confirming", "Being confirmed"), ("usable",)]
    )
    wechat_status = fields.Selection(
        selection_add=[("confirming", "Being confirmed"), ("usable",)]
    )
    wechat_stock_no = fields.Char(string="Stock at WeChat", readonly=True, copy=False)
    wechat_bundle_no = fields.Char(
        string="Set of the Customer",
        readonly=True,
        copy=False,
        help="Coupons with the same number were claimed together.",
    )

    def _wechat_place_refusals(self, order):
        """Extended: some coupons are taken only where WeChat Pay is."""
        yield from super()._wechat_place_refusals(order)
        if not self.coupon_template_id._channel()._needs_wechat_payment:
            return
        # sudo: which ways to pay the till has is no secret of the till.
        methods_sudo = order.config.sudo().payment_method_ids
        if "wechat_pay" not in methods_sudo.mapped("use_payment_terminal"):
            yield "needs_wechat_payment", {}
