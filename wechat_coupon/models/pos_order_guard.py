from odoo import fields, models


class PosOrder(models.Model):
    _inherit = "pos.order"

    wechat_redemption_count = fields.Integer(
        string="Coupons",
        compute="_compute_wechat_redemption_count",
        groups="wechat_coupon.coupon_group_manager,wechat_coupon.coupon_group_auditor",
    )

    def _compute_wechat_redemption_count(self):
        counts = dict(
            self.env["coupon.redemption"]._read_group(
                [("pos_order_id", "in", self.ids)], ["pos_order_id"], ["__count"]
            )
        )
        for order in self:
            order.wechat_redemption_count = counts.get(order, 0)

    def action_wechat_redemptions(self):
        """Open the redemptions of the order's coupons."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_redemption_action"
        )
        return {**action, "domain": [("pos_order_id", "in", self.ids)], "context": {}}

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
