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
        ],
        required=True,
        readonly=True,
    )
    res_model = fields.Char(required=True, readonly=True)
    res_ids = fields.Char(required=True, readonly=True)
    reason = fields.Char(required=True)

    def action_confirm(self):
        """Do what the dialogue was opened for."""
        self.ensure_one()
        self.env["coupon.template"]._check_manager()
        models_of = {
            "void": ("loyalty.card", "_wechat_void"),
            "settle": ("coupon.redemption", "_settle"),
            "release": ("coupon.redemption", "_release_by_manager"),
        }
        model, method = models_of[self.action]
        ids = [int(part) for part in self.res_ids.split(",") if part.isdigit()]
        if self.res_model != model or not ids:
            raise UserError(self.env._("Nothing was selected."))
        # The manager has to be able to read them: record rules apply.
        records = self.env[model].search([("id", "in", ids)])
        if len(records) != len(set(ids)):
            raise UserError(
                self.env._(
                    "Some of what was selected is gone, or belongs to a company that "
                    "is not selected. Nothing was done."
                )
            )
        getattr(records, method)(self.reason)
        return {"type": "ir.actions.client", "tag": "soft_reload"}
