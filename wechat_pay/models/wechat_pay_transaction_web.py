"""The web's door to the transactions: orders and refunds of ``payment.transaction``."""

from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.wechat_base.const import TILL_PATIENCE
from odoo.addons.wechat_base.tools import money

from .. import const


class WechatPayTransaction(models.Model):
    _inherit = "wechat.pay.transaction"

    payment_transaction_id = fields.Many2one(
        "payment.transaction",
        string="Online payment",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        copy=False,
    )

    # One order at a time, however many tabs and retries there are.
    _web_open_uniq = models.UniqueIndex(
        "(payment_transaction_id) WHERE kind = 'payment' "
        "AND payment_transaction_id IS NOT NULL AND abandoned IS NOT TRUE "
        "AND state NOT IN ('failed', 'cancelled')",
        "This online payment is in progress already.",
    )

    # === WHAT ODOO'S PAYMENT IS TOLD === #

    def _on_change(self):
        """Override to bring the online payment in line."""
        result = super()._on_change()
        for row in self.filtered("payment_transaction_id"):
            if row.kind == "refund":
                row._web_process(const.WEB_REFUND_STATES)
            elif row.state == "done" and not row.abandoned:
                row._web_process({"done": "done"})
            elif row.state not in ("waiting", "done") and row._web_is_last_word():
                row._web_process(const.WEB_PAYMENT_STATES)
        return result

    def _web_is_last_word(self):
        """Whether nobody tries to pay the same any more."""
        # Whoever closes it says what comes instead: `_web_show` or `_web_cancel`.
        if self.env.context.get("wechat_pay_closed_by_hand"):
            return False
        others = self._web_rows(self.payment_transaction_id) - self
        return not others.filtered(
            lambda row: not row.abandoned and row.state not in ("failed", "cancelled")
        )

    def _web_process(self, states):
        """Hand a state on; Odoo compares the amount first.

        :param dict states: Odoo's state by ours
        """
        if self.state not in states:
            return
        tx = self.payment_transaction_id
        tx = tx.with_context(lang=tx.partner_lang or self.env.lang)
        tx._process(
            "wechat_pay",
            {
                "reference": tx.reference,
                "state": states[self.state],
                "amount_fen": self.amount_fen,
                "provider_reference": self.remote_no,
                "message": self.with_env(tx.env)._web_message(),
            },
        )
        if states[self.state] == "done" and tx.state == "error":
            # Paid, and not what was to be paid: a person has to give it back.
            self.write({"needs_help": True, "error_code": "mismatch", "error": False})

    def _late_success(self):
        """Override to take what an online payment can still use."""
        tx = self.payment_transaction_id
        if not tx:
            return super()._late_success()
        if tx._wechat_may_take():
            return self._web_take()
        result = super()._late_success()
        tx._log_message_on_linked_documents(
            self.env._(
                "WeChat Pay: %(amount)s were paid for %(reference)s when it was not "
                "needed any more; the money goes back to the customer.",
                amount=tx.currency_id.format(self.amount),
                reference=tx.reference,
            )
        )
        return result

    def _web_take(self):
        """Count on a payment that had been given up; on no other of the same."""
        for row in self._web_rows(self.payment_transaction_id) - self:
            if row.state in const.OPEN_STATES:
                row._web_drop()
        self.flush_model()
        self.abandoned = False

    def _web_drop(self):
        """Have jobs close an order; money that comes in spite of that goes back."""
        self._give_up()
        self.abandoned = True
        self._drain_wake(priority=5)

    def _refund_by_hand(self, amount_fen, reason=""):
        """Override: the refund of an online payment is one in Odoo, too."""
        if not self.payment_transaction_id or self.abandoned:
            return super()._refund_by_hand(amount_fen, reason)
        # sudo: who may refund payments with WeChat need not see all online payments.
        tx_sudo = self.payment_transaction_id.sudo()
        refund_sudo = tx_sudo.with_context(wechat_pay_reason=reason)._refund(
            money.from_fen(amount_fen)
        )
        return self.refund_ids.filtered(
            lambda row: row.payment_transaction_id.id == refund_sudo.id
        )

    # === THE PAGE === #

    @api.model
    def _web_rows(self, tx):
        """Return all orders of an online payment, the last one first."""
        return self.search(
            [("payment_transaction_id", "=", tx.id), ("kind", "=", "payment")]
        )

    @api.model
    def _web_show(self, tx_id, way, openid=None, again=False):
        """See to it that there is an order which this visitor can pay.

        The same order is shown again to the same visitor; a new one is opened only
        when there is none, when the last one was for another way, or when the
        visitor tries again. At no time are two of them open.

        :param str way: ``native`` or ``jsapi``
        :param str openid: of the visitor; ``jsapi`` only
        :param bool again: whether an order that has ended is followed by a new one
        :raises UserError: if the provider is not set up to take money
        """
        for _step in range(4):
            verb, row_id = self._drain_in_own_transaction(
                lambda model: model._web_next(tx_id, way, openid, again)
            )
            if verb == "open":
                self._web_open(tx_id, way, openid)
            elif verb == "close":
                self._web_close(row_id)
            elif verb == "expire":
                self._work(row_id, patience=TILL_PATIENCE)
            else:
                if verb == "place":
                    self._work(row_id, "place", patience=TILL_PATIENCE)
                return

    @api.model
    def _web_next(self, tx_id, way, openid, again):
        """Return what :meth:`_web_show` does next.

        :rtype: tuple[str or None, int or None]
        """
        tx = self.env["payment.transaction"].browse(tx_id)
        if tx.state in ("authorized", "done", "cancel"):
            return None, None
        row = self._web_rows(tx)[:1]
        if not row:
            return "open", None
        suits = row.way == way and (not openid or row.payer_openid == openid)
        ended = row.state in ("failed", "cancelled")
        if ended or (row.abandoned and row.state == "closing"):
            return ("open", None) if again or not suits else (None, None)
        if row.state not in ("draft", "sending", "waiting", "unknown"):
            return None, None
        if row._is_over():
            return "expire", row.id
        if not suits:
            return "close", row.id
        return (None if row._web_payable() else "place"), row.id

    def _web_payable(self):
        return self.state == "waiting" and bool(self.code_url or self.prepay_id)

    @api.model
    def _web_open(self, tx_id, way, openid):
        """Store an order; nothing happens if another request was faster."""
        vals = self._drain_in_own_transaction(
            lambda model: (
                model.env["payment.transaction"].browse(tx_id)._wechat_order_vals(way)
            )
        )
        self._open({**vals, "payer_openid": openid or False})

    @api.model
    def _web_close(self, row_id):
        """Close an order; what WeChat does not close at once, jobs do."""
        rows = self.with_context(wechat_pay_closed_by_hand=True)
        if rows._drain_in_own_transaction(
            lambda model: model.browse(row_id)._give_up()
        ):
            rows._work(row_id, patience=TILL_PATIENCE)
            rows._drain_in_own_transaction(
                lambda model: model.browse(row_id)._abandon()
            )

    @api.model
    def _web_cancel(self, tx_id):
        """The customer does not want to pay this way."""
        row_id = self._drain_in_own_transaction(
            lambda model: (
                model._web_last(tx_id)
                .filtered(lambda row: row.state in const.OPEN_STATES)
                .id
            )
        )
        if row_id:
            self._web_close(row_id)
        self._drain_in_own_transaction(
            lambda model: (
                model.env["payment.transaction"].browse(tx_id)._wechat_cancel()
            )
        )

    @api.model
    def _web_ask(self, tx_id, pause):
        """Ask WeChat about the order, if that was not done just now.

        :param int pause: seconds between two questions
        """

        def decide(model):
            row = model._web_last(tx_id).filtered(lambda row: row._pos_may_ask(pause))
            # Nobody has been shown a code yet: the same order again is harmless.
            lost = row.state in ("sending", "unknown")
            return row.id, "place" if lost else "query"

        row_id, wish = self._drain_in_own_transaction(decide)
        if row_id:
            self._work(row_id, wish, patience=TILL_PATIENCE)

    @api.model
    def _web_last(self, tx_id):
        return self._web_rows(self.env["payment.transaction"].browse(tx_id))[:1]

    @api.model
    def _web_status(self, tx_id):
        """Return what the page shows.

        What the steps have committed is newer than what the request can see.

        :return: ``state`` (``paid``, ``over``, ``payable``, ``checking``, ``ended``
            or ``problem``), ``way``, ``number``, ``seconds`` (left to pay),
            ``message`` and, for the page itself, ``id`` and ``code_url``
        :rtype: dict
        """
        lang = self.env.lang

        def read(model):
            tx = model.env["payment.transaction"].browse(tx_id)
            row = model.with_context(lang=lang)._web_last(tx_id)
            left = row.expires_at and row.expires_at - fields.Datetime.now()
            return {
                "state": row._web_state(tx),
                "id": row.id,
                "way": row.way,
                "number": row.number,
                "code_url": row.code_url,
                "seconds": max(0, int(left.total_seconds())) if left else 0,
                "message": row._web_message(),
            }

        return self._drain_in_own_transaction(read)

    def _web_state(self, tx):
        if tx.state in ("authorized", "done"):
            return "paid"
        if tx.state == "cancel":
            return "over"
        if not self or self.state in ("failed", "cancelled"):
            return "ended"
        if self.abandoned:
            return "checking" if self.state == "closing" else "ended"
        if self.state == "abnormal":
            return "problem"
        return "payable" if self._web_payable() else "checking"

    def _web_message(self):
        """Return a sentence for the customer."""
        if self.state == "abnormal":
            return self.env._(
                "WeChat reports another amount for this payment. Please contact us "
                "before you pay again."
            )
        if self.state not in ("failed", "cancelled"):
            return ""
        if self.kind == "refund":
            return self.env._("WeChat did not refund this amount.")
        if self.error_code == "timeout":
            return self.env._("The time to pay is over. Nothing was paid.")
        if self.error_code == "cancelled":
            return self.env._("The payment was cancelled. Nothing was paid.")
        return self.env._(
            "WeChat Pay could not start the payment. Nothing was paid. Try again, or "
            "choose another way to pay."
        )

    def _web_jsapi_params(self):
        """Return what the page inside WeChat opens the payment with.

        :raises UserError: if there is no order for a page inside WeChat
        """
        self.ensure_one()
        if not self.prepay_id:
            raise UserError(self.env._("The payment has not been started."))
        client = self.merchant_id._get_pay_client()
        return client.jsapi_params(self.appid, self.prepay_id)
