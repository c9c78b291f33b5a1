from odoo import fields, models

from odoo.addons.wechat_base.tools import money

from ..tools.cart import Cart, CartLine, OrderRef
from ..tools.paid import without_stopping


class PosOrder(models.Model):
    _inherit = "pos.order"

    wechat_redemption_count = fields.Integer(
        string="Coupons",
        compute="_compute_wechat_redemption_count",
        groups="wechat_coupon.coupon_group_manager,wechat_coupon.coupon_group_auditor",
    )

    def action_pos_order_paid(self):
        """Override of `point_of_sale`: the ledger is written with the paid order."""
        res = super().action_pos_order_paid()
        self._wechat_redeem_coupons()
        self._wechat_mark_refunds()
        return res

    def _wechat_redeem_coupons(self):
        """Write the coupons of the order into the ledger; never stops the order."""
        self.ensure_one()
        if not self._wechat_guarded_step(self._wechat_redeem):
            # A person has to look at its coupons.
            self._wechat_guarded_step(self._wechat_record_failure)

    def _wechat_redeem(self):
        uses = self._wechat_coupon_uses()
        if uses:
            self.env["coupon.redemption"]._redeem(self._wechat_order_ref(), uses)

    def _wechat_guarded_step(self, step):
        """Do what belongs to a paid order; see :func:`~.tools.paid.without_stopping`.

        :rtype: bool
        """
        return without_stopping(self.env, self.uuid, step)

    def _wechat_record_failure(self):
        # The least that says what happened: what went wrong may be in the amounts.
        values = {
            "order_name": self.pos_reference or self.name,
            "pos_order_id": self.id,
        }
        coupons = self._wechat_coupon_lines().coupon_id.sudo()
        self.env["coupon.redemption"]._record_failure(
            self._wechat_order_ref(), dict.fromkeys(coupons, values)
        )

    def _wechat_mark_refunds(self):
        """Hook: what becomes of coupons whose goods this order gives back."""

    def _wechat_order_ref(self):
        self.ensure_one()
        return OrderRef(
            uuid=self.uuid,
            company=self.company_id,
            config=self.config_id,
            session=self.session_id,
            partner=self.partner_id,
        )

    def _wechat_coupon_uses(self):
        """Return what the order takes off for each guarded coupon.

        :return: ``{coupon: values}``, see ``coupon.redemption._redeem``
        :rtype: dict
        """
        self.ensure_one()
        reward_lines = self._wechat_coupon_lines()
        # sudo: the template is not for users of the till to read.
        coupons_sudo = reward_lines.coupon_id.sudo().filtered("coupon_template_id")
        if not coupons_sudo:
            return {}
        terms = {"order": self._wechat_order_ref(), "cart": self._wechat_paid_cart()}
        return {
            coupon: {
                **terms,
                **self._wechat_coupon_use(
                    coupon,
                    reward_lines.filtered(
                        lambda line, coupon=coupon: line.coupon_id == coupon
                    ),
                ),
            }
            for coupon in coupons_sudo
        }

    def _wechat_paid_cart(self):
        """Return the order's lines as the till showed them before it was paid."""
        return Cart(
            lines=tuple(
                CartLine(
                    uuid=line.uuid or "",
                    product_id=line.product_id.id,
                    qty=line.qty,
                    price_total_fen=money.to_fen(line.price_subtotal_incl),
                    is_reward_line=line.is_reward_line,
                )
                for line in self.lines
            ),
            total_fen=money.to_fen(self.amount_total),
        )

    def _wechat_coupon_lines(self):
        """Return the lines on which a guarded coupon takes something off."""
        return self.lines.filtered(
            lambda line: (
                # Both, as a till can be made to send what does not fit together.
                (line.price_subtotal_incl < 0 or line.qty * line.price_unit < 0)
                # sudo: the template is not for users of the till to read.
                and line.sudo().coupon_id.coupon_template_id
                and not (
                    line.qty < 0
                    and line.refunded_orderline_id.coupon_id == line.coupon_id
                )
            )
        )

    def _wechat_coupon_use(self, coupon, reward_lines):
        return {
            "discount_fen": -sum(
                money.to_fen(line.price_subtotal_incl) for line in reward_lines
            ),
            "allowed_fen": self._wechat_allowed_fen(coupon, len(reward_lines)),
            "order_total_fen": money.to_fen(self.amount_total),
            "order_name": self.pos_reference or self.name,
            "pos_order_id": self.id,
            "lines": self._wechat_split(coupon, reward_lines),
        }

    def _wechat_split(self, coupon, reward_lines):
        """Split a coupon's discount over the goods it was given for, to the fen.

        Odoo makes one discount line for each set of taxes; each is split over the
        order lines with these taxes, in proportion to their amounts.

        :return: values of ``coupon.redemption.line``
        :rtype: list[dict]
        """
        goods = self._wechat_discounted_lines(coupon)
        parts = {}
        for reward_line in reward_lines:
            same = goods.filtered(
                lambda line, taxes=reward_line.tax_ids: _taxes(line) == taxes
            )
            targets = same or goods
            weights = [
                max(money.to_fen(line.price_subtotal_incl), 0) for line in targets
            ]
            amounts = money.split_fen(
                -money.to_fen(reward_line.price_subtotal_incl), weights
            )
            untaxed = money.split_fen(
                -money.to_fen(reward_line.price_subtotal), weights
            )
            for line, amount, net in zip(targets, amounts, untaxed, strict=True):
                part = parts.setdefault(line, [0, 0])
                part[0] += amount
                part[1] += net
        return [
            {
                "pos_line_id": line.id,
                "product_id": line.product_id.id,
                "tax_label": ", ".join(line.tax_ids.mapped("name")) or False,
                "quantity": line.qty,
                "line_fen": money.to_fen(line.price_subtotal_incl),
                "discount_fen": amount,
                "untaxed_fen": net,
            }
            for line, (amount, net) in parts.items()
            if amount or net
        ]

    def _wechat_discounted_lines(self, coupon):
        """Return the order lines that a coupon's discount falls on."""
        return self._wechat_matching_lines(coupon) or self._wechat_goods()

    def _wechat_goods(self):
        return self.lines.filtered(
            lambda line: not line.is_reward_line and line.price_subtotal_incl > 0
        )

    def _wechat_matching_lines(self, coupon):
        goods = self._wechat_goods()
        # sudo: rewards of a program that was archived meanwhile are read too.
        reward = coupon.program_id.sudo().with_context(active_test=False).reward_ids[:1]
        if reward.reward_type == "product":
            products = reward.reward_product_ids
        elif reward.discount_applicability == "specific":
            # Not `all_discount_product_ids`: it searches the whole catalogue, and an
            # option of the point of sale leaves it empty.
            products = goods.product_id.sudo().filtered_domain(
                reward._get_discount_product_domain()
            )
        else:
            return goods
        return goods.filtered(lambda line: line.product_id in products)

    def _wechat_allowed_fen(self, coupon, count):
        """Return what a coupon may take off this order at most, in fen.

        :param int count: number of discount lines; each was rounded by itself
        """
        lines = [
            (money.to_fen(line.price_subtotal_incl), line.qty)
            for line in self._wechat_matching_lines(coupon)
        ]
        return coupon.coupon_template_id._most_off_fen(lines) + count

    def _compute_wechat_redemption_count(self):
        counts = dict(
            self.env["coupon.redemption"]._read_group(
                [("pos_order_id", "in", self.ids)], ["pos_order_id"], ["__count"]
            )
        )
        for order in self:
            order.wechat_redemption_count = counts.get(order, 0)

    def action_wechat_redemptions(self):
        """Open the redemptions of the order's coupons."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_redemption_action"
        )
        return {**action, "domain": [("pos_order_id", "in", self.ids)], "context": {}}

    def validate_coupon_programs(self, point_changes, new_codes):
        """Override of `pos_loyalty`: the ledger has checked guarded coupons.

        Users of the till cannot read them, and the answer for a coupon without
        points would tell its code.
        """
        ids = [int(key) for key in point_changes if int(key) > 0]
        # sudo: guarded coupons are not for users of the till to read.
        cards_sudo = self.env["loyalty.card"].sudo().browse(ids).exists()
        guarded = set(cards_sudo.filtered("coupon_template_id").ids)
        unguarded = {
            key: points
            for key, points in point_changes.items()
            if int(key) not in guarded
        }
        return super().validate_coupon_programs(unguarded, new_codes)

    def confirm_coupon_programs(self, coupon_data):
        """Override of `pos_loyalty`: guarded coupons are the ledger's business.

        They were written with the order; a second change here would be one too
        many, whether the till calls once or twice.
        """
        return super().confirm_coupon_programs(self._wechat_unguarded(coupon_data))

    def _wechat_unguarded(self, coupon_data):
        ids = [int(key) for key in coupon_data if int(key) > 0]
        program_ids = {
            (vals or {}).get("program_id") for vals in coupon_data.values()
        } - {None, False}
        # sudo: the template is not for users of the till to read.
        cards_sudo = self.env["loyalty.card"].sudo().browse(ids).exists()
        guarded = set(cards_sudo.filtered("coupon_template_id").ids)
        programs_sudo = self.env["loyalty.program"].sudo().browse(program_ids).exists()
        guarded_programs = set(programs_sudo.filtered("wechat_guarded").ids)
        return {
            key: vals
            for key, vals in coupon_data.items()
            if int(key) not in guarded
            and (vals or {}).get("program_id") not in guarded_programs
        }


def _taxes(line):
    """The taxes by which Odoo's engine groups the lines for a discount."""
    return line.tax_ids.filtered(lambda tax: tax.amount_type != "fixed")
