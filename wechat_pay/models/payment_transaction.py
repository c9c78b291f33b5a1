import logging
import re
from datetime import timedelta
from urllib.parse import urlencode

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from odoo.addons.payment import utils as payment_utils
from odoo.addons.wechat_base.tools import money

from .. import const
from ..tools.bill import beijing_day

_logger = logging.getLogger(__name__)

# A path of this server; a second slash, of whichever kind, would name another one.
_OWN_PATH = re.compile(r"/(?![/\\])[^\s\\]*\Z")


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    # What the customer has been told, once each.
    wechat_told_done = fields.Boolean(
        string="Told that it is paid", readonly=True, copy=False
    )
    wechat_told_failed = fields.Boolean(
        string="Told that it was not paid", readonly=True, copy=False
    )

    # === PRE-PROCESSING === #

    def _get_specific_create_values(self, provider_code, values):
        """Override of `payment`: the browser says where it wants to go afterwards.

        Odoo's status page goes there without a question; so only to our own pages.
        """
        result = super()._get_specific_create_values(provider_code, values)
        route = values.get("landing_route")
        if provider_code != "wechat_pay" or not route or _OWN_PATH.match(route):
            return result
        return {**result, "landing_route": "/payment/status"}

    def _get_specific_rendering_values(self, processing_values):
        """Override of `payment`: the way to our own page.

        :return: ``api_url`` and ``access_token``
        :rtype: dict
        """
        values = super()._get_specific_rendering_values(processing_values)
        if self.provider_code != "wechat_pay":
            return values
        return {"api_url": self._wechat_path(), "access_token": self._wechat_token()}

    def _wechat_path(self):
        return f"/payment/wechat_pay/{self.id}"

    def _wechat_token(self):
        """Return what opens the page of this payment, and of no other."""
        return payment_utils.generate_access_token(
            "wechat_pay", self.id, self.reference, env=self.env
        )

    def _wechat_url(self):
        """Return the page's whole address, e.g. for an e-mail."""
        query = urlencode({"access_token": self._wechat_token()})
        return f"{self.provider_id.get_base_url()}{self._wechat_path()}?{query}"

    def _wechat_order_vals(self, way):
        """Return the values of a new ``wechat.pay.transaction`` for this payment.

        :param str way: ``native`` or ``jsapi``
        :raises UserError: if the provider is not set up to take this payment
        """
        self.ensure_one()
        if self.currency_id.name not in const.SUPPORTED_CURRENCIES:
            # Odoo offers the provider for these only, and does not insist on it.
            raise UserError(self.env._("WeChat Pay takes payments in yuan only."))
        rows = self.env["wechat.pay.transaction"]
        merchant = self.provider_id._wechat_ready_merchant()
        account = self.provider_id._wechat_service_account()
        appid = account.appid if way == "jsapi" else merchant._pay_appid()
        return {
            "kind": "payment",
            "way": way,
            "number": rows._new_number(),
            "merchant_id": merchant.id,
            "appid": appid,
            "company_id": self.company_id.id,
            "currency_id": self.currency_id.id,
            "description": f"{self.company_id.name} {self.reference}",
            "amount_fen": money.to_fen(self.amount),
            "payment_transaction_id": self.id,
            "next_at": rows._in(const.GRACE_SECONDS * 2),
            "expires_at": rows._in(const.QR_MINUTES["web"] * 60),
        }

    # === PROCESSING === #

    def _extract_amount_data(self, payment_data):
        """Override of `payment` to extract the amount and currency."""
        if self.provider_code != "wechat_pay":
            return super()._extract_amount_data(payment_data)
        return {
            "amount": money.from_fen(payment_data.get("amount_fen")),
            "currency_code": "CNY",
        }

    def _apply_updates(self, payment_data):
        """Override of `payment`.

        :param dict payment_data: see ``wechat.pay.transaction._web_process``
        """
        if self.provider_code != "wechat_pay":
            return super()._apply_updates(payment_data)
        state, message = payment_data["state"], payment_data.get("message")
        reference = payment_data.get("provider_reference")
        self.provider_reference = reference or self.provider_reference
        if state == self.state:
            return None
        if state == "pending":
            self._set_pending(extra_allowed_states=("error",))
        elif state == "done" and not self._wechat_fits(payment_data):
            # Odoo compares only before the first error.
            _logger.error("Payment %s: another amount was paid", self.reference)
            self._set_error(
                self.env._("Another amount was paid than was asked for."),
                extra_allowed_states=("cancel", "error"),
            )
        elif state == "done":
            # Paid after it was cancelled, and still wanted: see `_wechat_may_take`.
            self._set_done(extra_allowed_states=("cancel",))
            self._wechat_post_process_soon()
            self._wechat_tell("done")
        elif self.state in ("draft", "pending"):
            self._set_error(message)
            self._wechat_tell("failed")
        return None

    def _wechat_fits(self, payment_data):
        """Whether what was paid is what this payment is for, down to the fen."""
        # A refund's is negative.
        amount = abs(money.to_fen(self.amount))
        is_yuan = self.currency_id.name in const.SUPPORTED_CURRENCIES
        return is_yuan and payment_data.get("amount_fen") == amount

    def _create_payment(self, **extra_create_values):
        """Override of `account_payment`: the day of the payment is Beijing's.

        WeChat's fund flow has it on that day.
        """
        # sudo: whoever posts the payment.
        rows_sudo = self.env["wechat.pay.transaction"].sudo()
        if self.provider_code == "wechat_pay":
            paid = rows_sudo.search(
                [
                    ("payment_transaction_id", "=", self.id),
                    ("state", "=", "done"),
                    ("abandoned", "=", False),
                    ("success_at", "!=", False),
                ],
                limit=1,
            )
            if paid:
                extra_create_values.setdefault("date", beijing_day(paid.success_at))
        return super()._create_payment(**extra_create_values)

    def _wechat_post_process_soon(self):
        """The customer may have closed the page: confirm the order without it."""
        cron = self.env.ref("payment.cron_post_process_payment_tx", False)
        if cron:
            # sudo: whoever learns that it is paid.
            cron.sudo()._trigger()

    def _set_done(self, *, state_message=None, extra_allowed_states=()):
        """Override of `payment`: what is paid need not be paid with WeChat as well."""
        txs = super()._set_done(
            state_message=state_message, extra_allowed_states=extra_allowed_states
        )
        txs._wechat_close_rivals()
        return txs

    def _wechat_close_rivals(self):
        """Close orders at WeChat for documents that these transactions have paid."""
        for tx in self:
            domain = tx._wechat_same_documents()
            if tx.operation == "refund" or not domain:
                continue
            # sudo: orders are written by their own methods only.
            rows_sudo = self.env["wechat.pay.transaction"].sudo()
            for rival_sudo in self.sudo().search(
                Domain(domain) & Domain("id", "!=", tx.id)
            ):
                if rival_sudo._wechat_is_wanted():
                    continue
                for row_sudo in rows_sudo._web_rows(rival_sudo):
                    if row_sudo.state in const.OPEN_STATES and not row_sudo.abandoned:
                        row_sudo._web_drop()

    def _wechat_same_documents(self):
        """Return the domain of the WeChat payments of the same documents."""
        if self.invoice_ids:
            documents = [("invoice_ids", "in", self.invoice_ids.ids)]
        elif "sale_order_ids" in self._fields and self.sale_order_ids:
            documents = [("sale_order_ids", "in", self.sale_order_ids.ids)]
        else:
            return None
        return [
            ("provider_code", "=", "wechat_pay"),
            ("operation", "!=", "refund"),
            ("state", "in", ("draft", "pending", "error")),
            *documents,
        ]

    def _wechat_may_take(self):
        """Whether money that came late can still pay what it was meant for."""
        self.env.cr.execute(
            "SELECT 1 FROM payment_transaction WHERE id = %s FOR UPDATE", [self.id]
        )
        self.invalidate_recordset(["state"])
        return (
            self.state in ("draft", "pending", "error", "cancel")
            and self._wechat_is_wanted()
        )

    def _wechat_is_wanted(self):
        """Whether its documents, if it has any, have still that much to be paid."""
        self.ensure_one()
        if self.invoice_ids:
            documents = self.invoice_ids
            left = sum(documents.mapped("amount_residual"))
            # Paid, but not yet in the books.
            others = documents.transaction_ids.filtered(
                lambda tx: not tx.is_post_processed
            )
        elif "sale_order_ids" in self._fields and self.sale_order_ids:
            documents = self.sale_order_ids
            left = sum(documents.mapped("amount_total"))
            others = documents.transaction_ids
        else:
            return True
        if all(document.state == "cancel" for document in documents):
            return False
        others = (others - self).filtered(lambda tx: tx.state in ("authorized", "done"))
        left -= sum(others.mapped("amount"))
        return self.currency_id.compare_amounts(left, self.amount) >= 0

    def _wechat_cancel(self):
        """The customer has cancelled; paid in the last moment counts more."""
        if self.state in ("draft", "pending"):
            self._set_canceled(self.env._("Cancelled by the customer."))

    # === REFUNDS === #

    def _send_refund_request(self):
        """Override of `payment`: store the refund; jobs send it after the commit.

        :raises UserError: if more than was paid would go back
        """
        if self.provider_code != "wechat_pay":
            return super()._send_refund_request()
        # sudo: payments and refunds are written by their own methods only.
        rows_sudo = self.env["wechat.pay.transaction"].sudo()
        paid_sudo = rows_sudo._web_rows(self.source_transaction_id).filtered(
            lambda row: row.state == "done" and not row.abandoned
        )
        paid_sudo.ensure_one()
        paid_sudo._refund(
            money.to_fen(-self.amount),
            self.env.context.get("wechat_pay_reason") or self.reference,
            payment_transaction_id=self.id,
            user_id=self.env.uid,
        )
        self._set_pending()
        return None

    # === MESSAGES === #

    def _wechat_tell(self, outcome):
        """Tell the customer once; what fails here must not stop the payment.

        :param str outcome: ``done`` or ``failed``
        """
        self.ensure_one()
        told = f"wechat_told_{outcome}"
        if self.operation == "refund" or self[told]:
            return
        if outcome == "failed" and not (
            self._wechat_is_wanted() and self._wechat_is_news()
        ):
            return
        self[told] = True
        try:
            with self.env.cr.savepoint():
                self._wechat_send(outcome)
        except Exception:
            _logger.exception("Payment %s: the customer was not told", self.reference)

    def _wechat_is_news(self):
        """Whether nobody was told about the same documents today.

        A visitor may begin any number of payments; each message costs somebody time,
        or money.
        """
        if self.invoice_ids:
            same = Domain("invoice_ids", "in", self.invoice_ids.ids)
        elif "sale_order_ids" in self._fields and self.sale_order_ids:
            same = Domain("sale_order_ids", "in", self.sale_order_ids.ids)
        else:
            same = Domain("partner_email", "=", self.partner_email)
        since = fields.Datetime.now() - timedelta(days=1)
        # sudo: another visitor's payment of the same order.
        return not self.sudo().search_count(
            same
            & Domain("wechat_told_failed", "=", True)
            & Domain("last_state_change", ">", since)
            & Domain("id", "!=", self.id),
            limit=1,
        )

    def _wechat_send(self, outcome):
        """Put messages to the customer into their queues; to be extended.

        :param str outcome: ``done`` or ``failed``
        """
        if not self.provider_id[f"wechat_mail_{outcome}"] or not self.partner_email:
            return
        if outcome == "done" and self._wechat_odoo_confirms():
            return
        template = self.env.ref(f"wechat_pay.mail_template_{outcome}", False)
        if template:
            template.send_mail(self.id)
            self.env.ref("mail.ir_cron_mail_scheduler_action").sudo()._trigger()

    def _wechat_odoo_confirms(self):
        """Whether Odoo sends an e-mail about this payment by itself."""
        return "sale_order_ids" in self._fields and bool(self.sale_order_ids)
