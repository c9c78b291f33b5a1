import io
from collections import Counter
from datetime import timedelta
from itertools import islice

from odoo import api, models

from ..tools import bill as bill_file

#: lines that are read while the user waits; a job reads the rest
FIRST_LINES = 1000


class WechatPayBill(models.Model):
    """Bills that were downloaded in the merchant platform."""

    _inherit = "wechat.pay.bill"

    @api.model
    def _upload(self, merchant, content):
        """Have a file read by a job.

        :param bytes content: plain or GZIP
        :return: the bill whose file it is
        :raises UserError: if the beginning of the file shows already that it is none
        """
        try:
            kind, day = self._look(content, merchant.mchid, FIRST_LINES)
            self._check_day(day)
        except bill_file.BillError as error:
            raise self._explain(error) from None
        bill = self._get_bills(merchant, [day], [kind])
        bill._expect()
        attachment = self.env["ir.attachment"].create(
            {
                "name": f"{merchant.mchid}-{day}-{kind}",
                "raw": content,
                "mimetype": "application/octet-stream",
                "res_model": self._name,
                "res_id": bill.id,
            }
        )
        bill.with_delay(
            description=self.env._("Read the bill %s", bill.display_name)
        )._read_upload(attachment.id)
        return bill

    @api.model
    def _look(self, content, mchid, lines=None):
        """Find out what a file is, and whether it is of one merchant and day.

        A fund flow holds no merchant number: who uploads it has to know.

        :param int lines: look no further
        :return: (type of the bill, Beijing date)
        """
        reader = bill_file.BillReader(content)
        days = Counter()
        for line in islice(reader, lines):
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

    def _check_day(self, day):
        """Refuse a day that is not over: the rest of it would never be fetched.

        :raises BillError: with the code ``today``
        """
        if day >= self._today():
            raise bill_file.BillError("today")

    def _read_upload(self, attachment_id):
        """Job: read a file that was uploaded; what is wrong is kept on the bill."""
        attachment = self.env["ir.attachment"].browse(attachment_id).exists()
        if not self.exists() or not attachment:
            return self.env._("There is nothing to do.")
        content = attachment.raw
        attachment.unlink()
        return self._attempt(lambda: self._read_content(content))

    def _read_content(self, content):
        if self._look(content, self.merchant_id.mchid)[1] != self.date:
            raise bill_file.BillError("days")
        self._check_day(self.date)
        self._import_file(self, io.BytesIO(content), source="file")
        return self.env._("%s lines", self.line_count)
