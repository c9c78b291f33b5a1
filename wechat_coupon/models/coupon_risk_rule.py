import hashlib
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen

from .. import const


class CouponRiskRule(models.Model):
    """Something that honest people rarely do with coupons."""

    _name = "coupon.risk.rule"
    _description = "Coupon Risk Rule"
    _order = "company_id, kind, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    kind = fields.Selection(
        [
            ("wrong_codes", "Many unknown codes by one cashier"),
            ("customer_uses", "Many coupons by one customer"),
            ("closed_hours", "Outside of the shop's hours"),
            ("value", "More than a certain discount"),
        ],
        required=True,
        default="wrong_codes",
    )
    action = fields.Selection(
        [("warn", "Tell the manager"), ("block", "Refuse, and tell the manager")],
        required=True,
        default="warn",
    )
    config_ids = fields.Many2many(
        "pos.config", string="Shops", help="Empty for every shop of the company."
    )
    count = fields.Integer(
        string="More Than", default=10, help="So many are still all right."
    )
    minutes = fields.Integer(string="Within (minutes)", default=60)
    hour_from = fields.Float(string="Open From", default=8.0)
    hour_to = fields.Float(
        string="Open Until",
        default=22.0,
        help="Before “Open From”: the shop is open over midnight.",
    )
    limit_fen = Fen(string="Discount (fen)")
    limit_amount = fields.Monetary(
        string="Discount Above",
        compute="_compute_limit_amount",
        inverse="_inverse_limit_amount",
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    event_count = fields.Integer(string="Times Noticed", compute="_compute_event_count")

    _numbers_positive = models.Constraint(
        "CHECK(count >= 0 AND minutes > 0 AND limit_fen >= 0)",
        "Numbers cannot be negative, and a time has one minute at least.",
    )

    @api.depends("limit_fen")
    def _compute_limit_amount(self):
        for rule in self:
            rule.limit_amount = money.from_fen(rule.limit_fen)

    def _inverse_limit_amount(self):
        for rule in self:
            rule.limit_fen = money.storable(money.to_fen(rule.limit_amount))

    def _compute_event_count(self):
        counts = dict(
            self.env["coupon.risk.event"]._read_group(
                [("rule_id", "in", self.ids)], ["rule_id"], ["__count"]
            )
        )
        for rule in self:
            rule.event_count = counts.get(rule, 0)

    @api.constrains("kind", "hour_from", "hour_to")
    def _check_hours(self):
        for rule in self:
            hours = (rule.hour_from, rule.hour_to)
            if rule.kind == "closed_hours" and (
                any(not 0 <= hour <= 24 for hour in hours) or hours[0] == hours[1]
            ):
                raise ValidationError(
                    self.env._("Enter from when until when the shop is open.")
                )

    @api.constrains("config_ids", "company_id")
    def _check_shops(self):
        for rule in self:
            # sudo: branches that the user does not see are branches all the same.
            shops_sudo = rule.sudo().with_context(active_test=False).config_ids
            strange = shops_sudo.filtered(
                lambda shop, rule=rule: (
                    rule.company_id not in shop.company_id.parent_ids
                )
            )
            if strange:
                raise ValidationError(
                    self.env._(
                        "%(shops)s is no shop of %(company)s or its branches.",
                        shops=", ".join(strange.mapped("name")),
                        company=rule.company_id.name,
                    )
                )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_noticed(self):
        # sudo: what was noticed elsewhere is evidence, too.
        if (
            self.env["coupon.risk.event"]
            .sudo()
            .search_count([("rule_id", "in", self.ids)], limit=1)
        ):
            raise UserError(
                self.env._(
                    "The rule has noticed something, and that stays. Archive it "
                    "instead."
                )
            )

    def action_view_events(self):
        """Open what the rules have noticed."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_risk_event_action"
        )
        return {**action, "domain": [("rule_id", "in", self.ids)], "context": {}}

    # === JUDGING === #

    @api.model
    def _for(self, company, config, kinds):
        """Return the rules that hold in a shop.

        :param list kinds: values of ``kind``
        """
        # sudo: rules are not for cashiers to read.
        rules = self.sudo().search(
            [
                ("company_id", "in", company.sudo().parent_ids.ids),
                ("kind", "in", kinds),
            ]
        )
        return rules.filtered(
            lambda rule: not rule.config_ids or config in rule.config_ids
        )

    @api.model
    def _judge_order(self, order, coupons, cart, held=None):
        """Look at coupons that are about to be held for an order.

        :param order: :class:`~.tools.cart.OrderRef`
        :param coupons: ``loyalty.card`` records
        :param cart: :class:`~.tools.cart.Cart`, or ``None``
        :param held: ``loyalty.card`` records that the order has and keeps: goods may
            have been added since
        :return: refusals as ``[(coupon, reason code, values)]``
        """
        kinds = ("customer_uses", "closed_hours", "value")
        refusals = []
        held = held or coupons.browse()
        for rule in self._for(order.company, order.config, kinds):
            before = held
            for coupon in (held | coupons) if rule.kind == "value" else coupons:
                found = getattr(rule, f"_found_{rule.kind}")
                values = found(order, coupon, cart, before)
                before |= coupon
                if values is None:
                    continue
                rule._note(order, coupon, values)
                if rule.action == "block":
                    refusals.append((coupon, "risk_blocked", {"rule": rule.name}))
        return refusals

    def _found_closed_hours(self, _order, _coupon, _cart, _before):
        zone = self.company_id.partner_id.tz or const.WECHAT_TZ
        local = fields.Datetime.context_timestamp(
            self.with_context(tz=zone), fields.Datetime.now()
        )
        hour = local.hour + local.minute / 60
        if self.hour_from < self.hour_to:
            is_open = self.hour_from <= hour < self.hour_to
        else:
            is_open = hour >= self.hour_from or hour < self.hour_to
        return None if is_open else {"time": local.strftime("%H:%M")}

    def _found_value(self, _order, coupon, cart, _before):
        amount = coupon._wechat_worth_fen(cart)
        if amount <= self.limit_fen:
            return None
        return {"amount": money.format_fen(amount)}

    def _found_customer_uses(self, order, coupon, _cart, before):
        partner = order.partner or coupon.partner_id
        if partner:
            who = ("partner_id", "=", partner.id)
        elif coupon.wechat_openid:
            who = ("coupon_id.wechat_openid", "=", coupon.wechat_openid)
        else:
            return None
        now = fields.Datetime.now()
        count = self.env["coupon.redemption"].search_count(
            [
                who,
                ("company_id", "child_of", self.company_id.id),
                ("order_uuid", "!=", order.uuid),
                "|",
                "&",
                ("state", "=", "reserved"),
                ("expires_at", ">=", now),
                "&",
                ("state", "in", ("redeemed", "conflict")),
                ("redeemed_at", ">=", now - timedelta(minutes=self.minutes)),
            ]
        )
        if not order.partner:
            # Only the coupons say whose they are.
            key = "partner_id" if partner else "wechat_openid"
            before = before.filtered(lambda one: one[key] == coupon[key])
        count += len(before)
        if count < self.count:
            return None
        return {"count": count, "customer": partner.name or ""}

    @api.model
    def _judge_miss(self, config, code=None):
        """Look at a cashier who has entered a code that nobody knows.

        :param str code: the code; the same one counts once in a minute, as the till
            asks for it in two ways
        :return: whether the cashier has to stop
        """
        rules = self._for(config.company_id, config, ("wrong_codes",))
        blocked = False
        for rule in rules:
            if rule._is_miss_all_right(code):
                continue
            rule._note_miss(config)
            blocked |= rule.action == "block"
        return blocked

    def _is_miss_all_right(self, code):
        """Count a wrong code, and say whether it is one of those that happen."""
        guard = self.env["wechat.rate.guard"]
        who = f"coupon_risk:{self.id}:{self.env.uid}"
        # As many as are all right may come at once.
        limit = (who, self.count + 1, self.minutes * 60, self.count + 1)
        if guard._acquire(*limit):
            return False
        if code:
            digest = hashlib.sha256(code.encode(errors="replace")).hexdigest()[:32]
            if guard._acquire(f"{who}:{digest}", 1, 60):
                guard._give_back(*limit)
        return True

    # === NOTING === #

    def _note(self, order, coupon, values):
        """Write down what was noticed, once for each order and coupon."""
        self._add_event(
            {
                "key": f"{order.uuid}:{coupon.id}",
                "company_id": order.company.id,
                "config_id": order.config.id,
                "partner_id": (order.partner or coupon.partner_id).id,
                "coupon_id": coupon.id,
                "template_id": coupon.coupon_template_id.id,
                "order_uuid": order.uuid,
                "values": values,
            }
        )

    def _note_miss(self, config):
        now = fields.Datetime.now()
        # One event for each cashier and stretch of time is enough.
        stretch = int(now.timestamp() // (self.minutes * 60))
        self._add_event(
            {
                "key": f"{self.env.uid}:{config.company_id.id}:{stretch}",
                "company_id": config.company_id.id,
                "config_id": config.id,
                "values": {"count": self.count, "minutes": self.minutes},
            }
        )

    def _add_event(self, vals):
        # sudo: cashiers do not write what is noticed about them.
        events = self.env["coupon.risk.event"].sudo()
        vals = {
            **vals,
            "rule_id": self.id,
            "kind": self.kind,
            "action": self.action,
            "user_id": self.env.uid,
        }
        event = events._add(vals)
        event._tell_manager()
        if event and self.action == "block":
            events._keep(vals)
