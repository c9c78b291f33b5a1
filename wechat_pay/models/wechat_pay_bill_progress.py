from odoo import fields, models
from odoo.tools import SQL


class WechatPayBillProgress(models.Model):
    """How far a long import is.

    A row of its own, because it is committed while the import's transaction, which
    writes the bill, is still open.
    """

    _name = "wechat.pay.bill.progress"
    _description = "Progress of a Bill's Import"
    _log_access = False

    bill_id = fields.Many2one("wechat.pay.bill", required=True, ondelete="cascade")
    line_count = fields.Integer()

    _bill_uniq = models.UniqueIndex("(bill_id)")

    def _tell(self, bill_id, count):
        """Keep the number of lines, where the bill is committed already."""
        with self.env.registry.cursor() as cr:
            cr.execute(
                SQL(
                    """
                    INSERT INTO wechat_pay_bill_progress (bill_id, line_count)
                    SELECT id, %(count)s FROM wechat_pay_bill WHERE id = %(bill)s
                    ON CONFLICT (bill_id) DO UPDATE SET line_count = %(count)s
                    """,
                    count=count,
                    bill=bill_id,
                )
            )
