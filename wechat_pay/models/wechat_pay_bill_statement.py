import time

from odoo import models
from odoo.exceptions import UserError
from odoo.fields import Command

from odoo.addons.wechat_base.tools.money import from_fen

#: statement lines made at once, and seconds of one job (workers end at 120)
_CHUNK = 200
_SECONDS = 40.0


class WechatPayBill(models.Model):
    """How the fund flow becomes a bank statement."""

    _inherit = "wechat.pay.bill"

    def _check_journal(self):
        journal = self.merchant_id.journal_id
        if not journal:
            raise UserError(self.env._("Choose a journal on the merchant first."))
        currency = journal.currency_id or journal.company_id.currency_id
        if currency != self._yuan():
            raise UserError(
                self.env._(
                    "The fund flow is in yuan; the journal “%s” is not.", journal.name
                )
            )

    def _enqueue_statement(self):
        self.with_delay(
            identity_key=f"wechat.pay.bill:statement:{self.id}",
            description=self.env._("Bank statement of %s", self.display_name),
        )._make_statement()

    def _make_statement(self):
        """Job: make one bank statement line of each movement, once.

        A long bill is made in several jobs. The fund line's link to its statement
        line is what keeps a second run from adding anything.
        """
        self.ensure_one()
        if not self.exists() or self.state != "done":
            return self.env._("There is nothing to do.")
        self._check_journal()
        self._link_fund_lines()
        deadline = time.monotonic() + _SECONDS
        while lines := self._lines_to_book():
            lines._book()
            if time.monotonic() > deadline and self._lines_to_book():
                self._enqueue_statement()
                return self.env._("To be continued.")
        self._close_statement()
        return self.env._("%s lines", self.line_count)

    def _lines_to_book(self):
        return self.env["wechat.pay.fund.line"].search(
            [("bill_id", "=", self.id), ("statement_line_id", "=", False)],
            order="line_no",
            limit=_CHUNK,
        )

    def _close_statement(self):
        """Tie the lines together with the balances that the bill states."""
        lines = self.env["wechat.pay.fund.line"].search([("bill_id", "=", self.id)])
        free = lines.statement_line_id.filtered(lambda line: not line.statement_id)
        if not free or self.statement_id:
            free.statement_id = self.statement_id
            return
        self.statement_id = self.env["account.bank.statement"].create(
            {
                "name": self.env._(
                    "WeChat Pay %(mchid)s %(date)s",
                    mchid=self.merchant_id.mchid,
                    date=self.date,
                ),
                "line_ids": [Command.set(free.ids)],
                "balance_start": from_fen(self.balance_start_fen),
                "balance_end_real": from_fen(self.balance_end_fen),
            }
        )
