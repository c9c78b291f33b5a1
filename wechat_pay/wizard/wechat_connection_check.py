from odoo import models


class WechatConnectionCheck(models.TransientModel):
    _inherit = "wechat.connection.check"

    def _check_merchant(self):
        """Override of `wechat_base` to see whether payments can be placed."""
        super()._check_merchant()
        if self.merchant_id.environment == "disabled":
            return
        bound = bool(self.merchant_id.account_ids)
        self._add(
            self.env._("Account for payments"),
            "ok" if bound else "error",
            ", ".join(self.merchant_id.account_ids.mapped("name"))
            if bound
            else self.env._("Missing"),
            ""
            if bound
            else self.env._(
                "Choose the official account that is bound to the merchant on its "
                "form: each payment names its AppID."
            ),
        )
