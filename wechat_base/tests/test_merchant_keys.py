import base64
import io
import zipfile
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.hashes import SHA256

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..tools import pay_crypto
from .common import APIV3_KEY, MCHID, ServerCase, make_keys
from .sandbox import Sandbox

NEW_KEY = "vutsrqponmlkjihgfedcba9876543210"


@tagged("post_install", "-at_install")
class TestMerchantKeys(ServerCase):
    """Keys are changed while the merchant works, against the sandbox."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.close)
        cls.known = cls.tell_sandbox(make_keys("merchant").certificate_pem)
        cls.merchant = cls.env["wechat.merchant"].create(
            {**cls.merchant_vals(), "sandbox_url": cls.sandbox.url, "key_ids": []}
        )
        cls.merchant.key_ids = [
            (
                0,
                0,
                {
                    "kind": "public_key",
                    "serial": cls.known["public_key_id"],
                    "pem": cls.known["public_key_pem"],
                },
            )
        ]
        cls.env.flush_all()

    def setUp(self):
        super().setUp()
        self.tell_sandbox(make_keys("merchant").certificate_pem)

    @classmethod
    def tell_sandbox(cls, certificate, apiv3_key=APIV3_KEY):
        return cls.sandbox.post(
            "merchants",
            mchid=MCHID,
            appids=[],
            apiv3_key=apiv3_key,
            merchant_cert_pem=certificate,
        )

    def wizard(self, **vals):
        action = self.merchant.action_set_up_keys()
        wizard = self.env[action["res_model"]].browse(action["res_id"])
        wizard.write(vals)
        return wizard

    @staticmethod
    def upload(text):
        return base64.b64encode(text.encode())

    def issue(self, request):
        """What WeChat's platform does with a certificate request."""
        csr = x509.load_pem_x509_csr(request.encode())
        self.assertTrue(csr.is_signature_valid)
        now = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(csr.subject)
            .issuer_name(csr.subject)
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .sign(make_keys("other").private, SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def apply(self, wizard):
        return wizard.action_apply()

    def works(self):
        """A signed call is answered."""
        self.merchant.invalidate_recordset()
        self.env["wechat.merchant.keys"]._try(self.merchant)

    def test_key_made_here(self):
        wizard = self.wizard()
        wizard.action_make_key()
        self.assertTrue(wizard.waiting)
        # The till goes on meanwhile.
        self.works()
        # And the request is still there tomorrow.
        wizard = self.wizard()
        certificate = self.issue(wizard.request)
        self.tell_sandbox(certificate)
        wizard.file = self.upload(certificate)
        self.apply(wizard)
        self.assertEqual(
            self.merchant.merchant_serial,
            pay_crypto.certificate_serial(pay_crypto.load_certificate(certificate)),
        )
        self.assertFalse(self.merchant.private_key_next)
        self.works()

    def test_zip_of_the_certificate_tool(self):
        keys = make_keys("zip")
        self.tell_sandbox(keys.certificate_pem)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("证书使用说明.txt", "…")
            archive.writestr("apiclient_cert.pem", keys.certificate_pem)
            archive.writestr("apiclient_key.pem", keys.private_pem)
        self.apply(self.wizard(file=base64.b64encode(content.getvalue())))
        self.works()

    def test_wechat_does_not_know_it(self):
        """Refused with the reason, and the old keys stay in use."""
        keys = make_keys("unknown")
        wizard = self.wizard(
            file=self.upload(keys.certificate_pem),
            key_file=self.upload(keys.private_pem),
        )
        # Odoo's assertRaises undoes what was written, as a request does.
        with self.assertRaises(UserError) as caught:
            self.apply(wizard)
        self.assertIn("Nothing was changed", str(caught.exception))
        self.works()

    def test_broken_zip(self):
        """Cut short or spoilt on the way: a sentence, whichever part is broken."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("apiclient_cert.pem", make_keys("zip").certificate_pem)
        whole = content.getvalue()
        start = whole.index(b"apiclient_cert.pem") + len("apiclient_cert.pem")
        spoilt = whole[:start] + b"\xff" * 40 + whole[start + 40 :]
        method = whole.index(b"PK\x01\x02") + 10
        unknown = whole[:method] + b"\x63" + whole[method + 1 :]
        for broken in (whole[:100], spoilt, unknown):
            with self.assertRaisesRegex(UserError, "ZIP"):
                self.apply(self.wizard(file=base64.b64encode(broken)))

    def test_files_that_do_not_fit(self):
        for vals, sentence in (
            ({"file": self.upload(make_keys("lost").certificate_pem)}, "belong"),
            ({"file": self.upload("hello")}, "neither"),
            ({"file": base64.b64encode(b"PK nonsense")}, "ZIP"),
            ({"key_file": self.upload(make_keys("lost").private_pem)}, "missing"),
            (
                {
                    "file": self.upload(make_keys("old", days=-1).certificate_pem),
                    "key_file": self.upload(make_keys("old", days=-1).private_pem),
                },
                "expired",
            ),
            ({"public_key_id": "PUB_KEY_ID_1"}, "both"),
            (
                {
                    "public_key_id": "PUB_KEY_ID_1",
                    "public_key_file": base64.b64encode(b"\x89PNG\0\0"),
                },
                "not WeChat's public key",
            ),
            ({}, "first"),
        ):
            with self.subTest(sentence), self.assertRaisesRegex(UserError, sentence):
                self.apply(self.wizard(**vals))

    def test_apiv3_key(self):
        """Notices that were encrypted with the former key can still be read."""
        client = self.merchant._notified(self.merchant.notify_key)[2]
        self.assertFalse(client._former_apiv3_key)
        wizard = self.wizard()
        wizard.action_make_apiv3_key()
        proposed = wizard.apiv3_key
        self.assertEqual(len(proposed), 32)
        self.apply(wizard)
        self.env.flush_all()
        client = self.merchant._notified(self.merchant.notify_key)[2]
        self.assertEqual(client._apiv3_key, proposed)
        self.assertEqual(client._former_apiv3_key, APIV3_KEY)

    def test_nothing_lies_open(self):
        wizard = self.wizard(
            apiv3_key=NEW_KEY, key_file=self.upload(make_keys("lost").private_pem)
        )
        wizard.action_make_key()
        self.env.flush_all()
        self.env.cr.execute("SELECT w.* FROM wechat_merchant_keys w")
        stored = str(self.env.cr.fetchall())
        self.assertNotIn(NEW_KEY, stored)
        self.assertNotIn(self.upload(make_keys("lost").private_pem).decode(), stored)
        self.assertNotIn("PRIVATE KEY", stored)

    def test_rights(self):
        manager = self.new_user("keys_boss", "wechat_base.wechat_group_manager")
        with self.assertRaises(AccessError):
            self.merchant.with_user(manager).action_set_up_keys()
