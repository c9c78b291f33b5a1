import werkzeug

from odoo.http import Controller, request, route

_HAPPY = 5


class CouponFeedback(Controller):
    @route(
        "/wechat/coupon/feedback/<int:redemption_id>/<string:token>",
        type="http",
        auth="public",
        methods=["GET"],
        sitemap=False,
    )
    def feedback(self, redemption_id, token):
        """Lead whoever has the receipt or the message to Odoo's rating page."""
        # sudo: the token is the right; it is compared before anything is read.
        redemption_sudo = request.env["coupon.redemption"].sudo().browse(redemption_id)
        if (
            not 0 < redemption_id < 2**31
            or not redemption_sudo._is_feedback_token(token)
            or not redemption_sudo.exists()
        ):
            raise werkzeug.exceptions.NotFound()
        page = f"/rate/{redemption_sudo._feedback_access()}/{_HAPPY}"
        return request.redirect(page, local=False)
