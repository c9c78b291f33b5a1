import re
import secrets

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..tools import pay_crypto
from ..tools.exceptions import WechatConfigError, make_error
from ..tools.pay_client import WechatPayClient

MCHID = re.compile(r"^[0-9]{6,32}$")


class WechatMerchant(models.Model):
    """One WeChat Pay merchant."""

    _name = "wechat.merchant"
    _description = "WeChat Pay Merchant"
    _inherit = "wechat.connection.mixin"
    _check_company_auto = True

    _event_field = "merchant_id"
    _SECRET_TARGET_FIELDS = (
        "kind",
        "mchid",
        "environment",
        "sandbox_url",
        "notify_key",
    )

    kind = fields.Selection(
        [("merchant", "Merchant or service provider"), ("brand", "Brand")],
        required=True,
        default="merchant",
        tracking=True,
        help="A brand (品牌) signs with keys of its own and hands out product coupons; "
        "it takes no money.",
    )
    mchid = fields.Char(
        string="Merchant number",
        required=True,
        copy=False,
        tracking=True,
        help="Of a brand its brand ID.",
    )
    account_ids = fields.Many2many(
        "wechat.account",
        string="Accounts",
        check_company=True,
        help="Accounts whose AppID is bound to this merchant.",
    )
    apiv3_key = fields.Char(
        string="APIv3 key",
        compute="_compute_secrets",
        inverse="_inverse_apiv3_key",
        groups="base.group_system",
        copy=False,
    )
    apiv3_key_cipher = fields.Text(groups=fields.NO_ACCESS, copy=False)
    # Notices that WeChat encrypted before the key was changed come for a day.
    apiv3_key_former = fields.Char(
        compute="_compute_secrets", groups="base.group_system", copy=False
    )
    apiv3_key_former_cipher = fields.Text(groups=fields.NO_ACCESS, copy=False)
    private_key = fields.Text(
        string="API private key",
        compute="_compute_secrets",
        inverse="_inverse_private_key",
        groups="base.group_system",
        copy=False,
        help="The content of apiclient_key.pem.",
    )
    private_key_cipher = fields.Text(groups=fields.NO_ACCESS, copy=False)
    # Made here, and waiting for its certificate; the till goes on with the other one.
    private_key_next = fields.Text(
        compute="_compute_secrets", groups="base.group_system", copy=False
    )
    private_key_next_cipher = fields.Text(groups=fields.NO_ACCESS, copy=False)
    certificate = fields.Text(
        string="API certificate",
        copy=False,
        help="The content of apiclient_cert.pem. It is not secret.",
    )
    merchant_serial = fields.Char(
        string="Certificate serial number",
        compute="_compute_merchant_serial",
        store=True,
        readonly=False,
        copy=False,
        tracking=True,
    )
    key_mode = fields.Selection(
        [
            ("public_key", "Public key (recommended)"),
            ("certificate", "Platform certificate"),
            ("both", "Both, while changing over"),
        ],
        string="WeChat signs with",
        required=True,
        default="public_key",
    )
    key_ids = fields.One2many(
        "wechat.merchant.key", "merchant_id", string="WeChat's keys"
    )
    notify_key = fields.Char(
        default=lambda self: self._new_address_key(),
        required=True,
        readonly=True,
        copy=False,
    )
    notify_url = fields.Char(
        string="Notification address", compute="_compute_notify_url"
    )

    # In a neutralised copy all are disabled.
    _mchid_uniq = models.UniqueIndex(
        "(mchid, environment) WHERE active AND environment != 'disabled'",
        "There is already an active merchant with this number.",
    )
    _notify_key_uniq = models.Constraint(
        "UNIQUE(notify_key)", "The notification key must be unique."
    )

    # === COMPUTE METHODS === #

    @api.depends("certificate")
    def _compute_merchant_serial(self):
        for merchant in self.filtered("certificate"):
            try:
                certificate = pay_crypto.load_certificate(merchant.certificate)
            except ValueError:
                continue
            merchant.merchant_serial = pay_crypto.certificate_serial(certificate)

    @api.depends("notify_key")
    def _compute_notify_url(self):
        for merchant in self:
            merchant.notify_url = (
                f"{merchant.get_base_url()}/wechat/pay/{merchant.notify_key}"
            )

    # === INVERSE METHODS === #

    def _inverse_apiv3_key(self):
        # sudo: nobody may read the encrypted columns.
        former = {record: record.sudo().apiv3_key_cipher for record in self}
        self._keep_secret("apiv3_key")
        for record_sudo in self.sudo():
            cipher = former[record_sudo]
            if not record_sudo.apiv3_key_cipher:
                # Taken out by hand: nothing is to be read with either.
                record_sudo.apiv3_key_former_cipher = False
            elif cipher and cipher != record_sudo.apiv3_key_cipher:
                record_sudo.apiv3_key_former_cipher = cipher

    def _inverse_private_key(self):
        self._keep_secret("private_key")

    # === CONSTRAINT METHODS === #

    @api.constrains("kind", "key_mode")
    def _check_key_mode(self):
        for merchant in self:
            if merchant.kind == "brand" and merchant.key_mode != "public_key":
                raise ValidationError(
                    self.env._("WeChat signs with its public key for brands.")
                )

    @api.constrains("mchid")
    def _check_mchid(self):
        for merchant in self:
            if not MCHID.match(merchant.mchid or ""):
                raise ValidationError(
                    self.env._("A merchant number consists of digits only.")
                )

    @api.constrains("certificate")
    def _check_certificate(self):
        for merchant in self.filtered("certificate"):
            try:
                pay_crypto.load_certificate(merchant.certificate)
            except ValueError:
                raise ValidationError(
                    self.env._(
                        "Paste the whole text of apiclient_cert.pem, from "
                        "-----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----."
                    )
                ) from None

    def _clean_secret(self, name, value):
        """Override of `wechat.secret.mixin` to check what was pasted."""
        value = super()._clean_secret(name, value)
        if value and name == "apiv3_key" and len(value.encode()) != 32:
            raise ValidationError(self.env._("The APIv3 key is 32 characters long."))
        if value and name == "private_key":
            try:
                pay_crypto.load_private_key(value)
            except ValueError:
                raise ValidationError(
                    self.env._(
                        "Paste the whole text of apiclient_key.pem, from "
                        "-----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----."
                    )
                ) from None
        return value

    # === ACTION METHODS === #

    def action_test_connection(self):
        """Check everything that can be checked and show one line for each."""
        self.check_access("write")
        self.ensure_one()
        return self.env["wechat.connection.check"]._open(merchant=self)

    def action_set_up_keys(self):
        """Open the wizard that makes, takes and changes keys."""
        self.check_access("write")
        self.ensure_one()
        return self.env["wechat.merchant.keys"]._open(self)

    def action_fetch_certificates(self):
        """Download WeChat's platform certificates now."""
        self.check_access("write")
        self.ensure_one()
        self._fetch_certificates()

    def action_new_notify_key(self):
        """Replace the notification address, e.g. after it was made public.

        Orders that were placed with the old address will not be notified any more.
        """
        self.check_access("write")
        for merchant in self:
            # sudo: the new key is ours, nobody's choice.
            merchant.sudo().notify_key = self._new_address_key()

    # === BUSINESS METHODS === #

    @api.model
    def _notified(self, notify_key):
        """Return who is meant by a notice, and a client to verify it, or ``None``.

        One statement, no ORM: notices come in bursts.

        :param str notify_key: from the address
        :return: (id, company id, :class:`WechatPayClient`)
        """
        if not self._is_address_key(notify_key):
            return None
        self.env.cr.execute(
            """
            SELECT merchant.id, merchant.company_id, merchant.mchid,
                   merchant.apiv3_key_cipher, merchant.apiv3_key_former_cipher,
                   (SELECT json_object_agg(key.serial, key.pem)
                      FROM wechat_merchant_key AS key
                     WHERE key.merchant_id = merchant.id
                       AND (key.kind = 'public_key'
                            OR now() AT TIME ZONE 'UTC'
                               BETWEEN key.valid_from AND key.valid_to)) AS keys
              FROM wechat_merchant AS merchant
             WHERE merchant.notify_key = %s
               AND merchant.active
               AND merchant.environment != 'disabled'
            """,
            [notify_key],
        )
        row = self.env.cr.dictfetchone()
        if not row:
            return None
        key, former = (
            row[name] and self._secret_decrypt(row[name])
            for name in ("apiv3_key_cipher", "apiv3_key_former_cipher")
        )
        client = WechatPayClient(
            row["mchid"],
            serial=None,
            private_key=None,
            apiv3_key=key or "",
            former_apiv3_key=former,
            find_key=(row["keys"] or {}).get,
            translate=self.env._,
        )
        return row["id"], row["company_id"], client

    def _get_pay_client(self):
        """Return a client for this merchant; nothing is sent yet.

        :return: a :class:`WechatPayClient`
        :raises WechatConfigError: if the merchant is disabled or not filled in
        """
        self.ensure_one()
        self._check_enabled()
        private_key, apiv3_key = self._secret("private_key"), self._secret("apiv3_key")
        self._check_complete(private_key, apiv3_key)
        return WechatPayClient(
            self.mchid,
            self.merchant_serial,
            private_key,
            apiv3_key,
            find_key=self._find_key,
            public_key_id=self._public_key_id(),
            sandbox_url=self._sandbox_address(),
            scheme=self._pay_scheme(),
            translate=self.env._,
        )

    def _pay_scheme(self):
        is_brand = self.kind == "brand"
        return pay_crypto.BRAND_SCHEME if is_brand else pay_crypto.SCHEME

    def _harmless_question(self):
        """Return a question that WeChat answers with a signed no, or an answer.

        It shows that both signatures are good, and changes nothing.

        :return: path and query of a GET
        :rtype: tuple[str, dict]
        """
        if self.kind == "brand":
            return "/brand/marketing/product-coupon/notify-configs", {}
        number = f"check{secrets.token_hex(8)}"
        path = f"/v3/pay/transactions/out-trade-no/{number}"
        return path, {"mchid": self.mchid}

    def _check_complete(self, private_key, apiv3_key):
        needed = {
            "private_key": private_key,
            "apiv3_key": apiv3_key,
            "merchant_serial": self.merchant_serial,
        }
        missing = [name for name, value in needed.items() if not value]
        if missing:
            labels = self.fields_get(missing, ["string"]) if self.env.su else {}
            names = [labels.get(name, {}).get("string") or name for name in missing]
            raise make_error(
                self.env._,
                WechatConfigError,
                "incomplete",
                detail=f"{self.display_name}: {', '.join(names)}",
                code="incomplete",
            )

    def _public_key_id(self):
        """Return the ID of the public key that WeChat is to sign with, if any."""
        if self.key_mode == "certificate":
            return None
        # sudo: a cashier's call needs the key.
        keys_sudo = self.sudo().key_ids.filtered(lambda k: k.kind == "public_key")
        return keys_sudo[:1].serial or None

    def _find_key(self, serial):
        """Return the PEM of WeChat's key with this serial number, or ``None``.

        A platform certificate counts only while it is valid.
        """
        now = fields.Datetime.now()
        # sudo: see above.
        for key_sudo in self.sudo().key_ids:
            if key_sudo.serial != serial:
                continue
            if key_sudo.kind == "certificate" and not (
                key_sudo.valid_from and key_sudo.valid_from <= now < key_sudo.valid_to
            ):
                continue
            return key_sudo.pem
        return None

    def _fetch_certificates(self):
        """Download the platform certificates and keep the new ones.

        :return: the number of new certificates
        """
        self.ensure_one()
        found = self._get_pay_client().certificates()
        known = set(self.key_ids.mapped("serial"))
        # sudo: the daily job and a manager's button both store what WeChat signed.
        keys_sudo = self.env["wechat.merchant.key"].sudo()
        new = keys_sudo.create(
            [
                {
                    "merchant_id": self.id,
                    "kind": "certificate",
                    "serial": serial,
                    "pem": pem,
                }
                for serial, pem in found.items()
                if serial not in known
            ]
        )
        return len(new)

    @api.model
    def _cron_fetch_certificates(self):
        """Keep the platform certificates of all merchants fresh."""
        merchants = self.search(
            [("environment", "!=", "disabled"), ("key_mode", "!=", "public_key")]
        )
        for merchant in merchants:
            merchant.with_delay(
                identity_key=f"wechat.merchant:certificates:{merchant.id}",
                description=self.env._("Platform certificates of %s", merchant.name),
            )._fetch_certificates()
