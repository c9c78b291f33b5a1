from datetime import timedelta

from odoo import fields, models
from odoo.tools import SQL

#: days that a payment may wait for its session to be closed
OPEN_DAYS = 60
_CHUNK = 200


class WechatMerchant(models.Model):
    """The merchant's bank statement, after it was made."""

    _inherit = "wechat.merchant"

    def _enqueue_reconcile(self):
        self.ensure_one()
        if not self.journal_id:
            return
        self.with_delay(
            identity_key=f"wechat.merchant:reconcile:{self.id}",
            description=self.env._("Reconcile payments of %s", self.name),
        )._reconcile_open()

    def _reconcile_open(self):
        """Job: reconcile what had to wait, e.g. for a session that was open.

        :return: the number of lines that were looked at
        """
        self.ensure_one()
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                SELECT f.id
                  FROM wechat_pay_fund_line AS f
                  JOIN account_bank_statement_line AS s ON s.id = f.statement_line_id
                 WHERE f.merchant_id = %(merchant)s
                   AND f.booked_at > %(since)s
                   AND f.transaction_id IS NOT NULL
                   AND f.business_type NOT LIKE %(fee)s
                   AND EXISTS (
                       SELECT 1
                         FROM account_move_line AS m
                         JOIN account_move AS move ON move.id = m.move_id
                         JOIN account_journal AS j ON j.id = move.journal_id
                         JOIN account_account AS a ON a.id = m.account_id
                        WHERE m.move_id = s.move_id
                          AND m.account_id != j.default_account_id
                          AND ((a.reconcile AND NOT m.reconciled)
                               OR m.account_id = j.suspense_account_id))
                 ORDER BY f.id
                """,
                merchant=self.id,
                since=fields.Datetime.now() - timedelta(days=OPEN_DAYS),
                fee="%手续费%",
            )
        )
        ids = [row[0] for row in self.env.cr.fetchall()]
        lines = self.env["wechat.pay.fund.line"].browse(ids)
        for start in range(0, len(lines), _CHUNK):
            chunk = lines[start : start + _CHUNK]
            chunk._rebook()
            chunk._reconcile()
        return len(lines)
