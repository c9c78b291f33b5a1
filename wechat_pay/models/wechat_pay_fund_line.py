import logging
from collections import defaultdict
from contextlib import contextmanager

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import SQL

from odoo.addons.wechat_base.tools.columns import Fen
from odoo.addons.wechat_base.tools.money import from_fen

from ..tools import bill as bill_file

_logger = logging.getLogger(__name__)

# WeChat's fee is below a fiftieth of a payment, whatever the trade.
_MOST_FEE = 50


class WechatPayFundLine(models.Model):
    """One movement on the merchant's account. Written by the import in bulk."""

    _name = "wechat.pay.fund.line"
    _description = "WeChat Pay Fund Flow Line"
    # By the id: the bill's own order would join its table.
    _order = "bill_id.id desc, line_no"
    _inherit = "wechat.pay.fen.mixin"
    _rec_name = "flow_no"
    _log_access = False

    _FEN_COLUMNS = {"amount": "amount_fen"}

    bill_id = fields.Many2one(
        "wechat.pay.bill", required=True, readonly=True, ondelete="cascade"
    )
    merchant_id = fields.Many2one(
        "wechat.merchant", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, ondelete="restrict"
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        readonly=True,
        default=lambda self: self.env["wechat.pay.bill"]._yuan(),
    )
    line_no = fields.Integer(readonly=True)
    booked_at = fields.Datetime(string="Time", readonly=True)
    business_no = fields.Char(
        string="WeChat's number",
        readonly=True,
        help="Of the payment or refund that moved the money.",
    )
    flow_no = fields.Char(string="Flow number", readonly=True)
    business = fields.Char(readonly=True)
    business_type = fields.Char(string="Kind", readonly=True)
    direction = fields.Selection([("in", "In"), ("out", "Out")], readonly=True)
    amount_fen = Fen(
        string="Amount (fen)", readonly=True, help="Negative where money leaves."
    )
    balance_fen = Fen(string="Balance (fen)", readonly=True)
    applicant = fields.Char(readonly=True)
    note = fields.Char(readonly=True)
    voucher_no = fields.Char(string="Voucher number", readonly=True)
    transaction_id = fields.Many2one(
        "wechat.pay.transaction", readonly=True, index=True
    )
    statement_line_id = fields.Many2one(
        "account.bank.statement.line",
        string="Bank statement line",
        readonly=True,
        ondelete="set null",
    )
    amount = fields.Monetary(compute="_compute_amounts")
    balance = fields.Monetary(compute="_compute_amounts", aggregator=None)

    _by_bill = models.Index("(bill_id, line_no)")
    _by_business_no = models.Index("(merchant_id, business_no)")
    _statement_line_uniq = models.UniqueIndex(
        "(statement_line_id) WHERE statement_line_id IS NOT NULL"
    )

    @api.depends("amount_fen", "balance_fen")
    def _compute_amounts(self):
        for line in self:
            line.amount = from_fen(line.amount_fen)
            line.balance = from_fen(line.balance_fen)

    @property
    def _is_fee(self):
        return "手续费" in (self.business_type or "")

    # === BANK STATEMENT === #

    def _book(self):
        """Make the bank statement lines and reconcile what can be."""
        journal = self.merchant_id.journal_id
        lines = self.with_company(journal.company_id)
        statement_lines = lines.env["account.bank.statement.line"].create(
            [line._statement_line_vals(journal) for line in lines]
        )
        for line, statement_line in zip(lines, statement_lines, strict=True):
            line.statement_line_id = statement_line
        lines._reconcile()

    def _rebook(self):
        """Take from the suspense account what is known by now."""
        for line in self:
            statement_line = line.statement_line_id
            suspense = statement_line.journal_id.suspense_account_id
            items = line._counterparts(statement_line.journal_id)
            _liquidity, open_lines, others = statement_line._seek_for_lines()
            if others or not open_lines or items == [(suspense, -line.amount_fen)]:
                continue
            commands = line._item_commands(statement_line.journal_id, items)
            with line._on_its_own():
                # As Odoo's own `action_undo_reconciliation` writes them.
                statement_line.with_context(
                    force_delete=True, skip_readonly_check=True
                ).write({"line_ids": [Command.clear(), *commands]})

    @contextmanager
    def _on_its_own(self):
        """Let what cannot be booked, e.g. in a closed month, not stop the others."""
        try:
            with self.env.cr.savepoint():
                yield
        except UserError as error:
            _logger.warning("Bank statement of %s: %s", self, error)
            self.env.invalidate_all(flush=False)

    def _statement_line_vals(self, journal):
        items = self._counterparts(journal)
        return {
            "journal_id": journal.id,
            "date": bill_file.beijing_day(self.booked_at),
            "payment_ref": self._label(),
            "ref": self.flow_no,
            "amount": from_fen(self.amount_fen),
            "transaction_details": {
                "business_no": self.business_no,
                "flow_no": self.flow_no,
                "voucher_no": self.voucher_no,
            },
            "line_ids": self._item_commands(journal, items),
        }

    def _label(self):
        number = self.transaction_id.number or self.voucher_no
        parts = (self.business_type, number, self.business_no, self.note)
        return " ".join(dict.fromkeys(part for part in parts if part))

    def _item_commands(self, journal, counterparts):
        """Return the journal items: the bank first, then the other side."""
        yuan = journal.currency_id or journal.company_id.currency_id
        company = journal.company_id
        day = bill_file.beijing_day(self.booked_at)

        def balance(fen):
            return yuan._convert(from_fen(fen), company.currency_id, company, day)

        left = balance(self.amount_fen)
        commands = [self._item(journal.default_account_id, self.amount_fen, left, yuan)]
        for place, (account, fen) in enumerate(counterparts, start=1):
            # The last one takes what the conversion has rounded.
            part = -left if place == len(counterparts) else balance(fen)
            left = company.currency_id.round(left + part)
            commands.append(self._item(account, fen, part, yuan))
        return commands

    def _item(self, account, fen, balance, currency):
        return Command.create(
            {
                "name": self._label(),
                "account_id": account.id,
                "currency_id": currency.id,
                "amount_currency": from_fen(fen),
                "balance": balance,
            }
        )

    # === ACCOUNTS === #

    def _counterparts(self, journal):
        """Return the other side of the bank's journal item.

        What is not ours, or not for the amount that we expect, is left in suspense
        for the accountant.

        :return: list of (account, signed fen); the fen add up to minus the amount
        """
        merchant = self.merchant_id
        suspense = journal.suspense_account_id
        if self._is_fee:
            return [(merchant.fee_account_id or suspense, -self.amount_fen)]
        account, _payments = self._outstanding(journal)
        whole, settled = self._expected()
        # What a refund takes is less the fee that it gives back.
        fee_back = self.amount_fen - settled
        if not account or not self._is_fee_back(fee_back, settled):
            return [(suspense, -self.amount_fen)]
        coupons = whole - settled
        discount = merchant.discount_account_id
        if not discount:
            coupons = 0
        items = [(account, -self.amount_fen + fee_back - coupons)]
        if coupons:
            items.append((discount, coupons))
        if fee_back:
            items.append((merchant.fee_account_id or suspense, -fee_back))
        return items

    def _is_fee_back(self, fen, settled):
        """Whether a refund can be that much less because of its fee.

        :param int fen: what less has gone out than was settled
        :param int settled: signed fen, see :meth:`_expected`
        """
        if not fen:
            return True
        if settled > 0 or fen < 0:
            return False
        transaction = self.transaction_id
        if transaction.fee_fen:
            # The trade bill says it, negative where it comes back.
            return abs(fen - abs(transaction.fee_fen)) <= 1
        most = abs(transaction.payment_id.fee_fen) or -(settled // _MOST_FEE)
        return fen <= most

    def _expected(self):
        """Return the signed fen that the order says, and those that are settled."""
        transaction = self.transaction_id
        if transaction.kind == "payment" and transaction.state == "cancelled":
            # It came and was reversed: what came goes, less the fee.
            came = abs(self.amount_fen)
            if self.amount_fen < 0:
                lines = self._of_transaction(transaction)
                came = max(lines.mapped("amount_fen"), default=0)
            came = came if self.amount_fen > 0 else -came
            return came, came
        sign = 1 if transaction.kind == "payment" else -1
        return sign * transaction.amount_fen, sign * transaction.settlement_fen

    def _of_transaction(self, transactions):
        """Return the movements of transactions, without their fees."""
        lines = self.search([("transaction_id", "in", transactions.ids)])
        return lines.filtered(lambda line: not line._is_fee)

    def _given_up(self):
        """Return the payment of this line if no order counts on it, else nothing."""
        transaction = self.transaction_id
        payment = transaction.payment_id or transaction
        given_up = payment.state == "cancelled" or payment.abandoned
        return payment if given_up else payment.browse()

    def _outstanding(self, journal):
        """Return the account on which a payment waits for the bank.

        :return: (account or nothing, the ``account.payment`` records, maybe none yet)
        """
        transaction = self.transaction_id
        given_up = self._given_up()
        # Another order of the same online payment may be the one that counts.
        online = transaction.payment_transaction_id - given_up.payment_transaction_id
        payments = online.payment_id
        account = payments.outstanding_account_id
        if transaction.pos_payment_id:
            account, payments = self._pos_outstanding(transaction.pos_payment_id)
        if given_up.pos_method_id and not account:
            account = self._method_outstanding(given_up.pos_method_id)
        elif given_up.payment_transaction_id and not account:
            account = self._provider_outstanding(given_up.payment_transaction_id)
        wrong = (
            not (transaction.state == "done" or given_up)
            or not account.reconcile
            or account == journal.default_account_id
        )
        return (account.browse() if wrong else account), payments

    def _pos_outstanding(self, pos_payment):
        """The session's payments of one method are one entry, or one each.

        Found once for all lines of a transaction: a session has thousands of them.
        """
        session, method = pos_payment.session_id, pos_payment.payment_method_id
        known = self.env.cr.cache.setdefault("wechat_pay_outstanding", {})
        key = (session.id, session.state, method.id, method.outstanding_account_id.id)
        if key not in known:
            payments = self.env["account.payment"].search(
                [
                    ("pos_session_id", "=", session.id),
                    ("pos_payment_method_id", "=", method.id),
                ]
            )
            known[key] = self._method_outstanding(method).id, payments.ids
        account_id, payment_ids = known[key]
        return (
            self.env["account.account"].browse(account_id or ()),
            self.env["account.payment"].browse(payment_ids),
        )

    def _method_outstanding(self, method):
        account = method.outstanding_account_id
        if not account and method.journal_id.type == "bank":
            values = {"company_id": method.company_id.id}
            new = self.env["account.payment"].new(values)
            account = new._get_outstanding_account("inbound")
        return account

    def _provider_outstanding(self, tx):
        """Return the account on which online payments wait for the bank."""
        provider = tx.provider_id
        lines = provider.journal_id.inbound_payment_method_line_ids
        line = lines.filtered(lambda one: one.payment_provider_id == provider)
        if line.payment_account_id:
            return line[:1].payment_account_id
        values = {"company_id": provider.company_id.id}
        return (
            self.env["account.payment"].new(values)._get_outstanding_account("inbound")
        )

    def _reconcile(self):
        """Reconcile with the payments, as far as they are there."""
        for payment in {line._given_up() for line in self if line.transaction_id}:
            self._reconcile_given_up(payment)
        groups = defaultdict(self.browse)
        for line in self.filtered(lambda f: f.transaction_id and not f._is_fee):
            account, payments = line._outstanding(line.statement_line_id.journal_id)
            if account and payments:
                groups[account, payments] |= line
        for (account, payments), lines in groups.items():
            items = payments.move_id.line_ids.filtered(
                lambda item, account=account: item.account_id == account
            )
            items |= lines._items_on(account)
            items = items.filtered(
                lambda item: not item.reconciled and item.parent_state == "posted"
            )
            if len(set(items.mapped(lambda item: item.amount_residual > 0))) > 1:
                with lines._on_its_own():
                    items.reconcile()

    def _items_on(self, account):
        """Return the journal items of these lines on an account.

        And what is open of other lines of the same session: the session's payments
        are one entry, less its refunds, so what comes in may be more than that until
        the refunds have gone out.
        """
        items = self.statement_line_id.move_id.line_ids.filtered(
            lambda item: item.account_id == account
        )
        pos_payments = self.transaction_id.pos_payment_id
        if not pos_payments:
            return items
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                SELECT m.id
                  FROM account_move_line AS m
                  JOIN account_bank_statement_line AS s ON s.move_id = m.move_id
                  JOIN wechat_pay_fund_line AS f ON f.statement_line_id = s.id
                  JOIN wechat_pay_transaction AS t ON t.id = f.transaction_id
                  JOIN pos_payment AS p ON p.id = t.pos_payment_id
                 WHERE m.account_id = %(account)s
                   AND m.reconciled IS NOT TRUE
                   AND m.parent_state = 'posted'
                   AND p.session_id = ANY(%(sessions)s)
                   AND p.payment_method_id = ANY(%(methods)s)
                """,
                account=account.id,
                sessions=pos_payments.session_id.ids,
                methods=pos_payments.payment_method_id.ids,
            )
        )
        return items | items.browse(row[0] for row in self.env.cr.fetchall())

    def _reconcile_given_up(self, payment):
        """What came and went again settles itself."""
        if not payment:
            return
        lines = self._of_transaction(payment | payment.refund_ids)
        lines = lines.filtered("statement_line_id")
        account, _payments = lines[:1]._outstanding(self.merchant_id.journal_id)
        items = lines.statement_line_id.move_id.line_ids.filtered(
            lambda item: item.account_id == account and not item.reconciled
        )
        if len(items) > 1:
            with lines._on_its_own():
                items.reconcile()
