from odoo import api, fields, models

from odoo.addons.wechat_base.tools import money

from ..tools.rights import check_manager


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

    wechat_state = fields.Char(
        string="At WeChat",
        compute="_compute_wechat_state",
        groups="wechat_pay.pay_group_user",
        help="What WeChat has said last about the payment.",
    )

    _wechat_unproven_idx = models.Index("(id) WHERE wechat_unproven IS TRUE")

    @api.model_create_multi
    def create(self, vals_list):
        payments = super().create([self._without_proof(vals) for vals in vals_list])
        # A payment of a finished order is one that somebody has edited.
        payments.filtered(lambda p: p.pos_order_id.state != "draft")._wechat_link()
        return payments

    def write(self, vals):
        result = super().write(self._without_proof(vals))
        if {"payment_method_id", "amount"} & vals.keys():
            self.filtered(lambda p: p.pos_order_id.state != "draft")._wechat_relink()
        return result

    def _wechat_relink(self):
        """Somebody has edited a finished order: what counts now?

        Money that WeChat has confirmed and no payment stands for any more is shown
        to people, like that of an order that was never saved.
        """
        for payment in self:
            # sudo: see _wechat_link.
            payment_sudo = payment.sudo()
            payment_sudo.wechat_transaction_ids.filtered(
                lambda row, payment_sudo=payment_sudo: (
                    row.pos_method_id != payment_sudo.payment_method_id
                )
            ).pos_payment_id = False
            if payment.payment_method_id.use_payment_terminal != "wechat_pay":
                payment_sudo.wechat_unproven = False
        self._wechat_link()

    @api.depends("wechat_transaction_ids.state")
    @api.depends_context("lang")
    def _compute_wechat_state(self):
        labels = dict(
            self.env["wechat.pay.transaction"]
            ._fields["state"]
            ._description_selection(self.env)
        )
        for payment in self:
            last = payment.wechat_transaction_ids[:1]
            payment.wechat_state = labels.get(last.state) or self.env._("Not known")

    def action_wechat_transactions(self):
        """Open what WeChat knows about the payments."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_pay.wechat_pay_transaction_action"
        )
        return {**action, "domain": [("pos_payment_id", "in", self.ids)]}

    def action_wechat_settled(self):
        """Take payments off the worklist that a person has looked into."""
        check_manager(self.env)
        self.check_access("read")
        # sudo: accountants do not write the till's payments; nothing else is written.
        payments_sudo = self.sudo()
        payments_sudo.wechat_unproven = False
        for payment_sudo in payments_sudo:
            payment_sudo.pos_order_id._message_log(
                body=self.env._(
                    "%(user)s has looked into the WeChat payment of %(amount)s, which "
                    "WeChat had not confirmed.",
                    user=self.env.user.name,
                    amount=payment_sudo.currency_id.format(payment_sudo.amount),
                )
            )

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
                row.amount_fen - row._refunded_by_hand_fen(payment.create_date)
                for row in rows_sudo
                if row.kind == kind and row.state in good and not row.abandoned
            )
            unproven = proven != abs(money.to_fen(payment.amount))
            if payment.wechat_unproven != unproven:
                payment.sudo().wechat_unproven = unproven
