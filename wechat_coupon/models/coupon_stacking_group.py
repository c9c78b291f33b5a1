from odoo import fields, models


class CouponStackingGroup(models.Model):
    """Coupons that can be used together on one order."""

    _name = "coupon.stacking.group"
    _description = "Coupons Used Together"
    _order = "name, id"
    _check_company_auto = True
    _check_company_domain = models.check_company_domain_parent_of

    name = fields.Char(required=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    max_coupons = fields.Integer(
        string="Coupons per Order",
        required=True,
        default=2,
        help="How many coupons of the group can be used on one order at most.",
    )
    template_ids = fields.One2many(
        "coupon.template", "stacking_group_id", string="Coupon Templates", readonly=True
    )

    _max_positive = models.Constraint(
        "CHECK (max_coupons > 0)",
        "A group allows at least one coupon on an order.",
    )
