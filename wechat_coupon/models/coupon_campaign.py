import logging
from ast import literal_eval
from datetime import datetime, time, timedelta
from uuid import uuid4

import pytz
from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import format_date

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen

from .. import const
from ..tools import lunar

_logger = logging.getLogger(__name__)

_CARE = ("birthday", "festival")
# Days that are made up for after the server was off, or the coupon paused.
CATCH_UP = 7
_MAX_DAYS = 365
# What cannot be changed while customers are promised it.
_FIXED = {"company_id", "template_id", "trigger"}
_GUARDED = {"filter_user_id", "handout_ids", "last_day", "problem", "state"}


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
        domain="[('state', '=', 'live'), ('company_id', '=', company_id)]",
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
            ("start", "To all on the first day"),
            ("new_customer", "To new customers"),
            ("purchase", "After a purchase at the till"),
            ("inactive", "Some days after the last purchase"),
            ("claim", "By link and QR code"),
            ("manual", "When I press the button"),
            ("birthday", "On birthdays (care)"),
            ("festival", "On a festival (care)"),
        ],
        string="When",
        required=True,
        default="start",
        tracking=True,
    )
    kind = fields.Selection(
        selection=[("marketing", "Marketing"), ("care", "Care")],
        compute="_compute_kind",
        store=True,
    )
    date_from = fields.Date(
        string="From",
        required=True,
        default=lambda self: self._default_date_from(),
    )
    date_to = fields.Date(string="Until", help="The last day; empty for no end.")
    amount_fen = Fen(string="Purchase (fen)")
    amount = fields.Monetary(
        string="Purchase of at Least",
        compute="_compute_amount",
        inverse="_inverse_amount",
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
    filter_user_id = fields.Many2one(
        "res.users",
        readonly=True,
        copy=False,
        help="Who has chosen the customers: the filter sees what this user may see.",
    )
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
    last_day = fields.Date(string="Worked Off Until", readonly=True, copy=False)
    problem = fields.Char(string="What Happened", readonly=True, copy=False)
    handout_ids = fields.One2many("coupon.handout", "campaign_id", readonly=True)
    issue_count = fields.Integer(compute="_compute_issue_count")

    _dates = models.Constraint(
        "CHECK (date_to IS NULL OR date_to >= date_from)",
        "The campaign ends before it begins.",
    )
    _days = models.Constraint(
        f"CHECK (days BETWEEN 0 AND {_MAX_DAYS})", "Enter from 0 to 365 days."
    )
    _amount_positive = models.Constraint(
        "CHECK (amount_fen >= 0)", "Amounts cannot be negative."
    )

    # === DEFAULT AND COMPUTE METHODS === #

    @api.model
    def _default_date_from(self):
        """Return the day that it is for the company, whatever the user's zone is."""
        zone = self.env.company.partner_id.tz or const.WECHAT_TZ
        return fields.Date.context_today(self.with_context(tz=zone))

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
                [("campaign_id", "in", self.ids), ("issued_at", "!=", False)],
                ["campaign_id"],
                ["__count"],
            )
        )
        for campaign in self:
            campaign.issue_count = counts.get(campaign, 0)

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
            self.env["coupon.handout"]._check_filter(campaign.domain)

    @api.constrains("mail_template_id")
    def _check_mail_template_id(self):
        for campaign in self:
            self.env["coupon.handout"]._check_mail_template(campaign.mail_template_id)

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            for vals in vals_list:
                self._check_guarded(vals)
            # A default in the context is a value as well.
            defaults = {f"default_{name}": False for name in _GUARDED}
            self = self.with_context(**{**defaults, "default_state": "draft"})
        campaigns = super().create(vals_list)
        campaigns._own_filter()
        return campaigns

    def write(self, vals):
        if not self.env.su:
            self._check_guarded(vals)
            if _FIXED & vals.keys() and any(one.state != "draft" for one in self):
                raise UserError(
                    self.env._("It has been started. Copy it to change this.")
                )
        res = super().write(vals)
        if "domain" in vals:
            self._own_filter()
        return res

    def _own_filter(self):
        """Note who has chosen the filter, and refuse one that the user may not use."""
        for campaign in self:
            self.env["coupon.handout"]._check_filter(campaign.domain)
            # sudo: see `_check_guarded`.
            campaign.sudo().filter_user_id = self.env.user

    @api.model
    def _check_guarded(self, vals):
        if _GUARDED & vals.keys():
            raise UserError(self.env._("Use the buttons of the campaign."))

    @api.ondelete(at_uninstall=False)
    def _unlink_except_draft(self):
        if any(campaign.state != "draft" for campaign in self):
            raise UserError(self.env._("End the campaign and archive it instead."))

    # === ACTION METHODS === #

    def action_start(self):
        """Let the campaign hand out coupons from now on."""
        self._check_rights()
        for campaign in self:
            if campaign.state == "running":
                raise UserError(self.env._("The campaign is running already."))
            campaign._check_ready()
            campaign._check_day_before_end()
            today = campaign._today()
            if campaign.trigger == "start" and campaign.date_from < today:
                raise UserError(
                    self.env._("The first day is over. Enter today or a later day.")
                )
            # sudo: the state is written by the buttons only.
            campaign.sudo().write(
                {"state": "running", "last_day": today - timedelta(days=1)}
            )
            campaign._run()
        return True

    def action_end(self):
        """Hand out no more; what customers hold stays good."""
        self._check_rights()
        # sudo: the state is written by the buttons only.
        self.sudo().write({"state": "ended"})
        under_way = self.handout_ids.filtered(
            lambda handout: handout.state in ("running", "failed")
        )
        if under_way:
            under_way.action_cancel()
        return True

    def action_hand_out(self):
        """Hand out now, to all whom the campaign is for and who have none of it."""
        self.ensure_one()
        self._check_rights()
        if self.trigger != "manual" or not self._is_on():
            raise UserError(
                self.env._("Start the campaign first; it must be one with a button.")
            )
        self._check_ready()
        partners = self._customers()
        handout = self._hand_out(f"once@{uuid4()}", partners)
        if not handout:
            raise UserError(self.env._("All customers of this campaign have got it."))
        return {
            "type": "ir.actions.act_window",
            "res_model": "coupon.handout",
            "view_mode": "form",
            "res_id": handout.id,
        }

    def action_claim_link(self):
        """Get the link by which customers take the coupon."""
        self.ensure_one()
        self._check_ready()
        return self.template_id.action_claim_link()

    def action_view_issues(self):
        """Open what was handed out, and to whom."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_issue_action"
        )
        return {**action, "domain": [("campaign_id", "in", self.ids)]}

    def _check_rights(self):
        self.env["coupon.template"]._check_manager()
        self.check_access("write")
        # What belongs to the company above is seen, and not given away.
        self.template_id.check_access("write")

    # === BUSINESS METHODS === #

    def _check_ready(self):
        """Refuse to hand out what cannot be handed out.

        :raises UserError: with what to do
        """
        self.ensure_one()
        template = self.template_id
        if template.state != "live":
            raise UserError(self.env._("Publish the template before you hand it out."))
        if self.trigger in ("claim", "purchase"):
            if not template._channel()._can_generate:
                raise UserError(
                    self.env._(
                        "Only coupons of our own are handed out like this. Choose "
                        "another coupon."
                    )
                )
        else:
            template._channel()._check_hand_out(template)
        template._check_source(self._source())

    def _check_day_before_end(self):
        """Refuse a festival on which the coupon could not be used any more.

        :raises UserError: with what to do
        """
        template = self.template_id
        last = template.date_to if template.date_type == "range" else None
        day = self._festival_day()
        if last and day and day > last:
            raise UserError(
                self.env._(
                    "“%(template)s” is valid until %(last)s, and the next festival's "
                    "coupons go out on %(day)s. Choose one that is valid then.",
                    template=template.name,
                    last=format_date(self.env, last),
                    day=format_date(self.env, day),
                )
            )

    def _source(self):
        """Return what ``coupon.template._check_handout`` calls such a campaign."""
        return "care" if self.kind == "care" else "campaign"

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
        """Whether the campaign is for what happens on a day."""
        return self.date_from <= day and (not self.date_to or day <= self.date_to)

    def _customers(self, domain=Domain.TRUE):
        """Return the customers that the campaign is for.

        The filter sees what the user sees who has chosen it.

        :param Domain domain: which of them
        :rtype: ``res.partner`` records
        """
        self.ensure_one()
        contacts = self.template_id._seen_by(
            self.filter_user_id or self.create_uid, self.env["res.partner"]
        )
        chosen = Domain(literal_eval(self.domain or "[]"))
        meant = self.env["coupon.handout"]._customers_domain()
        found = contacts.search(chosen & meant & domain, order="id")
        return self.template_id._allowed(self.env["res.partner"].browse(found.ids))

    def _is_for(self, partner):
        """Whether a customer, maybe nobody, is one whom the campaign is for."""
        self.ensure_one()
        if not partner:
            return self.template_id.audience == "all" and not literal_eval(
                self.domain or "[]"
            )
        return bool(self._customers(Domain("id", "=", partner.id)))

    def _festival_day(self):
        """Return on which day the coupons of the next festival are handed out."""
        self.ensure_one()
        if self.trigger != "festival" or not self.festival:
            return False
        today = self._today()
        ahead = timedelta(days=self.days or 0)
        days = (
            lunar.festival(self.festival, year) - ahead
            for year in (today.year, today.year + 1, today.year + 2)
        )
        return next((found for found in days if found >= today), False)

    # === WHAT IS DUE === #

    def _due(self, day):
        """Yield what there is to hand out on a day.

        :param date day: in the company's zone
        :return: pairs of the customers' occasion and the customers
        :rtype: Iterator[tuple[str, Domain]]
        """
        self.ensure_one()
        # The others hand out when somebody buys, claims or presses a button.
        due = getattr(self, f"_due_{self.trigger}", None)
        if due:
            yield from due(day)

    def _due_start(self, day):
        if day == self.date_from:
            yield "once", Domain.TRUE

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
                 WHERE state IN ('paid', 'done') AND amount_total > 0
             UNION ALL
                SELECT partner_id, date_order, company_id FROM sale_order
                 WHERE state = 'sale'
            )
            SELECT partner_id
              FROM bought
             WHERE date_order >= %(first)s
               AND company_id = ANY(%(companies)s)
               AND partner_id IS NOT NULL
             GROUP BY partner_id
            HAVING max(date_order) < %(last)s
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
        # Who got nothing of a hand-out that was cancelled gets it now.
        made = [
            ("campaign_id", "=", self.id),
            ("occasion", "=", occasion),
            ("state", "!=", "cancelled"),
        ]
        if not partners or handouts_sudo.search_count(made, limit=1):
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

    # === EVERY HOUR === #

    @api.model
    def _cron_run(self):
        """Hand out what is due today, and on the days that were missed."""
        campaigns = self.search([("state", "=", "running")], order="id")
        cron = self.env["ir.cron"]
        cron._commit_progress(remaining=len(campaigns))
        for campaign in campaigns:
            campaign._run()
            if not cron._commit_progress(1):
                break

    def _run(self):
        """Hand out what is due; a problem is written on the campaign."""
        self.ensure_one()
        # sudo: what the buttons must not write.
        campaign_sudo = self.sudo()
        try:
            with self.env.cr.savepoint():
                campaign_sudo._run_days()
        except OperationalError:
            raise
        except UserError as error:
            # The next days make up for it.
            campaign_sudo.problem = str(error)[:500]
        except Exception:
            # E.g. a filter by a field that is no more; the other campaigns go on.
            _logger.exception("Campaign %s", self.id)
            campaign_sudo.problem = self.env._(
                "It did not work. Choose the filter of customers anew; the "
                "administrator finds more in the log."
            )

    def _run_days(self):
        """Hand out what is due, day by day until today."""
        today = self._today()
        first = (self.last_day or today - timedelta(days=1)) + timedelta(days=1)
        day = max(first, today - timedelta(days=CATCH_UP - 1))
        if first < day:
            self._log_missed(first, day - timedelta(days=1))
        while day <= today:
            # Who was new on the last day gets the coupon on the next one.
            happened = day - timedelta(days=self.trigger == "new_customer")
            if self._covers(happened):
                self._run_day(day)
            day += timedelta(days=1)
        values = {"last_day": max(today, self.last_day or today), "problem": False}
        if self.date_to and self.date_to < today:
            values["state"] = "ended"
        self.write(values)

    def _log_missed(self, first, last):
        """Say which days were not made up for."""
        self._message_log(
            body=self.env._(
                "Nothing was handed out for the days from %(first)s to %(last)s: the "
                "server or its scheduled action did not run for too long. Make a "
                "hand-out for the customers of these days.",
                first=format_date(self.env, first),
                last=format_date(self.env, last),
            )
        )

    def _run_day(self, day):
        for occasion, domain in self._due(day):
            partners = self._customers(domain)
            if partners:
                self._check_ready()
                self._hand_out(f"{occasion}@{day}", partners)


class CouponIssue(models.Model):
    _inherit = "coupon.issue"

    campaign_id = fields.Many2one(
        "coupon.campaign",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    occasion = fields.Char(readonly=True)

    _occasion_uniq = models.UniqueIndex(
        "(campaign_id, partner_id, occasion) WHERE campaign_id IS NOT NULL "
        "AND partner_id IS NOT NULL",
        "One coupon for each customer and occasion.",
    )

    @api.model
    def _plan_columns(self):
        """Extended: the campaign, and what it gives a customer one coupon for."""
        return {**super()._plan_columns(), "campaign_id": "int", "occasion": "varchar"}


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    campaign_ids = fields.One2many("coupon.campaign", "template_id")

    def _claim_campaign(self):
        """Return the campaign that hands the coupon out by its link today.

        :return: ``coupon.campaign`` record with sudo, empty if none has been started
        :raises UserError: with a sentence for the customer, if all are over
        """
        self.ensure_one()
        # sudo: customers take part in campaigns that they do not read.
        template_sudo = self.sudo().with_context(active_test=False)
        started_sudo = template_sudo.campaign_ids.filtered(
            lambda one: one.trigger == "claim" and one.state != "draft"
        ).sorted("id")
        on_sudo = started_sudo.filtered(lambda one: one.active and one._is_on())
        if started_sudo and not on_sudo:
            # Whom the campaign was not for does not get it afterwards, either.
            raise UserError(self.env._("This offer is over."))
        return on_sudo[:1]
