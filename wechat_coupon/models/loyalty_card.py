from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from odoo.addons.wechat_base.tools import money

from .. import const
from ..tools import codes
from ..tools.ledger import as_ledger, is_ledger

# What makes a coupon worth money; written by the ledger only.
_GUARDED = {
    "active",
    "code",
    "company_id",
    "coupon_batch_id",
    "coupon_template_id",
    "expiration_date",
    "history_ids",
    "partner_id",
    "points",
    "program_id",
    "redemption_ids",
    "wechat_card_id",
    "wechat_checked_at",
    "wechat_event_time",
    "wechat_identity_id",
    "wechat_openid",
    "wechat_outer_str",
    "wechat_replaces_id",
    "wechat_state",
    "wechat_bundle_no",
    "wechat_stock_no",
    "wechat_told_state",
    "wechat_used_outside",
    "wechat_valid_from",
    "wechat_valid_to",
}
_INSERT_COLUMNS = (
    "code",
    "partner_id",
    "wechat_identity_id",
    "wechat_openid",
    "wechat_outer_str",
    "wechat_valid_from",
    "wechat_valid_to",
    "wechat_event_time",
)


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    coupon_template_id = fields.Many2one(
        "coupon.template",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        help="Set on coupons that the coupon ledger keeps.",
    )
    wechat_state = fields.Selection(
        selection=[
            ("waiting", "Not received yet"),
            ("usable", "Usable"),
            ("gifting", "Being given to a friend"),
            ("gifted", "Given to a friend"),
            ("used", "Used"),
            ("deleted", "Deleted by the customer"),
            ("expired", "Expired"),
            ("void", "Made invalid"),
        ],
        string="State",
        readonly=True,
        copy=False,
    )
    wechat_status = fields.Selection(
        selection=[
            ("waiting", "Not received yet"),
            ("usable", "Usable"),
            ("reserved", "On an open order"),
            ("gifting", "Being given to a friend"),
            ("gifted", "Given to a friend"),
            ("used", "Used"),
            ("deleted", "Deleted by the customer"),
            ("expired", "Expired"),
            ("void", "Made invalid"),
        ],
        string="Status",
        compute="_compute_wechat_status",
        help="The state of the coupon, with what the ledger and the calendar say.",
    )
    wechat_openid = fields.Char(
        string="OpenID",
        readonly=True,
        copy=False,
        index="btree_not_null",
        groups="wechat_coupon.coupon_group_manager,wechat_coupon.coupon_group_auditor",
    )
    wechat_identity_id = fields.Many2one(
        "wechat.identity",
        string="WeChat Customer",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    wechat_outer_str = fields.Char(string="Source", readonly=True, copy=False)
    wechat_source = fields.Char(
        string="Received By",
        compute="_compute_wechat_source",
        help="The way on which the customer got it, as far as it is known.",
    )
    wechat_valid_from = fields.Datetime(string="Valid From", readonly=True, copy=False)
    wechat_valid_to = fields.Datetime(string="Valid To", readonly=True, copy=False)
    wechat_event_time = fields.Datetime(
        string="Last Event",
        readonly=True,
        copy=False,
        help="Time of the newest event from WeChat; older ones are disregarded.",
    )
    wechat_used_outside = fields.Boolean(
        string="Used Outside Odoo", readonly=True, copy=False
    )
    wechat_told_state = fields.Char(
        readonly=True,
        copy=False,
        help="What WeChat has told of a coupon while a paid order had it.",
    )
    wechat_checked_at = fields.Datetime(
        string="Last Checked at WeChat", readonly=True, copy=False
    )
    redemption_ids = fields.One2many(
        "coupon.redemption", "coupon_id", string="Redemptions", readonly=True
    )
    coupon_batch_id = fields.Many2one(
        "coupon.code.batch",
        string="Codes Made With",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )

    # === COMPUTE METHODS === #

    @api.depends("wechat_state", "wechat_valid_to", "redemption_ids.state")
    def _compute_wechat_status(self):
        now = fields.Datetime.now()
        for card in self:
            status = card.wechat_state
            if status == "usable":
                # sudo: users of the till do not read the ledger themselves.
                states = card.sudo().redemption_ids.mapped("state")
                if "redeemed" in states:
                    status = "used"
                elif "reserved" in states:
                    status = "reserved"
                elif card.wechat_valid_to and card.wechat_valid_to < now:
                    status = "expired"
            card.wechat_status = status

    @api.depends("wechat_outer_str")
    @api.depends_context("lang")
    def _compute_wechat_source(self):
        names = {
            "claim": self.env._("Link or QR code"),
            "receipt": self.env._("Receipt"),
        }
        for card in self:
            source = card.wechat_outer_str or ""
            if source.startswith("odoo-"):
                card.wechat_source = self.env._("QR code of WeChat's page")
            else:
                card.wechat_source = names.get(source, source)

    def _compute_display_name(self):
        """Override of `loyalty`: whoever has the code can use the coupon.

        The name is shown wherever a record points to the coupon, to people who may
        not read coupons as well.
        """
        res = super()._compute_display_name()
        # sudo: see above.
        for card_sudo in self.sudo().filtered("coupon_template_id"):
            name = card_sudo.program_id.name
            card_sudo.display_name = f"{name}: {codes.mask(card_sudo.code)}"
        return res

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        cards = super().create(vals_list)
        if not is_ledger(self.env):
            cards._wechat_check_guard()
        return cards

    def write(self, vals):
        if not is_ledger(self.env) and _GUARDED & vals.keys():
            self._wechat_check_guard()
            if vals.get("coupon_template_id") or (
                vals.get("program_id")
                and self.env["loyalty.program"]
                .sudo()
                .browse(vals["program_id"])
                .wechat_guarded
            ):
                self._wechat_refuse()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_guarded(self):
        if not is_ledger(self.env):
            self._wechat_check_guard()

    def _wechat_check_guard(self):
        """Refuse to go on if a coupon of ``self`` is kept by the ledger.

        :raises UserError: if one is
        """
        # sudo: the template's fields are not for every user of loyalty cards.
        if self.sudo().filtered(
            lambda card: card.coupon_template_id or card.program_id.wechat_guarded
        ):
            self._wechat_refuse()

    def _wechat_refuse(self):
        raise UserError(
            self.env._(
                "This coupon is kept by the coupon ledger. It is made from its "
                "template and used by its code; a coupon manager can make it invalid."
            )
        )

    # === ACTION METHODS === #

    def action_wechat_void(self):
        """Open the dialogue that makes coupons invalid."""
        self.env["coupon.template"]._check_manager()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Make Coupons Invalid"),
            "res_model": "coupon.reason.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {
                "default_action": "void",
                "default_coupon_ids": self.ids,
            },
        }

    # === BUSINESS METHODS === #

    def _wechat_state_if_given_back(self):
        """Return the state that a coupon has when its order gives it back now.

        :return: a value of ``wechat_state``, or ``None`` if no order of ours has it
        """
        self.ensure_one()
        if self.wechat_state != "used" or self.wechat_used_outside:
            return None
        return self.wechat_told_state or "usable"

    def _wechat_set_state(self, state, **vals):
        """Set the state of coupons, and the balance that goes with it.

        :param str state: a value of ``wechat_state``
        :param vals: further values to write
        """
        self._wechat_lock()
        as_ledger(self).write(
            {"wechat_state": state, "points": 1 if state == "usable" else 0, **vals}
        )

    def _wechat_void(self, reason):
        """Make coupons invalid, here and at their channel.

        :param str reason: why, kept in the coupon's history and told to the channel
        """
        self._wechat_lock()
        self._wechat_check_free()
        for template in self.sudo().coupon_template_id:
            template._channel()._check_void()
        for card in self:
            if card.wechat_state not in ("waiting", "confirming", "usable", "gifting"):
                raise UserError(
                    self.env._("Coupon %(code)s is not usable.", code=card.code)
                )
        self._wechat_set_state("void")
        # sudo: whoever may make coupons invalid need not read their templates.
        for template, cards in self.sudo().grouped("coupon_template_id").items():
            if template._channel()._is_remote:
                self.env["coupon.task"]._start("void", template, cards, reason)
        message = self.env._("Made invalid: %(reason)s", reason=reason)
        self.sudo()._message_log_batch(bodies=dict.fromkeys(self.ids, message))

    def _wechat_lock(self, shared=False):
        """Lock coupons until the end of the transaction, in the order of their ids.

        :param bool shared: whether others may do the same at the same time: who
            reserves needs the coupons to stay as they are, no more
        """
        if not self:
            return
        self.flush_recordset()
        self.env.cr.execute(
            SQL(
                "SELECT id FROM loyalty_card WHERE id = ANY(%s) ORDER BY id %s",
                self.ids,
                SQL("FOR SHARE") if shared else SQL("FOR NO KEY UPDATE"),
            ),
            log_exceptions=False,
        )

    def _wechat_check_free(self):
        """Refuse to go on if an order has a coupon of ``self``; they are locked.

        :raises UserError: if one has
        """
        ledger = self.env["coupon.redemption"].sudo()
        holders = ledger._holders(self.ids)
        if not holders:
            # What was committed after our transaction began is not to be seen in it.
            # No more can come: who reserves waits for our lock.
            with self.env.registry.cursor() as cr:
                holders = ledger.with_env(ledger.env(cr=cr))._holders(self.ids)
        for coupon_id, holder in holders.items():
            # sudo: the till may be one that the manager does not see.
            config_sudo = self.env["pos.config"].sudo().browse(holder["config_id"])
            raise UserError(
                self.env._(
                    "Coupon %(code)s is on an order (%(order)s). Release it first.",
                    code=self.browse(coupon_id).code,
                    order=holder["order_name"] or config_sudo.name or "-",
                )
            )

    @api.model
    def _wechat_insert(self, template, rows, state="usable", batch=None):
        """Make coupons of a template with the given codes, in one statement.

        A code that exists is left as it is, also when another transaction makes it
        at this moment.

        :param template: ``coupon.template`` record
        :param list rows: one dict per coupon, with keys of ``_INSERT_COLUMNS``
        :param str state: a value of ``wechat_state``
        :param batch: ``coupon.code.batch`` record that they belong to
        :return: the new ``loyalty.card`` records only
        """
        if not rows:
            return self.browse()
        columns = [[row.get(name) or None for row in rows] for name in _INSERT_COLUMNS]
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO loyalty_card (
                    code, partner_id, wechat_identity_id, wechat_openid,
                    wechat_outer_str, wechat_valid_from, wechat_valid_to,
                    wechat_event_time, expiration_date, program_id, coupon_batch_id,
                    coupon_template_id, company_id, wechat_state, points, active,
                    create_uid, write_uid, create_date, write_date
                )
                SELECT v.code, v.partner_id, v.identity_id, v.openid,
                       v.outer_str, v.valid_from, v.valid_to, v.event_time,
                       (v.valid_to AT TIME ZONE 'UTC' AT TIME ZONE %(zone)s)::date,
                       %(program)s, %(batch)s::int, %(template)s, %(company)s,
                       %(state)s, %(points)s, TRUE, %(uid)s, %(uid)s,
                       NOW() AT TIME ZONE 'UTC', NOW() AT TIME ZONE 'UTC'
                FROM unnest(
                    %(code)s::varchar[], %(partner_id)s::int[],
                    %(wechat_identity_id)s::int[], %(wechat_openid)s::varchar[],
                    %(wechat_outer_str)s::varchar[],
                    %(wechat_valid_from)s::timestamp[],
                    %(wechat_valid_to)s::timestamp[],
                    %(wechat_event_time)s::timestamp[]
                ) AS v (
                    code, partner_id, identity_id, openid, outer_str, valid_from,
                    valid_to, event_time
                )
                ON CONFLICT (code) DO NOTHING
                RETURNING id
                """,
                zone=template._zone(),
                program=template.program_id.id,
                batch=batch.id if batch else None,
                template=template.id,
                company=template.company_id.id,
                state=state,
                points=1.0 if state == "usable" else 0.0,
                uid=self.env.uid,
                **dict(zip(_INSERT_COLUMNS, columns, strict=True)),
            )
        )
        cards = self.browse(row[0] for row in self.env.cr.fetchall())
        template.invalidate_recordset(["coupon_count"])
        return cards

    @api.model
    def _wechat_find(self, code):
        """Return the guarded coupon with a code, in whichever company it is.

        :rtype: ``loyalty.card`` record with sudo, maybe empty
        """
        # sudo: a coupon of another company is found too, to say so to the cashier.
        return (
            self.sudo()
            .with_context(active_test=False)
            .search([("code", "=", code), ("coupon_template_id", "!=", False)], limit=1)
        )

    @api.model
    def _wechat_is_odoos(self, code):
        """Whether Odoo itself knows a code: a gift card, a promotion, another coupon.

        :rtype: bool
        """
        # sudo: whether it is good for anything here, Odoo says.
        cards_sudo = self.sudo().with_context(active_test=False)
        known = [("code", "=", code), ("coupon_template_id", "=", False)]
        rules_sudo = self.env["loyalty.rule"].sudo()
        return bool(
            cards_sudo.search_count(known, limit=1)
            or rules_sudo.search_count([("code", "=", code)], limit=1)
        )

    # === BUSINESS METHODS - ELIGIBILITY === #

    def _wechat_refusals(self, order, cart=None, held=False):
        """Why a coupon cannot be used on an order, as far as we know ourselves.

        :param order: :class:`~.tools.cart.OrderRef`
        :param cart: :class:`~.tools.cart.Cart`, or ``None`` to leave it out
        :param bool held: whether the order has the coupon; its time and its
            template were looked at when it got it
        :return: reason codes with what their sentences show, the weightiest first
        :rtype: list[tuple[str, dict]]
        """
        self.ensure_one()
        refusals = [
            *(self._wechat_lost_refusals() if held else self._wechat_state_refusals()),
            *self._wechat_place_refusals(order),
        ]
        if cart is not None:
            refusals += self._wechat_cart_refusals(cart)
        return refusals

    def _wechat_lost_refusals(self):
        """What happened to a coupon behind the back of the order that has it."""
        used_here = self.wechat_state == "used" and not self.wechat_used_outside
        if self.wechat_state in const.STATE_REASONS and not used_here:
            yield const.STATE_REASONS[self.wechat_state], {}

    def _wechat_state_refusals(self):
        now = fields.Datetime.now()
        if self.wechat_state in const.STATE_REASONS:
            yield const.STATE_REASONS[self.wechat_state], {}
        if self.wechat_valid_to and self.wechat_valid_to < now:
            yield "expired", {"date": self._wechat_date(self.wechat_valid_to)}
        elif self.wechat_valid_from and self.wechat_valid_from > now:
            yield "not_yet_valid", {"date": self._wechat_date(self.wechat_valid_from)}
        template = self.coupon_template_id
        if not template.active:
            yield "template_ended", {}
        elif template.state in ("draft", "paused"):
            yield "template_paused", {}
        elif template.needs_setup:
            yield "template_incomplete", {}

    def _wechat_place_refusals(self, order):
        if self.company_id and self.company_id not in order.companies:
            yield "other_company", {}
            return
        if order.config and order.config.currency_id.name != "CNY":
            yield "other_currency", {}
        if self.partner_id and order.partner and self.partner_id != order.partner:
            yield "other_owner", {}
        program = self.program_id
        # Where all shops of a coupon are archived, it is good in none.
        shops = program.with_context(active_test=False).pos_config_ids
        if order.config and (
            (shops and order.config not in shops)
            or program.currency_id != order.config.currency_id
        ):
            yield "not_at_till", {}

    def _wechat_cart_refusals(self, cart):
        rule = self.program_id.rule_ids[:1]
        # What is given back on the same order counts neither way, as in the till.
        lines = [
            line for line in cart.lines if not line.is_reward_line and line.qty > 0
        ]
        if rule and not rule.any_product:
            # Not `valid_product_ids`: it searches the whole catalogue, and an option
            # of the point of sale leaves it empty.
            # sudo: categories and tags need not be readable at the till.
            found = self.env["product.product"].sudo()
            found = found.browse({line.product_id for line in lines}).exists()
            products = set(found.filtered_domain(rule._get_valid_product_domain()).ids)
            lines = [line for line in lines if line.product_id in products]
        amount = sum(line.price_total_fen for line in lines)
        if not lines:
            yield "no_matching_product", {}
            return
        threshold = self.coupon_template_id.threshold_fen
        if amount < threshold:
            yield (
                "below_threshold",
                {
                    "missing": money.format_fen(threshold - amount),
                    "threshold": money.format_fen(threshold),
                },
            )

    def _wechat_date(self, value):
        zoned = self.with_context(tz=self.coupon_template_id._zone())
        return fields.Datetime.context_timestamp(zoned, value).strftime("%Y-%m-%d")


class LoyaltyHistory(models.Model):
    _inherit = "loyalty.history"

    @api.model_create_multi
    def create(self, vals_list):
        rows = super().create(vals_list)
        rows._wechat_check_guard()
        return rows

    def write(self, vals):
        self._wechat_check_guard()
        res = super().write(vals)
        if "card_id" in vals:
            self._wechat_check_guard()
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_guarded(self):
        self._wechat_check_guard()

    def _wechat_check_guard(self):
        if not is_ledger(self.env):
            # sudo: who may not see the coupon may not write its history either.
            self.sudo().card_id._wechat_check_guard()
