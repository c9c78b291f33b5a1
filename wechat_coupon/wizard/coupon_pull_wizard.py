from odoo import fields, models
from odoo.exceptions import UserError


class CouponPullWizard(models.TransientModel):
    _name = "coupon.pull.wizard"
    _description = "Fetch Coupons from WeChat"

    account_id = fields.Many2one(
        "wechat.account",
        required=True,
        default=lambda self: self.env["wechat.account"].search([], limit=1),
    )

    def action_pull(self):
        """Copy the coupons that the account has at WeChat to templates."""
        self.ensure_one()
        self.env["coupon.template"]._check_manager()
        new, known, skipped = self.env["coupon.channel.card"]._pull(self.account_id)
        if not (new or known):
            raise UserError(
                self.env._(
                    "WeChat has no coupons for %(account)s.",
                    account=self.account_id.name,
                )
            )
        message = self.env._(
            "%(new)s new, %(known)s compared, %(skipped)s of other kinds left out.",
            new=len(new),
            known=len(known),
            skipped=skipped,
        )
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_template_action"
        )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"type": "success", "message": message, "next": action},
        }
