"""What a template of an Official Account does after it was published."""

from datetime import timedelta

from odoo import fields, models
from odoo.exceptions import UserError

from .. import const


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    own_codes = fields.Boolean(
        string="We Make the Codes",
        help="WeChat hands out codes that you have made or imported here, not codes "
        "of its own. The account needs WeChat's permission for that.",
    )
    logo_changed = fields.Boolean(readonly=True, copy=False)
    claim_url = fields.Char(
        string="Link for Customers",
        readonly=True,
        copy=False,
        help="Who opens it on the phone receives the coupon.",
    )
    claim_url_until = fields.Datetime(
        string="Link Is Good Until", readonly=True, copy=False
    )
    waiting_count = fields.Integer(
        string="Codes Not Received Yet", compute="_compute_waiting_count"
    )
    stat_count = fields.Integer(compute="_compute_stat_count")

    # === COMPUTE METHODS === #

    def _compute_waiting_count(self):
        counts = dict(
            self.env["loyalty.card"]._read_group(
                [
                    ("coupon_template_id", "in", self.ids),
                    ("wechat_state", "=", "waiting"),
                ],
                ["coupon_template_id"],
                ["__count"],
            )
        )
        for template in self:
            template.waiting_count = counts.get(template, 0)

    def _compute_stat_count(self):
        counts = dict(
            self.env["coupon.card.stat"]._read_group(
                [("template_id", "in", self.ids)], ["template_id"], ["__count"]
            )
        )
        for template in self:
            template.stat_count = counts.get(template, 0)

    # === ACTION METHODS === #

    def action_claim_link(self):
        """Get the link by which customers receive the coupon."""
        self._check_manager()
        self.check_access("write")
        for template in self:
            if template.state not in ("review", "live"):
                raise UserError(
                    self.env._("Publish the coupon before you hand it out.")
                )
            if not template._channel()._claim_url(template):
                raise UserError(
                    self.env._("Customers do not receive this coupon by a link.")
                )
        return self._notify(
            self.env._(
                "%(link)s is under “Hand Out” of the template. Its poster is in the "
                "menu “Print”.",
                link=self[:1].claim_url,
            ),
            sticky=True,
        )

    def action_view_stats(self):
        """Open the figures that WeChat gives of the coupon."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_card_stat_action"
        )
        return {**action, "domain": [("template_id", "in", self.ids)]}

    # === BUSINESS METHODS === #

    def _can_make_codes(self):
        """Whether codes of this template are made or imported here."""
        self.ensure_one()
        return self._channel()._can_generate or self.own_codes

    def _codes_made(self, coupons):
        """Bring new codes to the channel, if it hands them out.

        :param coupons: ``loyalty.card`` records of the template
        """
        self.ensure_one()
        if not self.own_codes:
            return
        size = const.CARD_DEPOSIT_CODES
        tasks = self.env["coupon.task"]
        # sudo: only the templates' and coupons' own methods make tasks.
        tasks = tasks.sudo().create(
            [
                {
                    "kind": "deposit",
                    "template_id": self.id,
                    "coupon_ids": [fields.Command.set(coupons[at : at + size].ids)],
                }
                for at in range(0, len(coupons), size)
            ]
        )
        tasks._operation_prepare()
        tasks._operation_enqueue(now=False)

    def _codes_deposited(self):
        """WeChat has more codes: let it hand out as many pieces."""
        self.ensure_one()
        self.env["coupon.task"]._start_once("stock", self)

    def _claim_url_kept(self):
        """Return the link that we have, if it is good for some time yet."""
        self.ensure_one()
        soon = fields.Datetime.now() + timedelta(days=1)
        if self.claim_url_until and self.claim_url_until > soon:
            return self.claim_url
        return None
