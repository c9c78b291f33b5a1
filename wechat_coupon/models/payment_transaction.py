from odoo import api, models
from odoo.exceptions import ValidationError


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    @api.model_create_multi
    def create(self, vals_list):
        """Extended: nobody pays for a quotation whose coupons are not there any more.

        :raises ValidationError: if a coupon cannot be held for its order
        """
        transactions = super().create(vals_list)
        # sudo: customers pay who do not read coupons.
        for order_sudo in transactions.sudo().sale_order_ids:
            if order_sudo.state not in ("draft", "sent"):
                continue
            if order_sudo._wechat_coupons():
                refused = order_sudo._wechat_hold_coupons()
                if refused:
                    raise ValidationError(refused)
        return transactions
