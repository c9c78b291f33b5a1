from odoo import fields, models

from odoo.addons.wechat_base.tools import money

from ..tools.ledger import as_ledger


class CouponTemplate(models.Model):
    """Coupons instead of those that a channel does not take back, and their worth."""

    _inherit = "coupon.template"

    replacement_template_id = fields.Many2one(
        "coupon.template",
        string="Replacements",
        readonly=True,
        copy=False,
        ondelete="restrict",
        index="btree_not_null",
        help="Coupons of our own that customers get instead of one that WeChat does "
        "not take back.",
    )

    def _replacement_template(self):
        """Return the template of coupons of our own that are worth the same.

        It is made when the first one is needed, and nobody hands them out.

        :rtype: ``coupon.template`` record with sudo
        """
        self.ensure_one()
        # sudo: cashiers do not make templates, but refunds do.
        template = as_ledger(self)
        if not template._channel()._is_remote:
            return template
        self._lock_replacement()
        if not template.replacement_template_id:
            twin = template.copy(
                {
                    "name": self.env._("%s (replacement)", self.name),
                    "channel": "local",
                    "account_id": False,
                    "merchant_id": False,
                }
            )
            twin._set_state("live")
            # Good for those who have one, and made for refunds only.
            twin._set_state("ended")
            template.replacement_template_id = twin
        return template.replacement_template_id

    def _lock_replacement(self):
        """Let one transaction at a time make the template of the replacements.

        Who waits here begins again when the other one has written the template.
        """
        # NO KEY: tills whose ledger rows point to the template do not wait for it.
        self.env.cr.execute(
            "SELECT id FROM coupon_template WHERE id = %s FOR NO KEY UPDATE",
            [self.id],
            log_exceptions=False,
        )

    def _most_off_fen(self, lines):
        """Return what a coupon may take off some goods at most, in fen.

        :param list lines: pairs of fen and quantity, of the goods it is for
        """
        self.ensure_one()
        total = sum(fen for fen, _qty in lines)
        if self.coupon_type == "amount":
            return self.amount_fen
        if self.coupon_type == "percent":
            most = -(-total * self.percent_off // 100)
            return min(most, self.max_discount_fen) if self.max_discount_fen else most
        price = max(
            (money.to_fen(money.from_fen(fen) / qty) for fen, qty in lines if qty),
            default=0,
        )
        if self.coupon_type == "exchange":
            return max(price - self.exchange_fen, 0)
        return price * max(self.gift_qty, 1)
