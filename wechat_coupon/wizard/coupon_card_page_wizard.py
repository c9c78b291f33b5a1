import base64
import io

from odoo import api, fields, models
from odoo.exceptions import UserError


class CouponCardPageWizard(models.TransientModel):
    """A page of WeChat that offers several coupons, to print or to link to."""

    _name = "coupon.card.page.wizard"
    _description = "WeChat Page of Coupons"

    template_ids = fields.Many2many("coupon.template", string="Coupons", required=True)
    title = fields.Char(required=True)
    banner = fields.Image(
        string="Picture", required=True, max_width=640, max_height=300
    )
    url = fields.Char(string="Link", readonly=True)

    @api.model
    def default_get(self, fields_list):
        """Override to take the templates that were chosen in the list."""
        values = super().default_get(fields_list)
        if self.env.context.get("active_model") == "coupon.template":
            values["template_ids"] = self.env.context.get("active_ids")
        return values

    def action_make(self):
        """Have WeChat make the page; show its link."""
        self.ensure_one()
        self.env["coupon.template"]._check_manager()
        self.template_ids.check_access("read")
        account = self.template_ids.account_id
        if len(account) != 1 or any(
            template.channel != "card" or template.state != "live"
            for template in self.template_ids
        ):
            raise UserError(
                self.env._("Choose live WeChat cards of one account for the page.")
            )
        channel = self.env["coupon.channel.card"]
        # sudo: the account's secrets are not for coupon managers.
        account_sudo = account.sudo()
        picture = base64.b64decode(self.with_context(bin_size=False).banner)
        with channel._reading("the picture"):
            banner = account_sudo._get_client().media.upload_image(
                ("banner.png", io.BytesIO(picture), "image/png")
            )
        self.url = channel._landing_page(
            account_sudo, self.title, banner, self.template_ids
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("WeChat Page of Coupons"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }
