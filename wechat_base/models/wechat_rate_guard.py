import time

from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from odoo import api, fields, models

from ..const import TILL_PATIENCE


class WechatRateGuard(models.Model):
    """How fast all workers of all nodes together may call one API.

    Generic cell rate algorithm: the row holds the time at which the next call is
    free again. With a burst of ``b``, calls are spaced ``per / (limit - b + 1)``
    apart after the burst, so that no window of ``per`` seconds holds more than
    ``limit`` calls.
    """

    _name = "wechat.rate.guard"
    _description = "WeChat Rate Guard"
    _log_access = False
    _rec_name = "key"

    key = fields.Char(required=True, readonly=True)
    free_at = fields.Float(digits=(16, 6), required=True, readonly=True)

    _key_uniq = models.Constraint("UNIQUE(key)", "One row for each key.")

    @api.model
    def _acquire(self, key, limit, per_seconds=1.0, burst=None):
        """Ask for one call; the grant is taken when the answer is 0.

        :param str key: what is limited, e.g. ``"card:wx123…"``
        :param int limit: calls in any window of ``per_seconds``
        :param float per_seconds: length of the window
        :param int burst: calls that may come at once, a tenth of the limit if not
            given
        :return: 0.0, or the seconds to wait before asking again
        """
        step, burst = self._step(limit, per_seconds, burst)
        with self.env.registry.cursor() as cr:
            connection = cr.connection
            if connection.get_transaction_status() == TRANSACTION_STATUS_IDLE:
                # Odoo's REPEATABLE READ would fail where we only want to queue up
                # behind the other workers.
                cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cr.execute(
                """
                WITH clock AS MATERIALIZED (
                    SELECT extract(epoch FROM clock_timestamp())::float8 AS now
                ), granted AS (
                    INSERT INTO wechat_rate_guard AS guard (key, free_at)
                         SELECT %(key)s, now + %(step)s FROM clock
                    ON CONFLICT (key) DO UPDATE
                            SET free_at = greatest(
                                    guard.free_at,
                                    extract(epoch FROM clock_timestamp())::float8
                                ) + %(step)s
                          WHERE guard.free_at
                                <= extract(epoch FROM clock_timestamp())::float8
                                   + %(slack)s
                      RETURNING 1
                )
                SELECT EXISTS (SELECT 1 FROM granted),
                       (SELECT free_at FROM wechat_rate_guard WHERE key = %(key)s)
                       - clock.now - %(slack)s
                  FROM clock
                """,
                {"key": key, "step": step, "slack": step * (burst - 1)},
            )
            granted, wait = cr.fetchone()
        return 0.0 if granted else max(wait or 0.0, 0.001)

    @api.model
    def _give_back(self, key, limit, per_seconds=1.0, burst=None):
        """Take back a grant of :meth:`_acquire` that turned out not to count."""
        step = self._step(limit, per_seconds, burst)[0]
        with self.env.registry.cursor() as cr:
            cr.execute(
                "UPDATE wechat_rate_guard SET free_at = free_at - %s WHERE key = %s",
                [step, key],
            )

    @api.model
    def _step(self, limit, per_seconds, burst):
        """Return the seconds between two calls, and how many may come at once."""
        burst = min(limit, burst or max(1, limit // 10))
        if burst == 1:
            return per_seconds / limit, burst
        return per_seconds / (limit - burst + 1), burst

    @api.model
    def _wait(self, key, limit, per_seconds=1.0, burst=None, patience=TILL_PATIENCE):
        """Ask for one call and wait for it, but not longer than ``patience``.

        The wait keeps a worker: what a till or a person waits for takes the
        default, a job says ``patience=JOB_PATIENCE`` (both in ``const.py``).

        :param float patience: seconds

        :return: 0.0 when granted, else the seconds that are still to be waited
        """
        deadline = time.monotonic() + patience
        while wait := self._acquire(key, limit, per_seconds, burst):
            if time.monotonic() + wait > deadline:
                return wait
            time.sleep(wait)
        return 0.0

    @api.autovacuum
    def _gc_rows(self):
        """Forget keys that nobody has used for a day."""
        self.env.cr.execute(
            """
            DELETE FROM wechat_rate_guard
                  WHERE free_at < extract(epoch FROM now()) - 86400
            """
        )
