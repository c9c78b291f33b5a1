import logging
from contextlib import contextmanager

from odoo import api, models
from odoo.exceptions import AccessError

from ..tools import secret_box
from ..tools.exceptions import WechatConfigError

_logger = logging.getLogger(__name__)

# What a person sees instead of a secret; writing it back changes nothing.
MASK = "••••••••"
_CHECK_PARAMETER = "wechat_base.secret_key_check"
_CHECK_TEXT = "wechat_base"


class WechatSecretMixin(models.AbstractModel):
    """Write-only fields: encrypted in the database, masked when read.

    Each secret has two fields: ``x`` (computed by :meth:`_compute_secrets`, inverse
    ``_inverse_x`` that calls :meth:`_keep_secret`, not stored, for system
    administrators) and ``x_cipher`` (stored, no access).
    """

    _name = "wechat.secret.mixin"
    _description = "Encrypted Fields"

    #: fields that say to whom the secrets are shown or sent
    _SECRET_TARGET_FIELDS: tuple[str, ...] = ()

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        # A record without secrets may get them later, so a new one counts, too.
        # Everybody is asked, whatever is in vals: a default may come from the context.
        self._check_secret_target()
        return super().create(vals_list)

    def write(self, vals):
        names = [name for name in self._SECRET_TARGET_FIELDS if name in vals]
        if any(record[name] != vals[name] for record in self for name in names):
            self._check_secret_target()
        return super().write(vals)

    @api.model
    def _check_secret_target(self):
        """Refuse whoever could send our secrets to an address of his own."""
        if self._SECRET_TARGET_FIELDS and not self.env.is_system():
            names = self._SECRET_TARGET_FIELDS
            # sudo: the names of the fields, nothing else.
            labels = self.sudo().fields_get(names, ["string"])
            raise AccessError(
                self.env._(
                    "Only a system administrator may change what secrets and callbacks "
                    "depend on: %(fields)s.",
                    fields=", ".join(labels[name]["string"] for name in names),
                )
            )

    # === BUSINESS METHODS === #

    @api.model
    def _secret_fields(self):
        """Return the names of the secrets: the fields that have a cipher."""
        ciphers = [name for name in self._fields if name.endswith("_cipher")]
        return [name.removesuffix("_cipher") for name in ciphers]

    def _compute_secrets(self):
        """Show whether a secret is set, never the secret."""
        for record in self:
            # sudo: nobody may read the encrypted column, and nobody sees it here.
            record_sudo = record.sudo()
            for name in self._secret_fields():
                record[name] = MASK if record_sudo[f"{name}_cipher"] else False

    def _keep_secret(self, name):
        """Encrypt what a person typed into the field ``name``."""
        for record in self:
            value = record[name]
            if value == MASK:
                continue
            value = record._clean_secret(name, value)
            # sudo: whether there is one to be emptied.
            if not value and not record.sudo()[f"{name}_cipher"]:
                continue
            cipher = value and self._secret_encrypt(value)
            # sudo: nobody may write the encrypted columns directly.
            record.sudo()[f"{name}_cipher"] = cipher
            record._note_secret_change(name)
        # The clear text must not stay where a later read() finds it. Only this
        # field: the others of the same write() have yet to be encrypted.
        self.invalidate_recordset([name])

    def _note_secret_change(self, name):
        """Hook: a secret was entered or emptied; its text must go nowhere."""

    def _clean_secret(self, name, value):
        """Return the secret as it is to be kept; raise if it cannot be right.

        :param str name: field name
        :param value: what the person typed
        """
        return (value or "").strip()

    def _secret(self, name):
        """Return a secret in clear, for a call that is about to be made.

        :param str name: one of :meth:`_secret_fields`
        :return: the secret, or ``""``
        """
        self.ensure_one()
        assert name in self._secret_fields()
        # sudo: a cashier's call needs the secret, the cashier does not see it.
        cipher = self.sudo()[f"{name}_cipher"]
        return self._secret_decrypt(cipher) if cipher else ""

    @api.model
    def _secret_encrypt(self, value):
        """Encrypt ``value``, making a key file when this is the first secret."""
        # sudo: the check text is a system parameter.
        parameters_sudo = self.env["ir.config_parameter"].sudo()
        check = parameters_sudo.get_param(_CHECK_PARAMETER)
        if check:
            # Refuses to mix keys: what is stored could not be read any more.
            self._secret_decrypt(check)
        elif not secret_box.key_source():
            secret_box.create_key_file()
            _logger.info("Made a key for secrets at %s", secret_box.key_file())
        with self._secret_errors():
            if not check:
                parameters_sudo.set_param(
                    _CHECK_PARAMETER, secret_box.encrypt(_CHECK_TEXT)
                )
            return secret_box.encrypt(value)

    @api.model
    def _secret_decrypt(self, cipher):
        with self._secret_errors():
            return secret_box.decrypt(cipher)

    @api.model
    @contextmanager
    def _secret_errors(self):
        """Turn the errors of the secret box into sentences that say what to do."""
        try:
            yield
        except secret_box.SecretKeyMissing:
            message = self.env._(
                "The key that protects the WeChat secrets is missing on this server. "
                "Put the key of the server they were entered on into the environment "
                "variable WECHAT_SECRET_KEY (or the option wechat_secret_key of "
                "Odoo's configuration file, or the file %(file)s) and restart Odoo. "
                "If the key is lost, use “Forget unreadable secrets” in the WeChat "
                "settings and enter them again.",
                file=secret_box.key_file(),
            )
        except secret_box.SecretUnreadable:
            message = self.env._(
                "The WeChat secrets in this database were encrypted with another key, "
                "as happens when a database is restored on another server. Put the "
                "old key behind the new one, separated by a comma, into the "
                "environment variable WECHAT_SECRET_KEY and restart Odoo. If the old "
                "key is lost, use “Forget unreadable secrets” in the WeChat settings "
                "and enter them again."
            )
        except secret_box.SecretKeyInvalid:
            message = self.env._(
                "WECHAT_SECRET_KEY (or the option wechat_secret_key) is not a valid "
                "key. Make one with: python3 -c 'from cryptography.fernet import "
                "Fernet; print(Fernet.generate_key().decode())'"
            )
        else:
            return
        raise WechatConfigError(message, code="secret_key")

    @api.model
    def _secret_key_state(self):
        """Return ``ok``, ``none`` (nothing stored yet), ``missing``, ``invalid`` or
        ``wrong``."""
        # sudo: the check text is a system parameter.
        check = self.env["ir.config_parameter"].sudo().get_param(_CHECK_PARAMETER)
        try:
            if check:
                secret_box.decrypt(check)
                return "ok"
            secret_box.box()
        except secret_box.SecretKeyMissing:
            return "missing" if check else "none"
        except secret_box.SecretKeyInvalid:
            return "invalid"
        except secret_box.SecretUnreadable:
            return "wrong"
        return "ok"

    @api.model
    def _secret_rotate_all(self):
        """Encrypt all secrets of all models with the first key of the list."""
        # sudo: the columns are closed to everybody.
        parameters_sudo = self.env["ir.config_parameter"].sudo()
        with self._secret_errors():
            check = parameters_sudo.get_param(_CHECK_PARAMETER)
            if check:
                parameters_sudo.set_param(_CHECK_PARAMETER, secret_box.rotate(check))
            for model in self._secret_models():
                for name in model._secret_fields():
                    self._secret_rotate(model, f"{name}_cipher")

    @api.model
    def _secret_models(self):
        names = self.env.registry.descendants(["wechat.secret.mixin"], "_inherit")
        return [
            self.env[name].sudo().with_context(active_test=False)
            for name in sorted(names)
            if not self.env[name]._abstract
        ]

    @api.model
    def _secret_rotate(self, model_sudo, cipher_name):
        for record_sudo in model_sudo.search([(cipher_name, "!=", False)]):
            record_sudo[cipher_name] = secret_box.rotate(record_sudo[cipher_name])

    @api.model
    def _secret_forget_unreadable(self):
        """Empty the secrets that cannot be decrypted; return how many."""
        count = 0
        for model_sudo in self._secret_models():
            for name in model_sudo._secret_fields():
                cipher_name = f"{name}_cipher"
                for record_sudo in model_sudo.search([(cipher_name, "!=", False)]):
                    if not self._secret_is_readable(record_sudo[cipher_name]):
                        record_sudo[cipher_name] = False
                        count += 1
        # The tokens are encrypted, too; they are fetched anew.
        self.env.cr.execute("DELETE FROM wechat_token")
        # sudo: the check text is a system parameter.
        parameters_sudo = self.env["ir.config_parameter"].sudo()
        if not self._secret_is_readable(parameters_sudo.get_param(_CHECK_PARAMETER)):
            parameters_sudo.set_param(_CHECK_PARAMETER, False)
        return count

    @api.model
    def _secret_is_readable(self, cipher):
        try:
            return bool(cipher and secret_box.decrypt(cipher))
        except (
            secret_box.SecretKeyMissing,
            secret_box.SecretKeyInvalid,
            secret_box.SecretUnreadable,
        ):
            return False
