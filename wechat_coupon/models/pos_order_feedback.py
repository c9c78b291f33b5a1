from odoo import fields, models


class PosOrder(models.Model):
    _inherit = "pos.order"

    wechat_feedback_url = fields.Char(
        compute="_compute_wechat_feedback_url",
        help="The receipt leads to it when a coupon's template asks for feedback.",
    )

    def _compute_wechat_feedback_url(self):
        self.wechat_feedback_url = False
        # sudo: users of the till do not read the ledger; the customer gets the link.
        redemptions_sudo = (
            self.env["coupon.redemption"]
            .sudo()
            .search(
                [
                    ("pos_order_id", "in", self.ids),
                    ("state", "=", "redeemed"),
                    ("template_id.ask_feedback", "=", True),
                ],
                order="id desc",
            )
        )
        for redemption in redemptions_sudo:
            order = redemption.pos_order_id.with_env(self.env)
            order.wechat_feedback_url = redemption._feedback_url()
