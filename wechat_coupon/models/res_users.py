from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

# Digits: a till's number pad is what it is typed on.
_PIN_DIGITS = (4, 12)
# Wrong PINs of a till, and of a manager, in ten minutes.
_TRIES, _TRIES_SECONDS = 5, 600


class ResUsers(models.Model):
    _inherit = "res.users"

    wechat_release_pin = fields.Char(
        string="PIN for Coupons",
        compute="_compute_wechat_release_pin",
        inverse="_inverse_wechat_release_pin",
        help="With it you release coupons at a till when WeChat is down. Four to "
        "twelve digits; it is not shown again.",
    )
    wechat_release_pin_hash = fields.Char(groups=fields.NO_ACCESS, copy=False)

    @property
    def SELF_READABLE_FIELDS(self):
        return super().SELF_READABLE_FIELDS + ["wechat_release_pin"]

    @property
    def SELF_WRITEABLE_FIELDS(self):
        return super().SELF_WRITEABLE_FIELDS + ["wechat_release_pin"]

    @api.depends("wechat_release_pin_hash")
    def _compute_wechat_release_pin(self):
        for user in self:
            # sudo: whether there is one is no secret.
            user.wechat_release_pin = (
                "••••" if user.sudo().wechat_release_pin_hash else False
            )

    def _inverse_wechat_release_pin(self):
        for user in self:
            pin = user.wechat_release_pin
            if pin == "••••":
                continue
            if user != self.env.user and not self.env.is_system():
                raise AccessError(self.env._("Everybody sets the own PIN only."))
            low, high = _PIN_DIGITS
            if pin and not (
                pin.isascii() and pin.isdigit() and low <= len(pin) <= high
            ):
                raise ValidationError(
                    self.env._(
                        "A PIN has %(low)s to %(high)s digits.", low=low, high=high
                    )
                )
            # sudo: the hash is for nobody to read or write.
            user.sudo().wechat_release_pin_hash = (
                self._crypt_context().hash(pin) if pin else False
            )
        # What was typed is not to be read again.
        self.invalidate_recordset(["wechat_release_pin"], flush=False)

    @api.model
    def _wechat_releasers(self, company):
        """Return the users who may release coupons at a company's tills.

        :rtype: ``res.users`` records with sudo
        """
        # sudo: who belongs to a group is not for cashiers to read.
        group = self.env.ref("wechat_coupon.coupon_group_manager").sudo()
        return group.all_user_ids.filtered(
            lambda user: (
                user.active
                and company in user.company_ids
                and user.wechat_release_pin_hash
            )
        )

    @api.model
    def _wechat_check_pin(self, manager_id, pin, config):
        """Return the manager to whom a PIN belongs.

        :param int manager_id: ``res.users``
        :param str pin: as typed at the till
        :param config: ``pos.config`` record of the till
        :raises UserError: if it is wrong, or was wrong too often
        """
        manager = self._wechat_releasers(config.company_id).filtered(
            lambda user: user.id == manager_id
        )
        guard = self.env["wechat.rate.guard"]
        keys = (f"coupon_pin:till:{config.id}", f"coupon_pin:user:{manager.id}")
        if any(guard._acquire(key, _TRIES, _TRIES_SECONDS, _TRIES) for key in keys):
            raise UserError(
                self.env._("The PIN was wrong too often. Wait ten minutes.")
            )
        good = (
            manager
            and isinstance(pin, str)
            and len(pin) <= _PIN_DIGITS[1]
            and self._crypt_context().verify(pin, manager.wechat_release_pin_hash)
        )
        if not good:
            raise UserError(self.env._("This PIN is not right. Type it again."))
        for key in keys:
            guard._give_back(key, _TRIES, _TRIES_SECONDS, _TRIES)
        return manager
