import time
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, ConcurrencyError, UserError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from odoo.addons.queue_job.tests.common import trap_jobs

from .. import const
from ..models.coupon_channel_card import OddAnswer
from .common import LOGO_URL, SandboxCase

CHANNEL = "odoo.addons.wechat_coupon.models.coupon_channel_card"


@tagged("post_install", "-at_install")
class TestPull(SandboxCase):
    def template_of(self, card):
        return self.env["coupon.template"].search([("remote_id", "=", card["card_id"])])

    def test_cash(self):
        new, known, skipped, _failed = self.pull()
        self.assertEqual(new.remote_id, self.card_id)
        self.assertFalse(known)
        self.assertEqual(skipped, 0)
        self.assertEqual(new.state, "live")
        self.assertEqual(new.coupon_type, "amount")
        self.assertEqual(new.amount_fen, 1000)
        self.assertEqual(new.threshold_fen, 10000)
        self.assertEqual(new.company_id, self.company)
        self.assertEqual(new.title, "满100减10")
        # WeChat answers a hex value where it took a name.
        self.assertEqual(new.color, "Color030")
        self.assertTrue(new.program_id.active)
        self.assertEqual(new.program_id.reward_ids.discount, 10)
        new2, known, skipped, _failed = self.pull()
        self.assertFalse(new2)
        self.assertEqual(known, new)

    def test_discount_is_percent_off(self):
        card = self.new_card("DISCOUNT", discount=30)
        self.pull()
        template = self.template_of(card)
        self.assertEqual(template.coupon_type, "percent")
        self.assertEqual(template.percent_off, 30)
        self.assertEqual(template.program_id.reward_ids.discount, 30)
        self.assertEqual(template.program_id.reward_ids.discount_mode, "percent")

    def test_words_only(self):
        cards = [
            self.new_card("GIFT", gift="送一杯茶"),
            self.new_card("GROUPON", deal_detail="双人套餐"),
            self.new_card(
                "GENERAL_COUPON",
                default_detail="优惠",
                advanced_info={
                    "text_image_list": [{"image_url": LOGO_URL, "text": "图"}],
                    "use_condition": {"least_cost": 5000},
                },
            ),
        ]
        self.pull()
        for card, text in zip(cards, ("送一杯茶", "双人套餐", "优惠"), strict=True):
            template = self.template_of(card)
            self.assertEqual(template.gift_text, text)
            self.assertTrue(template.needs_setup)
            self.assertFalse(template.program_id.active)
        self.assertEqual(template.threshold_fen, 5000)
        code = self.receive(card_id=card["card_id"])
        answer = self.till.wechat_coupon_lookup(code, "u1", False, False)
        self.assertEqual(answer["reasons"][0]["code"], "template_incomplete")
        template.gift_product_id = self.book
        self.assertTrue(template.program_id.active)
        answer = self.till.wechat_coupon_lookup(code, "u1", False, False)
        self.assertTrue(answer["eligible"], answer)

    def test_term(self):
        card = self.new_card(
            base={
                "date_info": {
                    "type": "DATE_TYPE_FIX_TERM",
                    "fixed_term": 7,
                    "fixed_begin_term": 1,
                }
            }
        )
        self.pull()
        template = self.template_of(card)
        self.assertEqual(template.date_type, "term")
        self.assertEqual((template.term_days, template.term_begin_days), (7, 1))

    def test_other_kinds_are_left_out(self):
        self.new_card(
            "MEMBER_CARD",
            prerogative="会员",
            supply_bonus=False,
            supply_balance=False,
        )
        _new, _known, skipped, _failed = self.pull()
        self.assertEqual(skipped, 1)

    def test_states(self):
        review = self.new_card(review=None)
        failed = self.new_card(review="fail")
        self.pull()
        self.assertEqual(self.template_of(review).state, "review")
        self.assertEqual(self.template_of(failed).state, "draft")
        self.sandbox.post(f"cards/{review['card_id']}/review", **{"pass": True})
        self.template_of(review).action_refresh()
        self.assertEqual(self.template_of(review).state, "live")

    def test_a_pause_of_ours_is_not_undone(self):
        """WeChat knows nothing of it: its cards have no such state."""
        self.pull()
        template = self.template_of({"card_id": self.card_id}).with_user(self.manager)
        template.action_pause()
        template.action_refresh()
        self.assertEqual(template.state, "paused")
        self.pull()
        self.assertEqual(template.state, "paused")
        template.action_resume()
        template.action_refresh()
        self.assertEqual(template.state, "live")

    def test_wizard_offers_accounts_that_can_be_asked(self):
        self.account.environment = "disabled"
        wizard = self.env["coupon.pull.wizard"].with_user(self.manager)
        self.assertFalse(wizard.new().account_id)
        self.account.environment = "sandbox"
        self.assertEqual(wizard.new().account_id._origin, self.account)

    def test_wizard(self):
        wizard = self.env["coupon.pull.wizard"].with_user(self.manager)
        action = wizard.create({"account_id": self.account.id}).action_pull()
        self.assertEqual(action["tag"], "display_notification")

    def test_wizard_with_many_cards(self):
        wizard = self.env["coupon.pull.wizard"].with_user(self.manager)
        wizard = wizard.create({"account_id": self.account.id})
        self.sandbox.post("accounts", **self.sandbox_account())
        with patch.object(const, "PULL_AT_ONCE", 0), trap_jobs() as trap:
            asked = len(self.sandbox.log("/card/get"))
            for _twice in range(2):
                action = wizard.action_pull()
            self.assertIn("Templates", action["params"]["message"])
            # Nothing but the count was asked for, and one job waits.
            self.assertEqual(len(self.sandbox.log("/card/get")), asked)
            trap.assert_jobs_count(1)
            self.fault("/card/get", "http_status", status=500)
            self.new_card()
            channel = self.env["coupon.channel.card"]
            with mute_logger("odoo.addons.wechat_coupon.models.coupon_channel_card"):
                message = channel._pull_job(self.account.id, self.manager.id)
        self.assertIn(", 1 failed", message)
        self.assertNotIn(": 0 new", message)
        message = channel._pull_job(self.account.id, self.manager.id)
        self.assertIn(": 1 new", message)
        self.assertIn(", 0 failed", message)

    def test_many(self):
        self.pull()
        made = {self.new_card()["card_id"] for _i in range(55)}
        new, *_rest = self.pull()
        self.assertEqual(set(new.mapped("remote_id")), made)

    ODD_CARDS = (
        {},
        {"card_type": "CASH"},
        {"card_type": "CASH", "cash": []},
        {"card_type": "CASH", "cash": {"base_info": None}},
        {"card_type": "CASH", "cash": {"base_info": {"id": "pAnother"}}},
        {"card_type": "CASH", "cash": {"base_info": {"date_info": "always"}}},
        {"card_type": "CASH", "cash": {"base_info": {}, "reduce_cost": "x"}},
        {
            "card_type": "CASH",
            "cash": {
                "base_info": {"date_info": {"begin_timestamp": "x"}},
                "reduce_cost": 100,
            },
        },
        {
            "card_type": "CASH",
            "cash": {
                "base_info": {
                    "title": "x",
                    "date_info": {"begin_timestamp": 1, "end_timestamp": 10**15},
                },
                "reduce_cost": 100,
            },
        },
        {
            "card_type": "CASH",
            "cash": {
                "base_info": {
                    "title": "x",
                    "date_info": {"begin_timestamp": 1, "end_timestamp": 2},
                },
                "reduce_cost": 10**30,
            },
        },
        {
            "card_type": "CASH",
            "cash": {
                "base_info": {"date_info": {"begin_timestamp": 1, "end_timestamp": 2}},
                "advanced_info": {"time_limit": "always"},
                "reduce_cost": 100,
            },
        },
        ["card"],
        "card",
    )

    @mute_logger(CHANNEL)
    def test_odd_cards_are_left_out(self):
        channel = type(self.env["coupon.channel.card"])
        odd_id, good_id = (self.new_card()["card_id"] for _twice in range(2))
        bodies = [{"errcode": 0, "card": odd} for odd in self.ODD_CARDS]
        for body in [{"errcode": 0}, *bodies]:
            with self.subTest(body=body):
                self.fault("/card/get", "http_status", status=200, body=body)
                with patch.object(channel, "_card_ids", return_value=[odd_id]):
                    new, known, skipped, failed = self.pull()
                self.assertFalse(new + known)
                self.assertEqual((skipped, failed), (0, 1))
        # The others are fetched all the same.
        body = {"errcode": 0, "card": {}}
        self.fault("/card/get", "http_status", status=200, body=body)
        with patch.object(channel, "_card_ids", return_value=[odd_id, good_id]):
            new, _known, _skipped, failed = self.pull()
        self.assertEqual((new.remote_id, failed), (good_id, 1))

    @mute_logger(CHANNEL)
    def test_odd_cards_in_a_job(self):
        channel = self.env["coupon.channel.card"]
        client = self.account._get_client()
        for odd in self.ODD_CARDS:
            with self.subTest(odd=odd):
                body = {"errcode": 0, "card": odd}
                self.fault("/card/get", "http_status", status=200, body=body)
                outcome = channel._pull_settled(self.account, self.card_id, client)
                self.assertEqual(outcome, "failed")
        self.assertEqual(
            channel._pull_settled(self.account, self.card_id, client), "new"
        )

    @mute_logger(CHANNEL)
    def test_list_of_requests(self):
        auditor = self.env["coupon.task"].with_user(self.auditor)
        auditor.get_views([(False, "list"), (False, "search")])
        with self.assertRaises(AccessError):
            auditor.action_retry()

    @mute_logger(CHANNEL)
    def test_an_odd_list(self):
        for body in ([], {"errcode": 0, "card_id_list": 5}, {"total_num": "many"}):
            with self.subTest(body=body), self.assertRaises(OddAnswer):
                self.fault("/card/batchget", "http_status", status=200, body=body)
                self.pull()

    # === LIMITS === #

    def limited(self, base=None, **advanced):
        card = self.new_card(
            base=base, least_cost=0, reduce_cost=1000, advanced_info=advanced
        )
        self.pull()
        return self.template_of(card)

    def test_limits(self):
        for text, limits in (
            ("Only for: 鞋类", {"use_condition": {"accept_category": "鞋类"}}),
            ("Not for: 茶", {"use_condition": {"reject_category": "茶"}}),
            (
                "Not together with other discounts",
                {"use_condition": {"can_use_with_other_discount": False}},
            ),
            (
                "Only on Monday 0:00-1:30, Sunday",
                {
                    "time_limit": [
                        {"type": "MONDAY", "end_hour": 1, "end_minute": 30},
                        {"type": "SUNDAY"},
                    ]
                },
            ),
            ("Not in all shops", {"base": {"use_all_locations": False}}),
            (
                "Only in WeChat's shops number 12, 34",
                {"base": {"location_id_list": [12, 34]}},
            ),
        ):
            with self.subTest(text=text):
                template = self.limited(**limits)
                self.assertEqual(template.remote_limits_text, text)
                self.assertTrue(template.needs_setup)
                self.assertFalse(template.needs_benefit)
                self.assertFalse(template.program_id.active)

    def test_no_limits(self):
        template = self.limited(
            base={"use_all_locations": True},
            use_condition={"can_use_with_other_discount": True},
        )
        self.assertFalse(template.remote_limits_text)
        self.assertFalse(template.needs_setup)

    def test_limits_are_seen_to(self):
        template = self.limited(use_condition={"reject_category": "茶"})
        code = self.receive(card_id=template.remote_id)
        answer = self.till.wechat_coupon_lookup(code, "u1", False, self.full_cart)
        self.assertEqual(answer["reasons"][0]["code"], "template_incomplete")
        mine = template.with_user(self.manager)
        # What WeChat says in numbers stays so.
        with self.assertRaises(UserError):
            mine.amount = 99
        with self.assertRaises(AccessError):
            template.with_user(self.auditor).action_confirm_limits()
        form = Form(mine)
        form.product_ids = self.rice
        form.save()
        self.assertTrue(template.needs_setup)
        mine.action_confirm_limits()
        self.assertFalse(template.needs_setup)
        self.assertTrue(template.program_id.active)
        self.assertEqual(template.program_id.rule_ids.product_ids, self.rice)
        answer = self.till.wechat_coupon_lookup(code, "u1", False, self.full_cart)
        self.assertTrue(answer["eligible"], answer)
        with self.assertRaises(UserError):
            mine.product_ids = self.tea
        # The next comparison changes nothing, in whatever language.
        self.env["res.lang"]._activate_lang("zh_CN")
        mine.with_context(lang="zh_CN").action_refresh()
        self.assertFalse(template.needs_setup)
        template._channel()._refresh_from(
            template,
            {
                "card_type": "CASH",
                "cash": {
                    "base_info": {
                        "status": "CARD_STATUS_DISPATCH",
                        "date_info": {
                            "begin_timestamp": 1767225600,
                            "end_timestamp": 1893456000,
                        },
                    },
                    "advanced_info": {"use_condition": {"reject_category": "咖啡"}},
                },
            },
        )
        self.assertTrue(template.needs_setup)
        self.assertFalse(template.program_id.active)

    def test_words_only_in_the_form(self):
        """The fields stay open while somebody fills them in."""
        card = self.new_card("GIFT", gift="送一杯茶")
        self.pull()
        form = Form(self.template_of(card).with_user(self.manager))
        form.gift_product_id = self.book
        form.gift_qty = 2
        template = form.save()
        self.assertEqual(template.gift_product_id, self.book)
        self.assertEqual(template.gift_qty, 2)
        self.assertFalse(template.needs_setup)


@tagged("post_install", "-at_install")
class TestPublish(SandboxCase):
    def test_published(self):
        self.sandbox.post("accounts", **self.sandbox_account(can_create_coupons=True))
        self.addCleanup(self.sandbox.post, "accounts", **self.sandbox_account())
        template = self.new_card_template()
        action = template.with_user(self.manager).action_publish()
        self.assertEqual(action["tag"], "display_notification")
        self.assertEqual(template.task_state, "pending")
        self.assertEqual(template.state, "draft")
        with self.assertRaises(UserError):
            template.action_publish()
        task = self.run_task(template)
        self.assertEqual(task.remote_state, "done")
        self.assertEqual(template.state, "review")
        self.assertTrue(template.remote_id)
        sent = self.sandbox.last_body("/card/create")
        cash = sent["card"]["cash"]
        self.assertEqual(cash["reduce_cost"], 1000)
        self.assertEqual(cash["least_cost"], 10000)
        # Review by callback, repeated.
        self.sandbox.post(f"cards/{template.remote_id}/review", **{"pass": True})
        for _twice in range(2):
            self.event("card_pass_check", card_id=template.remote_id)
        self.assertEqual(template.state, "live")
        self.assertTrue(template.program_id.active)
        code = self.receive(card_id=template.remote_id)
        self.assertTrue(self.scan(code))

    def test_refused_by_review(self):
        card = self.new_card(review=None)
        self.pull()
        template = self.env["coupon.template"].search(
            [("remote_id", "=", card["card_id"])]
        )
        now = int(time.time())
        self.event(
            "card_not_pass_check",
            card_id=card["card_id"],
            at=now,
            RefuseReason="标题不合规",
        )
        self.assertEqual(template.state, "draft")
        self.assertEqual(template.state_reason, "标题不合规")
        # An older "passed" that arrives late changes nothing.
        self.event("card_pass_check", card_id=card["card_id"], at=now - 60)
        self.assertEqual(template.state, "draft")

    def test_creation_is_closed(self):
        template = self.new_card_template()
        template.action_publish()
        task = self.run_task(template)
        self.assertEqual(task.remote_state, "refused")
        self.assertEqual(task.remote_error_code, "48001")
        self.assertIn("Fetch from WeChat", template.state_reason)
        self.assertEqual(template.state, "draft")
        # It can be tried again: with a task, and a number, of its own.
        template.action_publish()
        self.assertEqual(len(self.tasks(template)), 2)

    def test_what_is_under_way_is_not_tried_again(self):
        template = self.new_card_template()
        template.action_publish()
        first = self.run_task(template).with_user(self.manager)
        self.assertEqual(first.remote_state, "refused")
        template.action_publish()
        second = self.tasks(template)[0].with_user(self.manager)
        # Two requests, and both would make a card.
        with self.assertRaisesRegex(UserError, "once more since"):
            first.action_retry()
        for state in ("pending", "sending", "unknown"):
            second.sudo().remote_state = state
            with self.subTest(state), self.assertRaisesRegex(UserError, "on its way"):
                second.action_retry()
            # Of several, the others are tried again.
            other = self.env["coupon.task"]._start("void", template)
            other.remote_state = "refused"
            (second + other.with_env(second.env)).action_retry()
            self.assertEqual(other.remote_state, "pending")
            self.assertEqual(second.remote_state, state)
        # What waits after a failure is hurried.
        later = fields.Datetime.now() + timedelta(hours=1)
        second.sudo().remote_next_at = later
        second.action_retry()
        self.assertLess(second.sudo().remote_next_at, later)

    def test_no_answer_makes_one_card_only(self):
        self.sandbox.post("accounts", **self.sandbox_account(can_create_coupons=True))
        self.addCleanup(self.sandbox.post, "accounts", **self.sandbox_account())
        template = self.new_card_template(title="无应答")
        template.action_publish()
        self.fault("/card/create", "timeout_after", seconds=0.1)
        task = self.tasks(template)
        number = task.request_no
        self.env.flush_all()
        self.assertTrue(task._operation_begin())
        outcome = self.outside(task, "_operation_call")
        task._operation_settle(outcome)
        self.assertEqual(task.remote_state, "unknown")
        outcome, vals = task._operation_query()
        self.assertEqual(outcome, "done")
        task._operation_settle(dict(vals))
        self.assertEqual(task.request_no, number)
        self.assertEqual(template.state, "review")
        cards = self.sandbox.call("GET", "state")["cards"]
        self.assertEqual(len([c for c in cards if c["title"] == "无应答"]), 1)

    def test_a_twin_is_not_adopted(self):
        """Another card with the same title is worth something else."""
        template = self.new_card_template(title="双胞胎")
        template.action_publish()
        base = {"title": "双胞胎", "date_info": self.date_info(template)}
        self.new_card(base=base, least_cost=10000, reduce_cost=9900)
        later = {**base["date_info"], "end_timestamp": int(time.time()) + 90 * 86400}
        self.new_card(base={**base, "date_info": later})
        self.assertEqual(self.tasks(template)._operation_query(), "not_done")
        ours = self.new_card(base=base)
        outcome, vals = self.tasks(template)._operation_query()
        self.assertEqual(outcome, "done")
        self.assertEqual(vals["result"]["remote_id"], ours["card_id"])

    def date_info(self, template):
        return self.env["coupon.channel.card"]._date_info(template)

    def may_create(self):
        self.sandbox.post("accounts", **self.sandbox_account(can_create_coupons=True))
        self.addCleanup(self.sandbox.post, "accounts", **self.sandbox_account())

    def cards_at_wechat(self, title):
        cards = self.sandbox.call("GET", "state")["cards"]
        return [card for card in cards if card["title"] == title]

    def test_fetched_while_the_answer_is_missing(self):
        """Nobody makes a second template, or a second card, of our own card."""
        self.may_create()
        template = self.new_card_template(title="先拉取")
        template.action_publish()
        self.fault("/card/create", "timeout_after", seconds=0.1)
        task = self.tasks(template)
        self.env.flush_all()
        task._operation_begin()
        task._operation_settle(self.outside(task, "_operation_call"))
        self.assertEqual(task.remote_state, "unknown")
        new, known, *_rest = self.pull()
        self.assertNotIn("先拉取", new.mapped("title"))
        self.assertIn(template, known)
        self.assertFalse(template.remote_id)
        outcome, vals = task._operation_query()
        self.assertEqual(outcome, "done")
        task._operation_settle(dict(vals))
        self.assertEqual(template.state, "review")
        self.assertEqual(len(self.cards_at_wechat("先拉取")), 1)
        self.assertIn(template, self.pull()[1])

    def test_fetched_between_the_answer_and_its_record(self):
        self.may_create()
        template = self.new_card_template(title="抢先")
        template.action_publish()
        task = self.tasks(template)
        self.env.flush_all()
        task._operation_begin()
        outcome = task._operation_call()
        self.assertFalse(self.pull()[0].filtered(lambda made: made.title == "抢先"))
        # A pull that began before the coupon was published does not see the task.
        channel = self.env["coupon.channel.card"]
        card_id = outcome["result"]["remote_id"]
        card = self.account._get_client().card.get(card_id)
        fetched = channel._make_template(self.account, card_id, card)
        task._operation_settle(outcome)
        self.assertEqual(task.remote_state, "done")
        self.assertEqual(template.state, "draft")
        self.assertFalse(template.remote_id)
        self.assertIn(fetched.name, template.state_reason)

    def test_an_odd_answer_to_publish(self):
        for body in ({"errcode": 0}, {"errcode": 0, "card_id": ["p"]}, []):
            with self.subTest(body=body):
                template = self.new_card_template()
                template.action_publish()
                self.fault("/card/create", "http_status", status=200, body=body)
                with mute_logger(CHANNEL):
                    task = self.run_task(template)
                self.assertEqual(task.remote_state, "unknown")

    def test_not_done_is_said_so(self):
        template = self.new_card_template(title="没有")
        template.action_publish()
        self.assertEqual(self.tasks(template)._operation_query(), "not_done")

    def test_limits_in_bytes(self):
        for name, value in (
            ("title", "一二三四五六七八九十"),
            ("brand_name", "名" * 13),
            ("notice", "提" * 17),
            ("service_phone", "1" * 25),
            ("description", "x" * 3073),
        ):
            with self.subTest(name=name):
                template = self.new_card_template(**{name: value})
                label = template._fields[name].string
                with self.assertRaisesRegex(UserError, label):
                    template.action_publish()
        for vals in (
            {"title": False},
            {"amount_fen": 99},
            {"threshold_fen": 1000},
            {"stock": 0},
            {"get_limit": 51},
            {"logo_url": False},
            {"coupon_type": "gift", "gift_product_id": self.book.id},
        ):
            with self.subTest(vals=vals), self.assertRaises(UserError):
                self.new_card_template(**vals).action_publish()
        self.assertFalse(self.env["coupon.task"].search([("kind", "=", "publish")]))

    def test_end(self):
        card_id = self.new_card()["card_id"]
        self.pull()
        template = self.env["coupon.template"].search([("remote_id", "=", card_id)])
        code = self.receive(card_id=card_id)
        template.action_end()
        task = self.run_task(template)
        self.assertEqual(task.remote_state, "done")
        self.assertEqual(task._operation_query(), "done")
        # What is in wallets stays good.
        coupon = self.scan(code)
        self.assertTrue(self.reserve("u1", coupon)["ok"])

    def test_void(self):
        self.pull()
        coupon = self.scan(self.receive())
        coupon._wechat_void("Printed twice")
        self.assertEqual(coupon.wechat_state, "void")
        task = self.env["coupon.task"].search([("coupon_id", "=", coupon.id)])
        self.assertEqual(task._operation_query(), "not_done")
        task._operation_begin()
        task._operation_settle(task._operation_call())
        self.assertEqual(task.remote_state, "done")
        self.assertEqual(self.sandbox.code(coupon.code)["state"], "UNAVAILABLE")
        sent = self.sandbox.last_body("/card/code/unavailable")
        self.assertEqual(sent["reason"], "Printed twice")
        self.assertEqual(task._operation_query(), "done")

    def test_void_with_a_long_reason(self):
        self.pull()
        coupon = self.scan(self.receive())
        coupon._wechat_void("印" * 300)
        task = self.env["coupon.task"].search([("coupon_id", "=", coupon.id)])
        task._operation_begin()
        task._operation_settle(self.outside(task, "_operation_call"))
        self.assertEqual(task.remote_state, "done")

    def test_a_refused_void_is_not_the_templates_trouble(self):
        self.pull()
        coupon = self.scan(self.receive())
        template = coupon.coupon_template_id
        coupon.with_user(self.manager)._wechat_void("Printed twice")
        task = self.env["coupon.task"].search([("coupon_id", "=", coupon.id)])
        self.fault("/card/code/unavailable", "errcode", errcode=40078)
        task._operation_begin()
        task._operation_settle(self.outside(task, "_operation_call"))
        self.assertEqual(task.remote_state, "refused")
        self.assertFalse(template.state_reason)
        self.assertFalse(template.task_state)
        self.assertIn(coupon.code, coupon.message_ids[0].body)
        activity = template.activity_ids
        self.assertEqual(activity.user_id, self.manager)
        self.assertIn(coupon.code, activity.note)

    def test_what_wechat_does_not_change_is_locked(self):
        self.pull()
        template = self.env["coupon.template"].search(
            [("remote_id", "=", self.card_id)]
        )
        for vals in ({"title": "x"}, {"brand_name": "x"}, {"own_codes": True}):
            with self.subTest(vals=vals), self.assertRaises(UserError):
                template.write(vals)


@tagged("post_install", "-at_install")
class TestLookup(SandboxCase):
    def test_first_scan_mirrors(self):
        code = self.receive()
        self.assertFalse(self.env["loyalty.card"]._wechat_find(code))
        coupon = self.scan(code)
        self.assertEqual(coupon.code, code)
        self.assertEqual(coupon.coupon_template_id.remote_id, self.card_id)
        self.assertEqual(coupon.coupon_template_id.amount_fen, 1000)
        self.assertEqual(coupon.points, 1)
        self.assertEqual(coupon.wechat_openid, self.openid)
        self.assertTrue(coupon.wechat_valid_to)
        self.assertEqual(coupon.company_id, self.company)
        # The next look-up asks nobody.
        before = len(self.sandbox.log("/card/code/get"))
        self.assertEqual(self.scan(code), coupon)
        self.assertEqual(len(self.sandbox.log("/card/code/get")), before)

    def test_custom_code(self):
        card = self.new_card(base={"use_custom_code": True})
        self.pull()
        person = self.sandbox.post("users", nickname="自定义")["openid"]
        self.sandbox.post(
            f"phone/{person}/receive", card_id=card["card_id"], code="SHOP0001"
        )
        self.assertEqual(self.scan("SHOP0001").code, "SHOP0001")

    def test_unknown(self):
        answer = self.till.wechat_coupon_lookup("999999999999", "u", False, False)
        self.assertEqual(answer["code"], "unknown_code")

    def test_used_before_it_was_known(self):
        code = self.receive()
        self.sandbox.post(f"phone/{self.openid}/consume", code=code)
        answer = self.till.wechat_coupon_lookup(code, "u", False, self.full_cart)
        self.assertEqual(answer["reasons"][0]["code"], "used")
        self.assertTrue(self.env["loyalty.card"]._wechat_find(code).wechat_used_outside)

    def test_wechat_is_unreachable(self):
        code = self.receive()
        self.fault("/card/code/get", "http_status", status=502)
        answer = self.till.wechat_coupon_lookup(code, "u", False, False)
        self.assertEqual(answer["code"], "remote_unavailable")
        self.assertTrue(self.scan(code))

    @mute_logger("odoo.addons.wechat_coupon.models.coupon_channel_card")
    def test_account_is_misconfigured(self):
        code = self.receive()
        self.fault("/card/code/get", "errcode", errcode=48001)
        answer = self.till.wechat_coupon_lookup(code, "u", False, False)
        self.assertEqual(answer["code"], "account_misconfigured")

    def test_token_expires_in_the_middle(self):
        code = self.receive()
        self.fault("/card/code/get", "expire_token")
        self.assertTrue(self.scan(code))

    def test_disabled_account_is_not_asked(self):
        code = self.receive()
        self.account.environment = "disabled"
        before = len(self.sandbox.log("/card/code/get"))
        answer = self.till.wechat_coupon_lookup(code, "u", False, False)
        self.assertEqual(answer["code"], "unknown_code")
        self.assertEqual(len(self.sandbox.log("/card/code/get")), before)

    @mute_logger(CHANNEL)
    def test_odd_answers(self):
        """No coupon, least of all one of another card; a sentence for the cashier."""
        self.pull()
        # One template only, so that nothing has to be chosen from.
        self.env.cr.execute(
            "UPDATE coupon_template SET remote_id = NULL WHERE remote_id != %s",
            [self.card_id],
        )
        self.env.invalidate_all()
        good = {"card_id": self.card_id, "begin_time": 1, "end_time": 2}
        status = {"user_card_status": "NORMAL", "can_consume": True}
        for body in (
            [],
            {},
            {"errcode": 0, **status},
            {"errcode": 0, "card": [], **status},
            {"errcode": 0, "card": {}, **status},
            {"errcode": 0, "card": {"card_id": ""}, **status},
            {"errcode": 0, "card": {"card_id": 5}, **status},
            {"errcode": 0, "card": {"card_id": [self.card_id]}, **status},
            {"errcode": 0, "card": {**good, "begin_time": "x"}, **status},
            {"errcode": 0, "card": {**good, "end_time": 10**15}, **status},
            {"errcode": 0, "card": {**good, "end_time": [1]}, **status},
            {"errcode": 0, "card": good, **status, "openid": {}},
            {"errcode": 0, "card": good},
            {"errcode": 0, "card": good, "user_card_status": "LOST"},
            {"errcode": 0, "card": good, "user_card_status": 1},
        ):
            with self.subTest(body=body):
                self.fault("/card/code/get", "http_status", status=200, body=body)
                answer = self.till.wechat_coupon_lookup(
                    "GIFTCARD12345", "u", False, self.full_cart
                )
                self.assertEqual(answer["code"], "remote_unavailable")
        self.assertFalse(self.env["loyalty.card"]._wechat_find("GIFTCARD12345"))

    @mute_logger(CHANNEL)
    def test_odd_card_of_a_code(self):
        code = self.receive(card_id=self.new_card()["card_id"])
        for odd in TestPull.ODD_CARDS:
            with self.subTest(odd=odd):
                body = {"errcode": 0, "card": odd}
                self.fault("/card/get", "http_status", status=200, body=body)
                answer = self.till.wechat_coupon_lookup(code, "u", False, False)
                self.assertEqual(answer["code"], "remote_unavailable")
        self.assertTrue(self.scan(code))

    @mute_logger(CHANNEL)
    def test_a_custom_code_of_another_card(self):
        self.new_card(base={"use_custom_code": True})
        self.pull()
        self.fault("/card/code/get", "errcode", errcode=41012)
        body = {"card": {"card_id": self.card_id}, "user_card_status": "NORMAL"}
        self.fault("/card/code/get", "http_status", status=200, body=body)
        answer = self.till.wechat_coupon_lookup("SHOP0002", "u", False, False)
        self.assertEqual(answer["code"], "remote_unavailable")

    def test_a_card_that_another_till_has_just_fetched(self):
        """Odoo begins anew, and finds the template."""
        self.pull()
        client = self.account._get_client()
        channel = self.env["coupon.channel.card"]
        with self.assertRaises(ConcurrencyError), mute_logger("odoo.sql_db"):
            channel._pull_card(self.account, self.card_id, client)

    def test_a_branch_asks_the_account_of_its_company(self):
        branch = self.env["res.company"].create(
            {"name": "Branch CN", "parent_id": self.company.id}
        )
        coupon, trouble = self.env["coupon.channel.card"]._find_code(
            self.receive(), branch, time.monotonic() + 8
        )
        self.assertTrue(coupon)
        self.assertFalse(trouble)

    def test_another_company_does_not_ask_our_account(self):
        company = self.new_company("Other Shop CN")
        self.env.user.company_ids |= company
        config = self.new_config("Other shop", company)
        cashier = self.new_user(
            "coupon_cashier2", "point_of_sale.group_pos_user", company=company
        )
        till = config.with_user(cashier).with_context(allowed_company_ids=company.ids)
        answer = till.wechat_coupon_lookup(self.receive(), "u", False, False)
        self.assertEqual(answer["code"], "unknown_code")


@tagged("post_install", "-at_install")
class TestReserveAtWechat(SandboxCase):
    def setUp(self):
        super().setUp()
        self.coupon = self.scan(self.receive())

    def check(self, reason):
        self.assertEqual(self.refusal_codes(self.reserve("u1", self.coupon)), [reason])
        self.assertFalse(self.redemptions(self.coupon))

    def test_good(self):
        answer = self.reserve("u1", self.coupon)
        self.assertTrue(answer["ok"], answer)
        sent = self.sandbox.last_body("/card/code/get")
        self.assertTrue(sent.get("check_consume", True))
        # Asked once: the gate before the validation only renews.
        before = len(self.sandbox.log("/card/code/get"))
        self.assertTrue(self.reserve("u1", self.coupon)["ok"])
        self.assertEqual(len(self.sandbox.log("/card/code/get")), before)

    def test_used_elsewhere(self):
        self.sandbox.post(f"phone/{self.openid}/consume", code=self.coupon.code)
        self.check("used")
        self.assertEqual(self.coupon.wechat_state, "used")
        self.assertTrue(self.coupon.wechat_used_outside)

    def test_being_given_away(self):
        self.sandbox.post(
            f"phone/{self.openid}/gift", code=self.coupon.code, to_openid=self.friend
        )
        self.check("gifting")

    def test_given_away(self):
        self.sandbox.post(
            f"phone/{self.openid}/gift", code=self.coupon.code, to_openid=self.friend
        )
        self.sandbox.post(f"phone/{self.friend}/accept", code=self.coupon.code)
        self.check("given_away")

    def test_deleted(self):
        self.sandbox.post(f"phone/{self.openid}/delete", code=self.coupon.code)
        self.check("deleted")

    def test_made_invalid_at_wechat(self):
        client = self.account._get_client()
        client.post(
            "https://api.weixin.qq.com/card/code/unavailable",
            data={"code": self.coupon.code, "card_id": self.card_id},
        )
        self.check("void")

    def test_not_yet_valid(self):
        now = int(time.time())
        card = self.new_card(
            base={
                "date_info": {
                    "type": "DATE_TYPE_FIX_TIME_RANGE",
                    "begin_timestamp": now + 86400,
                    "end_timestamp": now + 5 * 86400,
                }
            }
        )
        self.coupon = self.scan(self.receive(card_id=card["card_id"]))
        self.check("not_yet_valid")

    def test_forgotten_by_wechat(self):
        self.fault("/card/code/get", "errcode", errcode=40056)
        self.check("unknown_code")

    def test_unreachable(self):
        for kind, vals in (
            ("http_status", {"status": 502}),
            ("errcode", {"errcode": -1}),
            ("drop_connection", {}),
        ):
            with self.subTest(kind=kind):
                self.fault("/card/code/get", kind, **vals)
                self.check("remote_unavailable")
        self.assertTrue(self.reserve("u1", self.coupon)["ok"])

    @mute_logger("odoo.addons.wechat_coupon.models.coupon_redemption")
    def test_misconfigured(self):
        self.fault("/card/code/get", "errcode", errcode=48001)
        self.check("account_misconfigured")

    @mute_logger("odoo.addons.wechat_coupon.models.coupon_redemption")
    def test_an_error_that_nobody_expects(self):
        self.fault("/card/code/get", "errcode", errcode=40143)
        self.check("refused")

    @mute_logger(CHANNEL)
    def test_odd_answers(self):
        good = {"card_id": self.card_id}
        for body in (
            [],
            {},
            {"card": []},
            {"card": {"card_id": "pAnother"}, "can_consume": True},
            {"card": good},
            {"card": good, "can_consume": "yes"},
            {"card": {**good, "end_time": 10**15}, "can_consume": True},
        ):
            with self.subTest(body=body):
                self.fault("/card/code/get", "http_status", status=200, body=body)
                self.check("remote_unavailable")
        self.assertTrue(self.reserve("u1", self.coupon)["ok"])

    def test_nothing_is_asked_when_we_know_already(self):
        other = self.coupon
        self.reserve("other", other)
        before = len(self.sandbox.log("/card/code/get"))
        self.assertEqual(
            self.refusal_codes(self.reserve("u1", other)), ["held_by_other_order"]
        )
        self.assertEqual(len(self.sandbox.log("/card/code/get")), before)

    def test_validity_is_taken_over(self):
        self.coupon._wechat_set_state(
            "usable", wechat_valid_to=fields.Datetime.now() + timedelta(hours=1)
        )
        self.reserve("u1", self.coupon)
        self.assertGreater(
            self.coupon.wechat_valid_to, fields.Datetime.now() + timedelta(days=20)
        )
