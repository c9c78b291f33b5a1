from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from odoo.addons.wechat_base.tools.columns import Fen
from odoo.addons.wechat_base.tools.money import format_fen, from_fen

from ..tools.rights import check_manager


class WechatPayDifference(models.Model):
    """One thing that WeChat's bill and our records say differently: the worklist."""

    _name = "wechat.pay.difference"
    _description = "WeChat Pay Difference"
    _inherit = "wechat.pay.fen.mixin"
    _order = "state, bill_date desc, id desc"
    _rec_name = "number"

    _FEN_COLUMNS = {"ours_amount": "ours_fen", "theirs_amount": "theirs_fen"}

    merchant_id = fields.Many2one(
        "wechat.merchant", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        readonly=True,
        default=lambda self: self.env["wechat.pay.bill"]._yuan(),
    )
    bill_id = fields.Many2one(
        "wechat.pay.bill", required=True, readonly=True, index=True, ondelete="cascade"
    )
    bill_date = fields.Date(string="Day", related="bill_id.date")
    kind = fields.Selection(
        [
            ("payment_missing", "Payment missing at WeChat"),
            ("payment_unknown", "Unknown payment"),
            ("refund_missing", "Refund missing at WeChat"),
            ("refund_unknown", "Unknown refund"),
            ("amount", "Other amount"),
            ("state", "Other state"),
            ("fee", "Other fee"),
        ],
        required=True,
        readonly=True,
    )
    # Which number of a kind is meant; a bill's second import finds it again.
    key = fields.Char(required=True, readonly=True)
    number = fields.Char(readonly=True, help="Our number of the order or refund.")
    aspect = fields.Selection(
        [
            ("order", "Amount"),
            ("settlement", "Settlement"),
            ("coupon", "Funded coupons"),
            ("not_ours", "Not done with us"),
            ("not_theirs", "Not done at WeChat"),
            ("abandoned", "Given up, not refunded"),
            ("rate", "Fee of a trade"),
            ("sum", "Fees of the day"),
        ],
        string="What",
        readonly=True,
    )
    line_id = fields.Many2one(
        "wechat.pay.bill.line",
        string="Line of the bill",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    transaction_id = fields.Many2one(
        "wechat.pay.transaction",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    ours_fen = Fen(string="Ours (fen)", readonly=True)
    theirs_fen = Fen(string="WeChat's (fen)", readonly=True)
    ours_amount = fields.Monetary(string="Ours", compute="_compute_amounts")
    theirs_amount = fields.Monetary(string="WeChat's", compute="_compute_amounts")
    difference_amount = fields.Monetary(string="Difference", compute="_compute_amounts")
    explanation = fields.Text(string="What to do", compute="_compute_explanation")
    state = fields.Selection(
        [("open", "Open"), ("settled", "Settled")],
        required=True,
        readonly=True,
        default="open",
    )
    user_id = fields.Many2one("res.users", string="Responsible", readonly=True)
    note = fields.Char(string="How it was settled", readonly=True)
    settled_at = fields.Datetime(readonly=True)
    # Empty if it has settled itself.
    settled_by_id = fields.Many2one(
        "res.users", string="Settled by", readonly=True, ondelete="restrict"
    )
    run = fields.Char(readonly=True)

    _key_uniq = models.UniqueIndex("(merchant_id, kind, key)")
    _worklist = models.Index("(company_id) WHERE state = 'open'")

    # === COMPUTE METHODS === #

    @api.depends("ours_fen", "theirs_fen")
    def _compute_amounts(self):
        for difference in self:
            difference.ours_amount = from_fen(difference.ours_fen)
            difference.theirs_amount = from_fen(difference.theirs_fen)
            difference.difference_amount = from_fen(
                difference.theirs_fen - difference.ours_fen
            )

    @api.depends("kind", "aspect", "ours_fen", "theirs_fen")
    @api.depends_context("lang")
    def _compute_explanation(self):
        for difference in self:
            values = {
                "ours": format_fen(difference.ours_fen),
                "theirs": format_fen(difference.theirs_fen),
            }
            sentences = difference._sentences(values)
            key = (difference.kind, difference.aspect or "")
            difference.explanation = sentences.get(key) or sentences[difference.kind]

    def _field_to_sql(self, alias, field_expr, query=None):
        """Override of `wechat.pay.fen.mixin`: a difference is theirs less ours."""
        if field_expr != "difference_amount":
            return super()._field_to_sql(alias, field_expr, query)
        return SQL(
            "(%s - %s)",
            self._field_to_sql(alias, "theirs_amount", query),
            self._field_to_sql(alias, "ours_amount", query),
        )

    def _sentences(self, values):
        """Return why, and what to do, by kind and where needed by aspect.

        :param dict values: ``ours`` and ``theirs``, yuan as text
        """
        return {
            "payment_missing": self.env._(
                "We have a payment of ¥%(ours)s that is not in WeChat's bill. Query "
                "WeChat again; if it was not paid, ask the customer for it.",
                **values,
            ),
            "payment_unknown": self.env._(
                "WeChat's bill has a payment of ¥%(theirs)s that we do not know. Find "
                "out which system took it; refund it if nobody did.",
                **values,
            ),
            "refund_missing": self.env._(
                "We have a refund of ¥%(ours)s that is not in WeChat's bill. Query "
                "WeChat again; the customer may still wait for the money.",
                **values,
            ),
            "refund_unknown": self.env._(
                "WeChat's bill has a refund of ¥%(theirs)s that we do not know. Was it "
                "made in the merchant platform? Then enter it here as well.",
                **values,
            ),
            "amount": self.env._(
                "The amount is ¥%(ours)s with us and ¥%(theirs)s in the bill. Query "
                "WeChat again and correct the entry of the sale.",
                **values,
            ),
            ("amount", "settlement"): self.env._(
                "The merchant receives ¥%(theirs)s by the bill; we expect ¥%(ours)s. "
                "Look at the coupons of the payment.",
                **values,
            ),
            ("amount", "coupon"): self.env._(
                "Funded coupons are ¥%(theirs)s in the bill and ¥%(ours)s with us. "
                "Query WeChat again.",
                **values,
            ),
            "state": self.env._(
                "WeChat's bill says ¥%(theirs)s were paid or refunded; we say it is "
                "not done. Query WeChat again.",
                **values,
            ),
            ("state", "not_theirs"): self.env._(
                "We say that it is done (¥%(ours)s); WeChat's bill says that the money "
                "went back or did not move. Query WeChat again.",
                **values,
            ),
            ("state", "abandoned"): self.env._(
                "The customer paid ¥%(theirs)s after the till had given up, and it was "
                "not refunded. Refund it.",
                **values,
            ),
            "fee": self.env._(
                "The fee is ¥%(theirs)s; by its rate it should be ¥%(ours)s. Ask "
                "WeChat Pay about it.",
                **values,
            ),
            ("fee", "sum"): self.env._(
                "The trades of the day have fees of ¥%(ours)s, the fund flow has "
                "¥%(theirs)s. Look for movements without a trade, and trades without "
                "a movement.",
                **values,
            ),
        }

    # === ACTION METHODS === #

    def action_settle(self):
        """Open the dialogue that takes differences off the worklist."""
        check_manager(self.env)
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Settle"),
            "res_model": "wechat.pay.difference.settle",
            "view_mode": "form",
            "target": "new",
            "context": {"default_difference_ids": self.ids},
        }

    def action_take(self):
        """Become responsible."""
        check_manager(self.env)
        self.check_access("read")
        # sudo: nobody writes the worklist directly.
        self.sudo().user_id = self.env.user
        return True

    def action_query(self):
        """Ask WeChat about the transactions again, then compare again."""
        check_manager(self.env)
        self.check_access("read")
        transactions = self.transaction_id
        if not transactions:
            raise UserError(self.env._("There is no transaction to ask about."))
        transactions.action_query()
        # The answers were committed beside us: our own look at the database is older.
        transactions._drain_in_own_transaction(
            lambda model: model.env["wechat.pay.bill"].browse(self.bill_id.ids)._renew()
        )
        self.env.invalidate_all(flush=False)
        return True

    def _settle(self, note):
        """Take these off the worklist.

        :param str note: what was decided
        """
        check_manager(self.env)
        self.check_access("read")
        # sudo: see above.
        self.sudo().filtered(lambda d: d.state == "open").write(
            {
                "state": "settled",
                "note": note,
                "settled_at": fields.Datetime.now(),
                "settled_by_id": self.env.uid,
            }
        )
