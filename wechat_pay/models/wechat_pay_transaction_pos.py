"""The till's door to the transactions."""

import uuid

from psycopg2.errors import UniqueViolation
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.wechat_base.tools import money

from .. import const
from ..tools.sentences import sentence


class WechatPayTransaction(models.Model):
    _inherit = "wechat.pay.transaction"

    # The order may not be saved yet: uuids say whose payment it is.
    pos_order_uuid = fields.Char(readonly=True, index="btree_not_null")
    pos_payment_uuid = fields.Char(readonly=True, index="btree_not_null")
    pos_attempt = fields.Integer(string="Attempt", readonly=True)
    pos_method_id = fields.Many2one("pos.payment.method", readonly=True)
    pos_config_id = fields.Many2one("pos.config", string="Shop", readonly=True)
    pos_session_id = fields.Many2one(
        "pos.session", readonly=True, index="btree_not_null"
    )
    pos_payment_id = fields.Many2one(
        "pos.payment",
        string="Payment of the order",
        readonly=True,
        index="btree_not_null",
        copy=False,
        ondelete="set null",
    )
    pos_order_id = fields.Many2one(
        related="pos_payment_id.pos_order_id", store=True, index="btree_not_null"
    )
    # Which lines of the refunded order a refund gives back: {line id: fen}.
    goods = fields.Json(readonly=True)

    # A line of the till is paid once, whoever sends it how often.
    _pos_line_uniq = models.UniqueIndex(
        "(pos_payment_uuid) WHERE kind = 'payment' AND pos_payment_uuid IS NOT NULL "
        "AND abandoned IS NOT TRUE AND state NOT IN ('failed', 'cancelled')",
        "This payment is in progress already.",
    )
    _pos_unsaved_idx = models.Index(
        "(create_date) WHERE pos_payment_uuid IS NOT NULL AND pos_payment_id IS NULL"
    )
    # Two tills with the same order do not charge two customers.
    _pos_order_open_uniq = models.UniqueIndex(
        "(pos_order_uuid) WHERE kind = 'payment' AND pos_order_uuid IS NOT NULL "
        "AND abandoned IS NOT TRUE "
        "AND state IN ('draft', 'sending', 'waiting', 'unknown', 'closing')",
        "Another payment of this order is in progress.",
    )

    def _scene_info(self):
        """Override to name the shop."""
        if not self.pos_config_id:
            return super()._scene_info()
        return {"store_info": {"id": f"pos{self.pos_config_id.id}"}}

    def _on_change(self):
        """Override to tell the till, and to settle what an order waits for."""
        result = super()._on_change()
        for row in self:
            row.pos_payment_id._wechat_check_proof()
            if row.pos_config_id and row.pos_payment_uuid:
                row.pos_config_id._notify(
                    "WECHAT_PAY_CHANGED",
                    {"line": row.pos_payment_uuid, "state": row.state},
                )
        return result

    def _is_kept(self):
        """Override: a saved order counts on the payment, perhaps forced by hand."""
        # sudo: whether WeChat has confirmed it is no secret here.
        return super()._is_kept() or bool(
            not self.abandoned and self.pos_payment_id.sudo().wechat_unproven
        )

    # === WITHOUT AN ORDER === #

    @api.model
    def _cron_find_unsaved(self):
        """Put money on the worklist that moved for an order that was never saved."""
        rows = self.search(
            [
                ("pos_payment_uuid", "!=", False),
                ("pos_payment_id", "=", False),
                ("state", "in", ("done", "waiting")),
                ("abandoned", "=", False),
                ("needs_help", "=", False),
                ("error_code", "!=", "no_order"),
                ("create_date", "<", self._in(-const.NO_ORDER_SECONDS)),
            ],
            limit=const.MAX_UNSAVED,
        )
        rows = rows.filtered(lambda row: row.kind == "refund" or row._left_fen())
        # An order that is not finished is still on a till.
        drafts = self.env["pos.order"].search(
            [
                ("uuid", "in", rows.mapped("pos_order_uuid")),
                ("state", "=", "draft"),
                ("session_id.state", "!=", "closed"),
            ]
        )
        busy = set(drafts.mapped("uuid"))
        rows.filtered(lambda row: row.pos_order_uuid not in busy)._pos_miss_order()

    def _pos_miss_order(self):
        """Have a person look at money that moved for no order."""
        self.write({"needs_help": True, "error_code": "no_order", "error": False})

    def _pos_join(self, payment):
        """Join rows to the payment of the order that has been saved for them."""
        self.pos_payment_id = payment
        found = self.filtered(
            lambda row: (
                row.error_code == "no_order"
                and not row._refunded_by_hand_fen(payment.create_date)
            )
        )
        found.write({"needs_help": False, "error_code": False})

    def _refunded_by_hand_fen(self, before):
        """Return what people have given back of a payment before its order came.

        :param datetime before: when the order was saved
        """
        return sum(
            refund.amount_fen
            for refund in self.refund_ids
            if refund.state not in ("failed", "cancelled")
            and not refund.pos_order_uuid
            and refund.create_date <= before
        )

    @api.model
    def _pos_drop_orders(self, uuids):
        """Give up what is open for orders that have been cancelled or deleted."""
        rows = self.search(
            [
                ("kind", "=", "payment"),
                ("pos_order_uuid", "in", uuids),
                ("state", "in", (*const.OPEN_STATES, "done")),
                ("pos_payment_id", "=", False),
            ]
        )
        for row in rows:
            row._give_up()
            row._abandon()
            if row.state == "done" and row._left_fen():
                row._pos_miss_order()

    # === PAYMENTS === #

    @api.model
    def _pos_row(self, method_id, line):
        """Return the last payment of a line of the till; earlier ones are over."""
        return self.search(
            [
                ("kind", "=", "payment"),
                ("pos_payment_uuid", "=", line),
                ("pos_method_id", "=", method_id),
            ],
            order="pos_attempt desc, id desc",
            limit=1,
        )

    @api.model
    def _pos_open(self, vals, total):
        """Store a payment, unless the order is paid or being paid already.

        In a transaction of its own. Tills with the same order queue up here, and each
        sees what the one before it has stored; the unique indexes are the last line.

        :param dict vals: of the payment
        :param int total: fen of the whole order
        :return: (id, ``None``), or (``None``, why not): ``busy`` if another payment is
            in progress, ``closed`` if the order is on no till any more, or the fen
            that are paid
        """
        order = vals["pos_order_uuid"]
        self._pos_queue(order)
        if self._pos_finished(order):
            return None, "closed"
        rows = self.search(
            [
                ("kind", "=", "payment"),
                ("pos_order_uuid", "=", order),
                ("abandoned", "=", False),
                ("state", "not in", ("failed", "cancelled")),
            ]
        )
        if any(row.state in const.OPEN_STATES for row in rows):
            return None, "busy"
        paid = sum(row.amount_fen - row.refunded_fen for row in rows)
        if paid and paid + vals["amount_fen"] > total:
            return None, paid
        try:
            with self.env.cr.savepoint():
                return self.create(vals).id, None
        except UniqueViolation:
            return None, "busy"

    @api.model
    def _pos_queue(self, order):
        """Wait until no other till opens payments or refunds of the same order.

        First in a transaction of its own, so that what was waited for is seen.
        """
        cr = self.env.cr
        if cr.connection.get_transaction_status() == TRANSACTION_STATUS_IDLE:
            cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cr.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [order])

    def _pos_may_ask(self, pause=const.QUERY_SECONDS - 1):
        """Whether WeChat may be asked again, as the till or a page wants to know."""
        if self.state not in const.OPEN_STATES or self.state == "draft":
            return False
        last = max(filter(None, (self.queried_at, self.sent_at)), default=None)
        return not last or (fields.Datetime.now() - last).total_seconds() >= pause

    def _pos_status(self):
        """Return what the till shows; see ``pos.payment.method._wechat_status``."""
        self.ensure_one()
        left = self.expires_at and self.expires_at - fields.Datetime.now()
        return {
            "state": self.state,
            "number": self.number,
            "way": self.way,
            "amount": self.amount_fen,
            "payer_total": self.payer_total_fen,
            "message": self._pos_message(),
            "error": "config"
            if self.error_code in const.SETUP_CODES
            else self.error_code or "",
            "code_url": self.code_url if self.state == "waiting" else False,
            "seconds": max(0, int(left.total_seconds())) if left else False,
            "transaction_id": self.remote_no or "",
            "abandoned": self.abandoned,
            "promotions": [
                {"name": p.name, "amount": p.amount_fen, "type": p.type}
                for p in self.promotion_ids
            ],
        }

    def _pos_message(self):
        if self.state in ("done", "draft", "sending"):
            return ""
        if self.state == "waiting":
            if self.way != "codepay":
                return self.env._("The customer scans the QR code with WeChat.")
            return self.env._("The customer has to enter the password on the phone.")
        if self.state == "unknown":
            return self.env._(
                "WeChat has not answered yet; it is being asked whether the customer "
                "was charged. Do not charge again."
            )
        if self.state == "closing":
            code = "giving_back" if self.abandoned else None
            return sentence(self.env._, code) or self.env._(
                "The payment is being cancelled."
            )
        return sentence(self.env._, self.error_code, self.error or "")

    # === REFUNDS === #

    @api.model
    def _pos_refund(self, order_ids, amount, goods, vals, lines=()):
        """Give back an amount for a line of the till, once however often it is asked.

        In a transaction of its own. What is under way or done for the line counts;
        the rest is taken from what was paid for the orders, the largest rest first.

        :param list order_ids: the orders that are refunded
        :param int amount: fen
        :param dict goods: fen by id of the refunded order line, of the whole return
        :param dict vals: for each refund
        :param list lines: uuids of the payments that are on the return now
        :return: ids of the line's refunds
        :raises UserError: if there is not that much left to refund
        """
        self._pos_queue(vals["pos_order_uuid"])
        payments = self.search(
            [
                ("kind", "=", "payment"),
                ("pos_order_id", "in", order_ids),
                ("state", "=", "done"),
                ("abandoned", "=", False),
            ],
            order="id",
        )
        for payment in payments:
            payment._lock()
        # After the locks: somebody may have sent one of them again meanwhile.
        self.invalidate_model()
        mine, failed = self._pos_refunds(vals, lines)
        rest = amount - sum(mine.mapped("amount_fen"))
        if rest <= 0:
            return mine.ids
        self._pos_check_goods(payments, goods, vals["pos_order_uuid"], rest)
        left = sum(payment._left_fen() for payment in payments)
        if rest > left:
            raise UserError(
                self.env._(
                    "Only %(left)s yuan of this order can go back to WeChat; the rest "
                    "was paid another way or has been refunded. Enter %(left)s for "
                    "WeChat Pay.",
                    left=money.format_fen(left),
                )
            )
        namespace, tries = uuid.UUID(vals["pos_payment_uuid"]), len(failed)
        for payment in payments.sorted(lambda p: (-p._left_fen(), p.id)):
            part = min(rest, payment._left_fen())
            if part:
                number = uuid.uuid5(namespace, f"refund {payment.number} {tries}").hex
                mine += payment._refund(part, number=number, goods=goods, **vals)
                rest -= part
        # These take their place.
        failed.write({"needs_help": False})
        return mine.ids

    @api.model
    def _pos_refunds(self, vals, lines=()):
        """Return the refunds of a line of the till.

        A line that was deleted and entered anew finds what the old one has refunded.

        :param list lines: uuids of the payments that are on the return now; what
            these have refunded is theirs. Without them nothing is taken over.
        :return: those that are under way or done, and those that have failed
        """
        domain = [
            ("kind", "=", "refund"),
            ("pos_method_id", "=", vals["pos_method_id"]),
        ]
        line = vals["pos_payment_uuid"]
        rows = self.search([*domain, ("pos_payment_uuid", "=", line)])
        if not rows and lines:
            left_over = self.search(
                [
                    *domain,
                    ("pos_order_uuid", "=", vals["pos_order_uuid"]),
                    ("pos_payment_uuid", "not in", lines),
                    ("pos_payment_id", "=", False),
                ]
            )
            if len(set(left_over.mapped("pos_payment_uuid"))) == 1:
                left_over.pos_payment_uuid = line
                rows = left_over
        failed = rows.filtered(lambda row: row.state in ("failed", "cancelled"))
        return rows - failed, failed

    @api.model
    def _pos_check_goods(self, payments, goods, order, amount):
        """No line of an order gives back more than was paid for it.

        :param dict goods: fen by id of the refunded order line, of the whole return
        :param str order: uuid of the return; it may be spread over several payments
        :param int amount: fen that are to go back now
        :raises UserError: if one would
        """
        refunds = payments.refund_ids.filtered(lambda row: row.state != "failed")
        same = refunds.filtered(lambda row: row.pos_order_uuid == order)
        # One fen for each line may be the rounding.
        most = sum(goods.values()) + len(goods)
        if amount + sum(same.mapped("amount_fen")) > most:
            raise ValidationError(
                self.env._("More would be refunded than the products that come back.")
            )
        before, seen = {}, set()
        for refund in refunds - same:
            # One return may be spread over several payments: it counts once.
            if refund.pos_order_uuid and refund.pos_order_uuid in seen:
                continue
            seen.add(refund.pos_order_uuid)
            for key, fen in (refund.goods or {}).items():
                before[key] = before.get(key, 0) + fen
        lines = self.env["pos.order.line"].browse([int(key) for key in goods])
        for order_line in lines:
            key = str(order_line.id)
            paid = money.to_fen(order_line.price_subtotal_incl)
            if before.get(key, 0) + goods[key] > max(paid, 0) + 1:
                raise UserError(
                    self.env._(
                        "More of “%(product)s” would be refunded than was paid for it.",
                        product=order_line.full_product_name
                        or order_line.product_id.display_name,
                    )
                )

    def _is_refunded_anew(self):
        """Override: the till has given it back another way.

        By another refund of the same return, or by what the return says when it is
        saved: cash, for example.
        """
        if not self.pos_order_uuid:
            return super()._is_refunded_anew()
        moved = self.search(
            [
                ("kind", "=", "refund"),
                ("pos_order_uuid", "=", self.pos_order_uuid),
                ("state", "not in", ("failed", "cancelled")),
            ]
        )
        order = self._pos_finished(self.pos_order_uuid)
        if not order:
            return any(row.id > self.id for row in moved)
        wanted = -sum(
            money.to_fen(payment.amount)
            for payment in order.payment_ids
            if payment.payment_method_id == self.pos_method_id
        )
        return sum(moved.mapped("amount_fen")) + self.amount_fen > wanted

    @api.model
    def _pos_finished(self, uuid):
        """Return the order with a uuid, if it is on no till any more."""
        domain = [("uuid", "=", uuid), ("state", "!=", "draft")]
        return self.env["pos.order"].search(domain, limit=1)

    @api.model
    def _pos_refunds_settled(self, uuids):
        """Take refunds off the worklist whose returns were paid another way."""
        failed = self.search(
            [
                ("kind", "=", "refund"),
                ("pos_order_uuid", "in", uuids),
                ("state", "=", "failed"),
                ("needs_help", "=", True),
            ]
        )
        for row in failed:
            if row._is_refunded_anew():
                row.needs_help = False

    def _pos_refund_status(self):
        """Return what the till is told about the refunds of one line."""
        states = set(self.mapped("state"))
        moved = self.filtered(lambda row: row.state != "failed")
        if states <= {"done"}:
            state, message = "done", ""
        elif "failed" in states:
            state = "failed"
            failed = self.filtered(lambda row: row.state == "failed")[:1]
            message = sentence(
                self.env._, failed.error_code, failed.error or "", kind="refund"
            )
        elif states <= {"done", "waiting"}:
            state = "waiting"
            message = self.env._(
                "WeChat has accepted the refund; the customer gets the money within "
                "minutes."
            )
        else:
            state = "pending"
            message = self.env._(
                "WeChat has not confirmed the refund yet. It is repeated with the same "
                "number until it is; do not refund again."
            )
        return {
            "state": state,
            "amount": sum(moved.mapped("amount_fen")),
            "message": message,
            "numbers": self.mapped("number"),
        }
