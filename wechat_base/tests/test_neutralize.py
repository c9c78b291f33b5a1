from psycopg2 import IntegrityError

from odoo.modules.neutralize import get_neutralization_queries
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import WechatCase


@tagged("post_install", "-at_install")
class TestNeutralize(WechatCase):
    def neutralize(self):
        self.env.flush_all()
        for query in get_neutralization_queries(["wechat_base"]):
            self.env.cr.execute(query)
        self.env.invalidate_all()

    def test_the_same_account_at_wechat_and_in_the_sandbox(self):
        production = {"environment": "production", "sandbox_url": False}
        accounts = self.account + self.account.create(self.account_vals(**production))
        merchants = self.merchant + self.merchant.create(
            self.merchant_vals(**production)
        )
        self.neutralize()
        for records in (accounts, merchants):
            self.assertEqual(records.mapped("environment"), ["disabled"] * 2)
            self.assertEqual(records.mapped("active"), [True] * 2)
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            accounts.environment = "production"
            accounts.flush_recordset()

    def test_a_copy_is_silent_and_deaf(self):
        events, identity = self.env["wechat.event"], "wechat.event:now"
        events._receive("oa", self.account.id, 1, "k", "x", {})
        events._drain_enqueue()
        old_key = self.account.callback_key
        self.neutralize()
        for record in (self.account, self.merchant):
            self.assertEqual(record.environment, "disabled")
            for name in record._secret_fields():
                self.assertFalse(record.sudo()[f"{name}_cipher"])
        self.assertNotEqual(self.account.callback_key, old_key)
        self.env.cr.execute("SELECT count(*) FROM wechat_token")
        self.assertEqual(self.env.cr.fetchone()[0], 0)
        event = events.search([("event_key", "=", "k")])
        self.assertEqual(event.state, "ignored")
        job = self.env["queue.job"].search([("identity_key", "=", identity)])
        self.assertEqual(job.state, "cancelled")
        self.assertEqual(self.account._secret_key_state(), "ok")
