import logging

from psycopg2 import OperationalError

from odoo import fields, models
from odoo.exceptions import UserError

from odoo.addons.wechat_base.tools import money

from ..tools import codes
from ..tools.paid import without_stopping

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
            order = order.with_env(self.env)
            order.wechat_new_coupons = [
                issue._receipt_data(order._wechat_has_receipt(issue))
                for issue in issues
            ]

    def _wechat_has_receipt(self, issue_sudo):
        """Whether the user is one who hands this order's receipt to the customer.

        :param issue_sudo: ``coupon.issue`` record of a coupon that the order brought
        """
        self.ensure_one()
        # Who has made the order, or was paid; the seller is one that any cashier can
        # write.
        users = self.sudo().create_uid | issue_sudo.coupon_id.create_uid
        return self.env.user in users or self.env.user.has_group(
            "point_of_sale.group_pos_manager"
        )

    def action_pos_order_paid(self):
        """Override of `point_of_sale`: an order can bring new coupons."""
        res = super().action_pos_order_paid()
        self._wechat_guarded_step(self._wechat_hand_out)
        return res

    def _wechat_mark_refunds(self):
        """Extended: what an order brought goes with its goods, unless it was used."""
        res = super()._wechat_mark_refunds()
        # sudo: the order that is refunded may be one of another till.
        for order_sudo in self.lines.refunded_orderline_id.order_id.sudo():
            if order_sudo._wechat_all_given_back(self):
                self._wechat_guarded_step(order_sudo._wechat_void_new_coupons)
        return res

    def _wechat_void_new_coupons(self):
        """Make coupons invalid that the order has brought."""
        issues = self.env["coupon.issue"].search([("pos_order_id", "in", self.ids)])
        for coupon in issues.coupon_id.filtered(lambda c: c.wechat_state == "usable"):
            try:
                coupon._wechat_void(self.env._("The goods were given back."))
            except UserError as error:
                # Another order has it: whoever looks there decides.
                _logger.info("Coupon %s stays: %s", coupon.id, error)

    def _wechat_hand_out(self):
        """Make the coupons that the order brings."""
        self.ensure_one()
        if self.amount_total <= 0 or self.lines.refunded_orderline_id:
            return
        # sudo: users of the till do not read templates.
        templates_sudo = (
            self.env["coupon.template"]
            .sudo()
            .search(
                [
                    ("receipt_print", "=", True),
                    ("state", "=", "live"),
                    ("channel", "=", "local"),
                    ("receipt_fen", "<=", money.to_fen(self.amount_total)),
                    ("company_id", "in", self.company_id.sudo().parent_ids.ids),
                ],
                order="id",
            )
        )
        for template_sudo in templates_sudo:
            self._wechat_hand_out_one(template_sudo, "sale")
        for campaign_sudo in self._wechat_campaigns():
            self._wechat_hand_out_one(
                campaign_sudo.template_id,
                "campaign",
                campaign_id=campaign_sudo.id,
                occasion=f"order:{self.id}",
            )

    def _wechat_campaigns(self):
        """Return the campaigns that give a coupon for this order.

        :rtype: ``coupon.campaign`` records with sudo
        """
        # sudo: users of the till do not read campaigns.
        campaigns_sudo = self.env["coupon.campaign"].sudo()
        running_sudo = campaigns_sudo.search(
            [
                ("trigger", "=", "purchase"),
                ("state", "=", "running"),
                ("amount_fen", "<=", money.to_fen(self.amount_total)),
                ("template_id.state", "=", "live"),
                ("company_id", "in", self.company_id.sudo().parent_ids.ids),
            ],
            order="id",
        )
        return running_sudo.filtered(
            lambda one: one._is_on() and self._wechat_is_meant(one)
        )

    def _wechat_is_meant(self, campaign_sudo):
        """Whether a campaign is for the customer; one that is broken is for nobody."""
        answer = []
        without_stopping(
            self.env,
            self.uuid,
            lambda: answer.append(campaign_sudo._is_for(self.partner_id)),
        )
        return bool(answer and answer[0])

    def _wechat_hand_out_one(self, template_sudo, source, **vals):
        """Make one new coupon for the order, once; where it may not be, make none.

        :param str source: see ``coupon.template._check_handout``
        :param vals: further values of the ``coupon.issue`` row
        """
        row = {"partner_id": self.partner_id.id, "pos_order_id": self.id, **vals}
        try:
            with self.env.cr.savepoint():
                template_sudo._check_handout(source, self.partner_id)
                issue_sudo = self.env["coupon.issue"].sudo()._plan(template_sudo, [row])
                if issue_sudo:
                    template_sudo._take_stock(1)
                    issue_sudo._make(wechat_outer_str="receipt")
        except OperationalError:
            # Odoo runs the request again.
            raise
        except UserError as error:
            _logger.info("No new coupon for order %s: %s", self.uuid, error)
        self.invalidate_recordset(["wechat_new_coupons"])


class CouponIssue(models.Model):
    _inherit = "coupon.issue"

    def _receipt_data(self, is_own=True):
        """Return what the receipt prints.

        :param bool is_own: whether the code is for the user to know; who knows the
            code has the coupon
        :rtype: dict
        """
        self.ensure_one()
        code = self.coupon_id.code
        return {
            "name": self.template_id.name,
            "code": code if is_own else codes.mask(code),
            "is_masked": not is_own,
            "gives": self.template_id.benefit,
            "valid": self.coupon_id._wechat_validity_text(),
        }
