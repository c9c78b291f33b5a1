import json
import logging
import random
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from ..tools.text import storable

_logger = logging.getLogger(__name__)

# Seconds until the next attempt; after the last one a person has to look.
RETRY_SECONDS: tuple[int, ...] = (10, 30, 120, 600, 1800, 7200, 21600)
MAX_ATTEMPTS = len(RETRY_SECONDS) + 1
_KEEP_DAYS_PARAMETER = "wechat_base.event_keep_days"
_KEEP_DAYS = 180
_CONTENT_GROUPS = "wechat_base.wechat_group_manager,wechat_base.wechat_group_auditor"
# Rows that one transaction of the vacuum cleaner deletes.
GC_BATCH = 10000


class WechatEvent(models.Model):
    """One callback received: stored at once, worked off by a job.

    Other add-ons extend this model with ``_handle_<event type>``, dots replaced by
    underscores. A handler may run twice and in any order.
    """

    _name = "wechat.event"
    _description = "WeChat Callback"
    _inherit = "wechat.drain.mixin"
    _order = "id desc"
    _rec_name = "event_type"

    _drain_method = "_event_drain"

    source = fields.Selection(
        [("oa", "Account"), ("pay", "WeChat Pay")], required=True, readonly=True
    )
    account_id = fields.Many2one("wechat.account", readonly=True, ondelete="restrict")
    merchant_id = fields.Many2one("wechat.merchant", readonly=True, ondelete="restrict")
    company_id = fields.Many2one("res.company", readonly=True, index=True)
    event_key = fields.Char(required=True, readonly=True)
    event_type = fields.Char(required=True, readonly=True)
    openid = fields.Char(readonly=True, index="btree_not_null")
    # It names customers and holds codes of coupons.
    payload = fields.Json(readonly=True, groups=_CONTENT_GROUPS)
    payload_text = fields.Text(
        string="Content", compute="_compute_payload_text", groups=_CONTENT_GROUPS
    )
    state = fields.Selection(
        [
            ("pending", "Waiting"),
            ("done", "Done"),
            ("ignored", "Not needed"),
            ("failed", "Failed"),
        ],
        required=True,
        readonly=True,
        default="pending",
    )
    attempts = fields.Integer(readonly=True)
    error = fields.Char(readonly=True)
    received_at = fields.Datetime(required=True, readonly=True, index=True)
    processed_at = fields.Datetime(readonly=True)
    next_at = fields.Datetime(string="Next attempt", readonly=True)

    # They also find the events of an account or merchant, which then stays.
    _account_key_uniq = models.UniqueIndex(
        "(account_id, event_key) WHERE account_id IS NOT NULL", "Already received."
    )
    _merchant_key_uniq = models.UniqueIndex(
        "(merchant_id, event_key) WHERE merchant_id IS NOT NULL", "Already received."
    )
    _due_idx = models.Index("(next_at, id) WHERE state = 'pending'")
    _failed_idx = models.Index("(id) WHERE state = 'failed'")

    # === COMPUTE METHODS === #

    @api.depends("payload")
    def _compute_payload_text(self):
        for event in self:
            event.payload_text = json.dumps(
                event.payload or {}, ensure_ascii=False, indent=2
            )

    # === ACTION METHODS === #

    def action_retry(self):
        """Process failed events once more, from the first attempt.

        Nobody may write a callback: what WeChat has said is not ours to change.
        """
        manager = self.env.user.has_group("wechat_base.wechat_group_manager")
        if not (self.env.su or manager):
            raise AccessError(
                self.env._("Only a WeChat administrator may process callbacks again.")
            )
        self.check_access("read")
        failed = self.filtered(lambda event: event.state in ("failed", "pending"))
        if not failed:
            raise UserError(
                self.env._("Only callbacks that failed or wait can be tried again.")
            )
        # sudo: see above; the values are ours.
        failed.sudo().write(
            {
                "state": "pending",
                "attempts": 0,
                "error": False,
                "next_at": fields.Datetime.now(),
            }
        )
        failed._drain_wake(priority=5)

    # === RECEIVING === #

    @api.model
    def _receive(
        self,
        source,
        owner_id,
        company_id,
        event_key,
        event_type,
        payload,
        openid=None,
    ):
        """Store a verified callback, once; plain SQL, because it may come 200/s.

        What nobody handles is kept to be looked at, and costs no job.

        :param str source: ``oa`` or ``pay``
        :param int owner_id: of the account or merchant
        :param str event_key: the same for each repetition
        :return: whether it is new
        """
        is_handled = self._handler(event_type) is not None
        now = fields.Datetime.now()
        self.env.cr.execute(
            """
            INSERT INTO wechat_event (
                    source, account_id, merchant_id, company_id, event_key,
                    event_type, openid, payload, state, attempts, received_at,
                    next_at, processed_at,
                    create_uid, create_date, write_uid, write_date)
                 VALUES (%(source)s, %(account)s, %(merchant)s, %(company)s, %(key)s,
                         %(type)s, %(openid)s, %(payload)s::jsonb, %(state)s, 0,
                         %(now)s, %(now)s, %(processed)s,
                         1, %(now)s, 1, %(now)s)
            ON CONFLICT DO NOTHING
            """,
            {
                "state": "pending" if is_handled else "ignored",
                "processed": None if is_handled else now,
                "source": source,
                "account": owner_id if source == "oa" else None,
                "merchant": owner_id if source == "pay" else None,
                "company": company_id,
                "key": storable(event_key),
                "type": storable(event_type),
                "openid": storable(openid) or None,
                "payload": json.dumps(storable(payload), ensure_ascii=False),
                "now": now,
            },
        )
        if not self.env.cr.rowcount:
            return False
        if is_handled:
            self._drain_wake()
        return True

    def _handler(self, event_type):
        """Return the method for a kind of event, or ``None``."""
        return getattr(self, f"_handle_{event_type.replace('.', '_')}", None)

    # === PROCESSING === #

    def _payload(self):
        """Return the content: elements of the XML, or the decrypted resource."""
        self.ensure_one()
        return self.payload or {}

    @api.model
    def _drain_due(self):
        return self._drain_look("next_at", SQL("state = 'pending'"))

    @api.model
    def _event_drain(self):
        """Job: process the events that are due, each in its own transaction.

        The transaction of an event also claims the next one, so each attempt is
        committed before its handler runs: an event whose handler takes the process
        with it is tried again later, behind the others, and given up in the end.
        """
        count = 0
        event_id = self._drain_in_own_transaction(lambda model: model._claim_next())
        for _step in self._drain_steps():
            if not event_id:
                break
            event_id = self._event_step(event_id)
            count += 1
        if event_id:
            self._drain_in_own_transaction(lambda model: model._unclaim(event_id))
        self._drain_again(progress=bool(count))
        return self.env._("%s callbacks", count)

    @api.model
    def _event_step(self, event_id):
        """Process one event that was claimed, and claim the next one.

        :return: id of the next one, or ``False``
        """

        def settle(model):
            # First, while the transaction's view of the others' claims is fresh.
            next_id = model._claim_next(event_id)
            model._lock_claimed(event_id)._process()
            return next_id

        def fail(model):
            next_id = model._claim_next(event_id)
            model._lock_claimed(event_id)._set_failed(message)
            return next_id

        try:
            return self._drain_in_own_transaction(settle)
        except Exception as error:
            # A handler's failure is the event's, not the job's: the next event
            # must not wait for it.
            _logger.warning("WeChat callback %s failed", event_id, exc_info=True)
            message = self._error_text(error)
        return self._drain_in_own_transaction(fail)

    @api.model
    def _claim_next(self, busy_id=0):
        """Count an attempt at the oldest event that is due and that nobody has.

        :param int busy_id: the event that this job works on
        :return: its id, or ``False``
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT id
                  FROM %s
                 WHERE state = 'pending' AND next_at <= %s AND id != %s
                 ORDER BY next_at, id
                 LIMIT 1
                   FOR UPDATE SKIP LOCKED
                """,
                SQL.identifier(self._table),
                fields.Datetime.now(),
                busy_id,
            )
        )
        event = self.browse([row[0] for row in self.env.cr.fetchall()])
        if event:
            wait = RETRY_SECONDS[min(event.attempts, len(RETRY_SECONDS) - 1)]
            event.write(
                {
                    "attempts": event.attempts + 1,
                    "next_at": fields.Datetime.now()
                    + timedelta(seconds=wait * random.uniform(0.8, 1.2)),
                }
            )
        return event.id

    @api.model
    def _unclaim(self, event_id):
        """Give back an event that was claimed and not begun."""
        event = self._lock_claimed(event_id)
        event.write({"attempts": event.attempts - 1, "next_at": fields.Datetime.now()})

    @api.model
    def _lock_claimed(self, event_id):
        """Lock an event that was claimed, if nobody else has it by now."""
        self.env.cr.execute(
            SQL(
                """
                SELECT id
                  FROM %s
                 WHERE id = %s AND state = 'pending'
                   FOR UPDATE SKIP LOCKED
                """,
                SQL.identifier(self._table),
                event_id,
            )
        )
        return self.browse([row[0] for row in self.env.cr.fetchall()])

    def _process(self):
        """Hand the event to its handler and record the outcome."""
        if not self:
            return
        self.ensure_one()
        if self.attempts > MAX_ATTEMPTS:
            self._set_failed(
                self.env._("The process ended each time while it worked on this.")
            )
            return
        owner = self.account_id or self.merchant_id
        # What a job writes into a history is read by who set the connection up.
        told = self.with_context(lang=owner.create_uid.lang)
        handler = told.with_company(self.company_id)._handler(self.event_type)
        state = "ignored"
        if handler:
            state = "ignored" if handler() is False else "done"
        self.write(
            {"state": state, "error": False, "processed_at": fields.Datetime.now()}
        )

    def _set_failed(self, message):
        """Record a failure; the claim has said when to try again."""
        if self:
            vals = {"error": message}
            if self.attempts >= MAX_ATTEMPTS:
                vals["state"] = "failed"
            self.write(vals)

    @api.model
    def _error_text(self, error):
        """Return one line about an exception, without a traceback."""
        text = str(error).strip().splitlines()
        return storable(f"{type(error).__name__}: {text[0] if text else ''}")[:500]

    # === HANDLERS === #

    def _handle_subscribe(self):
        """Somebody follows the account, perhaps through a QR code with a scene."""
        scene = self._payload().get("EventKey") or ""
        self._touch_identity(
            subscribed=True,
            subscribed_at=self._created_at(),
            scene=scene.removeprefix("qrscene_") or None,
        )

    def _handle_unsubscribe(self):
        """Somebody does not follow the account any more."""
        self._touch_identity(subscribed=False)

    def _handle_scan(self):
        """A follower has scanned a QR code with a scene."""
        self._touch_identity(scene=self._payload().get("EventKey") or None)

    def _touch_identity(self, **vals):
        """Find or make the identity of the sender; the newest message decides.

        :return: a ``wechat.identity`` record, empty without a sender
        """
        self.ensure_one()
        identities = self.env["wechat.identity"]
        if not (self.openid and self.account_id):
            return identities
        created_at = self._created_at()
        identity = identities._find_or_create(self.account_id, self.openid)
        if identity.last_event_at and identity.last_event_at > created_at:
            # Delivered late: what came after it has been processed already.
            return identity
        vals = {name: value for name, value in vals.items() if value is not None}
        identity.write({**vals, "last_event_at": created_at})
        return identity

    def _created_at(self):
        """Return when the event happened, as WeChat says."""
        created = str(self._payload().get("CreateTime") or "")
        if created.isascii() and created.isdigit() and len(created) <= 10:
            return fields.Datetime.to_datetime("1970-01-01") + timedelta(
                seconds=int(created)
            )
        return self.received_at

    # === HOUSEKEEPING === #

    @api.autovacuum
    def _gc_events(self):
        """Delete settled events after some months (system parameter).

        :return: (deleted, whether there may be more), for the vacuum cleaner
        """
        # sudo: the age is a system parameter.
        days = self.env["ir.config_parameter"].sudo().get_param(_KEEP_DAYS_PARAMETER)
        days = int(days) if str(days).isdigit() else _KEEP_DAYS
        limit = fields.Datetime.now() - timedelta(days=max(days, 2))
        self.env.cr.execute(
            """
            DELETE FROM wechat_event
                  WHERE id IN (SELECT id
                                 FROM wechat_event
                                WHERE state IN ('done', 'ignored')
                                  AND received_at < %s
                                ORDER BY received_at
                                LIMIT %s)
            """,
            [limit, GC_BATCH],
        )
        return self.env.cr.rowcount, self.env.cr.rowcount == GC_BATCH
