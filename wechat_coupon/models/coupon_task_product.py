"""Orders to WeChat that only product coupons have: pictures, confirmation."""

from odoo import api, fields, models


class CouponTask(models.Model):
    _inherit = "coupon.task"

    kind = fields.Selection(
        selection_add=[("picture", "Bring pictures"), ("confirm", "Confirm receipt")],
        ondelete={"picture": "cascade", "confirm": "cascade"},
    )

    # However often WeChat reports a coupon: it is confirmed with one number.
    _one_confirm_per_coupon = models.UniqueIndex(
        "(coupon_id) WHERE kind = 'confirm'", "This coupon is being confirmed already."
    )

    @api.model
    def _start_confirm(self, coupon):
        """Order the confirmation of a coupon, once; the caller has locked it.

        :param coupon: ``loyalty.card`` record
        """
        # sudo: see `_start`.
        known = self.sudo().search(
            [("kind", "=", "confirm"), ("coupon_id", "=", coupon.id)], limit=1
        )
        if not known:
            self._start("confirm", coupon.coupon_template_id, coupon)
        elif known.remote_state == "refused":
            # Reported once more: what was in the way may be gone.
            known.action_operation_retry()

    # === CALLS === #

    def _call_picture(self, channel):
        return {"result": channel._bring_pictures(self.template_id)}

    def _query_picture(self, channel):
        # Nobody sees a picture that no coupon has: bring it again.
        return False

    def _call_confirm(self, channel):
        return {"result": channel._confirm(self.coupon_id, self.request_no)}

    def _query_confirm(self, channel):
        return channel._is_confirmed(self.coupon_id)

    # === OUTCOMES === #

    def _operation_record_done(self, vals):
        """Extended: what WeChat says of a confirmed coupon is not the template's."""
        if self.kind != "confirm":
            return super()._operation_record_done(vals)
        vals = dict(vals)
        shown = vals.pop("result", None) or {}
        done = super()._operation_record_done(vals)
        self.template_id._channel()._confirmed(self.coupon_id, shown)
        return done

    def _operation_done(self, vals):
        """Extended: after the pictures comes the coupon."""
        result = super()._operation_done(vals)
        if self.kind == "picture":
            self._start("publish", self.template_id)
        return result

    def _operation_refused(self, error):
        """Extended: a coupon that is not confirmed, a template that is rejected."""
        channel = self.template_id._channel()
        if self.kind == "confirm":
            return channel._not_confirmed(self.coupon_id, error)
        if self.kind == "start" and error.code == "REJECTED":
            return channel._rejected(self.template_id, str(error))
        return super()._operation_refused(error)
