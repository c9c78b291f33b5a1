from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged

from .common import WechatCase


@tagged("post_install", "-at_install")
class TestRights(WechatCase):
    """Each group in its own company, in another one, and nobody at all."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_company = cls.env["res.company"].create({"name": "Other"})
        cls.identity = cls.env["wechat.identity"]._find_or_create(cls.account, "oABC")
        cls.event = cls.env["wechat.event"].create(
            {
                "source": "oa",
                "account_id": cls.account.id,
                "company_id": cls.company.id,
                "event_key": "k",
                "event_type": "user_get_card",
                "received_at": "2026-01-01 00:00:00",
                "state": "failed",
            }
        )
        cls.records = {
            "wechat.account": cls.account,
            "wechat.merchant": cls.merchant,
            "wechat.merchant.key": cls.merchant.key_ids,
            "wechat.identity": cls.identity,
            "wechat.event": cls.event,
        }
        cls.changes = {
            "wechat.account": {"name": "x"},
            "wechat.merchant": {"name": "x"},
            "wechat.merchant.key": {"pem": cls.merchant.key_ids.pem},
            "wechat.identity": {"nickname": "x"},
            "wechat.event": {"state": "pending"},
        }

    def assert_reads(self, user, expected):
        for name, record in self.records.items():
            with self.subTest((user.login, name)):
                found = self.env[name].with_user(user).search([("id", "=", record.id)])
                self.assertEqual(bool(found), expected)
                if expected:
                    found.read()

    def assert_writes(self, user, expected):
        for name, record in self.records.items():
            with self.subTest((user.login, name)):
                if expected:
                    record.with_user(user).write(self.changes[name])
                    continue
                with self.assertRaises(AccessError):
                    record.with_user(user).write(self.changes[name])
                with self.assertRaises(AccessError):
                    record.with_user(user).unlink()
                with self.assertRaises(AccessError):
                    self.env[name].with_user(user).create({})

    def test_user(self):
        user = self.new_user("wxr_u", "wechat_base.wechat_group_user")
        self.assert_reads(user, True)
        self.assert_writes(user, False)

    def test_auditor(self):
        user = self.new_user("wxr_a", "wechat_base.wechat_group_auditor")
        self.assert_reads(user, True)
        self.assert_writes(user, False)

    def test_what_callbacks_are_believed_by(self):
        """With plain messages one old signature would sign whatever one likes."""
        manager = self.new_user("wxr_cb", "wechat_base.wechat_group_manager")
        account = self.account.with_user(manager)
        for vals in (
            {"callback_mode": "plain"},
            {"callback_key": "x" * 32},
            {"original_id": "gh_other"},
        ):
            with self.subTest(vals), self.assertRaises(AccessError):
                account.write(vals)
        before = account.callback_key
        account.action_new_callback_key()
        self.assertNotEqual(account.callback_key, before)

    def test_content_of_callbacks(self):
        user = self.new_user("wxr_pl", "wechat_base.wechat_group_user")
        events = self.env["wechat.event"].with_user(user)
        events.search_read([], ["event_type", "state"])
        with self.assertRaises(AccessError):
            events.search_read([], ["payload"])

    def test_manager(self):
        user = self.new_user("wxr_m", "wechat_base.wechat_group_manager")
        self.assert_reads(user, True)
        del self.records["wechat.event"]
        self.addCleanup(self.records.__setitem__, "wechat.event", self.event)
        self.assert_writes(user, True)

    def test_a_manager_deletes_no_connection(self):
        manager = self.new_user("wxr_md", "wechat_base.wechat_group_manager")
        unused = self.merchant.copy({"mchid": "1900000002"})
        for record in (self.account, self.merchant, unused):
            with self.subTest(record), self.assertRaises(AccessError):
                record.with_user(manager).unlink()
        self.account.with_user(manager).action_archive()
        self.assertFalse(self.account.active)

    def test_a_branch_uses_what_its_parent_has(self):
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        for group in ("user", "manager"):
            user = self.new_user(
                f"wxr_branch{group}",
                f"wechat_base.wechat_group_{group}",
                company_id=branch.id,
                company_ids=[(6, 0, branch.ids)],
            )
            self.assert_reads(user, True)
        below = self.merchant.create(
            self.merchant_vals(mchid="1900000003", company_id=branch.id)
        )
        below.account_ids = self.account
        # The other way round nothing is seen.
        above = self.new_user(
            "wxr_above", "wechat_base.wechat_group_manager", company_id=self.company.id
        )
        self.assertFalse(
            below.with_user(above)
            .with_context(allowed_company_ids=self.company.ids)
            .search([("id", "=", below.id)])
        )

    def test_nobody_rewrites_a_callback(self):
        for group in ("wechat_base.wechat_group_manager", "base.group_system"):
            event = self.event.with_user(self.new_user(f"wx{group}", group))
            for vals in (
                {"payload": {"a": 1}},
                {"event_type": "x"},
                {"state": "pending"},
            ):
                with self.subTest((group, vals)), self.assertRaises(AccessError):
                    event.write(vals)

    def test_who_may_retry(self):
        for group in ("user", "auditor"):
            user = self.new_user(f"wxr_r{group}", f"wechat_base.wechat_group_{group}")
            with self.subTest(group), self.assertRaises(AccessError):
                self.event.with_user(user).action_retry()
        manager = self.new_user("wxr_rm", "wechat_base.wechat_group_manager")
        self.event.with_user(manager).action_retry()
        self.assertEqual((self.event.state, self.event.attempts), ("pending", 0))

    def test_a_manager_cannot_have_the_secrets_sent_to_himself(self):
        manager = self.new_user("wxr_c1", "wechat_base.wechat_group_manager")
        admin = self.new_user("wxr_c2", "base.group_system")
        evil = {"environment": "sandbox", "sandbox_url": "http://127.0.0.1:9"}
        for record, number in (
            (self.account, {"appid": "wxevil0000001"}),
            (self.merchant, {"mchid": "1900000001"}),
        ):
            record.write({"environment": "production", "sandbox_url": False})
            mine = record.with_user(manager)
            mine.write({"name": "Mine", "environment": "production"})
            for name, value in {**evil, **number}.items():
                with self.subTest((record, name)), self.assertRaises(AccessError):
                    mine.write({name: value})
            for context in ({}, {f"default_{k}": v for k, v in evil.items()}):
                with self.subTest((record, context)), self.assertRaises(AccessError):
                    mine.with_context(**context).create({"name": "Mine", **number})
            with self.subTest((record, "copy")), self.assertRaises(AccessError):
                mine.copy({**evil, **number})
            record.with_user(admin).write(evil)
            self.assertEqual(record.sandbox_url, "http://127.0.0.1:9")
            record.with_user(admin).create({"name": "New", **evil, **number})
        self.assertFalse(self.server.requests)

    def test_nobody(self):
        user = self.new_user("wxr_n")
        for name, record in self.records.items():
            with self.subTest(name), self.assertRaises(AccessError):
                record.with_user(user).read(["id"])

    def test_other_company(self):
        for group in ("user", "auditor", "manager"):
            user = self.new_user(
                f"wxr_o{group}",
                f"wechat_base.wechat_group_{group}",
                company_id=self.other_company.id,
                company_ids=[(6, 0, self.other_company.ids)],
            )
            self.assert_reads(user, False)
            for name, record in self.records.items():
                with self.subTest((group, name)), self.assertRaises(AccessError):
                    record.with_user(user).read(["id"])

    def test_system_administrators_are_managers(self):
        user = self.new_user("wxr_s", "base.group_system")
        self.assertTrue(user.has_group("wechat_base.wechat_group_manager"))

    def test_buttons(self):
        user = self.new_user("wxr_b", "wechat_base.wechat_group_user")
        for record, method in (
            (self.account, "action_test_connection"),
            (self.account, "action_new_callback_key"),
            (self.merchant, "action_test_connection"),
            (self.merchant, "action_new_notify_key"),
            (self.merchant, "action_fetch_certificates"),
            (self.event, "action_retry"),
        ):
            with self.subTest(method), self.assertRaises(AccessError):
                getattr(record.with_user(user), method)()
        self.assertFalse(self.server.requests)

    def public_methods(self):
        """Yield (model, method) for each method of this add-on that RPC reaches."""
        for name, model_class in self.registry.items():
            for definition in model_class._model_classes__:
                if getattr(definition, "_module", None) != "wechat_base":
                    continue
                for method, value in vars(definition).items():
                    # Odoo itself checks who may create and write.
                    if callable(value) and not method.startswith("_"):
                        if method not in ("create", "write"):
                            yield name, method

    def test_rpc_without_a_record(self):
        found = set(self.public_methods())
        self.assertIn(("res.config.settings", "action_wechat_forget_secrets"), found)
        self.assertIn(("wechat.connection.check", "action_again"), found)
        portal = new_test_user(self.env, "wxr_portal", groups="base.group_portal")
        for user in (self.new_user("wxr_plain"), portal):
            for name, method in found:
                model = self.env[name].with_user(user)
                with (
                    self.subTest((user.login, name, method)),
                    self.assertRaises(AccessError),
                ):
                    call_kw(model, method, [[]], {})
        for record in (self.account, self.merchant):
            self.assertTrue(record.sudo()[f"{record._secret_fields()[0]}_cipher"])

    def test_secrets_are_the_system_administrators(self):
        user = self.new_user(
            "wxr_keys", "wechat_base.wechat_group_manager", "base.group_erp_manager"
        )
        model = self.env["res.config.settings"]
        for method in ("action_wechat_forget_secrets", "action_wechat_rotate_secrets"):
            with self.subTest(method):
                with self.assertRaises(AccessError):
                    call_kw(model.with_user(user), method, [[]], {})
                admin = self.env.ref("base.user_admin")
                self.assertTrue(call_kw(model.with_user(admin), method, [[]], {}))

    def test_buttons_of_another_company(self):
        user = self.new_user(
            "wxr_ob",
            "wechat_base.wechat_group_manager",
            company_id=self.other_company.id,
            company_ids=[(6, 0, self.other_company.ids)],
        )
        check = self.env["wechat.connection.check"].with_user(user).sudo()
        check = check.create({"merchant_id": self.merchant.id}).sudo(False)
        for record, method in (
            (self.account, "action_view_events"),
            (self.account, "action_view_identities"),
            (self.merchant, "action_view_events"),
            (check, "action_again"),
        ):
            with self.subTest(method), self.assertRaises(AccessError):
                getattr(record.with_user(user), method)()

    def test_records_of_two_companies(self):
        foreign = self.account.create(
            self.account_vals(appid="wxforeign0001", company_id=self.other_company.id)
        )
        self.merchant.account_ids = self.account
        with self.assertRaises(UserError):
            self.merchant.account_ids = foreign

    def test_models_without_rights(self):
        admin = self.env.ref("base.user_admin")
        for name in ("wechat.token", "wechat.rate.guard"):
            with self.subTest(name), self.assertRaises(AccessError):
                self.env[name].with_user(admin).search_read([])
