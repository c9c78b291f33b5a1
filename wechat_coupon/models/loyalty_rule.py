from odoo import api, models


class LoyaltyRule(models.Model):
    _inherit = "loyalty.rule"

    @api.model_create_multi
    def create(self, vals_list):
        rules = super().create(vals_list)
        rules.program_id._wechat_check_terms()
        return rules

    def write(self, vals):
        self.program_id._wechat_check_terms()
        res = super().write(vals)
        if "program_id" in vals:
            self.program_id._wechat_check_terms()
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_wechat_guarded(self):
        self.program_id._wechat_check_terms()
