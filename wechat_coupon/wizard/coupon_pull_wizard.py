from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import const


class CouponPullWizard(models.TransientModel):
    _name = "coupon.pull.wizard"
    _description = "Fetch Coupons from WeChat"

    account_id = fields.Many2one(
        "wechat.account",
        required=True,
        domain=lambda self: self._account_domain(),
        default=lambda self: self.env["wechat.account"].search(
            self._account_domain(), limit=1
        ),
    )

    @api.model
    def _account_domain(self):
        """Accounts that have coupons and may be asked."""
        return [
            ("company_id", "parent_of", self.env.company.ids),
            ("environment", "!=", "disabled"),
            ("account_type", "!=", "mini_program"),
        ]

    def action_pull(self):
        """Copy the coupons that the account has at WeChat to templates."""
        self.ensure_one()
        self.env["coupon.template"]._check_manager()
        self.account_id.check_access("read")
        channel = self.env["coupon.channel.card"]
        if channel._pull_count(self.account_id) > const.PULL_AT_ONCE:
            channel._pull_later(self.account_id)
            return self._notify(
                self.env._(
                    "The coupons of %(account)s are on their way. They appear in "
                    "WeChat ‣ Coupons ‣ Templates one by one; you are told when all "
                    "are there.",
                    account=self.account_id.name,
                ),
                "info",
            )
        new, known, skipped, failed = channel._pull(self.account_id)
        if not (new or known or failed):
            raise UserError(
                self.env._(
                    "WeChat has no coupons for %(account)s.",
                    account=self.account_id.name,
                )
            )
        message = self.env._(
            "%(new)s new, %(known)s compared, %(skipped)s of other kinds left out, "
            "%(failed)s failed.",
            new=len(new),
            known=len(known),
            skipped=skipped,
            failed=failed,
        )
        return self._notify(message, "warning" if failed else "success")

    def _notify(self, message, kind):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_template_action"
        )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"type": kind, "message": message, "next": action},
        }
