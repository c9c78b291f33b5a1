import json
import logging
import time
from datetime import timedelta

from markupsafe import escape
from psycopg2 import OperationalError
from psycopg2.errors import SerializationFailure

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from odoo.addons.wechat_base.tools import money, transport
from odoo.addons.wechat_base.tools.columns import Fen
from odoo.addons.wechat_base.tools.exceptions import (
    WechatConfigError,
    WechatError,
    WechatRefused,
)

from .. import const
from ..tools.ledger import as_ledger
from ..tools.paid import without_stopping
from .coupon_reason import CONFLICT_REASONS, TIME_REASONS

_logger = logging.getLogger(__name__)

_ACTIVE = ("reserved", "redeemed")
_SWEEP_BATCH = 1000
_RETRY_BATCH = 100


class CouponRedemption(models.Model):
    """The ledger: one use of one coupon on one order.

    Whether a coupon is used is what this table says. The unique index
    ``_one_active_per_coupon`` is what stops a second use; everything in Python only
    finds out earlier and says it more kindly.
    """

    _name = "coupon.redemption"
    _description = "Coupon Redemption"
    # `rating.mixin` is a `mail.thread` too.
    _inherit = ["rating.mixin", "mail.activity.mixin", "wechat.operation"]
    _order = "id desc"
    _rec_name = "order_name"
    # Nobody writes the ledger, but who reads it may talk about it.
    _mail_post_access = "read"

    _operation_rate_family = "card"

    coupon_id = fields.Many2one(
        "loyalty.card",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    code = fields.Char(related="coupon_id.code")
    template_id = fields.Many2one(
        "coupon.template",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    program_id = fields.Many2one(
        "loyalty.program", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    channel = fields.Selection(
        selection=lambda self: (
            self.env["coupon.template"]
            ._fields["channel"]
            ._description_selection(self.env)
        ),
        readonly=True,
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    state = fields.Selection(
        selection=[
            ("reserved", "Reserved"),
            ("redeemed", "Redeemed"),
            ("released", "Released"),
            ("returned", "Returned"),
            ("conflict", "Conflict"),
        ],
        required=True,
        readonly=True,
    )
    release_reason = fields.Selection(
        selection=[
            ("cancelled", "Order given up"),
            ("changed", "Taken off the order"),
            ("expired", "Time was over"),
            ("manager", "By a manager"),
        ],
        readonly=True,
    )
    problems = fields.Json(
        readonly=True,
        help="What is wrong with it: codes of coupon.reason with their values.",
    )
    reason = fields.Char(
        compute="_compute_reason",
        help="What is wrong with it, or why it was released, in your language.",
    )
    needs_attention = fields.Boolean(
        readonly=True, help="Somebody has to look at it: it is on the worklist."
    )
    settled_at = fields.Datetime(readonly=True)
    settled_by_id = fields.Many2one(
        "res.users", string="Settled by", readonly=True, ondelete="set null"
    )
    settle_reason = fields.Char(string="How It Was Settled", readonly=True)

    order_uuid = fields.Char(
        string="Order UUID", required=True, readonly=True, index=True
    )
    order_name = fields.Char(string="Order", readonly=True)
    pos_order_id = fields.Many2one(
        "pos.order",
        string="Point of Sale Order",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    session_id = fields.Many2one(
        "pos.session", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    config_id = fields.Many2one(
        "pos.config",
        string="Shop",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    user_id = fields.Many2one(
        "res.users", string="Cashier", readonly=True, ondelete="restrict"
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    funded_by = fields.Selection(
        selection=[("merchant", "The shop"), ("wechat", "WeChat")],
        readonly=True,
        default="merchant",
        help="Who bears the discount.",
    )

    discount_fen = Fen(string="Discount (fen)", readonly=True)
    order_total_fen = Fen(string="Order Total (fen)", readonly=True)
    discount_amount = fields.Monetary(string="Discount", readonly=True)
    order_amount = fields.Monetary(
        readonly=True,
        help="What the customer paid for the order, after all discounts.",
    )
    line_ids = fields.One2many(
        "coupon.redemption.line", "redemption_id", string="Products", readonly=True
    )

    reserved_at = fields.Datetime(readonly=True)
    expires_at = fields.Datetime(string="Held Until", readonly=True)
    redeemed_at = fields.Datetime(readonly=True)
    released_at = fields.Datetime(readonly=True)

    _one_active_per_coupon = models.UniqueIndex(
        "(coupon_id) WHERE state IN ('reserved', 'redeemed')",
        "This coupon is already used, or held by an open order.",
    )
    _one_conflict_per_order = models.UniqueIndex(
        "(order_uuid, coupon_id) WHERE state = 'conflict'",
        "This conflict is on the worklist already.",
    )
    _expiry = models.Index("(expires_at) WHERE state = 'reserved'")
    _worklist = models.Index("(id) WHERE needs_attention")
    _by_date = models.Index("(company_id, redeemed_at) WHERE state = 'redeemed'")

    def _order_field_to_sql(self, alias, field_name, direction, nulls, query):
        """Override of ``BaseModel``: groups by template without a join.

        Joining what only orders a few groups takes PostgreSQL's parallel plan away:
        a report of a million redemptions would take twice as long.
        """
        if field_name == "template_id":
            field_name = "template_id.id"
        return super()._order_field_to_sql(alias, field_name, direction, nulls, query)

    # === COMPUTE METHODS === #

    @api.depends("problems")
    @api.depends_context("lang")
    def _compute_reason(self):
        reasons = self.env["coupon.reason"]
        for redemption in self:
            redemption.reason = " ".join(
                reasons._message(code, **values)
                for code, values in redemption.problems or []
            )

    # === ACTION METHODS === #

    def action_retry(self):
        """Try again what did not work, after its cause is gone."""
        self._check_manager()
        for redemption in self:
            if redemption.state == "conflict":
                redemption._retry_conflict()
            elif redemption.remote_state in ("refused", "unknown", "pending"):
                # sudo: nobody writes the ledger but the ledger.
                redemption.sudo().action_operation_retry()
        return True

    def action_settle(self):
        """Open the dialogue that takes redemptions off the worklist."""
        self._check_manager()
        return self._reason_wizard("settle", self.env._("Settle"))

    def action_release(self):
        """Open the dialogue that gives held coupons free."""
        self._check_manager()
        return self._reason_wizard("release", self.env._("Release Coupons"))

    def action_view_order(self):
        """Open the order of the redemption."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "pos.order",
            "view_mode": "form",
            "res_id": self.pos_order_id.id,
        }

    def _reason_wizard(self, action, name):
        return {
            "type": "ir.actions.act_window",
            "name": name,
            "res_model": "coupon.reason.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {
                "default_action": action,
                "default_redemption_ids": self.ids,
            },
        }

    # === BUSINESS METHODS - RIGHTS === #

    @api.model
    def _check_user(self):
        """Refuse users who may not use coupons at the till.

        :raises AccessError: if the user lacks the group
        """
        if not self.env.su and not self.env.user.has_group(
            "wechat_coupon.coupon_group_user"
        ):
            raise AccessError(
                self.env._("You may not use coupons. Ask your manager for the right.")
            )

    @api.model
    def _check_manager(self):
        self.env["coupon.template"]._check_manager()

    # === BUSINESS METHODS - LOOKING === #

    @api.model
    def _active_for(self, coupons):
        """Return the redemptions that hold or have used coupons."""
        return self.search([("coupon_id", "in", coupons.ids), ("state", "in", _ACTIVE)])

    @api.model
    def _holders(self, coupon_ids, order_uuid=None):
        """Return who has coupons, as ``{coupon_id: row}`` with plain values.

        :param list coupon_ids: the coupons
        :param str order_uuid: what this order has is returned as well
        """
        self.flush_model()
        return {
            row["coupon_id"]: row
            for row in self.env.execute_query_dict(
                SQL(
                    """
                    SELECT r.id, r.coupon_id, r.state, r.order_uuid, r.expires_at,
                           r.redeemed_at, r.config_id, r.company_id, r.order_name,
                           r.customer_key
                      FROM coupon_redemption r
                     WHERE (r.coupon_id = ANY(%s) OR r.order_uuid = %s)
                       AND r.state IN ('reserved', 'redeemed')
                    """,
                    list(coupon_ids),
                    order_uuid,
                )
            )
        }

    @api.model
    def _holder_refusal(self, holder, order):
        """Why a coupon that has a holder cannot go on an order.

        :param dict holder: row of :meth:`_holders`, or ``None``
        :return: reason code with the values of its sentence, or ``None``
        """
        if not holder or self._is_own(holder, order):
            return None
        if holder["state"] == "redeemed":
            return "used", {"date": self._local(holder["redeemed_at"], "%Y-%m-%d")}
        if holder["expires_at"] < fields.Datetime.now():
            return None
        # sudo: the other shop may be one that the cashier does not see.
        config_sudo = self.env["pos.config"].sudo().browse(holder["config_id"])
        return "held_by_other_order", {
            "shop": config_sudo.name,
            "time": self._local(holder["expires_at"], "%H:%M"),
        }

    @api.model
    def _is_own(self, holder, order):
        """Whether the order itself is the holder of a coupon.

        Its number alone is not enough: it belongs to a company, and to a till or
        one that shares its orders.
        """
        if holder["order_uuid"] != order.uuid:
            return False
        if holder["company_id"] != order.company.id:
            return False
        shops = self._own_shops(order)
        return not (shops and holder["config_id"]) or holder["config_id"] in shops

    @api.model
    def _own_shops(self, order):
        """Return the ids of the tills on which an order may be open."""
        # sudo: the till may share its orders with ones that the cashier cannot see.
        config_sudo = order.config.sudo()
        return (config_sudo | config_sudo.trusted_config_ids).ids

    @api.model
    def _own_where(self, order):
        """Return the condition for rows that :meth:`_is_own` accepts."""
        where = SQL("order_uuid = %s AND company_id = %s", order.uuid, order.company.id)
        shops = self._own_shops(order)
        if not shops:
            return where
        return SQL("%s AND (config_id IS NULL OR config_id = ANY(%s))", where, shops)

    def _held_until(self):
        """Return when the first of these reservations is over, or ``None``."""
        self.env.cr.execute(
            "SELECT min(expires_at) FROM coupon_redemption WHERE id = ANY(%s)",
            [self.ids],
        )
        return self.env.cr.fetchone()[0]

    def _local(self, value, pattern):
        """Return a time as the shop's clock shows it, whoever asks."""
        if not value:
            return ""
        zone = self.env.company.partner_id.tz or const.WECHAT_TZ
        local = fields.Datetime.context_timestamp(self.with_context(tz=zone), value)
        return local.strftime(pattern)

    # === BUSINESS METHODS - RESERVE === #

    @api.model
    def _reserve(self, order, coupons, cart=None, *, ask=True):
        """Hold coupons for an order: all of them or none.

        Idempotent: what the order holds already is renewed, what it holds and is
        not among ``coupons`` any more is released.

        :param order: :class:`~.tools.cart.OrderRef`
        :param coupons: ``loyalty.card`` records, guarded
        :param cart: :class:`~.tools.cart.Cart`
        :param bool ask: whether the channels are asked about what is not held yet
        :return: the redemptions, and the refusals as
            ``[(coupon, reason code, values)]``; one of the two is empty
        :rtype: tuple
        """
        ledger = self.sudo()
        coupons = coupons.sudo().sorted("id")
        holders = ledger._holders(coupons.ids, order.uuid)
        refusals = ledger._refusals(order, coupons, cart, holders)
        if ask and not refusals:
            # The only call to the outside, before anything is locked. It changes
            # nothing, so it does no harm if Odoo runs the request again.
            refusals = ledger._ask_channels(order, coupons, holders)
        if refusals:
            return ledger.browse(), refusals
        return ledger._hold(order, coupons, holders)

    def _refusals(self, order, coupons, cart, holders):
        refusals = []
        for coupon in coupons:
            if coupon.company_id not in order.companies:
                # Nothing more is told about what another company has issued.
                refusals.append((coupon, "other_company", {}))
                continue
            holder = holders.get(coupon.id)
            found = self._holder_refusal(holder, order) or next(
                iter(
                    coupon._wechat_refusals(
                        order, cart, held=self._holds(holder, order)
                    )
                ),
                None,
            )
            if found:
                refusals.append((coupon, *found))
        return refusals

    @api.model
    def _holds(self, holder, order):
        """Whether the order has the coupon, and its time is not over."""
        return bool(
            holder
            and self._is_own(holder, order)
            and (
                holder["state"] == "redeemed"
                or holder["expires_at"] > fields.Datetime.now()
            )
        )

    def _ask_channels(self, order, coupons, holders):
        """Ask the channels about coupons that the order does not hold yet."""
        deadline = time.monotonic() + const.TILL_DEADLINE
        refusals = []
        for coupon in coupons:
            channel = coupon.coupon_template_id._channel()
            # What the order holds was asked when it got it. After the customer has
            # paid, a refusal would help nobody.
            held = self._holds(holders.get(coupon.id), order)
            if not channel._asks_before_reserve or held:
                continue
            reason = self._ask_channel(channel, coupon, deadline, order=order)
            if reason:
                refusals.append((coupon, reason, {}))
        return refusals

    @api.model
    def _ask_channel(self, channel, coupon, deadline, order=None):
        """Ask a channel whether a coupon is good now.

        :param float deadline: ``time.monotonic()`` by which to answer
        :param order: :class:`~.tools.cart.OrderRef` it is asked for, if for one
        :return: ``None`` if it is, otherwise a reason code
        """
        left = deadline - time.monotonic()
        if left <= 0:
            return "remote_unavailable"
        timeout = min(left, const.TILL_TIMEOUT)
        try:
            with transport.within(timeout):
                return channel._query(coupon, timeout=timeout)
        except WechatConfigError:
            _logger.warning("WeChat account of coupon %s", coupon.id, exc_info=True)
            return "account_misconfigured"
        except WechatRefused:
            _logger.warning("WeChat refused coupon %s", coupon.id, exc_info=True)
            return "refused"
        except WechatError:
            _logger.info("WeChat gave no answer on coupon %s", coupon.id)
            return "remote_unavailable"

    def _hold(self, order, coupons, holders):
        """Write the reservation; see :meth:`_reserve`.

        :param dict holders: what :meth:`_holders` says in this transaction
        """
        held, refusals = {}, []
        try:
            with self.env.cr.savepoint():
                held, refusals = self._hold_now(order, coupons, holders)
                if refusals:
                    raise _Taken()
        except _Taken:
            return self.browse(), refusals
        except SerializationFailure:
            # Somebody took a coupon after our transaction began. Odoo would run the
            # request again after a pause of up to two seconds; a look at what is
            # committed now often gives the answer at once.
            refusals = self._taken_now(order, coupons)
            if not refusals:
                raise
            return self.browse(), refusals
        self.invalidate_model()
        return self.browse(sorted(held)), []

    def _hold_now(self, order, coupons, holders):
        """Release, renew and insert, coupons in the order of their ids.

        :return: ``{id: coupon_id}`` of what the order has now, and refusals; when
            there are any, the caller undoes everything
        :rtype: tuple
        """
        # Whoever makes a coupon invalid or moves it waits for us, or we for him; two
        # who reserve do not wait for each other here: the index decides.
        coupons._wechat_lock(shared=True)
        now = fields.Datetime.now()
        # sudo: the company's settings are not for every user of the till to read.
        minutes = order.company.sudo().wechat_coupon_ttl
        expires_at = now + timedelta(minutes=minutes)
        own = [row for row in holders.values() if self._is_own(row, order)]
        staying = coupons - self._held_for_another(order, coupons, own)
        if any(row["coupon_id"] not in staying.ids for row in own):
            self._release_where(
                SQL(
                    "%s AND coupon_id != ALL(%s)",
                    self._own_where(order),
                    staying.ids,
                ),
                "changed",
            )
        if len(own) < len(holders):
            # Others have them, but their time is over, or we would not be here.
            self._release_where(
                SQL(
                    "coupon_id = ANY(%s) AND order_uuid != %s AND expires_at < %s",
                    coupons.ids,
                    order.uuid,
                    now,
                ),
                "expired",
            )
        held = self._renew(order, staying, expires_at) if own else {}
        wanted = coupons.filtered(lambda coupon: coupon.id not in held.values())
        slots, over = self._take_slots(order, wanted, coupons, free=True)
        if over:
            return held, over
        held.update(
            self._insert(
                order,
                wanted,
                "reserved",
                {"reserved_at": now, "expires_at": expires_at},
                slots,
            )
        )
        missing = coupons.filtered(lambda coupon: coupon.id not in held.values())
        return held, self._missing_refusals(order, missing)

    def _renew(self, order, coupons, expires_at):
        """Give the order more time for what it has.

        :return: ``{id: coupon_id}``
        """
        self.env.cr.execute(
            SQL(
                """
                UPDATE coupon_redemption
                   SET expires_at = greatest(expires_at, %s), write_date = %s
                 WHERE %s AND coupon_id = ANY(%s)
                   AND state IN ('reserved', 'redeemed')
                RETURNING id, coupon_id
                """,
                expires_at,
                fields.Datetime.now(),
                self._own_where(order),
                coupons.ids,
            ),
            log_exceptions=False,
        )
        return dict(self.env.cr.fetchall())

    def _missing_refusals(self, order, missing):
        if not missing:
            return []
        holders = self._holders(missing.ids)
        return [
            (
                coupon,
                *(
                    self._holder_refusal(holders.get(coupon.id), order)
                    or ("held_by_other_order", {})
                ),
            )
            for coupon in missing
        ]

    def _taken_now(self, order, coupons):
        """Refusals by what other transactions have committed until now.

        :return: as :meth:`_hold_now`; empty if that is not the cause
        """
        with self.env.registry.cursor() as cr:
            fresh = self.with_env(self.env(cr=cr))
            holders = fresh._holders(coupons.ids)
            found = [
                (coupon, fresh._holder_refusal(holders.get(coupon.id), order))
                for coupon in coupons
            ]
        return [(coupon, *refusal) for coupon, refusal in found if refusal]

    def _insert(self, order, coupons, state, vals, slots=None):
        """Insert one row per coupon; the index lets pass what nobody else has.

        :param order: :class:`~.tools.cart.OrderRef`
        :param coupons: ``loyalty.card`` records in the order of their ids
        :param str state: state of the new rows
        :param dict vals: further columns with plain values
        :param dict slots: what :meth:`_take_slots` says, columns by coupon
        :return: ``{id: coupon_id}`` of the new rows
        """
        if not coupons:
            return {}
        now = fields.Datetime.now()
        rows = [
            {
                "coupon_id": coupon.id,
                "template_id": coupon.coupon_template_id.id,
                "program_id": coupon.program_id.id,
                "channel": coupon.coupon_template_id.channel,
                "company_id": order.company.id,
                "state": state,
                "order_uuid": order.uuid,
                "session_id": order.session.id or None,
                "config_id": order.config.id or None,
                "user_id": self.env.uid,
                "partner_id": order.partner.id or None,
                "funded_by": "merchant",
                "needs_attention": state == "conflict",
                "request_no": self._operation_request_no(),
                "remote_state": "none",
                "remote_priority": 10,
                "remote_attempts": 0,
                "create_uid": self.env.uid,
                "write_uid": self.env.uid,
                "create_date": now,
                "write_date": now,
                **vals,
                **(slots[coupon] if slots else {}),
            }
            # Whoever takes several slots takes them in the same order.
            for coupon in coupons.sorted(
                lambda coupon: (coupon.coupon_template_id.id, coupon.id)
            )
        ]
        columns = list(rows[0])
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO coupon_redemption (%s) VALUES %s
                ON CONFLICT DO NOTHING
                RETURNING id, coupon_id
                """,
                SQL(", ").join(map(SQL.identifier, columns)),
                SQL(", ").join(
                    SQL("%s", tuple(row[column] for column in columns)) for row in rows
                ),
            ),
            # A conflict with another transaction is expected here, and settled.
            log_exceptions=False,
        )
        return dict(self.env.cr.fetchall())

    # === BUSINESS METHODS - RELEASE === #

    @api.model
    def _release(self, order, coupons=None, reason="cancelled"):
        """Give free what an order holds; what is redeemed stays so.

        :param order: :class:`~.tools.cart.OrderRef`
        :param coupons: only these ``loyalty.card`` records; all by default
        :param str reason: a value of ``release_reason``
        :return: number of coupons that are free again
        :rtype: int
        """
        where = self._own_where(order)
        if coupons is not None:
            where = SQL("%s AND coupon_id = ANY(%s)", where, coupons.ids)
        return self.sudo()._release_where(where, reason)

    def _release_where(self, where, reason, problems=None, limit=None):
        """Release what is reserved, is no other transaction's, and fits.

        :param SQL where: which rows
        :param str reason: a value of ``release_reason``
        :param list problems: see ``problems``
        :param int limit: rows at most
        :return: number of rows
        """
        self.flush_model()
        now = fields.Datetime.now()
        self.env.cr.execute(
            SQL(
                """
                UPDATE coupon_redemption
                   SET state = 'released', released_at = %(now)s,
                       release_reason = %(reason)s, problems = %(problems)s::jsonb,
                       write_date = %(now)s, write_uid = %(uid)s
                 WHERE id IN (
                        SELECT id FROM coupon_redemption
                         WHERE state = 'reserved' AND %(where)s
                         ORDER BY coupon_id
                           FOR UPDATE SKIP LOCKED
                         LIMIT %(limit)s)
                """,
                now=now,
                reason=reason,
                problems=problems and json.dumps(problems),
                uid=self.env.uid,
                where=where,
                limit=limit,
            ),
            log_exceptions=False,
        )
        count = self.env.cr.rowcount
        if count:
            self.invalidate_model()
        return count

    @api.model
    def _cron_sweep_expired(self):
        """Release reservations past their time, and settle what that makes free."""
        remaining = True
        while remaining:
            count = self._release_where(
                SQL("expires_at < %s", fields.Datetime.now()),
                "expired",
                limit=_SWEEP_BATCH,
            )
            remaining = count == _SWEEP_BATCH
            left = self.env["ir.cron"]._commit_progress(count, remaining=int(remaining))
            if not left:
                return
        self._retry_conflicts()

    def _retry_conflicts(self):
        """Redeem the conflicts whose coupons are free by now, the oldest first."""
        self.flush_model()
        self.env.cr.execute(
            """
            SELECT r.id
              FROM coupon_redemption r
              JOIN loyalty_card c ON c.id = r.coupon_id
              JOIN res_company s ON s.id = r.company_id
             WHERE r.needs_attention AND r.state = 'conflict'
               AND c.wechat_state = 'usable'
               AND '/' || s.parent_path LIKE '%%/' || c.company_id || '/%%'
               AND NOT coalesce(r.problems @> '[["goods_returned"]]', false)
               AND NOT EXISTS (
                   SELECT 1 FROM coupon_redemption a
                    WHERE a.coupon_id = r.coupon_id
                      AND a.state IN ('reserved', 'redeemed'))
             ORDER BY r.id LIMIT %s
            """,
            [_RETRY_BATCH],
        )
        ids = [row[0] for row in self.env.cr.fetchall()]
        for done, conflict_id in enumerate(ids, start=1):
            conflict = self.browse(conflict_id)
            try:
                with self.env.cr.savepoint():
                    conflict._retry_conflict()
            except OperationalError:
                # Somebody uses the coupon at this moment: the next time.
                self.env.invalidate_all(flush=False)
            except Exception:
                _logger.exception("Conflict %s cannot be settled", conflict_id)
                self.env.invalidate_all(flush=False)
            left = self.env["ir.cron"]._commit_progress(1, remaining=len(ids) - done)
            if not left:
                return

    # === BUSINESS METHODS - REDEEM === #

    @api.model
    def _redeem(self, order, uses):
        """Write that a paid order has used coupons.

        Runs in the transaction that saves the order, and may run again for the
        same order. Never refuses: what another order has becomes a conflict.

        :param order: :class:`~.tools.cart.OrderRef`
        :param dict uses: ``{coupon: values}``, values being columns of the ledger
            (amounts, order) plus ``lines``, dicts for ``coupon.redemption.line``
        :return: redemptions that are new, redeemed or in conflict
        """
        ledger = self.sudo()
        ledger.flush_model()
        coupons = self.env["loyalty.card"].union(*uses).sudo().sorted("id")
        known = ledger._known_uses(order, coupons)
        coupons = coupons.filtered(lambda coupon: coupon.id not in known)
        if not coupons:
            return ledger.browse()
        coupons._wechat_lock()
        own = coupons.filtered(lambda coupon: coupon.company_id in order.companies)
        done = ledger._redeem_reserved(order, own, uses)
        held = own.filtered(lambda coupon: coupon.id in done.values())
        refused = ledger._refused_on_paid(order, coupons - held)
        rest = (own - held).filtered(
            lambda coupon: refused.get(coupon) not in CONFLICT_REASONS
        )
        done.update(ledger._redeem_unreserved(order, rest, uses))
        conflicts = {}
        for coupon in coupons.filtered(lambda coupon: coupon.id not in done.values()):
            conflicts.update(
                ledger._add_conflict(order, coupon, uses, refused.get(coupon))
            )
        redemptions = ledger.browse([*done, *conflicts])
        ledger.invalidate_model()
        redemptions._after_redeem(uses, refused)
        return redemptions

    def _known_uses(self, order, coupons):
        """Return the ids of coupons that the order has used before.

        :rtype: set
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT coupon_id FROM coupon_redemption
                 WHERE order_uuid = %s AND coupon_id = ANY(%s)
                   AND state IN ('redeemed', 'returned', 'conflict')
                """,
                order.uuid,
                coupons.ids,
            )
        )
        return {row[0] for row in self.env.cr.fetchall()}

    def _refused_on_paid(self, order, coupons):
        """Why coupons that a paid order has not reserved were no good for it.

        :return: ``{coupon: reason code}`` of those that were not
        :rtype: dict
        """
        reasons = {}
        for coupon in coupons:
            if coupon.company_id not in order.companies:
                reasons[coupon] = "other_company"
                continue
            found = {code for code, _values in coupon._wechat_refusals(order)}
            # Whose coupon it is was checked, if at all, when the order was open.
            found -= {"other_owner"}
            released = self._released_from(order, coupon)
            if "expired" in released:
                found -= TIME_REASONS
            if not released:
                # A till of ours reserves before anything is paid.
                found.add("not_reserved")
            # What makes it a conflict weighs most.
            ranked = sorted(found, key=lambda code: code not in CONFLICT_REASONS)
            if ranked:
                reasons[coupon] = ranked[0]
        return reasons

    def _released_from(self, order, coupon):
        """Return why the order has lost a coupon that it held, each time."""
        rows = self.search_fetch(
            [
                ("order_uuid", "=", order.uuid),
                ("company_id", "=", order.company.id),
                ("coupon_id", "=", coupon.id),
                ("state", "=", "released"),
                ("released_at", ">", fields.Datetime.now() - const.OFFLINE_TIME),
            ],
            ["release_reason"],
        )
        return rows.mapped("release_reason")

    def _redeem_columns(self, coupon, uses, now):
        values = uses.get(coupon) or {}
        discount = money.storable(values.get("discount_fen", 0))
        total = money.storable(values.get("order_total_fen", 0))
        return {
            "discount_fen": discount,
            "order_total_fen": total,
            "discount_amount": money.from_fen(discount),
            "order_amount": money.from_fen(total),
            "order_name": values.get("order_name"),
            "pos_order_id": values.get("pos_order_id"),
            "redeemed_at": now,
        }

    def _redeem_reserved(self, order, coupons, uses):
        """Turn the reservations of the order into redemptions."""
        now = fields.Datetime.now()
        done = {}
        for coupon in coupons:
            columns = {
                **self._redeem_columns(coupon, uses, now),
                "user_id": self.env.uid,
                "session_id": order.session.id or None,
                "config_id": order.config.id or None,
                "partner_id": order.partner.id or None,
                "write_date": now,
                "write_uid": self.env.uid,
            }
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE coupon_redemption SET state = 'redeemed', %s
                     WHERE order_uuid = %s AND coupon_id = %s AND state = 'reserved'
                       AND company_id = %s
                    RETURNING id, coupon_id
                    """,
                    SQL(", ").join(
                        SQL("%s = %s", SQL.identifier(name), value)
                        for name, value in columns.items()
                    ),
                    order.uuid,
                    coupon.id,
                    order.company.id,
                )
            )
            done.update(dict(self.env.cr.fetchall()))
        return done

    def _redeem_unreserved(self, order, coupons, uses):
        """Redeem what the order holds no more, if nobody else does."""
        coupons = coupons.filtered(lambda coupon: not coupon.wechat_used_outside)
        if not coupons:
            return {}
        now = fields.Datetime.now()
        self._release_where(
            SQL("coupon_id = ANY(%s) AND expires_at < %s", coupons.ids, now), "expired"
        )
        done = {}
        for coupon in coupons:
            done.update(
                self._insert(
                    order,
                    coupon,
                    "redeemed",
                    {"reserved_at": now, **self._redeem_columns(coupon, uses, now)},
                    # What is paid is redeemed, if need be without a slot.
                    self._take_slots(order, coupon, free=True)[0],
                )
            )
        return done

    @api.model
    def _record_failure(self, order, uses):
        """Keep a paid order's coupons on the worklist after a mistake of ours.

        :param order: :class:`~.tools.cart.OrderRef`
        :param dict uses: see :meth:`_redeem`
        """
        ledger = self.sudo()
        ledger.env.invalidate_all(flush=False)
        coupons = self.env["loyalty.card"].union(*uses).sudo().sorted("id")
        problems = json.dumps([("own_error", {})])
        rows = {}
        for coupon in coupons:
            rows.update(
                ledger._insert(
                    order,
                    coupon,
                    "conflict",
                    {"problems": problems, **ledger._failure_columns(coupon, uses)},
                )
            )
        conflicts = ledger.browse(rows)
        for step in (
            lambda: self.env["coupon.redemption.line"]._add(conflicts, uses),
            lambda: conflicts._ask_manager("not_recorded"),
        ):
            without_stopping(self.env, order.uuid, step)
        return conflicts

    def _failure_columns(self, coupon, uses):
        try:
            return self._redeem_columns(coupon, uses, fields.Datetime.now())
        except (ArithmeticError, TypeError, ValueError):
            return {"redeemed_at": fields.Datetime.now()}

    def _add_conflict(self, order, coupon, uses, refused=None):
        now = fields.Datetime.now()
        return self._insert(
            order,
            coupon,
            "conflict",
            {
                "problems": json.dumps(
                    [self._conflict_problem(order, coupon, refused)]
                ),
                **self._redeem_columns(coupon, uses, now),
            },
        )

    def _conflict_problem(self, order, coupon, refused):
        """Return the code and the values of what made the conflict."""
        if refused == "other_company":
            return refused, {}
        holder = self._holders(coupon.ids).get(coupon.id)
        if not holder:
            if refused and not coupon.wechat_used_outside:
                return refused, {}
            return "used_outside", {}
        # sudo: the other shop may be one that the cashier does not see.
        shop = self.env["pos.config"].sudo().browse(holder["config_id"]).name
        return "other_order", {"order": holder["order_name"], "shop": shop}

    def _after_redeem(self, uses, refused=None):
        """Bring the coupon in line with the ledger and start the write-off.

        :param dict uses: see :meth:`_redeem`
        :param dict refused: see :meth:`_refused_on_paid`
        """
        redeemed = self.filtered(lambda redemption: redemption.state == "redeemed")
        redeemed.coupon_id._wechat_set_state("used")
        self.env["coupon.redemption.line"]._add(self, uses)
        redeemed._add_history()
        redeemed._start_write_off()
        for redemption in redeemed:
            redemption._doubt(uses, refused or {})
        (self - redeemed)._ask_manager("conflict")

    def _add_history(self):
        as_ledger(self.env["loyalty.history"]).create(
            [
                {
                    "card_id": redemption.coupon_id.id,
                    "order_model": redemption._order_of_history()._name,
                    "order_id": redemption._order_of_history().id,
                    "description": self.env._(
                        "Coupon used on %s", redemption.order_name
                    ),
                    "used": 1,
                    "issued": 0,
                }
                for redemption in self
            ]
        )

    def _doubt(self, uses, refused):
        """Put a redemption on the worklist if the coupon did not entitle to it."""
        values = uses.get(self.coupon_id) or {}
        problems = []
        if self.coupon_id in refused:
            problems.append((refused[self.coupon_id], {}))
        elif self.coupon_id.wechat_used_outside:
            problems.append(("used_outside", {}))
        problems += [
            (code, numbers)
            for code, numbers in self._terms_refusals(values)
            if code != refused.get(self.coupon_id)
        ]
        problems += self._too_much_off(values)
        if problems:
            self._add_problems(problems)
            self._ask_manager("against_terms")

    @api.model
    def _too_much_off(self, values):
        """Say when an order takes off more than the coupon gives.

        :param dict values: see :meth:`_redeem`
        """
        allowed, discount = values.get("allowed_fen"), values.get("discount_fen", 0)
        if allowed is not None and discount > allowed:
            yield (
                "too_much_off",
                {
                    "discount": money.format_fen(discount),
                    "allowed": money.format_fen(allowed),
                },
            )

    def _terms_refusals(self, values):
        """What the paid order has not of what the coupon asks for.

        The till and the server checked it while the order was open; an order can
        change after that, and a till can be made to say anything.
        """
        order, cart = values.get("order"), values.get("cart")
        if order:
            for code, numbers in self.coupon_id._wechat_place_refusals(order):
                if code not in ("other_company", "other_owner"):
                    yield code, numbers
        if cart:
            yield from self.coupon_id._wechat_cart_refusals(cart)

    def _add_problems(self, problems):
        """Add to what is wrong with a redemption; nothing is said twice."""
        self.ensure_one()
        known = self.problems or []
        self.problems = known + [
            [code, values] for code, values in problems if [code, values] not in known
        ]

    def _goods_returned(self):
        """Ask a manager what becomes of coupons whose goods were given back."""
        for redemption in self:
            redemption._add_problems([("goods_returned", {})])
        self._ask_manager("goods_returned")

    def _start_write_off(self):
        remote = self.filtered(
            lambda redemption: redemption.template_id._channel()._needs_write_off
        )
        if remote:
            remote._operation_prepare()
            remote._operation_enqueue()

    # === BUSINESS METHODS - WORKLIST === #

    def _ask_manager(self, topic):
        """Put redemptions on the worklist, with an activity for a manager.

        :param str topic: says what the activity is called, in the manager's language
        """
        for redemption in self:
            redemption.sudo().needs_attention = True
            manager = redemption._responsible()
            if manager:
                # No mail: this may be the transaction that saves an order.
                told = redemption.with_context(
                    # It is due on the manager's day, also when a job says so.
                    lang=manager.lang,
                    tz=manager.tz,
                    mail_activity_quick_update=True,
                )
                summary = told._topics()[topic]
                if summary in told.activity_ids.mapped("summary"):
                    continue
                told.activity_schedule(
                    "mail.mail_activity_data_todo",
                    summary=summary,
                    # What the till and WeChat have said is no HTML.
                    note=escape(told.reason or told.remote_error or ""),
                    user_id=manager.id,
                )

    @api.model
    def _topics(self):
        return {
            "against_terms": self.env._(
                "A paid order used a coupon against its terms."
            ),
            "conflict": self.env._(
                "A paid order uses a coupon that it could not have."
            ),
            "goods_returned": self.env._("Goods bought with a coupon were given back."),
            "not_recorded": self.env._(
                "The coupons of a paid order could not be recorded."
            ),
            "refused": self.env._(
                "WeChat did not accept the write-off of a used coupon."
            ),
            "stuck": self.env._(
                "WeChat does not say whether a used coupon was written off."
            ),
        }

    def _responsible(self):
        """Return the user who looks after a redemption, maybe none."""
        self.ensure_one()
        return self._manager_of(self.company_id, self.template_id.create_uid)

    @api.model
    def _manager_of(self, company, preferred=None):
        """Return the user who looks after a company's coupons, maybe none.

        :param preferred: ``res.users`` record that is taken if it may do so
        """
        # sudo: who belongs to a group is not for cashiers to read.
        group = self.env.ref("wechat_coupon.coupon_group_manager").sudo()
        managers = group.all_user_ids.filtered(
            lambda user: company in user.company_ids and user.active
        )
        return preferred if preferred and preferred in managers else managers[:1]

    def _retry_conflict(self):
        """Redeem a conflict whose coupon is free again."""
        self.ensure_one()
        if self.state != "conflict" or self.coupon_id.wechat_used_outside:
            return False
        now = fields.Datetime.now()
        redemption = self.sudo()
        coupon = redemption.coupon_id
        coupon._wechat_lock()
        redemption._release_where(
            SQL("coupon_id = %s AND expires_at < %s", coupon.id, now), "expired"
        )
        companies = redemption.company_id.parent_ids
        if coupon.company_id not in companies or redemption._active_for(coupon):
            return False
        # The order was paid in time; what became of the coupon since then counts.
        refused = {code for code, _values in coupon._wechat_state_refusals()}
        if coupon.wechat_state != "usable" or refused - TIME_REASONS:
            return False
        redemption.write(
            {
                "state": "redeemed",
                "problems": False,
                "needs_attention": False,
                **redemption._late_slots(),
            }
        )
        redemption.activity_unlink(["mail.mail_activity_data_todo"])
        # Its lines were written with the conflict.
        redemption._after_redeem({})
        return True

    def _settle(self, reason):
        """Take redemptions off the worklist: the shop bears the loss, or it is fine.

        :param str reason: what the manager writes
        """
        # sudo: nobody writes the ledger but the ledger.
        self.sudo().write(
            {
                "needs_attention": False,
                "settled_at": fields.Datetime.now(),
                "settled_by_id": self.env.uid,
                "settle_reason": reason,
            }
        )
        self.sudo().activity_unlink(["mail.mail_activity_data_todo"])

    def _release_by_manager(self, reason):
        """Give held coupons free although their orders are still open."""
        if self.filtered(lambda redemption: redemption.state != "reserved"):
            raise UserError(
                self.env._("Only a coupon that an open order holds can be released.")
            )
        # sudo: nobody writes the ledger but the ledger.
        count = self.sudo()._release_where(
            SQL("id = ANY(%s)", self.ids),
            "manager",
            [("released_by_manager", {"note": reason})],
        )
        if count != len(self):
            raise UserError(
                self.env._(
                    "A till is busy with one of these coupons. Nothing was released; "
                    "try again."
                )
            )

    # === BUSINESS METHODS - WRITE-OFF === #

    def _operation_rate_key(self):
        """Override of ``wechat.operation``: WeChat's limits are per account."""
        return self.template_id._channel()._rate_key(self.template_id)

    def _operation_call(self):
        """Override of ``wechat.operation``: write the coupon off."""
        self.ensure_one()
        return self.template_id._channel()._write_off(self)

    def _operation_query(self):
        """Override of ``wechat.operation``: was the coupon written off?"""
        self.ensure_one()
        return self.template_id._channel()._query_write_off(self)

    def _operation_done(self, vals):
        """Override of ``wechat.operation``."""
        self.ensure_one()
        # What else is wrong with it, WeChat's answer does not mend.
        if self.needs_attention and self.state == "redeemed" and not self.problems:
            self.sudo().needs_attention = False
            self.sudo().activity_unlink(["mail.mail_activity_data_todo"])

    def _operation_refused(self, error):
        """Override of ``wechat.operation``: the discount was given for nothing."""
        self.ensure_one()
        # What is tried again later loses its error; the history keeps it.
        told = self.with_context(lang=self._responsible().lang)
        told.sudo()._message_log(
            body=told.env._(
                "WeChat refused the write-off: %(error)s %(reason)s",
                error=str(error),
                reason=told._refusal_sentence(error),
            )
        )
        self._ask_manager("refused")

    def _refusal_sentence(self, error):
        """Say in words what an error code of the channel means for the coupon."""
        code = const.CODE_ERRORS.get(error.code)
        return self.env["coupon.reason"]._message(code) if code else ""

    def _operation_stuck(self, error):
        """Override of ``wechat.operation``: a person has to look at WeChat's side."""
        self.ensure_one()
        self._ask_manager("stuck")


class _Taken(Exception):
    """A coupon of the set is not free: undo the others."""
