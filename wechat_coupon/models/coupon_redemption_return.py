"""Coupons go back to their holders after goods were given back."""

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen

from ..tools import codes
from ..tools.ledger import as_ledger

# What was never sent, or given up: WeChat does not know that the coupon was used.
_NEVER_SENT = ("none", "pending", "cancelled")
# Perhaps sent: what becomes of the coupon is known when WeChat has answered.
_UNDER_WAY = ("sending", "unknown")
# Whatever else is settled: WeChat's side has to be looked at.
_TROUBLE = ("refused", "unknown")


class CouponRedemptionRefund(models.Model):
    """Goods of one redemption that were given back with one document.

    Never changed: the unique index lets a document count once, however often it
    comes. That of a credit note is deleted when the note is not posted any more.
    """

    _name = "coupon.redemption.refund"
    _description = "Goods Given Back"
    _order = "id desc"
    _rec_name = "name"

    redemption_id = fields.Many2one(
        "coupon.redemption", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    document = fields.Char(
        string="Document Key",
        required=True,
        readonly=True,
        help="Names the document for ever.",
    )
    name = fields.Char(string="Document", readonly=True)
    pos_order_id = fields.Many2one(
        "pos.order", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    move_id = fields.Many2one(
        "account.move",
        string="Credit Note",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    discount_fen = Fen(string="Discount Taken Back (fen)", readonly=True)
    discount_amount = fields.Monetary(string="Discount Taken Back", readonly=True)

    _once = models.UniqueIndex(
        "(redemption_id, document)", "This document was counted already."
    )


class CouponRedemption(models.Model):
    _inherit = "coupon.redemption"

    returned_at = fields.Datetime(readonly=True)
    return_reason = fields.Selection(
        selection=[
            ("refund", "Goods were given back"),
            ("cancel", "The order was cancelled"),
            ("manager", "By a manager"),
        ],
        string="Why It Was Returned",
        readonly=True,
    )
    return_way = fields.Selection(
        selection=[
            ("here", "Good again"),
            ("waiting", "Waits for WeChat's answer to the write-off"),
            ("channel", "Given back at WeChat"),
            ("replacement", "The customer gets a new coupon"),
            ("payment", "WeChat decides with the refund of the payment"),
        ],
        string="How It Was Returned",
        readonly=True,
    )
    return_note = fields.Char(string="Note on the Return", readonly=True)
    return_task_ids = fields.One2many(
        "coupon.task", "redemption_id", string="Return at WeChat", readonly=True
    )
    replacement_id = fields.Many2one(
        "loyalty.card", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    refund_ids = fields.One2many(
        "coupon.redemption.refund", "redemption_id", string="Given Back", readonly=True
    )
    given_back_fen = Fen(string="Discount Taken Back (fen)", readonly=True)
    given_back_amount = fields.Monetary(string="Discount Taken Back", readonly=True)

    # === ACTION METHODS === #

    def action_return(self):
        """Open the dialogue that gives used coupons back to their holders."""
        self._check_manager()
        return self._reason_wizard("return", self.env._("Give Coupons Back"))

    def _return_by_manager(self, reason):
        """Give used coupons back, whatever their template says.

        :param str reason: what the manager writes
        """
        self._check_manager()
        if self.filtered(lambda redemption: redemption.state != "redeemed"):
            raise UserError(self.env._("Only a used coupon can be given back."))
        # sudo: nobody writes the ledger but the ledger.
        self.sudo()._return("manager", reason)
        self.sudo().filtered("needs_attention")._settle(reason)

    # === BUSINESS METHODS - GOODS GIVEN BACK === #

    @api.model
    def _lock_redemptions(self, redemptions):
        """Let nobody else count refunds of these redemptions until the end.

        Whoever waits here did not see what the other one wrote; the UPDATE of
        :meth:`_note_refund` makes PostgreSQL say so, and Odoo begin again.
        """
        redemptions.coupon_id._wechat_lock()
        redemptions.flush_recordset()
        self.env.cr.execute(
            "SELECT id FROM coupon_redemption WHERE id = ANY(%s) ORDER BY id "
            "FOR UPDATE",
            [redemptions.ids],
            log_exceptions=False,
        )

    def _give_back(self, refund, complete):
        """Count a document with which goods were given back, and go by the policy.

        :param dict refund: ``document``, ``name``, ``pos_order_id`` or ``move_id``, and
            ``shares``: ``{redemption: fen}`` of the discount that went back
        :param bool complete: whether all goods of the order are back by now
        :return: redemptions for which the document is new
        """
        ledger = self.sudo()
        fresh = ledger.filtered(lambda redemption: redemption._note_refund(refund))
        ledger.invalidate_recordset(["given_back_fen", "given_back_amount"])
        fresh.filtered(lambda row: row.state == "conflict")._goods_returned()
        used = fresh.filtered(lambda row: row.state == "redeemed")
        used.filtered(
            lambda row: (
                row.template_id.return_policy == "any"
                or (row.template_id.return_policy == "full" and complete)
            )
        )._return("refund", refund["name"])
        return fresh

    def _return_rest(self, name):
        """Give back what goes back with the last goods of an order, whatever they are.

        :param str name: the document that brings the last goods
        """
        self.filtered(
            lambda row: (
                row.state == "redeemed" and row.template_id.return_policy == "full"
            )
        )._return("refund", name)

    def _note_refund(self, refund):
        """Write a document down.

        :return: whether it is new
        """
        self.ensure_one()
        fen = money.storable(refund["shares"].get(self, 0))
        self.env.cr.execute(
            """
            INSERT INTO coupon_redemption_refund (
                redemption_id, company_id, document, name, pos_order_id, move_id,
                discount_fen, discount_amount, create_uid, write_uid,
                create_date, write_date)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT DO NOTHING
            """,
            [
                self.id,
                self.company_id.id,
                refund["document"],
                refund["name"],
                refund.get("pos_order_id"),
                refund.get("move_id"),
                fen,
                money.from_fen(fen),
                self.env.uid,
                self.env.uid,
                fields.Datetime.now(),
                fields.Datetime.now(),
            ],
            log_exceptions=False,
        )
        if not self.env.cr.rowcount:
            return False
        self.env.cr.execute(
            SQL(
                """
                UPDATE coupon_redemption
                   SET given_back_fen = coalesce(given_back_fen, 0) + %(fen)s,
                       given_back_amount =
                           (coalesce(given_back_fen, 0) + %(fen)s) / 100.0
                 WHERE id = %(id)s
                """,
                fen=fen,
                id=self.id,
            ),
            log_exceptions=False,
        )
        self.invalidate_recordset(["refund_ids"])
        return True

    def _forget_refund(self, document):
        """Count a document no more that does not hold any more; they are locked.

        :param str document: its key
        """
        for refund in self.sudo().refund_ids.filtered(
            lambda one: one.document == document
        ):
            redemption = refund.redemption_id
            fen = redemption.given_back_fen - refund.discount_fen
            redemption.write(
                {"given_back_fen": fen, "given_back_amount": money.from_fen(fen)}
            )
            refund.unlink()
        # What counts documents writes past the ORM.
        self.env.flush_all()

    def _is_due_back(self, complete):
        """Whether the goods that were given back entitle to the coupon.

        :param bool complete: whether all goods of the order are back
        """
        policy = self.template_id.return_policy
        return policy == "any" and bool(self.refund_ids) or complete

    def _credit_withdrawn(self, document):
        """Ask a manager about coupons that went back with what holds no more.

        :param str document: the name of the credit note
        """
        for redemption in self.sudo():
            redemption._add_problems([("credit_withdrawn", {"document": document})])
        self._ask_manager("credit_withdrawn")

    def _credit_restored(self, document):
        """Ask no longer: the credit note is posted again, and entitles to it.

        :param str document: the name of the credit note
        """
        gone = ["credit_withdrawn", {"document": document}]
        for redemption in self.sudo():
            if gone not in (redemption.problems or []):
                continue
            redemption.problems = [one for one in redemption.problems if one != gone]
            if not redemption.problems and redemption.remote_state not in _TROUBLE:
                redemption.needs_attention = False
                redemption.activity_unlink(["mail.mail_activity_data_todo"])

    def _too_much_given_back(self, over_fen):
        """Put redemptions on the worklist: more was paid out than had been paid in."""
        for redemption in self:
            problem = ("over_refund", {"amount": money.format_fen(over_fen)})
            redemption.sudo()._add_problems([problem])
        self._ask_manager("over_refund")

    # === BUSINESS METHODS - RETURN === #

    def _return(self, reason, note=None):
        """Give redeemed coupons back to their holders; the others are left alone.

        The order's claim on the coupon ends in this transaction, and with it that on
        the slots of the limits. The coupon itself is good again when its channel has
        agreed.

        :param str reason: a value of ``return_reason``
        :param str note: what made it go back, e.g. the name of the refund
        :return: the redemptions that were returned
        """
        used = self.sudo().filtered(lambda row: row.state == "redeemed")
        used.coupon_id._wechat_lock()
        done = used.browse()
        for redemption in used:
            if redemption.remote_state == "refused":
                # Somebody else has used the coupon, or it is no good.
                redemption._goods_returned()
                continue
            if redemption.remote_state == "pending":
                redemption._operation_cancel()
            redemption.write(
                {
                    "state": "returned",
                    "returned_at": fields.Datetime.now(),
                    "return_reason": reason,
                    "return_way": redemption._way_back(),
                    "return_note": note,
                }
            )
            redemption._go_back()
            done |= redemption
        return done

    def _way_back(self):
        """Return how the coupon goes back: a value of ``return_way``."""
        self.ensure_one()
        channel = self.template_id._channel()
        if channel._in_payment:
            return "payment"
        if not channel._needs_write_off or self.remote_state in _NEVER_SENT:
            return "here"
        if self.remote_state in _UNDER_WAY:
            return "waiting"
        return "channel" if channel._can_return else "replacement"

    def _go_back(self):
        """Take the next step on the way back."""
        self.ensure_one()
        if self.return_way == "here":
            self._good_again()
        elif self.return_way == "channel":
            self.env["coupon.task"]._start_return(self)
        elif self.return_way == "replacement":
            self._replace()

    def _good_again(self):
        """Let the coupon be used again, if its time is not over."""
        self.ensure_one()
        coupon = self.coupon_id
        if self._active_for(coupon):
            # WeChat's notice was faster, and another order has it since.
            return
        if coupon.wechat_state == "usable":
            # WeChat's notice was faster.
            self._add_return_history(coupon)
            return
        state = coupon._wechat_state_if_given_back()
        if not state:
            # Made invalid, deleted or used elsewhere meanwhile: it stays so.
            return
        over = coupon.wechat_valid_to and coupon.wechat_valid_to < fields.Datetime.now()
        if over:
            state = "expired"
        coupon._wechat_set_state(state, wechat_told_state=False)
        self._add_return_history(coupon)

    def _add_return_history(self, coupon):
        """Write into a coupon's history that it came back."""
        order = self._order_of_history()
        description = self.env._("Given back: %s", self.order_name)
        issued = 1 if coupon.wechat_state == "usable" else 0
        if coupon.wechat_state == "expired":
            description = self.env._("Given back, but expired: %s", self.order_name)
        as_ledger(self.env["loyalty.history"]).create(
            {
                "card_id": coupon.id,
                "order_model": order._name,
                "order_id": order.id,
                "description": description,
                "used": 0,
                "issued": issued,
            }
        )

    def _order_of_history(self):
        """Return the order that the coupon was used on."""
        return self.pos_order_id

    def _replace(self):
        """Give the holder a new coupon instead of one that WeChat does not take back.

        It is worth the same, as long as the old one was; one whose time is over is
        not replaced.
        """
        self.ensure_one()
        coupon = self.coupon_id
        if coupon.wechat_valid_to and coupon.wechat_valid_to < fields.Datetime.now():
            return
        template = self.template_id._replacement_template()
        vals = {
            "code": codes.new_code(),
            "partner_id": coupon.partner_id.id or self.partner_id.id,
            "wechat_identity_id": coupon.wechat_identity_id.id,
            "wechat_openid": coupon.wechat_openid,
            "wechat_valid_from": coupon.wechat_valid_from,
            "wechat_valid_to": coupon.wechat_valid_to,
        }
        new = self.env["loyalty.card"].sudo()._wechat_insert(template, [vals])
        as_ledger(new).write({"wechat_replaces_id": coupon.id})
        self.replacement_id = new
        self._add_return_history(new)

    # === BUSINESS METHODS - WECHAT === #

    def _operation_done(self, vals):
        """Extended: the order may have been given back meanwhile."""
        res = super()._operation_done(vals)
        if self.state == "returned" and self.return_way == "waiting":
            self.return_way = self._way_back()
            self._go_back()
        return res

    def _operation_refused(self, error):
        """Extended: there is nothing to be given back at WeChat."""
        res = super()._operation_refused(error)
        if self.state == "returned" and self.return_way == "waiting":
            self._goods_returned()
        return res

    def _returned_at_channel(self):
        """WeChat has taken the coupon back."""
        for redemption in self.sudo():
            redemption.coupon_id._wechat_lock()
            redemption._good_again()

    def _return_refused(self, error):
        """WeChat does not take the coupon back: a person has to decide."""
        self.ensure_one()
        told = self.with_context(lang=self._responsible().lang).sudo()
        told._message_log(
            body=told.env._("WeChat did not take the coupon back: %s", error)
        )
        told._add_problems([("return_refused", {"error": str(error)})])
        told._ask_manager("return_refused")

    @api.model
    def _topics(self):
        """Extended with what can go wrong on the way back."""
        return {
            **super()._topics(),
            "credit_withdrawn": self.env._(
                "A coupon went back with a credit note that is not posted any more."
            ),
            "over_refund": self.env._(
                "More was refunded than was paid for goods bought with a coupon."
            ),
            "return_refused": self.env._(
                "WeChat did not take back the coupon of a refunded order."
            ),
        }

    # === BUSINESS METHODS - WHAT PEOPLE ARE TOLD === #

    def _return_sentence(self, masked=False):
        """Say what became of the coupon of goods that were given back.

        :param bool masked: whether only the end of a new code is told
        :return: a sentence for the cashier, in the language of the user
        :rtype: str
        """
        self.ensure_one()
        reasons, coupon = self.env["coupon.reason"], self.coupon_id
        if self.state == "returned":
            if self.return_way == "replacement":
                new = self.replacement_id
                if new:
                    code = codes.mask(new.code) if masked else new.code
                    return reasons._message("given_back_new", new_code=code)
                return self._expired_sentence()
            if self.return_way == "payment":
                return reasons._message("given_back_payment")
            if coupon.wechat_state == "usable":
                return reasons._message("given_back", date=self._valid_until())
            if coupon.wechat_state == "expired":
                return self._expired_sentence()
            if self.needs_attention:
                return reasons._message("given_back_manager")
            return reasons._message("given_back_soon")
        if self.state == "redeemed" and self.remote_state != "refused":
            if self.template_id.return_policy == "never":
                return reasons._message("kept_never")
            if self.template_id.return_policy == "full":
                return reasons._message("kept_partial")
        return reasons._message("given_back_manager")

    def _valid_until(self):
        until = self.coupon_id.wechat_valid_to
        return self.coupon_id._wechat_date(until) if until else ""

    def _expired_sentence(self):
        return self.env["coupon.reason"]._message(
            "given_back_expired", date=self._valid_until()
        )
