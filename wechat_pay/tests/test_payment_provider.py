from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from .. import const
from .common import PayCase
from .http_common import WebCase


@tagged("post_install", "-at_install")
class TestPaymentProvider(PayCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider = WebCase.make_provider.__func__(cls)

    def compatible(self, currency="base.CNY", report=None):
        return self.env["payment.provider"]._get_compatible_providers(
            self.company.id,
            self.env.user.partner_id.id,
            12.34,
            currency_id=self.env.ref(currency).id,
            report=report,
        )

    def test_there_is_one_for_each_company(self):
        for company in self.env["res.company"].search([("parent_id", "=", False)]):
            found = self.env["payment.provider"].search(
                [("code", "=", "wechat_pay"), ("company_id", "=", company.id)]
            )
            self.assertEqual(len(found), 1, company.name)

    def test_yuan_only(self):
        self.assertIn(self.provider, self.compatible())
        self.env.ref("base.USD").active = True
        report = {}
        self.assertNotIn(self.provider, self.compatible("base.USD", report))
        self.assertFalse(report["providers"][self.provider]["available"])

    def test_beside_other_providers(self):
        other = self.env["payment.provider"].create(
            {
                "name": "Another",
                "code": "none",
                "state": "test",
                "is_published": True,
                "company_id": self.company.id,
            }
        )
        self.assertLessEqual(self.provider + other, self.compatible())
        self.assertEqual(other.support_refund, "none")
        self.assertFalse(other._get_default_payment_method_codes())
        self.assertEqual(
            other._get_supported_currencies(),
            self.env["res.currency"].with_context(active_test=False).search([]),
        )

    def test_payment_method(self):
        method = self.env.ref("payment.payment_method_wechat_pay")
        self.assertTrue(method.active)
        self.assertEqual(self.provider.payment_method_ids, method)
        self.assertEqual(self.provider.support_refund, "partial")

    def test_test_mode_moves_no_money(self):
        self.provider.state = "disabled"
        self.merchant.environment = "production"
        with self.assertRaisesRegex(ValidationError, "real money"):
            self.provider.state = "test"

    def test_enabled_takes_real_money(self):
        with self.assertRaisesRegex(ValidationError, "does not take real money"):
            self.provider.state = "enabled"
        self.provider.state = "disabled"
        self.merchant.environment = "production"
        self.provider.state = "enabled"
        self.assertEqual(self.provider._wechat_ready_merchant(), self.merchant)

    def test_merchant_is_changed_afterwards(self):
        with self.assertRaisesRegex(ValidationError, "test mode"):
            self.merchant.environment = "production"

    def test_merchant_is_switched_off(self):
        self.merchant.environment = "disabled"
        with self.assertRaises(UserError):
            self.provider._wechat_ready_merchant()

    def test_no_merchant(self):
        with self.assertRaisesRegex(ValidationError, "WeChat merchant"):
            self.provider.wechat_merchant_id = False

    def test_merchant_of_another_company(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        provider = self.env["payment.provider"].search(
            [("code", "=", "wechat_pay"), ("company_id", "=", company.id)]
        )
        with self.assertRaises(UserError):
            provider.wechat_merchant_id = self.merchant

    def test_journal_is_that_of_the_merchant(self):
        self.assertEqual(self.provider.journal_id, self.merchant.journal_id)
        line = self.env["account.payment.method.line"].search(
            [("payment_provider_id", "=", self.provider.id)]
        )
        self.assertEqual(line.journal_id, self.merchant.journal_id)

    def test_only_administrators_see_the_merchant(self):
        with self.assertRaises(AccessError):
            self.provider.with_user(self.manager).read(["wechat_merchant_id"])

    def test_a_copy_has_no_merchant(self):
        copy = self.provider.copy()
        self.assertFalse(copy.wechat_merchant_id)
        self.assertEqual(copy.state, "disabled")

    def test_constants(self):
        self.assertIsInstance(const.SUPPORTED_CURRENCIES, tuple)
        states = dict(self.env["payment.transaction"]._fields["state"].selection)
        ours = dict(self.env["wechat.pay.transaction"]._fields["state"].selection)
        for mapping in (const.WEB_PAYMENT_STATES, const.WEB_REFUND_STATES):
            self.assertLessEqual(set(mapping), set(ours))
            self.assertLessEqual(set(mapping.values()), set(states))
