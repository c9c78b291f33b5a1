import logging
from datetime import timedelta
from zlib import crc32

from psycopg2 import OperationalError
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import SQL

from odoo.addons.wechat_base.tools.text import storable

_logger = logging.getLogger(__name__)

# What only the methods of this file write: ``readonly=True`` hides a field in views,
# it does not keep it from RPC.
_GUARDED = {"state", "count", "done", "error", "next_at", "finished_at"}


class JobOvertaken(Exception):
    """Another job has made the step already; the next job sees how far it came."""


class CouponJobMixin(models.AbstractModel):
    """An order that takes long: worked off in steps, each committed by itself.

    What a step has made and how far it came are committed together, so whoever goes
    on after a crash makes nothing twice. One step of an order runs at a time: it has
    the order's advisory lock, which PostgreSQL drops when the process dies.
    """

    _name = "coupon.job.mixin"
    _description = "Long Coupon Order"
    _inherit = "wechat.drain.mixin"

    _drain_method = "_job_drain"

    state = fields.Selection(
        selection=[
            ("draft", "Draft"),
            ("running", "In progress"),
            ("done", "Done"),
            ("failed", "Stopped"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        readonly=True,
        default="draft",
        copy=False,
        index=True,
    )
    count = fields.Integer(
        string="Planned", readonly=True, copy=False, aggregator="sum"
    )
    done = fields.Integer(string="Worked Off", readonly=True, copy=False)
    progress = fields.Float(compute="_compute_progress")
    error = fields.Char(string="What Happened", readonly=True, copy=False)
    next_at = fields.Datetime(readonly=True, copy=False)
    finished_at = fields.Datetime(readonly=True, copy=False)
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )

    @api.depends("count", "done", "state")
    def _compute_progress(self):
        for order in self:
            done = order.state == "done"
            part = min(order.done / order.count, 1) if order.count else 0
            order.progress = 100.0 if done else 100.0 * part

    @api.constrains("company_id")
    def _check_template_company(self):
        for order in self:
            if order.company_id != order.template_id.company_id:
                raise ValidationError(
                    self.env._("Choose a coupon template of the same company.")
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            for vals in vals_list:
                self._check_job_values(vals)
            # A default in the context is a value as well.
            guarded = {f"default_{name}" for name in self._job_guarded()}
            context = self.env.context
            # pylint: disable-next=context-overridden
            self = self.with_context(
                {key: context[key] for key in context if key not in guarded}
            )
        return super().create(vals_list)

    def write(self, vals):
        if not self.env.su:
            self._check_job_values(vals)
            started = self.filtered(lambda order: order.state != "draft")
            if started and vals:
                raise UserError(
                    self.env._("It has been started: it can no longer be changed.")
                )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_started(self):
        if any(order.state not in ("draft", "cancelled") for order in self):
            raise UserError(
                self.env._("Only what was not started, or was cancelled, is deleted.")
            )

    @api.model
    def _job_guarded(self):
        """Return the names of the fields that only our own code writes."""
        return _GUARDED

    @api.model
    def _check_job_values(self, vals):
        if guarded := self._job_guarded() & vals.keys():
            raise AccessError(
                self.env._(
                    "These fields cannot be written: %(fields)s. Use the buttons.",
                    fields=", ".join(sorted(guarded)),
                )
            )

    # === WHAT EACH MODEL SAYS === #

    def _job_check(self):
        """Refuse to start what cannot be done, with a sentence.

        :raises UserError: if it cannot
        """

    def _job_begin(self):
        """Provide what the first step needs; in the transaction that starts it."""

    def _job_where(self):
        """Return what the steps have to know of the order; see :meth:`_job_steps`."""

    def _job_steps(self, where):
        """Return what is to be done in this job, step by step.

        The order may be younger than the job's own transaction, which then does not
        see it: what is needed outside of a step comes from :meth:`_job_where`, which
        is called in a transaction of its own.

        A generator of functions. Each is called with the order in a transaction of
        its own that holds the order's lock, and returns whether it was the last
        one. What it writes is committed with how far it came.
        """
        raise NotImplementedError()

    def _job_wait(self):
        """Ask for one more step.

        :return: 0, or the seconds until it may be made
        """
        return 0

    def _job_forget(self, cr):
        """Drop what a cancelled order had still planned.

        :param cr: cursor of the transaction that cancels it
        """

    # === BUTTONS === #

    def action_start(self):
        """Have the order worked off."""
        self.env["coupon.template"]._check_manager()
        self.check_access("write")
        for order in self:
            # What belongs to the company above is seen, and not given away.
            order.template_id.check_access("write")
            if order.state != "draft":
                raise UserError(self.env._("This has been started already."))
            order._job_check()
            order._job_begin()
            order._write_job({"state": "running", "next_at": fields.Datetime.now()})
        self._drain_wake(priority=8)
        return True

    def action_cancel(self):
        """Stop the order; what it has made so far stays."""
        self.env["coupon.template"]._check_manager()
        self.check_access("write")
        for order in self:
            order._job_switch(("draft", "running", "failed"), "cancelled")
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_resume(self):
        """Go on where the order stopped."""
        self.env["coupon.template"]._check_manager()
        self.check_access("write")
        for order in self:
            order._job_check()
            order._job_switch(("failed",), "running")
        self._drain_wake(priority=8)
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_look_again(self):
        """Show how far it has come."""
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def _job_switch(self, sources, state):
        """Change the state between two steps.

        In a transaction of its own that waits for the step at work: the steps commit
        so often that this request's view of the row would always be too old.
        """
        self.ensure_one()
        self.flush_recordset()
        with self.env.registry.cursor() as cr:
            self._job_lock(cr, wait=True)
            cr.execute(
                SQL(
                    """
                    UPDATE %(table)s
                       SET state = %(state)s, error = NULL, next_at = %(now)s,
                           finished_at = CASE WHEN %(state)s = 'cancelled'
                                              THEN %(now)s::timestamp END
                     WHERE id = %(id)s AND state IN %(sources)s
                    """,
                    table=SQL.identifier(self._table),
                    state=state,
                    now=fields.Datetime.now(),
                    id=self.id,
                    sources=sources,
                )
            )
            changed = cr.rowcount
            if changed and state == "cancelled":
                self._job_forget(cr)
        self.invalidate_recordset()
        if not changed:
            raise UserError(self.env._("It is finished already. Load the page again."))

    def _job_lock(self, cr, wait=False):
        """Take the order's lock until the end of the transaction of ``cr``.

        :param bool wait: or else return at once
        :return: whether we have it
        """
        if cr.connection.get_transaction_status() == TRANSACTION_STATUS_IDLE and wait:
            # What was committed while we waited has to be seen.
            cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        key = crc32(self._table.encode()) & 0x7FFFFFFF
        if wait:
            cr.execute("SELECT pg_advisory_xact_lock(%s, %s)", [key, self.id])
            return True
        cr.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [key, self.id])
        return cr.fetchone()[0]

    def _write_job(self, vals):
        """Write what people must not."""
        # sudo: that is how the fields know us; see `_check_job_values`.
        return self.sudo().write(vals)

    # === THE JOB === #

    @api.model
    def _drain_due(self):
        return self._drain_look("next_at", SQL("state = 'running'"))

    @api.model
    def _job_drain(self):
        """Job: work off the orders that are due, the oldest first, until time is up."""
        count = 0
        steps = self._drain_steps()
        for order_id in self._drain_in_own_transaction(lambda model: model._job_ids()):
            for _step in self.browse(order_id)._job_run(steps):
                count += 1
        self._drain_again(progress=bool(count))
        return self.env._("%s steps", count)

    @api.model
    def _job_ids(self):
        now = fields.Datetime.now()
        return self.search(
            [("state", "=", "running"), ("next_at", "<=", now)], order="id"
        ).ids

    def _job_run(self, steps):
        """Make the steps of one order; yields after each."""
        self.ensure_one()
        try:
            where = self._drain_in_own_transaction(
                lambda model: model.browse(self.id)._job_where()
            )
            for step in self._job_steps(where):
                if next(steps, None) is None:
                    return
                going_on = self._job_step(step)
                yield
                if not going_on:
                    return
        except JobOvertaken:
            _logger.info("%s: another job has gone on with it", self)
        except OperationalError:
            # Somebody else's hands were in it five times; the next job goes on.
            _logger.info("%s: too many conflicts", self, exc_info=True)
        except Exception as error:
            _logger.warning("%s has stopped", self, exc_info=True)
            message = self._job_error(error)
            self._drain_in_own_transaction(
                lambda model: model.browse(self.id)._job_failed(message)
            )

    def _job_step(self, step):
        """Make one step, and keep how far it came.

        :return: whether there is more to do, and we may
        """

        def run(model):
            order = model.browse(self.id)
            if not order._job_lock(model.env.cr):
                # Somebody else works on it, or wants to cancel it.
                return False
            if order.state != "running":
                return False
            wait = order._job_wait()
            if wait:
                later = fields.Datetime.now() + timedelta(seconds=int(wait) + 1)
                order._write_job({"next_at": later})
                return False
            order = order.with_context(lang=order.create_uid.lang or "en_US")
            if step(order):
                order._job_end()
                return False
            return True

        return self._drain_in_own_transaction(run)

    def _job_end(self):
        """The last step was made."""
        self._write_job({"state": "done", "finished_at": fields.Datetime.now()})

    def _job_failed(self, message):
        self._write_job({"state": "failed", "error": message})

    def _job_error(self, error):
        if isinstance(error, UserError):
            return storable(str(error))[:500]
        text = str(error).strip().splitlines()
        return storable(f"{type(error).__name__}: {text[0] if text else ''}")[:500]
