from odoo import api, fields, models

from odoo.addons.wechat_base.tools import money


class PosPayment(models.Model):
    _inherit = "pos.payment"

    wechat_transaction_ids = fields.One2many(
        "wechat.pay.transaction",
        "pos_payment_id",
        string="WeChat Pay",
        readonly=True,
        groups="wechat_pay.pay_group_user",
    )
    wechat_unproven = fields.Boolean(
        string="Not confirmed by WeChat",
        readonly=True,
        copy=False,
        help="The till says that it was paid with WeChat, and WeChat has not said so.",
    )

    _wechat_unproven_idx = models.Index("(id) WHERE wechat_unproven IS TRUE")

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._without_proof(vals) for vals in vals_list])

    def write(self, vals):
        return super().write(self._without_proof(vals))

    def _without_proof(self, vals):
        """Whether WeChat has confirmed a payment is for nobody to say.

        Users of the till may write payments, and view attributes do not stop them.
        The till sends back every field that it loaded, so the field is left out
        and the rest is written.
        """
        if self.env.su:
            return vals
        return {name: vals[name] for name in vals if name != "wechat_unproven"}

    def _wechat_link(self):
        """Join payments of saved orders to what WeChat has said about them."""
        mine = self.filtered(
            lambda p: p.payment_method_id.use_payment_terminal == "wechat_pay"
        )
        if not mine:
            return
        # sudo: the till's users do not read transactions.
        rows_sudo = (
            self.env["wechat.pay.transaction"]
            .sudo()
            .search([("pos_payment_uuid", "in", mine.mapped("uuid"))])
        )
        for payment in mine:
            own_sudo = rows_sudo.filtered(
                lambda row, payment=payment: (
                    row.pos_payment_uuid == payment.uuid
                    and row.pos_order_uuid == payment.pos_order_id.uuid
                    and row.pos_method_id == payment.payment_method_id
                )
            )
            own_sudo._pos_join(payment)
        mine._wechat_check_proof()

    def _wechat_check_proof(self):
        """Note which payments WeChat does not know, for the worklist.

        A paid order is never refused for it: somebody may have been told so by the
        customer's phone while WeChat could not be reached.
        """
        for payment in self:
            # sudo: see _wechat_link.
            rows_sudo = payment.sudo().wechat_transaction_ids
            kind = "payment" if payment.amount >= 0 else "refund"
            good = ("done",) if kind == "payment" else ("done", "waiting")
            proven = sum(
                row.amount_fen
                for row in rows_sudo
                if row.kind == kind and row.state in good and not row.abandoned
            )
            unproven = proven != abs(money.to_fen(payment.amount))
            if payment.wechat_unproven != unproven:
                payment.sudo().wechat_unproven = unproven
