"""What follows a redemption for people: the live view, messages, feedback."""

import logging

from psycopg2 import OperationalError

from odoo import models
from odoo.tools import consteq, hmac

_logger = logging.getLogger(__name__)

# What the live view listens to; it says nothing but that it is time to look.
BUS_REDEMPTION = "wechat_coupon/redemption"


class CouponRedemption(models.Model):
    _inherit = "coupon.redemption"

    def _after_redeem(self, uses, refused=None):
        """Extended: who wants to know is told."""
        res = super()._after_redeem(uses, refused)
        self._tell()
        return res

    def _tell(self):
        """Wake the live views and order notices; a paid order never fails on it."""
        redeemed = self.filtered(lambda redemption: redemption.state == "redeemed")
        try:
            with self.env.cr.savepoint():
                self.env["coupon.notice"]._make(redeemed)
                for company in self.company_id:
                    self._wake_live_views(company)
        except OperationalError:
            raise
        except Exception:
            _logger.exception("Nobody was told of redemptions %s", self.ids)

    def _wake_live_views(self, company):
        # sudo: a till's user does not read groups.
        auditors = self.env.ref("wechat_coupon.coupon_group_auditor").sudo()
        for user in auditors.all_user_ids:
            # What another company sells is nobody else's business.
            if company in user.company_ids:
                user._bus_send(BUS_REDEMPTION, {"company_id": company.id})

    def _customer(self):
        """Return who used the coupon, as far as we know: a ``res.partner``."""
        self.ensure_one()
        return self.partner_id or self.coupon_id.partner_id

    # === FEEDBACK === #

    def _rating_get_parent_field_name(self):
        """Override of ``rating``: feedback is evaluated by template."""
        return "template_id"

    def _rating_get_partner(self):
        """Override of ``rating``."""
        return self._customer()

    def _feedback_token(self):
        self.ensure_one()
        return hmac(self.env(su=True), "wechat_coupon-feedback", self.id)[:32]

    def _feedback_url(self):
        """Return the address of the page that asks how it was."""
        # sudo: the system's own address.
        base = self.sudo().get_base_url()
        return f"{base}/wechat/coupon/feedback/{self.id}/{self._feedback_token()}"

    def _is_feedback_token(self, token):
        return token.isascii() and consteq(self._feedback_token(), token)

    def _feedback_access(self):
        """Return the token of Odoo's rating page; the same one each time.

        The row is locked: who opens the page twice at once rates once.
        """
        self.ensure_one()
        self.env.cr.execute(
            "SELECT id FROM coupon_redemption WHERE id = %s FOR UPDATE", [self.id]
        )
        self.invalidate_recordset(["rating_ids"])
        rating = self.rating_ids[:1]
        return rating.access_token if rating else self._rating_get_access_token()
