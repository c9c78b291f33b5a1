import logging
from datetime import timedelta

from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.service.model import PG_CONCURRENCY_ERRORS_TO_RETRY

from ..const import TOKEN_MARGIN

_logger = logging.getLogger(__name__)


class WechatToken(models.Model):
    """Access token and tickets of an account, shared by all workers.

    In a table of its own, without rights for anybody: a refresh locks the token's
    row and never the account that a person has open in a form.
    """

    _name = "wechat.token"
    _description = "WeChat Access Token"
    _log_access = False
    _rec_name = "kind"

    account_id = fields.Many2one("wechat.account", required=True, ondelete="cascade")
    kind = fields.Char(required=True)
    value_cipher = fields.Text()
    expires_at = fields.Datetime()

    _account_kind_uniq = models.Constraint(
        "UNIQUE(account_id, kind)", "One token of each kind for each account."
    )

    @api.model
    def _obtain(self, account, kind, fetch, stale=None):
        """Return a token that is good for some minutes.

        The row is locked while WeChat is asked, so that of all workers that find
        the token expired only one fetches a new one. Everything happens in short
        transactions of its own: the token must survive a rollback of the caller.

        :param account: a ``wechat.account`` record
        :param str kind: ``access_token``, ``wx_card`` or ``jsapi``
        :param fetch: function that asks WeChat and returns (value, seconds of life)
        :param str stale: a value that WeChat has just refused, if any
        :return: the value
        """
        value = self._peek(account.id, kind)
        if value and value != stale:
            return value
        for attempt in range(1, 21):
            try:
                with self.env.registry.cursor() as cr:
                    locked = self.with_env(self.env(cr=cr))
                    return locked._obtain_locked(account.id, kind, fetch, stale)
            except OperationalError as error:
                # Another worker changed the row while we waited for the lock: in
                # REPEATABLE READ we have to look again in a new transaction.
                if error.pgcode not in PG_CONCURRENCY_ERRORS_TO_RETRY or attempt == 20:
                    raise
        return None

    @api.model
    def _obtain_locked(self, account_id, kind, fetch, stale):
        cr = self.env.cr
        cr.execute(
            """
            INSERT INTO wechat_token (account_id, kind)
                 VALUES (%s, %s)
            ON CONFLICT DO NOTHING
            """,
            [account_id, kind],
            log_exceptions=False,
        )
        cr.execute(
            """
            SELECT value_cipher, expires_at
              FROM wechat_token
             WHERE account_id = %s AND kind = %s
               FOR UPDATE
            """,
            [account_id, kind],
            log_exceptions=False,
        )
        value = self._usable(cr.fetchone())
        if value and value != stale:
            return value
        value, seconds = fetch()
        expires_at = fields.Datetime.now() + timedelta(seconds=max(0, int(seconds)))
        cr.execute(
            """
            UPDATE wechat_token
               SET value_cipher = %s, expires_at = %s
             WHERE account_id = %s AND kind = %s
            """,
            [
                self.env["wechat.account"]._secret_encrypt(value),
                expires_at,
                account_id,
                kind,
            ],
        )
        _logger.info("New %s for WeChat account %s", kind, account_id)
        return value

    @api.model
    def _peek(self, account_id, kind):
        """Read the stored token as it is committed now."""
        with self.env.registry.cursor() as cr:
            cr.execute(
                """
                SELECT value_cipher, expires_at
                  FROM wechat_token
                 WHERE account_id = %s AND kind = %s
                """,
                [account_id, kind],
            )
            return self.with_env(self.env(cr=cr))._usable(cr.fetchone())

    @api.model
    def _usable(self, row):
        if not row or not row[0] or not row[1]:
            return None
        left = (row[1] - fields.Datetime.now()).total_seconds()
        # A token that lives shorter than the margin (a test's) is used to its half.
        if left <= TOKEN_MARGIN:
            return None
        return self.env["wechat.account"]._secret_decrypt(row[0])

    @api.model
    def _forget(self, accounts):
        """Throw away all tokens of accounts whose credentials have changed."""
        self.env.cr.execute(
            "DELETE FROM wechat_token WHERE account_id = ANY(%s)", [accounts.ids]
        )
