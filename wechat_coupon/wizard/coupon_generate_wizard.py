from odoo import fields, models
from odoo.exceptions import UserError

_MAX = 100_000


class CouponGenerateWizard(models.TransientModel):
    _name = "coupon.generate.wizard"
    _description = "Generate Coupons"

    template_id = fields.Many2one("coupon.template", required=True, readonly=True)
    quantity = fields.Integer(default=100, required=True)
    partner_ids = fields.Many2many(
        "res.partner",
        string="Customers",
        help="One coupon for each; leave empty for coupons that anybody may use.",
    )

    def action_generate(self):
        """Make the coupons and show them."""
        self.ensure_one()
        self.env["coupon.template"]._check_manager()
        self.template_id.check_access("write")
        count = len(self.partner_ids) or self.quantity
        if not 0 < count <= _MAX:
            raise UserError(self.env._("Enter a number from 1 to %(most)s.", most=_MAX))
        self.template_id._check_handout("manual", self.partner_ids)
        self.template_id._generate(count, self.partner_ids)
        return self.template_id.action_view_coupons()
