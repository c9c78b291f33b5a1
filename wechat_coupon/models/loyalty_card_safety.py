from odoo import models

from odoo.addons.wechat_base.tools import money


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    def _wechat_place_refusals(self, order):
        """Extended with what the company allows with the channel."""
        yield from super()._wechat_place_refusals(order)
        policy = self.env["coupon.channel.policy"]._of(
            order.company, self.coupon_template_id.channel
        )
        yield from policy._refusals(order, self.env.user)

    def _wechat_worth_fen(self, cart=None):
        """Return what a coupon takes off at most, in fen.

        :param cart: :class:`~.tools.cart.Cart` of the order; without it a percent
            coupon is worth its maximum
        """
        template = self.coupon_template_id
        if template.coupon_type == "amount":
            return template.amount_fen
        if template.coupon_type == "percent":
            # The total of the order is what is left after the coupon.
            total = sum(
                line.price_total_fen
                for line in (cart.lines if cart else ())
                if not line.is_reward_line and line.qty > 0
            )
            worth = -(-total * template.percent_off // 100)
            most = template.max_discount_fen
            return min(worth or most, most) if most else worth
        # sudo: the price of a product that the cashier sells.
        price = money.to_fen(template.gift_product_id.sudo().lst_price)
        if template.coupon_type == "exchange":
            return max(price - template.exchange_fen, 0)
        return price * max(template.gift_qty, 1)
