from odoo import fields, models


class WechatPayDifferenceSettle(models.TransientModel):
    """Ask what was decided, then take differences off the worklist."""

    _name = "wechat.pay.difference.settle"
    _description = "Settle Differences"

    difference_ids = fields.Many2many("wechat.pay.difference", readonly=True)
    note = fields.Char(string="What was decided", required=True)

    def action_confirm(self):
        """Settle them."""
        self.ensure_one()
        self.difference_ids._settle(self.note)
        return {"type": "ir.actions.client", "tag": "soft_reload"}
