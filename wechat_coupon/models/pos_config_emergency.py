from odoo import models
from odoo.exceptions import UserError


class PosConfig(models.Model):
    _inherit = "pos.config"

    def wechat_coupon_managers(self):
        """Return who may release coupons at this till when WeChat is down.

        :return: ``id`` and ``name`` each; the user of the till needs no PIN if
            ``is_self`` says that it is one of them
        :rtype: list[dict]
        """
        self._wechat_check_till()
        users = self.env["res.users"]
        found = users._wechat_releasers(self.company_id)
        own = self._wechat_own_releaser()
        return [
            {"id": user.id, "name": user.name, "is_self": user == own}
            for user in found | own.sudo()
        ]

    def wechat_coupon_release_offline(
        self, order_uuid, coupons, cart, release, partner_id=False
    ):
        """Take coupons although WeChat cannot be asked; a manager says so.

        Nothing is held yet: the till reserves again after it.

        :param str order_uuid: the order
        :param list coupons: as for :meth:`wechat_coupon_reserve`
        :param dict cart: see :mod:`~.tools.cart`
        :param dict release: ``manager_id``, ``pin`` (kept nowhere) and ``reason``
        :param int partner_id: customer on the order, or ``False``
        :raises UserError: if the PIN is wrong, a template does not allow it or
            today's amount is used up
        """
        order = self._wechat_order(order_uuid, partner_id)
        shown = self._wechat_shown(coupons)
        cart = self._wechat_cart(cart)
        if not isinstance(release, dict) or not isinstance(release.get("reason"), str):
            self._wechat_bad_argument("release")
        # sudo: guarded coupons are not for users of the till to read.
        cards = (
            self.env["loyalty.card"]
            .sudo()
            .search([("id", "in", list(shown)), ("coupon_template_id", "!=", False)])
        )
        unknown = self._wechat_not_shown(order, cards, shown)
        strange = cards.filtered(lambda card: card.company_id not in order.companies)
        if unknown or strange or not cards:
            raise UserError(self._wechat_message("not_on_order"))
        manager = self._wechat_releaser(release)
        self.env["coupon.emergency.release"]._release(
            order, cards, cart, manager, release["reason"]
        )
        return {"ok": True}

    def _wechat_own_releaser(self):
        """Return the till's user if that is a manager who needs no PIN, or nobody.

        Where employees share the till's login, it says nothing about who stands there.
        """
        user = self.env.user
        if self.module_pos_hr or not user.has_group(
            "wechat_coupon.coupon_group_manager"
        ):
            return user.browse()
        return user

    def _wechat_releaser(self, release):
        manager_id = self._wechat_ids([release.get("manager_id")], 1)[0]
        own = self._wechat_own_releaser()
        if manager_id == own.id:
            return own
        return self.env["res.users"]._wechat_check_pin(
            manager_id, release.get("pin"), self
        )
