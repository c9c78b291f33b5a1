from odoo import models


class PosOrder(models.Model):
    _inherit = "pos.order"

    def validate_coupon_programs(self, point_changes, new_codes):
        """Override of `pos_loyalty`: the ledger has checked guarded coupons.

        Users of the till cannot read them, and the answer for a coupon without
        points would tell its code.
        """
        ids = [int(key) for key in point_changes if int(key) > 0]
        # sudo: guarded coupons are not for users of the till to read.
        cards_sudo = self.env["loyalty.card"].sudo().browse(ids).exists()
        guarded = set(cards_sudo.filtered("coupon_template_id").ids)
        unguarded = {
            key: points
            for key, points in point_changes.items()
            if int(key) not in guarded
        }
        return super().validate_coupon_programs(unguarded, new_codes)
