from odoo import models


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    def _wechat_state_refusals(self):
        """Override of `wechat_coupon`: the hours of the template."""
        yield from super()._wechat_state_refusals()
        template = self.coupon_template_id
        opens = template._closed_until(before=self.wechat_valid_to)
        if opens is not None:
            yield "outside_hours", {"opens": opens and template._day_and_hour(opens)}

    def _wechat_cart_refusals(self, cart):
        """Override of `wechat_coupon`: an exchange needs its product on the order."""
        yield from super()._wechat_cart_refusals(cart)
        template = self.coupon_template_id
        product = template.gift_product_id
        if template.coupon_type == "exchange" and not any(
            line.product_id == product.id and line.qty > 0 and not line.is_reward_line
            for line in cart.lines
        ):
            yield "product_missing", {"product": product.display_name}
