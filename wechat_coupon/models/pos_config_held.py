from odoo import fields, models

from .. import const
from ..tools import codes


class PosConfig(models.Model):
    _inherit = "pos.config"

    def wechat_coupon_held(self, order_uuid, partner_id, cart):
        """Return what the customer of an order could use, the next to expire first.

        :param str order_uuid: the order
        :param int partner_id: its customer
        :param dict cart: see :mod:`~.tools.cart`
        :return: ``ok``; if it is: ``coupons`` (``code``, ``end`` of it, ``name``,
            ``gives``, ``valid``, ``eligible`` and ``message``, why not, each) and
            ``more``, whether there are others; if not: ``message``
        :rtype: dict
        """
        order = self._wechat_order(order_uuid, partner_id)
        cart = self._wechat_cart(cart)
        # Nobody reads a whole list of customers' coupons code by code.
        if self.env["wechat.rate.guard"]._acquire(
            f"coupon_held:{self.env.uid}", const.HELD_PER_MINUTE, 60
        ):
            return {"ok": False, "message": self._wechat_message("too_many_looks")}
        coupons_sudo = self._wechat_held(order)
        shown = coupons_sudo[: const.MAX_HELD_SHOWN]
        return {
            "ok": True,
            "coupons": [self._wechat_held_data(one, order, cart) for one in shown],
            "more": len(coupons_sudo) > const.MAX_HELD_SHOWN,
        }

    def _wechat_held(self, order):
        """Return the usable coupons of an order's customer.

        :rtype: ``loyalty.card`` records with sudo
        """
        # sudo: guarded coupons are not for users of the till to read.
        cards_sudo = self.env["loyalty.card"].sudo()
        if not order.partner:
            return cards_sudo
        return cards_sudo.search(
            [
                ("coupon_template_id", "!=", False),
                ("company_id", "in", order.companies.ids),
                ("wechat_state", "=", "usable"),
                "|",
                ("wechat_valid_to", "=", False),
                ("wechat_valid_to", ">=", fields.Datetime.now()),
                "|",
                ("partner_id", "=", order.partner.id),
                ("wechat_identity_id.partner_id", "=", order.partner.id),
            ],
            order="wechat_valid_to, id",
            limit=const.MAX_HELD_SHOWN + 1,
        )

    def _wechat_held_data(self, coupon_sudo, order, cart):
        reasons = self._wechat_reasons(coupon_sudo, order, cart)
        return {
            "code": coupon_sudo.code,
            "end": codes.mask(coupon_sudo.code),
            "name": coupon_sudo.coupon_template_id.name,
            "gives": coupon_sudo.coupon_template_id.benefit,
            "valid": coupon_sudo._wechat_validity_text(),
            "eligible": not reasons,
            "message": reasons[0]["message"] if reasons else "",
        }
