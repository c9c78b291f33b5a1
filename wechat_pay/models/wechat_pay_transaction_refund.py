"""What a refund needs next, and what an answer means for it."""

import logging

from odoo import fields, models
from odoo.exceptions import UserError

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.exceptions import (
    WechatConfigError,
    WechatRefused,
    WechatUnavailable,
    WechatUnknownOutcome,
)

from .. import const
from ..tools import answers
from ..tools.pay_api import NOT_FOUND

_logger = logging.getLogger(__name__)


class WechatPayTransaction(models.Model):
    _inherit = "wechat.pay.transaction"

    def _call_refund(self):
        payment = self.payment_id
        more = {"reason": self.reason[:80]} if self.reason else {}
        return self._pay_api().refund(
            self.number,
            payment.number,
            self.amount_fen,
            payment.amount_fen,
            self.merchant_id.notify_url,
            **more,
        )

    def _call_query_refund(self):
        return self._pay_api().query_refund(self.number)

    def _next_refund_step(self, wish):
        if wish == "query_refund":
            return wish
        if self.state in ("draft", "sending", "unknown"):
            return "refund"
        return None if self.state == "cancelled" else "query_refund"

    def _begin_refund(self):
        self._begin_sending()

    def _begin_query_refund(self):
        self._begin_query()

    def _refund(self, amount_fen, reason="", number=None, **vals):
        """Give back a part of a payment: the row, sent by a job after the commit.

        :param int amount_fen: at most what is left of the payment
        :return: the refund
        :raises UserError: if it is more than is left
        """
        self.ensure_one()
        self._check_refund_count()
        self._hold_for_refund(amount_fen)
        # sudo: payments are written by their own methods only.
        refund_sudo = self.sudo().create(
            {
                "kind": "refund",
                "way": self.way,
                "number": number or self._new_number(),
                "merchant_id": self.merchant_id.id,
                "appid": self.appid,
                "driver": self.driver,
                "company_id": self.company_id.id,
                "currency_id": self.currency_id.id,
                "amount_fen": amount_fen,
                "payment_id": self.id,
                "description": self.description,
                "reason": reason,
                "next_at": fields.Datetime.now(),
                "user_id": self.env.uid,
                **vals,
            }
        )
        self._drain_wake(priority=5)
        return refund_sudo

    def _refund_by_hand(self, amount_fen, reason=""):
        """Give back what a person has decided on; see :meth:`_refund`.

        :return: the refund
        """
        return self._refund(amount_fen, reason)

    def _check_refund_count(self):
        tries = self.refund_ids.filtered(lambda r: r.state not in ("failed",))
        if len(tries) >= const.MAX_REFUNDS:
            raise UserError(
                self.env._(
                    "WeChat allows %(count)s refunds of one payment at most.",
                    count=const.MAX_REFUNDS,
                )
            )

    def _hold_for_refund(self, amount_fen):
        """Take an amount off what can still be refunded; one statement.

        :raises UserError: if there is not that much left
        """
        self.flush_recordset()
        self.env.cr.execute(
            """
            UPDATE wechat_pay_transaction
               SET refunded_fen = coalesce(refunded_fen, 0) + %(amount)s
             WHERE id = %(id)s
               AND kind = 'payment'
               AND state = 'done'
               AND %(amount)s > 0
               AND coalesce(refunded_fen, 0) + %(amount)s <= amount_fen
            """,
            {"id": self.id, "amount": amount_fen},
        )
        held = bool(self.env.cr.rowcount)
        self.invalidate_recordset(["refunded_fen"])
        if not held:
            self._check_refundable(amount_fen)

    def _left_fen(self):
        """Return what can still be refunded."""
        if self.kind != "payment" or self.state != "done":
            return 0
        return self.amount_fen - self.refunded_fen

    def _check_refundable(self, amount_fen):
        if not 0 < amount_fen <= self._left_fen():
            raise UserError(
                self.env._(
                    "%(amount)s yuan cannot be refunded: of this WeChat payment "
                    "%(left)s yuan are left.",
                    amount=money.format_fen(amount_fen),
                    left=money.format_fen(self._left_fen()),
                )
            )

    def _release_refund(self):
        """A refund did not happen: its amount may be refunded again."""
        self.flush_recordset()
        self.env.cr.execute(
            """
            UPDATE wechat_pay_transaction
               SET refunded_fen = refunded_fen - %s
             WHERE id = %s
            """,
            [self.amount_fen, self.payment_id.id],
        )
        self.payment_id.invalidate_recordset(["refunded_fen"])

    def _refund_answered(self, refund):
        self._apply_refund(refund)
        return False

    def _query_refund_answered(self, refund):
        self.questions = 0
        self._apply_refund(refund)
        return False

    def _refund_failed(self, error):
        if self.state != "sending":
            return False
        if isinstance(error, WechatRefused):
            if self.attempts > 1:
                # An earlier attempt without answer may have done it.
                self.write({"state": "unknown", "next_at": self._in(0)})
                return "query_refund"
            self._set_refund_failed("failed", error.code)
        elif isinstance(error, WechatConfigError | WechatUnavailable) and not (
            isinstance(error, WechatUnknownOutcome)
        ):
            self.write(
                {
                    "state": "draft",
                    "next_at": self._in(
                        getattr(error, "retry_after", None)
                        or self._backoff(const.REFUND_SECONDS, self.attempts)
                    ),
                    "needs_help": self.needs_help
                    or isinstance(error, WechatConfigError)
                    or self.attempts >= const.HELP_AFTER,
                }
            )
        else:
            self.write(
                {
                    "state": "unknown",
                    "next_at": self._in(
                        self._backoff(const.REFUND_SECONDS, self.attempts)
                    ),
                    "needs_help": self.needs_help or self.attempts >= const.HELP_AFTER,
                }
            )
        return False

    def _query_refund_failed(self, error):
        self.questions += 1
        not_found = isinstance(error, WechatRefused) and error.code in NOT_FOUND
        if self.state == "unknown":
            if not_found:
                # Refused, and no earlier attempt has arrived.
                self._set_refund_failed("failed", self.error_code)
            else:
                self.next_at = self._in(
                    self._backoff(const.REFUND_SECONDS, self.questions)
                )
            return False
        if self.state == "waiting" and (
            not_found or self.questions >= const.HELP_AFTER
        ):
            # WeChat took it and does not know it any more.
            self.needs_help = True
        self._plan_refund_poll()
        if self.state != "waiting" and not not_found:
            # A notice has made us ask; it does not come again.
            self.next_at = self._in(self._backoff(const.REFUND_SECONDS, self.questions))
        return False

    def _apply_refund(self, refund):
        """Bring a refund in line with what WeChat says about it.

        :param dict refund: contracts 5.8; a callback says ``refund_status``
        """
        status = refund.get("status") or refund.get("refund_status")
        state = const.REFUND_STATES.get(status)
        amount = refund.get("amount")
        fits = (
            state
            and refund.get("out_refund_no", self.number) == self.number
            and isinstance(amount, dict)
            and amount.get("refund") == self.amount_fen
        )
        if not fits:
            self._set_refund_failed("abnormal", "mismatch")
        elif state == self.state or (
            state == "waiting" and state not in self._refund_may_become()
        ):
            self._plan_refund_poll()
        elif state == "waiting":
            self._change_refund("waiting", remote_no=refund.get("refund_id"))
            self._plan_refund_poll()
        elif state == "done":
            self._set_refunded(refund)
        else:
            self._set_refund_failed(state, status)

    def _refund_may_become(self):
        return const.TRANSITIONS["refund"][self.state]

    def _change_refund(self, state, **vals):
        """Write a refund's state, and hold its amount as long as it may happen."""
        held, holds = (s not in ("failed", "cancelled") for s in (self.state, state))
        if held and not holds:
            self._release_refund()
        elif holds and not held:
            try:
                self.payment_id._hold_for_refund(self.amount_fen)
            except UserError:
                # It was given up, the money was given back another way, and now
                # WeChat has done it after all.
                _logger.error(
                    "Refund %s: more than was paid is given back", self.number
                )
                vals.update(needs_help=True, error_code="overpaid")
                state = "failed"
        self.write({**vals, "state": state})
        self._on_change()

    def _is_refunded_anew(self):
        """Whether something else has taken the place of a refund that failed."""
        return any(
            other.id > self.id and other.state not in ("failed", "cancelled")
            for other in self.payment_id.refund_ids
        )

    def _set_refunded(self, refund):
        amount = refund["amount"]
        promotions = answers.promotions(refund.get("promotion_detail"))
        vals = {
            "remote_no": refund.get("refund_id") or self.remote_no,
            "payer_total_fen": answers.fen(amount.get("payer_refund"), self.amount_fen),
            "settlement_fen": answers.fen(
                amount.get("settlement_refund"), self._settlement_share()
            ),
            "success_at": answers.moment(refund.get("success_time"))
            or fields.Datetime.now(),
            "needs_help": False,
            "error_code": False,
            "error": False,
            "next_at": False,
        }
        if promotions:
            # A callback does not tell them.
            vals["promotion_ids"] = [(5, 0, 0)] + [(0, 0, p) for p in promotions]
        self._change_refund("done", **vals)

    def _settlement_share(self):
        """What a refund takes from the merchant, when WeChat does not say it."""
        payment = self.payment_id
        whole = payment.amount_fen
        return self.amount_fen * (payment.settlement_fen or whole) // whole

    def _set_refund_failed(self, state, code):
        """Nothing was given back, or the money hangs somewhere: a person looks."""
        self._change_refund(
            state,
            needs_help=True,
            error_code=code or self.error_code,
            next_at=False,
        )

    def _plan_refund_poll(self):
        if self.state != "waiting":
            self.next_at = False
            return
        since = self.sent_at or self.create_date
        age = (fields.Datetime.now() - since).total_seconds()
        steps = [seconds for seconds in const.REFUND_SECONDS if seconds > age]
        self.next_at = self._in(steps[0] if steps else const.REFUND_SECONDS[-1])
