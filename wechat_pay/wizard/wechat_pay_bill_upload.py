import base64
import io
from collections import Counter
from datetime import timedelta

from odoo import fields, models

from ..tools import bill as bill_file
from ..tools.rights import check_manager


class WechatPayBillUpload(models.TransientModel):
    """Read a bill that was downloaded in the merchant platform."""

    _name = "wechat.pay.bill.upload"
    _description = "Read a Bill from a File"

    merchant_id = fields.Many2one("wechat.merchant", required=True)
    file = fields.Binary(required=True, attachment=False)
    file_name = fields.Char()

    def action_read(self):
        """Read the file and show its bill."""
        self.ensure_one()
        bills = self.env["wechat.pay.bill"]
        check_manager(self.env)
        self.merchant_id.check_access("read")
        content = io.BytesIO(base64.b64decode(self.file))
        # sudo: bills are written by the add-on only.
        bills_sudo, merchant_sudo = bills.sudo(), self.merchant_id.sudo()
        try:
            kind, day = self._look(content, merchant_sudo.mchid)
        except bill_file.BillError as error:
            raise bills._explain(error) from None
        bill_sudo = bills_sudo._get_bills(merchant_sudo, [day], [kind])
        content.seek(0)
        bills_sudo._import_file(bill_sudo, content, source="file")
        return {
            "type": "ir.actions.act_window",
            "res_model": "wechat.pay.bill",
            "view_mode": "form",
            "res_id": bill_sudo.id,
        }

    def _look(self, content, mchid):
        """Read it once, for its day and its merchant.

        A fund flow holds no merchant number: who uploads it has to know.

        :return: (type of the bill, Beijing date)
        """
        reader = bill_file.BillReader(content)
        days = Counter()
        for line in reader:
            if reader.kind == "trade":
                if mchid not in (line.mchid, line.sub_mchid):
                    raise bill_file.BillError("merchant", found=line.mchid, mchid=mchid)
                days[bill_file.beijing_day(line.trade_at)] += 1
            else:
                days[bill_file.beijing_day(line.booked_at)] += 1
        if not days:
            raise bill_file.BillError("empty")
        day = max(days, key=days.get)
        # A trade of midnight may stand in the neighbouring bill.
        if any(abs(other - day) > timedelta(days=1) for other in days):
            raise bill_file.BillError("days")
        if days[day] * 10 < days.total() * 9 and days.total() > 10:
            raise bill_file.BillError("days")
        return reader.kind, day
