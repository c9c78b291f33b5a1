"""The main story: one WeChat coupon, from the marketer's screen to the report.

``make demo`` tells it and ``make test`` runs it; each step checks both sides and
raises ``AssertionError`` when one of them says something else.
"""

import base64
import contextlib
import datetime
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from tests.support import coupons
from tests.support.browser import PHONE, OdooUser, Person, chromium
from tests.support.rpc import Rpc
from tests.support.till import Cashier
from tests.support.world import World, wait_until
from wxenv import shop

COUPON = {
    "name": "满 100 减 20 元",
    "channel": "card",
    "coupon_type": "amount",
    "amount_fen": 2000,
    "threshold_fen": 10000,
    "date_type": "range",
    "title": "满 100 减 20",
    "brand_name": "微光便利店",
    "notice": "结账时请出示券码",
    "description": "单笔消费满 100 元可用，每单限用一张，不找零。",
    "color": "Color030",
    "code_type": "CODE_TYPE_QRCODE",
    "stock": 100,
    "get_limit": 1,
}
BRAND = "1203440001"
PRODUCT_COUPON = {
    "name": "坚果立减 10 元",
    "channel": "product_coupon",
    "coupon_type": "amount",
    "amount_fen": 1000,
    "threshold_fen": 5000,
    "date_type": "range",
    "title": "坚果立减 10 元",
    "brand_name": "微光便利店",
    "goods_text": "每日坚果",
    "description": "微信支付满 50 元可用。",
    "stock": 100,
    "get_limit": 5,
}
TOTAL_BEFORE, TOTAL_AFTER, DISCOUNT_FEN = "128.00", "108.00", 2000


@dataclass
class Told:
    """One step of the story as it is printed."""

    title: str
    odoo: str
    wechat: str
    shots: list = field(default_factory=list)


class FirstCoupon:
    """The story; :meth:`steps` yields what happened, in order."""

    def __init__(self, world: World, executable: str):
        self.world = world
        self.executable = executable
        self.shots = world.shots("first-coupon")
        self.figures: dict[str, float] = {}
        self.template = 0
        self.card_id = ""
        self.openid = ""
        self.code = ""

    def steps(self) -> Iterator[Told]:
        """Play the story.

        :raises AssertionError: at the first step that is not true
        """
        Person.taken = 0
        with chromium(self.executable) as browser:
            self.office = OdooUser(browser, self.world.stack.url, self.shots)
            self.phone = Person(
                browser,
                self.world.stack.sandbox_url,
                self.shots,
                PHONE,
                device_scale_factor=2,
                is_mobile=True,
                has_touch=True,
            )
            self.till = Cashier(browser, self.world.stack.url, self.shots)
            for step in self._all():
                try:
                    told = step()
                except BaseException:
                    self._show_failure()
                    raise
                yield told
            errors = [*self.office.errors, *self.phone.errors, *self.till.errors]
            assert not errors, f"errors in the browser: {errors}"

    def _show_failure(self) -> None:
        """What everybody sees at the step that is not true."""
        for name in ("office", "phone", "till"):
            with contextlib.suppress(Exception):
                getattr(self, name).shot(f"failed-{name}")

    def _all(self) -> list[Callable[[], Told]]:
        return [
            self.test_connection,
            self.publish,
            self.receive,
            self.scan,
            self.refuse_second_till,
            self.pay,
            self.write_off,
            self.refuse_second_use,
            self.report,
            self.give_back,
            self.publish_product_coupon,
            self.pay_with_product_coupon,
            self.speak_english,
        ]

    # -- what both sides say

    def coupon(self) -> dict:
        return self.world.admin.read(
            "loyalty.card",
            [("code", "=", self.code)],
            ["id", "code", "points", "wechat_state", "coupon_template_id"],
        )[0]

    def redemptions(self) -> list[dict]:
        return self.world.admin.read(
            "coupon.redemption",
            [("coupon_id.code", "=", self.code)],
            ["state", "remote_state", "request_no", "discount_fen", "order_name"],
        )

    def remote(self) -> dict:
        codes = self.world.sandbox.state()["codes"]
        found = codes.values() if isinstance(codes, dict) else codes
        return next(code for code in found if code["code"] == self.code)

    # -- steps

    def test_connection(self) -> Told:
        marketer: Rpc = self.world.admin
        account = self.world.ref("account")
        action = marketer.call("wechat.account", "action_test_connection", [account])
        lines = marketer.read(
            "wechat.connection.check.line",
            [("check_id", "=", action["res_id"])],
            ["name", "state", "detail", "advice"],
        )
        bad = [line for line in lines if line["state"] == "error"]
        assert lines and not bad, bad
        good = sum(line["state"] == "ok" for line in lines)
        others = [
            f"{line['name']}: {line['detail']}"
            for line in lines
            if line["state"] != "ok"
        ]
        return Told(
            "连接测试 The account is connected",
            f"connection test: {good} of {len(lines)} lines green, none red"
            + "".join(f" ({other})" for other in others),
            "token handed out, callback address verified",
        )

    def publish(self) -> Told:
        marketer = self.world.person("marketer")
        today = datetime.date.today()
        self.template = marketer.call(
            "coupon.template",
            "create",
            {
                **COUPON,
                "logo": logo(),
                "account_id": self.world.ref("account"),
                "date_from": str(today),
                "date_to": str(today + datetime.timedelta(days=60)),
            },
        )
        self.office.log_in("marketer", "marketer")
        self.office.open(
            f"/odoo/action-wechat_coupon.coupon_template_action/{self.template}",
            ".o_form_view",
        )
        shots = [self.office.shot("template-draft")]
        self.office.page.click("button[name=action_publish]:visible")

        def state():
            row = marketer.read(
                "coupon.template",
                [("id", "=", self.template)],
                ["state", "remote_id", "state_reason"],
            )[0]
            return row if row["state"] == "live" else None

        row = wait_until("the template is live", state, 60)
        self.card_id = row["remote_id"]
        cards = self.world.sandbox.state()["cards"]
        found = cards.values() if isinstance(cards, dict) else cards
        card = next(card for card in found if card["card_id"] == self.card_id)
        assert card["status"] == "CARD_STATUS_VERIFY_OK", card
        self.office.page.reload()
        self.office.page.wait_for_selector(".o_form_view")
        self.office.page.wait_for_timeout(500)
        shots.append(self.office.shot("template-live"))
        return Told(
            "发布 The marketer publishes a coupon, WeChat's review passes it",
            f"template {self.template} is live, card {self.card_id}",
            f"card {self.card_id} is {card['status']}",
            shots,
        )

    def receive(self) -> Told:
        self.openid = self.world.sandbox.user("小林")
        page = self.phone.page
        page.goto(f"{self.phone.url}/phone/{self.openid}/receive")
        page.click("ul.list a.row")
        shots = [self.phone.shot("phone-offer")]
        page.click("form button.button.wide")
        page.wait_for_selector("[data-code]")
        self.code = page.get_attribute("[data-code]", "data-code")
        shots.append(self.phone.shot("phone-code"))
        coupon = wait_until(
            "Odoo knows the coupon",
            lambda: self.world.admin.read(
                "loyalty.card", [("code", "=", self.code)], ["points", "wechat_state"]
            ),
        )[0]
        assert coupon["wechat_state"] == "usable", coupon
        return Told(
            "领取 A customer receives it on the phone",
            f"coupon {self.code} came by callback and is {coupon['wechat_state']}",
            f"code {self.code} of 小林 is {self.remote()['state']}",
            shots,
        )

    def scan(self) -> Told:
        self.till.log_in("cashier", "cashier")
        self.till.open_till(self.world.ref("till_1"))
        self.till.add_product("每日坚果")
        assert TOTAL_BEFORE in self.till.total(), self.till.total()
        start = time.monotonic()
        self.till.scan(self.code)
        self.till.page.wait_for_selector(".orderline:has-text('20.00')")
        self.figures["code to discount on screen, ms"] = _ms(start)
        assert TOTAL_AFTER in self.till.total(), self.till.total()
        return Told(
            "扫码 The cashier scans the code",
            f"total {TOTAL_BEFORE} → {TOTAL_AFTER} yuan on the screen",
            f"code is {self.remote()['state']}, nothing consumed",
            [self.till.shot("till-discount")],
        )

    def refuse_second_till(self) -> Told:
        self.till.go_to_payment()
        self.till.page.wait_for_selector(".payment-screen")
        held = wait_until(
            "the coupon is reserved",
            lambda: [row for row in self.redemptions() if row["state"] == "reserved"],
        )
        other = self.world.person("cashier").call(
            "pos.config",
            "wechat_coupon_lookup",
            [self.world.ref("till_2")],
            self.code,
            "00000000-0000-4000-8000-000000000002",
            False,
            coupons.cart(coupons.product_id(self.world), 12800),
        )
        assert not other["eligible"], other
        assert other["reasons"][0]["code"] == "held_by_other_order", other
        return Told(
            "预留 Payment starts: the coupon is held, a second till is refused",
            f"{held[0]['request_no']} is reserved; till 2 hears: "
            f"{other['reasons'][0]['message']}",
            f"code is {self.remote()['state']}",
            [self.till.shot("till-payment")],
        )

    def pay(self) -> Told:
        self.till.pay_cash()
        self.paid_at = time.monotonic()
        self.till.validate()
        receipt = self.till.page.locator(".pos-receipt").inner_text()
        assert "满 100 减 20" in receipt, receipt
        row = wait_until(
            "the coupon is redeemed",
            lambda: [row for row in self.redemptions() if row["state"] == "redeemed"],
        )[0]
        assert row["discount_fen"] == DISCOUNT_FEN, row
        return Told(
            "收款 The order is paid; the receipt names the coupon",
            f"order {row['order_name']} paid, {row['request_no']} is redeemed, "
            f"{row['discount_fen']} fen",
            f"code is {self.remote()['state']}",
            [self.till.shot("till-receipt")],
        )

    def write_off(self) -> Told:
        wait_until(
            "the write-off is done",
            lambda: [
                row for row in self.redemptions() if row["remote_state"] == "done"
            ],
            90,
            0.02,
        )
        self.figures["payment validated to written off, ms"] = _ms(self.paid_at)
        rows = self.redemptions()
        assert [row["state"] for row in rows] == ["redeemed"], rows
        remote = self.remote()
        assert remote["state"] == "CONSUMED", remote
        calls = self.consumed()
        assert len(calls) == 1, calls
        return Told(
            "核销 WeChat is told, exactly once",
            f"{rows[0]['request_no']} is {rows[0]['remote_state']}",
            f"code is {remote['state']}, {len(calls)} call of code/consume",
        )

    def consumed(self) -> list[dict]:
        return [
            entry
            for entry in self.world.sandbox.log("/card/code/consume")
            if self.code in str(entry["body"])
        ]

    def refuse_second_use(self) -> Told:
        self.till.next_order()
        self.till.add_product("每日坚果")
        self.till.scan(self.code)
        note = self.till.page.locator(
            ".o_notification, .modal-dialog:not(.opening-control)"
        ).first
        note.wait_for()
        text = " ".join(note.inner_text().split())
        assert "已" in text and TOTAL_BEFORE in self.till.total(), text
        shot = self.till.shot("till-used")
        page = self.phone.page
        page.reload()
        page.wait_for_selector("[data-state]")
        assert len(self.consumed()) == 1
        return Told(
            "再次使用 The same code again: refused, with the reason",
            f"the till says: {text}",
            "the phone shows the coupon as used",
            [shot, self.phone.shot("phone-used")],
        )

    def report(self) -> Told:
        rows = self.world.person("accountant").call(
            "coupon.redemption",
            "formatted_read_group",
            [("state", "=", "redeemed")],
            ["template_id"],
            ["__count", "discount_amount:sum"],
        )
        assert len(rows) == 1 and rows[0]["__count"] == 1, rows
        assert rows[0]["discount_amount:sum"] == DISCOUNT_FEN / 100, rows
        booked = self.world.sql(
            "SELECT -sum(line.price_subtotal_incl) FROM pos_order_line line "
            "WHERE line.is_reward_line AND line.coupon_id = %s",
            self.coupon()["id"],
        )[0][0]
        assert float(booked) == DISCOUNT_FEN / 100, booked
        people = OdooUser(self.office.context.browser, self.office.url, self.shots)
        people.log_in("accountant", "accountant")
        people.open("/odoo/action-wechat_coupon.coupon_redemption_action", ".o_content")
        # The first page after the login is drawn twice.
        people.page.wait_for_timeout(700)
        people.page.wait_for_selector(".o_list_view .o_data_row")
        shots = [people.shot("report-list")]
        for kind in ("pivot", "graph"):
            people.page.locator(f".o_switch_view.o_{kind}").first.click()
            people.page.wait_for_selector(f".o_{kind}_view")
            # A graph grows into its place.
            people.page.wait_for_timeout(1500)
            shots.append(people.shot(f"report-{kind}"))
        errors = people.errors
        people.close()
        assert not errors, errors
        return Told(
            "报表 The accountant's report equals the order",
            f"1 redemption, {rows[0]['discount_amount:sum']:.2f} yuan; the order's "
            f"discount line says {float(booked):.2f}",
            f"code is {self.remote()['state']}",
            shots,
        )

    def give_back(self) -> Told:
        """The customer brings everything back; WeChat takes no card back."""
        page = self.till.page
        page.locator(
            ".modal-footer .btn-primary, .modal-header .btn-close"
        ).first.click()
        page.locator(".pos-leftheader .orders-button").click()
        page.locator(".pos-search-bar .filter").click()
        page.locator(".pos-search-bar .filter ul li:has-text('已支')").click()
        page.locator(f".ticket-screen .order-row:has-text('{TOTAL_AFTER}')").click()
        page.locator(".ticket-screen .numpad button:text-is('1')").click()
        shots = [self.till.shot("till-refund")]
        page.locator(".ticket-screen .btn-primary.pay-order-button").click()
        self.till.pay_cash()
        assert f"-{TOTAL_AFTER}" in page.locator(".payment-screen").inner_text()
        self.till.validate()
        new = wait_until(
            "the customer has a new coupon",
            lambda: self.world.admin.read(
                "loyalty.card",
                [("wechat_replaces_id", "=", self.coupon()["id"])],
                ["code", "points", "wechat_state"],
            ),
        )[0]
        receipt = page.locator(".pos-receipt").inner_text()
        assert new["code"] in receipt.replace("\n", ""), receipt
        rows = self.redemptions()
        assert [row["state"] for row in rows] == ["returned"], rows
        assert (new["wechat_state"], new["points"]) == ("usable", 1.0), new
        shots.append(self.till.shot("till-refund-receipt"))
        return Told(
            "退货 The goods come back, and with them a coupon",
            f"-{TOTAL_AFTER} yuan paid out, the redemption is returned, the receipt "
            f"has a new coupon {new['code']}",
            f"code stays {self.remote()['state']}: WeChat takes no card back",
            shots,
        )

    def publish_product_coupon(self) -> Told:
        sandbox, marketer = self.world.sandbox, self.world.person("marketer")
        sandbox.ask("POST", "settings", product_review="pass", ask_password=False)
        sandbox.ask(
            "POST",
            "brands",
            brand_id=BRAND,
            appids=[shop.APPID],
            providers=[shop.MCHID],
        )
        today = datetime.date.today()
        self.product_template = marketer.call(
            "coupon.template",
            "create",
            {
                **PRODUCT_COUPON,
                "logo": logo(),
                "account_id": self.world.ref("account"),
                "merchant_id": self.world.ref("merchant"),
                "brand_no": BRAND,
                "date_from": str(today),
                "date_to": str(today + datetime.timedelta(days=60)),
            },
        )
        self.office.open(
            "/odoo/action-wechat_coupon.coupon_template_action/"
            f"{self.product_template}",
            ".o_form_view",
        )
        self.office.page.click("button[name=action_publish]:visible")

        def state():
            row = marketer.read(
                "coupon.template",
                [("id", "=", self.product_template)],
                ["state", "remote_id", "state_reason"],
            )[0]
            return row if row["state"] == "live" else None

        row = wait_until("the product coupon is live", state, 90)
        claimed = sandbox.ask(
            "POST", f"phone/{self.openid}/product/claim", stock_id=row["remote_id"]
        )
        self.product_code = claimed[0]["coupon_code"]
        wait_until(
            "the coupon is confirmed",
            lambda: self.world.admin.read(
                "loyalty.card",
                [("code", "=", self.product_code), ("wechat_state", "=", "usable")],
                ["code"],
            ),
            90,
        )
        self.office.page.reload()
        self.office.page.wait_for_selector(".o_form_view")
        self.office.page.wait_for_timeout(500)
        return Told(
            "商品券 A product coupon is published, claimed and confirmed",
            f"template {self.product_template} is live, coupon {self.product_code} "
            "is usable",
            f"coupon is {self.product_coupon()['coupon_state']}",
            [self.office.shot("product-coupon-live")],
        )

    def product_coupon(self) -> dict:
        """What WeChat says of the customer's product coupon."""
        held = self.world.sandbox.ask("GET", f"phone/{self.openid}/product/coupons")
        return next(one for one in held if one["coupon_code"] == self.product_code)

    def pay_with_product_coupon(self) -> Told:
        page = self.till.page
        self.till.next_order()
        self.till.add_product("每日坚果")
        self.till.scan(self.product_code)
        page.wait_for_selector(".orderline:has-text('10.00')")
        shots = [self.till.shot("till-product-coupon")]
        self.till.go_to_payment()
        self.till.pay_cash("微信支付")
        code = self.world.sandbox.ask(
            "POST", f"phone/{self.openid}/pay_code", new=True
        )["auth_code"]
        page.wait_for_timeout(300)
        self.till.scan(code)
        # What is paid in full is validated by itself.
        page.wait_for_selector(".receipt-screen")
        shots.append(self.till.shot("till-product-coupon-receipt"))
        row = wait_until(
            "the product coupon is used at WeChat",
            lambda: self.world.admin.read(
                "coupon.redemption",
                [
                    ("coupon_id.code", "=", self.product_code),
                    ("remote_state", "=", "done"),
                ],
                ["request_no", "state", "order_name"],
            ),
            90,
        )[0]
        shown = self.product_coupon()
        assert shown["coupon_state"] == "USED", shown
        return Told(
            "微信支付 An order with a product coupon is paid with WeChat Pay",
            f"order {row['order_name']} is paid, {row['request_no']} is {row['state']}",
            f"coupon is {shown['coupon_state']}, joined with the payment",
            shots,
        )

    def speak_english(self) -> Told:
        for login in ("marketer", "cashier"):
            user = self.world.ref(f"user_{login}")
            self.world.admin.call("res.users", "write", [user], {"lang": "en_US"})
        self.office.open(
            f"/odoo/action-wechat_coupon.coupon_template_action/{self.template}",
            ".o_form_view",
        )
        self.office.page.wait_for_timeout(500)
        shots = [self.office.shot("template-english")]
        self.office.open(
            "/odoo/action-wechat_coupon.coupon_redemption_action", ".o_content"
        )
        self.office.page.wait_for_timeout(700)
        shots.append(self.office.shot("redemptions-english"))
        self.till.open_till(self.world.ref("till_1"))
        self.till.add_product("每日坚果")
        # An order that is open when the page is reloaded stays in the till.
        self.till.open_till(self.world.ref("till_1"))
        self.till.page.wait_for_selector(".orderline")
        self.till.scan(self.code)
        note = self.till.page.locator(".o_notification, .modal-dialog").first
        note.wait_for()
        text = " ".join(note.inner_text().split())
        shots.append(self.till.shot("till-used-english"))
        return Told(
            "英文 The same in English",
            f"the till says: {text}",
            f"{len(self.consumed())} call of code/consume",
            shots,
        )


def logo() -> str:
    """A shop's logo, as WeChat wants it: 300 × 300 dots; base64 of a PNG."""
    image = Image.new("RGB", (300, 300), "#f6c343")
    pen = ImageDraw.Draw(image)
    pen.ellipse((60, 60, 240, 240), fill="#ffffff")
    pen.ellipse((110, 110, 190, 190), fill="#e8590c")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _ms(start: float) -> float:
    return round((time.monotonic() - start) * 1000)
