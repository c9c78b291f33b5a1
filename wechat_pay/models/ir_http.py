from odoo import models


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _get_translation_frontend_modules_name(cls):
        """Override of `web`: the payment page's scripts speak to customers."""
        return [*super()._get_translation_frontend_modules_name(), "wechat_pay"]
