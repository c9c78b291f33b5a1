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
    _inherit = ["coupon.job.mixin"]
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
        "coupon.campaign",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )
    occasion = fields.Char(readonly=True, copy=False)
    audience = fields.Selection(
        selection=[
            ("partners", "Chosen customers"),
            ("tags", "Customers with tags"),
            ("filter", "Customers who match a filter"),
            ("all", "All customers whom the coupon is for"),
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
        default=lambda self: self.env.ref(
            "wechat_coupon.mail_template_given", raise_if_not_found=False
        ),
        help="Each customer who has an address gets this message. Leave it empty to "
        "tell nobody.",
    )
    audience_count = fields.Integer(
        string="Customers Found", compute="_compute_audience_count"
    )
    issue_ids = fields.One2many("coupon.issue", "handout_id", readonly=True)

    _campaign_uniq = models.UniqueIndex(
        "(campaign_id, occasion) "
        "WHERE campaign_id IS NOT NULL AND state != 'cancelled'",
        "This has been handed out already.",
    )

    # === COMPUTE, CONSTRAINTS AND ONCHANGE METHODS === #

    @api.depends("template_id")
    def _compute_name(self):
        for handout in self:
            handout.name = handout.template_id.name

    @api.depends("audience", "partner_ids", "category_ids", "domain", "template_id")
    def _compute_audience_count(self):
        for handout in self:
            try:
                domain = handout._audience_domain()
                handout.audience_count = self.env["res.partner"].search_count(domain)
            except (AttributeError, SyntaxError, TypeError, UserError, ValueError):
                # Not chosen yet; whoever starts it reads why.
                handout.audience_count = 0

    @api.constrains("domain")
    def _check_domain(self):
        for handout in self:
            self._check_filter(handout.domain)

    @api.constrains("mail_template_id")
    def _check_mail_template_id(self):
        for handout in self:
            self._check_mail_template(handout.mail_template_id)

    @api.model
    def _check_mail_template(self, template):
        """Refuse a message that is not about a coupon.

        :param template: ``mail.template`` record, maybe empty
        """
        if template and template.model != "loyalty.card":
            raise ValidationError(
                self.env._("This message is not for coupons. Choose another one.")
            )

    @api.model
    def _check_filter(self, text):
        """Refuse a filter of customers that cannot be searched for.

        :param str text: a domain
        :raises ValidationError: if it is none
        """
        try:
            domain = Domain(literal_eval(text or "[]"))
            self.env["res.partner"].search_count(domain, limit=1)
        except (AttributeError, SyntaxError, TypeError, ValueError) as error:
            raise ValidationError(
                self.env._("The filter of customers does not work. Choose it anew.")
            ) from error

    @api.onchange("template_id")
    def _onchange_template_id(self):
        if self.template_id:
            self.company_id = self.template_id.company_id

    # === CRUD METHODS === #

    @api.model
    def _job_guarded(self):
        """Override of ``coupon.job.mixin``."""
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

    @api.ondelete(at_uninstall=False)
    def _unlink_except_issued(self):
        # sudo: whoever deletes it need not read who has got one.
        if self.sudo().issue_ids:
            raise UserError(
                self.env._("Coupons were given: it stays, so that nobody gets two.")
            )

    # === ACTION METHODS === #

    def action_view_issues(self):
        """Open who has got a coupon, and who will."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_issue_action"
        )
        return {**action, "domain": [("handout_id", "in", self.ids)]}

    # === AUDIENCE === #

    def _audience_domain(self):
        """Return which customers get a coupon.

        :rtype: Domain
        :raises UserError: if nothing was chosen
        """
        self.ensure_one()
        if self.audience == "partners":
            if not self.partner_ids:
                raise UserError(self.env._("Choose the customers first."))
            # Whom the coupon is not for is named, not left out in silence.
            return Domain("id", "in", self.partner_ids.ids)
        meant = self._customers_domain()
        if self.template_id:
            meant &= self.template_id._audience()
        if self.audience == "tags":
            if not self.category_ids:
                raise UserError(self.env._("Choose the tags first."))
            return meant & Domain("category_id", "child_of", self.category_ids.ids)
        if self.audience == "filter":
            return meant & Domain(literal_eval(self.domain or "[]"))
        return meant

    @api.model
    def _customers_domain(self):
        """Return who can be a customer: no user or company of ours, and no address.

        :rtype: Domain
        """
        return (
            Domain("partner_share", "=", True)
            & Domain("ref_company_ids", "=", False)
            & Domain("type", "not in", ("delivery", "invoice", "other"))
        )

    def _plan(self, partner_ids):
        """Write down who is to get a coupon, one each.

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
        template = self.template_id
        template._channel()._check_hand_out(template)
        if template.state != "live":
            raise UserError(self.env._("Publish the template before you hand it out."))

    def _job_begin(self):
        """Override of ``coupon.job.mixin``: the customers are those of this moment."""
        partners = self.env["res.partner"].search(self._audience_domain(), order="id")
        if not partners:
            raise UserError(self.env._("Nobody matches. Choose other customers."))
        self.template_id._check_handout("manual", partners)
        self._plan(partners.ids)

    def _job_wait(self):
        """Override of ``coupon.job.mixin``."""
        return self.env["wechat.rate.guard"]._acquire(
            f"coupon_handout:{self.company_id.id}", STEPS_PER_MINUTE, 60
        )

    def _job_steps(self, where):
        """Override of ``coupon.job.mixin``."""
        while True:
            yield CouponHandout._hand_out_chunk

    def _hand_out_chunk(self):
        """Hand out to the next customers.

        :return: whether these were the last
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT id FROM coupon_issue
                 WHERE handout_id = %s AND issued_at IS NULL
                 ORDER BY id LIMIT %s
                """,
                self.id,
                CHUNK,
            )
        )
        issues = self.env["coupon.issue"].browse(r[0] for r in self.env.cr.fetchall())
        if issues:
            self._job_check()
            gone = issues.filtered(lambda issue: not issue.partner_id.active)
            gone.write(
                {
                    "issued_at": fields.Datetime.now(),
                    "problem": self.env._("The customer was archived meanwhile."),
                }
            )
            if issues - gone:
                self.template_id._channel()._hand_out(issues - gone)
            self._write_job({"done": self.done + len(issues)})
        return len(issues) < CHUNK

    def _job_forget(self, cr):
        """Override of ``coupon.job.mixin``: who has none yet gets none."""
        cr.execute(
            "DELETE FROM coupon_issue WHERE handout_id = %s AND issued_at IS NULL",
            [self.id],
        )


class CouponIssue(models.Model):
    _inherit = "coupon.issue"

    handout_id = fields.Many2one(
        "coupon.handout", string="Hand-out", readonly=True, ondelete="restrict"
    )
    code = fields.Char(
        readonly=True,
        groups="wechat_coupon.coupon_group_manager",
        help="Of a coupon that WeChat has given.",
    )
    problem = fields.Char(string="Not Given Because", readonly=True)

    _handout_uniq = models.UniqueIndex(
        "(handout_id, partner_id) WHERE handout_id IS NOT NULL",
        "One coupon for each customer of a hand-out.",
    )
    _waiting_idx = models.Index("(handout_id, id) WHERE issued_at IS NULL")
    _code_idx = models.Index("(code) WHERE coupon_id IS NULL AND code IS NOT NULL")

    @api.model
    def _plan_columns(self):
        """Extended: the hand-out."""
        return {**super()._plan_columns(), "handout_id": "int"}

    def _before_merge(self, sources, target):
        """Let only the first row of each hand-out and occasion name the customer.

        :param sources: ``res.partner`` records that become ``target``
        :param target: ``res.partner`` record
        """
        everybody = sources + target
        issues = self.search(
            [("partner_id", "in", everybody.ids), ("handout_id", "!=", False)]
        ) | self.search(
            [("partner_id", "in", everybody.ids), ("campaign_id", "!=", False)]
        )
        known = set()
        # The target's own rows come first.
        for issue in issues.sorted(lambda one: (one.partner_id != target, one.id)):
            keys = {
                ("handout", issue.handout_id.id) if issue.handout_id else None,
                (issue.campaign_id.id, issue.occasion) if issue.campaign_id else None,
            } - {None}
            if keys & known:
                issue.partner_id = False
            known |= keys

    def _notify_partner(self):
        """Tell customers of coupons that they have been given.

        A hook: other add-ons extend it with the messages that WeChat allows. E-mails
        are put into Odoo's queue, which sends them.
        """
        for handout, issues in self.grouped("handout_id").items():
            template = handout.mail_template_id
            addressed = issues.coupon_id.filtered("partner_id.email")
            if template and addressed:
                template.send_mail_batch(addressed.ids, force_send=False)


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    def action_give(self):
        """Open a new hand-out of the coupon to customers."""
        self._check_manager()
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Give to Customers"),
            "res_model": "coupon.handout",
            "view_mode": "form",
            "context": {
                "default_template_id": self.id,
                "default_company_id": self.company_id.id,
            },
        }
