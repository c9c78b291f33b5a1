from datetime import datetime, timedelta

from psycopg2 import IntegrityError

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .. import uninstall_hook
from .common import CouponCase


@tagged("post_install", "-at_install")
class TestTemplate(CouponCase):
    def test_program_of_an_amount(self):
        program = self.template.program_id
        self.assertEqual(program.program_type, "coupons")
        self.assertEqual(program.trigger, "with_code")
        self.assertTrue(program.active)
        self.assertTrue(program.wechat_guarded)
        self.assertTrue(program.sale_ok)
        self.assertEqual(program.currency_id.name, "CNY")
        self.assertEqual(program.rule_ids.minimum_amount, 100)
        reward = program.reward_ids
        self.assertEqual(reward.discount_mode, "per_order")
        self.assertEqual(reward.discount, 10)
        self.assertEqual(reward.discount_applicability, "order")
        self.assertFalse(program.communication_plan_ids)

    def test_program_of_a_percentage_on_products(self):
        template = self.new_template(
            coupon_type="percent",
            percent_off=30,
            max_discount_fen=5000,
            threshold_fen=0,
            product_ids=[(6, 0, self.tea.ids)],
        )
        reward = template.program_id.reward_ids
        self.assertEqual(reward.discount_mode, "percent")
        self.assertEqual(reward.discount, 30)
        self.assertEqual(reward.discount_max_amount, 50)
        self.assertEqual(reward.discount_applicability, "specific")
        self.assertEqual(reward.discount_product_ids, self.tea)
        self.assertEqual(template.program_id.rule_ids.product_ids, self.tea)

    def test_program_of_a_gift(self):
        template = self.new_template(coupon_type="gift", gift_product_id=self.book.id)
        reward = template.program_id.reward_ids
        self.assertEqual(reward.reward_type, "product")
        self.assertEqual(reward.reward_product_id, self.book)

    def test_draft_is_not_at_the_till(self):
        template = self.new_template(publish=False)
        self.assertFalse(template.program_id.active)
        self.assertNotIn(template.program_id, self.config._get_program_ids())
        template.action_publish()
        self.assertEqual(template.state, "live")
        self.assertIn(template.program_id, self.config._get_program_ids())

    def test_draft_can_change(self):
        template = self.new_template(publish=False)
        template.write({"amount": 12.34, "threshold": 0})
        self.assertEqual(template.amount_fen, 1234)
        self.assertEqual(template.program_id.reward_ids.discount, 12.34)
        self.assertFalse(template.program_id.rule_ids)

    def test_published_terms_are_locked(self):
        for vals in (
            {"amount_fen": 999900},
            {"amount": 9999},
            {"threshold_fen": 0},
            {"percent_off": 50},
            {"date_to": fields.Date.today() + timedelta(days=900)},
            {"product_ids": [(6, 0, self.tea.ids)]},
        ):
            with self.subTest(vals=vals), self.assertRaises(UserError):
                self.template.write(vals)
        self.template.name = "Another name"
        self.assertEqual(self.template.program_id.name, "Another name")

    def test_program_is_locked(self):
        program = self.template.program_id
        with self.assertRaises(UserError):
            program.write({"active": False})
        with self.assertRaises(UserError):
            program.reward_ids.write({"discount": 1000})
        with self.assertRaises(UserError):
            program.rule_ids.write({"minimum_amount": 0})
        with self.assertRaises(UserError):
            program.reward_ids.copy({"program_id": program.id, "discount": 99})
        with self.assertRaises(UserError):
            program.rule_ids.unlink()
        for name in ("pos_config_ids", "pricelist_ids"):
            with self.assertRaises(UserError):
                program.write({name: [(5, 0, 0)]})
        with self.assertRaises(UserError):
            program.write({"pos_ok": False})
        with self.assertRaises(UserError):
            program.write({"reward_ids": [(0, 0, {"discount": 5})]})
        with self.assertRaises(UserError):
            # A key that comes over RPC is not the ledger's.
            program.with_context(wechat_coupon_ledger=True).write({"date_to": False})
        with self.assertRaises(UserError):
            program.write({"trigger_product_ids": [Command.set(self.tea.ids)]})
        with self.assertRaises(UserError):
            program.rule_ids.program_id = program.copy()
        for vals, error in (
            ({"amount_fen": 9}, UserError),
            ({"program_id": False}, AccessError),
        ):
            with self.assertRaises(error):
                command = Command.update(self.template.id, vals)
                program.write({"wechat_template_ids": [command]})

    def test_what_a_coupon_is_for_is_not_deleted(self):
        """It would be good for everything, and in every shop."""
        category = self.env["product.category"].create({"name": "Drinks"})
        tag = self.env["product.tag"].create({"name": "Drinks"})
        shop = self.new_config("Shop 2")
        self.new_template(
            product_ids=[Command.set(self.rice.ids)],
            product_category_id=category.id,
            product_tag_id=tag.id,
            pos_config_ids=[Command.set(shop.ids)],
        )
        self.new_template(coupon_type="gift", gift_product_id=self.book.id)
        for record in (category, tag, self.rice, self.book, shop):
            with (
                self.subTest(record=record),
                mute_logger("odoo.sql_db"),
                self.assertRaises(IntegrityError),
                self.env.cr.savepoint(),
            ):
                record.unlink()

    def test_what_the_user_does_not_see_stays(self):
        """Who renames a template does not take shops and products off it."""
        branch = self.env["res.company"].create(
            {"name": "Branch CN", "parent_id": self.company.id}
        )
        self.env.user.company_ids |= branch
        account = self.env["account.chart.template"].with_company(branch)
        account.try_loading("generic_coa", company=branch, install_demo=False)
        shop = self.new_config("Branch shop", branch)
        goods = self.tea + self.rice
        vals = {
            "pos_config_ids": [Command.set(shop.ids)],
            "product_ids": [Command.set(goods.ids)],
        }
        template = self.new_template(**vals)
        template.action_pause()
        goods.product_tmpl_id.active = False
        draft = self.new_template(publish=False, **vals)
        for one in template + draft:
            self.env.flush_all()
            self.env.invalidate_all()
            seen = one.with_user(self.manager).with_context(
                allowed_company_ids=self.company.ids
            )
            # What he has read is in the cache.
            self.assertFalse(seen.pos_config_ids)
            seen.name = "Renamed"
            self.assertFalse(seen.pos_config_ids)
            if one == draft:
                # Its terms are written anew.
                seen.amount = 7
            self.env.invalidate_all()
            program = one.program_id.with_context(active_test=False)
            self.assertEqual(program.pos_config_ids, shop)
            self.assertEqual(program.rule_ids.product_ids, goods)
            reward = program.reward_ids
            self.assertEqual(reward.discount_product_ids, goods)
            self.assertEqual(reward.discount_applicability, "specific")

    def test_a_program_cannot_be_made_guarded(self):
        vals = {"name": "Own", "program_type": "coupons", "wechat_guarded": True}
        program = self.env["loyalty.program"].create(vals)
        self.assertTrue(vals["wechat_guarded"], "the caller's values stay his")
        self.assertFalse(program.wechat_guarded)
        with self.assertRaises(UserError):
            program.wechat_guarded = True

    def test_life_cycle(self):
        template = self.template
        with self.assertRaises(UserError):
            template.action_publish()
        template.action_pause()
        self.assertFalse(template.program_id.active)
        template.action_resume()
        self.assertTrue(template.program_id.active)
        with self.assertRaises(UserError):
            template.action_archive()
        template.action_end()
        # Coupons that customers hold stay good.
        self.assertTrue(template.program_id.active)
        with self.assertRaises(UserError):
            template._generate(1)
        with self.assertRaises(UserError):
            template.action_resume()
        template.action_archive()
        self.assertFalse(template.program_id.active)

    def test_archived_only_at_the_end(self):
        for call in (
            lambda: self.template.write({"active": False}),
            self.template.action_archive,
        ):
            with self.assertRaises(UserError):
                call()

    def test_the_receipt_shows_the_name(self):
        rewards = self.template.program_id.reward_ids
        self.assertEqual(rewards.description, "¥10 off from ¥100")
        self.assertEqual(rewards.discount_line_product_id.name, rewards.description)
        self.template.name = "满 100 减 10 元"
        self.assertEqual(rewards.description, "满 100 减 10 元")
        self.assertEqual(rewards.discount_line_product_id.name, rewards.description)

    def test_copy_keeps_a_given_name(self):
        self.assertEqual(self.template.copy({"name": "Mine"}).name, "Mine")

    def test_copy(self):
        copy = self.template.copy()
        self.assertEqual(copy.state, "draft")
        self.assertEqual(copy.amount_fen, self.template.amount_fen)
        self.assertNotEqual(copy.program_id, self.template.program_id)
        self.assertFalse(copy.remote_id)

    def test_delete(self):
        draft = self.new_template(publish=False)
        program = draft.program_id
        draft.unlink()
        self.assertFalse(program.exists())
        with self.assertRaises(UserError):
            self.template.unlink()

    def test_amounts_in_yuan(self):
        vals = {"name": "x", "company_id": self.company.id}
        templates = self.env["coupon.template"]
        made = templates.with_context(default_amount=8.8, default_threshold=50).create(
            vals
        )
        self.assertEqual((made.amount_fen, made.threshold_fen), (880, 5000))
        for both in ({"amount_fen": 1, "amount": 5}, {"amount": 5, "amount_fen": 1}):
            self.assertEqual(templates.create({**vals, **both}).amount_fen, 500)
        made.write({"threshold": 60, "amount": 7, "max_discount": 3})
        self.assertEqual(made.amount_fen, 700)
        self.assertEqual(made.threshold_fen, 6000)
        self.assertEqual(made.max_discount_fen, 300)
        self.assertEqual(made.program_id.reward_ids.discount, 7)

    def test_limits_are_sentences(self):
        for vals in (
            {"amount": 30_000_000},
            {"amount": 1e40},
            {"threshold_fen": 10**12},
            {"coupon_type": "percent", "percent_off": 10, "max_discount": 1e30},
            {"date_type": "term", "term_days": 2_000_000_000},
            {"date_type": "term", "term_begin_days": 2_000_000_000},
        ):
            with self.subTest(vals=vals), self.assertRaises(ValidationError):
                self.new_template(publish=False, **vals)

    def test_one_name_in_all_languages(self):
        self.env["res.lang"]._activate_lang("zh_CN")
        template = self.new_template(name="Ten off")
        program = template.program_id
        template.with_context(lang="zh_CN").name = "减十元"
        for lang in ("en_US", "zh_CN"):
            spoken = program.with_context(lang=lang)
            self.assertEqual(spoken.name, "减十元")
            self.assertEqual(spoken.reward_ids.description, "减十元")
            product = spoken.reward_ids.discount_line_product_id
            self.assertEqual(product.name, "减十元")

    def test_a_change_keeps_the_reward(self):
        """Odoo leaves a product behind for each reward that goes."""
        template = self.new_template(publish=False)
        rewards = template.program_id.reward_ids
        product = rewards.discount_line_product_id
        template.write({"amount": 7, "threshold": 0})
        template.write({"coupon_type": "percent", "percent_off": 20, "max_discount": 9})
        template.product_ids = self.tea
        program = template.program_id
        self.assertEqual(program.reward_ids, rewards)
        self.assertEqual(rewards.discount_line_product_id, product)
        self.assertEqual(rewards.discount, 20)
        self.assertEqual(rewards.discount_max_amount, 9)
        self.assertEqual(rewards.discount_product_ids, self.tea)
        self.assertEqual(program.rule_ids.product_ids, self.tea)
        template.write({"coupon_type": "amount", "amount": 5, "threshold": 20})
        template.product_ids = False
        self.assertEqual(rewards.discount_max_amount, 0)
        self.assertEqual(rewards.discount_applicability, "order")
        self.assertFalse(rewards.discount_product_ids)
        self.assertEqual(program.rule_ids.minimum_amount, 20)
        self.assertFalse(program.rule_ids.product_ids)
        template.write({"coupon_type": "gift", "gift_product_id": self.book.id})
        self.assertEqual(program.reward_ids.reward_type, "product")
        self.assertEqual(program.reward_ids, rewards)

    def test_bad_worth(self):
        for vals in (
            {"amount_fen": 0},
            {"coupon_type": "percent", "percent_off": 0},
            {"coupon_type": "percent", "percent_off": 100},
            {"date_from": fields.Date.today(), "date_to": False},
            {"date_to": fields.Date.today() - timedelta(days=9)},
            {"date_type": "term", "term_days": 0},
            {"channel": "card"},
        ):
            with self.subTest(vals=vals), self.assertRaises(ValidationError):
                self.new_template(publish=False, **vals)

    def test_validity_in_beijing(self):
        self.company.partner_id.tz = "Asia/Shanghai"
        begin, end = self.new_template(
            date_from="2026-11-01", date_to="2026-11-30", publish=False
        )._validity()
        self.assertEqual(begin, datetime(2026, 10, 31, 16))
        self.assertEqual(end, datetime(2026, 11, 30, 15, 59, 59))
        term = self.new_template(
            date_type="term", term_days=3, term_begin_days=1, publish=False
        )
        begin, end = term._validity(datetime(2026, 11, 1, 20))
        self.assertEqual(begin, datetime(2026, 11, 2, 16))
        self.assertEqual(end, datetime(2026, 11, 5, 15, 59, 59))
        term.term_latest = "2026-11-04"
        self.assertEqual(
            term._validity(datetime(2026, 11, 1, 20))[1],
            datetime(2026, 11, 4, 15, 59, 59),
        )

    def test_validity_does_not_depend_on_who_asks(self):
        self.company.partner_id.tz = False
        validity = self.template._validity()
        self.manager.tz = "America/New_York"
        self.assertEqual(self.template.with_user(self.manager)._validity(), validity)
        self.assertEqual(self.template._zone(), "Asia/Shanghai")

    def test_form(self):
        form = Form(self.env["coupon.template"])
        form.name = "Form"
        form.amount = 8.8
        template = form.save()
        self.assertEqual(template.amount_fen, 880)
        self.assertEqual(template.title, "Form")

    def test_renamed_by_somebody_who_does_not_see_all(self):
        """Archived shops, and those of others, stay on the coupon."""
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        shops = self.config | self.new_config("Gone") | self.new_config("Far", branch)
        template = self.new_template(pos_config_ids=[Command.set(shops.ids)])
        shops[1].active = False
        self.env.flush_all()
        self.env.invalidate_all()
        seen = template.with_user(self.manager)
        self.assertEqual(seen.pos_config_ids, self.config)
        seen.name = "Renamed"
        self.assertEqual(seen.pos_config_ids, self.config)
        self.env.invalidate_all()
        program = template.program_id.with_context(active_test=False)
        self.assertEqual(program.name, "Renamed")
        self.assertEqual(program.pos_config_ids, shops)

    def test_pause_is_ours(self):
        """A channel that was not told of the pause does not end it."""
        self.template.action_pause()
        self.template._follow_remote("live")
        self.assertEqual(self.template.state, "paused")
        self.template._follow_remote("ended")
        self.assertEqual(self.template.state, "ended")


@tagged("post_install", "-at_install")
class TestGenerate(CouponCase):
    def test_generate(self):
        coupons = self.new_coupons(5)
        self.assertEqual(len(set(coupons.mapped("code"))), 5)
        self.assertEqual(set(coupons.mapped("wechat_state")), {"usable"})
        self.assertEqual(set(coupons.mapped("points")), {1})
        self.assertEqual(coupons.company_id, self.company)
        self.assertEqual(coupons.program_id, self.template.program_id)
        self.assertEqual(
            set(coupons.mapped("expiration_date")), {self.template.date_to}
        )

    def test_for_customers(self):
        partners = self.customer + self.customer.copy()
        coupons = self.template._generate(0, partners)
        self.assertEqual(coupons.partner_id, partners)

    def test_a_code_that_exists_is_left_alone(self):
        coupon = self.new_coupons()
        made = self.env["loyalty.card"]._wechat_insert(
            self.template, [{"code": coupon.code}, {"code": "NEWCODE"}]
        )
        self.assertEqual(made.code, "NEWCODE")

    def test_wizard(self):
        wizard = self.env["coupon.generate.wizard"].with_user(self.manager)
        wizard.create(
            {"template_id": self.template.id, "quantity": 3}
        ).action_generate()
        self.assertEqual(self.template.coupon_count, 3)
        with self.assertRaises(UserError):
            wizard.create(
                {"template_id": self.template.id, "quantity": 0}
            ).action_generate()

    def test_void(self):
        coupons = self.new_coupons(2)
        self.reserve("u1", coupons[1])
        wizard = self.env["coupon.reason.wizard"].with_user(self.manager)

        def void(coupon):
            action = coupon.with_user(self.manager).action_wechat_void()
            wizard.with_context(**action["context"]).create(
                {"reason": "Printed twice"}
            ).action_confirm()

        void(coupons[0])
        self.assertEqual(coupons[0].wechat_state, "void")
        self.assertEqual(coupons[0].points, 0)
        self.assertIn("Printed twice", coupons[0].message_ids[0].body)
        with self.assertRaises(UserError):
            void(coupons[1])

    def test_void_many(self):
        """What it costs does not grow with every coupon."""
        few, many = self.new_coupons(3), self.new_coupons(40)

        def cost(coupons):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            coupons._wechat_void("Printed twice")
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        cost(self.new_coupons(1))
        self.assertLess(cost(many), cost(few) + 10)
        self.assertEqual(set(many.mapped("wechat_state")), {"void"})
        for coupon in many:
            self.assertIn("Printed twice", coupon.message_ids[0].body)

    def test_void_all_or_none(self):
        coupons = self.new_coupons(2)
        coupons[1]._wechat_void("x")
        with self.assertRaises(UserError):
            coupons._wechat_void("y")
        self.assertEqual(coupons[0].wechat_state, "usable")


@tagged("post_install", "-at_install")
class TestUninstall(CouponCase):
    def test_no_till_takes_the_codes(self):
        """What Odoo's own till would do with the codes when the ledger is gone."""
        paused = self.new_template()
        paused.action_pause()
        own = self.env["loyalty.program"].create(
            {"name": "Own", "program_type": "coupons", "company_id": self.company.id}
        )
        program = self.template.program_id
        self.assertIn(program, self.config._get_program_ids())
        uninstall_hook(self.env)
        self.assertFalse((program + paused.program_id).filtered("active"))
        self.assertTrue(own.active)
        self.assertNotIn(program, self.config._get_program_ids())
