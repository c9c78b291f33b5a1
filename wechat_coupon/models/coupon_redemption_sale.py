"""Redemptions on sales orders."""

from odoo import fields, models
from odoo.tools import SQL

# What changes in the ledger with an order that was confirmed before.
_AMENDED = ("discount_fen", "discount_amount", "order_total_fen", "order_amount")


class CouponRedemption(models.Model):
    _inherit = "coupon.redemption"

    sale_order_id = fields.Many2one(
        "sale.order",
        string="Sales Order",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )

    def _redeem_columns(self, coupon, uses, now):
        """Extended with the sales order."""
        values = uses.get(coupon) or {}
        return {
            **super()._redeem_columns(coupon, uses, now),
            "sale_order_id": values.get("sale_order_id"),
        }

    def _known_uses(self, order, coupons):
        """Override of ``coupon.redemption``: a quotation may be confirmed again.

        What the order has returned, it uses once more, or becomes a conflict.
        """
        known = super()._known_uses(order, coupons)
        self.env.cr.execute(
            SQL(
                """
                SELECT coupon_id FROM coupon_redemption
                 WHERE order_uuid = %s AND coupon_id = ANY(%s)
                 GROUP BY coupon_id
                HAVING bool_or(state = 'reserved')
                    OR bool_and(state = 'released'
                                OR state = 'returned' AND sale_order_id IS NOT NULL)
                """,
                order.uuid,
                coupons.ids,
            )
        )
        return known - {row[0] for row in self.env.cr.fetchall()}

    def _amend(self, values):
        """Take over what a confirmed order that was changed takes off now.

        :param dict values: see :meth:`_redeem`
        """
        self.ensure_one()
        ledger = self.sudo()
        lines = self.env["coupon.redemption.line"]
        fresh = self._redeem_columns(
            self.coupon_id, {self.coupon_id: values}, self.redeemed_at
        )
        amounts = {name: fresh[name] for name in _AMENDED}
        if all(
            ledger[name] == value for name, value in amounts.items()
        ) and ledger.line_ids._says(values["lines"]):
            return
        more = amounts["discount_fen"] > ledger.discount_fen
        ledger.write(amounts)
        ledger.line_ids.unlink()
        lines._add(ledger, {self.coupon_id: values})
        problems = [*self._too_much_off(values)] if more else []
        if problems:
            ledger._add_problems(problems)
            ledger._ask_manager("against_terms")

    def _order_of_history(self):
        """Override of ``coupon.redemption``."""
        return self.sale_order_id or super()._order_of_history()

    def action_view_order(self):
        """Override of ``coupon.redemption``."""
        action = super().action_view_order()
        if self.sale_order_id:
            action.update(res_model="sale.order", res_id=self.sale_order_id.id)
        return action


class CouponRedemptionLine(models.Model):
    _inherit = "coupon.redemption.line"

    sale_line_id = fields.Many2one(
        "sale.order.line", readonly=True, index="btree_not_null", ondelete="set null"
    )

    def _says(self, lines):
        """Whether these are the lines of a redemption on a sales order.

        :param list lines: values, see ``_add``
        """
        mine = sorted(
            (one.sale_line_id.id, one.quantity, one.line_fen, one.discount_fen)
            for one in self
        )
        return mine == sorted(
            (
                one["sale_line_id"],
                one["quantity"],
                one["line_fen"],
                one["discount_fen"],
            )
            for one in lines
        )
