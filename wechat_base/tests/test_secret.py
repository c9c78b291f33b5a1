import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from cryptography.fernet import Fernet

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import config

from .. import uninstall_hook
from ..models.wechat_secret_mixin import MASK
from ..tools import secret_box
from .common import APPSECRET, TOKEN, WechatCase, make_keys


@tagged("post_install", "-at_install")
class TestSecret(WechatCase):
    def cipher(self, name="secret_cipher"):
        self.env.flush_all()
        self.env.cr.execute(
            f"SELECT {name} FROM wechat_account WHERE id = %s", [self.account.id]
        )
        return self.env.cr.fetchone()[0]

    # --- at rest ---

    def test_encrypted_in_the_database(self):
        cipher = self.cipher()
        self.assertNotIn(APPSECRET, cipher)
        self.assertEqual(secret_box.decrypt(cipher), APPSECRET)
        self.assertEqual(self.account._secret("secret"), APPSECRET)

    def test_nothing_returns_it(self):
        self.assertEqual(self.account.secret, MASK)
        row = self.account.read(["secret", "token", "encoding_aes_key"])[0]
        self.assertEqual({row[k] for k in row if k != "id"}, {MASK})
        exported = self.account.export_data(["secret", "token"])
        self.assertEqual(exported["datas"], [[MASK, MASK]])
        self.account.secret = "another-secret"
        self.assertEqual(self.account.secret, MASK)
        saved = self.account.web_save({"secret": "third"}, {"secret": {}})
        self.assertEqual(saved[0]["secret"], MASK)
        self.assertEqual(self.account._secret("secret"), "third")
        new = self.env["wechat.account"].create(
            self.account_vals(appid="wx99999999aa", name="New")
        )
        self.assertEqual(new.token, MASK)
        self.assertFalse(self.account.copy({"appid": "wx88888888aa"}).secret)

    def test_nothing_is_left_after_an_uninstallation(self):
        parameters = self.env["ir.config_parameter"]
        parameters.set_param("wechat_base.event_keep_days", "30")
        parameters.set_param("wechatxbase.other", "kept")
        self.assertTrue(parameters.get_param("wechat_base.secret_key_check"))
        self.env["wechat.event"]._drain_enqueue()
        uninstall_hook(self.env)
        self.env.invalidate_all()
        for name in ("secret_key_check", "event_keep_days"):
            self.assertFalse(parameters.get_param(f"wechat_base.{name}"))
        self.assertEqual(parameters.get_param("wechatxbase.other"), "kept")
        job = self.env["queue.job"].search([("identity_key", "=", "wechat.event:now")])
        self.assertEqual(job.mapped("state"), ["cancelled"])
        # Installed again on a server with another key, the first secret is taken.
        key = Fernet.generate_key().decode()
        with patch.dict(os.environ, {secret_box.ENVIRONMENT_VARIABLE: key}):
            self.account.secret = "first"
            self.assertEqual(self.account._secret("secret"), "first")

    def test_writing_the_mask_back_changes_nothing(self):
        before = self.cipher()
        self.account.write({"secret": MASK, "name": "Renamed"})
        self.assertEqual(self.cipher(), before)
        with Form(self.account) as form:
            form.name = "Again"
        self.assertEqual(self.cipher(), before)
        self.assertEqual(self.account._secret("token"), TOKEN)

    def test_emptying(self):
        self.account.secret = False
        self.assertFalse(self.cipher())
        self.assertFalse(self.account.secret)
        self.assertEqual(self.account._secret("secret"), "")

    def test_one_of_several(self):
        before = self.cipher("token_cipher")
        self.account.secret = "  new-secret\n"
        self.assertEqual(self.account._secret("secret"), "new-secret")
        self.assertEqual(self.cipher("token_cipher"), before)

    def test_checks_of_what_is_typed(self):
        for name, value in (
            ("token", "x"),
            ("token", "with blank"),
            ("encoding_aes_key", "short"),
            ("encoding_aes_key", "é" * 43),
        ):
            with self.subTest(name), self.assertRaises(ValidationError):
                self.account[name] = value

    def test_not_in_the_chatter(self):
        self.account.write({"secret": "tracked?", "name": "New name"})
        self.env.flush_all()
        text = str(self.account.message_ids.mapped("body"))
        self.assertNotIn("tracked?", text)

    # --- who ---

    def test_rpc_of_every_group(self):
        """Raw reads, searches and exports, as a client of the API can make them."""
        closed = ["secret_cipher", "token_cipher", "encoding_aes_key_cipher"]
        admin = self.env.ref("base.user_admin")
        for user in (
            self.new_user("wxb_u", "wechat_base.wechat_group_user"),
            self.new_user("wxb_a", "wechat_base.wechat_group_auditor"),
            self.new_user("wxb_m", "wechat_base.wechat_group_manager"),
            admin,
        ):
            account = self.account.with_user(user)
            names = account.fields_get()
            self.assertFalse(set(closed) & set(names))
            row = account.read()[0]
            self.assertFalse(set(closed) & set(row))
            self.assertNotIn(APPSECRET, str(row))
            for name in closed:
                with self.subTest((user.login, name)):
                    with self.assertRaises(AccessError):
                        account.read([name])
                    with self.assertRaises(AccessError):
                        account.search([(name, "like", "gAAAA")])
                    with self.assertRaises(AccessError):
                        account.write({name: "x"})
                    with self.assertRaises(UserError):
                        account.export_data([name])
                    with self.assertRaises(AccessError):
                        account._read_group([], [name])
            if user != admin:
                for name in ("secret", "token", "encoding_aes_key"):
                    with self.assertRaises(AccessError):
                        account.read([name])
                    with self.assertRaises(AccessError):
                        account.write({name: "abcdef"})
            with self.assertRaises(AccessError):
                self.env["wechat.token"].with_user(user).search_read([])

    def test_fields_are_closed_by_declaration(self):
        for model in ("wechat.account", "wechat.merchant"):
            for name in self.env[model]._secret_fields():
                field = self.env[model]._fields[name]
                cipher = self.env[model]._fields[f"{name}_cipher"]
                self.assertEqual(field.groups, "base.group_system")
                self.assertFalse(field.copy or field.store)
                self.assertEqual(cipher.groups, fields.NO_ACCESS)
                self.assertFalse(cipher.copy)

    def test_merchant(self):
        self.assertEqual(self.merchant.private_key, MASK)
        self.assertEqual(
            self.merchant._secret("private_key"),
            make_keys("merchant").private_pem.strip(),
        )

    # --- the key ---

    def test_wrong_and_missing_key(self):
        other = Fernet.generate_key().decode()
        with patch.dict(os.environ, {secret_box.ENVIRONMENT_VARIABLE: other}):
            self.assertEqual(self.account._secret_key_state(), "wrong")
            with self.assertRaisesRegex(UserError, "WECHAT_SECRET_KEY"):
                self.account._get_client()
            with self.assertRaises(UserError):
                self.account.secret = "must not mix keys"
        with patch.dict(os.environ, {secret_box.ENVIRONMENT_VARIABLE: "nonsense"}):
            self.assertEqual(self.account._secret_key_state(), "invalid")
            with self.assertRaisesRegex(UserError, "generate_key"):
                self.account._get_client()
        with self.empty_data_dir():
            self.assertEqual(self.account._secret_key_state(), "missing")
            with self.assertRaisesRegex(UserError, "missing on this server"):
                self.account._get_client()
            self.assertFalse(secret_box.key_file().exists())
        self.assertEqual(self.account._secret_key_state(), "ok")

    def test_first_key_is_made_for_us_only(self):
        with self.empty_data_dir():
            secret_box.create_key_file()
            first = secret_box.key_file().read_text()
            mode = stat.S_IMODE(secret_box.key_file().stat().st_mode)
            self.assertEqual(mode, 0o600)
            secret_box.create_key_file()
            self.assertEqual(secret_box.key_file().read_text(), first)
            self.assertEqual(len(list(secret_box.key_file().parent.iterdir())), 1)

    def test_rotation(self):
        old_keys = secret_box.load_keys()
        new = Fernet.generate_key().decode()
        with patch.dict(
            os.environ, {secret_box.ENVIRONMENT_VARIABLE: f"{new}, {old_keys}"}
        ):
            self.env["wechat.secret.mixin"]._secret_rotate_all()
            self.assertEqual(self.account._secret("secret"), APPSECRET)
        with patch.dict(os.environ, {secret_box.ENVIRONMENT_VARIABLE: new}):
            self.assertEqual(self.account._secret("secret"), APPSECRET)
            self.assertEqual(self.account._secret_key_state(), "ok")

    def test_forgetting(self):
        other = Fernet.generate_key().decode()
        with patch.dict(os.environ, {secret_box.ENVIRONMENT_VARIABLE: other}):
            count = self.env["wechat.secret.mixin"]._secret_forget_unreadable()
            self.assertGreaterEqual(count, 5)
            self.assertFalse(self.account.secret)
            self.account.secret = "entered again"
            self.assertEqual(self.account._secret("secret"), "entered again")

    def empty_data_dir(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        environment = {k: v for k, v in os.environ.items()}
        environment.pop(secret_box.ENVIRONMENT_VARIABLE, None)

        class Both:
            def __enter__(both):
                both.parts = [
                    patch.dict(os.environ, environment, clear=True),
                    patch.object(
                        secret_box,
                        "key_file",
                        lambda: Path(folder.name) / secret_box.FILE_NAME,
                    ),
                    patch.dict(config.options, {secret_box.CONFIG_OPTION: ""}),
                ]
                for part in both.parts:
                    part.__enter__()

            def __exit__(both, *error):
                for part in reversed(both.parts):
                    part.__exit__(*error)

        return Both()
