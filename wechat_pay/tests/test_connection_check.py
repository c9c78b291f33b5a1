from odoo.tests import tagged

from .common import PayCase


@tagged("post_install", "-at_install")
class TestConnectionCheck(PayCase):
    def account_line(self):
        check = self.env["wechat.connection.check"].browse(
            self.merchant.action_test_connection()["res_id"]
        )
        return check.line_ids.filtered(lambda one: one.name == "Account for payments")

    def test_account_is_bound(self):
        self.assertEqual(
            (self.account_line().state, self.account_line().detail), ("ok", "Shop")
        )

    def test_account_is_missing(self):
        """Signatures are good, and still nothing could be paid."""
        self.merchant.account_ids = False
        self.assertEqual(self.account_line().state, "error")
        self.assertIn("AppID", self.account_line().advice)
