import base64
import binascii
import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..const import TOKEN_PATIENCE
from ..tools.exceptions import WechatConfigError, make_error
from ..tools.official_client import WechatOfficialClient

APPID = re.compile(r"^wx[0-9a-zA-Z]{8,30}$")
TOKEN = re.compile(r"^[0-9A-Za-z]{3,32}$")
AES_KEY = re.compile(r"^[0-9A-Za-z]{43}$")


class WechatAccount(models.Model):
    """An Official Account (service or subscription) or a mini program."""

    _name = "wechat.account"
    _description = "WeChat Account"
    _inherit = "wechat.connection.mixin"

    _event_field = "account_id"
    _SECRET_TARGET_FIELDS = (
        "appid",
        "environment",
        "sandbox_url",
        # What is believed of callbacks hangs on these.
        "original_id",
        "callback_mode",
        "callback_key",
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
        default=lambda self: self._new_address_key(),
        required=True,
        readonly=True,
        copy=False,
    )
    callback_url = fields.Char(
        string="Callback address",
        compute="_compute_callback_url",
        help="Enter this address as server URL in WeChat's console.",
    )
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

    def _compute_identity_count(self):
        for account in self:
            account.identity_count = self._count_text(
                "wechat.identity", [("account_id", "=", account.id)]
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

    # === CRUD METHODS === #

    def write(self, vals):
        result = super().write(vals)
        if {"appid", "secret", "environment", "sandbox_url"} & vals.keys():
            # sudo: the table of tokens is closed to everybody.
            self.env["wechat.token"].sudo()._forget(self)
        return result

    def _has_data(self):
        """Override of `wechat.connection.mixin`: followers hang on an account."""
        # sudo: whoever may see them.
        identities_sudo = self.env["wechat.identity"].sudo()
        return super()._has_data() or bool(
            identities_sudo.search([("account_id", "=", self.id)], limit=1)
        )

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
            # sudo: the new key is ours, nobody's choice.
            account.sudo().callback_key = self._new_address_key()

    # === BUSINESS METHODS === #

    @api.model
    def _callback_account(self, callback_key):
        """Return what is needed to verify a callback, or ``None``.

        One statement, no ORM: callbacks may come 200 times a second.

        :param str callback_key: from the address
        :return: dictionary with the secrets in clear; never to be logged
        """
        if not self._is_address_key(callback_key):
            return None
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
        self._check_enabled()
        secret = self._secret("secret")
        if not secret:
            raise make_error(
                self.env._,
                WechatConfigError,
                "incomplete",
                detail=self.env._("AppSecret of %(name)s", name=self.display_name),
                code="incomplete",
            )
        return WechatOfficialClient(
            self.appid,
            secret,
            tokens=_Tokens(self),
            sandbox_url=self._sandbox_address(),
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
