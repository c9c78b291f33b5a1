from odoo import Command, api, fields, models
from odoo.exceptions import ValidationError

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen

_MAX_USES = 1000
# A free place of the day is looked for among so many.
_MAX_DAY = 100_000
# Odoo wants a discount to be more than nothing.
_LEAST_FEN = 1


class CouponTemplate(models.Model):
    """Terms beyond what a coupon is worth: an exchange, hours, limits, stacking."""

    _inherit = "coupon.template"

    exchange_fen = Fen(string="Fixed Price (fen)", tracking=True)
    exchange_price = fields.Monetary(
        string="Fixed Price",
        compute="_compute_exchange_price",
        inverse="_inverse_exchange_price",
        help="What the customer pays for one piece of the product, taxes included; "
        "0 for nothing. The till takes off the rest of its price, whatever that is "
        "on the day.",
    )

    benefit = fields.Char(
        compute="_compute_benefit", help="What the coupon gives, in a few words."
    )

    percent_pays = fields.Char(
        string="Customer Pays",
        compute="_compute_percent_pays",
        help="What is left to pay, as it is written in shops: 9.5折 are 95 percent.",
    )

    # When it can be used
    period_ids = fields.One2many(
        "coupon.template.period",
        "template_id",
        string="Days and Hours",
        copy=True,
        help="When the coupon can be used; empty for any time.",
    )
    has_hours = fields.Boolean(compute="_compute_has_hours", store=True)

    # How often
    use_limit = fields.Integer(
        string="Uses per Customer",
        tracking=True,
        help="How many coupons of this kind one customer can use in all; 0 for any "
        "number.",
    )
    use_limit_day = fields.Integer(
        string="Uses per Customer and Day",
        tracking=True,
        help="How many coupons of this kind one customer can use on one day; 0 for "
        "any number.",
    )
    day_limit = fields.Integer(
        string="Uses per Day in All Shops",
        tracking=True,
        help="How many coupons of this kind all customers together can use on one "
        "day; 0 for any number.",
    )

    # Beside which others
    stacking = fields.Selection(
        selection=[
            ("free", "Yes, with any that allow it"),
            ("group", "Only with those of its group"),
            ("exclusive", "No, it is used alone"),
        ],
        string="With Other Coupons",
        required=True,
        default="free",
        tracking=True,
        help="Whether other coupons can be used on the same order.",
    )
    stacking_group_id = fields.Many2one(
        "coupon.stacking.group",
        string="Group",
        ondelete="restrict",
        index="btree_not_null",
        check_company=True,
        tracking=True,
    )

    # When goods come back, and in an emergency
    return_policy = fields.Selection(
        selection=[
            ("never", "Never"),
            ("full", "After a full refund"),
            ("any", "After any refund of its goods"),
        ],
        string="Customer Gets It Back",
        required=True,
        default="full",
        tracking=True,
        help="Whether the customer gets the coupon back when goods are given back.",
    )
    offline_policy = fields.Selection(
        selection=[
            ("refuse", "Refuse the coupon"),
            ("release", "A manager may release it"),
        ],
        string="When WeChat Is Down",
        required=True,
        default="refuse",
        tracking=True,
        help="What the till does when WeChat cannot be asked whether a coupon is good.",
    )
    offline_cap_fen = Fen(string="Release up to (fen)", tracking=True)
    offline_cap = fields.Monetary(
        string="Release up to",
        compute="_compute_offline_cap",
        inverse="_inverse_offline_cap",
        help="The discounts that a shop may give in this way in a day, in all.",
    )

    _terms_positive = models.Constraint(
        "CHECK (exchange_fen >= 0 AND offline_cap_fen >= 0)",
        "Amounts cannot be negative.",
    )

    # === COMPUTE METHODS === #

    @api.depends("exchange_fen")
    def _compute_exchange_price(self):
        for template in self:
            template.exchange_price = money.from_fen(template.exchange_fen)

    def _inverse_exchange_price(self):
        for template in self:
            template.exchange_fen = self._fen_of(template.exchange_price)

    @api.depends(
        "coupon_type",
        # Not those in fen: they follow when a form is saved.
        "amount",
        "percent_off",
        "gift_product_id",
        "gift_qty",
        "exchange_price",
        "threshold",
    )
    @api.depends_context("lang")
    def _compute_benefit(self):
        for template in self:
            benefit = template._benefit_text()
            if template.threshold:
                benefit = self.env._(
                    "%(benefit)s from ¥%(threshold)s",
                    benefit=benefit,
                    threshold=_short(template.threshold),
                )
            template.benefit = benefit

    @api.depends("percent_off")
    @api.depends_context("lang")
    def _compute_percent_pays(self):
        for template in self:
            pays = 100 - template.percent_off
            template.percent_pays = template.percent_off and self.env._(
                "the customer pays %(pays)s%% (%(fold)s折)",
                pays=pays,
                fold=f"{pays / 10:g}",
            )

    def _benefit_text(self):
        self.ensure_one()
        product = self.gift_product_id.display_name or "…"
        if self.coupon_type == "percent":
            return self.env._("%(percent)s%% off", percent=self.percent_off)
        if self.coupon_type == "gift":
            if self.gift_qty > 1:
                product = f"{product} × {self.gift_qty}"
            return self.env._("%(product)s free", product=product)
        if self.coupon_type == "exchange":
            return self.env._(
                "%(product)s for ¥%(price)s",
                product=product,
                price=_short(self.exchange_price),
            )
        return self.env._("¥%(amount)s off", amount=_short(self.amount))

    @api.depends("offline_cap_fen")
    def _compute_offline_cap(self):
        for template in self:
            template.offline_cap = money.from_fen(template.offline_cap_fen)

    def _inverse_offline_cap(self):
        for template in self:
            template.offline_cap_fen = self._fen_of(template.offline_cap)

    @api.depends("period_ids")
    def _compute_has_hours(self):
        for template in self:
            template.has_hours = bool(template.period_ids)

    # === CONSTRAINTS AND ONCHANGE METHODS === #

    @api.constrains("exchange_fen", "offline_cap_fen")
    def _check_most_of_terms(self):
        for template in self:
            template._check_amount_range(
                template.exchange_fen, template.offline_cap_fen
            )

    @api.constrains("use_limit", "use_limit_day", "day_limit")
    def _check_limits(self):
        for template in self:
            for name, most in (
                ("use_limit", _MAX_USES),
                ("use_limit_day", _MAX_USES),
                ("day_limit", _MAX_DAY),
            ):
                if not 0 <= template[name] <= most:
                    raise ValidationError(
                        self.env._(
                            "“%(field)s” is a number from 0 (no limit) to %(most)s.",
                            field=self._fields[name]._description_string(self.env),
                            most=most,
                        )
                    )

    @api.constrains("stacking", "stacking_group_id")
    def _check_stacking(self):
        for template in self:
            if template.stacking == "group" and not template.stacking_group_id:
                raise ValidationError(
                    self.env._(
                        "Choose the group of coupons with which this one can be used."
                    )
                )

    # === BUSINESS METHODS === #

    def _is_limited(self):
        """Whether uses of the coupon are counted."""
        self.ensure_one()
        return bool(self.use_limit or self.use_limit_day or self.day_limit)

    def _combines(self, other):
        """Whether a coupon of this template and one of ``other`` go on one order.

        Both have to allow it, so it is the same whichever is asked.
        """
        self.ensure_one()
        if "exclusive" in (self.stacking, other.stacking):
            return False
        if "group" in (self.stacking, other.stacking):
            return (
                self.stacking == other.stacking
                and self.stacking_group_id == other.stacking_group_id
            )
        return True

    def _closed_until(self, at=None, before=None):
        """Say when the coupon can be used again, if not at present.

        :param datetime at: UTC without zone; now by default
        :param datetime before: UTC; what begins after it is too late
        :return: ``None`` if it can be used now; otherwise the next beginning in the
            template's zone, ``False`` if there is none
        """
        self.ensure_one()
        if not self.has_hours:
            return None
        local = self._to_local(at or fields.Datetime.now())
        spans = self.period_ids._spans(local.date())
        if any(begin <= local < end for begin, end in spans):
            return None
        later = [
            begin
            for begin, _end in spans
            if begin > local and not (before and self._to_utc(begin) > before)
        ]
        return min(later, default=False)

    def _day_and_hour(self, local):
        """Return a local time as the cashier is told: with the day of the week."""
        days = dict(
            self.env["coupon.template.period"]
            ._fields["weekday"]
            ._description_selection(self.env)
        )
        return f"{days[str(local.weekday())]}, {local:%Y-%m-%d %H:%M}"

    def _reward_values(self, scoped):
        """Override of ``coupon.template``: Odoo knows no fixed price.

        It is a discount on the product, of its price less the fixed price. That
        price may differ on the day, by price list or tax, so the till and the sales
        order bring the amount in line: see ``loyalty.reward``.
        """
        values = super()._reward_values(scoped)
        exchange = self.coupon_type == "exchange"
        values["wechat_is_exchange"] = exchange
        values["wechat_exchange_price"] = money.from_fen(self.exchange_fen)
        if exchange:
            values.update(
                discount=money.from_fen(self._exchange_discount_fen()),
                discount_applicability="specific",
                discount_product_ids=[Command.set(self.gift_product_id.ids)],
                discount_product_category_id=False,
                discount_product_tag_id=False,
            )
        return values

    def _exchange_discount_fen(self):
        """Return what an exchange takes off the product's list price, in fen."""
        product = self.gift_product_id.with_company(self.company_id)
        taxes = product.taxes_id.filtered_domain(
            self.env["account.tax"]._check_company_domain(self.company_id)
        )
        price = product.lst_price
        if taxes:
            price = taxes.compute_all(
                price, currency=self.currency_id, product=product
            )["total_included"]
        return max(money.to_fen(price) - self.exchange_fen, _LEAST_FEN)


def _short(amount):
    """Return an amount as coupons show it: ¥10, and not ¥10.00."""
    return money.format_fen(money.to_fen(amount)).removesuffix(".00")
