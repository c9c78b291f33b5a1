from odoo import fields, models


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    def _today(self):
        """Return the day that it is where the template's days begin."""
        self.ensure_one()
        return fields.Date.context_today(self.with_context(tz=self._zone()))
