"""Pausing a stock at WeChat, where WeChat itself hands the coupons out."""

from odoo import fields, models


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    paused_there = fields.Boolean(
        readonly=True, copy=False, help="WeChat has paused it, and may let it go on."
    )

    def action_pause(self):
        """Extended: a channel that hands out by itself is told."""
        res = super().action_pause()
        self._write_guarded({"paused_there": False})
        self._tell_pause()
        return res

    def action_resume(self):
        """Extended: a channel that hands out by itself is told."""
        res = super().action_resume()
        self._tell_pause()
        return res

    def _follow_remote(self, state):
        """Extended: a coupon that was paused here is not resumed by WeChat."""
        if self.state == "paused" and state == "live" and self._is_paused_here():
            return
        was = self.state
        super()._follow_remote(state)
        if was != "paused" and self.state == "paused":
            self._write_guarded({"paused_there": True})

    def _is_paused_here(self):
        """Whether somebody has paused the coupon of whom WeChat does not know.

        Where WeChat was told, whoever resumes the coupon there means to.
        """
        self.ensure_one()
        # sudo: tasks are technical.
        told_sudo = (
            self.env["coupon.task"]
            .sudo()
            .search(
                [("template_id", "=", self.id), ("kind", "=", "pause")],
                order="id desc",
                limit=1,
            )
        )
        return not self.paused_there and told_sudo.remote_state != "done"

    def _tell_pause(self):
        for template in self:
            if template._channel()._pauses_there:
                self.env["coupon.task"]._start_once("pause", template)


class CouponTask(models.Model):
    _inherit = "coupon.task"

    def _call_pause(self, channel):
        return {"result": channel._follow_pause(self.template_id, self.request_no)}

    def _query_pause(self, channel):
        return channel._is_pause_followed(self.template_id)


class CouponChannelFavor(models.AbstractModel):
    _inherit = "coupon.channel.favor"

    _pauses_there = True

    def _follow_pause(self, template, number):
        """Override of ``coupon.channel``: hold the stock, or hand out again.

        WeChat docs: POST /v3/marketing/favor/stocks/{stock_id}/pause, restart
        """
        if template.state not in ("live", "paused"):
            # It was ended meanwhile.
            return {}
        if not self._is_pause_followed(template):
            verb = "pause" if template.state == "paused" else "restart"
            self._stock_verb(template, verb, number)
        return {"remote_status": self._pause_status(template)}

    def _is_pause_followed(self, template):
        """Override of ``coupon.channel``."""
        if template.state not in ("live", "paused"):
            return True
        return self._stock(template).get("status") == self._pause_status(template)

    def _pause_status(self, template):
        return "paused" if template.state == "paused" else "running"
