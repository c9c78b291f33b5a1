"""Refunds at the till of orders that had coupons."""

from odoo import models

from odoo.addons.wechat_base.tools import money

from ..tools import giveback

_PAID = ("paid", "done", "invoiced")


class PosOrder(models.Model):
    _inherit = "pos.order"

    def _wechat_mark_refunds(self):
        """Override of `wechat_coupon`: coupons of refunded orders go back.

        The refund is paid: whatever is wrong with it, it is saved.
        """
        # sudo: the order that is refunded may be one of another till.
        for order_sudo in self.lines.refunded_orderline_id.order_id.sudo():
            self._wechat_guarded_step(
                lambda order_sudo=order_sudo: order_sudo._wechat_refunded_by(self)
            )

    def _wechat_refunded_by(self, refund):
        """Count a refund of this order, and give back what the policies say.

        :param refund: ``pos.order`` record, paid
        """
        self.ensure_one()
        redemptions = self.env["coupon.redemption"].search(
            [
                ("pos_order_id", "=", self.id),
                ("state", "in", ("redeemed", "returned", "conflict")),
            ]
        )
        if not redemptions:
            return
        # All of them: the last goods may be none of theirs.
        redemptions._lock_redemptions(redemptions)
        complete = self._wechat_all_given_back(refund)
        touched = redemptions.filtered(
            lambda redemption: refund._wechat_touches(redemption)
        )
        touched._give_back(
            {
                "document": refund.uuid,
                "name": refund.pos_reference or refund.name,
                "pos_order_id": refund.id,
                "shares": {
                    redemption: refund._wechat_taken_back(redemption)
                    for redemption in touched
                },
            },
            complete,
        )
        if complete:
            (redemptions - touched)._return_rest(refund.pos_reference or refund.name)
        over = self._wechat_over_fen(refund)
        if over > 0:
            redemptions[:1]._too_much_given_back(over)

    def _wechat_touches(self, redemption):
        """Whether this refund has goods or the discount of a redemption."""
        lines = self.lines.refunded_orderline_id
        goods = redemption.line_ids.pos_line_id
        if not goods:
            # WeChat took it off inside the payment: it is for all of the order.
            return redemption.pos_order_id in lines.order_id
        return bool(lines & goods or redemption.coupon_id in lines.coupon_id)

    def _wechat_taken_back(self, redemption):
        """Return how much of a redemption's discount came back with this refund."""
        return sum(
            money.to_fen(line.price_subtotal_incl)
            for line in self.lines
            if line.refunded_orderline_id.order_id == redemption.pos_order_id
            and line.refunded_orderline_id.coupon_id == redemption.coupon_id
        )

    def _wechat_refund_lines(self, refund):
        """Return the paid lines that give back something of this order.

        :param refund: ``pos.order`` record that is being paid
        """
        return self.lines.refund_orderline_ids.filtered(
            lambda line: line.order_id == refund or line.order_id.state in _PAID
        )

    def _wechat_back_of(self, refund):
        """Return the lines of goods with what came back of each until now.

        :rtype: list[giveback.Goods]
        """
        back = self._wechat_refund_lines(refund)
        return [
            giveback.Goods(
                key=line.id,
                fen=money.to_fen(line.price_subtotal_incl),
                qty=line.qty,
                back=-sum(one.qty for one in back if one.refunded_orderline_id == line),
            )
            for line in self._wechat_goods()
        ]

    def _wechat_all_given_back(self, refund):
        """Whether nothing of this order's goods is left with the customer."""
        return all(
            goods.returned >= goods.bought for goods in self._wechat_back_of(refund)
        )

    def _wechat_discounts(self):
        """Return what coupons took off this order.

        :rtype: list[giveback.Discount]
        """
        discounts = []
        for line in self._wechat_coupon_lines():
            goods = self._wechat_discounted_lines(line.coupon_id.sudo())
            same = goods.filtered(lambda one, taxes=line.tax_ids: _taxes(one) == taxes)
            discounts.append(
                giveback.Discount(
                    key=line.id,
                    fen=-money.to_fen(line.price_subtotal_incl),
                    goods=tuple((same or goods).ids),
                )
            )
        return discounts

    def _wechat_over_fen(self, refund):
        """Return how much more was paid out for goods of this order than paid in.

        :param refund: ``pos.order`` record that is being paid
        """
        goods, discounts = self._wechat_back_of(refund), self._wechat_discounts()
        counted = {one.key for one in goods} | {one.key for one in discounts}
        paid_out = -sum(
            money.to_fen(line.price_subtotal_incl)
            for line in self._wechat_refund_lines(refund)
            if line.refunded_orderline_id.id in counted
        )
        return paid_out - giveback.payable(goods, discounts)


class PosOrderLine(models.Model):
    _inherit = "pos.order.line"

    def _prepare_refund_data(self, refund_order, PosPackOperationLot):
        """Override of `point_of_sale`: what is left of a coupon's discount, to the fen.

        Parts of it went back with other refunds as amounts, not as quantities.
        """
        vals = super()._prepare_refund_data(refund_order, PosPackOperationLot)
        # sudo: the template is not for users of the till to read.
        back = self.refund_orderline_ids.filtered(
            lambda line: line.order_id.state in _PAID
        )
        total = money.to_fen(self.price_subtotal_incl)
        if not back or not total or not self.sudo().coupon_id.coupon_template_id:
            return vals
        left = total + sum(money.to_fen(line.price_subtotal_incl) for line in back)
        part = left / total
        qty = vals["qty"] or -1
        return {
            **vals,
            "qty": qty,
            "price_unit": self.price_unit * self.qty * part / -qty,
            "price_subtotal": -self.currency_id.round(self.price_subtotal * part),
            "price_subtotal_incl": -money.from_fen(left),
        }


def _taxes(line):
    """The taxes by which Odoo's engine groups the lines for a discount."""
    return line.tax_ids.filtered(lambda tax: tax.amount_type != "fixed")
