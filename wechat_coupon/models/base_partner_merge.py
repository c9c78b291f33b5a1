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
        return super()._update_foreign_keys(src_partners, dst_partner)


class CouponIssue(models.Model):
    _inherit = "coupon.issue"

    def _before_merge(self, sources, target):
        """Let only the first row of each hand-out and occasion name the customer.

        :param sources: ``res.partner`` records that become ``target``
        :param target: ``res.partner`` record
        """
        everybody = sources + target
        issues = self.search(
            [("partner_id", "in", everybody.ids), ("handout_id", "!=", False)]
        ) | self.search(
            [("partner_id", "in", everybody.ids), ("campaign_id", "!=", False)]
        )
        known = set()
        # The target's own rows come first.
        for issue in issues.sorted(lambda one: (one.partner_id != target, one.id)):
            keys = {
                ("handout", issue.handout_id.id) if issue.handout_id else None,
                (issue.campaign_id.id, issue.occasion) if issue.campaign_id else None,
            } - {None}
            if keys & known:
                issue.partner_id = False
            known |= keys
