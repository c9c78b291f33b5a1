import secrets

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError

_LIVE = """
    UPDATE coupon_claim_link AS link
       SET claimed_count = claimed_count + 1
      FROM coupon_template AS template
     WHERE link.id = %s AND template.id = link.template_id
       AND template.state = 'live' AND template.active
       AND link.claimed_count < template.stock
 RETURNING template.get_limit
"""


class CouponClaimLink(models.Model):
    """An address where customers get a coupon of a template by themselves.

    The link without a campaign counts for all links of its template.
    """

    _name = "coupon.claim.link"
    _description = "Link for Customers"
    _rec_name = "token"

    template_id = fields.Many2one(
        "coupon.template", required=True, readonly=True, index=True, ondelete="cascade"
    )
    campaign_id = fields.Many2one("coupon.campaign", readonly=True, ondelete="cascade")
    company_id = fields.Many2one(
        related="template_id.company_id", store=True, index=True
    )
    token = fields.Char(
        required=True,
        readonly=True,
        default=lambda self: secrets.token_urlsafe(16),
        groups="base.group_system",
    )
    claimed_count = fields.Integer(string="Coupons Got", readonly=True)

    _token_uniq = models.UniqueIndex("(token)")
    _template_uniq = models.UniqueIndex("(template_id, (COALESCE(campaign_id, 0)))")

    @api.model
    def _get(self, template, campaign=None):
        """Return the link of a template, making it if it is new.

        :param campaign: ``coupon.campaign`` record
        """
        for campaign_id in {None, campaign.id if campaign else None}:
            self.env.cr.execute(
                """
                INSERT INTO coupon_claim_link (template_id, campaign_id, company_id,
                            token, claimed_count)
                     VALUES (%s, %s, %s, %s, 0)
                ON CONFLICT DO NOTHING
                """,
                [
                    template.id,
                    campaign_id,
                    template.company_id.id,
                    secrets.token_urlsafe(16),
                ],
            )
        return self.search(
            [
                ("template_id", "=", template.id),
                ("campaign_id", "=", campaign.id if campaign else False),
            ],
            limit=1,
        )

    @api.model
    def _by_token(self, token):
        """Return the link that has a token, with sudo, maybe empty."""
        # sudo: a customer is no user.
        return self.sudo().search([("token", "=", token)], limit=1)

    def _check_open(self):
        """Refuse when nobody can get a coupon here now.

        :raises UserError: with a sentence for the customer
        """
        self.ensure_one()
        template = self.template_id
        last = template.date_to if template.date_type == "range" else None
        over = last and template._end_of_day(last) < fields.Datetime.now()
        if template.state in ("draft", "review", "paused"):
            raise UserError(
                self.env._("This coupon is not being handed out at the moment.")
            )
        if template.state != "live" or not template.active or over:
            raise UserError(self.env._("This offer is over."))
        if self.campaign_id and not self.campaign_id._is_on():
            raise UserError(self.env._("This offer is over."))

    def _claim(self, claimer, partner_id=False, **coupon_vals):
        """Give somebody a coupon, once per customer as often as the template says.

        In a transaction of its own, whose first statement takes the template's count
        as a lock: a crowd before one poster waits for each other instead of failing.

        :param str claimer: who asks: the same for the same person
        :param int partner_id: the customer's contact, if known
        :param coupon_vals: see ``loyalty.card._wechat_insert``
        :return: id of the new coupon
        :raises UserError: with a sentence for the customer
        """
        self.ensure_one()
        self._check_open()
        lang = self.env.lang
        with self.env.registry.cursor() as cr:
            cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            env = api.Environment(cr, SUPERUSER_ID, {"lang": lang})
            coupon_id = env[self._name].browse(self.id)._claim_now(
                claimer, partner_id, coupon_vals
            )
            env.flush_all()
        return coupon_id

    def _claim_now(self, claimer, partner_id, coupon_vals):
        template = self.template_id
        source = "campaign" if self.campaign_id else "claim"
        template._check_handout(source, self.env["res.partner"].browse(partner_id))
        counter = self._get(template)
        self.env.cr.execute(_LIVE, [counter.id])
        limit = self.env.cr.fetchone()
        if not limit:
            raise UserError(self.env._("All of these coupons have been handed out."))
        issues = self.env["coupon.issue"]
        had = issues.search_count(
            [("template_id", "=", template.id), ("claimer", "=", claimer)]
        )
        if had >= max(limit[0], 1):
            raise UserError(self.env._("You have got this coupon already."))
        row = {
            "partner_id": partner_id,
            "claimer": claimer,
            "claim_slot": had + 1,
            # The campaign has no occasion here: the claimer is what counts.
            "occasion": f"claim:{had + 1}:{claimer}" if self.campaign_id else None,
            "campaign_id": self.campaign_id.id,
        }
        issue = issues._plan(template, [row])
        if not issue:
            raise UserError(self.env._("You have got this coupon already."))
        return issue._make(wechat_outer_str="claim", **coupon_vals).id
