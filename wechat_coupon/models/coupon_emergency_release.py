import time
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.wechat_base.tools import money
from odoo.addons.wechat_base.tools.columns import Fen

from .. import const

# A reservation is given in this time, or the manager is asked again.
_VALID_MINUTES = 30
_MAX_REASON = 200


def _is_good(release):
    """Whether a manager need not be asked again."""
    since = fields.Datetime.now() - timedelta(minutes=_VALID_MINUTES)
    return release["create_date"] > since


def _total_fen(releases):
    return sum(release["worth_fen"] for release in releases)


class CouponEmergencyRelease(models.Model):
    """A manager takes a coupon that WeChat cannot be asked about.

    The shop bears the loss if it turns out to be used already; so it is for certain
    templates, up to a value for each shop and day, with a name and a reason.
    """

    _name = "coupon.emergency.release"
    _description = "Emergency Release of a Coupon"
    _order = "id desc"
    _rec_name = "reason"

    coupon_id = fields.Many2one(
        "loyalty.card", required=True, readonly=True, index=True, ondelete="restrict"
    )
    template_id = fields.Many2one(
        "coupon.template", required=True, readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )
    config_id = fields.Many2one(
        "pos.config", string="Shop", required=True, readonly=True, ondelete="restrict"
    )
    order_uuid = fields.Char(string="Order UUID", required=True, readonly=True)
    manager_id = fields.Many2one(
        "res.users", string="Released By", required=True, readonly=True
    )
    user_id = fields.Many2one(
        "res.users", string="Cashier", required=True, readonly=True
    )
    reason = fields.Char(required=True, readonly=True)
    worth_fen = Fen(string="Worth (fen)", readonly=True)
    worth = fields.Monetary(compute="_compute_worth")
    currency_id = fields.Many2one(related="company_id.currency_id")

    _by_day = models.Index("(config_id, template_id, create_date)")

    @api.depends("worth_fen")
    def _compute_worth(self):
        for release in self:
            release.worth = money.from_fen(release.worth_fen)

    @api.model
    def _release(self, order, coupons, cart, manager, reason):
        """Release coupons for an order, for what they take off it now.

        If more is on the order later, a manager is asked for the rest.

        :param order: :class:`~.tools.cart.OrderRef`
        :param coupons: ``loyalty.card`` records
        :param cart: :class:`~.tools.cart.Cart`
        :param manager: ``res.users`` record that has been recognised
        :param str reason: why
        :raises UserError: if a template does not allow it, or not so much
        """
        reason = (reason or "").strip()[:_MAX_REASON]
        if not reason:
            raise UserError(self.env._("Enter why the coupon is released."))
        # sudo: cashiers do not write releases; who may, is checked by the caller.
        releases = self.sudo()
        for coupon in coupons.sudo():
            template = coupon.coupon_template_id
            if template.offline_policy != "release":
                raise UserError(
                    self.env._(
                        "“%(template)s” is not released when WeChat is down.",
                        template=template.name,
                    )
                )
            releases._lock(order.config, template)
            known = releases._committed(
                releases._domain_of(order.uuid, order.company, coupon)
            )
            # What was released before is in the day's account already.
            worth = coupon._wechat_worth_fen(cart) - _total_fen(known)
            worth = max(worth, 0)
            if not worth and any(map(_is_good, known)):
                continue
            left = template.offline_cap_fen - releases._today_fen(
                order.config, template
            )
            if worth > left:
                raise UserError(
                    self.env._(
                        "Of “%(template)s” this shop may still release ¥%(left)s "
                        "today, and this coupon is worth ¥%(worth)s.",
                        template=template.name,
                        left=money.format_fen(max(left, 0)),
                        worth=money.format_fen(worth),
                    )
                )
            releases.create(
                {
                    "coupon_id": coupon.id,
                    "template_id": template.id,
                    "company_id": order.company.id,
                    "config_id": order.config.id,
                    "order_uuid": order.uuid,
                    "manager_id": manager.id,
                    "user_id": self.env.uid,
                    "reason": reason,
                    "worth_fen": worth,
                }
            )

    @api.model
    def _lock(self, config, template):
        """Let nobody else release of the same template in the shop meanwhile."""
        self.env.cr.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"coupon_release:{config.id}:{template.id}"],
        )

    @api.model
    def _today_fen(self, config, template):
        """Return what has been released in a shop today, in fen."""
        begin = template._begin_of_day(template._today())
        return _total_fen(
            self._committed(
                [
                    ("config_id", "=", config.id),
                    ("template_id", "=", template.id),
                    ("create_date", ">=", begin),
                ]
            )
        )

    @api.model
    def _committed(self, domain):
        """Find releases, also those that were committed after our transaction began.

        Their transactions are over: we have the lock.

        :return: ``worth_fen`` and ``create_date`` of each
        :rtype: list[dict]
        """
        names = ["worth_fen", "create_date"]
        own = self.search_read(domain, names)
        with self.env.registry.cursor() as cr:
            others = self.with_env(self.env(cr=cr)).search_read(domain, names)
        return list({row["id"]: row for row in [*others, *own]}.values())

    @api.model
    def _domain_of(self, order_uuid, company, coupons):
        return [
            ("order_uuid", "=", order_uuid),
            ("company_id", "=", company.id),
            ("coupon_id", "in", coupons.ids),
        ]

    @api.model
    def _of(self, order, coupon):
        """Return the releases of a coupon for an order that are good yet."""
        found = self._all_of(order.uuid, order.company, coupon)
        return found.filtered(_is_good)

    @api.model
    def _all_of(self, order_uuid, company, coupons):
        """Return the releases of coupons for an order, the last one first."""
        return self.sudo().search(self._domain_of(order_uuid, company, coupons))


class CouponRedemption(models.Model):
    _inherit = "coupon.redemption"

    release_id = fields.Many2one(
        "coupon.emergency.release",
        string="Emergency Release",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )

    def _refusals(self, order, coupons, cart, holders):
        """Extended: more than was released has to be asked for."""
        refusals = super()._refusals(order, coupons, cart, holders)
        return refusals or self._beyond_releases(order, coupons, cart, holders)

    def _beyond_releases(self, order, coupons, cart, holders):
        """Ask about coupons that take off more than a manager has released.

        The channel may answer by now; if not, a manager can release the rest.
        """
        refusals = []
        deadline = time.monotonic() + const.TILL_DEADLINE
        found = self.env["coupon.emergency.release"]._all_of(
            order.uuid, order.company, coupons
        )
        for coupon, releases in found.grouped("coupon_id").items():
            holder = holders.get(coupon.id)
            if cart is None or (holder and holder["state"] == "redeemed"):
                continue
            if coupon._wechat_worth_fen(cart) > _total_fen(releases):
                channel = coupon.coupon_template_id._channel()
                reason = self._ask_channel(channel, coupon, deadline)
                if reason:
                    refusals.append((coupon, reason, {}))
        return refusals

    @api.model
    def _ask_channel(self, channel, coupon, deadline, order=None):
        """Extended: what a manager has released is not asked about."""
        if order and self.env["coupon.emergency.release"]._of(order, coupon):
            return None
        return super()._ask_channel(channel, coupon, deadline, order=order)

    def _after_redeem(self, uses, refused=None):
        """Extended: a released coupon is on the worklist until WeChat has it."""
        res = super()._after_redeem(uses, refused)
        for redemption in self.filtered(lambda one: one.state == "redeemed"):
            releases = self.env["coupon.emergency.release"]._all_of(
                redemption.order_uuid, redemption.company_id, redemption.coupon_id
            )
            if releases:
                redemption.release_id = releases[0]
                redemption._add_problems(redemption._release_problems(releases))
                redemption._ask_manager("released")
        return res

    def _release_problems(self, releases):
        """Return what the manager reads; what is too much stays on the worklist."""
        problems = [self._release_problem()]
        released = _total_fen(releases)
        # Odoo rounds the discount for each tax.
        if (self.discount_fen or 0) > released + len(self.line_ids):
            values = {
                "discount": money.format_fen(self.discount_fen),
                "released": money.format_fen(released),
            }
            problems.append(("release_exceeded", values))
        return problems

    def _release_problem(self):
        release = self.release_id
        return "emergency_release", {
            "manager": release.manager_id.name,
            "reason": release.reason,
        }

    @api.model
    def _topics(self):
        return {
            **super()._topics(),
            "released": self.env._(
                "A coupon was taken while WeChat could not be asked."
            ),
        }

    def _operation_done(self, vals):
        """Extended: WeChat has written it off, so the release did no harm."""
        if self.release_id and self.problems:
            harmless = [list(self._release_problem())]
            self.problems = [one for one in self.problems if one not in harmless]
        return super()._operation_done(vals)
