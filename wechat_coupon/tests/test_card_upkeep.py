from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import SandboxCase

UPDATE, STOCK = "/card/update", "/card/modifystock"
DEPOSIT = "/card/code/deposit"
PIXEL = (
    b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    b"awAAAABJRU5ErkJggg=="
)


class UpkeepCase(SandboxCase):
    def setUp(self):
        super().setUp()
        self.card = self.new_card()
        self.pull()
        self.offer = self.env["coupon.template"].search(
            [("remote_id", "=", self.card["card_id"])]
        )

    def at_wechat(self, template=None):
        card = (
            (template or self.offer)
            .account_id._get_client()
            .card.get((template or self.offer).remote_id)
        )
        return card["cash"]["base_info"]

    def run_due(self, template=None):
        """Let the drain do what is due, asking first where it has to."""
        tasks = self.tasks(template or self.offer)
        due = tasks.filtered(lambda t: t.remote_state in ("pending", "unknown"))
        for task in due.sorted("id"):
            if task.remote_state == "unknown":
                found = self.outside(task, "_operation_query")
                outcome, vals = found if isinstance(found, tuple) else (found, {})
                if outcome == "done":
                    task._operation_settle(vals)
                    continue
            self.env.flush_all()
            self.assertTrue(task._operation_begin())
            task._operation_settle(self.outside(task, "_operation_call"))
        self.env.invalidate_all()
        return due


@tagged("post_install", "-at_install")
class TestTexts(UpkeepCase):
    def test_texts_change_at_wechat(self):
        self.offer.with_user(self.manager).write(
            {"notice": "请在付款前出示", "color": "Color080", "get_limit": 3}
        )
        self.offer.with_user(self.manager).write({"description": "每人三张"})
        # The second change rides with the first.
        self.assertEqual(len(self.tasks(self.offer)), 1)
        self.run_due()
        base = self.at_wechat()
        self.assertEqual(base["notice"], "请在付款前出示")
        self.assertEqual(base["description"], "每人三张")
        self.assertEqual(base["get_limit"], 3)
        self.assertEqual(self.tasks(self.offer).remote_state, "done")
        # It is reviewed again, and those that customers hold stay good.
        self.assertEqual(self.offer.remote_status, "CARD_STATUS_NOT_VERIFY")
        self.assertEqual(self.offer.state, "live")

    def test_answer_lost(self):
        self.fault(UPDATE, "timeout_after", seconds=0.1)
        self.offer.notice = "新提示"
        self.run_due()
        task = self.tasks(self.offer)
        self.assertEqual(task.remote_state, "unknown")
        self.run_due()
        self.assertEqual(task.remote_state, "done")
        self.assertEqual(len(self.sandbox.log(UPDATE)), 1)

    def test_logo(self):
        self.offer.logo = PIXEL
        self.assertTrue(self.offer.logo_changed)
        before = self.offer.logo_url
        self.run_due()
        self.assertFalse(self.offer.logo_changed)
        self.assertNotEqual(self.offer.logo_url, before)
        self.assertEqual(self.at_wechat()["logo_url"], self.offer.logo_url)

    def test_limits_in_bytes(self):
        with self.assertRaisesRegex(UserError, "too long"):
            self.offer.notice = "提" * 17

    def test_ended(self):
        self.offer.action_end()
        count = len(self.tasks(self.offer))
        self.offer.notice = "x"
        self.assertEqual(len(self.tasks(self.offer)), count)


@tagged("post_install", "-at_install")
class TestStock(UpkeepCase):
    def test_more_and_less(self):
        self.receive(card_id=self.offer.remote_id)
        for stock, left in ((1500, 1499), (10, 9)):
            self.offer.with_user(self.manager).stock = stock
            self.run_due()
            sku = self.at_wechat()["sku"]
            self.assertEqual((sku["total_quantity"], sku["quantity"]), (stock, left))
            self.assertEqual(self.offer.remote_stock, left)

    def test_answer_lost(self):
        """WeChat has no number for it: what it has in all says whether it was done."""
        for kind in ("timeout_after", "timeout_before"):
            self.offer.stock += 500
            self.fault(STOCK, kind, seconds=0.1)
            self.run_due()
            task = self.tasks(self.offer)[:1]
            self.assertEqual(task.remote_state, "unknown")
            self.run_due()
            self.assertEqual(task.remote_state, "done")
            self.assertEqual(
                self.at_wechat()["sku"]["total_quantity"], self.offer.stock
            )

    def test_a_number_that_no_card_has(self):
        """Said at once: WeChat would refuse it when nobody looks any more."""
        for stock in (0, 10**8 + 1):
            with self.assertRaisesRegex(UserError, "from 1 to 100 million"):
                self.offer.with_user(self.manager).stock = stock
        self.assertFalse(self.tasks(self.offer).filtered(lambda t: t.kind == "stock"))

    def test_less_than_handed_out(self):
        for _time in range(3):
            self.receive(card_id=self.offer.remote_id)
        self.offer.stock = 2
        self.run_due()
        task = self.tasks(self.offer)
        self.assertEqual(task.remote_state, "refused")
        self.assertIn("3", self.offer.state_reason)
        self.assertEqual(self.at_wechat()["sku"]["total_quantity"], 1000)


@tagged("post_install", "-at_install")
class TestOwnCodes(UpkeepCase):
    def setUp(self):
        super().setUp()
        self.sandbox.post(
            "accounts",
            **self.sandbox_account(can_create_coupons=True, can_custom_code=True),
        )
        self.addCleanup(self.sandbox.post, "accounts", **self.sandbox_account())
        self.own = self.new_card_template(own_codes=True, stock=0)
        self.own.action_publish()
        self.run_due(self.own)
        self.sandbox.post(f"cards/{self.own.remote_id}/review", **{"pass": True})
        self.own.action_refresh()
        self.assertEqual(self.own.state, "live", self.own.state_reason)

    def test_codes_reach_the_customer(self):
        codes = self.own._generate(250)
        self.assertEqual(set(codes.mapped("wechat_state")), {"waiting"})
        deposits = self.tasks(self.own).filtered(lambda task: task.kind == "deposit")
        self.assertEqual(
            sorted(len(task.coupon_ids) for task in deposits), [50, 100, 100]
        )
        self.run_due(self.own)
        self.run_due(self.own)
        self.assertEqual(set(deposits.mapped("remote_state")), {"done"})
        self.assertEqual(self.at_wechat(self.own)["sku"]["total_quantity"], 250)
        self.assertEqual((self.own.stock, self.own.remote_stock), (250, 250))
        answer = self.till.wechat_coupon_lookup(codes[0].code, "u", False, False)
        self.assertEqual(answer["reasons"][0]["code"], "not_received")
        code = self.receive(card_id=self.own.remote_id)
        coupon = codes.filtered(lambda one: one.code == code)
        self.assertEqual(len(coupon), 1)
        self.event("user_get_card", code, card_id=self.own.remote_id)
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertEqual(coupon.points, 1)
        self.assertEqual(coupon.wechat_openid, self.openid)
        answer = self.till.wechat_coupon_lookup(code, "u", False, self.full_cart)
        self.assertTrue(answer["eligible"], answer)

    def test_callback_is_missing(self):
        """The customer stands at the till before WeChat has told us."""
        self.own._generate(1)
        self.run_due(self.own)
        self.run_due(self.own)
        code = self.receive(card_id=self.own.remote_id)
        answer = self.till.wechat_coupon_lookup(code, "u", False, self.full_cart)
        self.assertTrue(answer["eligible"], answer)

    def test_answer_lost(self):
        self.own._generate(3)
        self.fault(DEPOSIT, "timeout_after", seconds=0.1)
        self.run_due(self.own)
        self.run_due(self.own)
        deposit = self.tasks(self.own).filtered(lambda task: task.kind == "deposit")
        self.assertEqual(deposit.remote_state, "done")
        self.assertEqual(len(self.sandbox.log(DEPOSIT)), 1)


@tagged("post_install", "-at_install")
class TestLinks(UpkeepCase):
    def test_claim_link(self):
        self.offer.with_user(self.manager).action_claim_link()
        url = self.offer.claim_url
        self.assertTrue(url.startswith(self.sandbox.url))
        self.offer.action_claim_link()
        self.assertEqual(self.offer.claim_url, url)
        self.offer.sudo()._write_guarded(
            {"claim_url_until": fields.Datetime.now() - timedelta(days=1)}
        )
        self.offer.action_claim_link()
        self.assertNotEqual(self.offer.claim_url, url)
        with self.assertRaises(AccessError):
            self.offer.with_user(self.manager).write({"claim_url": "https://evil"})
        with self.assertRaises(AccessError):
            self.offer.with_user(self.auditor).action_claim_link()

    def test_page_of_several(self):
        wizard = (
            self.env["coupon.card.page.wizard"]
            .with_user(self.manager)
            .with_context(active_model="coupon.template", active_ids=self.offer.ids)
            .create({"title": "十月优惠", "banner": PIXEL})
        )
        self.assertEqual(wizard.template_ids, self.offer)
        wizard.action_make()
        self.assertIn("/phone/shelf/", wizard.url)
        with self.assertRaises(UserError):
            wizard.template_ids = self.template
            wizard.action_make()

    def test_testers(self):
        wizard = self.env["coupon.card.testers.wizard"].with_user(self.manager)
        action = wizard.create(
            {"account_id": self.account.id, "people": f"{self.openid}\n\n小红\n"}
        ).action_confirm()
        self.assertEqual(action["params"]["type"], "success")
        body = self.sandbox.last_body("/card/testwhitelist/set")
        self.assertEqual(body, {"openid": [self.openid], "username": ["小红"]})
        with self.assertRaises(UserError):
            wizard.create(
                {"account_id": self.account.id, "people": "\n".join("abcdefghijk")}
            ).action_confirm()
        with self.assertRaises(AccessError):
            wizard.with_user(self.cashier).create({"account_id": self.account.id})


@tagged("post_install", "-at_install")
class TestFigures(UpkeepCase):
    def test_fetched_each_day(self):
        stats = self.env["coupon.card.stat"]
        day = stats._today() - timedelta(days=1)
        rows = [
            {
                "ref_date": day.isoformat(),
                "card_id": self.offer.remote_id,
                "receive_cnt": 7,
                "verify_cnt": "3",
            },
            {"ref_date": day.isoformat(), "card_id": "pUnknown", "receive_cnt": 1},
        ]
        self.patch(
            type(self.env["coupon.channel.card"]), "_fetch_stats", lambda *a: rows
        )
        self.assertEqual(stats._fetch(self.account), 1)
        rows[0]["receive_cnt"] = 9
        stats._fetch(self.account)
        row = stats.search([("template_id", "=", self.offer.id)])
        self.assertEqual((row.received, row.used, row.day), (9, 3, day))
        self.assertEqual(row.company_id, self.company)

    def test_asked_for_as_wechat_allows(self):
        """62 days at most, and not today; then two days again each time."""
        stats = self.env["coupon.card.stat"]
        stats._fetch(self.account)
        body = self.sandbox.last_body("/datacube/getcardcardinfo")
        begin, end = (
            fields.Date.from_string(body[name]) for name in ("begin_date", "end_date")
        )
        self.assertEqual(end, stats._today() - timedelta(days=1))
        self.assertEqual((end - begin).days, 61)
        stats._put([(self.offer.id, end, dict.fromkeys(_columns(stats), 1))])
        stats._fetch(self.account)
        body = self.sandbox.last_body("/datacube/getcardcardinfo")
        self.assertEqual(body["begin_date"], (end - timedelta(days=2)).isoformat())


def _columns(stats):
    return [
        name
        for name, field in stats._fields.items()
        if field.type == "integer" and name != "id"
    ]
