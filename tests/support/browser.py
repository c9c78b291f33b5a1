"""Chromium for the stories: one browser, a context per person, screenshots."""

import contextlib
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--lang=zh-CN",
]
DESKTOP = {"width": 1366, "height": 768}
PHONE = {"width": 390, "height": 844}


@contextlib.contextmanager
def chromium(executable: str):
    """A headless Chromium for as long as the block lasts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, headless=True, args=ARGUMENTS
        )
        try:
            yield browser
        finally:
            browser.close()


class Person:
    """Somebody with a browser of their own: their cookies, their screen.

    :param shots: the folder for screenshots; their numbers follow the story.
    """

    taken = 0

    def __init__(
        self, browser: Browser, url: str, shots: Path, viewport=None, **options
    ):
        self.url = url
        self.shots = shots
        self.context = browser.new_context(
            viewport=viewport or DESKTOP,
            locale="zh-CN",
            # The shop's computers show the shop's time.
            timezone_id="Asia/Shanghai",
            **options,
        )
        self.context.set_default_timeout(30_000)
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def shot(self, name: str) -> Path:
        """Take a screenshot and return its path."""
        Person.taken += 1
        self.shots.mkdir(parents=True, exist_ok=True)
        path = self.shots / f"{Person.taken:02d}-{name}.png"
        self.page.screenshot(path=path)
        return path

    def close(self) -> None:
        self.context.close()


class OdooUser(Person):
    """A person who is logged in to Odoo."""

    def log_in(self, login: str, password: str) -> None:
        self.page.goto(f"{self.url}/web/login")
        self.page.fill("input[name=login]", login)
        self.page.fill("input[name=password]", password)
        with self.page.expect_navigation():
            self.page.click("form.oe_login_form button[type=submit]")
        self.page.wait_for_selector(".o_web_client, .o_action_manager")

    def open(self, path: str, wait_for: str) -> None:
        """Open an address of the back office and wait for a selector."""
        self.page.goto(f"{self.url}{path}")
        self.page.wait_for_selector(wait_for)
