from unittest.mock import patch

from lxml import etree
from psycopg2 import IntegrityError

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from ..models import wechat_connection_mixin
from ..tools.exceptions import WechatConfigError
from .common import APPID, WechatCase


@tagged("post_install", "-at_install")
class TestAccount(WechatCase):
    def test_appid(self):
        for appid in ("gh_123", "wx", "wx12345678 ", "WX12345678", "wx123;drop"):
            with self.subTest(appid), self.assertRaises(ValidationError):
                self.account.appid = appid
                self.account.flush_recordset()

    def test_one_active_account_for_each_appid(self):
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(IntegrityError),
            self.cr.savepoint(),
        ):
            self.env["wechat.account"].create(self.account_vals(name="Twin"))
        archived = self.env["wechat.account"].create(
            self.account_vals(name="Old", active=False)
        )
        self.assertEqual(archived.appid, APPID)
        production = self.env["wechat.account"].create(
            self.account_vals(name="Real", environment="production")
        )
        self.assertTrue(production)

    def test_sandbox_address(self):
        for url in (
            False,
            "",
            "ftp://host/",
            "http://",
            "http://user@host/",
            "http://host/?a=1",
            "http://host:99999/",
            "javascript:alert(1)",
        ):
            with self.subTest(url), self.assertRaises(ValidationError):
                self.account.sandbox_url = url
        self.account.sandbox_url = "http://127.0.0.1:8070/"
        self.assertEqual(
            self.account._get_client()._url("user/get"),
            "http://127.0.0.1:8070/cgi-bin/user/get",
        )

    def test_production_ignores_the_sandbox_address(self):
        self.account.environment = "production"
        url = self.account._get_client()._url("user/get")
        self.assertEqual(url, "https://api.weixin.qq.com/cgi-bin/user/get")

    def test_disabled_and_incomplete(self):
        self.account.environment = "disabled"
        with self.assertRaisesRegex(WechatConfigError, "disabled"):
            self.account._get_client()
        self.account.environment = "sandbox"
        self.account.secret = False
        with self.assertRaisesRegex(WechatConfigError, "AppSecret"):
            self.account._get_client()

    def test_callback_address(self):
        self.assertTrue(
            self.account.callback_url.endswith(
                f"/wechat/oa/{self.account.callback_key}"
            )
        )
        self.assertGreaterEqual(len(self.account.callback_key), 30)
        before = self.account.callback_key
        self.account.action_new_callback_key()
        self.assertNotEqual(self.account.callback_key, before)
        copy = self.account.copy({"appid": "wx77777777aa"})
        self.assertNotEqual(copy.callback_key, self.account.callback_key)
        self.assertEqual(copy.environment, "production")

    def receive(self, record):
        source = {"wechat.account": "oa", "wechat.merchant": "pay"}[record._name]
        self.env["wechat.event"]._receive(
            source, record.id, record.company_id.id, "k", "nobody_handles_this", {}
        )

    def test_what_is_used_is_not_deleted(self):
        unused = self.account.create(self.account_vals(appid="wx77777777aa"))
        unused.unlink()
        self.assertFalse(unused.exists())
        for record in (self.account, self.merchant):
            self.receive(record)
            with self.subTest(record), self.assertRaisesRegex(UserError, "Archive"):
                record.unlink()
            query = SQL(
                "DELETE FROM %s WHERE id = %s",
                SQL.identifier(record._table),
                record.id,
            )
            with (
                self.subTest((record, "SQL")),
                mute_logger("odoo.sql_db"),
                self.assertRaises(IntegrityError),
                self.cr.savepoint(),
            ):
                self.env.cr.execute(query)
            record.action_archive()
            self.assertFalse(record.active)

    def test_an_account_with_followers_is_not_deleted(self):
        self.env["wechat.identity"]._find_or_create(self.account, "o1")
        with self.assertRaises(UserError):
            self.account.unlink()

    def test_the_company_stays_with_the_data(self):
        other = self.env["res.company"].create({"name": "Other"})
        for record in (self.account, self.merchant):
            record.company_id = other
            record.company_id = self.company
            self.receive(record)
            record.write({"company_id": self.company.id, "name": "Same"})
            for company in (other, other.id):
                with self.subTest(record), self.assertRaises(UserError):
                    record.company_id = company
            self.assertEqual(record.company_id, self.company)

    def test_no_duplicates_in_the_views(self):
        """A copy has no AppID or number, and cannot be saved."""
        for record in (self.account, self.merchant):
            for kind in ("form", "list"):
                arch = record.get_view(view_type=kind)["arch"]
                with self.subTest((record, kind)):
                    self.assertEqual(etree.fromstring(arch).get("duplicate"), "0")

    def test_messages_in_chinese(self):
        self.env["res.lang"]._activate_lang("zh_CN")
        self.account.environment = "disabled"
        with self.assertRaisesRegex(WechatConfigError, "已停用"):
            self.account.with_context(lang="zh_CN")._get_client()

    def test_actions(self):
        self.assertEqual(
            self.account.action_view_events()["domain"],
            [("account_id", "=", self.account.id)],
        )
        self.env["wechat.identity"]._find_or_create(self.account, "o1")
        self.assertEqual(self.account.identity_count, "1")
        self.assertTrue(self.account.action_view_identities())
        self.assertEqual(self.account.event_count, "0")

    def test_many_are_not_counted_to_the_last(self):
        for number in range(3):
            self.env["wechat.identity"]._find_or_create(self.account, f"o{number}")
        with patch.object(wechat_connection_mixin, "MAX_COUNT", 2):
            self.assertEqual(self.account.identity_count, "2+")
