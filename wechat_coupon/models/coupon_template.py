from datetime import datetime, time, timedelta

import pytz

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen

from .. import const
from ..tools import codes
from ..tools.ledger import as_ledger, is_ledger

_TRANSITIONS: dict[str, tuple[str, ...]] = {
    "draft": ("review", "live"),
    "review": ("draft", "live", "ended"),
    "live": ("review", "paused", "ended"),
    "paused": ("live", "ended"),
    "ended": (),
}
# Fields that say what a coupon is worth: never changed once somebody may hold one.
_TERMS = {
    "account_id",
    "amount",
    "amount_fen",
    "channel",
    "company_id",
    "coupon_type",
    "date_from",
    "date_to",
    "date_type",
    "attribute",
    "brand_no",
    "code_mode",
    "no_cash",
    "bundle_count",
    "bundle_interval",
    "day_limit",
    "exchange_fen",
    "exchange_price",
    "gift_product_id",
    "gift_qty",
    "max_discount",
    "max_discount_fen",
    "merchant_id",
    "percent_off",
    "period_ids",
    "product_category_id",
    "product_ids",
    "product_tag_id",
    "return_policy",
    "stacking",
    "stacking_group_id",
    "term_begin_days",
    "term_days",
    "term_latest",
    "threshold",
    "threshold_fen",
    "use_limit",
    "use_limit_day",
}
# What WeChat was told with the card and shows to customers; changing it here only would
# tell the marketer something that is not so.
_PUBLISHED = {
    "brand_name",
    "can_give_friend",
    "can_share",
    "code_type",
    "color",
    "cover",
    "description",
    "get_limit",
    "gift_text",
    "goods_text",
    "logo",
    "logo_url",
    "notice",
    "own_codes",
    "service_phone",
    "stock",
    "title",
}
# What our own code writes and nobody else: ``readonly=True`` hides a field in views,
# it does not keep it from RPC.
_GUARDED = {
    "audience_user_id",
    "claim_url",
    "claim_url_until",
    "custom_code",
    # Computed, but a column: whoever clears it would open the hours.
    "has_hours",
    "limits_confirmed",
    "logo_changed",
    "needs_benefit",
    "needs_setup",
    "ordered_at",
    "paused_there",
    "product_coupon_no",
    "product_pictures",
    "program_id",
    "remote_event_at",
    "remote_id",
    "remote_limits",
    "remote_status",
    "remote_stock",
    "remote_synced_at",
    "remote_type",
    "replacement_template_id",
    "state",
    "state_reason",
}
_PROGRAM_FIELDS = _TERMS | {
    "active",
    "limits_confirmed",
    "name",
    "pos_config_ids",
    "remote_limits",
    "state",
}
# What a person may fill in on a pulled template: what WeChat says in words only.
_BENEFIT = {
    "amount",
    "amount_fen",
    "coupon_type",
    "exchange_fen",
    "exchange_price",
    "gift_product_id",
    "gift_qty",
    "max_discount",
    "max_discount_fen",
    "percent_off",
}
# What WeChat leaves to the shop to keep to.
_SCOPE = {
    "day_limit",
    "period_ids",
    "product_category_id",
    "product_ids",
    "product_tag_id",
    "stacking",
    "stacking_group_id",
    "use_limit",
    "use_limit_day",
}
# Ten million yuan: more is a slip, and does not fit where changes are tracked.
_MAX_FEN = 10**9
_ABSURD = 10**12
_MAX_DAYS = 3650
_GENERATE_CHUNK = 5000


class CouponTemplate(models.Model):
    _name = "coupon.template"
    _description = "Coupon Template"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _check_company_auto = True
    # A coupon of a company is good at its branches.
    _check_company_domain = models.check_company_domain_parent_of

    # One name in all languages: it is what the receipt shows, like the phone's texts.
    name = fields.Char(required=True, tracking=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    channel = fields.Selection(
        selection=[
            ("local", "Our own coupons"),
            ("card", "WeChat card (卡券)"),
            ("busifavor", "WeChat Pay merchant coupon (商家券)"),
            ("product_coupon", "Product coupon (商品券)"),
            ("favor", "WeChat Pay cash coupon (代金券)"),
        ],
        required=True,
        default="local",
        tracking=True,
        help="Where customers get this coupon and who keeps it.",
    )
    account_id = fields.Many2one(
        "wechat.account",
        string="WeChat Account",
        ondelete="restrict",
        index="btree_not_null",
        check_company=True,
    )
    remote_id = fields.Char(
        string="Card ID", readonly=True, copy=False, index="btree_not_null"
    )
    remote_status = fields.Char(string="Status at WeChat", readonly=True, copy=False)
    remote_type = fields.Char(string="Card Type", readonly=True, copy=False)
    custom_code = fields.Boolean(string="Codes of Our Own", readonly=True, copy=False)
    remote_event_at = fields.Datetime(readonly=True, copy=False)
    remote_synced_at = fields.Datetime(
        string="Last Compared", readonly=True, copy=False
    )
    state = fields.Selection(
        selection=[
            ("draft", "Draft"),
            ("review", "In review"),
            ("live", "Live"),
            ("paused", "Paused"),
            ("ended", "Ended"),
        ],
        required=True,
        readonly=True,
        default="draft",
        copy=False,
        tracking=True,
    )
    state_reason = fields.Char(
        string="What Happened",
        readonly=True,
        copy=False,
        tracking=True,
        help="Why WeChat's review refused the coupon, or what has to be set up.",
    )
    program_id = fields.Many2one(
        "loyalty.program",
        string="Loyalty Program",
        readonly=True,
        copy=False,
        ondelete="restrict",
        help="Odoo's own program; it computes what the coupon is worth.",
    )

    # What it is worth
    coupon_type = fields.Selection(
        selection=[
            ("amount", "Amount off (代金券)"),
            ("percent", "Percent off (折扣券)"),
            ("gift", "Free product (礼品券)"),
            ("exchange", "Product at a fixed price (兑换券)"),
        ],
        required=True,
        default="amount",
        tracking=True,
    )
    amount_fen = Fen(string="Amount (fen)", tracking=True)
    amount = fields.Monetary(
        string="Amount Off", compute="_compute_amount", inverse="_inverse_amount"
    )
    percent_off = fields.Integer(
        tracking=True,
        help="30 means that the customer pays 70 percent (七折).",
    )
    max_discount_fen = Fen(string="Maximum Discount (fen)", tracking=True)
    max_discount = fields.Monetary(
        string="Maximum Discount",
        compute="_compute_max_discount",
        inverse="_inverse_max_discount",
        help="The largest discount of a percent coupon; 0 for no limit.",
    )
    threshold_fen = Fen(string="Threshold (fen)", tracking=True)
    threshold = fields.Monetary(
        string="From a Purchase of",
        compute="_compute_threshold",
        inverse="_inverse_threshold",
        help="Goods of at least this amount, taxes included and before this "
        "coupon's discount, have to be on the order; 0 for no threshold.",
    )
    # What is deleted would leave the coupon good for everything, everywhere.
    gift_product_id = fields.Many2one(
        "product.product",
        string="Product to Give",
        ondelete="restrict",
        domain="[('type', '!=', 'combo'), ('sale_ok', '=', True)]",
        check_company=True,
        tracking=True,
    )
    gift_qty = fields.Integer(string="Quantity", default=1)
    product_ids = fields.Many2many(
        "product.product", string="Products", check_company=True, ondelete="restrict"
    )
    product_category_id = fields.Many2one(
        "product.category", string="Category", ondelete="restrict"
    )
    product_tag_id = fields.Many2one("product.tag", ondelete="restrict")
    needs_setup = fields.Boolean(compute="_compute_needs_setup", store=True)
    needs_benefit = fields.Boolean(compute="_compute_needs_setup", store=True)
    remote_limits = fields.Json(readonly=True, copy=False)
    remote_limits_text = fields.Text(
        string="Limits at WeChat",
        compute="_compute_remote_limits_text",
        help="What WeChat tells customers besides, and leaves to the shop to keep to.",
    )
    limits_confirmed = fields.Boolean(
        string="Limits Are Seen To", readonly=True, copy=False, tracking=True
    )
    pos_config_ids = fields.Many2many(
        "pos.config",
        string="Shops",
        ondelete="restrict",
        domain="[('company_id', 'child_of', company_id)]",
        help="Where the coupon can be used; empty for every shop of the company and "
        "of its branches.",
    )

    # When it is valid
    date_type = fields.Selection(
        selection=[
            ("range", "Between two dates"),
            ("term", "Some days after receipt"),
        ],
        required=True,
        default="range",
    )
    date_from = fields.Date(
        string="Valid From", default=lambda self: fields.Date.context_today(self)
    )
    date_to = fields.Date(
        string="Valid Until",
        default=lambda self: fields.Date.context_today(self) + timedelta(days=30),
    )
    term_begin_days = fields.Integer(
        string="Starts After (days)", help="0: valid from the day of receipt."
    )
    term_days = fields.Integer(string="Valid For (days)", default=30)
    term_latest = fields.Date(string="But Not After")

    # What the customer's phone shows
    title = fields.Char(help="The large line on the phone; 9 Chinese characters.")
    brand_name = fields.Char(help="12 Chinese characters.")
    notice = fields.Char(
        string="Hint", help="Shown under the code, e.g. “Show this to the cashier”."
    )
    description = fields.Text(string="Conditions")
    gift_text = fields.Text(string="What It Gives")
    color = fields.Selection(
        selection=[(name, name) for name in const.CARD_COLORS],
        string="Card Colour",
        default="Color010",
    )
    color_hex = fields.Char(compute="_compute_color_hex")
    logo = fields.Image(max_width=300, max_height=300)
    logo_url = fields.Char(
        string="Logo at WeChat",
        readonly=True,
        copy=False,
        help="An address that WeChat gave out for the picture.",
    )
    code_type = fields.Selection(
        selection=[
            ("CODE_TYPE_QRCODE", "QR code"),
            ("CODE_TYPE_BARCODE", "Barcode"),
            ("CODE_TYPE_TEXT", "Digits only"),
        ],
        string="Code Shown As",
        default="CODE_TYPE_QRCODE",
    )
    service_phone = fields.Char()
    stock = fields.Integer(string="Pieces", default=1000)
    remote_stock = fields.Integer(string="Pieces Left", readonly=True, copy=False)
    get_limit = fields.Integer(
        string="Per Customer",
        default=1,
        help="How many a customer can take by link or at WeChat. Hand-outs and "
        "campaigns give one more to each whom they are for.",
    )
    can_give_friend = fields.Boolean(string="May Be Given to a Friend", default=True)
    can_share = fields.Boolean(string="May Be Shared", default=True)

    task_state = fields.Selection(
        selection=lambda self: (
            self.env["coupon.task"]
            ._fields["remote_state"]
            ._description_selection(self.env)
        ),
        string="Last Order to WeChat",
        compute="_compute_task",
    )
    task_error = fields.Char(compute="_compute_task")

    coupon_count = fields.Integer(compute="_compute_counts")
    redemption_count = fields.Integer(compute="_compute_counts")

    _remote_id_unique = models.UniqueIndex(
        "(account_id, remote_id) WHERE remote_id IS NOT NULL AND merchant_id IS NULL",
        "This WeChat card already has a template.",
    )
    _stock_id_unique = models.UniqueIndex(
        "(merchant_id, channel, remote_id) "
        "WHERE remote_id IS NOT NULL AND merchant_id IS NOT NULL",
        "This stock of WeChat Pay already has a template.",
    )
    _program_unique = models.UniqueIndex(
        "(program_id) WHERE program_id IS NOT NULL",
        "A loyalty program belongs to one coupon template.",
    )
    _amounts_positive = models.Constraint(
        "CHECK (amount_fen >= 0 AND max_discount_fen >= 0 AND threshold_fen >= 0)",
        "Amounts cannot be negative.",
    )

    # === COMPUTE METHODS === #

    @api.depends("amount_fen")
    def _compute_amount(self):
        for template in self:
            template.amount = money.from_fen(template.amount_fen)

    def _inverse_amount(self):
        for template in self:
            template.amount_fen = _to_fen(template.amount)

    @api.depends("max_discount_fen")
    def _compute_max_discount(self):
        for template in self:
            template.max_discount = money.from_fen(template.max_discount_fen)

    def _inverse_max_discount(self):
        for template in self:
            template.max_discount_fen = _to_fen(template.max_discount)

    @api.depends("threshold_fen")
    def _compute_threshold(self):
        for template in self:
            template.threshold = money.from_fen(template.threshold_fen)

    def _inverse_threshold(self):
        for template in self:
            template.threshold_fen = _to_fen(template.threshold)

    @api.depends("coupon_type", "gift_product_id", "remote_limits", "limits_confirmed")
    def _compute_needs_setup(self):
        for template in self:
            # In a form: as it was opened, or what is being filled in would become
            # read-only while somebody does so.
            source = template._origin or template
            template.needs_benefit = (
                source.coupon_type in const.PRODUCT_TYPES and not source.gift_product_id
            )
            template.needs_setup = template.needs_benefit or bool(
                source.remote_limits and not source.limits_confirmed
            )

    @api.depends("remote_limits")
    @api.depends_context("lang")
    def _compute_remote_limits_text(self):
        for template in self:
            limits = template.remote_limits
            channel = template._channel() if limits else None
            template.remote_limits_text = limits and channel._limits_text(limits)

    @api.depends("color")
    def _compute_color_hex(self):
        for template in self:
            template.color_hex = const.CARD_COLORS.get(template.color)

    def _compute_task(self):
        # sudo: tasks are technical; their outcome concerns whoever reads this.
        tasks_sudo = self.env["coupon.task"].sudo()
        groups = tasks_sudo._read_group(
            [
                ("template_id", "in", self.ids),
                ("kind", "in", const.TEMPLATE_TASKS),
            ],
            ["template_id"],
            ["id:max"],
        )
        lasts_sudo = tasks_sudo.browse([last_id for _template, last_id in groups])
        by_template = {task.template_id.id: task for task in lasts_sudo}
        for template in self:
            last_sudo = by_template.get(template._origin.id, tasks_sudo)
            template.task_state = last_sudo.remote_state
            template.task_error = last_sudo.remote_error

    def _compute_counts(self):
        coupons = dict(
            self.env["loyalty.card"]._read_group(
                [("coupon_template_id", "in", self.ids)],
                ["coupon_template_id"],
                ["__count"],
            )
        )
        redemptions = dict(
            self.env["coupon.redemption"]._read_group(
                [("template_id", "in", self.ids), ("state", "=", "redeemed")],
                ["template_id"],
                ["__count"],
            )
        )
        for template in self:
            template.coupon_count = coupons.get(template, 0)
            template.redemption_count = redemptions.get(template, 0)

    # === CONSTRAINTS AND ONCHANGE METHODS === #

    @api.constrains("amount_fen", "max_discount_fen", "threshold_fen")
    def _check_most(self):
        for template in self:
            template._check_amount_range(
                template.amount_fen, template.threshold_fen, template.max_discount_fen
            )

    def _check_amount_range(self, *amounts):
        if max(amounts) > _MAX_FEN:
            raise ValidationError(
                self.env._(
                    "Amounts go up to ¥%(most)s.", most=money.format_fen(_MAX_FEN)
                )
            )

    @api.model
    def _fen_of(self, amount):
        """Return what somebody has typed as fen; what is absurd is too much."""
        return _to_fen(amount)

    @api.constrains("coupon_type", "amount", "amount_fen")
    def _check_amount(self):
        for template in self:
            # Until there is a program, the inverse of the amount has yet to come;
            # `create` checks once more.
            if (
                template.program_id
                and template.coupon_type == "amount"
                and template.amount_fen <= 0
            ):
                template._refuse_amount()

    def _refuse_amount(self):
        raise ValidationError(self.env._("Enter the amount that the coupon takes off."))

    @api.constrains("coupon_type", "percent_off")
    def _check_percent(self):
        for template in self:
            if template.coupon_type == "percent" and not (
                0 < template.percent_off < 100
            ):
                raise ValidationError(
                    self.env._("“Percent Off” is a number from 1 to 99.")
                )

    @api.constrains("date_type", "date_from", "date_to", "term_days", "term_begin_days")
    def _check_dates(self):
        for template in self:
            if template.date_type == "range":
                if not template.date_from or not template.date_to:
                    raise ValidationError(
                        self.env._("Enter from when until when the coupon is valid.")
                    )
                if template.date_to < template.date_from:
                    raise ValidationError(
                        self.env._("The coupon ends before it begins.")
                    )
            elif template.term_days <= 0 or template.term_begin_days < 0:
                raise ValidationError(
                    self.env._("Enter for how many days the coupon is valid.")
                )
            elif max(template.term_days, template.term_begin_days) > _MAX_DAYS:
                raise ValidationError(
                    self.env._(
                        "A coupon starts and lasts %(most)s days at most.",
                        most=_MAX_DAYS,
                    )
                )

    @api.constrains("channel", "account_id", "merchant_id", "company_id")
    def _check_account(self):
        for template in self:
            channel = template._channel()
            if channel._is_remote and not template.account_id:
                raise ValidationError(
                    self.env._("Choose the WeChat account that hands out the coupon.")
                )
            if channel._uses_merchant and not template.merchant_id:
                raise ValidationError(
                    self.env._("Choose the WeChat Pay merchant of the coupon.")
                )

    @api.constrains("company_id", "pos_config_ids")
    def _check_shops(self):
        for template in self:
            # sudo: a shop may be in a branch that the user does not see.
            for config_sudo in template.sudo().pos_config_ids:
                if template.company_id not in config_sudo.company_id.parent_ids:
                    raise ValidationError(
                        self.env._(
                            "“%(shop)s” is a shop of another company.",
                            shop=config_sudo.name,
                        )
                    )

    @api.constrains("active")
    def _check_archived(self):
        for template in self:
            if not template.active and template.state not in ("draft", "ended"):
                raise ValidationError(
                    self.env._("End the template before you archive it.")
                )

    @api.constrains("company_id")
    def _check_currency(self):
        for template in self:
            if template.company_id.currency_id.name != "CNY":
                raise ValidationError(
                    self.env._(
                        "Coupons are counted in yuan and fen, but %(company)s uses "
                        "%(currency)s. Choose a company whose currency is CNY.",
                        company=template.company_id.name,
                        currency=template.company_id.currency_id.name,
                    )
                )

    @api.onchange("name")
    def _onchange_name(self):
        if not self.title:
            self.title = self.name

    @api.onchange("channel")
    def _onchange_channel(self):
        if self._channel()._is_remote and not self.account_id:
            wizard = self.env["coupon.pull.wizard"].with_company(self.company_id)
            accounts = self.env["wechat.account"].search(wizard._account_domain())
            self.account_id = accounts if len(accounts) == 1 else False

    @api.onchange("company_id")
    def _onchange_company_id(self):
        self.brand_name = self.brand_name or self.company_id.name

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        if not is_ledger(self.env):
            for vals in vals_list:
                self._check_guarded(vals)
            # A default in the context is a value as well.
            defaults = {f"default_{name}": False for name in _GUARDED}
            defaults["default_state"] = "draft"
            self = self.with_context(
                **{key: defaults[key] for key in defaults if key in self.env.context}
            )
        templates = super().create(vals_list)
        for template in templates:
            if template.coupon_type == "amount" and template.amount_fen <= 0:
                template._refuse_amount()
            program = as_ledger(self.env["loyalty.program"]).create(
                template._program_values(new=True)
            )
            template._write_guarded({"program_id": program.id})
        return templates

    def write(self, vals):
        changed = _TERMS & vals.keys()
        if not is_ledger(self.env):
            self._check_guarded(vals)
        if changed or _PUBLISHED & vals.keys():
            self.check_access("write")
            self._check_terms_open(changed)
            self._check_published(_PUBLISHED & vals.keys())
        res = super().write(vals)
        if not is_ledger(self.env):
            self._tell_channel(_PUBLISHED & vals.keys())
        if "company_id" in vals:
            # Nobody moves a template to a company that is not theirs.
            self.check_access("write")
        if _PROGRAM_FIELDS & vals.keys():
            self._sync_program(terms=bool(changed))
        return res

    def _check_guarded(self, vals):
        """Refuse values that only our own code writes.

        :param dict vals: as they came to ``create`` or ``write``
        :raises AccessError: if one of them is guarded
        """
        if guarded := _GUARDED & vals.keys():
            raise AccessError(
                self.env._(
                    "These fields of a coupon template cannot be written: %(fields)s. "
                    "Use the buttons of the template.",
                    fields=", ".join(sorted(guarded)),
                )
            )
        if vals.get("logo_url") and not const.LOGO_URL.fullmatch(vals["logo_url"]):
            raise ValidationError(
                self.env._(
                    "“Logo at WeChat” has to be an address that WeChat gave out. "
                    "Upload the picture instead."
                )
            )

    def _write_guarded(self, vals):
        """Write what :meth:`_check_guarded` keeps from everybody else.

        The caller has checked the user's rights; changes are tracked as usual.
        """
        silent = self.env.context.get("tracking_disable", False)
        as_ledger(self).with_context(tracking_disable=silent).write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_draft(self):
        for template in self:
            template._check_not_under_way()
            if template.state != "draft" or template._has_coupons():
                raise UserError(
                    self.env._(
                        "“%(template)s” was handed out or published. End it and "
                        "archive it instead.",
                        template=template.name,
                    )
                )

    def unlink(self):
        programs = as_ledger(self.program_id).filtered("wechat_guarded")
        res = super().unlink()
        programs.write({"active": False})
        programs.unlink()
        return res

    def copy_data(self, default=None):
        vals_list = super().copy_data(default)
        for template, vals in zip(self, vals_list, strict=True):
            if "name" not in (default or {}):
                vals["name"] = self.env._("%(name)s (copy)", name=template.name)
        return vals_list

    # === ACTION METHODS === #

    def action_publish(self):
        """Publish draft templates on their channel."""
        self._check_manager()
        self.check_access("write")
        for template in self:
            template._check_publishable()
            template._channel()._check_publish(template)
            if not template._channel()._is_remote:
                template._set_state("live")
                continue
            template._write_guarded({"state_reason": False})
            first = template._channel()._first_step
            self.env["coupon.task"]._start(first, template)
        return self._notify(
            self.env._("Published.")
            if all(template.state == "live" for template in self)
            else self.env._(
                "The coupon is on its way to WeChat. Its state here follows as soon "
                "as WeChat answers."
            )
        )

    def action_look_again(self):
        """Show what has become of the template meanwhile."""
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_pause(self):
        """Stop coupons at once: they are not accepted, nor made here."""
        self._check_manager()
        self.check_access("write")
        for template in self:
            if template.state != "live":
                raise UserError(
                    self.env._("“%(template)s” is not live.", template=template.name)
                )
            template._set_state("paused")
        return True

    def action_resume(self):
        """Let paused coupons be used again."""
        self._check_manager()
        self.check_access("write")
        for template in self:
            if template.state != "paused":
                raise UserError(
                    self.env._("“%(template)s” is not paused.", template=template.name)
                )
            template._set_state("live")
        return True

    def action_end(self):
        """Hand out no more coupons; those that customers hold stay good."""
        self._check_manager()
        self.check_access("write")
        for template in self:
            template._set_state("ended")
            if template._channel()._is_remote and template.remote_id:
                self.env["coupon.task"]._start("end", template)
        return True

    def action_refresh(self):
        """Compare the template with its channel."""
        self._check_manager()
        self.check_access("write")
        for template in self.filtered("remote_id"):
            template._channel()._refresh(template)
        return self._notify(self.env._("Compared with WeChat."))

    def action_confirm_limits(self):
        """Say that products, category and shops are set as WeChat's limits ask."""
        self._check_manager()
        self.check_access("write")
        for template in self.filtered("remote_limits"):
            template._write_guarded({"limits_confirmed": True})
        return True

    def action_view_coupons(self):
        """Open the coupons of the template."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.loyalty_card_action"
        )
        return {**action, "domain": [("coupon_template_id", "in", self.ids)]}

    def action_view_redemptions(self):
        """Open the redemptions of the template."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_redemption_action"
        )
        return {
            **action,
            "domain": [("template_id", "in", self.ids)],
            "context": {},
        }

    def action_view_program(self):
        """Open Odoo's program behind the template."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "loyalty.program",
            "view_mode": "form",
            "res_id": self.program_id.id,
        }

    # === BUSINESS METHODS - LIFE CYCLE === #

    def _channel(self):
        """Return the model of the template's channel."""
        self.ensure_one()
        return self.env[f"coupon.channel.{self.channel}"]

    @api.model
    def _channels(self):
        """Return the models of all channels, in the order of the selection."""
        names = self._fields["channel"].get_values(self.env)
        return [self.env[f"coupon.channel.{name}"] for name in names]

    @api.model
    def _check_manager(self):
        """Refuse users who may not manage coupons.

        :raises AccessError: if the user is not a coupon manager
        """
        if not self.env.su and not self.env.user.has_group(
            "wechat_coupon.coupon_group_manager"
        ):
            raise AccessError(
                self.env._("Only a coupon manager may do this. Ask one to do it.")
            )

    def _check_terms_open(self, names):
        """Refuse new terms for templates that customers may know.

        What a pulled template lacks may be filled in.

        :param set names: fields about to change
        """
        if is_ledger(self.env) or not names:
            return
        for template in self:
            template._check_not_under_way()
            open_draft = template.state == "draft" and not template._has_coupons()
            if open_draft and not template.remote_id:
                continue
            # Nobody could use a coupon that needs to be set up.
            if names <= template._setup_fields():
                continue
            if open_draft and not names & {"channel", "account_id", "company_id"}:
                continue
            raise UserError(
                self.env._(
                    "“%(template)s” is published: what it is worth and when it is "
                    "valid can no longer be changed. Copy it instead.",
                    template=template.name,
                )
            )

    def _check_not_under_way(self):
        """Refuse to change what is being made at WeChat at this moment.

        :raises UserError: as long as the outcome is not known
        """
        if self.state == "draft" and self.task_state in (
            "pending",
            "sending",
            "unknown",
        ):
            raise UserError(
                self.env._("The coupon is already on its way to WeChat. Please wait.")
            )

    def _setup_fields(self):
        """Return the terms that still have to be set up."""
        self.ensure_one()
        names = set(_BENEFIT) if self.needs_benefit else set()
        return names | _SCOPE if self.needs_setup else names

    def _check_published(self, names):
        """Refuse changes of what WeChat shows, and would not change.

        :param set names: fields about to change
        """
        if is_ledger(self.env) or not names:
            return
        for template in self:
            fixed = names - template._channel()._updatable
            if fixed and template._channel()._is_remote and template.state != "draft":
                raise UserError(
                    self.env._(
                        "“%(template)s” is published: WeChat does not let these be "
                        "changed: %(fields)s.",
                        template=template.name,
                        fields=", ".join(
                            template._fields[name]._description_string(self.env)
                            for name in sorted(fixed)
                        ),
                    )
                )

    def _tell_channel(self, names):
        """Have the channel take over what has changed on published templates.

        :param set names: fields that have changed
        """
        for template in self.filtered(lambda one: one.remote_id and names):
            if template.state == "ended":
                continue
            if names - {"stock"}:
                if "logo" in names:
                    template._write_guarded({"logo_changed": bool(template.logo)})
                template._channel()._check_texts(template)
                self.env["coupon.task"]._start_once("update", template)
            if "stock" in names:
                template._channel()._check_stock(template)
                self.env["coupon.task"]._start_once("stock", template)

    def _has_coupons(self):
        """Whether somebody may hold a coupon of the template."""
        self.ensure_one()
        # sudo: also those that the user does not see.
        cards = self.env["loyalty.card"].sudo().with_context(active_test=False)
        return bool(cards.search_count([("coupon_template_id", "=", self.id)], limit=1))

    def _check_publishable(self):
        self.ensure_one()
        if self.state != "draft":
            raise UserError(
                self.env._("“%(template)s” is published already.", template=self.name)
            )
        if self.needs_benefit:
            raise UserError(
                self.env._("Choose the product before you publish the coupon.")
            )
        if self.task_state in ("pending", "sending", "unknown"):
            raise UserError(
                self.env._("The coupon is already on its way to WeChat. Please wait.")
            )
        last = self.date_to if self.date_type == "range" else self.term_latest
        if last and self._end_of_day(last) < fields.Datetime.now():
            raise UserError(
                self.env._(
                    "This coupon's last day is over. Choose a later one before you "
                    "publish it."
                )
            )

    def _set_state(self, state, vals=None):
        """Move the template to another state.

        A move to the same state changes nothing, so that a replayed event is
        harmless.

        :param str state: new state
        :param dict vals: further values to write
        :raises UserError: if the state cannot follow the present one
        """
        self.ensure_one()
        vals = {key: value for key, value in (vals or {}).items() if key != "state"}
        if state != self.state:
            if state not in _TRANSITIONS[self.state]:
                labels = dict(self._fields["state"]._description_selection(self.env))
                raise UserError(
                    self.env._(
                        "“%(template)s” cannot go from “%(old)s” to “%(new)s”.",
                        template=self.name,
                        old=labels[self.state],
                        new=labels[state],
                    )
                )
            vals["state"] = state
        if vals:
            self._write_guarded(vals)

    # === BUSINESS METHODS - PROGRAM === #

    def _program_active(self):
        self.ensure_one()
        return (
            self.active
            and self.state in ("live", "ended", "review")
            and not self.needs_setup
        )

    def _program_values(self, new=False):
        """Return the values of the loyalty program that stands for the template.

        :param bool new: whether the program is about to be created
        """
        self.ensure_one()
        values = {
            "name": self.name,
            "pos_config_ids": [Command.set(self._all_ids("pos_config_ids"))],
            "company_id": self.company_id.id,
            "currency_id": self.currency_id.id,
        }
        if new:
            values.update(
                {
                    "active": self._program_active(),
                    "program_type": "coupons",
                    "applies_on": "current",
                    "trigger": "with_code",
                    "wechat_needs_payment": self._channel()._needs_wechat_payment,
                    "portal_visible": False,
                    "pos_ok": True,
                    "sale_ok": True,
                    "wechat_guarded": True,
                    "communication_plan_ids": [Command.clear()],
                    **self._program_terms(),
                }
            )
        return values

    def _program_terms(self):
        """Return the rule and the reward of the program, in the currency.

        Those that the program has are changed, not replaced: Odoo makes a product
        for each reward, and leaves it behind when the reward goes.
        """
        self.ensure_one()
        program = self.program_id.with_context(active_test=False)
        scoped = bool(
            self._all_ids("product_ids")
            or self.product_category_id
            or self.product_tag_id
        )
        rule = self._rule_values() if self.threshold_fen or scoped else None
        return {
            "rule_ids": _one_of(program.rule_ids, rule),
            "reward_ids": _one_of(program.reward_ids, self._reward_values(scoped)),
        }

    def _all_ids(self, name):
        """Return what a list of the template holds, whoever asks.

        Without a shop or product that the user does not see, or that was archived,
        the coupon would be good where it is not meant to be.

        :param str name: a many2many field
        :rtype: list[int]
        """
        self.ensure_one()
        # What was read before may be what some user sees.
        self.invalidate_recordset([name])
        # sudo: see above; none of them is shown.
        found = self.sudo().with_context(active_test=False)[name].ids
        # The user goes on seeing his own.
        self.invalidate_recordset([name])
        return found

    def _rule_values(self):
        self.ensure_one()
        return {
            "product_ids": [Command.set(self._all_ids("product_ids"))],
            "product_category_id": self.product_category_id.id,
            "product_tag_id": self.product_tag_id.id,
            # 0 and not 1: half a kilogram is also a purchase.
            "minimum_qty": 0,
            "minimum_amount": money.from_fen(self.threshold_fen),
            "minimum_amount_tax_mode": "incl",
            "reward_point_mode": "order",
        }

    def _reward_values(self, scoped):
        self.ensure_one()
        values = {
            # The order line and the receipt show it.
            "description": self.name,
            "required_points": 1,
        }
        if self.coupon_type == "gift":
            return {
                **values,
                "reward_type": "product",
                "reward_product_id": self.gift_product_id.id,
                "reward_product_qty": max(self.gift_qty, 1),
            }
        percent = self.coupon_type == "percent"
        return {
            **values,
            "reward_type": "discount",
            "discount_mode": "percent" if percent else "per_order",
            "discount": self.percent_off
            if percent
            else money.from_fen(self.amount_fen),
            "discount_max_amount": money.from_fen(self.max_discount_fen)
            if percent
            else 0,
            "discount_applicability": "specific" if scoped else "order",
            "discount_product_ids": [Command.set(self._all_ids("product_ids"))],
            "discount_product_category_id": self.product_category_id.id,
            "discount_product_tag_id": self.product_tag_id.id,
        }

    def _sync_program(self, terms=False):
        """Bring the loyalty programs in line with their templates.

        :param bool terms: whether what the coupon is worth has changed
        """
        for template in self.filtered("program_id"):
            program = as_ledger(template.program_id.with_context(active_test=False))
            # The lists are compared with what there is, not with what somebody sees.
            program.invalidate_recordset(["pos_config_ids"])
            values = template._program_values()
            if terms:
                values.update(template._program_terms())
            else:
                del values["company_id"], values["currency_id"]
            if program.active != template._program_active():
                values["active"] = template._program_active()
            program.write(values)
            template._sync_name()

    def _sync_name(self):
        """Let the program and its reward have the template's name in any language."""
        self.ensure_one()
        program = as_ledger(self.program_id.with_context(active_test=False))
        for lang, _label in self.env["res.lang"].get_installed():
            spoken = program.with_context(lang=lang)
            if spoken.name != self.name:
                spoken.name = self.name
            rewards = spoken.reward_ids.filtered(
                lambda reward: reward.description != self.name
            )
            if rewards:
                rewards.description = self.name

    # === BUSINESS METHODS - VALIDITY AND CODES === #

    def _validity(self, received_at=None):
        """Return from when until when a coupon received now is valid.

        :param datetime received_at: UTC without zone; now by default
        :return: two UTC datetimes without zone
        """
        self.ensure_one()
        if self.date_type == "range":
            first, last = self.date_from, self.date_to
        else:
            received_at = received_at or fields.Datetime.now()
            today = self._to_local(received_at).date()
            first = today + timedelta(days=self.term_begin_days)
            last = first + timedelta(days=self.term_days - 1)
            if self.term_latest:
                last = min(last, self.term_latest)
        return self._begin_of_day(first), self._end_of_day(last)

    def _begin_of_day(self, day):
        return self._to_utc(datetime.combine(day, time.min))

    def _end_of_day(self, day):
        return self._to_utc(datetime.combine(day, time(23, 59, 59)))

    def _to_utc(self, local):
        zone = pytz.timezone(self._zone())
        return zone.localize(local).astimezone(pytz.utc).replace(tzinfo=None)

    def _to_local(self, moment):
        zone = pytz.timezone(self._zone())
        return pytz.utc.localize(moment).astimezone(zone).replace(tzinfo=None)

    def _zone(self):
        self.ensure_one()
        if self._channel()._is_remote:
            return const.WECHAT_TZ
        return self.company_id.partner_id.tz or const.WECHAT_TZ

    def _generate(self, count, partners=None):
        """Make coupons with new codes.

        :param int count: how many, when there are no partners
        :param partners: ``res.partner`` records that get one each
        :return: ``loyalty.card`` records
        """
        self.ensure_one()
        if not self._can_make_codes():
            raise UserError(
                self.env._(
                    "WeChat makes the codes of this coupon; customers get them "
                    "on their phones."
                )
            )
        if self.state != "live":
            raise UserError(self.env._("Publish the template before you hand it out."))
        owners = partners.ids if partners else [None] * count
        self._take_stock(len(owners))
        cards = self.env["loyalty.card"]
        begin, end = self._validity()
        while owners:
            chunk, rest = owners[:_GENERATE_CHUNK], owners[_GENERATE_CHUNK:]
            made = cards._wechat_insert(
                self,
                [
                    {
                        "code": codes.new_code(),
                        "partner_id": owner,
                        "wechat_valid_from": begin,
                        "wechat_valid_to": end,
                    }
                    for owner in chunk
                ],
                state="waiting" if self.own_codes else "usable",
            )
            self._codes_made(made)
            # A code that was taken already is made anew.
            taken = made.partner_id.ids if partners else []
            owners = [*_missing(chunk, len(made), taken), *rest]
            cards |= made
        return cards

    # === BUSINESS METHODS - WECHAT === #

    def _follow_remote(self, state):
        """Take over the state that the channel has, where ours allows it.

        :param str state: a value of ``state``
        """
        self.ensure_one()
        if state != self.state and state in _TRANSITIONS[self.state]:
            if self.state == "live" and state == "review":
                # A changed text is in review; the coupons themselves stay good.
                return
            self._set_state(state)

    def _notify(self, message, kind="success", sticky=False):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": kind,
                "message": message,
                "sticky": sticky,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }


def _to_fen(amount):
    """Return an amount as fen; what is absurd becomes more than is allowed."""
    return money.to_fen(amount if -_ABSURD < amount < _ABSURD else _ABSURD)


def _one_of(records, values):
    """Return the commands that leave one record with ``values``, or none."""
    if values is None:
        return [Command.delete(record.id) for record in records]
    if not records:
        return [Command.create(values)]
    return [
        Command.update(records[0].id, values),
        *(Command.delete(record.id) for record in records[1:]),
    ]


def _missing(chunk, made, taken):
    if made == len(chunk):
        return []
    if taken:
        return [owner for owner in chunk if owner not in set(taken)]
    return chunk[made:]
