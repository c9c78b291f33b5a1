"""What a template says beyond its amount: kinds, hours, stacking, stock, audience."""

from datetime import datetime, timedelta
from unittest.mock import patch
from uuid import uuid4

from psycopg2.errors import CheckViolation

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from odoo.addons.wechat_base.tools import money

from ..models.coupon_reason import CouponReason
from ..tools.cart import parse_cart
from .common import CouponCase

# Wednesday, 25 November 2026, 10:00 in Beijing.
WEDNESDAY = datetime(2026, 11, 25, 2)


class TermsCase(CouponCase):
    def at(self, moment):
        """Let the clock of our own code stand still."""
        return patch.object(fields.Datetime, "now", staticmethod(lambda *_a: moment))

    def look_up(self, coupon, others=(), uuid="look", cart=None, partner=False):
        answer = self.till.wechat_coupon_lookup(
            coupon.code,
            uuid,
            partner,
            cart or self.full_cart,
            [],
            self.shown(others),
        )
        self.assertTrue(answer["ok"], answer)
        return answer

    def codes(self, coupon, *args, **kwargs):
        return [one["code"] for one in self.look_up(coupon, *args, **kwargs)["reasons"]]

    def problems(self, coupon):
        redemption = self.redemptions(coupon)[-1:]
        return [code for code, _values in redemption.problems or []]


@tagged("post_install", "-at_install")
class TestReasons(TermsCase):
    def test_twenty_and_each_says_what_to_do(self):
        """Codes are only good if each has a sentence of its own."""
        reasons = self.env["coupon.reason"]
        names = [name[8:] for name in dir(CouponReason) if name.startswith("_reason_")]
        names += [name[8:] for name in dir(reasons) if name.startswith("_reason_")]
        # What a sentence ends with comes from a colleague, or from WeChat.
        told = {"new_code": "C1.", "error": "No.", "reason": "Down.", "manager": "X"}
        sentences = {name: reasons._message(name, **told) for name in set(names)}
        self.assertGreaterEqual(len(sentences), 20)
        sentences.pop("released_by_manager")
        self.assertEqual(len(set(sentences.values())), len(sentences))
        for name, sentence in sentences.items():
            with self.subTest(name=name):
                self.assertTrue(sentence.endswith("."), sentence)


@tagged("post_install", "-at_install")
class TestExchange(TermsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.exchange = cls.new_template(
            name="Tea for ¥9.90",
            coupon_type="exchange",
            gift_product_id=cls.tea.id,
            exchange_price=9.9,
            threshold_fen=0,
        )

    def test_reward(self):
        reward = self.exchange.program_id.reward_ids
        self.assertEqual(self.exchange.exchange_fen, 990)
        self.assertEqual(reward.reward_type, "discount")
        self.assertEqual(reward.discount_product_ids, self.tea)
        self.assertEqual(reward.discount_applicability, "specific")
        # The price with its tax, which is part of it, less the fixed price.
        self.assertAlmostEqual(reward.discount, 50.1)
        self.assertTrue(reward.wechat_is_exchange)
        self.assertEqual(reward.wechat_exchange_price, 9.9)
        self.assertEqual(self.exchange.benefit, "Tea for ¥9.90")

    def test_tax_on_top_counts(self):
        tax = self.new_tax(10).copy({"price_include_override": "tax_excluded"})
        bread = self.new_product("Bread", 20, tax)
        template = self.new_template(
            coupon_type="exchange", gift_product_id=bread.id, exchange_fen=500
        )
        self.assertAlmostEqual(template.program_id.reward_ids.discount, 17)

    def test_cheaper_than_the_fixed_price(self):
        """Odoo wants a discount above nothing; the till then gives none."""
        template = self.new_template(
            coupon_type="exchange", gift_product_id=self.book.id, exchange_fen=9999
        )
        self.assertEqual(template.program_id.reward_ids.discount, 0.01)

    def test_for_nothing(self):
        template = self.new_template(
            coupon_type="exchange", gift_product_id=self.book.id, exchange_fen=0
        )
        self.assertAlmostEqual(template.program_id.reward_ids.discount, 33.33)

    def test_needs_a_product(self):
        template = self.new_template(coupon_type="exchange", publish=False)
        self.assertTrue(template.needs_setup)
        with self.assertRaises(UserError):
            template.action_publish()
        with self.assertRaises(ValidationError):
            template.exchange_fen = 10**10

    def test_product_has_to_be_there(self):
        coupon = self.new_coupons(template=self.exchange)
        only_rice = self.cart((self.rice, 4000))
        answer = self.look_up(coupon, cart=only_rice)
        self.assertEqual(answer["reasons"][0]["code"], "product_missing")
        self.assertIn("Tea", answer["reasons"][0]["message"])
        refused = self.reserve("u1", coupon, only_rice)
        self.assertEqual(self.refusal_codes(refused), ["product_missing"])
        self.assertFalse(self.codes(coupon))
        self.assertTrue(self.reserve("u1", coupon)["ok"])

    def test_till_gets_the_price(self):
        answer = self.look_up(self.new_coupons(template=self.exchange))
        (reward,) = answer["load"]["loyalty.reward"]
        self.assertTrue(reward["wechat_is_exchange"])
        self.assertEqual(reward["wechat_exchange_price"], 9.9)

    def test_more_than_allowed_is_seen(self):
        """The product became dearer: the till takes more off, and may."""
        self.tea.lst_price = 80
        for discount, problems in ((-70.1, []), (-75, ["too_much_off"])):
            coupon = self.new_coupons(template=self.exchange)
            uuid = str(uuid4())
            self.reserve(uuid, coupon)
            order = self.pay(uuid, coupon, discount=discount)
            self.assertEqual(order.state, "paid")
            self.assertEqual(self.problems(coupon), problems)

    def test_sales_order(self):
        """The engine of sales orders has the same fixed price."""
        reward = self.exchange.program_id.reward_ids
        coupon = self.new_coupons(template=self.exchange)
        self.customer.company_id = self.company
        for price, quantity, expected in ((60, 1, 50.1), (45, 3, 35.1), (9.9, 1, None)):
            with self.subTest(price=price, quantity=quantity):
                order = self.env["sale.order"].create(
                    {
                        "partner_id": self.customer.id,
                        "order_line": [
                            Command.create(
                                {
                                    "product_id": self.tea.id,
                                    "product_uom_qty": quantity,
                                    "price_unit": price,
                                }
                            ),
                            Command.create({"product_id": self.rice.id}),
                        ],
                    }
                )
                if expected is None:
                    with self.assertRaises(UserError):
                        order._get_reward_values_discount(reward, coupon)
                    continue
                lines = order._get_reward_values_discount(reward, coupon)
                total = -sum(line["price_unit"] for line in lines)
                self.assertEqual(money.to_fen(round(total, 2)), money.to_fen(expected))


@tagged("post_install", "-at_install")
class TestHours(TermsCase):
    def hours(self, *periods, **vals):
        return self.new_template(
            date_from="2026-11-01",
            date_to="2026-11-30",
            period_ids=[
                Command.create({"weekday": day, "hour_from": begin, "hour_to": end})
                for day, begin, end in periods
            ],
            **vals,
        )

    def test_open_and_closed(self):
        template = self.hours(("2", 9, 11), ("2", 14, 17))
        for minutes, opens in (
            (0, None),
            (59, None),
            (60, datetime(2026, 11, 25, 14)),
            (-61, datetime(2026, 11, 25, 9)),
            (60 * 8, False),
        ):
            moment = WEDNESDAY + timedelta(minutes=minutes)
            with self.subTest(minutes=minutes):
                self.assertEqual(
                    template._closed_until(moment, before=datetime(2026, 11, 30)), opens
                )
        self.assertEqual(
            template._closed_until(WEDNESDAY + timedelta(hours=8)),
            datetime(2026, 12, 2, 9),
        )

    def test_over_midnight(self):
        template = self.hours(("4", 22, 2))
        friday = datetime(2026, 11, 27, 14)
        self.assertIsNone(template._closed_until(friday))
        self.assertIsNone(
            template._closed_until(friday + timedelta(hours=3, minutes=59))
        )
        self.assertEqual(
            template._closed_until(friday + timedelta(hours=4)),
            datetime(2026, 12, 4, 22),
        )

    def test_every_day_to_the_end(self):
        template = self.hours(("all", 18, 24))
        self.assertIsNone(template._closed_until(datetime(2026, 11, 25, 15, 59)))
        self.assertEqual(
            template._closed_until(datetime(2026, 11, 25, 16)),
            datetime(2026, 11, 26, 18),
        )
        until_midnight = self.hours(("all", 18, 0))
        self.assertIsNone(until_midnight._closed_until(datetime(2026, 11, 25, 15, 59)))

    def test_the_zone_is_the_shops(self):
        template = self.hours(("all", 9, 11))
        self.assertIsNone(template._closed_until(WEDNESDAY))
        self.company.partner_id.tz = "Asia/Tokyo"
        self.assertEqual(template._closed_until(WEDNESDAY), datetime(2026, 11, 26, 9))

    def test_the_cashier_hears_when(self):
        coupon = self.new_coupons(template=self.hours(("5", 14, 17)))
        with self.at(WEDNESDAY):
            (reason,) = self.look_up(coupon)["reasons"]
            self.assertEqual(reason["code"], "outside_hours")
            self.assertIn("Saturday, 2026-11-28 14:00", reason["message"])
            refused = self.reserve("u1", coupon)
            self.assertEqual(self.refusal_codes(refused), ["outside_hours"])
        with self.at(datetime(2026, 11, 29, 2)):
            (reason,) = self.look_up(coupon)["reasons"]
            self.assertIn("not again before it expires", reason["message"])
        with self.at(datetime(2026, 11, 28, 7)):
            self.assertFalse(self.codes(coupon))
            self.assertTrue(self.reserve("u1", coupon)["ok"])

    def test_the_hour_ends_while_the_customer_pays(self):
        coupon = self.new_coupons(template=self.hours(("2", 9, 11)))
        uuid = str(uuid4())
        with self.at(WEDNESDAY + timedelta(minutes=59)):
            self.assertTrue(self.reserve(uuid, coupon)["ok"])
        with self.at(WEDNESDAY + timedelta(minutes=61)):
            self.assertTrue(self.reserve(uuid, coupon)["ok"])
            self.pay(uuid, coupon)
        self.assertFalse(self.problems(coupon))

    def test_paid_outside_hours(self):
        coupon = self.new_coupons(template=self.hours(("5", 14, 17)))
        with self.at(WEDNESDAY):
            order = self.pay(str(uuid4()), coupon)
        self.assertEqual(order.state, "paid")
        self.assertEqual(self.redemptions(coupon).state, "redeemed")
        self.assertTrue(self.redemptions(coupon).needs_attention)

    def test_bad_hours(self):
        for begin, end in ((-1, 5), (24, 5), (5, 25), (7, 7)):
            with (
                self.subTest(begin=begin),
                self.assertRaises(CheckViolation),
                mute_logger("odoo.sql_db"),
                self.env.cr.savepoint(),
            ):
                self.hours(("all", begin, end), publish=False).flush_recordset()

    def test_hours_are_locked(self):
        template = self.hours(("2", 9, 11))
        period = template.period_ids
        for change in (
            lambda: period.write({"hour_to": 12}),
            period.unlink,
            lambda: template.write({"period_ids": [Command.clear()]}),
            lambda: period.copy({"weekday": "3"}),
            lambda: self.hours(publish=False).period_ids.create(
                {"template_id": template.id}
            ),
            lambda: self.hours(("1", 2, 3), publish=False).period_ids.write(
                {"template_id": template.id}
            ),
        ):
            with self.assertRaises(UserError):
                change()
        self.assertEqual(template.period_ids, period)
        draft = self.hours(("2", 9, 11), publish=False)
        draft.period_ids.hour_to = 12
        draft.period_ids.unlink()
        self.assertFalse(draft.has_hours)
        with self.assertRaises(AccessError):
            template.has_hours = False


@tagged("post_install", "-at_install")
class TestStacking(TermsCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        groups = cls.env["coupon.stacking.group"]
        cls.group = groups.create({"name": "Tea week", "company_id": cls.company.id})
        cls.other = groups.create({"name": "Other", "company_id": cls.company.id})
        make = cls.new_template
        in_group = {"stacking": "group", "stacking_group_id": cls.group.id}
        cls.free = make(name="Free")
        cls.alone = make(name="Alone", stacking="exclusive")
        cls.grouped = make(name="Grouped", **in_group)
        cls.grouped_too = make(name="Grouped too", **in_group)
        cls.elsewhere = make(
            name="Elsewhere", stacking="group", stacking_group_id=cls.other.id
        )

    def one(self, template):
        return self.new_coupons(template=template)

    def test_both_ways(self):
        """Whoever is asked, the answer is the same."""
        templates = (
            self.free + self.alone + self.grouped + self.grouped_too + self.elsewhere
        )
        good = {
            frozenset((self.free.id,)),
            frozenset((self.grouped.id,)),
            frozenset((self.grouped_too.id,)),
            frozenset((self.elsewhere.id,)),
            frozenset((self.grouped.id, self.grouped_too.id)),
        }
        for first in templates:
            for second in templates:
                with self.subTest(first=first.name, second=second.name):
                    expected = frozenset((first.id, second.id)) in good
                    self.assertEqual(first._combines(second), expected)

    def test_shown_as_applied(self):
        free, alone = self.one(self.free), self.one(self.alone)
        for coupon, other in ((free, alone), (alone, free)):
            (reason,) = self.look_up(coupon, other)["reasons"]
            self.assertEqual(reason["code"], "cannot_combine")
            self.assertIn(other.coupon_template_id.name, reason["message"])
        answer = self.reserve("u1", free + alone)
        self.assertEqual(self.refusal_codes(answer), ["cannot_combine"])
        self.assertFalse(self.redemptions(free + alone))
        self.assertFalse(self.codes(alone))
        self.assertTrue(self.reserve("u1", alone)["ok"])

    def test_what_is_held_stays(self):
        """Of two that do not go together the new one is to be taken off."""
        free, alone = self.one(self.free), self.one(self.alone)
        for first, second in ((free, alone), (alone, free)):
            self.assertTrue(self.reserve("u1", first)["ok"])
            answer = self.reserve("u1", first + second)
            self.assertEqual(answer["refusals"][0]["coupon_id"], second.id)
            self.assertEqual(len(answer["refusals"]), 1)
            self.till.wechat_coupon_release("u1")

    def test_at_most_so_many(self):
        coupons = self.one(self.grouped) + self.one(self.grouped_too)
        third = self.one(self.grouped)
        self.assertTrue(self.reserve("u1", coupons)["ok"])
        self.assertEqual(self.codes(third, coupons), ["group_full"])
        answer = self.reserve("u1", coupons + third)
        self.assertEqual(self.refusal_codes(answer), ["group_full"])
        self.assertIn("Tea week", answer["refusals"][0]["message"])
        self.group.max_coupons = 3
        self.assertTrue(self.reserve("u1", coupons + third)["ok"])

    def test_a_till_tells_of_coupons_it_has_seen_only(self):
        free, alone = self.one(self.free), self.one(self.alone)
        answer = self.till.wechat_coupon_lookup(
            free.code, "u1", False, self.full_cart, [], [{"id": alone.id, "code": "?"}]
        )
        self.assertFalse(answer["reasons"])
        with self.assertRaises(AccessError):
            self.till.wechat_coupon_lookup(
                free.code, "u1", False, self.full_cart, [], "all"
            )

    def test_paid_together(self):
        coupons = self.one(self.free) + self.one(self.alone)
        uuid = str(uuid4())
        order = self.pay(uuid, coupons)
        self.assertEqual(order.state, "paid")
        self.assertEqual(
            self.redemptions(coupons).mapped("state"), ["redeemed", "redeemed"]
        )
        problems = [self.problems(coupon) for coupon in coupons]
        self.assertIn("cannot_combine", problems[1])
        self.assertNotIn("cannot_combine", problems[0])

    def test_a_group_is_needed(self):
        with self.assertRaises(ValidationError):
            self.new_template(stacking="group", publish=False)
        with self.assertRaises(UserError):
            self.free.stacking = "exclusive"
        with self.assertRaises(CheckViolation), mute_logger("odoo.sql_db"):
            self.group.max_coupons = 0
            self.group.flush_recordset()

    def test_groups_of_another_company(self):
        company = self.new_company("Another Shop CN")
        boss = self.new_user(
            "boss2", "wechat_coupon.coupon_group_manager", company=company
        )
        env = self.env(user=boss, context={"allowed_company_ids": company.ids})
        groups = env["coupon.stacking.group"]
        self.assertNotIn(self.group, groups.search([]))
        with self.assertRaises(AccessError):
            self.group.with_env(env).name = "x"
        draft = self.new_template(publish=False)
        with self.assertRaises(AccessError):
            env["coupon.template.period"].create({"template_id": draft.id})


@tagged("post_install", "-at_install")
class TestHandout(TermsCase):
    def test_stock(self):
        template = self.new_template(stock=5)
        template._generate(3)
        self.assertEqual((template.handed_out, template.stock_left), (3, 2))
        with self.assertRaisesRegex(UserError, "Only 2"):
            template._generate(3)
        template._generate(2)
        self.assertEqual((template.handed_out, template.stock_left), (5, 0))
        template.stock = 6
        template._generate(1)
        self.assertEqual(template.coupon_count, 6)

    def test_no_limit(self):
        template = self.new_template()
        self.assertEqual(template.stock, 0)
        template._generate(7)
        self.assertEqual(template.handed_out, 7)

    def test_wechat_wants_a_number(self):
        """Whoever leaves it empty gets one; coupons of our own have no limit."""
        form = Form(self.env["coupon.template"].with_user(self.manager))
        self.assertEqual(form.stock, 0)
        form.channel = "card"
        self.assertEqual(form.stock, 1000)

    def test_limit_that_is_set_later(self):
        template = self.new_template(stock=5)
        template._generate(3)
        template.stock = 0
        template._generate(4)
        self.assertEqual(template.handed_out, 7)
        # As the ledger may.
        template._write_guarded({"stock": 8})
        self.assertEqual((template.handed_out, template.stock_left), (7, 1))
        with self.assertRaisesRegex(UserError, "Only 1"):
            template._generate(2)
        template._generate(1)
        self.assertEqual((template.handed_out, template.stock_left), (8, 0))
        with self.assertRaisesRegex(UserError, "Only 0"):
            template._generate(1)

    def test_stock_is_raised_only(self):
        template = self.new_template(stock=5)
        with self.assertRaises(UserError):
            template.stock = 4
        template.stock = 9
        with self.assertRaises(UserError):
            template.stock = 8
        # Any number is more than nine.
        template.stock = 0
        with self.assertRaises(UserError):
            template.stock = 100
        with self.assertRaises(ValidationError):
            self.new_template(publish=False, stock=-1)

    def test_coupons_from_before_the_counter(self):
        template = self.new_template(stock=5)
        template._generate(3)
        self.env["coupon.template.stock"].search(
            [("template_id", "=", template.id)]
        ).unlink()
        template._generate(1)
        self.assertEqual(template.handed_out, 4)

    def test_a_list_of_templates(self):
        """What it costs does not grow with every template."""
        templates = self.env["coupon.template"]
        for stock in (5, 5, 5, 0, 0, 0):
            template = self.new_template(stock=stock)
            template._generate(2 if stock else 3)
            self.env["coupon.task"]._start("update", template)
            last = self.env["coupon.task"]._start("stock", template)
            self.env["coupon.task"]._start("void", template)
            last.remote_error = f"Error {template.id}"
            templates += template

        def cost(found):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            names = ("handed_out", "stock_left", "task_state", "task_error")
            found.fetch(["stock"])
            values = [tuple(one[name] for name in names) for one in found]
            return self.env.cr.sql_log_count - before, values

        cost(templates)
        queries, values = cost(templates)
        self.assertEqual(queries, cost(templates[0] + templates[-1])[0])
        for template, found in zip(templates, values, strict=True):
            left = 3 if template.stock else 0
            error = f"Error {template.id}"
            self.assertEqual(found, (5 - left if left else 3, left, "pending", error))

    def test_the_counter_is_nobodys(self):
        template = self.new_template(stock=5)
        template._generate(1)
        row = self.env["coupon.template.stock"].search(
            [("template_id", "=", template.id)]
        )
        with self.assertRaises(AccessError):
            row.with_user(self.manager).handed_out = 0

    def test_sources(self):
        allowed = {
            "ordinary": {"manual", "campaign", "care", "sale"},
            "marketing": {"campaign"},
            "care": {"care"},
        }
        for attribute, sources in allowed.items():
            template = self.new_template(attribute=attribute)
            for source in ("manual", "campaign", "care", "sale"):
                with self.subTest(attribute=attribute, source=source):
                    if source in sources:
                        template._check_handout(source)
                    else:
                        with self.assertRaises(UserError):
                            template._check_handout(source)
        with self.assertRaises(UserError):
            self.new_template().attribute = "care"

    def test_by_hand(self):
        template = self.new_template(attribute="marketing")
        wizard = self.env["coupon.generate.wizard"].with_user(self.manager)
        with self.assertRaises(UserError):
            wizard.create({"template_id": template.id, "quantity": 1}).action_generate()

    def test_audience(self):
        parent, child = self.env["res.partner.category"].create(
            [{"name": "VIP"}, {"name": "Gold"}]
        )
        child.parent_id = parent
        gold = self.customer.copy({"category_id": [Command.set(child.ids)]})
        stranger = self.customer.copy({"name": "Stranger"})
        template = self.new_template(
            audience="tags", audience_tag_ids=[Command.set(parent.ids)]
        ).with_user(self.manager)
        self.assertEqual(template._audience_partners(), gold)
        template._check_handout("manual", gold)
        with self.assertRaisesRegex(UserError, "Stranger"):
            template._check_handout("manual", gold + stranger)
        with self.assertRaises(UserError):
            template._check_handout("manual")
        template.write(
            {"audience": "filter", "audience_domain": "[('name', '=', 'Stranger')]"}
        )
        self.assertEqual(template._audience_partners(), stranger)
        template.audience = "all"
        self.assertIn(self.customer, template._audience_partners())

    def test_a_filter_is_judged_in_the_companies_of_its_user(self):
        """Not in those that a cashier of a branch has chosen."""
        branch, sister = self.env["res.company"].create(
            [
                {"name": name, "parent_id": self.company.id}
                for name in ("Branch CN", "Sister CN")
            ]
        )
        self.env.user.company_ids |= branch + sister
        self.manager.company_ids |= sister
        template = self.env["coupon.template"].with_user(self.manager)
        template = template.browse(self.new_template().id)
        template.write(
            {"audience": "filter", "audience_domain": "[('name', '=', 'Filtered')]"}
        )
        everywhere = self.customer.copy({"name": "Filtered"})
        of_sister = self.customer.copy({"name": "Filtered", "company_id": sister.id})
        stranger = self.customer.copy({"name": "Stranger"})
        cashier = self.new_user(
            "cashier2", "point_of_sale.group_pos_user", company=branch
        )
        asked = template.with_user(cashier).with_context(allowed_company_ids=branch.ids)
        partners = (everywhere + of_sister + stranger).with_env(asked.env)
        for asked_sudo in (asked.sudo(), template.sudo()):
            found = asked_sudo._allowed(partners.with_env(asked_sudo.env))
            self.assertEqual(found, everywhere + of_sister)
        # Those that its user does not see are not found, whoever asks.
        self.manager.company_ids = self.company
        both = self.env["coupon.template"].sudo().browse(template.id)
        both = both.with_context(allowed_company_ids=(self.company + sister).ids)
        found = both._allowed(partners.with_env(both.env))
        self.assertEqual(found, everywhere)

    def test_bad_filter(self):
        for domain in ("[('no_field', '=', 1)]", "nonsense(", "[1, 2]", "__import__"):
            with self.subTest(domain=domain), self.assertRaises(ValidationError):
                self.new_template(
                    publish=False, audience="filter", audience_domain=domain
                )
        with self.assertRaises(ValidationError):
            self.new_template(publish=False, audience="tags")


@tagged("post_install", "-at_install")
class TestLifeCycle(TermsCase):
    def test_what_is_fixed_and_what_is_not(self):
        template = self.new_template(stock=10)
        for vals in (
            {"exchange_fen": 5},
            {"exchange_price": 5},
            {"use_limit": 1},
            {"use_limit_day": 1},
            {"day_limit": 1},
            {"stacking": "exclusive"},
            {"return_policy": "any"},
            {"attribute": "care"},
        ):
            with self.subTest(vals=vals), self.assertRaises(UserError):
                template.write(vals)
        shop = self.new_config("Shop 2")
        template.write(
            {
                "pos_config_ids": [Command.set(shop.ids)],
                "stock": 11,
                "title": "New title",
                "description": "New text",
                "cover": False,
                "offline_policy": "release",
                "offline_cap": 20,
                "audience": "all",
            }
        )
        self.assertEqual(template.offline_cap_fen, 2000)
        self.assertEqual(template.program_id.pos_config_ids, shop)

    def test_copy_has_everything_but_the_state(self):
        group = self.env["coupon.stacking.group"].create(
            {"name": "G", "company_id": self.company.id}
        )
        tag = self.env["res.partner.category"].create({"name": "VIP"})
        vals = {
            "coupon_type": "exchange",
            "gift_product_id": self.tea.id,
            "exchange_fen": 700,
            "threshold_fen": 500,
            "use_limit": 3,
            "use_limit_day": 2,
            "day_limit": 9,
            "stacking": "group",
            "stacking_group_id": group.id,
            "return_policy": "any",
            "offline_policy": "release",
            "offline_cap_fen": 800,
            "attribute": "care",
            "audience": "tags",
            "audience_tag_ids": [Command.set(tag.ids)],
            "stock": 77,
            "title": "T",
            "notice": "N",
            "description": "D",
            "color": "Color050",
            "product_ids": [Command.set(self.rice.ids)],
            "pos_config_ids": [Command.set(self.config.ids)],
            "period_ids": [
                Command.create({"weekday": "3", "hour_from": 8.5, "hour_to": 9})
            ],
        }
        template = self.new_template(**vals)
        template._generate(2)
        template.action_end()
        template.action_archive()
        copy = template.copy()
        self.assertEqual((copy.state, copy.active), ("draft", True))
        self.assertEqual(copy.handed_out, 0)
        for name in vals:
            if name != "period_ids":
                self.assertEqual(copy[name], template[name], name)
        self.assertEqual(copy.period_ids.hour_from, 8.5)
        self.assertNotEqual(copy.period_ids, template.period_ids)
        copy.write({"day_limit": 1, "period_ids": [Command.clear()]})
        self.assertEqual(template.day_limit, 9)
        self.assertTrue(template.period_ids)

    def test_percent_as_shops_write_it(self):
        """Who means 9.5折 and enters 95 sees what the customer would pay."""
        for off, shown in ((5, "95% (9.5折)"), (30, "70% (7折)"), (95, "5% (0.5折)")):
            template = self.env["coupon.template"].new(
                {"coupon_type": "percent", "percent_off": off}
            )
            self.assertIn(shown, template.percent_pays)

    def test_form(self):
        form = Form(self.env["coupon.template"].with_user(self.manager))
        form.name = "Noodles for ¥1"
        form.coupon_type = "exchange"
        form.gift_product_id = self.book
        form.exchange_price = 1
        self.assertEqual(form.benefit, "Book for ¥1")
        with form.period_ids.new() as period:
            period.weekday = "6"
            period.hour_from = 9
        form.stock = 3
        template = form.save()
        self.assertEqual(template.exchange_fen, 100)
        self.assertEqual(template.period_ids.hour_to, 24)
        template.action_publish()
        with Form(template) as form:
            form.stock = 4
            form.title = "Another text"
            with self.assertRaises(AssertionError):
                form.exchange_price = 3
        self.assertEqual(template.stock, 4)

    def test_cart_without_lines(self):
        coupon = self.new_coupons()
        cart = parse_cart(self.cart())
        found = [code for code, _values in coupon._wechat_cart_refusals(cart)]
        self.assertEqual(found, ["no_matching_product"])
