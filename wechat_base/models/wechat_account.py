import base64
import binascii
import re
import secrets

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..const import MAX_COUNT, TOKEN_PATIENCE
from ..tools.exceptions import WechatConfigError, make_error
from ..tools.official_client import WechatOfficialClient
from ..tools.transport import check_sandbox_url

APPID = re.compile(r"^wx[0-9a-zA-Z]{8,30}$")
TOKEN = re.compile(r"^[0-9A-Za-z]{3,32}$")
AES_KEY = re.compile(r"^[0-9A-Za-z]{43}$")


class WechatAccount(models.Model):
    """An Official Account (service or subscription) or a mini program."""

    _name = "wechat.account"
    _description = "WeChat Account"
    _inherit = ["mail.thread", "wechat.secret.mixin"]
    _order = "sequence, name, id"

    _SECRET_FIELDS = ("secret", "token", "encoding_aes_key")
    _SECRET_TARGET_FIELDS = ("appid", "environment", "sandbox_url")

    def _default_callback_key(self):
        return secrets.token_urlsafe(24)

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
    account_type = fields.Selection(
        [
            ("service", "Service account"),
            ("subscription", "Subscription account"),
            ("mini_program", "Mini program"),
        ],
        string="Type",
        required=True,
        default="service",
    )
    appid = fields.Char(string="AppID", required=True, copy=False, tracking=True)
    original_id = fields.Char(
        string="Original ID",
        copy=False,
        help="Begins with gh_. When it is set, callbacks for another account are "
        "refused.",
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
        help="Disabled accounts neither send nor accept anything.",
    )
    sandbox_url = fields.Char(
        string="Sandbox address",
        help="Address of the stand-in for WeChat's servers, e.g. http://127.0.0.1:8070",
    )

    secret = fields.Char(
        string="AppSecret",
        compute="_compute_secrets",
        inverse="_inverse_secret",
        groups="base.group_system",
        copy=False,
    )
    secret_cipher = fields.Text(groups=fields.NO_ACCESS, copy=False)
    token = fields.Char(
        string="Callback token",
        compute="_compute_secrets",
        inverse="_inverse_token",
        groups="base.group_system",
        copy=False,
    )
    token_cipher = fields.Text(groups=fields.NO_ACCESS, copy=False)
    encoding_aes_key = fields.Char(
        string="EncodingAESKey",
        compute="_compute_secrets",
        inverse="_inverse_encoding_aes_key",
        groups="base.group_system",
        copy=False,
    )
    encoding_aes_key_cipher = fields.Text(groups=fields.NO_ACCESS, copy=False)

    callback_mode = fields.Selection(
        [
            ("plain", "Plain text"),
            ("compat", "Compatible"),
            ("safe", "Encrypted (recommended)"),
        ],
        string="Message mode",
        required=True,
        default="safe",
        help="As chosen in WeChat's console. With the compatible mode the encrypted "
        "part is the one that is used.",
    )
    callback_key = fields.Char(
        default=lambda self: self._default_callback_key(),
        required=True,
        readonly=True,
        copy=False,
    )
    callback_url = fields.Char(
        string="Callback address",
        compute="_compute_callback_url",
        help="Enter this address as server URL in WeChat's console.",
    )
    event_count = fields.Char(compute="_compute_event_count")
    identity_count = fields.Char(compute="_compute_identity_count")

    # One record speaks for an account; a second one, e.g. for training against the
    # sandbox, may stand beside it. In a neutralised copy both are disabled.
    _appid_uniq = models.UniqueIndex(
        "(appid, environment) WHERE active AND environment != 'disabled'",
        "There is already an active WeChat account with this AppID.",
    )
    _callback_key_uniq = models.Constraint(
        "UNIQUE(callback_key)", "The callback key must be unique."
    )

    # === COMPUTE METHODS === #

    @api.depends("callback_key")
    def _compute_callback_url(self):
        for account in self:
            account.callback_url = (
                f"{account.get_base_url()}/wechat/oa/{account.callback_key}"
            )

    def _compute_event_count(self):
        for account in self:
            account.event_count = count_text(
                self.env["wechat.event"], [("account_id", "=", account.id)]
            )

    def _compute_identity_count(self):
        for account in self:
            account.identity_count = count_text(
                self.env["wechat.identity"], [("account_id", "=", account.id)]
            )

    # === INVERSE METHODS === #

    def _inverse_secret(self):
        self._keep_secret("secret")

    def _inverse_token(self):
        self._keep_secret("token")

    def _inverse_encoding_aes_key(self):
        self._keep_secret("encoding_aes_key")

    # === CONSTRAINT METHODS === #

    @api.constrains("appid")
    def _check_appid(self):
        for account in self:
            if not APPID.match(account.appid or ""):
                raise ValidationError(
                    self.env._(
                        "“%(appid)s” is not an AppID: it begins with wx, followed by "
                        "letters and digits.",
                        appid=account.appid,
                    )
                )

    @api.constrains("environment", "sandbox_url")
    def _check_sandbox_url(self):
        for account in self.filtered(lambda a: a.environment == "sandbox"):
            _check_sandbox_url(self.env, account.sandbox_url)

    # === CRUD METHODS === #

    def write(self, vals):
        result = super().write(vals)
        if {"appid", "secret", "environment", "sandbox_url"} & vals.keys():
            # sudo: the table of tokens is closed to everybody.
            self.env["wechat.token"].sudo()._forget(self)
        return result

    def _clean_secret(self, name, value):
        """Override of `wechat.secret.mixin` to check what WeChat's console shows."""
        value = super()._clean_secret(name, value)
        if value and name == "token" and not TOKEN.match(value):
            raise ValidationError(
                self.env._("The callback token is 3 to 32 letters and digits.")
            )
        if value and name == "encoding_aes_key":
            self._check_aes_key(value)
        return value

    def _check_aes_key(self, value):
        try:
            good = AES_KEY.match(value) and len(base64.b64decode(value + "=")) == 32
        except binascii.Error:
            good = False
        if not good:
            raise ValidationError(
                self.env._("The EncodingAESKey is 43 letters and digits.")
            )

    # === ACTION METHODS === #

    def action_test_connection(self):
        """Check everything that can be checked and show one line for each."""
        self.check_access("write")
        self.ensure_one()
        return self.env["wechat.connection.check"]._open(account=self)

    def action_view_events(self):
        """Open the callbacks that this account has received."""
        self.check_access("read")
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_base.wechat_event_action"
        )
        return {**action, "domain": [("account_id", "=", self.id)], "context": {}}

    def action_view_identities(self):
        """Open the followers of this account."""
        self.check_access("read")
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_base.wechat_identity_action"
        )
        return {**action, "domain": [("account_id", "=", self.id)]}

    def action_new_callback_key(self):
        """Replace the callback address, e.g. after it was made public."""
        self.check_access("write")
        for account in self:
            account.callback_key = self._default_callback_key()

    # === BUSINESS METHODS === #

    @api.model
    def _callback_account(self, callback_key):
        """Return what is needed to verify a callback, or ``None``.

        One statement, no ORM: callbacks may come 200 times a second.

        :param str callback_key: from the address
        :return: dictionary with the secrets in clear; never to be logged
        """
        self.env.cr.execute(
            """
            SELECT id, company_id, appid, original_id, callback_mode,
                   token_cipher, encoding_aes_key_cipher
              FROM wechat_account
             WHERE callback_key = %s AND active AND environment != 'disabled'
            """,
            [callback_key],
        )
        account = self.env.cr.dictfetchone()
        if account and account["token_cipher"]:
            for name in ("token", "encoding_aes_key"):
                cipher = account.pop(f"{name}_cipher")
                account[name] = self._secret_decrypt(cipher) if cipher else ""
            return account
        return None

    def _get_client(self):
        """Return a client for this account; nothing is sent yet.

        :return: a :class:`WechatOfficialClient`
        :raises WechatConfigError: if the account is disabled or not filled in
        """
        self.ensure_one()
        secret = self._secret("secret")
        if self.environment == "disabled":
            raise make_error(
                self.env._,
                WechatConfigError,
                "disabled",
                detail=self.display_name,
                code="disabled",
            )
        if not secret:
            raise make_error(
                self.env._,
                WechatConfigError,
                "incomplete",
                detail=self.env._("AppSecret of %(name)s", name=self.display_name),
                code="incomplete",
            )
        sandbox = self.environment == "sandbox"
        return WechatOfficialClient(
            self.appid,
            secret,
            tokens=_Tokens(self),
            sandbox_url=check_sandbox_url(self.sandbox_url) if sandbox else None,
            translate=self.env._,
        )


class _Tokens:
    """Where a client of this account finds its tokens (see `wechat.token`)."""

    def __init__(self, account):
        # sudo: the table of tokens is closed to everybody.
        self._model_sudo = account.env["wechat.token"].sudo()
        self._account = account

    def obtain(self, kind, fetch, stale=None, timeout=TOKEN_PATIENCE):
        """Return a token of this kind, fetched by ``fetch`` when there is none."""
        return self._model_sudo._obtain(
            self._account, kind, fetch, stale, min(timeout, TOKEN_PATIENCE)
        )


def count_text(model, domain):
    """Count for a button: many rows are not counted to the last one.

    :return: the number, or e.g. ``10000+``
    """
    count = model.search_count(domain, limit=MAX_COUNT + 1)
    return f"{MAX_COUNT}+" if count > MAX_COUNT else str(count)


def _check_sandbox_url(env, url):
    """Raise unless ``url`` can be the address of a sandbox."""
    try:
        check_sandbox_url(url)
    except ValueError:
        raise ValidationError(
            env._(
                "Enter the sandbox's address, e.g. http://127.0.0.1:8070 "
                "(http or https, no user, no question mark)."
            )
        ) from None
