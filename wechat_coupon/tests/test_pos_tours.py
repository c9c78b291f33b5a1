from odoo.tests import HttpCase, tagged
from odoo.tools.misc import file_path

from odoo.addons.web.tests.test_js import unit_test_error_checker


# Debian's package of Odoo lacks this file of `mail`. The browser reports it as an
# error when the page is loaded, and Odoo's test runner stops at any error.
_MISSING = "mail/static/lib/selfie_segmentation/selfie_segmentation.js"


@tagged("post_install", "-at_install")
class TestTillUnits(HttpCase):
    """The hoot tests of the till, alone: `static/tests/unit`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        try:
            file_path(_MISSING)
        except FileNotFoundError:
            cls.env["ir.asset"].create(
                {
                    "name": "Without the missing file",
                    "bundle": "web.assets_backend",
                    "directive": "remove",
                    "path": _MISSING,
                }
            )

    def test_hoot(self):
        suite = _suite_id("@wechat_coupon")
        self.browser_js(
            f"/web/tests?headless&loglevel=2&preset=desktop&timeout=15000&id={suite}",
            "",
            "",
            login="admin",
            timeout=600,
            success_signal="[HOOT] Test suite succeeded",
            error_checker=unit_test_error_checker,
        )


def _suite_id(name):
    """Return how hoot calls a suite: Java's hash of its name, in hexadecimal."""
    number = 0
    for char in name:
        number = ((number << 5) - number + ord(char)) & 0xFFFFFFFF
    return f"{number:08x}"
