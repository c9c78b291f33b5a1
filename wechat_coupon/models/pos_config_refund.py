from odoo import models

from ..tools import codes


class PosConfig(models.Model):
    _inherit = "pos.config"

    def wechat_coupon_given_back(self, order_uuid):
        """Say what became of the coupons of goods that a refund gave back.

        :param str order_uuid: the refund, paid at this till
        :return: ``ok`` and ``coupons``: ``id``, ``name``, ``code`` (the end of it),
            ``new_code`` (of a replacement, or ``False``; the end of it once the
            refund's session is closed), ``is_back`` and ``message``, one for each
            coupon
        :rtype: dict
        """
        order = self._wechat_order(order_uuid)
        # sudo: users of the till do not read the ledger themselves.
        refunds_sudo = (
            self.env["coupon.redemption.refund"]
            .sudo()
            .search(
                [
                    ("document", "=", order.uuid),
                    ("company_id", "=", order.company.id),
                    ("pos_order_id.config_id", "=", self.id),
                ],
                order="id",
            )
        )
        # Who knows the code has the coupon: the till hands it over when it refunds, and
        # nobody goes through old refunds for codes.
        masked = any(
            session.state == "closed"
            for session in refunds_sudo.pos_order_id.session_id
        )
        return {
            "ok": True,
            "coupons": [
                {
                    "id": redemption.coupon_id.id,
                    "name": redemption.template_id.name,
                    "code": codes.mask(redemption.coupon_id.code),
                    "new_code": _new_code(redemption, masked),
                    "is_back": redemption.state == "returned",
                    "message": redemption._return_sentence(masked),
                }
                for redemption in refunds_sudo.redemption_id
            ],
        }


def _new_code(redemption, masked):
    code = redemption.replacement_id.code
    return codes.mask(code) if code and masked else code or False
