from odoo import api, fields, models


class CouponTask(models.Model):
    """Coupons that are given back at their channel."""

    _inherit = "coupon.task"

    kind = fields.Selection(
        selection_add=[("return", "Give back")], ondelete={"return": "cascade"}
    )
    redemption_id = fields.Many2one(
        "coupon.redemption", readonly=True, index="btree_not_null", ondelete="restrict"
    )

    _one_return = models.UniqueIndex(
        "(redemption_id) WHERE kind = 'return'",
        "A redemption is given back once.",
    )

    @api.model
    def _start_return(self, redemption):
        """Order that the channel takes a coupon back; it is asked after the commit.

        :param redemption: ``coupon.redemption`` record
        :return: the task, which carries the number of the return
        """
        # sudo: only the ledger makes such tasks.
        task = self.sudo().create(
            {
                "kind": "return",
                "template_id": redemption.template_id.id,
                "coupon_id": redemption.coupon_id.id,
                "redemption_id": redemption.id,
            }
        )
        task._operation_prepare()
        task._operation_enqueue()
        return task

    def _call_return(self, channel):
        channel._return_at_channel(self.redemption_id, self.request_no)

    def _query_return(self, channel):
        return channel._is_returned(self.redemption_id, self.request_no)

    def _operation_done(self, vals):
        """Extended: the coupon is good again."""
        res = super()._operation_done(vals)
        if self.kind == "return":
            self.redemption_id._returned_at_channel()
        return res

    def _operation_refused(self, error):
        """Extended: nothing is said on the template."""
        if self.kind != "return":
            return super()._operation_refused(error)
        self.ensure_one()
        return self.redemption_id._return_refused(error)

    def _operation_stuck(self, error):
        """Extended: a person has to look at WeChat's side."""
        res = super()._operation_stuck(error)
        if self.kind == "return":
            self.redemption_id._return_refused(error)
        return res
