from odoo import models


class CouponChannel(models.AbstractModel):
    _inherit = "coupon.channel"

    def _claim_url(self, template):
        """Return where customers get a coupon of the template by themselves.

        The QR code of its poster holds the address.

        :param template: ``coupon.template`` record
        :return: an address of the channel, or ``None`` for our own page
        """
        return None

    def _check_send(self, template):
        """Refuse a hand-out that the channel cannot make.

        :raises UserError: if customers have to get the coupon by themselves
        """
        template._check_generate()

    def _send(self, issues):
        """Make the coupons of planned rows of a hand-out.

        A channel that hands out at WeChat orders that here; a row that has no coupon
        when this returns is planned still.

        :param issues: ``coupon.issue`` records of one template
        :return: the coupons
        :rtype: ``loyalty.card`` records with sudo
        """
        return issues._make()
