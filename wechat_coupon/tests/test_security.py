from odoo import Command
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.service.model import call_kw
from odoo.tests import tagged
from odoo.tools.misc import file_open
from odoo.tools.safe_eval import safe_eval

from ..tools.ledger import as_ledger
from .common import CouponCase


@tagged("post_install", "-at_install")
class TestGuardedFields(CouponCase):
    """``readonly=True`` is for views; what RPC may write is decided here."""

    GUARDED = {
        "custom_code": True,
        "limits_confirmed": True,
        "needs_benefit": False,
        "needs_setup": False,
        "remote_event_at": "2026-01-01 00:00:00",
        "remote_id": "pCard",
        "remote_limits": {},
        "remote_status": "CARD_STATUS_VERIFY_OK",
        "remote_stock": 5,
        "remote_synced_at": "2026-01-01 00:00:00",
        "remote_type": "CASH",
        "state": "live",
        "state_reason": "x",
    }

    def rpc(self, records, method, *args, user=None, **kwargs):
        model = self.env[records._name].with_user(user or self.manager)
        ids = [records.ids] if records else []
        return call_kw(model, method, [*ids, *args], kwargs)

    def test_write(self):
        draft = self.new_template(publish=False)
        victim = self.env["loyalty.program"].create({"name": "Gift cards of others"})
        for name, value in {**self.GUARDED, "program_id": victim.id}.items():
            with self.subTest(name=name), self.assertRaises(AccessError):
                self.rpc(draft, "write", {name: value})

    def test_create(self):
        vals = {"name": "x", "amount_fen": 500}
        templates = self.env["coupon.template"]
        for name, value in self.GUARDED.items():
            with self.subTest(name=name), self.assertRaises(AccessError):
                self.rpc(templates, "create", {**vals, name: value})
        program = self.template.program_id
        made = self.rpc(
            templates,
            "create",
            vals,
            context={
                "default_state": "live",
                "default_remote_id": "pCard",
                "default_program_id": program.id,
                "allowed_company_ids": self.company.ids,
            },
        )
        made = templates.browse(made)
        self.assertEqual(made.state, "draft")
        self.assertFalse(made.remote_id)
        self.assertNotEqual(made.program_id, program)

    def test_copy(self):
        with self.assertRaises(AccessError):
            self.rpc(self.template, "copy", {"state": "live"})

    def test_no_state_is_jumped_over(self):
        review = self.new_template(publish=False)
        review._set_state("review")
        draft = self.new_template(publish=False)
        for template in (review, draft):
            for action in ("action_resume", "action_pause"):
                with self.assertRaises(UserError):
                    self.rpc(template, action)
        self.assertEqual(review.state, "review")

    def test_terms_are_locked_once_somebody_holds_a_coupon(self):
        self.template._generate(1)
        # However it came about.
        self.env.cr.execute(
            "UPDATE coupon_template SET state = 'draft' WHERE id = %s",
            [self.template.id],
        )
        self.env.invalidate_all()
        with self.assertRaises(UserError):
            self.rpc(self.template, "write", {"amount_fen": 99900})
        with self.assertRaises(UserError):
            self.rpc(self.template, "unlink")

    def test_logo_url(self):
        draft = self.new_template(publish=False)
        for url in (
            "http://169.254.169.254/latest",
            "https://evil.example/mmbiz.qpic.cn/",
            "https://qpic.cn.evil.example/logo",
        ):
            with self.subTest(url=url), self.assertRaises(ValidationError):
                self.rpc(draft, "write", {"logo_url": url})
        self.rpc(draft, "write", {"logo_url": "https://mmbiz.qpic.cn/mmbiz/logo/0"})

    def test_a_task_is_not_written(self):
        task = self.env["coupon.task"]._start("end", self.template)
        for vals in ({"request_no": "1"}, {"remote_state": "done"}, {"kind": "void"}):
            with self.assertRaises(UserError):
                self.rpc(task, "write", vals)
        with self.assertRaises(AccessError):
            self.rpc(task, "action_operation_retry")


@tagged("post_install", "-at_install")
class TestCodesAreNotSearched(CouponCase):
    """Who knows the code has the money: nobody at a till lists codes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.coupon = cls.template._generate(1)
        program = cls.env["loyalty.program"].create(
            {
                "name": "Coupons of Odoo",
                "program_type": "coupons",
                "company_id": cls.company.id,
            }
        )
        cls.plain_card = cls.env["loyalty.card"].create(
            {"program_id": program.id, "points": 50}
        )
        cls.cards = cls.coupon + cls.plain_card
        cls.histories = as_ledger(cls.env["loyalty.history"]).create(
            [
                {"card_id": card.id, "description": "x", "issued": 1}
                for card in cls.cards
            ]
        )
        pos, manager = "point_of_sale.group_pos_user", "coupon_group_manager"
        manager = f"wechat_coupon.{manager}"
        cls.both = cls.new_user("coupon_both", pos, manager)
        cls.seller = cls.new_user("coupon_seller", "sales_team.group_sale_salesman")
        cls.pos_boss = cls.new_user("coupon_pb", "point_of_sale.group_pos_manager")

    def seen(self, user):
        cards = self.env["loyalty.card"].with_user(user)
        found = cards.search([("id", "in", self.cards.ids)])
        histories = self.env["loyalty.history"].with_user(user)
        histories = histories.search([("id", "in", self.histories.ids)])
        self.assertEqual(set(histories.card_id.ids), set(found.ids))
        return self.env["loyalty.card"].browse(found.ids)

    def test_who_sees_what(self):
        for user, cards in (
            (self.cashier, self.plain_card),
            (self.pos_boss, self.plain_card),
            (self.seller, self.plain_card),
            (self.manager, self.coupon),
            (self.auditor, self.coupon),
            (self.both, self.coupon + self.plain_card),
        ):
            with self.subTest(user=user.login):
                self.assertEqual(set(self.seen(user).ids), set(cards.ids))

    def test_no_way_around(self):
        for user in (self.cashier, self.seller):
            env = self.env(user=user)
            with self.assertRaises(AccessError):
                env["loyalty.card"].browse(self.coupon.id).read(["code"])
            start = f"{self.coupon.code[:3]}%"
            for domain in (
                [("code", "=like", start)],
                [("coupon_template_id", "!=", False)],
            ):
                self.assertFalse(env["loyalty.card"].search_count(domain))
        uuid = "around"
        self.pay(uuid, self.coupon)
        lines = self.env["pos.order.line"].with_user(self.cashier)
        self.assertFalse(lines.search([("coupon_id.code", "=like", start)]))

    def test_the_till_works(self):
        """What Odoo's till calls with a coupon that its cashier cannot read."""
        answer = self.till.wechat_coupon_lookup(
            self.coupon.code, "u1", False, self.full_cart
        )
        self.assertTrue(answer["eligible"], answer)
        answer = self.till.use_coupon_code(self.coupon.code, "2026-11-22", False, False)
        self.assertEqual(answer["payload"]["coupon_id"], self.coupon.id)
        self.assertTrue(self.reserve("u1", self.coupon)["ok"])
        orders = self.env["pos.order"].with_user(self.cashier)
        for points in (-1, -1000):
            answer = orders.validate_coupon_programs({str(self.coupon.id): points}, [])
            self.assertTrue(answer["successful"])
            self.assertNotIn(self.coupon.code, str(answer))
        answer = orders.validate_coupon_programs({str(self.plain_card.id): -1000}, [])
        self.assertFalse(answer["successful"])
        order = self.pay("u1", self.coupon)
        vals = {"points": -1, "program_id": self.template.program_id.id}
        order.with_user(self.cashier).confirm_coupon_programs(
            {str(self.coupon.id): {**vals, "line_codes": [str(self.coupon.id)]}}
        )
        self.assertEqual(self.redemptions(self.coupon).state, "redeemed")
        config = self.config.with_user(self.cashier)
        data = orders.with_user(self.cashier).browse(order.ids)
        data = data.read_pos_data([], config)
        self.assertTrue(data["pos.order.line"])


@tagged("post_install", "-at_install")
class TestCompanies(CouponCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.new_company("Other Shop CN")
        cls.env.user.company_ids |= cls.other

    def test_a_template_stays_in_the_company(self):
        draft = self.new_template(publish=False).with_user(self.manager)
        with self.assertRaises(AccessError):
            draft.company_id = self.other

    def test_what_a_template_names_is_of_its_company(self):
        config = self.new_config("Other till", self.other)
        product = self.new_product("Of the other", 5)
        product.company_id = self.other
        draft = self.new_template(publish=False)
        for vals in (
            {"pos_config_ids": [Command.set(config.ids)]},
            {"product_ids": [Command.set(product.ids)]},
            {"coupon_type": "gift", "gift_product_id": product.id},
        ):
            with self.subTest(vals=vals), self.assertRaises(UserError):
                draft.write(vals)

    def test_the_program_moves_along(self):
        draft = self.new_template(publish=False)
        draft.company_id = self.other
        self.assertEqual(draft.program_id.company_id, self.other)

    def test_other_currencies(self):
        company = self.env["res.company"].create(
            {"name": "US", "currency_id": self.env.ref("base.USD").id}
        )
        self.env.user.company_ids |= company
        with self.assertRaisesRegex(ValidationError, "yuan"):
            self.new_template(publish=False, company_id=company.id)


@tagged("post_install", "-at_install")
class TestBranches(CouponCase):
    """A coupon of a company is good at its branches."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.branch = cls.env["res.company"].create(
            {"name": "Branch CN", "parent_id": cls.company.id}
        )
        cls.env.user.company_ids |= cls.branch
        cls.boss = cls.new_user(
            "coupon_branch", "wechat_coupon.coupon_group_manager", company=cls.branch
        )

    def seen_by(self, user, records):
        context = {**self.env.context, "allowed_company_ids": user.company_ids.ids}
        return self.env(user=user, context=context)[records._name].browse(records.ids)

    def test_a_branch_sees_what_it_takes(self):
        coupon = self.template._generate(1)
        task = self.env["coupon.task"]._start("end", self.template)
        for record in (self.template, coupon, self.template.program_id, task):
            with self.subTest(model=record._name):
                found = self.seen_by(self.boss, record)
                self.assertTrue(found.search([("id", "=", record.id)]))
        self.assertEqual(self.seen_by(self.boss, self.template).coupon_count, 1)

    def test_a_branch_does_not_change_it(self):
        template = self.seen_by(self.boss, self.template)
        actions = ("publish", "pause", "resume", "end", "refresh", "confirm_limits")
        for name in actions:
            with self.subTest(name=name), self.assertRaises(AccessError):
                getattr(template, f"action_{name}")()
        for vals in ({"name": "x"}, {"amount": 5}, {"active": False}):
            with self.subTest(vals=vals), self.assertRaises(AccessError):
                template.write(vals)
        with self.assertRaises(AccessError):
            template.unlink()

    def test_a_branch_does_not_hand_it_out(self):
        """Neither in bulk nor to customers nor by campaign, however it is asked."""
        own = self.new_template(company_id=self.branch.id)
        theirs = self.template.id
        for model in ("coupon.handout", "coupon.code.batch"):
            with self.subTest(model), self.assertRaises(UserError):
                orders = self.env[model].with_user(self.boss)
                order = orders.with_context(allowed_company_ids=self.branch.ids)
                order = order.create({"template_id": own.id})
                order.write({"template_id": theirs, "company_id": self.branch.id})
                order.action_start()
        wizards = self.env["coupon.generate.wizard"].with_user(self.boss)
        with self.assertRaises(AccessError):
            wizards.create({"template_id": theirs}).action_generate()
        campaigns = self.env["coupon.campaign"].with_user(self.boss)
        with self.assertRaises(UserError):
            campaigns.create(
                {"name": "x", "company_id": self.branch.id, "template_id": theirs}
            ).action_start()
        coupons = [("coupon_template_id", "=", theirs)]
        self.assertFalse(self.env["loyalty.card"].search(coupons))

    def test_what_a_branch_sold_is_its_own(self):
        self.pay("paid", self.template._generate(1))
        redemption = self.env["coupon.redemption"].search([("order_uuid", "=", "paid")])
        self.assertFalse(
            self.seen_by(self.boss, redemption).search([("id", "=", redemption.id)])
        )

    def test_shops_of_branches(self):
        other = self.new_company("Other Shop CN")
        self.env.user.company_ids |= other
        draft = self.new_template(publish=False)
        with self.assertRaisesRegex(ValidationError, "another company"):
            draft.pos_config_ids = self.new_config("Other till", other)
        shop = self.config.copy({"name": "Branch shop"})
        self.env.cr.execute(
            "UPDATE pos_config SET company_id = %s WHERE id = %s",
            [self.branch.id, shop.id],
        )
        self.env.invalidate_all()
        draft.pos_config_ids = shop + self.config
        self.assertEqual(draft.program_id.pos_config_ids, shop + self.config)


@tagged("post_install", "-at_install")
class TestNeutralize(CouponCase):
    def test_nothing_is_sent_from_a_copy(self):
        task = self.env["coupon.task"]._start("end", self.template)
        coupon = self.template._generate(1)
        self.pay("paid", coupon)
        redemption = self.redemptions(coupon)
        redemption.write({"remote_state": "pending", "remote_blocked": True})
        self.env.flush_all()
        self.env.cr.execute(file_open("wechat_base/data/neutralize.sql").read())
        self.env.invalidate_all()
        for row in (task, redemption):
            self.assertEqual(row.remote_state, "cancelled")
            self.assertFalse(row.remote_blocked)
        self.assertEqual(redemption.state, "redeemed")


@tagged("post_install", "-at_install")
class TestWorklist(CouponCase):
    def test_what_waits_for_the_account(self):
        """48001 and the like are tried again, but a person has to do something."""
        coupon = self.template._generate(1)
        self.reserve("paid", coupon)
        self.pay("paid", coupon)
        redemption = self.redemptions(coupon)
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "wechat_coupon.coupon_redemption_action_worklist"
        )
        domain = safe_eval(action["domain"])
        self.assertFalse(redemption.filtered_domain(domain))
        redemption.remote_state = "pending"
        self.assertFalse(redemption.filtered_domain(domain))
        redemption.remote_blocked = True
        self.assertEqual(redemption.search(domain) & redemption, redemption)

    def test_chinese_states(self):
        self.env["res.lang"]._activate_lang("zh_CN")
        self.env["ir.module.module"]._load_module_terms(
            ["wechat_base", "wechat_coupon"], ["zh_CN"]
        )
        for model in ("coupon.redemption", "coupon.task"):
            field = self.env[model]._fields["remote_state"]
            env = self.env(context={**self.env.context, "lang": "zh_CN"})
            for _value, label in field._description_selection(env):
                self.assertFalse(label.isascii(), label)

    def test_from_the_order(self):
        coupon = self.template._generate(1)
        order = self.pay("paid", coupon).with_user(self.both())
        self.assertEqual(order.wechat_redemption_count, 1)
        action = order.action_wechat_redemptions()
        found = self.env["coupon.redemption"].search(action["domain"])
        self.assertEqual(found, self.redemptions(coupon))

    def both(self):
        return self.new_user(
            "coupon_order",
            "point_of_sale.group_pos_manager",
            "wechat_coupon.coupon_group_manager",
        )
