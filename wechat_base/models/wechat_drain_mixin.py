import logging
import time
from contextlib import contextmanager
from zlib import crc32

from psycopg2 import OperationalError

from odoo import SUPERUSER_ID, api, fields, models
from odoo.service.model import PG_CONCURRENCY_ERRORS_TO_RETRY
from odoo.tools import SQL

from ..tools.exceptions import WechatError, WechatUnknownOutcome

_logger = logging.getLogger(__name__)


class WechatDrainMixin(models.AbstractModel):
    """Rows that jobs work off, one job per burst instead of one per row.

    A job costs about 0.1 s of a worker whatever it does, so one job takes all rows
    that are due. A job that waits to be started is found by its identity key; one
    that runs is not counted, because its last look may lie before our commit.

    The channel and the retries of the jobs are those of a ``queue.job.function``
    record, which each model's add-on has to bring.
    """

    _name = "wechat.drain.mixin"
    _description = "Rows Worked off by Jobs"

    #: name of the job's method: settles the rows that are due, returns a sentence
    _drain_method = ""
    # A job stays below the limits of a worker (limit_time_real is 120 s).
    _drain_seconds = 40.0
    _drain_batch = 500

    @api.model
    def _drain_due(self):
        """Look at the rows that wait; each model has its own.

        :return: (number of rows that are due, seconds until the first of all that
            wait is due: 0 or less is now, ``None`` if none waits)
        """
        raise NotImplementedError()

    @api.model
    def _drain_due_seconds(self):
        return self._drain_due()[1]

    @api.model
    def _drain_wake(self, priority=10):
        """Have the rows of this transaction worked off as soon as it is committed.

        The look for a waiting job must come after the commit: a job that is found
        before it may have started, and missed our rows, by the time we commit. If
        this process dies in between, the sweeper wakes the drain a minute later.

        :param int priority: of the job; what a person waits for is below 10
        """
        postcommit = self.env.cr.postcommit
        wakes = postcommit.data.setdefault("wechat_drain", {})
        if self._name in wakes:
            wakes[self._name] = min(priority, wakes[self._name])
            return
        wakes[self._name] = priority
        registry, name = self.env.registry, self._name

        def wake():
            _wake(registry, name, wakes[name])

        postcommit.add(wake)

    @api.model
    def _drain_identity(self, later=False):
        return f"{self._name}:{'later' if later else 'now'}"

    @api.model
    def _drain_is_waiting(self, later=False):
        """Whether a job waits to be started."""
        self.env.cr.execute(
            """
            SELECT 1
              FROM queue_job
             WHERE identity_key = %s
               AND state IN ('wait_dependencies', 'pending', 'enqueued')
             LIMIT 1
            """,
            [self._drain_identity(later)],
        )
        return bool(self.env.cr.rowcount)

    @api.model
    def _drain_enqueue(self, priority=10, seconds=0):
        """Add a job, unless one waits already.

        :param int priority: of the job
        :param float seconds: start it that much later; such a job has an identity
            of its own, so that it cannot stand in the way of an immediate one
        """
        later = seconds > 0
        if self._drain_is_waiting(later):
            return
        delayable = self.with_user(SUPERUSER_ID).with_delay(
            priority=priority,
            eta=int(seconds) + 1 if later else None,
            identity_key=self._drain_identity(later),
            description=self.env._("Work off %(model)s", model=self._description),
        )
        getattr(delayable, self._drain_method)()

    @api.model
    def _drain_steps(self):
        """Count the rows of one job, until its time or its batch is over."""
        deadline = time.monotonic() + self._drain_seconds
        for count in range(self._drain_batch):
            yield count
            if time.monotonic() > deadline:
                return

    @api.model
    def _drain_again(self, progress=True):
        """At the end of a job: provide for the rows that remain.

        In a transaction of its own, because the job's own look at the database is
        as old as the job.

        :param bool progress: whether this job settled anything; if not, what is due
            is in somebody else's hands, and the next look can wait
        """
        self._drain_in_own_transaction(lambda model: model._drain_provide(progress))

    @api.model
    def _drain_provide(self, progress):
        due = self._drain_due_seconds()
        if due is None:
            return
        if due <= 0:
            self._drain_enqueue(seconds=0 if progress else 5)
        elif due <= 60:
            # What is due later than that, the sweeper wakes.
            self._drain_enqueue(seconds=due)

    @api.model
    def _drain_look(self, next_column, where):
        """Helper for :meth:`_drain_due`.

        :param str next_column: when a row is due
        :param SQL where: says which rows wait
        """
        now = fields.Datetime.now()
        self.env.cr.execute(
            SQL(
                """
                SELECT count(*) FILTER (WHERE %(next)s <= %(now)s), min(%(next)s)
                  FROM %(table)s
                 WHERE %(where)s
                """,
                next=SQL.identifier(next_column),
                now=now,
                table=SQL.identifier(self._table),
                where=where,
            )
        )
        count, due = self.env.cr.fetchone()
        return count, due and (due - now).total_seconds()

    @api.model
    def _drain_in_own_transaction(self, function):
        """Call ``function(model)`` in a transaction of its own, and commit it.

        A job must not commit its own cursor, and one row's failure must not undo
        the rows before it. Repeats on a conflict with another transaction, so
        ``function`` must not call anything outside of the database.

        :param function: takes this model in the new environment
        :return: what ``function`` returned
        """
        attempt = 1
        while True:
            try:
                with self.env.registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, dict(self.env.context))
                    result = function(env[self._name])
                    env.flush_all()
                return result
            except OperationalError as error:
                if error.pgcode not in PG_CONCURRENCY_ERRORS_TO_RETRY or attempt == 5:
                    raise
                time.sleep(0.05 * attempt)
                attempt += 1

    @contextmanager
    def _drain_alive(self, row_id):
        """Hold the lock that says that somebody works on a row.

        An advisory lock of a transaction that lasts as long as the work: PostgreSQL
        drops it with the connection of a process that dies. It stops nobody from
        writing the row.

        A context manager: yields whether we got it.
        """
        with self.env.registry.cursor() as cr:
            cr.execute(
                "SELECT pg_try_advisory_xact_lock(%s, %s)",
                [_signed32(crc32(self._table.encode())), _signed32(row_id)],
            )
            (alone,) = cr.fetchone()
            yield alone

    @api.model
    def _drain_outside(self, row_id, method, *args):
        """Call WeChat in a transaction that is rolled back.

        :return: what the method returned, or the exception it raised
        """
        with self.env.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, dict(self.env.context))
            row = env[self._name].browse(row_id)
            row = row.with_context(lang=row.create_uid.lang or "en_US")
            try:
                return getattr(row, method)(*args)
            except WechatError as error:
                return error
            except Exception as error:
                # A mistake of ours may lie before or after the call, so the
                # outcome is unknown; it must not stop the rows behind this one.
                _logger.exception("%s of %s failed", method, row)
                return WechatUnknownOutcome(
                    f"{type(error).__name__}: {error}"[:300], code="exception"
                )
            finally:
                cr.rollback()

    @api.model
    def _cron_sweep(self):
        """Wake every drain whose rows are due: the net below crashes."""
        names = self.env.registry.descendants(["wechat.drain.mixin"], "_inherit")
        for name in sorted(names):
            model = self.env[name]
            if model._abstract:
                continue
            due = model._drain_due_seconds()
            if due is not None and due <= 0:
                model._drain_enqueue()


def _wake(registry, name, priority):
    try:
        with registry.cursor() as cr:
            model = api.Environment(cr, SUPERUSER_ID, {})[name]
            model._drain_enqueue(priority=priority)
    except Exception:
        # The rows are committed and the answer must say so; the sweeper, which
        # runs every minute, finds them.
        _logger.exception("Could not wake the drain of %s", name)


def _signed32(number):
    """Fold a number into PostgreSQL's integer."""
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number & 0x80000000 else number
