from odoo import models

from odoo.addons.wechat_base.tools.columns import Fen


class WechatPayTransaction(models.Model):
    """What the bills say about a transaction, and how they find it."""

    _inherit = "wechat.pay.transaction"

    fee_fen = Fen(
        string="Fee (fen)", readonly=True, copy=False, help="As the bill tells it."
    )

    # WeChat's number first: people search by it, too.
    _by_remote_no = models.Index("(remote_no, merchant_id)")
    _bill_by_success = models.Index("(merchant_id, COALESCE(success_at, create_date))")
