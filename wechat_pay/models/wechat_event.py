from odoo import fields, models


class WechatEvent(models.Model):
    _inherit = "wechat.event"

    def _handle_transaction_success(self):
        """An order is paid (contracts 5.4). Payments by code are not told."""
        order = self._payload()
        row = self._pay_row("payment", order.get("out_trade_no"))
        if not row:
            return False
        row._apply_order(order)
        return True

    def _handle_refund_success(self):
        """A refund has reached the customer."""
        return self._handle_refund()

    def _handle_refund_abnormal(self):
        """A refund could not be paid out; a person has to say where it goes."""
        return self._handle_refund()

    def _handle_refund_closed(self):
        """A refund was given up by WeChat."""
        return self._handle_refund()

    def _handle_refund(self):
        refund = self._payload()
        row = self._pay_row("refund", refund.get("out_refund_no"))
        if not row:
            return False
        if row.state in ("done", "failed", "abnormal"):
            # Notices come in any order: what we know is not changed by an old one.
            row.next_at = fields.Datetime.now()
            row._drain_wake()
        else:
            row._apply_refund(refund)
        return True

    def _pay_row(self, kind, number):
        transactions = self.env["wechat.pay.transaction"]
        if not (self.merchant_id and isinstance(number, str)):
            return transactions
        return transactions._find_number(self.merchant_id, kind, number)
