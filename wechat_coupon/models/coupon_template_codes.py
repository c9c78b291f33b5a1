from odoo import models
from odoo.exceptions import UserError


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    def action_codes(self):
        """Open a new order for many codes of the template."""
        self._check_manager()
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Codes"),
            "res_model": "coupon.code.batch",
            "view_mode": "form",
            "context": {
                "default_template_id": self.id,
                "default_company_id": self.company_id.id,
            },
        }

    def _check_codes(self):
        """Refuse to make codes that nobody in particular gets.

        :raises UserError: with what to do instead
        """
        self.ensure_one()
        if self.channel != "local":
            raise UserError(
                self.env._(
                    "Codes are made in this way for coupons of our own only, not "
                    "for those at WeChat."
                )
            )
        if self.state != "live":
            raise UserError(self.env._("Publish the template before you hand it out."))
        self._check_handout("manual")
