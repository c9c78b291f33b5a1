from odoo import fields, models
from odoo.exceptions import UserError


class CouponReasonWizard(models.TransientModel):
    """Ask a manager why, then do it."""

    _name = "coupon.reason.wizard"
    _description = "Reason"

    action = fields.Selection(
        selection=[
            ("void", "Make coupons invalid"),
            ("settle", "Take off the worklist"),
            ("release", "Release"),
            ("return", "Give back"),
        ],
        required=True,
        readonly=True,
    )
    coupon_ids = fields.Many2many("loyalty.card", readonly=True)
    redemption_ids = fields.Many2many("coupon.redemption", readonly=True)
    reason = fields.Char(required=True)

    def action_confirm(self):
        """Do what the dialogue was opened for."""
        self.ensure_one()
        self.env["coupon.template"]._check_manager()
        methods = {
            "void": (self.coupon_ids, "_wechat_void"),
            "settle": (self.redemption_ids, "_settle"),
            "release": (self.redemption_ids, "_release_by_manager"),
            "return": (self.redemption_ids, "_return_by_manager"),
        }
        records, method = methods[self.action]
        if not records:
            raise UserError(self.env._("Nothing was selected."))
        getattr(records, method)(self.reason)
        return {"type": "ir.actions.client", "tag": "soft_reload"}
