import logging
import uuid
from datetime import timedelta

from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL
from odoo.tools.misc import clean_context

from odoo.addons.wechat_base.const import JOB_PATIENCE, TILL_PATIENCE, TILL_SECONDS
from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen
from odoo.addons.wechat_base.tools.exceptions import (
    WechatUnavailable,
    make_error,
)
from odoo.addons.wechat_base.tools.text import storable
from odoo.addons.wechat_base.tools.transport import within

from .. import const
from ..tools.pay_api import NOT_FOUND, PayApi
from ..tools.rights import check_manager
from ..tools.sentences import sentence

_logger = logging.getLogger(__name__)


class WechatPayTransaction(models.Model):
    """One order at WeChat Pay, or one refund of it, whichever door it came through.

    The number is committed before the first call. What is known about the order is
    one of the states below; who learns something new (an answer, a question, a
    callback, a bill) brings it in through :meth:`_apply_order` or
    :meth:`_apply_refund`, and only what :data:`const.TRANSITIONS` allows is done.

    ============  ==============================================================
    state         meaning
    ============  ==============================================================
    ``draft``     nothing was sent
    ``sending``   being sent, committed before the call
    ``waiting``   a payment: the customer has to act; a refund: WeChat works on it
    ``unknown``   sent, no answer that can be trusted: WeChat is asked
    ``closing``   a payment that we no longer want: it is closed or reversed
    ``done``      the money has moved
    ``failed``    the money has not moved
    ``cancelled`` closed, or reversed with the money given back
    ``abnormal``  a person has to look
    ============  ==============================================================

    A row with ``next_at`` is worked on by jobs, whatever its state.
    """

    _name = "wechat.pay.transaction"
    _description = "WeChat Pay Transaction"
    _inherit = ["wechat.drain.mixin", "wechat.pay.fen.mixin"]
    _order = "id desc"
    _rec_name = "number"

    _drain_method = "_pay_drain"
    _FEN_COLUMNS = {
        "amount": "amount_fen",
        "payer_total": "payer_total_fen",
        "settlement": "settlement_fen",
        "refunded": "refunded_fen",
    }

    kind = fields.Selection(
        [("payment", "Payment"), ("refund", "Refund")],
        required=True,
        readonly=True,
        default="payment",
    )
    way = fields.Selection(
        [
            ("codepay", "Payment code"),
            ("native", "QR code"),
            ("jsapi", "Inside WeChat"),
        ],
        required=True,
        readonly=True,
    )
    number = fields.Char(
        required=True,
        readonly=True,
        copy=False,
        index=True,
        help="Our number: out_trade_no of a payment, out_refund_no of a refund.",
    )
    remote_no = fields.Char(
        string="WeChat's number",
        readonly=True,
        copy=False,
        help="transaction_id of a payment, refund_id of a refund. The customer's "
        "phone shows it, too.",
    )
    merchant_id = fields.Many2one(
        "wechat.merchant", required=True, readonly=True, ondelete="restrict"
    )
    appid = fields.Char(string="AppID", readonly=True)
    driver = fields.Char(readonly=True, default="v3")
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    state = fields.Selection(
        [
            ("draft", "Not sent"),
            ("sending", "Being sent"),
            ("waiting", "In progress"),
            ("unknown", "Outcome unknown"),
            ("closing", "Being cancelled"),
            ("done", "Done"),
            ("failed", "Failed"),
            ("cancelled", "Cancelled"),
            ("abnormal", "Needs a person"),
        ],
        required=True,
        readonly=True,
        default="draft",
        copy=False,
    )
    description = fields.Char(readonly=True)
    amount_fen = Fen(string="Amount (fen)", required=True, readonly=True)
    amount = fields.Monetary(compute="_compute_amounts")
    payer_total_fen = Fen(string="Paid by the customer (fen)", readonly=True)
    payer_total = fields.Monetary(
        string="Paid by the customer", compute="_compute_amounts"
    )
    settlement_fen = Fen(string="The merchant receives (fen)", readonly=True)
    settlement = fields.Monetary(
        string="The merchant receives",
        compute="_compute_amounts",
        help="Before WeChat's fee: the amount without coupons that nobody funded.",
    )
    refunded_fen = Fen(string="Refunded (fen)", readonly=True, default=0, copy=False)
    refunded = fields.Monetary(compute="_compute_amounts")
    promotion_ids = fields.One2many(
        "wechat.pay.promotion", "transaction_id", string="WeChat coupons", readonly=True
    )
    payment_id = fields.Many2one(
        "wechat.pay.transaction",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Of a refund: what is given back.",
    )
    refund_ids = fields.One2many("wechat.pay.transaction", "payment_id", readonly=True)
    reason = fields.Char(readonly=True)
    abandoned = fields.Boolean(
        string="Given up",
        readonly=True,
        copy=False,
        help="Nobody counts on this payment any more. Should it be paid in spite of "
        "that, the money goes back by itself.",
    )
    success_at = fields.Datetime(string="Done at", readonly=True, copy=False)
    trade_type = fields.Char(readonly=True)
    bank_type = fields.Char(readonly=True)
    payer_openid = fields.Char(
        readonly=True, copy=False, groups="wechat_base.wechat_group_manager"
    )
    code_url = fields.Char(readonly=True, copy=False)
    prepay_id = fields.Char(
        readonly=True, copy=False, groups="wechat_base.wechat_group_manager"
    )

    sent_at = fields.Datetime(readonly=True, copy=False)
    expires_at = fields.Datetime(readonly=True, copy=False)
    queried_at = fields.Datetime(readonly=True, copy=False)
    next_at = fields.Datetime(string="Next attempt", readonly=True, copy=False)
    attempts = fields.Integer(readonly=True, copy=False)
    questions = fields.Integer(readonly=True, copy=False)
    failures = fields.Integer(string="Internal failures", readonly=True, copy=False)
    error_code = fields.Char(readonly=True, copy=False)
    error = fields.Char(readonly=True, copy=False)
    request_id = fields.Char(
        string="WeChat request ID",
        readonly=True,
        copy=False,
        help="WeChat's support asks for it.",
    )
    needs_help = fields.Boolean(readonly=True, copy=False)
    help_reason = fields.Char(string="What to do", compute="_compute_help_reason")
    settled_by_id = fields.Many2one(
        "res.users",
        string="Looked into by",
        readonly=True,
        copy=False,
        ondelete="set null",
    )
    settled_at = fields.Datetime(string="Looked into at", readonly=True, copy=False)

    user_id = fields.Many2one("res.users", string="Taken by", readonly=True)

    _number_uniq = models.Constraint(
        "UNIQUE(merchant_id, kind, number)", "A number is used only once."
    )
    _amount_positive = models.Constraint(
        "CHECK(amount_fen > 0)", "The amount must be positive."
    )
    _refunds_within_payment = models.Constraint(
        "CHECK(refunded_fen >= 0 AND refunded_fen <= amount_fen)",
        "More than was paid cannot be refunded.",
    )
    _due_idx = models.Index("(next_at, id) WHERE next_at IS NOT NULL")
    _help_idx = models.Index("(id) WHERE needs_help IS TRUE")

    # === COMPUTE METHODS === #

    @api.depends("amount_fen", "payer_total_fen", "settlement_fen", "refunded_fen")
    def _compute_amounts(self):
        for row in self:
            row.amount = money.from_fen(row.amount_fen)
            row.payer_total = money.from_fen(row.payer_total_fen)
            row.settlement = money.from_fen(row.settlement_fen)
            row.refunded = money.from_fen(row.refunded_fen)

    @api.depends("needs_help", "error_code", "error")
    @api.depends_context("lang")
    def _compute_help_reason(self):
        for row in self:
            row.help_reason = row.needs_help and (
                sentence(self.env._, row.error_code, row.error, kind=row.kind)
                or row.error_code
            )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        # A till's context must not say that a payment was born paid.
        env = self.env(context=clean_context(self.env.context))
        return super(WechatPayTransaction, self.with_env(env)).create(vals_list)

    def write(self, vals):
        if "state" in vals:
            self.check_access("write")
            self._check_transition(vals["state"])
        return super().write(vals)

    def _check_transition(self, state):
        labels = dict(self._fields["state"]._description_selection(self.env))
        for row in self:
            if state == row.state or state in const.TRANSITIONS[row.kind][row.state]:
                continue
            raise ValidationError(
                self.env._(
                    "“%(number)s” cannot go from “%(current)s” to “%(state)s”.",
                    number=row.number,
                    current=labels[row.state],
                    state=labels.get(state, state),
                )
            )

    # === ACTION METHODS === #

    def action_query(self):
        """Ask WeChat now what became of the payment or refund; of many, by a job."""
        self._check_manager()
        if len(self) == 1:
            self._work(self.id, "query", patience=TILL_PATIENCE)
            self.env.invalidate_all(flush=False)
            return None
        # sudo: see _check_manager; nothing else is written.
        self.sudo().write({"next_at": fields.Datetime.now()})
        self._drain_wake(priority=5)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "info",
                "message": self.env._(
                    "WeChat is being asked about %s payments. Load the list again in a "
                    "moment.",
                    len(self),
                ),
            },
        }

    def action_retry(self):
        """Send refunds that failed once more, each with the number that it has.

        :raises UserError: if nothing failed, or the money went back another way
        """
        self._check_manager()
        failed = self.filtered(lambda r: r.kind == "refund" and r.state == "failed")
        if not failed:
            raise UserError(self.env._("Only refunds that failed are sent again."))
        # sudo: see _check_manager.
        for refund_sudo in failed.sudo():
            if refund_sudo._is_refunded_anew():
                raise UserError(
                    self.env._(
                        "“%s” is not sent again: another refund has taken its place.",
                        refund_sudo.number,
                    )
                )
            refund_sudo.payment_id._check_refundable(refund_sudo.amount_fen)
            refund_sudo._change_refund(
                "draft",
                needs_help=False,
                questions=0,
                next_at=fields.Datetime.now(),
            )
        failed._drain_wake(priority=5)

    def action_settled(self):
        """Take rows off the worklist that a person has looked into."""
        self._check_manager()
        # sudo: see _check_manager; nothing else is written.
        self.sudo().write(
            {
                "needs_help": False,
                "settled_by_id": self.env.uid,
                "settled_at": fields.Datetime.now(),
            }
        )

    def _check_manager(self):
        check_manager(self.env)
        self.check_access("read")

    # === NUMBERS === #

    @api.model
    def _new_number(self, source=None, attempt=1):
        """Return a number of 32 letters and digits.

        :param str source: uuid of what is paid; the same source and attempt always
            have the same number
        """
        if not source:
            return uuid.uuid4().hex
        base = uuid.UUID(source)
        if attempt == 1:
            return base.hex
        return uuid.uuid5(base, str(attempt)).hex

    # === CALLS === #
    #
    # They run in a transaction that is rolled back, and write nothing.

    def _pay_api(self):
        """Return the driver for this transaction."""
        if self.way == "codepay" and self.kind == "payment":
            return self.merchant_id._codepay_driver(self.appid, self.driver)
        return PayApi(self.merchant_id._get_pay_client(), self.appid)

    # === WORK === #

    @api.model
    def _drain_due(self):
        return self._drain_look("next_at", SQL("next_at IS NOT NULL"))

    @api.model
    def _pay_drain(self):
        """Job: bring forward the transactions that are due, each on its own."""
        count, tried = 0, set()
        for _step in self._drain_steps():
            row_id = self._drain_in_own_transaction(
                lambda model: model._next_due(tried)
            )
            if not row_id:
                break
            tried.add(row_id)
            count += bool(self._work(row_id))
        self._drain_again(progress=bool(count))
        return self.env._("%s transactions", count)

    @api.model
    def _next_due(self, tried):
        self.env.cr.execute(
            SQL(
                """
                SELECT id
                  FROM wechat_pay_transaction
                 WHERE next_at <= %s AND id != ALL(%s)
                 ORDER BY next_at, id
                 LIMIT 1
                   FOR UPDATE SKIP LOCKED
                """,
                fields.Datetime.now(),
                list(tried),
            )
        )
        row = self.env.cr.fetchone()
        return row and row[0]

    @api.model
    def _work(self, row_id, wish=None, *args, patience=JOB_PATIENCE):
        """Do what a transaction needs next, and record what came of it.

        Each step is a transaction of its own, so a caller may die at any point. What
        the caller has read before is out of date afterwards.

        :param str wish: ``charge``, ``place`` or ``query``; without it the state says
        :param args: for the call; e.g. the payment code, which is kept nowhere
        :return: whether anything was done; not if somebody else works on it
        """
        seconds = TILL_SECONDS if patience == TILL_PATIENCE else None
        with self._drain_alive(row_id) as alone, within(seconds):
            return alone and self._work_alone(row_id, wish, args, patience)

    @api.model
    def _work_alone(self, row_id, wish, args, patience):
        """Take at most three steps: e.g. an answer is lost, a question, a reverse."""
        for _step in range(3):
            try:
                verb, rate_key = self._drain_in_own_transaction(
                    lambda model, wish=wish: model.browse(row_id)._begin(wish)
                )
                if not verb:
                    return True
                given = args if verb == wish else ()
                outcome = self._paced(row_id, verb, rate_key, given, patience)
                again = self._drain_in_own_transaction(
                    lambda model, verb=verb, outcome=outcome: model.browse(
                        row_id
                    )._settle(verb, outcome)
                )
            except Exception as error:
                _logger.exception("%s(%s,) could not be worked on", self._name, row_id)
                self._note_failure(row_id, error)
                return True
            if not again:
                return True
            wish = again if isinstance(again, str) else None
        return True

    @api.model
    def _paced(self, row_id, verb, rate_key, args, patience):
        limit, seconds = const.RATES[verb]
        if self.env["wechat.rate.guard"]._wait(
            rate_key, limit, seconds, patience=patience
        ):
            return make_error(
                self.env._, WechatUnavailable, "too_fast", retry_after=1.0
            )
        return self._drain_outside(row_id, f"_call_{verb}", *args)

    @api.model
    def _note_failure(self, row_id, error):
        """Record that working on a row failed here; past its own hooks."""

        def note(model):
            model.env.cr.execute(
                """
                UPDATE wechat_pay_transaction
                   SET failures = coalesce(failures, 0) + 1,
                       needs_help = needs_help IS TRUE
                           OR coalesce(failures, 0) + 1 >= %(enough)s,
                       error_code = 'exception',
                       error = %(error)s,
                       next_at = %(next)s
                 WHERE id = %(id)s
                """,
                {
                    "enough": const.HELP_AFTER,
                    "error": storable(f"{type(error).__name__}: {error}")[:300],
                    "next": fields.Datetime.now() + timedelta(minutes=1),
                    "id": row_id,
                },
            )

        self._drain_in_own_transaction(note)

    def _begin(self, wish=None):
        """Lock the row, decide what to do with it and note that before it is done.

        :return: (verb or ``None``, key of the rate guard)
        """
        if not self.exists():
            return None, None
        self._lock()
        verb = getattr(self, f"_next_{self.kind}_step")(wish)
        if verb:
            getattr(self, f"_begin_{verb}")()
        return verb, f"pay:{self.merchant_id.mchid}:{verb}"

    def _begin_sending(self, **vals):
        self.write(
            {
                **vals,
                "state": "sending",
                "sent_at": self.sent_at or fields.Datetime.now(),
                "attempts": self.attempts + 1,
                "next_at": self._in(const.GRACE_SECONDS),
            }
        )

    def _in(self, seconds):
        return fields.Datetime.now() + timedelta(seconds=seconds)

    # === OUTCOMES === #

    def _settle(self, verb, outcome):
        """Record the outcome of a call; may run again, calls nothing.

        :param outcome: what the call returned or raised
        :return: whether the next step should follow at once; a word names it
        """
        self._lock()
        self.failures = 0
        if isinstance(outcome, Exception):
            if verb != "query_refund" or getattr(outcome, "code", "") not in NOT_FOUND:
                # What WeChat does not know was refused, and that is noted already.
                self._note_error(outcome)
            again = getattr(self, f"_{verb}_failed")(outcome)
        else:
            again = getattr(self, f"_{verb}_answered")(storable(outcome))
        if self.kind == "payment" and self.state == "done" and self.next_at:
            # A callback was faster than the answer, which has planned a question.
            self.write({"next_at": False, "needs_help": False})
            return False
        return again

    def _note_error(self, error):
        self.write(
            {
                "error_code": str(getattr(error, "code", None) or "") or False,
                "error": storable(str(error))[:500],
                "request_id": getattr(error, "request_id", None) or self.request_id,
            }
        )

    def _count_question(self):
        """Count what was asked in vain; call a person when it was too often."""
        self.questions += 1
        if self.questions >= const.HELP_AFTER:
            self.needs_help = True

    def _on_change(self):
        """Hook: a payment or refund has got a state that somebody waits for."""

    # === WHEN NEXT === #

    @api.model
    def _backoff(self, steps, tries):
        return steps[min(max(tries, 1), len(steps)) - 1]

    # === CALLBACKS === #

    @api.model
    def _find_number(self, merchant, kind, number):
        """Return the transaction with a number of ours, locked."""
        row = self.search(
            [
                ("merchant_id", "=", merchant.id),
                ("kind", "=", kind),
                ("number", "=", number),
            ],
            limit=1,
        )
        if row:
            row._lock()
        return row

    # === OPENING AND GIVING UP === #

    @api.model
    def _open(self, vals):
        """Store a payment before anything is sent; in a transaction of its own.

        :param dict vals: of the new row, without number
        :return: id of the row, or ``None`` if the same online payment is in progress
            already (unique index)
        """

        def store(model):
            try:
                with model.env.cr.savepoint():
                    return model.create(vals).id
            except UniqueViolation:
                return None

        return self._drain_in_own_transaction(store)

    def _lock(self):
        self.ensure_one()
        self.env.cr.execute(
            "SELECT 1 FROM wechat_pay_transaction WHERE id = %s FOR UPDATE", [self.id]
        )
        self.invalidate_recordset()
