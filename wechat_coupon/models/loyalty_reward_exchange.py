from odoo import api, fields, models


class LoyaltyReward(models.Model):
    """A product at a fixed price, by means of Odoo's discount on a product.

    Odoo's engine takes a fixed amount off. The price of the product on an order may
    not be the one of the day the template was made, so the till
    (`static/src/app/models/pos_order_exchange.js`) and the sales order scale the
    amount until one piece costs the fixed price; never less, and never more off than
    the product costs.
    """

    _inherit = "loyalty.reward"

    wechat_is_exchange = fields.Boolean(readonly=True)
    wechat_exchange_price = fields.Monetary(readonly=True)

    @api.model
    def _load_pos_data_fields(self, config):
        """Override of `pos_loyalty`."""
        return [
            *super()._load_pos_data_fields(config),
            "wechat_is_exchange",
            "wechat_exchange_price",
        ]
