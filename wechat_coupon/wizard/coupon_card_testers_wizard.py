from odoo import fields, models
from odoo.exceptions import UserError

from .. import const


class CouponCardTestersWizard(models.TransientModel):
    """People who may receive coupons that WeChat has not reviewed yet."""

    _name = "coupon.card.testers.wizard"
    _description = "Testers of Coupons"

    account_id = fields.Many2one(
        "wechat.account",
        required=True,
        domain=[("account_type", "!=", "mini_program")],
        default=lambda self: self.env["wechat.account"].search(
            self.env["coupon.pull.wizard"]._account_domain(), limit=1
        ),
    )
    people = fields.Text(
        help="One in each line: the WeChat ID, or the OpenID that the account has for "
        "the person. They replace those who were on the list before.",
    )

    def action_confirm(self):
        """Send the list to WeChat."""
        self.ensure_one()
        self.env["coupon.template"]._check_manager()
        self.account_id.check_access("read")
        lines = [line.strip() for line in (self.people or "").splitlines()]
        people = list(dict.fromkeys(line for line in lines if line))
        if len(people) > const.CARD_TESTERS:
            raise UserError(
                self.env._("WeChat takes %(most)s testers.", most=const.CARD_TESTERS)
            )
        # OpenIDs of an account have 28 characters; a WeChat ID has 20 at most.
        openids = [one for one in people if len(one) > 20]
        names = [one for one in people if len(one) <= 20]
        # sudo: the account's secrets are not for coupon managers.
        count = self.env["coupon.channel.card"]._set_testers(
            self.account_id.sudo(), openids, names
        )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success" if count == len(people) else "warning",
                "message": self.env._(
                    "%(count)s of %(all)s people are on WeChat's list.",
                    count=count,
                    all=len(people),
                ),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }
