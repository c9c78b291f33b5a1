from odoo.exceptions import AccessError
from odoo.tests import tagged

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

    def test_manager(self):
        user = self.new_user("wxr_m", "wechat_base.wechat_group_manager")
        self.assert_reads(user, True)
        self.assert_writes(user, True)

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

    def test_models_without_rights(self):
        admin = self.env.ref("base.user_admin")
        for name in ("wechat.token", "wechat.rate.guard"):
            with self.subTest(name), self.assertRaises(AccessError):
                self.env[name].with_user(admin).search_read([])
