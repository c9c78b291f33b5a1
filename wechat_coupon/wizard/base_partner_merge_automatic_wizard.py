from odoo import api, models


class MergePartnerAutomatic(models.TransientModel):
    _inherit = "base.partner.merge.automatic.wizard"

    @api.model
    def _update_foreign_keys(self, src_partners, dst_partner):
        """Override of `base`: both may have had a coupon of one hand-out.

        The coupons stay the customer's; the row that says why the second one was
        given names nobody, since one customer gets one.
        """
        # sudo: whoever may merge contacts need not read coupons.
        self.env["coupon.issue"].sudo()._before_merge(src_partners, dst_partner)
        self.env["coupon.redemption"].sudo()._before_merge(src_partners, dst_partner)
        return super()._update_foreign_keys(src_partners, dst_partner)
