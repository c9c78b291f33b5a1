"""What a payment needs next, and what an answer means for it."""

import logging
from datetime import timedelta

from odoo import fields, models

from odoo.addons.wechat_base.tools.exceptions import (
    WechatError,
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

    def _call_charge(self, auth_code):
        return self._pay_api().pay(
            self.number,
            auth_code,
            self.amount_fen,
            self.description,
            scene_info=self._scene_info(),
        )

    def _scene_info(self):
        """Return where the payment is made; contracts 5.6 want a shop."""
        return {"store_info": {"id": f"odoo{self.company_id.id}"}}

    def _call_place(self):
        more = {"time_expire": answers.rfc3339(self.expires_at)}
        if self.way == "jsapi":
            more["payer"] = {"openid": self.payer_openid}
        return self._pay_api().place(
            self.way,
            self.number,
            self.amount_fen,
            self.description,
            self.merchant_id.notify_url,
            **more,
        )

    def _call_query(self):
        return self._pay_api().query(self.number)

    def _call_decide(self):
        return self._call_query()

    def _call_close(self):
        pay_api = self._pay_api()
        if self.way == "codepay":
            pay_api.reverse(self.number)
        else:
            pay_api.close(self.number)
        return {}

    def _next_payment_step(self, wish):
        """Return what to do with a payment now.

        :rtype: str or None
        """
        if self.state == "draft":
            if wish in ("charge", "place"):
                return wish
            if not wish:
                # Whoever wanted to send it is gone, and nothing was sent.
                self.write({"state": "cancelled", "next_at": False})
            return None
        if wish == "place" and self.state in ("sending", "waiting", "unknown"):
            # The same order again is harmless; WeChat answers with a new link.
            return wish
        if self.state != "closing" or wish == "decide":
            return wish if wish == "decide" else "query"
        if self._is_to_be_asked():
            return "query"
        if self._reverse_is_early():
            return "query" if wish else None
        return "close"

    def _is_over(self):
        return self.expires_at and self.expires_at <= fields.Datetime.now()

    def _is_kept(self):
        """Hook: whether somebody has handed out goods for a payment that is open.

        It is asked about until it is paid, and never closed or reversed.
        """
        return False

    def _is_to_be_asked(self):
        """Whether WeChat has to say first that an order to be closed is unpaid.

        The cashier's wish to cancel needs no question. When the time is over, an
        answer may be missing that says "paid".
        """
        if self._is_kept():
            return True
        now = fields.Datetime.now()
        asked = self.queried_at and now - self.queried_at < timedelta(
            seconds=const.GRACE_SECONDS
        )
        return self._is_over() and not self.abandoned and not asked

    def _reverse_is_early(self):
        """Whether WeChat would not reverse yet; then say when it will."""
        if self.way != "codepay":
            return False
        wait = const.REVERSE_AFTER.get(self.driver, 0)
        start = (self.sent_at or self.create_date) + timedelta(seconds=wait)
        if start <= fields.Datetime.now():
            return False
        self.next_at = start
        return True

    def _begin_charge(self):
        self._begin_sending(expires_at=self._in(const.CODE_SECONDS))

    def _begin_place(self):
        if self.state == "waiting":
            return
        self._begin_sending()

    def _begin_close(self):
        self.next_at = self._in(const.GRACE_SECONDS)

    def _begin_query(self):
        self.queried_at = fields.Datetime.now()

    def _begin_decide(self):
        self._begin_query()

    def _charge_answered(self, order):
        if self.state != "sending":
            # Cancelled while the answer was under way: it is reversed, paid or not.
            self.next_at = fields.Datetime.now()
            return True
        self._apply_order(order)
        return False

    def _charge_failed(self, error):
        if self.state != "sending":
            self.next_at = fields.Datetime.now()
            return True
        if isinstance(error, WechatRefused):
            if error.code in const.NUMBER_KNOWN:
                self.write({"state": "unknown", "next_at": fields.Datetime.now()})
                return True
            self._set_ended("failed")
        elif isinstance(error, WechatUnknownOutcome) or not isinstance(
            error, WechatError
        ):
            self.write({"state": "unknown", "next_at": self._in(const.QUERY_SECONDS)})
        else:
            # Configuration, or WeChat could not be reached: nothing was sent.
            self._set_ended("failed")
        return False

    def _place_answered(self, answer):
        vals = {
            "code_url": answer.get("code_url") or self.code_url,
            "prepay_id": answer.get("prepay_id") or self.prepay_id,
        }
        if self.state == "sending":
            vals.update(state="waiting", next_at=self._next_poll())
        self.write(vals)
        return False

    def _place_failed(self, error):
        if self.state != "sending":
            self.next_at = fields.Datetime.now()
            return True
        if isinstance(error, WechatRefused) and error.code in const.NUMBER_KNOWN:
            self.write({"state": "unknown", "next_at": fields.Datetime.now()})
            return True
        if isinstance(error, WechatUnknownOutcome):
            # Placing it again is harmless; nobody can pay what nobody was shown.
            self.write({"state": "unknown", "next_at": self._in(const.QUERY_SECONDS)})
        else:
            self._set_ended("failed")
        return False

    def _query_answered(self, order):
        self.questions = 0
        return self._apply_order(order)

    def _decide_answered(self, order):
        """WeChat would not close or reverse the order, and says what it is."""
        self._apply_order(order)
        if self.state == "closing":
            self._plan_close()
        return False

    def _decide_failed(self, error):
        self._query_failed(error)
        return False

    def _query_failed(self, error):
        if isinstance(error, WechatRefused) and error.code in NOT_FOUND:
            return self._order_not_found()
        self._count_question()
        if self.state == "closing":
            self._plan_close()
        elif self.state not in const.OPEN_STATES:
            # The last look at an order that ended unpaid; it can wait.
            self.next_at = self._in(const.WATCH_SECONDS[-1])
        else:
            self._plan_poll()
        return False

    def _order_not_found(self):
        """WeChat does not know the number: nothing has arrived there."""
        if self.state in ("sending", "unknown", "waiting"):
            if self.way == "codepay" and not self._is_over():
                # The charge may still be under way to WeChat.
                self.next_at = self._in(const.QUERY_SECONDS)
                if self.state == "sending":
                    self.state = "unknown"
                return False
            self._set_closing()
            return True
        if self.state == "closing":
            self._set_ended("cancelled")
        else:
            self._plan_watch()
        return False

    def _close_answered(self, _answer):
        if self.state == "closing":
            self._set_ended("cancelled")
        return False

    def _close_failed(self, error):
        if isinstance(error, WechatRefused):
            if error.code in NOT_FOUND:
                if self.state == "closing":
                    self._set_ended("cancelled")
                return False
        self._count_question()
        self._plan_close()
        if isinstance(error, WechatUnavailable):
            return False
        # Paid, or closed already, or a key that may not reverse: WeChat says which.
        return "decide"

    def _plan_close(self):
        self.next_at = self._in(self._backoff(const.POLL_SECONDS, self.questions))

    def _apply_order(self, order):
        """Bring a payment in line with an order as WeChat tells it.

        Replays and disorder change nothing. The amount is compared before anything
        else.

        :param dict order: contracts 5.5
        :return: whether the next step should follow at once
        """
        state = const.TRADE_STATES.get(order.get("trade_state"))
        if not state or not self._fits(order):
            self._set_mismatch(order)
            return False
        if state == "done":
            return self._apply_success(order)
        if self.state not in const.OPEN_STATES:
            self._plan_watch()
            return False
        if state == "waiting":
            return self._apply_waiting()
        if state == "failed" and self.state == "closing":
            state = "cancelled"
        self._set_ended(state, "PAYERROR" if state == "failed" else None)
        return False

    def _fits(self, order):
        """Whether an order is ours, down to the fen."""
        if order.get("out_trade_no", self.number) != self.number:
            return False
        if order.get("mchid", self.merchant_id.mchid) != self.merchant_id.mchid:
            return False
        if const.TRADE_STATES.get(order.get("trade_state")) != "done":
            return True
        if order["trade_state"] == "REFUND" and self._is_reversed():
            # Our own reverse; APIv2 need not say the amount.
            return True
        amount = order.get("amount")
        return (
            isinstance(amount, dict)
            and amount.get("total") == self.amount_fen
            and amount.get("currency", "CNY") == "CNY"
        )

    def _set_mismatch(self, order):
        _logger.error(
            "WeChat Pay order %s: WeChat reports %s of %s, we expected %s fen",
            self.number,
            order.get("trade_state"),
            order.get("amount"),
            self.amount_fen,
        )
        if self.state == "done":
            return
        self.write(
            {
                "state": "abnormal",
                # What has ended does not come back as the line's payment.
                "abandoned": self.abandoned or self.state in ("failed", "cancelled"),
                "needs_help": True,
                "error_code": "mismatch",
                "error": False,
                "next_at": False,
            }
        )
        self._on_change()

    def _apply_success(self, order):
        if self.state == "done":
            return False
        if order["trade_state"] == "REFUND" and self._is_reversed():
            if self.state == "closing":
                self._set_ended("cancelled")
            else:
                self._plan_watch()
            return False
        ended = self.state in ("failed", "cancelled")
        late = self.abandoned or (ended and not self._is_kept())
        self._write_success(order, late)
        if late:
            self._late_success()
        self._on_change()
        return False

    def _is_reversed(self):
        """Whether it is our own reverse that has given a paid order back."""
        return self.state == "closing" or (
            self.state == "cancelled" and self.way == "codepay"
        )

    def _write_success(self, order, late):
        amount = order["amount"]
        promotions = answers.promotions(order.get("promotion_detail"))
        not_funded = sum(p["amount_fen"] for p in promotions if p["type"] == "NOCASH")
        payer = order.get("payer")
        self.write(
            {
                "state": "done",
                "abandoned": late,
                "remote_no": order.get("transaction_id"),
                "payer_total_fen": answers.fen(
                    amount.get("payer_total"), self.amount_fen
                ),
                "settlement_fen": self.amount_fen - not_funded,
                "success_at": answers.moment(order.get("success_time"))
                or fields.Datetime.now(),
                "trade_type": order.get("trade_type"),
                "bank_type": order.get("bank_type"),
                "payer_openid": self.payer_openid
                or (isinstance(payer, dict) and payer.get("openid"))
                or False,
                "promotion_ids": [(5, 0, 0)] + [(0, 0, p) for p in promotions],
                "needs_help": False,
                "error_code": False,
                "error": False,
                "questions": 0,
                "next_at": False,
            }
        )

    def _late_success(self):
        """Hook: a payment that nobody counts on any more was paid after all."""
        self._refund(
            self.amount_fen - self.refunded_fen,
            self.env._("Paid after it was cancelled"),
        )

    def _apply_waiting(self):
        if self.state in ("sending", "unknown"):
            self.state = "waiting"
        if self._is_kept():
            self._plan_poll()
            return False
        if self.state == "waiting" and self._is_over():
            self._set_closing()
        if self.state == "closing":
            return True
        self._plan_poll()
        return False

    def _set_closing(self):
        self.write({"state": "closing", "next_at": fields.Datetime.now()})

    def _set_ended(self, state, code=None):
        """Record that nothing was paid, or that it was given back.

        The last word it is not: WeChat is asked some time later once more.
        """
        vals = {"state": state, "needs_help": False, "questions": 0}
        if code:
            vals.update(error_code=code, error=False)
        elif state == "cancelled":
            over = self._is_over()
            vals.update(error_code="timeout" if over else "cancelled", error=False)
        self.write(vals)
        self._plan_watch()
        self._on_change()

    def _plan_poll(self):
        self.next_at = self._next_poll()

    def _next_poll(self):
        since = self.sent_at or self.create_date or fields.Datetime.now()
        age = (fields.Datetime.now() - since).total_seconds()
        if age > const.KEPT_SECONDS and self._is_kept():
            # It stays on the worklist of what WeChat has not confirmed.
            return False
        total = 0
        for seconds in const.POLL_SECONDS:
            total += seconds
            if total > age:
                break
        return self._in(seconds)

    def _plan_watch(self):
        """An order that ended unpaid is asked about twice more, then rests."""
        since = self.sent_at
        if not since:
            self.next_at = False
            return
        age = (fields.Datetime.now() - since).total_seconds()
        later = [seconds for seconds in const.WATCH_SECONDS if seconds > age]
        self.next_at = since + timedelta(seconds=later[0]) if later else False

    def _give_up(self):
        """Decide that a payment is not wanted any more; nothing is sent yet.

        :return: whether WeChat has to be told
        """
        self._lock()
        if self._is_kept():
            return False
        if self.state == "draft":
            self.write({"state": "cancelled", "abandoned": True, "next_at": False})
        elif self.state in const.OPEN_STATES:
            self._set_closing()
        return self.state == "closing"

    def _abandon(self):
        """Nobody waits for the payment any more: jobs close it, money goes back."""
        self._lock()
        if self.state in const.OPEN_STATES and not self._is_kept():
            self.abandoned = True
            self._drain_wake(priority=5)
