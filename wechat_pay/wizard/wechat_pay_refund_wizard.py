from odoo import api, fields, models
from odoo.exceptions import AccessError

from odoo.addons.wechat_base.tools import money


class WechatPayRefundWizard(models.TransientModel):
    """Give back a payment, or a part of it, from the back office."""

    _name = "wechat.pay.refund.wizard"
    _description = "Refund of a WeChat Payment"

    transaction_id = fields.Many2one("wechat.pay.transaction", required=True)
    currency_id = fields.Many2one(related="transaction_id.currency_id")
    paid = fields.Monetary(related="transaction_id.amount", string="Paid")
    refunded = fields.Monetary(related="transaction_id.refunded")
    amount = fields.Monetary(
        string="To refund",
        required=True,
        compute="_compute_amount",
        store=True,
        readonly=False,
    )
    reason = fields.Char(size=80, help="The customer reads it in WeChat.")

    @api.depends("transaction_id")
    def _compute_amount(self):
        for wizard in self:
            wizard.amount = money.from_fen(wizard.transaction_id._left_fen())

    def action_refund(self):
        """Store the refund; a job sends it as soon as this is committed.

        :raises UserError: if more would go back than was paid
        """
        self.ensure_one()
        if not self.env.user.has_group("wechat_pay.pay_group_manager"):
            raise AccessError(self.env._("Only a manager of WeChat Pay may do that."))
        self.transaction_id.check_access("read")
        refund = self.transaction_id._refund_by_hand(
            money.to_fen(self.amount), (self.reason or "").strip()
        )
        return {
            "type": "ir.actions.act_window",
            "res_model": refund._name,
            "res_id": refund.id,
            "view_mode": "form",
        }
