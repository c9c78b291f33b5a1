import re
import secrets

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..const import MAX_COUNT
from ..tools.exceptions import WechatConfigError, make_error
from ..tools.transport import check_sandbox_url

_ADDRESS_KEY = re.compile(r"[0-9A-Za-z_-]{16,64}")


class WechatConnectionMixin(models.AbstractModel):
    """What an account and a merchant have in common: somebody at WeChat whom we call,
    and who calls us at an address that nobody can guess."""

    _name = "wechat.connection.mixin"
    _description = "Connection to WeChat"
    _inherit = ["mail.thread", "wechat.secret.mixin"]
    _order = "sequence, name, id"
    # A branch uses what its parent company has.
    _check_company_domain = models.check_company_domain_parent_of

    #: field of ``wechat.event`` that leads here
    _event_field = ""

    name = fields.Char(required=True, tracking=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True, tracking=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
        tracking=True,
    )
    environment = fields.Selection(
        [
            ("production", "WeChat"),
            ("sandbox", "Sandbox"),
            ("disabled", "Disabled"),
        ],
        required=True,
        default="production",
        copy=False,
        tracking=True,
        help="While it is disabled, nothing is sent and nothing is accepted.",
    )
    sandbox_url = fields.Char(
        string="Sandbox address",
        help="Address of the stand-in for WeChat's servers, e.g. http://127.0.0.1:8070",
    )
    event_count = fields.Char(compute="_compute_event_count")

    # === COMPUTE METHODS === #

    def _compute_event_count(self):
        for connection in self:
            connection.event_count = self._count_text(
                "wechat.event", [(self._event_field, "=", connection.id)]
            )

    # === CONSTRAINT METHODS === #

    @api.constrains("environment", "sandbox_url")
    def _check_sandbox_url(self):
        for connection in self.filtered(lambda c: c.environment == "sandbox"):
            try:
                check_sandbox_url(connection.sandbox_url)
            except ValueError:
                raise ValidationError(
                    self.env._(
                        "Enter the sandbox's address, e.g. http://127.0.0.1:8070 "
                        "(http or https, no user, no question mark)."
                    )
                ) from None

    # === CRUD METHODS === #

    def write(self, vals):
        if "company_id" in vals:
            self._check_same_company(vals["company_id"])
        return super().write(vals)

    def _check_same_company(self, company_id):
        """What hangs on a connection belongs to its company and would stay there."""
        field = self._fields["company_id"]
        for connection in self:
            changes = connection.company_id.id != field.convert_to_cache(
                company_id, connection, validate=False
            )
            if changes and connection._has_data():
                raise UserError(
                    self.env._(
                        "“%(name)s” is in use, so it stays with its company. Archive "
                        "it and make a new one for the other company.",
                        name=connection.display_name,
                    )
                )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        for connection in self:
            if connection._has_data():
                raise UserError(
                    self.env._(
                        "“%(name)s” is in use and cannot be deleted: what WeChat has "
                        "sent to it would go with it. Archive it instead.",
                        name=connection.display_name,
                    )
                )

    def _has_data(self):
        """Return whether anything hangs on this connection, whoever may see it.

        Such a connection keeps its company and is not deleted. To be extended by
        add-ons whose records point here.
        """
        self.ensure_one()
        # sudo: see above.
        events_sudo = self.env["wechat.event"].sudo()
        return bool(events_sudo.search([(self._event_field, "=", self.id)], limit=1))

    # === ACTION METHODS === #

    def action_view_events(self):
        """Open what WeChat has sent here."""
        self.check_access("read")
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_base.wechat_event_action"
        )
        return {**action, "domain": [(self._event_field, "=", self.id)], "context": {}}

    # === BUSINESS METHODS === #

    def _note_secret_change(self, name):
        """Override of `wechat.secret.mixin`: who changed it, and when, is on record."""
        label = self._fields[name]._description_string(self.env)
        self._message_log(body=self.env._("%(secret)s was changed.", secret=label))

    @api.model
    def _new_address_key(self):
        """Return the part of a callback address that nobody can guess."""
        return secrets.token_urlsafe(24)

    @api.model
    def _is_address_key(self, key):
        """Whether it can be one of ours; anybody may ask for any address."""
        return bool(_ADDRESS_KEY.fullmatch(key))

    @api.model
    def _count_text(self, model, domain):
        """Count for a button: many rows are not counted to the last one.

        :return: the number, or e.g. ``10000+``
        """
        count = self.env[model].search_count(domain, limit=MAX_COUNT + 1)
        return f"{MAX_COUNT}+" if count > MAX_COUNT else str(count)

    def _check_enabled(self):
        """Refuse to make a client for what is switched off.

        :raises WechatConfigError: code ``disabled``
        """
        self.ensure_one()
        if self.environment == "disabled":
            raise make_error(
                self.env._,
                WechatConfigError,
                "disabled",
                detail=self.display_name,
                code="disabled",
            )

    def _sandbox_address(self):
        """Return the sandbox's address, or ``None`` for WeChat itself."""
        sandbox = self.environment == "sandbox"
        return check_sandbox_url(self.sandbox_url) if sandbox else None
