import base64
import binascii
import io
import secrets
import string
import zipfile
import zlib

from odoo import Command, api, fields, models
from odoo.exceptions import UserError

from ..tools import pay_crypto
from ..tools.exceptions import (
    WechatConfigError,
    WechatError,
    WechatRefused,
    WechatSignatureError,
)

_LETTERS = string.ascii_letters + string.digits
_MAX_FILE = 1024 * 1024
_SEALED = ("file", "key_file", "apiv3_key")
_KEY_MARK = b"PRIVATE KEY-----"
_CERTIFICATE_MARK = b"-----BEGIN CERTIFICATE-----"


class WechatMerchantKeys(models.TransientModel):
    """Makes, takes and changes a merchant's keys without stopping the till.

    What is new is tried with a signed call first; the old keys go on working until
    that call has been answered.
    """

    _name = "wechat.merchant.keys"
    _description = "Keys of a WeChat Pay Merchant"

    merchant_id = fields.Many2one("wechat.merchant", required=True, readonly=True)
    mchid = fields.Char(related="merchant_id.mchid")
    # What is typed or uploaded waits encrypted, too: wizards are kept for hours.
    file = fields.Binary(
        string="Files from the merchant platform",
        compute="_compute_sealed",
        inverse="_inverse_file",
        help="The ZIP file of WeChat's certificate tool, or apiclient_cert.pem alone "
        "if the key was made here.",
    )
    file_cipher = fields.Text(groups=fields.NO_ACCESS)
    file_name = fields.Char()
    key_file = fields.Binary(
        string="apiclient_key.pem",
        compute="_compute_sealed",
        inverse="_inverse_key_file",
        help="Only if the certificate does not come as a ZIP file with its key.",
    )
    key_file_cipher = fields.Text(groups=fields.NO_ACCESS)
    key_file_name = fields.Char()
    request = fields.Text(
        string="Certificate request",
        readonly=True,
        help="Paste it into the merchant platform: Account, API security, apply for a "
        "certificate. Then come back with the certificate.",
    )
    waiting = fields.Boolean(
        compute="_compute_waiting", help="A key was made and has no certificate yet."
    )
    apiv3_key = fields.Char(
        string="APIv3 key",
        size=32,
        compute="_compute_sealed",
        inverse="_inverse_apiv3_key",
        groups="base.group_system",
    )
    apiv3_key_cipher = fields.Text(groups=fields.NO_ACCESS)
    public_key_id = fields.Char(string="Public key ID")
    public_key_file = fields.Binary(string="pub_key.pem", attachment=False)
    public_key_file_name = fields.Char()

    @api.depends("merchant_id")
    def _compute_waiting(self):
        for wizard in self:
            wizard.waiting = bool(wizard.merchant_id.private_key_next)

    @api.depends("file_cipher", "key_file_cipher", "apiv3_key_cipher")
    def _compute_sealed(self):
        for wizard in self:
            # sudo: nobody may read the encrypted columns directly.
            wizard_sudo = wizard.sudo()
            for name in _SEALED:
                cipher = wizard_sudo[f"{name}_cipher"]
                value = cipher and wizard.merchant_id._secret_decrypt(cipher)
                is_text = self._fields[name].type == "char"
                wizard[name] = value if is_text or not value else value.encode()

    def _inverse_file(self):
        self._seal("file")

    def _inverse_key_file(self):
        self._seal("key_file")

    def _inverse_apiv3_key(self):
        self._seal("apiv3_key")

    def _seal(self, name):
        for wizard in self:
            value = wizard[name] or ""
            text = value.decode() if isinstance(value, bytes) else value
            # sudo: nobody may write the encrypted columns directly.
            wizard.sudo()[f"{name}_cipher"] = text and (
                wizard.merchant_id._secret_encrypt(text)
            )

    @api.model
    def _open(self, merchant):
        """Return the action that shows the wizard for a merchant."""
        wizard = self.create({"merchant_id": merchant.id})
        wizard._make_request()
        return wizard._show()

    def _show(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Set Up Keys"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    # === ACTIONS === #

    def action_make_key(self):
        """Make a private key here; it never leaves this database."""
        self.check_access("write")
        self.ensure_one()
        pem = pay_crypto.new_private_key()
        # sudo: nobody may write the encrypted columns directly.
        merchant_sudo = self.merchant_id.sudo()
        merchant_sudo.private_key_next_cipher = merchant_sudo._secret_encrypt(pem)
        self.merchant_id.invalidate_recordset(["private_key_next"])
        self._make_request()
        return self._show()

    def action_make_apiv3_key(self):
        """Propose 32 random characters, to be copied to the merchant platform."""
        self.check_access("write")
        self.ensure_one()
        self.apiv3_key = "".join(secrets.choice(_LETTERS) for _i in range(32))
        return self._show()

    def action_apply(self):
        """Take over what was entered, after a signed call has shown that it works.

        :raises UserError: if something does not fit; nothing is changed then
        """
        self.check_access("write")
        self.ensure_one()
        vals = {**self._certificate_vals(), **self._public_key_vals()}
        if self.apiv3_key:
            vals["apiv3_key"] = self.apiv3_key
        if not vals:
            raise UserError(self.env._("Choose a file or enter a key first."))
        merchant = self.merchant_id
        merchant.write(vals)
        if "private_key" in vals:
            # sudo: nobody may write the encrypted columns directly.
            merchant.sudo().private_key_next_cipher = False
            merchant.invalidate_recordset(["private_key_next"])
        self._try(merchant)
        merchant.message_post(body=self.env._("The keys were changed."))
        self.unlink()
        return merchant.action_test_connection()

    # === HELPERS === #

    def _make_request(self):
        """Show the certificate request of the key that waits, if there is one."""
        merchant = self.merchant_id
        pem = merchant._secret("private_key_next")
        self.request = pem and pay_crypto.certificate_request(
            pay_crypto.load_private_key(pem), merchant.mchid, merchant.name
        )

    def _certificate_vals(self):
        """Return the new certificate and its private key, which are a pair."""
        certificate, key = self._read_files()
        if not certificate:
            if key:
                raise UserError(
                    self.env._("The private key's certificate is missing as well.")
                )
            return {}
        try:
            loaded = pay_crypto.load_certificate(certificate)
        except ValueError:
            raise UserError(
                self.env._("The certificate cannot be read. Download it again.")
            ) from None
        if pay_crypto.certificate_end(loaded) <= fields.Datetime.now():
            raise UserError(self.env._("This certificate has expired."))
        merchant = self.merchant_id
        candidates = (key, *map(merchant._secret, ("private_key_next", "private_key")))
        for candidate in filter(None, candidates):
            if self._fit(candidate, loaded):
                return {"certificate": certificate, "private_key": candidate}
        raise UserError(
            self.env._(
                "The certificate does not belong to any private key here. Take the "
                "certificate and the key of the same application."
            )
        )

    def _fit(self, key, certificate):
        try:
            private_key = pay_crypto.load_private_key(key)
        except ValueError:
            raise UserError(
                self.env._("The private key cannot be read. Download it again.")
            ) from None
        return pay_crypto.same_key(private_key, certificate.public_key())

    def _read_files(self):
        """Return (certificate, private key) as text; either may be missing."""
        texts = [self._content(self.key_file)]
        content = self._content(self.file)
        texts += self._unzip(content) if content[:2] == b"PK" else [content]
        certificate = next((t for t in texts if _CERTIFICATE_MARK in t), b"")
        key = next((t for t in texts if _KEY_MARK in t), b"")
        if any((self.file, self.key_file)) and not (certificate or key):
            raise UserError(
                self.env._(
                    "There is neither a certificate nor a key in the file. Take the "
                    "ZIP file, apiclient_cert.pem or apiclient_key.pem."
                )
            )
        return certificate.decode(errors="replace"), key.decode(errors="replace")

    def _content(self, data):
        try:
            content = base64.b64decode(data or b"")
        except (binascii.Error, ValueError):
            content = b""
        if len(content) > _MAX_FILE:
            raise UserError(self.env._("The file is too large to be a key."))
        return content

    def _unzip(self, content):
        """Return the texts in a ZIP file; small ones, and not many."""
        texts = []
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                for info in archive.infolist()[:20]:
                    if info.filename.endswith(".pem") and info.file_size <= _MAX_FILE:
                        texts.append(archive.read(info))
        except (
            zipfile.BadZipFile,
            RuntimeError,  # it wants a password
            NotImplementedError,  # packed in a way that Python does not know
            zlib.error,
            EOFError,
        ):
            raise UserError(
                self.env._("The ZIP file cannot be opened. Download it again.")
            ) from None
        return texts

    def _public_key_vals(self):
        """Return the values that add WeChat's public key to those known."""
        content = self._content(self.public_key_file)
        serial = (self.public_key_id or "").strip()
        if not content and not serial:
            return {}
        if not content or not serial:
            raise UserError(
                self.env._("WeChat's public key needs its file and its ID, both.")
            )
        pem = content.decode(errors="replace")
        if "\0" in pem or "-----BEGIN" not in pem:
            raise UserError(
                self.env._(
                    "The file is not WeChat's public key. Take pub_key.pem from the "
                    "merchant platform."
                )
            )
        known = self.merchant_id.key_ids.filtered(lambda k: k.serial == serial)
        vals = {"kind": "public_key", "pem": pem}
        if known:
            return {"key_ids": [Command.update(known.id, vals)]}
        return {"key_ids": [Command.create({**vals, "serial": serial})]}

    def _try(self, merchant):
        """Ask WeChat with the new keys, unless the merchant is not complete yet.

        :raises UserError: if WeChat does not accept them; the caller's changes are
            rolled back by it
        """
        try:
            client = merchant._get_pay_client()
        except WechatConfigError as error:
            if error.code == "incomplete" or merchant.environment == "disabled":
                return
            raise
        path, params = merchant._harmless_question()
        try:
            client.request("GET", path, params=params)
        except WechatRefused:
            # A signed "no such order": both signatures are good.
            return
        except WechatError as error:
            if isinstance(error.__cause__, WechatSignatureError):
                raise UserError(
                    self.env._(
                        "Nothing was changed: WeChat's answer cannot be checked with "
                        "these keys. Compare the merchant number, the APIv3 key, and "
                        "WeChat's public key with its ID, with the merchant platform."
                    )
                ) from error
            raise UserError(
                self.env._(
                    "Nothing was changed, the old keys stay in use: %(error)s",
                    error=error,
                )
            ) from error
