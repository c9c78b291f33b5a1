import logging
import time
from datetime import timedelta

from psycopg2.errors import SerializationFailure

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from odoo.addons.wechat_base.tools.exceptions import (
    WechatConfigError,
    WechatError,
    WechatRefused,
)

from .. import const
from ..tools import money

_logger = logging.getLogger(__name__)

_ACTIVE = ("reserved", "redeemed")
_SWEEP_BATCH = 1000


class CouponRedemption(models.Model):
    """The ledger: one use of one coupon on one order.

    Whether a coupon is used is what this table says. The unique index
    ``_one_active_per_coupon`` is what stops a second use; everything in Python only
    finds out earlier and says it more kindly.
    """

    _name = "coupon.redemption"
    _description = "Coupon Redemption"
    _inherit = ["mail.thread", "mail.activity.mixin", "wechat.operation"]
    _order = "id desc"
    _rec_name = "order_name"
    _check_company_auto = True

    _operation_channel = "root.wechat.official"
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
    program_id = fields.Many2one("loyalty.program", readonly=True, ondelete="restrict")
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
    reason = fields.Char(
        readonly=True, help="Why it is a conflict, or why it was released."
    )
    needs_attention = fields.Boolean(
        readonly=True, help="Somebody has to look at it: it is on the worklist."
    )
    settled_at = fields.Datetime(readonly=True)
    settled_by = fields.Many2one("res.users", readonly=True, ondelete="set null")
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
    session_id = fields.Many2one("pos.session", readonly=True, ondelete="restrict")
    config_id = fields.Many2one(
        "pos.config", string="Shop", readonly=True, ondelete="restrict"
    )
    user_id = fields.Many2one(
        "res.users", string="Cashier", readonly=True, ondelete="restrict"
    )
    partner_id = fields.Many2one(
        "res.partner", string="Customer", readonly=True, ondelete="set null"
    )
    funded_by = fields.Selection(
        selection=[("merchant", "The shop"), ("wechat", "WeChat")],
        readonly=True,
        default="merchant",
        help="Who bears the discount.",
    )

    discount_fen = fields.Integer(string="Discount (fen)", readonly=True)
    order_total_fen = fields.Integer(string="Order Total (fen)", readonly=True)
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
                "default_res_model": self._name,
                "default_res_ids": ",".join(map(str, self.ids)),
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
                           r.redeemed_at, r.config_id
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
        if not holder or holder["order_uuid"] == order.uuid:
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

    def _held_until(self):
        """Return when the first of these reservations is over, or ``None``."""
        self.env.cr.execute(
            "SELECT min(expires_at) FROM coupon_redemption WHERE id = ANY(%s)",
            [self.ids],
        )
        return self.env.cr.fetchone()[0]

    def _local(self, value, pattern):
        if not value:
            return ""
        record = self
        if not self.env.user.tz:
            record = self.with_context(tz=const.WECHAT_TZ)
        return fields.Datetime.context_timestamp(record, value).strftime(pattern)

    # === BUSINESS METHODS - RESERVE === #

    @api.model
    def _reserve(self, order, coupons, cart=None):
        """Hold coupons for an order: all of them or none.

        Idempotent: what the order holds already is renewed, what it holds and is
        not among ``coupons`` any more is released.

        :param order: :class:`~.tools.cart.OrderRef`
        :param coupons: ``loyalty.card`` records, guarded
        :param cart: :class:`~.tools.cart.Cart`
        :return: the redemptions, and the refusals as
            ``[(coupon, reason code, values)]``; one of the two is empty
        :rtype: tuple
        """
        ledger = self.sudo()
        coupons = coupons.sudo().sorted("id")
        holders = ledger._holders(coupons.ids, order.uuid)
        refusals = ledger._refusals(order, coupons, cart, holders)
        if not refusals:
            # The only call to the outside, before anything is locked. It changes
            # nothing, so it does no harm if Odoo runs the request again.
            refusals = ledger._ask_channels(order, coupons, holders)
        if refusals:
            return ledger.browse(), refusals
        return ledger._hold(order, coupons, holders)

    def _refusals(self, order, coupons, cart, holders):
        refusals = []
        for coupon in coupons:
            found = self._holder_refusal(holders.get(coupon.id), order) or next(
                iter(coupon._wechat_refusals(order, cart)), None
            )
            if found:
                refusals.append((coupon, *found))
        return refusals

    def _ask_channels(self, order, coupons, holders):
        """Ask the channels about coupons that the order does not hold yet."""
        deadline = time.monotonic() + const.TILL_DEADLINE
        now = fields.Datetime.now()
        refusals = []
        for coupon in coupons:
            channel = coupon.coupon_template_id._channel()
            holder = holders.get(coupon.id)
            # What the order holds was asked when it got it. After the customer has
            # paid, a refusal would help nobody.
            held = holder and (
                holder["state"] == "redeemed" or holder["expires_at"] > now
            )
            if not channel._asks_before_reserve or held:
                continue
            reason = self._ask_channel(channel, coupon, deadline)
            if reason:
                refusals.append((coupon, reason, {}))
        return refusals

    @api.model
    def _ask_channel(self, channel, coupon, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            return "remote_unavailable"
        try:
            return channel._query(coupon, timeout=min(left, const.TILL_TIMEOUT))
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
        now = fields.Datetime.now()
        # sudo: the company's settings are not for every user of the till to read.
        minutes = order.company.sudo().wechat_coupon_ttl
        expires_at = now + timedelta(minutes=minutes)
        own = [row for row in holders.values() if row["order_uuid"] == order.uuid]
        if any(row["coupon_id"] not in coupons._ids for row in own):
            self._release_where(
                SQL(
                    "order_uuid = %s AND coupon_id != ALL(%s)", order.uuid, coupons.ids
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
        held = self._renew(order, coupons, expires_at) if own else {}
        wanted = coupons.filtered(lambda coupon: coupon.id not in held.values())
        held.update(
            self._insert(
                order,
                wanted,
                "reserved",
                {"reserved_at": now, "expires_at": expires_at},
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
                 WHERE order_uuid = %s AND coupon_id = ANY(%s)
                   AND state IN ('reserved', 'redeemed')
                RETURNING id, coupon_id
                """,
                expires_at,
                fields.Datetime.now(),
                order.uuid,
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

    def _insert(self, order, coupons, state, vals):
        """Insert one row per coupon; the index lets pass what nobody else has.

        :param order: :class:`~.tools.cart.OrderRef`
        :param coupons: ``loyalty.card`` records in the order of their ids
        :param str state: state of the new rows
        :param dict vals: further columns with plain values
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
            }
            for coupon in coupons
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
    def _release(self, order_uuid, coupons=None, reason="cancelled"):
        """Give free what an order holds; what is redeemed stays so.

        :param str order_uuid: the order
        :param coupons: only these ``loyalty.card`` records; all by default
        :param str reason: why, for the record
        :return: number of coupons that are free again
        :rtype: int
        """
        where = SQL("order_uuid = %s", order_uuid)
        if coupons is not None:
            where = SQL("%s AND coupon_id = ANY(%s)", where, coupons.ids)
        return self.sudo()._release_where(where, reason)

    def _release_where(self, where, reason):
        self.flush_model()
        now = fields.Datetime.now()
        self.env.cr.execute(
            SQL(
                """
                UPDATE coupon_redemption
                   SET state = 'released', released_at = %(now)s, reason = %(reason)s,
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
                uid=self.env.uid,
                where=where,
                limit=_SWEEP_BATCH,
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
                SQL("expires_at < %s", fields.Datetime.now()), "expired"
            )
            remaining = count == _SWEEP_BATCH
            self.env["ir.cron"]._commit_progress(count, remaining=int(remaining))
        conflicts = self.search(
            [("state", "=", "conflict"), ("needs_attention", "=", True)], limit=100
        )
        for conflict in conflicts:
            conflict._retry_conflict()

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
        known = {
            row["coupon_id"]
            for row in self.env.execute_query_dict(
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
        }
        coupons = coupons.filtered(lambda coupon: coupon.id not in known)
        if not coupons:
            return ledger.browse()
        done = ledger._redeem_reserved(order, coupons, uses)
        rest = coupons.filtered(lambda coupon: coupon.id not in done.values())
        done.update(ledger._redeem_unreserved(order, rest, uses))
        conflicts = {}
        for coupon in rest.filtered(lambda coupon: coupon.id not in done.values()):
            conflicts.update(ledger._add_conflict(order, coupon, uses))
        redemptions = ledger.browse([*done, *conflicts])
        ledger.invalidate_model()
        redemptions._after_redeem(uses)
        return redemptions

    def _redeem_columns(self, coupon, uses, now):
        values = uses.get(coupon) or {}
        discount, total = (
            values.get("discount_fen", 0),
            values.get("order_total_fen", 0),
        )
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
                    RETURNING id, coupon_id
                    """,
                    SQL(", ").join(
                        SQL("%s = %s", SQL.identifier(name), value)
                        for name, value in columns.items()
                    ),
                    order.uuid,
                    coupon.id,
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
                )
            )
        return done

    @api.model
    def _record_failure(self, order, uses):
        """Keep a paid order's coupons on the worklist after a mistake of ours.

        :param order: :class:`~.tools.cart.OrderRef`
        :param dict uses: see :meth:`_redeem`
        """
        now = fields.Datetime.now()
        ledger = self.sudo()
        for coupon in self.env["loyalty.card"].union(*uses).sudo().sorted("id"):
            ledger._insert(
                order,
                coupon,
                "conflict",
                {
                    "reason": self.env._("An error occurred; see the server's log."),
                    **ledger._redeem_columns(coupon, uses, now),
                },
            )

    def _add_conflict(self, order, coupon, uses):
        now = fields.Datetime.now()
        holder = self._holders(coupon.ids).get(coupon.id)
        reason = (
            self.env._("Used outside Odoo.")
            if not holder
            else self.env._(
                "Order %(order)s has this coupon.", order=holder["order_uuid"]
            )
        )
        return self._insert(
            order,
            coupon,
            "conflict",
            {"reason": reason, **self._redeem_columns(coupon, uses, now)},
        )

    def _after_redeem(self, uses):
        """Bring the coupon in line with the ledger and start the write-off."""
        redeemed = self.filtered(lambda redemption: redemption.state == "redeemed")
        redeemed.coupon_id._wechat_set_state("used")
        self.env["coupon.redemption.line"]._add(self, uses)
        self.env["loyalty.history"].sudo().create(
            [
                {
                    "card_id": redemption.coupon_id.id,
                    "order_model": "pos.order",
                    "order_id": redemption.pos_order_id.id,
                    "description": self.env._(
                        "Coupon used on %s", redemption.order_name
                    ),
                    "used": 1,
                    "issued": 0,
                }
                for redemption in redeemed
            ]
        )
        redeemed._start_write_off()
        (self - redeemed)._ask_manager(
            self.env._("A paid order uses a coupon that another order has.")
        )

    def _start_write_off(self):
        remote = self.filtered(
            lambda redemption: redemption.template_id._channel()._needs_write_off
        )
        if remote:
            remote._operation_prepare()
            remote._operation_enqueue()

    # === BUSINESS METHODS - WORKLIST === #

    def _ask_manager(self, summary):
        """Put redemptions on the worklist, with an activity for a manager."""
        for redemption in self:
            redemption.sudo().needs_attention = True
            manager = redemption._responsible()
            if manager:
                # No mail: this may be the transaction that saves an order.
                redemption.with_context(
                    mail_activity_quick_update=True
                ).activity_schedule(
                    "mail.mail_activity_data_todo",
                    summary=summary,
                    note=redemption.reason or redemption.remote_error or "",
                    user_id=manager.id,
                )

    def _responsible(self):
        """Return the user who looks after a redemption, maybe none."""
        self.ensure_one()
        # sudo: who belongs to a group is not for cashiers to read.
        group = self.env.ref("wechat_coupon.coupon_group_manager").sudo()
        owner = self.template_id.create_uid
        managers = group.all_user_ids.filtered(
            lambda user: self.company_id in user.company_ids and user.active
        )
        return owner if owner in managers else managers[:1]

    def _retry_conflict(self):
        """Redeem a conflict whose coupon is free again."""
        self.ensure_one()
        if self.state != "conflict" or self.coupon_id.wechat_used_outside:
            return False
        now = fields.Datetime.now()
        redemption = self.sudo()
        redemption._release_where(
            SQL("coupon_id = %s AND expires_at < %s", self.coupon_id.id, now), "expired"
        )
        if redemption._active_for(self.coupon_id):
            return False
        redemption.write(
            {"state": "redeemed", "reason": False, "needs_attention": False}
        )
        self.coupon_id._wechat_set_state("used")
        redemption.activity_unlink(["mail.mail_activity_data_todo"])
        redemption._start_write_off()
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
                "settled_by": self.env.uid,
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
        for redemption in self:
            self._release(redemption.order_uuid, redemption.coupon_id, reason)

    # === BUSINESS METHODS - WRITE-OFF === #

    def _operation_rate_key(self):
        """Override of ``wechat.operation``: WeChat's limits are per account."""
        return f"{self._operation_rate_family}:{self.template_id.account_id.id}"

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
        if self.needs_attention and self.state == "redeemed":
            self.sudo().needs_attention = False
            self.sudo().activity_unlink(["mail.mail_activity_data_todo"])

    def _operation_refused(self, error):
        """Override of ``wechat.operation``: the discount was given for nothing."""
        self.ensure_one()
        self._ask_manager(
            self.env._("WeChat did not accept the write-off of a used coupon.")
        )


class _Taken(Exception):
    """A coupon of the set is not free: undo the others."""
