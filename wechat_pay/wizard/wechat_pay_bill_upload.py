import base64

from odoo import fields, models

from ..tools.rights import check_merchant


class WechatPayBillUpload(models.TransientModel):
    """Read a bill that was downloaded in the merchant platform."""

    _name = "wechat.pay.bill.upload"
    _description = "Read a Bill from a File"

    merchant_id = fields.Many2one("wechat.merchant", required=True)
    file = fields.Binary(required=True, attachment=False)
    file_name = fields.Char()

    def action_read(self):
        """Have the file read by a job, and show its bill."""
        self.ensure_one()
        bills = self.env["wechat.pay.bill"]
        check_merchant(self.env, self.merchant_id)
        content = base64.b64decode(self.file)
        # sudo: bills are written by the add-on only.
        bill_sudo = bills.sudo()._upload(self.merchant_id.sudo(), content)
        return {
            "type": "ir.actions.act_window",
            "res_model": "wechat.pay.bill",
            "view_mode": "form",
            "res_id": bill_sudo.id,
        }
