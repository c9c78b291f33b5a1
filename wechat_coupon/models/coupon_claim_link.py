import secrets
from contextlib import contextmanager

from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

_MAX_TOKEN = 64
# How a claimer begins who has only entered a number, which anybody may know.
PHONE = "phone:"


class AlreadyClaimed(UserError):
    """The customer has got as many coupons as the template gives to one."""


class CouponClaimLink(models.Model):
    """An address where customers get a coupon of a template by themselves."""

    _name = "coupon.claim.link"
    _description = "Link for Customers"
    _rec_name = "template_id"

    template_id = fields.Many2one(
        "coupon.template", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="template_id.company_id", store=True, index=True
    )
    token = fields.Char(
        required=True,
        readonly=True,
        default=lambda self: secrets.token_urlsafe(16),
        groups="base.group_system",
        copy=False,
    )

    _token_uniq = models.UniqueIndex("(token)")
    _template_uniq = models.UniqueIndex("(template_id)")

    @api.model
    def _get(self, template):
        """Return the link of a template, making it if it is new."""
        self.env.cr.execute(
            """
            INSERT INTO coupon_claim_link (template_id, company_id, token)
                 VALUES (%s, %s, %s)
            ON CONFLICT DO NOTHING
            """,
            [template.id, template.company_id.id, secrets.token_urlsafe(16)],
        )
        return self.search([("template_id", "=", template.id)], limit=1)

    @api.model
    def _by_token(self, token):
        """Return the link that has a token, with sudo, maybe empty."""
        if not token or "\0" in token or len(token) > _MAX_TOKEN:
            return self.sudo().browse()
        # sudo: a customer is no user.
        return self.sudo().search([("token", "=", token)], limit=1)

    def _check_open(self):
        """Refuse when nobody can get a coupon here now.

        :raises UserError: with a sentence for the customer
        """
        self.ensure_one()
        template = self.template_id
        if template.state in ("draft", "review", "paused"):
            raise UserError(
                self.env._("This coupon is not being handed out at the moment.")
            )
        if template.state != "live" or not template.active or template._is_over():
            raise UserError(self.env._("This offer is over."))
        template._claim_campaign()

    def _claim(self, claimer, partner_id=False, browser=None, **coupon_vals):
        """Give somebody a coupon, as often per customer as the template says.

        In a transaction of its own that waits for the one before: a crowd at one
        poster queues up instead of failing.

        :param str claimer: who asks: the same for the same person; a number that was
            only entered begins with :data:`PHONE`
        :param int partner_id: the customer's contact, if known
        :param str browser: what :meth:`_claimed` knows the customer's browser by
        :param coupon_vals: see ``loyalty.card._wechat_insert``
        :return: id of the new coupon
        :raises UserError: with a sentence for the customer
        """
        self.ensure_one()
        self._check_open()
        with self._apart() as link:
            return link._claim_now(claimer, partner_id, coupon_vals, browser)

    @contextmanager
    def _apart(self):
        """Work in a transaction of its own, which sees what others have committed."""
        lang = self.env.lang
        with self.env.registry.cursor() as cr:
            if cr.connection.get_transaction_status() == TRANSACTION_STATUS_IDLE:
                # What was committed while we waited has to be seen.
                cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            env = api.Environment(cr, SUPERUSER_ID, {"lang": lang})
            yield env[self._name].browse(self.id)
            env.flush_all()

    def _claim_now(self, claimer, partner_id, coupon_vals, browser=None):
        self.env.cr.execute(
            "SELECT id FROM coupon_claim_link WHERE id = %s FOR UPDATE", [self.id]
        )
        # The offer may have ended while we waited.
        self._check_open()
        template = self.template_id
        campaign = template._claim_campaign()
        self._check_claim(template, campaign, claimer, partner_id)
        issues = self.env["coupon.issue"]
        slot = self._next_slot(template, claimer, partner_id)
        self._take_one(template)
        row = {
            "partner_id": partner_id,
            "claimer": claimer,
            "claim_slot": slot,
            "claim_browser": browser,
            "campaign_id": campaign.id,
            "occasion": f"claim:{slot}" if campaign else None,
        }
        issue = issues._plan(template, [row])
        if not issue:
            raise AlreadyClaimed(self._already())
        return issue._make(wechat_outer_str="claim", **coupon_vals).id

    def _next_slot(self, template, claimer, partner_id):
        """Return the number of the customer's next coupon.

        :raises AlreadyClaimed: if there is none for this customer
        """
        # A contact has them by the number, inside WeChat and from us: all count.
        who = Domain("claimer", "=", claimer)
        if partner_id:
            who |= Domain("partner_id", "=", partner_id)
        [(had, highest)] = self.env["coupon.issue"]._read_group(
            Domain("template_id", "=", template.id) & who,
            aggregates=["__count", "claim_slot:max"],
        )
        if had >= max(template.get_limit, 1):
            raise AlreadyClaimed(self._already())
        # Not the count: a number of a row that is gone may be below.
        return (highest or 0) + 1

    def _already(self):
        return self.env._("You have got this coupon already.")

    def _claimed(self, claimer, browser):
        """Return the coupon that a customer has got here, for the customer only.

        :param str claimer: see :meth:`_claim`
        :param str browser: a number alone does not open the coupon; the browser has
            to be the one that got it
        :return: id of the coupon, or ``False``
        """
        self.ensure_one()
        domain = Domain("template_id", "=", self.template_id.id)
        domain &= Domain("claimer", "=", claimer) & Domain("coupon_id", "!=", False)
        if claimer.startswith(PHONE):
            domain &= Domain("claim_browser", "=", browser or "-")
        with self._apart() as link:
            issues = link.env["coupon.issue"]
            return issues.search(domain, order="id desc", limit=1).coupon_id.id

    def _check_claim(self, template, campaign, claimer, partner_id):
        """Refuse who is not meant, in words for the customer."""
        partner = self.env["res.partner"].browse(partner_id or [])
        for_all = template.audience == "all" and (
            not campaign or campaign._is_for(partner.browse())
        )
        if claimer.startswith(PHONE) and not for_all:
            raise UserError(
                self.env._(
                    "This coupon is for certain customers only. Open this link inside "
                    "WeChat to show who you are."
                )
            )
        try:
            template._check_handout("campaign" if campaign else "manual", partner)
            meant = not campaign or campaign._is_for(partner)
        except UserError:
            meant = False
        if not meant:
            raise UserError(self.env._("This coupon is for certain customers only."))

    def _take_one(self, template):
        try:
            template._take_stock(1)
        except UserError:
            raise UserError(
                self.env._("All of these coupons have been handed out.")
            ) from None
