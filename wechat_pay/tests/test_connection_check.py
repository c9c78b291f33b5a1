from odoo.tests import tagged

from .common import PayCase


@tagged("post_install", "-at_install")
class TestConnectionCheck(PayCase):
    def line(self):
        check = self.env["wechat.connection.check"].browse(
            self.merchant.action_test_connection()["res_id"]
        )
        return check.line_ids.filtered(lambda one: one.name == "Account for payments")

    def test_account_is_bound(self):
        self.assertEqual((self.line().state, self.line().detail), ("ok", "Shop"))

    def test_account_is_missing(self):
        """Signatures are good, and still nothing could be paid."""
        self.merchant.account_ids = False
        self.assertEqual(self.line().state, "error")
        self.assertIn("AppID", self.line().advice)
