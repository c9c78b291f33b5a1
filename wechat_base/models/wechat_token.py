import logging
import time
from datetime import timedelta

from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.service.model import PG_CONCURRENCY_ERRORS_TO_RETRY

from ..const import TOKEN_MARGIN, TOKEN_PATIENCE, TOKEN_PAUSE
from ..tools.exceptions import WechatUnavailable, make_error

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
    retry_at = fields.Datetime(help="WeChat could not be reached; not before this.")

    _account_kind_uniq = models.Constraint(
        "UNIQUE(account_id, kind)", "One token of each kind for each account."
    )

    @api.model
    def _obtain(self, account, kind, fetch, stale=None, patience=TOKEN_PATIENCE):
        """Return a token that is good for some minutes.

        The row is locked while WeChat is asked, so that of all workers that find
        the token expired only one fetches a new one. Everything happens in short
        transactions of its own: the token must survive a rollback of the caller.

        :param account: a ``wechat.account`` record
        :param str kind: ``access_token``, ``wx_card`` or ``jsapi``
        :param fetch: function that asks WeChat and returns (value, seconds of life)
        :param str stale: a value that WeChat has just refused, if any
        :param float patience: seconds to wait for a worker that is asking WeChat
        :return: the value
        :raises WechatUnavailable: if that takes longer, or if another worker has
            just failed to reach WeChat
        """
        deadline = time.monotonic() + patience
        value = self._peek(account.id, kind, stale)
        while not value:
            try:
                with self.env.registry.cursor() as cr:
                    locked = self.with_env(self.env(cr=cr))
                    left = deadline - time.monotonic()
                    value = locked._obtain_locked(account.id, kind, fetch, stale, left)
            except OperationalError as error:
                # Another worker changed the row while we waited for the lock: in
                # REPEATABLE READ we have to look again in a new transaction.
                if error.pgcode not in PG_CONCURRENCY_ERRORS_TO_RETRY:
                    raise
                if time.monotonic() > deadline:
                    raise make_error(
                        self.env._, WechatUnavailable, "unreachable"
                    ) from None
            if isinstance(value, WechatUnavailable):
                raise value
        return value

    @api.model
    def _obtain_locked(self, account_id, kind, fetch, stale, patience):
        """Return the token, or the error, which the caller raises after the commit."""
        cr = self.env.cr
        cr.execute(
            "SELECT set_config('lock_timeout', %s, true)",
            [str(max(1, round(patience * 1000)))],
        )
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
            SELECT value_cipher, expires_at, retry_at
              FROM wechat_token
             WHERE account_id = %s AND kind = %s
               FOR UPDATE
            """,
            [account_id, kind],
            log_exceptions=False,
        )
        value = self._usable(cr.fetchone(), stale)
        if value:
            return value
        try:
            value, seconds = fetch()
        except WechatUnavailable as error:
            if error.code == "deadline":
                # We had no time to ask; that says nothing about WeChat.
                return error
            # All who wait for this row would run into the same time-out, one after
            # the other.
            retry_at = fields.Datetime.now() + timedelta(seconds=TOKEN_PAUSE)
            cr.execute(
                """
                UPDATE wechat_token
                   SET retry_at = %s
                 WHERE account_id = %s AND kind = %s
                """,
                [retry_at, account_id, kind],
            )
            return error
        expires_at = fields.Datetime.now() + timedelta(seconds=seconds)
        cr.execute(
            """
            UPDATE wechat_token
               SET value_cipher = %s, expires_at = %s, retry_at = NULL
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
    def _peek(self, account_id, kind, stale=None):
        """Read the stored token as it is committed now."""
        with self.env.registry.cursor() as cr:
            cr.execute(
                """
                SELECT value_cipher, expires_at, retry_at
                  FROM wechat_token
                 WHERE account_id = %s AND kind = %s
                """,
                [account_id, kind],
            )
            return self.with_env(self.env(cr=cr))._usable(cr.fetchone(), stale)

    @api.model
    def _usable(self, row, stale=None):
        """Return the token of a row, ``None`` if a new one has to be fetched.

        :raises WechatUnavailable: if that has just failed
        """
        if not row:
            return None
        cipher, expires_at, retry_at = row
        now = fields.Datetime.now()
        # A token that lives shorter than the margin (a test's) is never used twice.
        if cipher and expires_at and (expires_at - now).total_seconds() > TOKEN_MARGIN:
            value = self.env["wechat.account"]._secret_decrypt(cipher)
            if value != stale:
                return value
        if retry_at and now < retry_at:
            raise make_error(self.env._, WechatUnavailable, "unreachable")
        return None

    @api.model
    def _forget(self, accounts):
        """Throw away all tokens of accounts whose credentials have changed."""
        self.env.cr.execute(
            "DELETE FROM wechat_token WHERE account_id = ANY(%s)", [accounts.ids]
        )
