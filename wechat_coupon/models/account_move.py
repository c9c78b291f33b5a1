"""Credit notes give coupons of sales orders back."""

from odoo import models

from odoo.addons.wechat_base.tools import money

from ..tools import giveback


class AccountMove(models.Model):
    _inherit = "account.move"

    def _post(self, soft=True):
        """Extended: goods of sales orders that had coupons may be given back."""
        posted = super()._post(soft)
        for move in posted.filtered(lambda one: one.move_type == "out_refund"):
            for order_sudo in move._wechat_orders():
                order_sudo._wechat_credited_by(move.sudo())
        return posted

    def button_draft(self):
        """Extended: what a credit note gave back is in doubt while it is none.

        Cancelling begins with this, too.
        """
        notes = self.filtered(
            lambda one: one.move_type == "out_refund" and one.state == "posted"
        )
        res = super().button_draft()
        for note in notes:
            for order_sudo in note._wechat_orders():
                order_sudo._wechat_credit_withdrawn(note.sudo())
        return res

    def _wechat_orders(self):
        # sudo: accountants need not see the sales order.
        return self.sudo().invoice_line_ids.sale_line_ids.order_id


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _wechat_credited_by(self, move):
        """Count a credit note, and give back what the policies say.

        :param move: ``account.move`` record with sudo, posted
        """
        self.ensure_one()
        redemptions = self._wechat_given_back(
            {"document": _document(move), "name": move.name, "move_id": move.id},
            move.invoice_line_ids.sale_line_ids,
            lambda row: self._wechat_credited_fen(move, row),
        )
        complete = self._wechat_all_credited()
        redemptions.filtered(lambda row: row._is_due_back(complete))._credit_restored(
            move.name
        )

    def _wechat_given_back(self, refund, lines, share):
        """Count a document with which goods of the order were given back.

        :param dict refund: see ``coupon.redemption._give_back``; without ``shares``
        :param lines: ``sale.order.line`` records that the document is about
        :param share: callable, says how many fen of a redemption's discount went back
        :return: the redemptions of the order, locked
        """
        redemptions = self._wechat_used() | self._wechat_returned()
        if not redemptions:
            return redemptions
        # All of them: the last goods may be none of theirs.
        redemptions._lock_redemptions(redemptions)
        # It may have been posted before, with other lines.
        redemptions._forget_refund(refund["document"])
        complete = self._wechat_all_credited()
        touched = redemptions.filtered(
            lambda row: (
                lines & row.line_ids.sale_line_id or row.coupon_id in lines.coupon_id
            )
        )
        touched._give_back(
            {**refund, "shares": {row: share(row) for row in touched}}, complete
        )
        if complete:
            (redemptions - touched)._return_rest(refund["name"])
        over = self._wechat_over_fen()
        if over > 0:
            touched[:1]._too_much_given_back(over)
        return redemptions

    def _wechat_credit_withdrawn(self, move):
        """Count a credit note no more; a manager decides about coupons that went back.

        :param move: ``account.move`` record with sudo, posted until now
        """
        self.ensure_one()
        redemptions = self._wechat_used() | self._wechat_returned()
        if not redemptions:
            return
        redemptions._lock_redemptions(redemptions)
        redemptions._forget_refund(_document(move))
        complete = self._wechat_all_credited()
        redemptions.filtered(
            lambda row: (
                row.state == "returned"
                and row.return_reason == "refund"
                and not row._is_due_back(complete)
            )
        )._credit_withdrawn(move.name)

    def _wechat_returned(self):
        # sudo: salespeople do not read the ledger themselves.
        ledger = self.env["coupon.redemption"].sudo()
        return ledger.search(
            [("sale_order_id", "in", self.ids), ("state", "=", "returned")]
        )

    def _wechat_credited_fen(self, move, redemption):
        """Return how much of a redemption's discount a credit note takes back."""
        return -sum(
            money.to_fen(line.price_total)
            for line in move.invoice_line_ids
            if redemption.coupon_id in line.sale_line_ids.coupon_id
        )

    def _wechat_credited_lines(self):
        """Return the lines of all credit notes on goods and coupons of the order."""
        return self.order_line.invoice_lines.filtered(
            lambda line: (
                line.move_id.move_type == "out_refund" and line.parent_state == "posted"
            )
        )

    def _wechat_back(self):
        """Return the lines of goods with what came back of each until now.

        :rtype: list[giveback.Goods]
        """
        return [
            giveback.Goods(
                key=line.id,
                fen=money.to_fen(line.price_total),
                qty=line.product_uom_qty,
                back=self._wechat_back_qty(line),
            )
            for line in self._wechat_goods()
        ]

    def _wechat_back_qty(self, line):
        """Return how much of a line's goods came back, in the line's unit."""
        return sum(
            one.product_uom_id._compute_quantity(
                one.quantity, line.product_uom_id, round=False
            )
            for one in self._wechat_credited_lines()
            if line in one.sale_line_ids
        )

    def _wechat_back_fen(self, lines):
        """Return what was paid out for lines of the order until now, in fen."""
        return sum(
            money.to_fen(one.price_total)
            for one in self._wechat_credited_lines()
            if lines & one.sale_line_ids
        )

    def _wechat_all_credited(self):
        """Whether nothing of the order's goods is left with the customer."""
        return all(goods.returned >= goods.bought for goods in self._wechat_back())

    def _wechat_over_fen(self):
        """Return how much more was credited for goods of the order than they cost."""
        goods = self._wechat_back()
        discounts = []
        for line in self.order_line.filtered(
            lambda one: (
                one.coupon_id.coupon_template_id
                and one.reward_id.reward_type == "discount"
            )
        ):
            targets = self._wechat_goods_of(line.coupon_id)
            same = targets.filtered(
                lambda one, taxes=line.tax_ids: (
                    one.tax_ids.filtered(lambda tax: tax.amount_type != "fixed")
                    == taxes
                )
            )
            discounts.append(
                giveback.Discount(
                    key=line.id,
                    fen=-money.to_fen(line.price_total),
                    goods=tuple((same or targets).ids),
                )
            )
        counted = {one.key for one in goods} | {one.key for one in discounts}
        credited = self._wechat_back_fen(self.order_line.browse(counted))
        return credited - giveback.payable(goods, discounts)


def _document(move):
    """The key of a credit note in the ledger."""
    return f"{move._name},{move.id}"
