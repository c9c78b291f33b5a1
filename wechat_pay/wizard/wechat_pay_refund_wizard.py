from odoo import api, fields, models

from odoo.addons.wechat_base.tools import money


class WechatPayRefundWizard(models.TransientModel):
    """Give back a payment, or a part of it, from the back office."""

    _name = "wechat.pay.refund.wizard"
    _description = "Refund of a WeChat Payment"

    transaction_id = fields.Many2one("wechat.pay.transaction", required=True)
    # With the user's own rights: numbers can be counted up.
    currency_id = fields.Many2one(
        related="transaction_id.currency_id", related_sudo=False
    )
    paid = fields.Monetary(
        related="transaction_id.amount", string="Paid", related_sudo=False
    )
    refunded = fields.Monetary(related="transaction_id.refunded", related_sudo=False)
    amount = fields.Monetary(
        string="To refund",
        required=True,
        compute="_compute_amount",
        store=True,
        readonly=False,
    )
    reason = fields.Char(size=80, help="The customer reads it in WeChat.")
    refund_id = fields.Many2one("wechat.pay.transaction", readonly=True)

    @api.depends("transaction_id")
    def _compute_amount(self):
        for wizard in self:
            wizard.amount = money.from_fen(wizard.transaction_id._left_fen())

    @api.model_create_multi
    def create(self, vals_list):
        """Override to refuse payments that the user may not see."""
        ids = [vals.get("transaction_id") for vals in vals_list]
        self.env["wechat.pay.transaction"].browse(filter(None, ids)).check_access(
            "read"
        )
        return super().create(vals_list)

    def write(self, vals):
        """Override: a wizard stays with its payment."""
        return super().write(
            {name: value for name, value in vals.items() if name != "transaction_id"}
        )

    def action_refund(self):
        """Store the refund; a job sends it as soon as this is committed.

        :raises UserError: if more would go back than was paid
        """
        self.ensure_one()
        self.transaction_id._check_manager()
        # Whoever presses the button again, because no answer came, refunds once.
        self.lock_for_update()
        if not self.refund_id:
            self.refund_id = self.transaction_id._refund_by_hand(
                money.to_fen(self.amount), (self.reason or "").strip()
            )
        return {
            "type": "ir.actions.act_window",
            "res_model": self.refund_id._name,
            "res_id": self.refund_id.id,
            "view_mode": "form",
        }
