from odoo import api, models


class LoyaltyReward(models.Model):
    _inherit = "loyalty.reward"

    @api.model_create_multi
    def create(self, vals_list):
        rewards = super().create(vals_list)
        rewards.program_id._wechat_check_terms()
        return rewards

    def write(self, vals):
        self.program_id._wechat_check_terms()
        res = super().write(vals)
        if "program_id" in vals:
            self.program_id._wechat_check_terms()
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_wechat_guarded(self):
        self.program_id._wechat_check_terms()
