from odoo import api, fields, models
from odoo.exceptions import AccessError

from ..tools import secret_box


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    wechat_account_count = fields.Integer(compute="_compute_wechat_counts")
    wechat_merchant_count = fields.Integer(compute="_compute_wechat_counts")
    wechat_key_state = fields.Selection(
        [
            ("ok", "The key fits the secrets in this database."),
            ("none", "No secret has been entered yet; a key is made with the first."),
            ("missing", "The key is missing on this server."),
            ("invalid", "What is configured is not a key."),
            ("wrong", "The secrets were encrypted with another key."),
        ],
        compute="_compute_wechat_key",
    )
    wechat_key_source = fields.Char(compute="_compute_wechat_key")
    wechat_queue_text = fields.Char(compute="_compute_wechat_queue")
    wechat_queue_late = fields.Boolean(compute="_compute_wechat_queue")

    @api.depends_context("company")
    def _compute_wechat_counts(self):
        for settings in self:
            settings.wechat_account_count = self.env["wechat.account"].search_count([])
            settings.wechat_merchant_count = self.env["wechat.merchant"].search_count(
                []
            )

    def _compute_wechat_key(self):
        sources = {
            "environment": self.env._("environment variable WECHAT_SECRET_KEY"),
            "option": self.env._("option wechat_secret_key of the configuration file"),
            "file": self.env._("file %(file)s", file=secret_box.key_file()),
            None: "",
        }
        for settings in self:
            settings.wechat_key_state = self.env[
                "wechat.secret.mixin"
            ]._secret_key_state()
            settings.wechat_key_source = sources[secret_box.key_source()]

    def _compute_wechat_queue(self):
        count, seconds = self._wechat_queue_status()
        for settings in self:
            settings.wechat_queue_late = seconds > 300
            if not count:
                settings.wechat_queue_text = self.env._("Nothing waits.")
            else:
                settings.wechat_queue_text = self.env._(
                    "%(count)s waiting, the oldest for %(minutes)s minutes.",
                    count=count,
                    minutes=seconds // 60,
                )

    @api.model
    def _wechat_queue_status(self):
        """Return how many rows are due and for how many seconds at most."""
        names = self.env.registry.descendants(["wechat.drain.mixin"], "_inherit")
        count, oldest = 0, 0
        for name in names:
            model = self.env[name]
            if not model._abstract:
                due_count, due = model._drain_due()
                count += due_count
                oldest = max(oldest, int(-(due or 0)))
        return count, oldest

    def action_wechat_rotate_secrets(self):
        """Encrypt all secrets anew with the first key of the list."""
        self._wechat_check_system()
        self.env["wechat.secret.mixin"]._secret_rotate_all()
        return self._wechat_notice(
            self.env._("All WeChat secrets are now encrypted with the current key.")
        )

    def action_wechat_forget_secrets(self):
        """Empty the secrets that no key of ours can read."""
        self._wechat_check_system()
        count = self.env["wechat.secret.mixin"]._secret_forget_unreadable()
        return self._wechat_notice(
            self.env._("%(count)s unreadable secrets were emptied.", count=count)
        )

    def _wechat_check_system(self):
        """Refuse everybody but system administrators; the settings' own rights do
        not cover a call without a record."""
        if not self.env.user._is_system():
            raise AccessError(
                self.env._("Only system administrators may change WeChat's secrets.")
            )

    def _wechat_notice(self, message):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "reload"},
            },
        }
