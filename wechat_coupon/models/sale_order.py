"""Coupons on sales orders: the same ledger as at the till.

Odoo's engine works out the discount. A code is checked when it is entered, the coupon
is held when the customer begins to pay online, and used when the order is confirmed,
in one transaction with it. A cancelled order gives it back.
"""

import time

from odoo import Command, api, fields, models
from odoo.exceptions import UserError, ValidationError

from odoo.addons.wechat_base.tools import money

from .. import const
from ..tools import codes
from ..tools.cart import Cart, CartLine, OrderRef
from ..tools.ledger import as_ledger, is_ledger
from ..tools.paid import without_stopping

# What Odoo books on coupons by itself, the ledger books on guarded ones: see
# `loyalty_card_sale.py`.
LEDGER_BOOKS = {"wechat_ledger_books": True}


class SaleOrder(models.Model):
    _inherit = "sale.order"

    wechat_coupon_ids = fields.Many2many(
        "loyalty.card",
        "sale_order_wechat_coupon_rel",
        "order_id",
        "coupon_id",
        string="WeChat Coupons",
        readonly=True,
        copy=False,
        help="The coupons whose codes were entered on this order.",
    )
    wechat_redemption_ids = fields.One2many(
        "coupon.redemption",
        "sale_order_id",
        readonly=True,
        copy=False,
        groups="wechat_coupon.coupon_group_auditor",
    )
    wechat_redemption_count = fields.Integer(
        string="Coupons",
        compute="_compute_wechat_redemption_count",
        groups="wechat_coupon.coupon_group_auditor",
    )

    # === COMPUTE AND CRUD METHODS === #

    def _compute_wechat_redemption_count(self):
        counts = dict(
            self.env["coupon.redemption"]._read_group(
                [("sale_order_id", "in", self.ids)], ["sale_order_id"], ["__count"]
            )
        )
        for order in self:
            order.wechat_redemption_count = counts.get(order, 0)

    def _compute_loyalty_data(self):
        """Extended: a used coupon is no balance of points on the order."""
        res = super()._compute_loyalty_data()
        shown = self.filtered("loyalty_data")
        # sudo: Odoo itself adds up histories that the salesperson does not read.
        counted = (
            self.env["loyalty.history"]
            .sudo()
            .search(
                [
                    ("order_model", "=", self._name),
                    ("order_id", "in", shown.ids),
                    ("card_id.coupon_template_id", "=", False),
                ]
            )
            .mapped("order_id")
        )
        for order in shown.filtered(lambda one: one.id not in counted):
            order.loyalty_data = {}
        return res

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._wechat_check_shown(vals)
        return super().create(vals_list)

    def write(self, vals):
        self._wechat_check_shown(vals)
        return super().write(vals)

    def unlink(self):
        """Extended: coupons that a deleted quotation holds are free again."""
        for order in self:
            # sudo: salespeople see the coupons of their own orders only.
            order._wechat_forget(order.sudo().wechat_coupon_ids)
        return super().unlink()

    def _wechat_check_shown(self, vals):
        """Only who enters a code puts a coupon on an order: ids can be counted up."""
        if "wechat_coupon_ids" in vals and not is_ledger(self.env):
            raise UserError(self.env._("Enter the code of the coupon instead."))

    @api.constrains("applied_coupon_ids")
    def _check_wechat_guarded(self):
        for order in self:
            order._wechat_check_coupons(order.applied_coupon_ids)

    def _wechat_check_coupons(self, coupons):
        """Refuse guarded coupons whose codes were not entered on this order.

        :raises ValidationError: if there is one
        """
        # sudo: the template is not for salespeople to read.
        guarded_sudo = coupons.sudo().filtered("coupon_template_id")
        if guarded_sudo - self.sudo().wechat_coupon_ids:
            raise ValidationError(self.env["coupon.reason"]._message("sales_order"))

    def action_wechat_redemptions(self):
        """Open the redemptions of the order's coupons."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_redemption_action"
        )
        return {**action, "domain": [("sale_order_id", "in", self.ids)], "context": {}}

    # === APPLYING A CODE === #

    def _try_apply_code(self, code):
        """Override of `sale_loyalty`: guarded coupons are checked by the ledger."""
        self.ensure_one()
        if not codes.is_text(code):
            message = self.env["coupon.reason"]._message("unknown_code")
            return {"error": message, "not_found": True}
        code = code.strip()
        coupon_sudo = self.env["loyalty.card"]._wechat_find(code)
        if not coupon_sudo:
            result = super()._try_apply_code(code)
            if not result.get("not_found"):
                return result
            coupon_sudo, problem = self._wechat_ask_for(code)
            if not coupon_sudo:
                if problem != "unknown_code":
                    return {"error": self.env["coupon.reason"]._message(problem)}
                return result
        error = self._wechat_error(coupon_sudo)
        if error:
            return {"error": error}
        as_ledger(self).write({"wechat_coupon_ids": [Command.link(coupon_sudo.id)]})
        result = super()._try_apply_code(code)
        if "error" in result and coupon_sudo not in self.sudo().order_line.coupon_id:
            self._wechat_forget(coupon_sudo)
        return result

    def _wechat_ask_for(self, code):
        """Ask the channels for a code that nobody here knows.

        :return: ``loyalty.card`` record with sudo, maybe empty, and a reason code
        """
        cards = self.env["loyalty.card"]
        if len(code) > codes.MAX_CODE_LENGTH or not self._wechat_may_use():
            return cards, "unknown_code"
        if codes.is_payment_code(code):
            return cards, "unknown_code"
        if self.env["wechat.rate.guard"]._acquire(
            f"coupon_miss:sale:{self.env.uid}", const.MISSES_PER_MINUTE, 60
        ):
            return cards, "too_many_tries"
        deadline = time.monotonic() + const.TILL_DEADLINE
        problem = "unknown_code"
        for channel in self.env["coupon.template"]._channels():
            coupon, trouble = channel._find_code(code, self.company_id, deadline)
            if coupon:
                return coupon.sudo(), None
            problem = trouble or problem
        return cards, problem

    def _wechat_may_use(self):
        return self.env.su or self.env.user.has_group("wechat_coupon.coupon_group_user")

    def _wechat_error(self, coupon):
        """Return why a coupon cannot be put on the order, ``None`` if it can."""
        if not self._wechat_may_use():
            return self.env["coupon.reason"]._message("not_allowed")
        if self.state not in ("draft", "sent"):
            return self.env["coupon.reason"]._message("order_confirmed")
        if coupon.company_id not in self._wechat_order_ref().companies:
            # Nothing more is told about what another company has issued.
            return self.env["coupon.reason"]._message("other_company")
        refused = next(self._wechat_place_refusals(coupon), None)
        if refused:
            return self.env["coupon.reason"]._message(refused)
        ledger, order = self._wechat_ledger(), self._wechat_order_ref()
        coupons = (self._wechat_coupons() | coupon).sorted("id")
        holders = ledger._holders(coupons.ids, order.uuid)
        refusals = ledger._refusals(
            order, coupons, self._wechat_cart(), holders
        ) or ledger._ask_channels(order, coupons, holders)
        return self._wechat_sentences(refusals)

    def _wechat_place_refusals(self, coupon):
        """Why a coupon is not for sales orders."""
        template = coupon.coupon_template_id
        channel = template._channel()
        if channel._in_payment or channel._needs_wechat_payment:
            yield "needs_payment"
        if template.with_context(active_test=False).pos_config_ids:
            yield "shops_only"
        if self.currency_id.name != "CNY":
            yield "other_currency"

    def _wechat_sentences(self, refusals):
        """Return what a salesperson is told about refusals, ``None`` without any."""
        reasons = self.env["coupon.reason"]
        several = len({coupon for coupon, *_rest in refusals}) > 1
        return (
            " ".join(
                f"{coupon.sudo().display_name}: {reasons._message(code, **values)}"
                if several
                else reasons._message(code, **values)
                for coupon, code, values in refusals
            )
            or None
        )

    def _wechat_forget(self, coupons):
        """Take coupons off the order, and let them go if it holds them.

        :param coupons: ``loyalty.card`` records
        """
        self.ensure_one()
        if coupons:
            as_ledger(self).write(
                {"wechat_coupon_ids": [Command.unlink(one.id) for one in coupons]}
            )
            self.env["coupon.redemption"]._release(
                self._wechat_order_ref(), coupons, "changed"
            )

    # === WHAT THE LEDGER IS TOLD === #

    def _wechat_ledger(self):
        """Return the ledger in the name of who sells.

        A customer who pays online is not judged as a user of coupons.
        """
        user = self.env.user
        if not user._is_internal() and self.user_id:
            user = self.user_id
        # sudo: salespeople do not read the ledger themselves.
        return self.env["coupon.redemption"].with_user(user).sudo()

    def _wechat_order_ref(self):
        self.ensure_one()
        return OrderRef(
            # No till can send this: it is no UUID.
            uuid=f"{self._name},{self.id}",
            company=self.company_id,
            config=self.env["pos.config"],
            session=self.env["pos.session"],
            partner=self.partner_id,
        )

    def _wechat_cart(self):
        self.ensure_one()
        return Cart(
            lines=tuple(
                CartLine(
                    uuid=str(line.id),
                    product_id=line.product_id.id,
                    qty=line.product_uom_qty,
                    price_total_fen=money.to_fen(line.price_total),
                    is_reward_line=line.is_reward_line,
                )
                for line in self.order_line
                if not line.display_type
            ),
            total_fen=money.to_fen(self.amount_total),
        )

    def _wechat_coupons(self):
        """Return the guarded coupons that give something on the order.

        :rtype: ``loyalty.card`` records with sudo
        """
        # sudo: the template is not for salespeople to read.
        return self.sudo().order_line.coupon_id.filtered("coupon_template_id")

    # === CONFIRMING === #

    def _wechat_hold_coupons(self):
        """Hold the coupons on the order: all or none.

        :return: ``None``, or the sentence that says why not
        """
        self.ensure_one()
        coupons, order = self._wechat_coupons(), self._wechat_order_ref()
        for coupon in coupons:
            refused = next(self._wechat_place_refusals(coupon), None)
            if refused:
                return self.env["coupon.reason"]._message(refused)
        ledger = self._wechat_ledger()
        if not coupons:
            ledger._release(order, reason="changed")
            return None
        # After the customer has paid, a refusal of WeChat's would help nobody.
        _held, refusals = ledger._reserve(
            order, coupons, self._wechat_cart(), ask=not self._wechat_is_paid()
        )
        return self._wechat_sentences(refusals)

    def _wechat_is_paid(self):
        """Whether a customer has paid: the order is confirmed, come what may.

        What was paid before the order was cancelled says nothing about it now.
        """
        # sudo: salespeople read neither payments nor the ledger.
        order_sudo = self.sudo()
        ended = order_sudo._wechat_returned().filtered(
            lambda row: row.return_reason == "cancel"
        )
        since = max(ended.mapped("returned_at"), default=None)
        return any(
            not since or paid_at > since for paid_at in order_sudo._wechat_paid_at()
        )

    def _wechat_paid_at(self):
        """Return when the customer began payments that have succeeded.

        :rtype: list[datetime]
        """
        return self.transaction_ids.filtered(
            lambda tx: tx.state in ("authorized", "done")
        ).mapped("create_date")

    def action_confirm(self):
        """Override of `sale_loyalty`: the ledger is written with the order."""
        guarded = self.filtered(lambda order: order._wechat_coupons())
        for order in guarded:
            if order._wechat_is_paid():
                order._wechat_guarded_step(order._wechat_hold_coupons)
            elif refused := order._wechat_hold_coupons():
                raise UserError(refused)
        res = super().action_confirm()
        for order in guarded:
            if not order._wechat_is_paid():
                order._wechat_redeem_coupons()
            elif not order._wechat_guarded_step(order._wechat_redeem_coupons):
                # A person has to look at its coupons.
                order._wechat_guarded_step(order._wechat_record_failure)
        return res

    def _wechat_guarded_step(self, step):
        """Do what belongs to a paid order; see :func:`~.tools.paid.without_stopping`.

        :rtype: bool
        """
        return without_stopping(self.env, self.name, step)

    def _wechat_record_failure(self):
        # The least that says what happened: what went wrong may be in the amounts.
        values = {"order_name": self.name, "sale_order_id": self.id}
        self._wechat_ledger()._record_failure(
            self._wechat_order_ref(), dict.fromkeys(self._wechat_coupons(), values)
        )

    def _wechat_redeem_coupons(self):
        """Write the coupons of a confirmed order into the ledger."""
        self.ensure_one()
        coupons = self._wechat_coupons()
        # What the engine took off again while it confirmed.
        self._wechat_forget(self.sudo().wechat_coupon_ids - coupons)
        if coupons:
            uses = {coupon: self._wechat_coupon_use(coupon) for coupon in coupons}
            self._wechat_ledger()._redeem(self._wechat_order_ref(), uses)

    def _wechat_coupon_use(self, coupon):
        """Return what the order takes off for a coupon; see ``_redeem``.

        :rtype: dict
        """
        lines = self.sudo().order_line.filtered(lambda line: line.coupon_id == coupon)
        goods = [
            (money.to_fen(line.price_total), line.product_uom_qty)
            for line in self._wechat_goods_of(coupon) or lines
        ]
        return {
            "order": self._wechat_order_ref(),
            "cart": self._wechat_cart(),
            "discount_fen": sum(line._wechat_taken_off_fen() for line in lines),
            "allowed_fen": coupon.coupon_template_id._most_off_fen(goods) + len(lines)
            if coupon.coupon_template_id.coupon_type != "gift"
            else None,
            "order_total_fen": money.to_fen(self.amount_total),
            "order_name": self.name,
            "sale_order_id": self.id,
            "lines": self._wechat_split(coupon, lines),
        }

    def _wechat_goods(self):
        return self.order_line.filtered(
            lambda line: (
                not line.is_reward_line
                and not line.display_type
                and line.price_total > 0
            )
        )

    def _wechat_goods_of(self, coupon):
        """Return the order lines that a coupon's discount falls on."""
        goods = self._wechat_goods()
        # sudo: rewards of a program that was archived meanwhile are read too.
        reward = coupon.program_id.sudo().with_context(active_test=False).reward_ids[:1]
        if reward.reward_type == "product":
            return goods.browse()
        if reward.discount_applicability != "specific":
            return goods
        products = goods.product_id.sudo().filtered_domain(
            reward._get_discount_product_domain()
        )
        return goods.filtered(lambda line: line.product_id in products)

    def _wechat_split(self, coupon, lines):
        """Split what a coupon took off over the goods, to the fen.

        A gift is a line of its own, and takes all of it.

        :return: values of ``coupon.redemption.line``
        :rtype: list[dict]
        """
        goods = self._wechat_goods_of(coupon)
        parts = {}
        for line in lines:
            same = goods.filtered(lambda one, taxes=line.tax_ids: _taxes(one) == taxes)
            targets = same or goods or line
            weights = [money.to_fen(one.price_total) for one in targets]
            amounts = money.split_fen(line._wechat_taken_off_fen(), weights)
            untaxed = money.split_fen(line._wechat_taken_off_fen(net=True), weights)
            for target, amount, net in zip(targets, amounts, untaxed, strict=True):
                part = parts.setdefault(target, [0, 0])
                part[0] += amount
                part[1] += net
        return [
            {
                "sale_line_id": line.id,
                "product_id": line.product_id.id,
                "tax_label": ", ".join(line.tax_ids.mapped("name")) or False,
                "quantity": line.product_uom_qty,
                "line_fen": money.to_fen(line.price_total) or amount,
                "discount_fen": amount,
                "untaxed_fen": net,
            }
            for line, (amount, net) in parts.items()
            if amount or net
        ]

    # === CANCELLING === #

    def _action_cancel(self):
        """Override of `sale_loyalty`: coupons of cancelled orders go back."""
        shown = {order: order.sudo().wechat_coupon_ids for order in self}
        orders = self.with_context(**LEDGER_BOOKS)
        res = super(SaleOrder, orders)._action_cancel()
        for order in self:
            if order.state == "cancel":
                order._wechat_forget(shown[order])
                order._wechat_cancelled()
        return res

    def _wechat_cancelled(self):
        """Give back the coupons of an order that was cancelled after it was confirmed.

        What was invoiced and not credited is paid for: its credit note gives back.
        So is what was paid at a till.
        """
        redemptions = self._wechat_used()
        if redemptions and not self._wechat_paid_fen():
            redemptions._lock_redemptions(redemptions)
            # They never had the coupon, and want it no more.
            redemptions.filtered(lambda row: row.state == "conflict")._goods_returned()
            redemptions.filtered(
                lambda row: row.template_id.return_policy != "never"
            )._return("cancel", self.name)

    def _wechat_used(self):
        """Return the redemptions of the order that may still go back, with sudo."""
        # sudo: salespeople do not read the ledger themselves.
        return (
            self.env["coupon.redemption"]
            .sudo()
            .search(
                [
                    ("sale_order_id", "in", self.ids),
                    ("state", "in", ("redeemed", "conflict")),
                ]
            )
        )

    def _wechat_paid_fen(self):
        """Return what was invoiced or paid, and not given back, in fen."""
        moves = self.sudo().order_line.invoice_lines.move_id
        return sum(
            -money.to_fen(move.amount_total)
            if move.move_type == "out_refund"
            else money.to_fen(move.amount_total)
            for move in moves
            if move.state == "posted"
        )

    # === ODOO'S BOOKS === #

    def _get_point_changes(self):
        """Override of `sale_loyalty`: the ledger sees to guarded coupons."""
        changes = super()._get_point_changes()
        # sudo: the template is not for salespeople to read.
        return {
            coupon: points
            for coupon, points in changes.items()
            if not coupon.sudo().coupon_template_id
        }

    def _add_loyalty_history_lines(self):
        """Override of `sale_loyalty`: the ledger writes that of guarded coupons."""
        orders = self.with_context(**LEDGER_BOOKS)
        return super(SaleOrder, orders)._add_loyalty_history_lines()

    def _get_real_points_for_coupon(self, coupon, post_confirm=False):
        """Override of `sale_loyalty`: the ledger says whether a coupon is good.

        It does so when the code is entered and when the order is confirmed. A paid
        order is confirmed although somebody else has the coupon.
        """
        # sudo: the template is not for salespeople to read.
        if not coupon.sudo().coupon_template_id:
            return super()._get_real_points_for_coupon(coupon, post_confirm)
        lines = self.order_line.filtered(lambda line: line.coupon_id == coupon)
        return 1 - sum(lines.mapped("points_cost"))


def _taxes(line):
    """The taxes by which Odoo's engine groups the lines for a discount."""
    return line.tax_ids.filtered(lambda tax: tax.amount_type != "fixed")
