from odoo.tests import tagged

from odoo.addons.wechat_pay.tests.http_common import WebCase


@tagged("post_install", "-at_install")
class TestSms(WebCase):
    def sms(self):
        return self.env["sms.sms"].search([("partner_id", "=", self.partner.id)])

    def test_receipt(self):
        self.provider.wechat_sms_done = True
        tx = self.make_tx()
        self.open_page(tx)
        self.pay(self.rows(tx).number, notify=True)
        sms = self.sms()
        self.assertEqual(sms.number.replace(" ", ""), "+8613800138000")
        self.assertEqual(sms.state, "outgoing")
        self.assertIn("12.34", sms.body)
        self.assertIn(tx.reference, sms.body)
        tx._wechat_tell("done")
        self.assertEqual(self.sms(), sms)

    def test_not_paid_in_time(self):
        self.provider.wechat_sms_failed = True
        tx = self.make_tx()
        self.open_page(tx)
        self.let_time_pass(self.rows(tx))
        self.drain()
        self.assertIn(f"/payment/wechat_pay/{tx.id}?access_token=", self.sms().body)

    def test_off_by_default(self):
        tx = self.make_tx()
        self.open_page(tx)
        self.pay(self.rows(tx).number, notify=True)
        self.assertEqual(tx.state, "done")
        self.assertFalse(self.sms())

    def test_no_number(self):
        self.provider.wechat_sms_done = True
        self.partner.phone = False
        tx = self.make_tx()
        self.open_page(tx)
        self.pay(self.rows(tx).number, notify=True)
        self.assertEqual(tx.state, "done")
        self.assertFalse(self.sms())
