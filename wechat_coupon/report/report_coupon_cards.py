from odoo import api, models
from odoo.exceptions import UserError

# Each has a QR code to draw; more take longer than a request may.
_MAX = 500


class ReportCoupons(models.AbstractModel):
    _name = "report.wechat_coupon.report_cards"
    _description = "Coupons to Cut Out"

    @api.model
    def _get_report_values(self, docids, data=None):
        """Override of `base`: coupons of ours only, and those that are still good."""
        self.env["coupon.template"]._check_manager()
        coupons = self.env["loyalty.card"].browse(docids)
        usable = coupons.filtered(
            lambda coupon: (
                coupon.coupon_template_id and coupon.wechat_status == "usable"
            )
        )
        if not usable:
            raise UserError(self.env._("None of these coupons can be used."))
        if len(usable) > _MAX:
            raise UserError(
                self.env._(
                    "Print at most %(most)s at once, or export the codes for a "
                    "printing house.",
                    most=_MAX,
                )
            )
        return {"doc_ids": usable.ids, "doc_model": "loyalty.card", "docs": usable}
