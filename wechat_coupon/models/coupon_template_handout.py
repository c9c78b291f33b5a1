from ast import literal_eval

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import format_date

from ..tools.ledger import is_ledger

# Who may hand out which kind of coupon.
_SOURCES: dict[str, tuple[str, ...]] = {
    "ordinary": ("manual", "campaign", "care", "sale"),
    "marketing": ("campaign",),
    "care": ("care",),
}
_WECHAT_STOCK = 1000
_NAMED = 5


class CouponTemplate(models.Model):
    """How many coupons are handed out, in which way and to whom."""

    _inherit = "coupon.template"

    cover = fields.Image(
        string="Cover Picture",
        max_width=1024,
        max_height=1024,
        help="Shown at the top of the coupon on the phone; wide pictures look best.",
    )
    stock = fields.Integer(
        compute="_compute_stock",
        store=True,
        readonly=False,
        precompute=True,
        default=None,
        help="How many can be handed out in all; for coupons of our own, 0 is any "
        "number.",
    )
    attribute = fields.Selection(
        selection=[
            ("ordinary", "Ordinary (普通)"),
            ("marketing", "Marketing (营销)"),
            ("care", "Care (关怀)"),
        ],
        required=True,
        default="ordinary",
        tracking=True,
        help="Ordinary coupons can be handed out in any way, marketing coupons by "
        "campaigns only, care coupons by care campaigns (birthdays, holidays) only.",
    )
    audience = fields.Selection(
        selection=[
            ("all", "Everybody"),
            ("tags", "Customers with certain tags"),
            ("filter", "Customers who match a filter"),
        ],
        string="For Whom",
        required=True,
        default="all",
        tracking=True,
    )
    audience_tag_ids = fields.Many2many("res.partner.category", string="Customer Tags")
    audience_domain = fields.Char(
        string="Customer Filter", default="[]", help="Which customers may get it."
    )
    audience_user_id = fields.Many2one(
        "res.users",
        readonly=True,
        copy=False,
        help="Who has chosen the filter: it sees what this user may see.",
    )

    # === COMPUTE METHODS === #

    @api.depends("channel")
    def _compute_stock(self):
        for template in self:
            is_remote = bool(template.channel) and template._channel()._is_remote
            # WeChat wants a number; ours are not limited unless somebody says so.
            template.stock = template.stock or (_WECHAT_STOCK if is_remote else 0)

    # === CONSTRAINTS AND ONCHANGE METHODS === #

    @api.constrains("stock")
    def _check_stock(self):
        for template in self:
            if template.stock < 0:
                raise ValidationError(self.env._("“Pieces” cannot be negative."))

    @api.constrains("audience", "audience_tag_ids", "audience_domain")
    def _check_audience(self):
        for template in self:
            if template.audience == "tags" and not template.audience_tag_ids:
                raise ValidationError(
                    self.env._("Choose the tags of the customers who may get it.")
                )
            if template.audience == "filter":
                template._check_filter()

    def _check_filter(self):
        try:
            self.env["res.partner"].search_count(self._audience(), limit=1)
        except (AttributeError, SyntaxError, TypeError, ValueError) as error:
            raise ValidationError(
                self.env._("The filter of customers does not work. Choose it anew.")
            ) from error

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        templates = super().create(vals_list)
        templates.filtered(lambda one: one.audience == "filter")._own_filter()
        return templates

    def write(self, vals):
        if "stock" in vals and not is_ledger(self.env):
            self._check_stock_raised(vals["stock"])
        res = super().write(vals)
        if vals.keys() & {"audience", "audience_domain"}:
            self._own_filter()
        return res

    def _own_filter(self):
        """Note who has chosen the filter, and refuse one that the user may not use."""
        for template in self:
            self.env["coupon.handout"]._check_filter(template.audience_domain)
            template._write_guarded({"audience_user_id": self.env.uid})

    def copy_data(self, default=None):
        vals_list = super().copy_data(default)
        # The copy of an old template is there to be worked on.
        return [{**vals, "active": True} for vals in vals_list]

    def _check_stock_raised(self, stock):
        """Refuse less than what customers were told about; 0 is any number."""
        for template in self:
            is_less = stock and not 0 < template.stock <= stock
            if template.state != "draft" and template.channel == "local" and is_less:
                raise UserError(
                    self.env._(
                        "“%(template)s” is published: the number of pieces can be "
                        "raised, not lowered. Pause or end it to stop handing it out.",
                        template=template.name,
                    )
                )

    # === BUSINESS METHODS === #

    def _take_stock(self, count):
        """Count coupons of our own that are about to be handed out.

        Call it in the transaction that makes them, once for each new coupon; what
        replaces a coupon is none.

        :param int count: how many
        :raises UserError: if fewer are left
        """
        self.ensure_one()
        if not self._channel()._can_generate:
            return
        # sudo: nobody writes the counter but this.
        if not self.env["coupon.template.stock"].sudo()._take(self, count):
            raise UserError(
                self.env._(
                    "Only %(left)s of “%(template)s” are left. Raise the number of "
                    "pieces on the template to hand out more.",
                    left=self.stock_left,
                    template=self.name,
                )
            )

    def _audience(self):
        """Return the domain of the customers who may get the coupon.

        :rtype: Domain
        """
        self.ensure_one()
        # sudo: the branches need not be those in which the user works at present.
        companies = (
            self.env["res.company"]
            .sudo()
            .search([("id", "child_of", self.company_id.id)])
        )
        domain = Domain("company_id", "in", [False, *companies.ids])
        if self.audience == "tags":
            return domain & Domain("category_id", "child_of", self.audience_tag_ids.ids)
        if self.audience == "filter":
            return domain & Domain(literal_eval(self.audience_domain or "[]"))
        return domain

    def _audience_partners(self):
        """Return the customers who may get the coupon, as far as the user sees them.

        :rtype: ``res.partner`` records
        """
        return self.env["res.partner"].search(self._audience())

    def _check_handout(self, source, partners=None):
        """Refuse to hand the coupon out in a way or to people that it is not for.

        :param str source: ``manual`` (by hand, posters, links), ``campaign``,
            ``care`` (a care campaign) or ``sale``
        :param partners: ``res.partner`` records who are to get it; none if anybody
            may take it
        :raises UserError: with what to do instead
        """
        self.ensure_one()
        self._check_source(source)
        if self.audience == "all":
            return
        if not partners:
            raise UserError(
                self.env._(
                    "“%(template)s” is for certain customers only. Choose to whom "
                    "it goes.",
                    template=self.name,
                )
            )
        if strangers := partners - self._allowed(partners):
            raise UserError(
                self.env._(
                    "“%(template)s” is not for these customers: %(names)s.",
                    template=self.name,
                    names=", ".join(strangers[:_NAMED].mapped("display_name"))
                    + ("…" if len(strangers) > _NAMED else ""),
                )
            )

    def _allowed(self, partners):
        """Return those of some customers who may get the coupon.

        A filter sees what the user sees who has chosen it, also where a till or a
        job asks: nobody learns by it what he may not read.

        :param partners: ``res.partner`` records
        """
        self.ensure_one()
        contacts = partners
        if self.audience == "filter":
            contacts = self._seen_by(self.audience_user_id or self.create_uid, partners)
        found = contacts.search(self._audience() & Domain("id", "in", partners.ids))
        return partners & partners.browse(found.ids)

    @api.model
    def _seen_by(self, user, records):
        """Return records as a user sees them who is not the one that asks.

        In all companies of that user: those chosen by whoever asks are none of his
        business, and Odoo refuses those that are not his.

        :param user: ``res.users`` record
        :param records: records of any model
        """
        return records.with_user(user).with_context(allowed_company_ids=[])

    def _check_source(self, source):
        """Refuse to hand the coupon out in a way that it is not for.

        :param str source: see :meth:`_check_handout`
        :raises UserError: with what to do instead
        """
        if source in _SOURCES[self.attribute]:
            return self._check_not_over()
        raise UserError(
            self.env._(
                "“%(template)s” is a marketing coupon: hand it out by a campaign.",
                template=self.name,
            )
            if self.attribute == "marketing"
            else self.env._(
                "“%(template)s” is a care coupon: hand it out by a care campaign.",
                template=self.name,
            )
        )

    def _is_over(self):
        """Whether a coupon that is handed out now could never be used.

        :rtype: bool
        """
        self.ensure_one()
        begin, end = self._validity()
        return end < max(begin, fields.Datetime.now())

    def _check_not_over(self):
        """Refuse to hand out what nobody could use any more.

        :raises UserError: with what to do instead
        """
        if self._is_over():
            last = self.date_to if self.date_type == "range" else self.term_latest
            raise UserError(
                self.env._(
                    "“%(template)s” was valid until %(date)s. Copy it for a new time.",
                    template=self.name,
                    date=format_date(self.env, last),
                )
            )
