import logging

from psycopg2 import OperationalError

from odoo import fields, models
from odoo.exceptions import UserError

from odoo.addons.wechat_base.tools import money

_logger = logging.getLogger(__name__)


class PosOrder(models.Model):
    _inherit = "pos.order"

    wechat_new_coupons = fields.Json(
        compute="_compute_wechat_new_coupons",
        help="What the receipt prints: name, code and validity of new coupons.",
    )

    def _compute_wechat_new_coupons(self):
        """Show new coupons to the till, as long as it may print the receipt again."""
        self.wechat_new_coupons = False
        now = self.filtered(lambda order: order.session_id.state != "closed")
        # sudo: users of the till do not read coupons; these are on their receipts.
        issues_sudo = (
            self.env["coupon.issue"]
            .sudo()
            .search(
                [
                    ("pos_order_id", "in", now.ids),
                    ("coupon_id.wechat_state", "=", "usable"),
                ],
                order="id",
            )
        )
        for order, issues in issues_sudo.grouped("pos_order_id").items():
            printed = issues.filtered(
                lambda issue: not issue.campaign_id or issue.campaign_id.receipt_print
            )
            order.with_env(self.env).wechat_new_coupons = [
                issue._receipt_data() for issue in printed
            ] or False

    def action_pos_order_paid(self):
        """Override of `point_of_sale`: an order can bring new coupons."""
        res = super().action_pos_order_paid()
        self._wechat_hand_out()
        return res

    def _wechat_hand_out(self):
        """Make the coupons that the order brings; never stops the order."""
        self.ensure_one()
        if self.amount_total <= 0 or self.lines.refunded_orderline_id:
            return
        try:
            with self.env.cr.savepoint():
                for template, campaign in self._wechat_offers():
                    self._wechat_hand_out_one(template, campaign)
        except OperationalError:
            # Odoo runs the request again.
            raise
        except Exception:
            _logger.exception("New coupons of paid order %s", self.uuid)

    def _wechat_offers(self):
        """Return what an order of this amount brings.

        :return: pairs of ``coupon.template`` and ``coupon.campaign``, one maybe empty
        """
        if self.currency_id.name != "CNY":
            return []
        amount = money.to_fen(self.amount_total)
        # sudo: users of the till read neither templates nor campaigns.
        companies = [("company_id", "in", self.company_id.sudo().parent_ids.ids)]
        templates_sudo = (
            self.env["coupon.template"]
            .sudo()
            .search(
                [
                    ("receipt_print", "=", True),
                    ("state", "=", "live"),
                    ("receipt_fen", "<=", amount),
                    *companies,
                ],
                order="id",
            )
        )
        campaigns_sudo = (
            self.env["coupon.campaign"]
            .sudo()
            .search(
                [
                    ("trigger", "=", "purchase"),
                    ("state", "=", "running"),
                    ("amount_fen", "<=", amount),
                    *companies,
                ],
                order="id",
            )
        )
        none = campaigns_sudo.browse()
        return [
            *((template, none) for template in templates_sudo),
            *(
                (campaign.template_id, campaign)
                for campaign in campaigns_sudo
                if campaign._is_on() and campaign._is_for(self.partner_id)
            ),
        ]

    def _wechat_hand_out_one(self, template_sudo, campaign_sudo):
        """Make one new coupon for the order, once."""
        source = "campaign" if campaign_sudo else "receipt"
        try:
            template_sudo._check_generate()
            template_sudo._check_handout(source, self.partner_id)
        except UserError as error:
            _logger.info("No new coupon for order %s: %s", self.uuid, error)
            return
        row = {
            "partner_id": self.partner_id.id,
            "pos_order_id": self.id,
            "campaign_id": campaign_sudo.id,
            "occasion": f"order:{self.id}" if campaign_sudo else None,
        }
        issues_sudo = self.env["coupon.issue"].sudo()._plan(template_sudo, [row])
        coupons_sudo = issues_sudo._make(wechat_outer_str="receipt")
        coupons_sudo._notify_partner(campaign_sudo.mail_template_id)
        self.invalidate_recordset(["wechat_new_coupons"])


class CouponCampaign(models.Model):
    _inherit = "coupon.campaign"

    def _is_for(self, partner):
        """Whether an order of a customer, maybe nobody, brings this coupon."""
        self.ensure_one()
        if not partner:
            return self.receipt_print and not self._filter_domain()
        domain = self._filter_domain()
        # sudo: the filter may ask for what a user of the till does not read.
        return bool(partner.sudo().filtered_domain(domain))


class CouponIssue(models.Model):
    _inherit = "coupon.issue"

    def _receipt_data(self):
        """Return what the receipt prints.

        :rtype: dict[str, str]
        """
        self.ensure_one()
        return {
            "name": self.template_id.name,
            "code": self.coupon_id.code,
            "gives": self.template_id._benefit_text(),
            "valid": self.coupon_id._wechat_validity_text(),
        }
