from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..models.wechat_pay_bill import MAX_DAYS
from ..tools.rights import check_merchant


class WechatPayBillFetch(models.TransientModel):
    """Have the bills of some days fetched."""

    _name = "wechat.pay.bill.fetch"
    _description = "Fetch Bills"

    merchant_id = fields.Many2one("wechat.merchant", required=True)
    date_from = fields.Date(
        string="From", required=True, default=lambda self: self._yesterday()
    )
    date_to = fields.Date(
        string="To", required=True, default=lambda self: self._yesterday()
    )
    bill_types = fields.Selection(
        [
            ("both", "Trades and fund flow"),
            ("trade", "Trades"),
            ("fundflow", "Fund flow"),
        ],
        string="Bills",
        required=True,
        default="both",
    )

    @api.model
    def _yesterday(self):
        return self.env["wechat.pay.bill"]._today() - timedelta(days=1)

    @api.constrains("date_from", "date_to")
    def _check_dates(self):
        for wizard in self:
            if wizard.date_from > wizard.date_to:
                raise ValidationError(self.env._("The first day is after the last."))
            if wizard.date_to > self._yesterday():
                raise ValidationError(
                    self.env._("WeChat makes the bill of a day on the next day.")
                )
            if (wizard.date_to - wizard.date_from).days >= MAX_DAYS:
                raise ValidationError(
                    self.env._("Choose at most %s days at once.", MAX_DAYS)
                )

    def action_fetch(self):
        """Order the bills and show them."""
        self.ensure_one()
        bills = self.env["wechat.pay.bill"]
        check_merchant(self.env, self.merchant_id)
        if self.merchant_id.environment == "disabled":
            raise UserError(self.env._("The merchant is disabled."))
        count = (self.date_to - self.date_from).days + 1
        days = [self.date_from + timedelta(days=step) for step in range(count)]
        types = ["trade", "fundflow"]
        if self.bill_types != "both":
            types = [self.bill_types]
        # sudo: bills are written by the add-on only.
        found = bills.sudo()._order_bills(self.merchant_id.sudo(), days, types)
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_pay.wechat_pay_bill_action"
        )
        return {**action, "domain": [("id", "in", found.ids)], "context": {}}
