from ast import literal_eval

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

# Coupons of one step, and steps per minute and company: each may be an e-mail.
CHUNK = 200
STEPS_PER_MINUTE = 60
# Customers that one hand-out is planned for at most.
MAX_CUSTOMERS = 1_000_000
_PLAN = 10_000


class CouponHandout(models.Model):
    """One coupon for each of many customers, and a message to tell them."""

    _name = "coupon.handout"
    _description = "Coupon Hand-out"
    _inherit = ["mail.thread", "coupon.job.mixin"]
    _order = "id desc"
    _check_company_auto = True

    _drain_seconds = 30.0

    name = fields.Char(compute="_compute_name", store=True)
    template_id = fields.Many2one(
        "coupon.template",
        string="Coupon",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        domain="[('state', '=', 'live'), ('company_id', '=', company_id)]",
    )
    campaign_id = fields.Many2one(
        "coupon.campaign", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    occasion = fields.Char(readonly=True)
    audience = fields.Selection(
        selection=[
            ("partners", "Chosen customers"),
            ("tags", "Customers with tags"),
            ("filter", "Customers that match a filter"),
        ],
        string="For",
        required=True,
        default="partners",
    )
    partner_ids = fields.Many2many("res.partner", string="Customers")
    category_ids = fields.Many2many("res.partner.category", string="Tags")
    domain = fields.Char(string="Filter", default="[]")
    mail_template_id = fields.Many2one(
        "mail.template",
        string="E-Mail",
        domain="[('model', '=', 'loyalty.card')]",
        help="Each customer who has an address gets this message. Leave it empty to "
        "tell nobody.",
    )
    audience_count = fields.Integer(
        string="Customers Found", compute="_compute_audience_count"
    )
    issue_ids = fields.One2many("coupon.issue", "handout_id", readonly=True)

    _campaign_uniq = models.UniqueIndex(
        "(campaign_id, occasion) WHERE campaign_id IS NOT NULL",
        "This has been handed out already.",
    )

    @api.depends("template_id")
    def _compute_name(self):
        for handout in self:
            handout.name = handout.template_id.name

    @api.depends("audience", "partner_ids", "category_ids", "domain")
    def _compute_audience_count(self):
        partners = self.env["res.partner"]
        for handout in self:
            try:
                domain = handout._audience_domain()
            except (UserError, ValueError):
                handout.audience_count = 0
                continue
            handout.audience_count = partners.search_count(domain)

    @api.constrains("domain")
    def _check_domain(self):
        for handout in self:
            try:
                handout._filter_domain().validate(self.env["res.partner"])
            except (SyntaxError, TypeError, ValueError):
                raise ValidationError(
                    self.env._("This is no filter for customers.")
                ) from None

    @api.onchange("template_id")
    def _onchange_template_id(self):
        if self.template_id:
            self.company_id = self.template_id.company_id

    @api.model
    def _job_guarded(self):
        return super()._job_guarded() | {"campaign_id", "occasion", "issue_ids"}

    @api.model_create_multi
    def create(self, vals_list):
        handouts = super().create(vals_list)
        for handout in handouts:
            # Nobody hands out what belongs to a company that is not theirs.
            if handout.company_id != handout.template_id.company_id:
                handout.company_id = handout.template_id.company_id
        handouts.check_access("write")
        return handouts

    # === ACTION METHODS === #

    def action_view_issues(self):
        """Open what this hand-out has given, and to whom."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_issue_action"
        )
        return {**action, "domain": [("handout_id", "in", self.ids)]}

    # === AUDIENCE === #

    def _filter_domain(self):
        """Return what the filter says.

        :rtype: Domain
        :raises ValueError: if it is none
        """
        return Domain(literal_eval(self.domain or "[]"))

    def _audience_domain(self):
        """Return which customers get a coupon.

        :rtype: Domain
        :raises UserError: if nothing was chosen
        """
        self.ensure_one()
        if self.audience == "partners":
            if not self.partner_ids:
                raise UserError(self.env._("Choose the customers first."))
            domain = Domain("id", "in", self.partner_ids.ids)
        elif self.audience == "tags":
            if not self.category_ids:
                raise UserError(self.env._("Choose the tags first."))
            domain = Domain("category_id", "child_of", self.category_ids.ids)
        else:
            # All contacts, also users, is nobody's idea of customers.
            domain = self._filter_domain() & Domain("partner_share", "=", True)
        partners = self.env["res.partner"]
        return domain & partners._wechat_company_domain(self.company_id)

    def _plan(self, partner_ids):
        """Write down who is to get a coupon.

        :param list partner_ids: ids of ``res.partner``
        """
        self.ensure_one()
        if len(partner_ids) > MAX_CUSTOMERS:
            raise UserError(
                self.env._(
                    "These are more than %(most)s customers. Divide them.",
                    most=MAX_CUSTOMERS,
                )
            )
        # sudo: only these methods write the rows.
        issues_sudo = self.env["coupon.issue"].sudo()
        count = 0
        for start in range(0, len(partner_ids), _PLAN):
            rows = [
                {
                    "partner_id": partner_id,
                    "handout_id": self.id,
                    "campaign_id": self.campaign_id.id,
                    "occasion": self._occasion_key(),
                }
                for partner_id in partner_ids[start : start + _PLAN]
            ]
            count += len(issues_sudo._plan(self.template_id, rows))
        self._write_job({"count": count})

    def _occasion_key(self):
        """Return what a customer gets one coupon for; a campaign says so."""
        return self.occasion and self.occasion.partition("@")[0]

    # === THE JOB === #

    def _job_check(self):
        """Override of ``coupon.job.mixin``."""
        self.ensure_one()
        self.template_id._channel()._check_send(self.template_id)
        if self.template_id.state != "live":
            raise UserError(self.env._("Publish the template before you hand it out."))

    def _job_begin(self):
        """Override of ``coupon.job.mixin``: the customers are those of this moment."""
        partners = self.env["res.partner"].search(self._audience_domain(), order="id")
        if not partners:
            raise UserError(self.env._("Nobody matches. Choose other customers."))
        self.template_id._check_handout("handout", partners)
        self._plan(partners.ids)

    def _job_wait(self):
        """Override of ``coupon.job.mixin``."""
        return self.env["wechat.rate.guard"]._acquire(
            f"coupon_handout:{self.company_id.id}", STEPS_PER_MINUTE, 60
        )

    def _job_steps(self):
        """Override of ``coupon.job.mixin``."""
        while True:
            yield CouponHandout._hand_out_chunk

    def _hand_out_chunk(self):
        """Make the next coupons.

        :return: whether these were the last
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT id FROM coupon_issue
                 WHERE handout_id = %s AND coupon_id IS NULL
                 ORDER BY id LIMIT %s
                """,
                self.id,
                CHUNK,
            )
        )
        issues = self.env["coupon.issue"].browse(r[0] for r in self.env.cr.fetchall())
        if issues:
            self._job_check()
            coupons = self.template_id._channel()._send(issues)
            coupons._notify_partner(self.mail_template_id)
            self._write_job({"done": self.done + len(coupons)})
        return len(issues) < CHUNK

    def _job_forget(self, cr):
        """Override of ``coupon.job.mixin``: who has none yet gets none."""
        cr.execute(
            "DELETE FROM coupon_issue WHERE handout_id = %s AND coupon_id IS NULL",
            [self.id],
        )


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    def _notify_partner(self, mail_template=None):
        """Tell customers of coupons that they have been given.

        A hook: channels and other add-ons extend it with the messages that WeChat
        allows. E-mails are put into Odoo's queue, which sends them.

        :param mail_template: ``mail.template`` record of ``loyalty.card``, maybe empty
        """
        if not mail_template:
            return
        addressed = self.filtered("partner_id.email")
        mail_template.send_mail_batch(addressed.ids, force_send=False)
