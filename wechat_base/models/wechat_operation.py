import logging
import random
import uuid
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL

from ..const import JOB_PATIENCE
from ..tools.exceptions import (
    WechatConfigError,
    WechatRefused,
    WechatUnavailable,
    WechatUnknownOutcome,
)
from ..tools.text import storable

_logger = logging.getLogger(__name__)

# What an administrator has to put right is not asked for every few seconds.
CONFIG_RETRY_SECONDS = 900
# How many rows are looked at at once for one whose rate is not used up, and by one job.
LOOK_AHEAD = 200
MAX_TRIED = 5000
RETRY_SECONDS: tuple[int, ...] = (3, 10, 30, 60, 180, 600, 1800, 3600)


class WechatOperation(models.AbstractModel):
    """A change at WeChat: one row, one number, any number of attempts.

    The number is stored and committed before the first call, and every attempt, by
    anybody, uses it. What a process may have left behind when it was killed:

    ==============  =========================================================
    found state     what happened, and what the next drain does
    ==============  =========================================================
    ``pending``     nothing was sent; it is sent
    ``sending``     perhaps sent: ask WeChat first, then send the same number
    ``unknown``     sent, no answer: ask WeChat first, then send the same number
    ==============  =========================================================

    ``sending`` is committed before the call. An advisory lock, held by a transaction
    that lasts as long as the call, says that the caller is alive: PostgreSQL drops
    it with the caller's connection. It does not stop anybody from writing the row,
    e.g. the callback that tells us the outcome while we still wait for the answer.
    """

    _name = "wechat.operation"
    _description = "Outgoing WeChat Operation"
    _inherit = "wechat.drain.mixin"

    _drain_method = "_operation_drain"
    _drain_batch = 200
    #: key of the rate guard; calls of a family share the limit
    _operation_rate_family = "official"
    #: (calls, seconds) that the family allows
    _operation_rate_limit = (20, 1.0)
    #: questions without an answer after which a person is called: when WeChat
    #: refuses to say, and when it cannot be asked; the second number counts, too,
    #: for mistakes of ours
    _operation_stuck_after = (3, 8)
    #: a row in ``sending`` is not touched before this many seconds: a request of a
    #: killed process may still be under way
    _operation_grace = 15

    _REMOTE_TRANSITIONS: dict[str, tuple[str, ...]] = {
        "none": ("pending", "done", "cancelled"),
        "pending": ("sending", "done", "refused", "cancelled"),
        "sending": ("pending", "unknown", "done", "refused"),
        "unknown": ("sending", "done", "refused", "cancelled"),
        "refused": ("pending", "done", "cancelled"),
        "done": (),
        "cancelled": ("pending",),
    }

    request_no = fields.Char(readonly=True, copy=False)
    remote_state = fields.Selection(
        [
            ("none", "Not needed"),
            ("pending", "Waiting to be sent"),
            ("sending", "Being sent"),
            ("unknown", "Outcome unknown"),
            ("done", "Done"),
            ("refused", "Refused"),
            ("cancelled", "Cancelled"),
        ],
        string="At WeChat",
        required=True,
        readonly=True,
        default="none",
        copy=False,
    )
    remote_attempts = fields.Integer(string="Attempts", readonly=True, copy=False)
    remote_priority = fields.Integer(
        readonly=True,
        default=10,
        copy=False,
        help="0: a person waits for it. Lower goes first.",
    )
    remote_next_at = fields.Datetime(string="Next attempt", readonly=True, copy=False)
    remote_blocked = fields.Boolean(
        string="Needs configuration",
        readonly=True,
        copy=False,
        help="WeChat will not accept it before somebody has changed a setting, as the "
        "error says. It is tried again every 15 minutes.",
    )
    remote_queries = fields.Integer(
        string="Questions without answer",
        readonly=True,
        copy=False,
        help="How often WeChat was asked in vain what became of the request.",
    )
    remote_failures = fields.Integer(
        string="Internal failures",
        readonly=True,
        copy=False,
        help="How often Odoo failed to begin the request or to record its outcome.",
    )
    remote_needs_help = fields.Boolean(
        string="Needs help",
        readonly=True,
        copy=False,
        help="It cannot be found out what became of the request; a person has to "
        "look. It goes on being tried, at most once an hour.",
    )
    remote_error_code = fields.Char(string="Error code", readonly=True, copy=False)
    remote_error = fields.Char(string="Error", readonly=True, copy=False)
    remote_request_id = fields.Char(
        string="WeChat request ID",
        readonly=True,
        copy=False,
        help="WeChat's support asks for it.",
    )
    remote_done_at = fields.Datetime(string="Done at", readonly=True, copy=False)

    _request_no_uniq = models.Constraint(
        "UNIQUE(request_no)", "A request number is used only once."
    )
    # For the drain, and for the worklists, which show what was refused, too.
    _remote_due_idx = models.Index(
        "(remote_priority, remote_next_at, id) "
        "WHERE remote_state IN ('pending', 'sending', 'unknown', 'refused')"
    )
    _remote_blocked_idx = models.Index("(id) WHERE remote_blocked IS TRUE")

    # === CRUD METHODS === #

    def write(self, vals):
        if "request_no" in vals:
            self._check_request_no(vals["request_no"])
        if "remote_state" in vals:
            self._check_transition(vals["remote_state"])
            if vals["remote_state"] in ("done", "refused", "cancelled"):
                vals = {
                    **vals,
                    "remote_blocked": False,
                    "remote_needs_help": False,
                    "remote_queries": 0,
                    "remote_failures": 0,
                }
        return super().write(vals)

    def _check_request_no(self, number):
        """A number that may have been sent stays for ever."""
        if any(row.request_no and row.request_no != number for row in self):
            raise ValidationError(
                self.env._("The number of a request to WeChat cannot be changed.")
            )

    def _check_transition(self, state):
        field = self._fields["remote_state"]
        labels = dict(field._description_selection(self.env))
        for row in self:
            current = row.remote_state or "none"
            if state != current and state not in self._REMOTE_TRANSITIONS[current]:
                raise ValidationError(
                    self.env._(
                        "“%(name)s” cannot go from “%(current)s” to “%(state)s”.",
                        name=row.display_name,
                        current=labels[current],
                        state=labels.get(state, state),
                    )
                )

    # === ACTION METHODS === #

    def action_operation_retry(self):
        """Try operations again now, e.g. after the cause of a refusal is gone."""
        self.check_access("write")
        rows = self.filtered(
            lambda row: row.remote_state in ("pending", "unknown", "refused")
        )
        if not rows:
            raise UserError(self.env._("There is nothing to be tried again."))
        rows.filtered(
            lambda row: row.remote_state == "refused"
        ).remote_state = "pending"
        rows.write(
            {"remote_queries": 0, "remote_failures": 0, "remote_needs_help": False}
        )
        rows._operation_enqueue()

    # === TO BE IMPLEMENTED === #

    def _operation_call(self):
        """Make the call; the stored ``request_no`` must be in it.

        Runs in a transaction that is rolled back: write nothing, return it. May run
        again with the same number.

        :return: dictionary of values to write
        :raises WechatError: its class decides what happens next
        """
        raise NotImplementedError()

    def _operation_query(self):
        """Ask WeChat what became of the request; changes nothing there.

        :return: ``"done"``, ``"not_done"`` or ``"unknown"``, or a pair of that and a
            dictionary of values to write
        """
        raise NotImplementedError()

    def _operation_done(self, vals):
        """Hook, in the transaction that records the success.

        :param dict vals: what :meth:`_operation_call` or :meth:`_operation_query`
            returned; written already
        """

    def _operation_refused(self, error):
        """Hook, in the transaction that records the refusal.

        :param error: the :class:`WechatRefused`
        """

    def _operation_stuck(self, error):
        """Hook: it cannot be found out what became of the request.

        Called once, in the transaction that records it, until somebody tries the
        row again by hand; the row goes on being tried. Its state is ``unknown``, or
        ``pending`` if it is we who fail before anything is sent.

        :param error: the :class:`WechatError` of the last question; with the code
            ``exception`` what went wrong here
        """

    def _operation_request_no(self):
        """Return a new number: at most 32 letters and digits."""
        return uuid.uuid4().hex

    def _operation_rate_key(self):
        """Return the key of the rate guard for this row."""
        return self._operation_rate_family

    # === STARTING === #

    def _operation_prepare(self):
        """Give the rows a number and put them in the queue; once for all.

        Rows that have been prepared before stay as they are.
        """
        for row in self:
            vals = {}
            if not row.request_no:
                vals["request_no"] = row._operation_request_no()
            if row.remote_state == "none":
                vals["remote_state"] = "pending"
                vals["remote_next_at"] = fields.Datetime.now()
            if vals:
                row.write(vals)

    def _operation_enqueue(self, now=True):
        """Have the rows sent as soon as this transaction is committed.

        :param bool now: a person waits for it: it goes before everything else
        """
        rows = self.filtered(
            lambda row: row.remote_state in ("pending", "sending", "unknown")
        )
        if not rows:
            return
        # A row that is being sent keeps its grace.
        rows.filtered(lambda row: row.remote_state != "sending").write(
            {"remote_next_at": fields.Datetime.now()}
        )
        if now:
            rows.write({"remote_priority": 0})
        self._drain_wake(priority=1 if now else 10)

    def _operation_cancel(self):
        """Give up rows of which nothing was sent; return those given up."""
        rows = self.filtered(lambda row: row.remote_state in ("none", "pending"))
        rows.write({"remote_state": "cancelled"})
        return rows

    def _operation_settle_done(self, vals=None):
        """Record a success that we learned of some other way, e.g. by a callback."""
        for row in self.filtered(lambda row: row.remote_state != "done"):
            row._operation_record_done(dict(vals or {}))

    # === DRAIN === #

    @api.model
    def _drain_due(self):
        return self._drain_look(
            "remote_next_at", SQL("remote_state IN ('pending', 'sending', 'unknown')")
        )

    @api.model
    def _operation_drain(self):
        """Job: carry out the operations that are due, each on its own."""
        count, tried, spent, row_id = 0, set(), {}, None
        for _step in self._drain_steps():
            row_id = self._operation_step(tried, spent)
            if not row_id:
                break
            count += 1
        if row_id or not spent:
            self._drain_again(progress=bool(count))
        else:
            # What is left waits for its rate.
            wait = min(spent.values())
            self._drain_in_own_transaction(
                lambda model: model._drain_enqueue(seconds=wait)
            )
        return self.env._("%s operations", count)

    @api.model
    def _operation_step(self, tried, spent):
        """Carry out one operation.

        :param set tried: rows that this job is done with; is added to
        :param dict spent: seconds to wait by key of the rate guard, of the keys
            whose rate is used up; is added to, and their rows are left alone
        :return: id of the row, ``None`` if there is nothing (more) to do
        """
        while candidates := self._operation_candidates(tried, spent):
            for row_id in candidates:
                tried.add(row_id)
                with self._drain_alive(row_id) as alone:
                    if alone and self._operation_attempt(row_id, spent):
                        return row_id
        return None

    @api.model
    def _operation_candidates(self, tried, spent):
        """Return ids of rows that are due and may be sent, most urgent first."""
        limit = LOOK_AHEAD if spent else 10
        while len(tried) < MAX_TRIED:
            keys = self._drain_in_own_transaction(
                lambda model: model._operation_due_keys(tried, limit)
            )
            tried.update(row_id for row_id, key in keys.items() if key in spent)
            found = [row_id for row_id, key in keys.items() if key not in spent]
            if found or not keys:
                return found
        return []

    @api.model
    def _operation_due_keys(self, tried, limit):
        """Return the keys of the rate guard of rows that are due, by their ids."""
        self.env.cr.execute(
            SQL(
                """
                SELECT id
                  FROM %s
                 WHERE remote_state IN ('pending', 'sending', 'unknown')
                   AND remote_next_at <= %s
                   AND id != ALL(%s)
                 ORDER BY remote_priority, remote_next_at, id
                 LIMIT %s
                """,
                SQL.identifier(self._table),
                fields.Datetime.now(),
                list(tried),
                limit,
            )
        )
        rows = self.browse([row[0] for row in self.env.cr.fetchall()])
        return {row.id: row._operation_rate_key() for row in rows}

    @api.model
    def _operation_attempt(self, row_id, spent):
        """Like :meth:`_operation_run`, but a row's failure stays its own.

        Whatever goes wrong while a row is begun or settled (a hook, a constraint, a
        value that cannot be stored), the rows behind it have their turn.
        """
        try:
            return self._operation_run(row_id, spent)
        except Exception as error:
            _logger.exception("%s(%s,) could not be worked off", self._name, row_id)
            self._operation_note_failure(
                row_id,
                WechatUnknownOutcome(
                    f"{type(error).__name__}: {error}"[:300], code="exception"
                ),
            )
        return True

    @api.model
    def _operation_note_failure(self, row_id, error):
        """Record on a row that working on it failed, by all means."""
        # The second goes past the row's own hooks, which may be what fails.
        for method in ("_operation_fail", "_operation_put_back"):
            try:
                self._drain_in_own_transaction(
                    lambda model, method=method: getattr(model.browse(row_id), method)(
                        error
                    )
                )
                return
            except Exception:
                _logger.exception("%s of %s(%s,) failed", method, self._name, row_id)

    def _operation_fail(self, error):
        """Try again later; call for help when that was done too often."""
        self.ensure_one()
        if self.remote_state not in ("pending", "sending", "unknown"):
            return
        self.remote_failures += 1
        # Begun means: perhaps sent.
        state = "pending" if self.remote_state == "pending" else "unknown"
        self._operation_postpone(error, state)
        if self.remote_failures >= self._operation_stuck_after[1]:
            self._operation_call_for_help(error)

    def _operation_put_back(self, error):
        """Do the least of :meth:`_operation_fail`, without any hook."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE %(table)s
                   SET remote_failures = coalesce(remote_failures, 0) + 1,
                       remote_needs_help = remote_needs_help
                           OR coalesce(remote_failures, 0) + 1 >= %(enough)s,
                       remote_error = %(error)s,
                       remote_error_code = %(code)s,
                       remote_next_at = %(next)s
                 WHERE id = %(id)s
                   AND remote_state IN ('pending', 'sending', 'unknown')
                """,
                table=SQL.identifier(self._table),
                enough=self._operation_stuck_after[1],
                error=str(error)[:500],
                code=error.code,
                next=self._operation_in(RETRY_SECONDS[-1]),
                id=self.id,
            )
        )

    @api.model
    def _operation_run(self, row_id, spent):
        """Carry out a row that nobody else works on.

        :param dict spent: see :meth:`_operation_step`
        :return: ``False`` if the rate of the row's key is used up, else ``True``
        """
        state, rate_key = self._drain_in_own_transaction(
            lambda model: model.browse(row_id)._operation_due_state()
        )
        if state is None:
            return True
        if not self._operation_may_call(rate_key, spent):
            return False
        if state in ("sending", "unknown"):
            # Perhaps it was carried out: never send before asking.
            answer = self._drain_outside(row_id, "_operation_query")
            if not self._operation_settle_query(row_id, answer):
                return True
            if not self._operation_may_call(rate_key, spent):
                return False
        begun = self._drain_in_own_transaction(
            lambda model: model.browse(row_id)._operation_begin()
        )
        if begun:
            outcome = self._drain_outside(row_id, "_operation_call")
            self._drain_in_own_transaction(
                lambda model: model.browse(row_id)._operation_settle(outcome)
            )
        return True

    def _operation_due_state(self):
        """Lock the row and return its state, ``None`` if it is not due any more.

        :return: (state, key of the rate guard)
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT remote_state
                  FROM %s
                 WHERE id = %s
                   AND remote_state IN ('pending', 'sending', 'unknown')
                   AND remote_next_at <= %s
                   FOR UPDATE SKIP LOCKED
                """,
                SQL.identifier(self._table),
                self.id,
                fields.Datetime.now(),
            )
        )
        row = self.env.cr.fetchone()
        return (row[0], self._operation_rate_key()) if row else (None, None)

    @api.model
    def _operation_may_call(self, rate_key, spent):
        """Ask the rate guard for one call; note in ``spent`` if it says no."""
        if rate_key not in spent:
            limit, seconds = self._operation_rate_limit
            wait = self.env["wechat.rate.guard"]._wait(
                rate_key, limit, seconds, patience=JOB_PATIENCE
            )
            if wait:
                spent[rate_key] = wait
        return rate_key not in spent

    def _operation_begin(self):
        """Record that we are about to send; committed before we do.

        :return: whether to send: somebody may have settled the row meanwhile
        """
        self.env.cr.execute(
            SQL(
                "SELECT remote_state FROM %s WHERE id = %s FOR UPDATE",
                SQL.identifier(self._table),
                self.id,
            )
        )
        row = self.env.cr.fetchone()
        if not row or row[0] not in ("pending", "sending", "unknown"):
            return False
        if not self.request_no:
            raise ValidationError(
                self.env._("An operation cannot be sent without a number.")
            )
        self.write(
            {
                "remote_state": "sending",
                "remote_attempts": self.remote_attempts + 1,
                "remote_queries": 0,
                "remote_next_at": self._operation_in(self._operation_grace),
            }
        )
        return True

    @api.model
    def _operation_settle_query(self, row_id, answer):
        """Record what WeChat said became of a row.

        :return: whether the row is to be sent (again)
        """
        if isinstance(answer, Exception):
            self._drain_in_own_transaction(
                lambda model: model.browse(row_id)._operation_unanswered(answer)
            )
            return False
        outcome, vals = answer if isinstance(answer, tuple) else (answer, {})
        if outcome == "not_done":
            return True
        error = WechatUnknownOutcome(
            self.env._("WeChat cannot say yet what became of the request.")
        )

        def settle(model):
            row = model.browse(row_id)
            if outcome == "done":
                row._operation_settle(dict(vals))
            else:
                row._operation_unanswered(error)

        self._drain_in_own_transaction(settle)
        return False

    def _operation_unanswered(self, error):
        """Record a question in vain; call for help when there were too many."""
        if self.remote_state not in ("sending", "unknown"):
            # A callback has told us meanwhile.
            return
        self.remote_queries += 1
        self._operation_postpone(error, "unknown")
        refused, unavailable = self._operation_stuck_after
        enough = refused if isinstance(error, WechatRefused) else unavailable
        if self.remote_queries >= enough:
            self._operation_call_for_help(error)

    def _operation_call_for_help(self, error):
        """Have a person look at the row, once."""
        if not self.remote_needs_help:
            self.remote_needs_help = True
            self._operation_stuck(error)

    def _operation_settle(self, outcome):
        """Record the outcome of a call; may run again, calls nothing.

        :param outcome: values to write, or an exception
        """
        self.ensure_one()
        if not self.exists() or self.remote_state == "done":
            # A callback was faster than the answer.
            return
        if isinstance(outcome, WechatRefused):
            self._operation_record_refusal(outcome)
        elif isinstance(outcome, WechatUnknownOutcome):
            self._operation_postpone(outcome, "unknown")
        elif isinstance(outcome, WechatConfigError | WechatUnavailable):
            self._operation_postpone(outcome, "pending")
        elif isinstance(outcome, Exception):
            self._operation_postpone(outcome, "unknown")
        else:
            self._operation_record_done(dict(outcome or {}))

    def _operation_record_done(self, vals):
        vals = storable(vals)
        self.write(
            {
                **vals,
                "remote_state": "done",
                "remote_done_at": fields.Datetime.now(),
                "remote_error": False,
                "remote_error_code": False,
                "remote_next_at": False,
            }
        )
        self._operation_done(vals)

    def _operation_record_refusal(self, error):
        self.write(
            {
                **self._operation_error_vals(error),
                "remote_state": "refused",
                "remote_next_at": False,
            }
        )
        self._operation_refused(error)

    def _operation_postpone(self, error, state):
        """Try again later.

        :param str state: ``pending`` if nothing was sent, else ``unknown``
        """
        if self.remote_state == "done":
            return
        vals = {
            **self._operation_error_vals(error),
            "remote_blocked": isinstance(error, WechatConfigError),
            "remote_next_at": self._operation_in(self._operation_backoff(error)),
        }
        if self.remote_state != state:
            # A row whose outcome was unknown stays so until WeChat says otherwise.
            vals["remote_state"] = state
        self.write(vals)

    def _operation_error_vals(self, error):
        return {
            "remote_error": storable(str(error))[:500],
            "remote_error_code": str(getattr(error, "code", None) or "") or False,
            "remote_request_id": getattr(error, "request_id", None)
            or self.remote_request_id,
        }

    def _operation_backoff(self, error):
        """Return the seconds until the next attempt."""
        if retry_after := getattr(error, "retry_after", None):
            return retry_after
        if isinstance(error, WechatConfigError):
            return CONFIG_RETRY_SECONDS
        tries = max(self.remote_attempts, 1) + self.remote_queries
        tries += self.remote_failures
        step = min(tries, len(RETRY_SECONDS)) - 1
        return RETRY_SECONDS[step] * random.uniform(0.9, 1.1)

    def _operation_in(self, seconds):
        return fields.Datetime.now() + timedelta(seconds=seconds)
