from odoo import api, fields, models
from odoo.exceptions import UserError

from ..tools.ledger import is_ledger

# What a coupon is worth and where it counts; set on the coupon template only.
_TERMS = {
    "active",
    "applies_on",
    "company_id",
    "currency_id",
    "date_from",
    "date_to",
    "limit_usage",
    "max_usage",
    "pos_config_ids",
    "pos_ok",
    "pricelist_ids",
    "program_type",
    "reward_ids",
    "rule_ids",
    "sale_ok",
    "trigger",
    "wechat_guarded",
    "wechat_needs_payment",
}


class LoyaltyProgram(models.Model):
    _inherit = "loyalty.program"

    wechat_guarded = fields.Boolean(
        string="Guarded by the Coupon Ledger",
        readonly=True,
        copy=False,
        help="The coupons of this program are kept by the coupon ledger. Its terms "
        "are set on the coupon template.",
    )
    # Marketers see how often a program was used, and no orders.
    order_count = fields.Integer(compute_sudo=True)
    total_order_count = fields.Integer(compute_sudo=True)
    wechat_needs_payment = fields.Boolean(
        string="Paid With WeChat Only",
        readonly=True,
        copy=False,
        help="The coupons of this program are used together with a WeChat payment.",
    )
    wechat_template_ids = fields.One2many(
        "coupon.template", "program_id", string="Coupon Templates", readonly=True
    )

    @api.model_create_multi
    def create(self, vals_list):
        if not is_ledger(self.env):
            # Said explicitly, because the context may have a default.
            vals_list = [{**vals, "wechat_guarded": False} for vals in vals_list]
        return super().create(vals_list)

    def write(self, vals):
        if _TERMS & vals.keys():
            self._wechat_check_terms()
            if not is_ledger(self.env) and vals.get("wechat_guarded"):
                raise UserError(
                    self.env._("A program is guarded by its coupon template only.")
                )
        return super().write(vals)

    def _wechat_check_terms(self):
        """Refuse a change of the terms of guarded programs.

        :raises UserError: if one is guarded and the caller is not its template
        """
        if is_ledger(self.env):
            return
        # sudo: whoever may write a program may not read every field of it.
        guarded = self.sudo().filtered("wechat_guarded")
        if guarded:
            raise UserError(
                self.env._(
                    "“%(program)s” belongs to a coupon template. Change its terms "
                    "there: WeChat ‣ Coupons ‣ Templates.",
                    program=guarded[0].name,
                )
            )

    @api.model
    def _load_pos_data_fields(self, config):
        return [
            *super()._load_pos_data_fields(config),
            "wechat_guarded",
            "wechat_needs_payment",
        ]

    def action_wechat_templates(self):
        """Open the coupon template of the program."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "coupon.template",
            "view_mode": "form",
            "res_id": self.wechat_template_ids[:1].id,
        }
