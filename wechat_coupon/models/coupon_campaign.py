import logging
from ast import literal_eval
from datetime import datetime, time, timedelta

import pytz

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen

from .. import const
from ..tools import lunar

_logger = logging.getLogger(__name__)

_CARE = ("birthday", "festival")
# Days that are made up for after the server was off, or the coupon paused.
CATCH_UP = 7
_MAX_DAYS = 365


class CouponCampaign(models.Model):
    """Hands out a coupon by itself when something happens, or when a day comes."""

    _name = "coupon.campaign"
    _description = "Coupon Campaign"
    _inherit = ["mail.thread"]
    _order = "id desc"
    _check_company_auto = True

    name = fields.Char(required=True, tracking=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    template_id = fields.Many2one(
        "coupon.template",
        string="Coupon",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        domain="[('channel', '=', 'local'), ('company_id', '=', company_id)]",
        tracking=True,
    )
    state = fields.Selection(
        selection=[("draft", "Draft"), ("running", "Running"), ("ended", "Ended")],
        required=True,
        readonly=True,
        default="draft",
        copy=False,
        tracking=True,
    )
    trigger = fields.Selection(
        selection=[
            ("purchase", "After a purchase"),
            ("new_customer", "To new customers"),
            ("inactive", "Some days after the last purchase"),
            ("manual", "By hand"),
            ("birthday", "On birthdays"),
            ("festival", "On a festival"),
        ],
        string="Handed Out",
        required=True,
        default="purchase",
        tracking=True,
    )
    kind = fields.Selection(
        selection=[("marketing", "Marketing"), ("care", "Care")],
        compute="_compute_kind",
        store=True,
    )
    date_from = fields.Date(
        string="From", default=lambda self: fields.Date.context_today(self)
    )
    date_to = fields.Date(string="Until")
    amount_fen = Fen(string="Purchase (fen)")
    amount = fields.Monetary(
        string="Purchase of at Least",
        compute="_compute_amount",
        inverse="_inverse_amount",
    )
    receipt_print = fields.Boolean(
        string="Print on the Receipt",
        default=True,
        help="Otherwise only customers who are known get the coupon, and no paper.",
    )
    days = fields.Integer(
        help="Days before the birthday or festival, or after the last purchase."
    )
    festival = fields.Selection(
        selection=[
            ("eve", "Chinese New Year's Eve (除夕)"),
            ("spring", "Spring Festival (春节)"),
            ("lantern", "Lantern Festival (元宵)"),
            ("dragon_boat", "Dragon Boat Festival (端午)"),
            ("qixi", "Qixi (七夕)"),
            ("mid_autumn", "Mid-Autumn Festival (中秋)"),
            ("double_ninth", "Double Ninth Festival (重阳)"),
            ("new_year", "New Year's Day (元旦)"),
            ("valentine", "Valentine's Day (情人节)"),
            ("women", "Women's Day (妇女节)"),
            ("labour", "Labour Day (劳动节)"),
            ("children", "Children's Day (儿童节)"),
            ("teachers", "Teachers' Day (教师节)"),
            ("national", "National Day (国庆)"),
            ("singles", "Singles' Day (双十一)"),
            ("christmas", "Christmas (圣诞)"),
        ],
    )
    next_day = fields.Date(string="Next Time", compute="_compute_next_day")
    domain = fields.Char(string="Only Customers", default="[]")
    mail_template_id = fields.Many2one(
        "mail.template",
        string="E-Mail",
        domain="[('model', '=', 'loyalty.card')]",
    )
    last_day = fields.Date(
        string="Worked Off Until", readonly=True, copy=False, groups="base.group_system"
    )
    problem = fields.Char(string="What Happened", readonly=True, copy=False)
    handout_ids = fields.One2many("coupon.handout", "campaign_id", readonly=True)
    issue_count = fields.Integer(compute="_compute_issue_count")
    claim_url = fields.Char(string="Link for Customers", compute="_compute_claim_url")

    _dates = models.Constraint(
        "CHECK (date_to IS NULL OR date_from IS NULL OR date_to >= date_from)",
        "The campaign ends before it begins.",
    )
    _days = models.Constraint(
        f"CHECK (days BETWEEN 0 AND {_MAX_DAYS})", "Enter from 0 to 365 days."
    )
    _amount_positive = models.Constraint(
        "CHECK (amount_fen >= 0)", "Amounts cannot be negative."
    )

    # === COMPUTE METHODS === #

    @api.depends("trigger")
    def _compute_kind(self):
        for campaign in self:
            care = campaign.trigger in _CARE
            campaign.kind = "care" if care else "marketing"

    @api.depends("amount_fen")
    def _compute_amount(self):
        for campaign in self:
            campaign.amount = money.from_fen(campaign.amount_fen)

    def _inverse_amount(self):
        for campaign in self:
            campaign.amount_fen = money.to_fen(campaign.amount)

    @api.depends("trigger", "festival", "days")
    def _compute_next_day(self):
        for campaign in self:
            campaign.next_day = campaign._festival_day()

    def _compute_issue_count(self):
        counts = dict(
            self.env["coupon.issue"]._read_group(
                [("campaign_id", "in", self.ids), ("coupon_id", "!=", False)],
                ["campaign_id"],
                ["__count"],
            )
        )
        for campaign in self:
            campaign.issue_count = counts.get(campaign, 0)

    def _compute_claim_url(self):
        for campaign in self:
            on = campaign.id and campaign.trigger == "manual" and campaign._is_on()
            template = campaign.template_id
            campaign.claim_url = template._claim_url(campaign) if on else False

    # === CONSTRAINTS === #

    @api.constrains("trigger", "festival", "days")
    def _check_trigger(self):
        for campaign in self:
            if campaign.trigger == "festival" and not campaign.festival:
                raise ValidationError(self.env._("Choose the festival."))
            if campaign.trigger == "inactive" and not campaign.days:
                raise ValidationError(
                    self.env._("Enter how many days after the last purchase.")
                )

    @api.constrains("domain")
    def _check_domain(self):
        for campaign in self:
            try:
                campaign._filter_domain().validate(self.env["res.partner"])
            except (SyntaxError, TypeError, ValueError):
                raise ValidationError(
                    self.env._("This is no filter for customers.")
                ) from None

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            for vals in vals_list:
                self._check_guarded(vals)
            self = self.with_context(default_state="draft")
        return super().create(vals_list)

    def write(self, vals):
        if not self.env.su:
            self._check_guarded(vals)
            if vals.keys() & {"template_id", "trigger", "company_id"} and any(
                campaign.state != "draft" for campaign in self
            ):
                raise UserError(
                    self.env._("It has been started. Copy it to change this.")
                )
        return super().write(vals)

    @api.model
    def _check_guarded(self, vals):
        if vals.keys() & {"state", "last_day", "problem", "handout_ids"}:
            raise UserError(self.env._("Use the buttons of the campaign."))

    @api.ondelete(at_uninstall=False)
    def _unlink_except_draft(self):
        if any(campaign.state != "draft" for campaign in self):
            raise UserError(self.env._("End the campaign and archive it instead."))

    # === ACTION METHODS === #

    def action_start(self):
        """Let the campaign hand out coupons from now on."""
        self.env["coupon.template"]._check_manager()
        self.check_access("write")
        for campaign in self:
            if campaign.state == "running":
                raise UserError(self.env._("The campaign is running already."))
            campaign._check_ready()
            yesterday = campaign._today() - timedelta(days=1)
            # sudo: the state is written by the buttons only.
            campaign.sudo().write({"state": "running", "last_day": yesterday})
        return True

    def action_end(self):
        """Hand out no more; what customers hold stays good."""
        self.env["coupon.template"]._check_manager()
        self.check_access("write")
        # sudo: the state is written by the buttons only.
        self.sudo().write({"state": "ended"})
        return True

    def action_hand_out(self):
        """Hand out now, to all customers that the campaign is for."""
        self.ensure_one()
        self.env["coupon.template"]._check_manager()
        self.check_access("write")
        if self.trigger != "manual" or not self._is_on():
            raise UserError(self.env._("Only a running campaign by hand does this."))
        self._check_ready()
        today = self._today()
        moment = fields.Datetime.now().isoformat(timespec="seconds")
        partners = self.env["res.partner"].search(self._customers(), order="id")
        handout = self._hand_out(f"manual:{today.year}@{moment}", partners)
        if not handout:
            raise UserError(
                self.env._("All customers of this campaign have got it this year.")
            )
        return {
            "type": "ir.actions.act_window",
            "res_model": "coupon.handout",
            "view_mode": "form",
            "res_id": handout.id,
        }

    def action_view_issues(self):
        """Open what was handed out, and to whom."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_issue_action"
        )
        return {**action, "domain": [("campaign_id", "in", self.ids)]}

    # === BUSINESS METHODS === #

    def _check_ready(self):
        """Refuse to hand out what cannot be handed out.

        :raises UserError: with what to do
        """
        self.ensure_one()
        self.template_id._check_generate()
        source = "care" if self.kind == "care" else "campaign"
        self.template_id._check_handout(source, self.env["res.partner"])

    def _zone(self):
        return pytz.timezone(self.company_id.partner_id.tz or const.WECHAT_TZ)

    def _today(self):
        """Return the day that it is for the company."""
        self.ensure_one()
        return pytz.utc.localize(fields.Datetime.now()).astimezone(self._zone()).date()

    def _is_on(self):
        """Whether the campaign hands out coupons today."""
        self.ensure_one()
        return self.state == "running" and self._covers(self._today())

    def _covers(self, day):
        begins = not self.date_from or self.date_from <= day
        return begins and (not self.date_to or day <= self.date_to)

    def _filter_domain(self):
        return Domain(literal_eval(self.domain or "[]"))

    def _customers(self):
        """Return which customers the campaign is for.

        :rtype: Domain
        """
        self.ensure_one()
        company = self.env["res.partner"]._wechat_company_domain(self.company_id)
        return self._filter_domain() & Domain("partner_share", "=", True) & company

    def _festival_day(self, day=None):
        """Return on which day the coupons of the next festival are handed out."""
        self.ensure_one()
        if self.trigger != "festival" or not self.festival:
            return False
        day = day or self._today()
        ahead = timedelta(days=self.days or 0)
        days = (
            lunar.festival(self.festival, year) - ahead
            for year in (day.year, day.year + 1, day.year + 2)
        )
        return next(found for found in days if found >= day)

    def _due(self, day):
        """Yield what there is to hand out on a day.

        :param date day: in the company's zone
        :return: pairs of the customers' occasion and the customers
        :rtype: Iterator[tuple[str, Domain]]
        """
        self.ensure_one()
        yield from getattr(self, f"_due_{self.trigger}")(day)

    def _due_purchase(self, day):
        """Orders hand out themselves, when they are paid."""
        return ()

    def _due_manual(self, day):
        return ()

    def _due_birthday(self, day):
        by_year = {}
        for key, year in lunar.birthday_keys(day + timedelta(days=self.days)).items():
            by_year.setdefault(year, []).append(key)
        for year, keys in by_year.items():
            yield f"birthday:{year}", Domain("wechat_birthday_key", "in", keys)

    def _due_festival(self, day):
        celebrated = day + timedelta(days=self.days)
        if lunar.festival(self.festival, celebrated.year) == celebrated:
            yield f"{self.festival}:{celebrated.year}", Domain.TRUE

    def _due_new_customer(self, day):
        first, last = self._utc_day(day - timedelta(days=1))
        yield (
            "new",
            Domain("create_date", ">=", first) & Domain("create_date", "<", last),
        )

    def _due_inactive(self, day):
        bought = day - timedelta(days=self.days)
        yield f"after:{bought}", Domain("id", "in", self._last_bought(bought))

    def _utc_day(self, day):
        """Return when a day of the company begins and ends, in UTC."""
        zone = self._zone()
        return tuple(
            zone.localize(datetime.combine(found, time.min))
            .astimezone(pytz.utc)
            .replace(tzinfo=None)
            for found in (day, day + timedelta(days=1))
        )

    def _last_bought(self, day):
        """Return the ids of customers whose last purchase was on a day."""
        first, last = self._utc_day(day)
        for model in ("pos.order", "sale.order"):
            self.env[model].flush_model(["partner_id", "date_order", "state"])
        self.env.cr.execute(
            """
            WITH bought AS (
                SELECT partner_id, date_order, company_id FROM pos_order
                 WHERE state IN ('paid', 'done', 'invoiced') AND amount_total > 0
             UNION ALL
                SELECT partner_id, date_order, company_id FROM sale_order
                 WHERE state = 'sale'
            )
            SELECT day.partner_id
              FROM bought AS day
             WHERE day.date_order >= %(first)s AND day.date_order < %(last)s
               AND day.company_id = ANY(%(companies)s)
               AND day.partner_id IS NOT NULL
               AND NOT EXISTS (
                   SELECT 1 FROM bought AS later
                    WHERE later.partner_id = day.partner_id
                      AND later.date_order >= %(last)s
                      AND later.company_id = ANY(%(companies)s))
             GROUP BY day.partner_id
            """,
            {
                "first": first,
                "last": last,
                # sudo: the branches of the company need not be the user's.
                "companies": self.env["res.company"]
                .sudo()
                .search([("id", "child_of", self.company_id.id)])
                .ids,
            },
        )
        return [partner_id for (partner_id,) in self.env.cr.fetchall()]

    def _hand_out(self, occasion, partners):
        """Make and start the hand-out of an occasion, once.

        :param str occasion: the customers' occasion, and after an ``@`` when it was
        :param partners: ``res.partner`` records
        :return: ``coupon.handout`` record, empty if nobody gets a coupon
        """
        self.ensure_one()
        # sudo: hand-outs of campaigns are made by campaigns only.
        handouts_sudo = self.env["coupon.handout"].sudo()
        if not partners or handouts_sudo.search_count(
            [("campaign_id", "=", self.id), ("occasion", "=", occasion)], limit=1
        ):
            return handouts_sudo.browse()
        handout_sudo = handouts_sudo.create(
            {
                "template_id": self.template_id.id,
                "company_id": self.company_id.id,
                "campaign_id": self.id,
                "occasion": occasion,
                "audience": "filter",
                "domain": self.domain,
                "mail_template_id": self.mail_template_id.id,
            }
        )
        handout_sudo._plan(partners.ids)
        if not handout_sudo.count:
            handout_sudo.unlink()
            return handouts_sudo.browse()
        now = fields.Datetime.now()
        handout_sudo._write_job({"state": "running", "next_at": now})
        handout_sudo._drain_wake()
        return handout_sudo

    # === EVERY DAY === #

    @api.model
    def _cron_run(self):
        """Hand out what is due today, and on the days that were missed."""
        campaigns = self.search([("state", "=", "running")], order="id")
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(campaigns))
        for campaign in campaigns:
            try:
                with self.env.cr.savepoint():
                    campaign._run_days()
            except UserError as error:
                # The next days make up for it.
                campaign.problem = str(error)[:500]
            except Exception:
                _logger.exception("Campaign %s", campaign.id)
                campaign.problem = self.env._(
                    "It did not work. The administrator finds more in the log."
                )
            if not cron._commit_progress(1):
                break

    def _run_days(self):
        """Hand out what is due, day by day until today."""
        self.ensure_one()
        today = self._today()
        first = (self.last_day or today - timedelta(days=1)) + timedelta(days=1)
        day = max(first, today - timedelta(days=CATCH_UP - 1))
        while day <= today:
            if self._covers(day):
                self._run_day(day)
            day += timedelta(days=1)
        ended = self.date_to and self.date_to < today
        self.write(
            {
                "last_day": max(today, self.last_day or today),
                "problem": False,
                **({"state": "ended"} if ended else {}),
            }
        )

    def _run_day(self, day):
        for occasion, domain in self._due(day):
            partners = self.env["res.partner"].search(
                domain & self._customers(), order="id"
            )
            if not partners:
                continue
            self._check_ready()
            self._hand_out(f"{occasion}@{day}", partners)
