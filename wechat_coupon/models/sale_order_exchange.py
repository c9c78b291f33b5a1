from odoo import models
from odoo.exceptions import UserError


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _get_reward_values_discount(self, reward, coupon, **kwargs):
        """Override of `sale_loyalty`: one piece of an exchange costs a fixed price."""
        values = super()._get_reward_values_discount(reward, coupon, **kwargs)
        if not reward.wechat_is_exchange:
            return values
        given = min(
            self.amount_total,
            reward.discount,
            self._discountable_specific(reward)[0],
        )
        wanted = min(self._wechat_exchange_discount(reward), self.amount_total)
        if wanted <= 0 or given <= 0:
            raise UserError(
                self.env._("The product costs no more than with this coupon.")
            )
        return [
            {**line, "price_unit": line["price_unit"] * wanted / given}
            for line in values
        ]

    def _wechat_exchange_discount(self, reward):
        """Return what one piece of the product costs above the fixed price."""
        lines = self._get_specific_discountable_lines(reward)
        prices = [
            line.price_total / max(line.product_uom_qty, 1)
            for line in lines
            if line.product_uom_qty > 0
        ]
        left = self._discountable_specific(reward)[0]
        return min(max(prices, default=0) - reward.wechat_exchange_price, left)
