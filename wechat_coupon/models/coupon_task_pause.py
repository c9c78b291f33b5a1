"""Pausing a stock at WeChat, where WeChat itself hands the coupons out."""

from odoo import models


class CouponTemplate(models.Model):
    _inherit = "coupon.template"

    def action_pause(self):
        """Extended: a channel that hands out by itself is told."""
        res = super().action_pause()
        self._tell_pause()
        return res

    def action_resume(self):
        """Extended: a channel that hands out by itself is told."""
        res = super().action_resume()
        self._tell_pause()
        return res

    def _is_resumed(self):
        """Override of ``coupon.template``: unless the channel is still to be told."""
        # sudo: tasks are technical.
        last_sudo = (
            self.env["coupon.task"]
            .sudo()
            .search([("template_id", "=", self.id), ("kind", "=", "pause")], limit=1)
        )
        return self._channel()._pauses_there and last_sudo.remote_state in (
            False,
            "done",
        )

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
