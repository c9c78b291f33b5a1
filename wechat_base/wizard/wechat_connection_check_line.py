from odoo import fields, models


class WechatConnectionCheckLine(models.TransientModel):
    """One thing that was checked."""

    _name = "wechat.connection.check.line"
    _description = "Connection Test Line"
    _order = "id"

    check_id = fields.Many2one(
        "wechat.connection.check", string="Test", required=True, ondelete="cascade"
    )
    name = fields.Char(string="Check", required=True, readonly=True)
    state = fields.Selection(
        [("ok", "Good"), ("warning", "Look at it"), ("error", "Faulty")],
        string="Result",
        required=True,
        readonly=True,
    )
    detail = fields.Char(string="Found", readonly=True)
    advice = fields.Char(string="What to do", readonly=True)
