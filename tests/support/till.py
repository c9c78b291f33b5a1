"""The cashier at Odoo's point of sale."""

import contextlib
import time

from playwright.sync_api import TimeoutError

from .browser import OdooUser

SCANNER = """
keys => {
    const target = document.activeElement || document.body;
    for (const key of keys) {
        for (const name of ["keydown", "keyup"]) {
            target.dispatchEvent(
                new KeyboardEvent(name, { key, bubbles: true, cancelable: true })
            );
        }
    }
}
"""


class Cashier(OdooUser):
    """Drives the till as a cashier does: clicks, and a scanner that types."""

    def open_till(self, config_id: int) -> None:
        """Open the session of a till and wait for its product screen."""
        self.page.goto(f"{self.url}/pos/ui/{config_id}")
        products = self.page.locator(".product-screen .product-list article.product")
        opening = self.page.locator(
            ".login-overlay .open-register-btn, .modal-dialog .btn-primary"
        )
        # The login screen, then the opening popup, which may be drawn twice: done
        # when the products have been there alone for a moment.
        end, alone = time.monotonic() + 90, 0
        while alone < 3:
            if time.monotonic() > end:
                raise AssertionError("the till did not open")
            if opening.count():
                alone = 0
                with contextlib.suppress(TimeoutError):
                    opening.first.click(timeout=2000)
            elif products.count():
                alone += 1
            self.page.wait_for_timeout(300)

    def add_product(self, name: str) -> None:
        self.page.locator(f"article.product:has-text('{name}')").first.click()
        self.page.wait_for_selector(f".orderline:has-text('{name}')")

    def scan(self, code: str) -> None:
        """A scanner in keyboard mode: quick key strokes and Enter.

        All in one go: Odoo takes keys that come slower than 100 ms for a person's.
        """
        self.page.evaluate(SCANNER, [*code, "Enter"])

    def total(self) -> str:
        return self.page.locator(
            ".order-summary .total, .product-screen .total"
        ).first.inner_text()

    def go_to_payment(self) -> None:
        self.page.locator(".product-screen button.pay-order-button:visible").click()

    def pay_cash(self, method: str = "现金") -> None:
        self.page.wait_for_selector(".payment-screen")
        self.page.locator(f".paymentmethod:has-text('{method}')").first.click()
        self.page.wait_for_selector(".paymentlines .paymentline")

    def validate(self) -> None:
        self.page.locator(".payment-screen .button.next:visible").first.click()
        self.page.wait_for_selector(".receipt-screen")

    def next_order(self) -> None:
        self.page.locator(".receipt-screen .button.next:visible").first.click()
        self.page.wait_for_selector(".product-screen")
