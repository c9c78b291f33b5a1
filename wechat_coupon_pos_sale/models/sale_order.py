"""Coupons of sales orders that are paid at a till."""

from dataclasses import replace

from odoo import models
from odoo.exceptions import AccessError

from odoo.addons.wechat_base.tools import money

_PAID = ("paid", "done")


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def wechat_hold_at_till(self):
        """Hold the coupons of a quotation that a cashier loads, while it is paid.

        :return: ``{"message": str}``: why one of them is not good any more and what to
            do; empty if all are
        :rtype: dict
        :raises AccessError: if the user sells at no till, or does not see the order
        """
        self.ensure_one()
        if not self.env.user.has_group("point_of_sale.group_pos_user"):
            raise AccessError(self.env._("This is for users of the point of sale."))
        self.check_access("read")
        if self.state not in ("draft", "sent") or self._wechat_is_paid():
            return {}
        refused = self._wechat_hold_coupons()
        if not refused:
            return {}
        message = self.env._(
            "%(order)s: %(reason)s Or have the coupon taken off the quotation in "
            "Sales, and load it again.",
            order=self.name,
            reason=refused,
        )
        return {"message": message}

    def _wechat_paid_lines(self):
        """Return the paid lines at tills, down payments and refunds among them."""
        # sudo: salespeople do not read orders of the point of sale.
        lines = self.sudo().pos_order_line_ids
        return (lines | lines.refund_orderline_ids).filtered(
            lambda line: line.order_id.state in _PAID
        )

    def _wechat_paid_orders(self):
        """Return the orders at tills with which the customer has paid, with sudo."""
        orders = self._wechat_paid_lines().order_id
        return orders.filtered(lambda order: not order.is_refund).sorted("id")

    def _wechat_paid_at(self):
        """Override of `wechat_coupon`: paying at a till is paying, too."""
        orders = self._wechat_paid_orders()
        return [*super()._wechat_paid_at(), *orders.mapped("create_date")]

    def _wechat_order_ref(self):
        """Override of `wechat_coupon`: the shop in which the order is paid."""
        paid = self._wechat_paid_orders()[-1:]
        return replace(
            super()._wechat_order_ref(), config=paid.config_id, session=paid.session_id
        )

    def _wechat_paid_fen(self):
        """Override of `wechat_coupon`."""
        lines = self._wechat_paid_lines()
        return super()._wechat_paid_fen() + sum(
            money.to_fen(line.price_subtotal_incl) for line in lines
        )

    def _wechat_refunded_by(self, refund):
        """Count a refund at a till, and give back what the policies say.

        :param refund: ``pos.order`` record, paid
        """
        self.ensure_one()
        back = refund.lines.filtered(
            lambda line: line.refunded_orderline_id.sale_order_line_id.order_id == self
        )
        self._wechat_given_back(
            {
                "document": refund.uuid,
                "name": refund.pos_reference or refund.name,
                "pos_order_id": refund.id,
            },
            back.refunded_orderline_id.sale_order_line_id,
            lambda row: sum(
                money.to_fen(line.price_subtotal_incl)
                for line in back
                if line.refunded_orderline_id.sale_order_line_id.coupon_id
                == row.coupon_id
            ),
        )

    def _wechat_refunds_at_till(self, lines):
        """Return what came back at tills of these order lines.

        :param lines: ``sale.order.line`` records
        :return: ``pos.order.line`` records
        """
        return lines.pos_order_line_ids.refund_orderline_ids.filtered(
            lambda line: line.order_id.state in _PAID
        )

    def _wechat_back_qty(self, line):
        """Override of `wechat_coupon`: goods come back at tills, too."""
        back = -sum(self._wechat_refunds_at_till(line).mapped("qty"))
        unit = line.product_id.uom_id
        return super()._wechat_back_qty(line) + unit._compute_quantity(
            back, line.product_uom_id, round=False
        )

    def _wechat_back_fen(self, lines):
        """Override of `wechat_coupon`."""
        return super()._wechat_back_fen(lines) - sum(
            money.to_fen(line.price_subtotal_incl)
            for line in self._wechat_refunds_at_till(lines)
        )
