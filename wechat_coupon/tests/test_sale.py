"""Coupons on sales orders: the same ledger as at the till."""

from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import CouponCase


class SaleCase(CouponCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.salesman = cls.new_user("coupon_sale", "sales_team.group_sale_salesman")
        cls.coupon = cls.template._generate(1)

    def new_order(self, products=None, user=None, **vals):
        """A quotation of a salesperson: 100 yuan, unless said otherwise."""
        return (
            self.env["sale.order"]
            .with_user(user or self.salesman)
            .create(
                {
                    "partner_id": self.customer.id,
                    "company_id": self.company.id,
                    "order_line": [
                        Command.create(
                            {"product_id": product.id, "product_uom_qty": qty}
                        )
                        for product, qty in products or ((self.tea, 1), (self.rice, 1))
                    ],
                    **vals,
                }
            )
        )

    def apply(self, order, coupon):
        """Enter a code and take the reward, as the two dialogues do."""
        wizard = self.env["sale.loyalty.coupon.wizard"].with_user(order.env.user)
        wizard = wizard.create({"order_id": order.id, "coupon_code": coupon.code})
        action = wizard.action_apply()
        choice = (
            self.env["sale.loyalty.reward.wizard"]
            .with_user(order.env.user)
            .with_context(**action["context"])
            .create({"selected_reward_id": coupon.program_id.reward_ids.id})
        )
        choice.action_apply()
        self.env.invalidate_all()

    def sold(self, coupon=None, **kwargs):
        """A confirmed order with a coupon."""
        order = self.new_order(**kwargs)
        self.apply(order, coupon or self.coupon)
        order.action_confirm()
        return order

    def invoice(self, order):
        for line in order.sudo().order_line:
            line.qty_delivered = line.product_uom_qty
        invoice = order.sudo()._create_invoices()
        invoice.action_post()
        return invoice

    def credit(self, invoice, keep=None):
        """Post a credit note over lines of an invoice.

        :param dict keep: quantities by product; all of the invoice by default
        """
        note = invoice._reverse_moves([{"invoice_date": fields.Date.today()}])
        if keep is not None:
            for line in note.invoice_line_ids:
                if line.product_id in keep:
                    line.quantity = keep[line.product_id]
                elif not line.sale_line_ids.coupon_id:
                    line.unlink()
        return note


@tagged("post_install", "-at_install")
class TestSaleRisk(SaleCase):
    """What a rule has refused stays noticed although the request is undone."""

    def setUp(self):
        super().setUp()
        self.rule = self.env["coupon.risk.rule"].create(
            {
                "name": "Too much",
                "kind": "value",
                "company_id": self.company.id,
                "limit_fen": 999,
                "action": "block",
            }
        )
        self.order = self.new_order()
        self.rule.active = False
        self.apply(self.order, self.coupon)
        self.rule.active = True
        self.env.flush_all()

    def events(self):
        self.env.invalidate_all()
        return self.env["coupon.risk.event"].search([("rule_id", "=", self.rule.id)])

    def request(self, call):
        """Run something as a request of its own, and return its error.

        :param call: gets the environment
        """
        with self.enter_registry_test_mode():
            try:
                with self.env.registry.cursor() as cr:
                    call(self.env(cr=cr))
            except (UserError, RuntimeError) as error:
                return str(error)
        return None

    def check_noticed(self):
        event = self.events()
        self.assertEqual(len(event), 1)
        self.assertEqual(event.action, "block")
        self.assertEqual(event.coupon_id, self.coupon)
        self.assertEqual(event.activity_ids.user_id, self.manager)
        return event

    def confirm(self, env):
        order = self.order.with_env(env(user=self.salesman.id))
        order.action_confirm()

    def test_confirm(self):
        for _twice in range(2):
            self.assertIn("Too much", self.request(self.confirm))
        event = self.check_noticed()
        self.assertEqual(event.user_id, self.salesman)
        self.assertEqual(self.order.state, "draft")

    def test_code(self):
        order = self.new_order()
        self.env.flush_all()

        def enter(env):
            wizard = env(user=self.salesman.id)["sale.loyalty.coupon.wizard"]
            wizard = wizard.create(
                {"order_id": order.id, "coupon_code": self.coupon.code}
            )
            wizard.action_apply()

        self.assertIn("Too much", self.request(enter))
        self.check_noticed()
        self.assertFalse(order.sudo().wechat_coupon_ids)

    def test_payment(self):
        provider = self.env["payment.provider"].search([], limit=1)
        methods = self.env["payment.method"].with_context(active_test=False)
        method = methods.search([], limit=1)

        def pay(env):
            env["payment.transaction"].create(
                {
                    "provider_id": provider.id,
                    "payment_method_id": method.id,
                    "reference": str(uuid4()),
                    "amount": self.order.amount_total,
                    "currency_id": self.order.currency_id.id,
                    "partner_id": self.order.partner_id.id,
                    "sale_order_ids": [Command.set(self.order.ids)],
                }
            )

        self.assertIn("Too much", self.request(pay))
        self.check_noticed()

    def test_what_the_request_has_made_is_gone(self):
        """A coupon that WeChat has told us about in the same request."""

        def confirm(env):
            coupon = self.template.with_env(env)._generate(1)
            order = self.order.with_env(env)
            env["coupon.risk.rule"]._judge_order(
                order._wechat_order_ref(), coupon, None
            )
            raise RuntimeError("undone")

        self.assertEqual(self.request(confirm), "undone")
        event = self.events()
        self.assertEqual(len(event), 1)
        self.assertFalse(event.coupon_id)
        self.assertEqual(event.template_id, self.template)

    def test_warning_goes_with_the_request(self):
        """What was let through and then undone for another cause did not happen."""
        self.rule.action = "warn"
        self.env.flush_all()

        def confirm(env):
            self.confirm(env)
            raise RuntimeError("undone")

        self.assertEqual(self.request(confirm), "undone")
        self.assertFalse(self.events())

    def test_kept_once(self):
        """Who is told no and does not fail writes it down with the rest."""

        def enter(env):
            order = self.order.with_env(env(user=self.salesman.id))
            self.assertIn("Too much", order._wechat_error(self.coupon.with_env(env)))

        self.assertIsNone(self.request(enter))
        self.check_noticed()


@tagged("post_install", "-at_install")
class TestSale(SaleCase):
    # === A CODE IS ENTERED === #

    def test_code(self):
        order = self.new_order()
        self.apply(order, self.coupon)
        self.assertEqual(order.amount_total, 90)
        # Nothing has happened to the coupon yet.
        self.assertFalse(self.redemptions(self.coupon))
        self.assertEqual(self.coupon.points, 1)

    def test_dialogue_given_up(self):
        """Entering a code uses nothing up."""
        order = self.new_order()
        self.assertNotIn("error", order._try_apply_code(self.coupon.code))
        self.assertTrue(self.reserve(str(uuid4()), self.coupon)["ok"])

    def test_typed_with_blanks(self):
        order = self.new_order()
        self.assertNotIn("error", order._try_apply_code(f" {self.coupon.code} "))

    def test_unknown(self):
        self.assertTrue(self.new_order()._try_apply_code("NOSUCH1")["not_found"])

    def test_no_code_at_all(self):
        """What the database cannot hold is unknown; payment codes go nowhere."""
        asked = []
        channel = type(self.env["coupon.channel"])
        with patch.object(channel, "_find_code", lambda *args: asked.append(args)):
            for code in ("A\0B", "\ud800", "134567890123456789"):
                self.assertIn("error", self.new_order()._try_apply_code(code))
        self.assertFalse(asked)

    def test_refused_at_once(self):
        now = fields.Datetime.now()
        old, void, held, used = self.new_coupons(4)
        old.sudo()._write({"wechat_valid_to": now - timedelta(days=2)})
        old.invalidate_recordset()
        void.sudo()._wechat_void("lost")
        self.reserve(str(uuid4()), held)
        self.pay(str(uuid4()), used)
        for coupon, words in (
            (old, "expired"),
            (void, "made invalid"),
            (held, "open order"),
            (used, "already used"),
        ):
            order = self.new_order()
            answer = order._try_apply_code(coupon.code)
            self.assertIn(words, answer["error"])
            self.assertFalse(order.sudo().wechat_coupon_ids)
        small = self.new_order(products=((self.book, 1),))
        answer = small._try_apply_code(self.coupon.code)
        self.assertIn("66.67 more", answer["error"])

    def test_not_for_sales_orders(self):
        shop = self.new_template(pos_config_ids=[(4, self.config.id)])._generate(1)
        answer = self.new_order()._try_apply_code(shop.code)
        self.assertIn("certain shops", answer["error"])
        for name in ("_in_payment", "_needs_wechat_payment"):
            channel = type(self.env["coupon.channel.local"])
            self.patch(channel, name, True)
            answer = self.new_order()._try_apply_code(self.coupon.code)
            self.assertIn("payment by WeChat", answer["error"])
            self.patch(channel, name, False)

    def test_somebody_elses(self):
        other = self.env["res.partner"].create({"name": "Other"})
        coupon = self.template._generate(1, other)
        answer = self.new_order()._try_apply_code(coupon.code)
        self.assertIn("another customer", answer["error"])

    def test_stacking(self):
        alone = self.new_template(stacking="exclusive", threshold_fen=0)._generate(1)
        order = self.new_order()
        self.apply(order, self.coupon)
        self.assertIn("cannot be", order._try_apply_code(alone.code)["error"])

    def test_confirmed_order(self):
        order = self.new_order()
        order.action_confirm()
        self.assertIn("quotation", order._try_apply_code(self.coupon.code)["error"])

    def test_another_companys(self):
        foreign = self.new_company("Foreign CN")
        order = self.new_order()
        template = self.new_template(company_id=foreign.id)
        coupon = template._generate(1)
        answer = order._try_apply_code(coupon.code)
        self.assertIn("another company", answer["error"])

    # === CONFIRMED === #

    def test_confirm(self):
        order = self.sold()
        self.assertEqual(order.amount_total, 90)
        redemption = self.redemptions(self.coupon)
        self.assertEqual(redemption.state, "redeemed")
        self.assertEqual(redemption.sale_order_id.id, order.id)
        self.assertEqual(redemption.order_name, order.name)
        self.assertEqual(
            (redemption.discount_fen, redemption.order_total_fen), (1000, 9000)
        )
        self.assertFalse(redemption.problems)
        self.assertEqual(self.coupon.wechat_state, "used")
        self.assertEqual(self.coupon.points, 0)
        self.assertEqual(self.coupon.history_ids.mapped("used"), [1])
        lines = redemption.line_ids
        self.assertEqual(sum(lines.mapped("discount_fen")), 1000)
        self.assertEqual(lines.product_id, self.tea | self.rice)
        self.assertEqual(
            redemption.with_user(self.manager).action_view_order()["res_id"], order.id
        )
        # The tills know it at once.
        self.assertEqual(
            self.refusal_codes(self.reserve(str(uuid4()), self.coupon)), ["used"]
        )

    def test_kinds(self):
        for vals, total in (
            ({"coupon_type": "percent", "percent_off": 30}, 70),
            (
                {"coupon_type": "percent", "percent_off": 30, "max_discount_fen": 500},
                95,
            ),
            ({"product_ids": [(4, self.rice.id)], "threshold_fen": 0}, 90),
            ({"coupon_type": "gift", "gift_product_id": self.book.id}, 100),
            (
                {
                    "coupon_type": "exchange",
                    "gift_product_id": self.tea.id,
                    "exchange_fen": 990,
                    "threshold_fen": 0,
                },
                49.9,
            ),
        ):
            with self.subTest(vals):
                coupon = self.new_template(**vals)._generate(1)
                order = self.sold(coupon)
                self.assertAlmostEqual(order.amount_total, total)
                redemption = self.redemptions(coupon)
                self.assertEqual(redemption.state, "redeemed")
                self.assertFalse(redemption.problems)
                wanted = (
                    3333
                    if coupon.program_id.reward_ids.reward_type == "product"
                    else (10000 - round(total * 100))
                )
                self.assertEqual(redemption.discount_fen, wanted)
                self.assertEqual(
                    sum(redemption.line_ids.mapped("discount_fen")), wanted
                )

    def test_confirmed_once(self):
        order = self.sold()
        order.sudo()._wechat_redeem_coupons()
        self.assertEqual(len(self.redemptions(self.coupon)), 1)
        self.assertEqual(len(self.coupon.history_ids), 1)
        with self.assertRaises(UserError):
            order.action_confirm()

    def test_two_quotations(self):
        """The one that is confirmed first has the coupon; the other one says why."""
        first, second = self.new_order(), self.new_order()
        self.apply(first, self.coupon)
        self.apply(second, self.coupon)
        first.action_confirm()
        with self.assertRaisesRegex(UserError, "already used"):
            second.action_confirm()
        self.assertEqual(second.state, "draft")
        self.assertEqual(len(self.redemptions(self.coupon)), 1)

    def test_used_at_the_till_meanwhile(self):
        order = self.new_order()
        self.apply(order, self.coupon)
        uuid = str(uuid4())
        self.reserve(uuid, self.coupon)
        with self.assertRaisesRegex(UserError, "open order"):
            order.action_confirm()
        self.pay(uuid, self.coupon)
        with self.assertRaisesRegex(UserError, "already used"):
            order.action_confirm()

    def test_paid_online(self):
        """A paid quotation is confirmed, come what may."""
        order = self.new_order()
        self.apply(order, self.coupon)
        self.pay_online(order, "done")
        self.expire(self.coupon)
        uuid = str(uuid4())
        self.reserve(uuid, self.coupon)
        self.pay(uuid, self.coupon)
        order.sudo().action_confirm()
        self.assertEqual(order.state, "sale")
        conflict = self.redemptions(self.coupon, "conflict")
        self.assertEqual(conflict.sale_order_id.id, order.id)
        self.assertTrue(conflict.needs_attention)

    def test_paid_online_and_a_mistake_of_ours(self):
        """A mistake in our own code stops no paid order; a person looks at it."""
        for method in ("_reserve", "_redeem"):
            order = self.new_order()
            coupon = self.new_coupons()
            self.apply(order, coupon)
            self.pay_online(order, "done")
            ledger = type(self.env["coupon.redemption"])
            broken = patch.object(ledger, method, side_effect=ValueError)
            with broken, mute_logger("odoo.addons.wechat_coupon.tools.paid"):
                order.sudo().action_confirm()
            self.assertEqual(order.state, "sale")
            state = {"_reserve": "redeemed", "_redeem": "conflict"}[method]
            redemption = self.redemptions(coupon, state)
            self.assertEqual(redemption.sale_order_id.id, order.id)
            self.assertEqual(redemption.needs_attention, method == "_redeem")

    def test_not_paid_and_a_mistake_of_ours(self):
        order = self.new_order()
        self.apply(order, self.coupon)
        ledger = type(self.env["coupon.redemption"])
        broken = patch.object(ledger, "_redeem", side_effect=ValueError)
        with broken, self.assertRaises(ValueError), self.env.cr.savepoint():
            order.action_confirm()
        self.assertEqual(order.state, "draft")

    def test_paid_before_it_was_cancelled(self):
        """Money of the first time does not get the discount a second time."""
        order = self.new_order()
        self.apply(order, self.coupon)
        self.pay_online(order, "done")
        order.sudo().action_confirm()
        order.sudo()._action_cancel()
        self.assertEqual(self.redemptions(self.coupon).state, "returned")
        order.sudo().action_draft()
        self.apply(order, self.coupon)
        uuid = str(uuid4())
        self.reserve(uuid, self.coupon)
        self.pay(uuid, self.coupon)
        with self.assertRaises(UserError):
            order.action_confirm()

    def test_a_cancelled_conflict_takes_no_coupon(self):
        order = self.new_order()
        self.apply(order, self.coupon)
        self.pay_online(order, "done")
        self.expire(self.coupon)
        uuid = str(uuid4())
        self.reserve(uuid, self.coupon)
        order.sudo().action_confirm()
        conflict = self.redemptions(self.coupon, "conflict")
        self.assertTrue(conflict)
        order.sudo()._action_cancel()
        self.till.wechat_coupon_release(uuid)
        self.env["coupon.redemption"]._retry_conflicts()
        self.assertEqual(conflict.state, "conflict")
        self.assertTrue(self.reserve(str(uuid4()), self.coupon)["ok"])

    def test_held_while_the_customer_pays(self):
        order = self.new_order()
        self.apply(order, self.coupon)
        self.pay_online(order, "draft")
        self.assertEqual(self.redemptions(self.coupon).state, "reserved")
        self.assertEqual(
            self.refusal_codes(self.reserve(str(uuid4()), self.coupon)),
            ["held_by_other_order"],
        )
        order.action_confirm()
        self.assertEqual(self.redemptions(self.coupon).mapped("state"), ["redeemed"])

    def test_nobody_pays_for_a_coupon_that_is_gone(self):
        late, other = self.new_order(), self.template._generate(1)
        self.apply(late, other)
        self.reserve(str(uuid4()), other)
        with self.assertRaisesRegex(ValidationError, "open order"):
            self.pay_online(late, "draft")

    def pay_online(self, order, state):
        provider = self.env["payment.provider"].search([], limit=1)
        methods = self.env["payment.method"].with_context(active_test=False)
        method = methods.search([], limit=1)
        transaction = self.env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": method.id,
                "reference": str(uuid4()),
                "amount": order.amount_total,
                "currency_id": order.currency_id.id,
                "partner_id": order.partner_id.id,
                "sale_order_ids": [Command.set(order.ids)],
            }
        )
        transaction.state = state
        return transaction

    def test_line_deleted(self):
        """What is taken off the quotation is free again."""
        order = self.new_order()
        self.apply(order, self.coupon)
        self.pay_online(order, "draft")
        order.order_line.filtered("is_reward_line").unlink()
        self.assertEqual(self.redemptions(self.coupon).state, "released")
        self.assertFalse(order.sudo().wechat_coupon_ids)
        self.assertTrue(self.reserve(str(uuid4()), self.coupon)["ok"])

    def test_order_deleted(self):
        order = self.new_order()
        self.apply(order, self.coupon)
        self.pay_online(order, "draft")
        order.sudo().transaction_ids = False
        order.sudo().unlink()
        self.assertEqual(self.redemptions(self.coupon).state, "released")

    def test_cart_shrinks(self):
        order = self.new_order()
        self.apply(order, self.coupon)
        order.order_line.filtered(lambda line: line.product_id == self.rice).unlink()
        with self.assertRaisesRegex(UserError, "40.00 more"):
            order.action_confirm()

    def test_changed_by_hand(self):
        """A salesperson who takes off more than the coupon gives is seen."""
        order = self.new_order()
        self.apply(order, self.coupon)
        order.action_confirm()
        line = order.order_line.filtered("is_reward_line")
        line.sudo().price_unit = -50
        use = order.sudo()._wechat_coupon_use(self.coupon)
        self.assertGreater(use["discount_fen"], use["allowed_fen"])

    def amend(self, order):
        """End the transaction as a request does."""
        self.env.flush_all()
        self.env.cr.precommit.run()
        self.env.invalidate_all()
        return self.redemptions(order.sudo().wechat_redemption_ids.coupon_id)

    def test_confirmed_order_is_changed(self):
        """The ledger says what the order and its invoices say, and who changed it."""
        order = self.sold()
        redemption = self.amend(order)
        self.assertEqual(redemption.discount_fen, 1000)
        self.assertFalse(redemption.log_ids)
        rewards = order.order_line.filtered("is_reward_line").sudo()
        rewards[0].price_unit = rewards[0].price_unit / 2
        self.amend(order)
        taken = -sum(rewards.mapped("price_total"))
        self.assertLess(taken, 10)
        self.assertEqual(redemption.discount_fen, round(taken * 100))
        self.assertEqual(redemption.discount_amount, taken)
        self.assertEqual(redemption.order_total_fen, round(order.amount_total * 100))
        self.assertEqual(
            sum(redemption.line_ids.mapped("discount_fen")), redemption.discount_fen
        )
        self.assertEqual(len(redemption.log_ids), 1)
        self.assertFalse(redemption.needs_attention)
        self.assertEqual(
            round(
                -sum(
                    self.invoice(order)
                    .line_ids.filtered(lambda line: line.sale_line_ids & rewards)
                    .mapped("price_total")
                ),
                2,
            ),
            taken,
        )

    def test_confirmed_order_takes_off_too_much(self):
        order = self.sold()
        order.order_line.filtered("is_reward_line").sudo().price_unit = -50
        redemption = self.amend(order)
        self.assertGreater(redemption.discount_fen, 1000)
        self.assertEqual(redemption.problems[0][0], "too_much_off")
        self.assertTrue(redemption.needs_attention)

    def test_goods_of_a_confirmed_order_change(self):
        """The split over the goods goes along, the amount only if Odoo's does."""
        order = self.sold()
        redemption = self.amend(order)
        before = redemption.line_ids.mapped("discount_fen")
        line = order.order_line.filtered(lambda line: line.product_id == self.rice)
        line.sudo().product_uom_qty = 3
        self.amend(order)
        self.assertEqual(redemption.discount_fen, 1000)
        self.assertEqual(sum(redemption.line_ids.mapped("discount_fen")), 1000)
        self.assertEqual(len(redemption.line_ids), len(before))
        self.assertIn(3, redemption.line_ids.mapped("quantity"))
        self.assertEqual(redemption.order_total_fen, round(order.amount_total * 100))

    def test_rewards_of_a_confirmed_order(self):
        """Odoo looks at the rewards again; the coupon's stays."""
        order = self.sold()
        order._update_programs_and_rewards()
        self.assertEqual(order.amount_total, 90)
        self.assertEqual(self.coupon.points, 0)
        self.assertEqual(self.redemptions(self.coupon).mapped("state"), ["redeemed"])

    def test_limits_are_the_same_everywhere(self):
        template = self.new_template(use_limit=2, threshold_fen=0)
        coupons = template._generate(3)
        self.sold(coupons[0])
        uuid = str(uuid4())
        self.assertTrue(
            self.reserve(uuid, coupons[1], partner_id=self.customer.id)["ok"]
        )
        self.pay(uuid, coupons[1], partner_id=self.customer.id)
        answer = self.new_order()._try_apply_code(coupons[2].code)
        self.assertIn("2", answer["error"])
        self.assertEqual(
            self.refusal_codes(
                self.reserve("u3", coupons[2], partner_id=self.customer.id)
            ),
            ["use_limit"],
        )

    # === CANCELLED === #

    def test_cancel(self):
        order = self.sold()
        order._action_cancel()
        redemption = self.redemptions(self.coupon)
        self.assertEqual(redemption.state, "returned")
        self.assertEqual(redemption.return_reason, "cancel")
        self.assertEqual(self.coupon.wechat_state, "usable")
        self.assertEqual(self.coupon.points, 1)
        self.assertEqual(sum(self.coupon.history_ids.mapped("issued")), 1)
        self.assertTrue(self.reserve(str(uuid4()), self.coupon)["ok"])

    def test_cancel_never(self):
        coupon = self.new_template(return_policy="never")._generate(1)
        self.sold(coupon)._action_cancel()
        self.assertEqual(self.redemptions(coupon).state, "redeemed")
        self.assertEqual(coupon.wechat_state, "used")

    def test_copy(self):
        """A copy is a new order, without the coupon."""
        order = self.sold()
        copy = order.copy()
        self.assertEqual(copy.amount_total, 100)
        self.assertFalse(copy.order_line.coupon_id)
        copy.action_confirm()
        self.assertEqual(self.redemptions(self.coupon).sale_order_id.id, order.id)

    def test_several_at_once(self):
        """Two quotations with one coupon, confirmed together: none is."""
        orders = self.new_order() | self.new_order()
        for order in orders:
            self.apply(order, self.coupon)
        with self.assertRaises(UserError), self.env.cr.savepoint():
            orders.action_confirm()
        self.assertEqual(orders.mapped("state"), ["draft", "draft"])
        self.assertFalse(self.redemptions(self.coupon, "redeemed"))

    def test_cancelled_quotation(self):
        order = self.new_order()
        self.apply(order, self.coupon)
        self.pay_online(order, "draft")
        order._action_cancel()
        self.assertEqual(self.redemptions(self.coupon).state, "released")

    def test_confirm_again(self):
        """A quotation again: the coupon is reserved again, or it is not there."""
        order = self.sold()
        for _round in range(2):
            order._action_cancel()
            order.action_draft()
            self.assertEqual(order.amount_total, 100)
            self.apply(order, self.coupon)
            order.action_confirm()
            self.assertEqual(order.amount_total, 90)
        self.assertEqual(
            self.redemptions(self.coupon).mapped("state"),
            ["returned", "returned", "redeemed"],
        )
        self.assertEqual(self.coupon.points, 0)
        order._action_cancel()
        order.action_draft()
        self.apply(order, self.coupon)
        uuid = str(uuid4())
        self.reserve(uuid, self.coupon)
        self.pay(uuid, self.coupon)
        with self.assertRaisesRegex(UserError, "already used"):
            order.action_confirm()

    def test_cancel_of_an_invoiced_order(self):
        """What is paid for is not given back before it is credited."""
        order = self.sold()
        invoice = self.invoice(order)
        order._action_cancel()
        self.assertEqual(self.redemptions(self.coupon).state, "redeemed")
        self.credit(invoice).action_post()
        self.assertEqual(self.redemptions(self.coupon).state, "returned")

    # === CREDITED === #

    def test_credit_note(self):
        order = self.sold()
        note = self.credit(self.invoice(order))
        self.assertEqual(self.redemptions(self.coupon).state, "redeemed")
        note.action_post()
        redemption = self.redemptions(self.coupon)
        self.assertEqual(redemption.state, "returned")
        self.assertEqual(redemption.return_note, note.name)
        self.assertEqual(redemption.given_back_fen, 1000)
        self.assertFalse(redemption.needs_attention)
        self.assertEqual(self.coupon.wechat_state, "usable")

    def test_credit_note_by_parts(self):
        order = self.sold()
        invoice = self.invoice(order)
        first = self.credit(invoice, {self.tea: 1})
        for line in first.invoice_line_ids.filtered("sale_line_ids.coupon_id"):
            if self.tax13 not in line.tax_ids:
                line.unlink()
        first.action_post()
        redemption = self.redemptions(self.coupon)
        self.assertEqual(redemption.state, "redeemed")
        self.assertEqual(redemption.given_back_fen, 600)
        self.assertFalse(redemption.needs_attention)
        second = self.credit(invoice, {self.rice: 1})
        for line in second.invoice_line_ids.filtered("sale_line_ids.coupon_id"):
            if self.tax9 not in line.tax_ids:
                line.unlink()
        second.action_post()
        self.assertEqual(redemption.state, "returned")
        self.assertEqual(redemption.given_back_fen, 1000)
        self.assertEqual(first.amount_total + second.amount_total, 90)

    def test_credit_note_over_too_much(self):
        order = self.sold()
        note = self.credit(self.invoice(order), {self.tea: 1})
        note.invoice_line_ids.filtered("sale_line_ids.coupon_id").unlink()
        note.action_post()
        self.assertEqual(note.state, "posted")
        redemption = self.redemptions(self.coupon)
        self.assertTrue(redemption.needs_attention)
        self.assertEqual(redemption.problems, [["over_refund", {"amount": "6.00"}]])

    def test_credit_note_posted_again(self):
        order = self.sold()
        note = self.credit(self.invoice(order))
        note.action_post()
        note.button_draft()
        note.action_post()
        redemption = self.redemptions(self.coupon)
        self.assertEqual(redemption.given_back_fen, 1000)
        self.assertEqual(len(redemption.refund_ids), 1)
        self.assertEqual(len(self.coupon.history_ids), 2)

    def test_credit_note_taken_back(self):
        """A coupon that went back with it is for a manager to decide about."""
        for cancel in (False, True):
            with self.subTest(cancel=cancel):
                coupon = self.template._generate(1)
                note = self.credit(self.invoice(self.sold(coupon)))
                note.action_post()
                redemption = self.redemptions(coupon)
                self.assertFalse(redemption.needs_attention)
                note.button_cancel() if cancel else note.button_draft()
                self.assertEqual(
                    redemption.problems, [["credit_withdrawn", {"document": note.name}]]
                )
                self.assertTrue(redemption.needs_attention)
                self.assertTrue(redemption.activity_ids)
                self.assertIn(note.name, redemption.reason)
                self.assertEqual(redemption.given_back_fen, 0)
                self.assertFalse(redemption.refund_ids)
                # Nothing is taken from the customer by itself.
                self.assertEqual(redemption.state, "returned")
                if cancel:
                    note.button_draft()
                note.action_post()
                self.assertFalse(redemption.problems)
                self.assertFalse(redemption.needs_attention)
                self.assertFalse(redemption.activity_ids)
                self.assertEqual(redemption.given_back_fen, 1000)
                self.assertEqual(len(coupon.history_ids), 2)
                self.assertEqual(coupon.points, 1)

    def test_credit_note_taken_back_of_a_coupon_that_stayed(self):
        """Only the amount changes: nobody has to look."""
        coupon = self.new_template(return_policy="never")._generate(1)
        note = self.credit(self.invoice(self.sold(coupon)))
        note.action_post()
        redemption = self.redemptions(coupon)
        self.assertEqual(redemption.given_back_fen, 1000)
        note.button_draft()
        self.assertEqual(redemption.given_back_fen, 0)
        self.assertFalse(redemption.needs_attention)

    def test_credit_note_changed_and_posted_again(self):
        """The discount left out the second time: the amount is that of now."""
        order = self.sold()
        note = self.credit(self.invoice(order))
        note.action_post()
        note.button_draft()
        note.invoice_line_ids.filtered("sale_line_ids.coupon_id").unlink()
        note.action_post()
        redemption = self.redemptions(self.coupon)
        self.assertEqual(redemption.given_back_fen, 0)
        self.assertEqual(len(redemption.refund_ids), 1)
        self.assertEqual(redemption.problems, [["over_refund", {"amount": "10.00"}]])
        self.assertTrue(redemption.needs_attention)
        self.assertEqual(len(self.coupon.history_ids), 2)

    def test_credit_note_completed_when_posted_again(self):
        """What was a part is all of it the second time: the coupon goes back."""
        order = self.sold()
        invoice = self.invoice(order)
        note = self.credit(invoice)
        tea = note.invoice_line_ids.filtered(lambda line: line.product_id == self.tea)
        rice = note.invoice_line_ids.filtered(lambda line: line.product_id == self.rice)
        rice.quantity = 0
        note.action_post()
        redemption = self.redemptions(self.coupon)
        self.assertEqual(redemption.state, "redeemed")
        note.button_draft()
        self.assertFalse(
            [one for one in redemption.problems or [] if one[0] == "credit_withdrawn"]
        )
        rice.quantity = tea.quantity
        note.action_post()
        self.assertEqual(redemption.state, "returned")
        self.assertEqual(len(redemption.refund_ids), 1)

    # === NOBODY GETS AROUND IT === #

    def test_orm(self):
        order = self.new_order()
        reward = self.template.program_id.reward_ids
        for call in (
            lambda: order.write({"applied_coupon_ids": [(4, self.coupon.id)]}),
            lambda: order.write({"wechat_coupon_ids": [(4, self.coupon.id)]}),
            lambda: self.new_order(wechat_coupon_ids=[(4, self.coupon.id)]),
            lambda: order._apply_program_reward(reward.sudo(), self.coupon),
            lambda: order.write(
                {
                    "order_line": [
                        (
                            0,
                            0,
                            {
                                "name": "Discount",
                                "product_id": self.tea.id,
                                "coupon_id": self.coupon.id,
                                "reward_id": reward.id,
                                "points_cost": 1,
                            },
                        )
                    ]
                }
            ),
            lambda: self.env["sale.order.coupon.points"].create(
                {"order_id": order.id, "coupon_id": self.coupon.id, "points": 1}
            ),
            lambda: order._try_apply_program(self.template.program_id.sudo()),
            lambda: self.coupon.with_user(self.salesman).write({"points": 9}),
        ):
            before = order.amount_total
            try:
                with self.env.cr.savepoint():
                    answer = call()
            except UserError as error:
                answer = {"error": str(error)}
            self.assertIn("error", answer)
            self.env.invalidate_all()
            self.assertEqual(order.amount_total, before)
        self.assertEqual(self.coupon.points, 1)
        self.assertEqual(self.template.coupon_count, 1)

    def test_the_key_of_the_books_changes_nothing(self):
        """Whoever sends it along only loses the change."""
        card = self.coupon.with_context(wechat_ledger_books=True)
        card.write({"points": 9})
        self.assertEqual(self.coupon.points, 1)
        with self.assertRaises(UserError):
            card.write({"points": 9, "wechat_state": "usable"})

    def test_whose_codes_salespeople_see(self):
        cards = self.env["loyalty.card"].with_user(self.salesman)
        domain = [("coupon_template_id", "=", self.template.id)]
        self.assertFalse(cards.search(domain))
        order = self.new_order()
        self.apply(order, self.coupon)
        self.assertEqual(cards.search(domain).ids, self.coupon.ids)
        other = self.new_user("coupon_sale2", "sales_team.group_sale_salesman")
        self.assertFalse(cards.with_user(other).search(domain))
        order.sudo().user_id = False
        self.assertEqual(cards.with_user(other).search(domain).ids, self.coupon.ids)

    def test_portal(self):
        """The website and the portal call it with sudo."""
        order = self.new_order()
        self.assertNotIn("error", order.sudo()._try_apply_code(self.coupon.code))

    def test_own_coupons_work_as_before(self):
        program = self.env["loyalty.program"].create(
            {
                "name": "Own",
                "program_type": "coupons",
                "company_id": self.company.id,
                "reward_ids": [(0, 0, {"discount": 5, "required_points": 1})],
            }
        )
        own = self.env["loyalty.card"].create({"program_id": program.id, "points": 1})
        order = self.new_order()
        self.assertNotIn("error", order._try_apply_code(own.code))
        order._apply_program_reward(program.reward_ids, own)
        order.action_confirm()
        self.assertEqual(own.points, 0)
        self.assertEqual(own.history_ids.mapped("used"), [1])
        order._action_cancel()
        self.assertEqual(own.points, 1)
        self.assertFalse(own.history_ids)
