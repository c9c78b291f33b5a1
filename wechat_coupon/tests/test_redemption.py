from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..tools.ledger import as_ledger
from .common import CouponCase


@tagged("post_install", "-at_install")
class TestReserve(CouponCase):
    def test_reserve(self):
        coupons = self.new_coupons(2)
        answer = self.reserve("u1", coupons)
        self.assertTrue(answer["ok"], answer)
        held = self.redemptions(coupons)
        self.assertEqual(set(answer["redemption_ids"]), set(held.ids))
        self.assertEqual(set(held.mapped("state")), {"reserved"})
        self.assertEqual(held.config_id, self.config)
        self.assertEqual(held.user_id, self.cashier)
        self.assertEqual(held.company_id, self.company)
        # The number of the write-off is there before anything is sent.
        self.assertEqual(len(set(held.mapped("request_no"))), 2)
        self.assertTrue(all(held.mapped("request_no")))
        self.assertEqual(set(held.mapped("remote_state")), {"none"})
        self.assertEqual(coupons[0].wechat_status, "reserved")
        self.assertEqual(coupons[0].points, 1)

    def test_time_to_live(self):
        self.company.wechat_coupon_ttl = 3
        coupon = self.new_coupons()
        answer = self.reserve("u1", coupon)
        expires_at = fields.Datetime.to_datetime(
            answer["expires_at"][:19].replace("T", " ")
        )
        left = expires_at - fields.Datetime.now()
        self.assertLess(abs(left - timedelta(minutes=3)), timedelta(seconds=20))

    def test_again_is_the_same(self):
        coupon = self.new_coupons()
        first = self.reserve("u1", coupon)
        number = self.redemptions(coupon).request_no
        second = self.reserve("u1", coupon)
        self.assertEqual(first["redemption_ids"], second["redemption_ids"])
        self.assertEqual(self.redemptions(coupon).request_no, number)

    def test_again_renews(self):
        coupon = self.new_coupons()
        self.reserve("u1", coupon)
        self.expire(coupon)
        self.assertTrue(self.reserve("u1", coupon)["ok"])
        self.assertGreater(self.redemptions(coupon).expires_at, fields.Datetime.now())
        self.assertEqual(len(self.redemptions(coupon)), 1)

    def test_a_changed_cart_releases(self):
        coupons = self.new_coupons(2)
        self.reserve("u1", coupons)
        self.assertTrue(self.reserve("u1", coupons[0])["ok"])
        self.assertEqual(self.redemptions(coupons[1]).state, "released")
        self.assertEqual(self.redemptions(coupons[0]).state, "reserved")
        self.assertTrue(self.reserve("u1", self.env["loyalty.card"])["ok"])
        self.assertEqual(self.redemptions(coupons[0]).state, "released")

    def test_another_order_is_refused(self):
        coupon = self.new_coupons()
        self.reserve("u1", coupon)
        self.assertEqual(
            self.refusal_codes(self.reserve("u2", coupon)), ["held_by_other_order"]
        )

    def test_all_or_nothing(self):
        coupons = self.new_coupons(3)
        self.reserve("u1", coupons[1])
        answer = self.reserve("u2", coupons)
        self.assertEqual(self.refusal_codes(answer), ["held_by_other_order"])
        self.assertEqual(answer["refusals"][0]["coupon_id"], coupons[1].id)
        self.assertFalse(self.redemptions(coupons[0] + coupons[2]))

    def test_a_refusal_keeps_what_the_order_had(self):
        coupons = self.new_coupons(2)
        self.reserve("u1", coupons[0])
        self.reserve("u2", coupons[1])
        self.assertFalse(self.reserve("u1", coupons)["ok"])
        self.assertEqual(self.redemptions(coupons[0]).state, "reserved")

    def test_time_over_frees(self):
        coupon = self.new_coupons()
        self.reserve("u1", coupon)
        self.expire(coupon)
        self.assertTrue(self.reserve("u2", coupon)["ok"])
        self.assertEqual(
            self.redemptions(coupon).mapped("state"), ["released", "reserved"]
        )
        # The first order is told, and nothing of the second one is lost.
        self.assertEqual(
            self.refusal_codes(self.reserve("u1", coupon)), ["held_by_other_order"]
        )

    def test_sweeper(self):
        coupons = self.new_coupons(2)
        self.reserve("u1", coupons)
        self.expire(coupons[0])
        with self.enter_registry_test_mode():
            self.env.ref("wechat_coupon.ir_cron_sweep_expired").method_direct_trigger()
        self.assertEqual(self.redemptions(coupons[0]).state, "released")
        self.assertEqual(self.redemptions(coupons[0]).release_reason, "expired")
        self.assertEqual(self.redemptions(coupons[1]).state, "reserved")

    def test_release(self):
        coupon = self.new_coupons()
        self.reserve("u1", coupon)
        self.assertEqual(self.till.wechat_coupon_release("u2")["released"], 0)
        self.assertEqual(self.till.wechat_coupon_release("u1")["released"], 1)
        self.assertEqual(self.till.wechat_coupon_release("u1")["released"], 0)
        self.assertTrue(self.reserve("u2", coupon)["ok"])

    def test_release_by_manager(self):
        coupon = self.new_coupons()
        self.reserve("u1", coupon)
        redemption = self.redemptions(coupon).with_user(self.manager)
        action = redemption.action_release()
        self.env["coupon.reason.wizard"].with_user(self.manager).with_context(
            **action["context"]
        ).create({"reason": "Till is broken"}).action_confirm()
        self.assertEqual(redemption.state, "released")
        self.assertEqual(redemption.release_reason, "manager")
        self.assertEqual(redemption.reason, "Till is broken")
        with self.assertRaises(UserError):
            redemption._release_by_manager("again")

    def test_status(self):
        coupons = self.new_coupons(2)
        self.reserve("u1", coupons)
        self.expire(coupons[0])
        rows = self.till.wechat_coupon_status("u1")["redemptions"]
        self.assertEqual(
            {row["coupon_id"]: row["state"] for row in rows},
            {coupons[0].id: "released", coupons[1].id: "reserved"},
        )
        self.assertEqual(self.till.wechat_coupon_status("u2")["redemptions"], [])


@tagged("post_install", "-at_install")
class TestRedeem(CouponCase):
    def test_redeem(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        number = self.redemptions(coupon).request_no
        order = self.pay(uuid, coupon)
        self.assertEqual(order.state, "paid")
        redemption = self.redemptions(coupon)
        self.assertEqual(redemption.state, "redeemed")
        self.assertEqual(redemption.request_no, number)
        self.assertEqual(redemption.pos_order_id, order)
        self.assertEqual(redemption.order_name, order.pos_reference)
        self.assertEqual(redemption.discount_fen, 1000)
        self.assertEqual(redemption.discount_amount, 10)
        self.assertEqual(redemption.order_total_fen, 9000)
        self.assertEqual(redemption.session_id, order.session_id)
        self.assertTrue(redemption.redeemed_at)
        self.assertFalse(redemption.needs_attention)
        # Nobody has to be told about our own coupons.
        self.assertEqual(redemption.remote_state, "none")
        self.assertEqual(coupon.points, 0)
        self.assertEqual(coupon.wechat_state, "used")
        self.assertEqual(coupon.history_ids.used, 1)
        self.assertEqual(coupon.history_ids.order_id, order.id)

    def test_sync_again(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        order = self.pay(uuid, coupon)
        self.pay(uuid, coupon)
        order._wechat_redeem_coupons()
        self.assertEqual(len(self.redemptions(coupon)), 1)
        self.assertEqual(len(coupon.history_ids), 1)
        self.assertEqual(len(self.redemptions(coupon).line_ids), 2)

    def test_points_are_changed_once(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        till_orders = self.env["pos.order"].with_user(self.cashier)
        checked = till_orders.validate_coupon_programs({str(coupon.id): -1}, [])
        self.assertTrue(checked["successful"], checked)
        order = self.pay(uuid, coupon)
        data = {
            str(coupon.id): {
                "points": -1,
                "program_id": coupon.program_id.id,
                "coupon_id": coupon.id,
                "line_codes": [str(coupon.id)],
            },
            # What a till with old code would have made of a guarded program.
            "-1": {"points": 1, "program_id": coupon.program_id.id},
        }
        for _twice in range(2):
            answer = order.with_user(self.cashier).confirm_coupon_programs(dict(data))
            self.assertEqual(answer["new_coupon_info"], [])
        self.assertEqual(coupon.points, 0)
        self.assertEqual(len(coupon.history_ids), 1)
        self.assertEqual(self.template.coupon_count, 1)

    def test_an_order_with_other_coupons_too(self):
        program = self.env["loyalty.program"].create(
            {"name": "Own", "program_type": "coupons", "company_id": self.company.id}
        )
        own = self.env["loyalty.card"].create({"program_id": program.id, "points": 5})
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        order = self.pay(uuid, coupon)
        order.with_user(self.cashier).confirm_coupon_programs(
            {
                str(own.id): {
                    "points": -1,
                    "program_id": program.id,
                    "coupon_id": own.id,
                },
                str(coupon.id): {
                    "points": -1,
                    "program_id": coupon.program_id.id,
                    "coupon_id": coupon.id,
                },
            }
        )
        self.assertEqual(own.points, 4)
        self.assertEqual(coupon.points, 0)

    def test_without_reservation(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.pay(uuid, coupon)
        # The customer has the discount; how the till came by it, somebody must ask.
        self.check_attention(self.redemptions(coupon), "redeemed")
        self.assertIn("without reserving", self.redemptions(coupon).reason)

    def test_after_the_time_was_over(self):
        for swept in (False, True):
            with self.subTest(swept=swept):
                coupon = self.new_coupons()
                uuid = str(uuid4())
                self.reserve(uuid, coupon)
                self.expire(coupon)
                if swept:
                    self.env["coupon.redemption"]._release(
                        self.order_ref(uuid), coupon, "expired"
                    )
                self.pay(uuid, coupon)
                redemption = self.redemptions(coupon)[-1]
                self.assertEqual(redemption.state, "redeemed")
                self.assertFalse(redemption.needs_attention)

    def test_conflict(self):
        coupon = self.new_coupons()
        self.reserve("other", coupon)
        uuid = str(uuid4())
        order = self.pay(uuid, coupon)
        self.assertEqual(order.state, "paid")
        conflict = self.redemptions(coupon, "conflict")
        self.assertEqual(conflict.order_uuid, uuid)
        self.assertEqual(conflict.pos_order_id, order)
        self.assertEqual(conflict.discount_fen, 1000)
        self.assertTrue(conflict.needs_attention)
        self.assertIn(self.config.name, conflict.reason)
        # Nobody can read the number of an order.
        self.assertNotIn("other", conflict.reason)
        self.assertTrue(conflict.activity_ids)
        self.assertEqual(self.redemptions(coupon, "reserved").order_uuid, "other")
        # Once more changes nothing.
        order._wechat_redeem_coupons()
        self.assertEqual(len(self.redemptions(coupon, "conflict")), 1)

    def test_conflict_is_retried_when_free(self):
        coupon = self.new_coupons()
        self.reserve("other", coupon)
        self.pay(str(uuid4()), coupon)
        conflict = self.redemptions(coupon, "conflict")
        conflict.with_user(self.manager).action_retry()
        self.assertEqual(conflict.state, "conflict")
        self.env["coupon.redemption"]._release(self.order_ref("other"))
        conflict.with_user(self.manager).action_retry()
        self.assertEqual(conflict.state, "redeemed")
        self.assertFalse(conflict.needs_attention)
        self.assertEqual(coupon.points, 0)

    def test_conflict_of_returned_goods_is_not_retried(self):
        coupon = self.new_coupons()
        self.reserve("other", coupon)
        order = self.pay(str(uuid4()), coupon)
        conflict = self.redemptions(coupon, "conflict")
        self.refund(order)
        self.assertIn("given back", conflict.reason)
        self.env["coupon.redemption"]._release(self.order_ref("other"))
        self.env["coupon.redemption"]._retry_conflicts()
        self.assertEqual(conflict.state, "conflict")
        self.assertTrue(conflict.needs_attention)
        # A person may still decide that the coupon is gone.
        conflict.with_user(self.manager).action_retry()
        self.assertEqual(conflict.state, "redeemed")

    def refund(self, order):
        """Give everything back, as the till does: the lines of a new order."""
        data = self.order_data(str(uuid4()))
        data["lines"] = [
            Command.create(
                {
                    "uuid": str(uuid4()),
                    "product_id": line.product_id.id,
                    "qty": -line.qty,
                    "price_unit": line.price_unit,
                    "price_subtotal": -line.price_subtotal,
                    "price_subtotal_incl": -line.price_subtotal_incl,
                    "tax_ids": [Command.set(line.tax_ids.ids)],
                    "refunded_orderline_id": line.id,
                    "is_reward_line": line.is_reward_line,
                    "reward_id": line.reward_id.id,
                    "coupon_id": line.coupon_id.id,
                }
            )
            for line in order.lines
        ]
        total = -order.amount_total
        data.update(amount_total=total, amount_paid=total, amount_tax=-order.amount_tax)
        data["payment_ids"][0][2]["amount"] = total
        self.env["pos.order"].with_user(self.cashier).sync_from_ui([data])
        return self.env["pos.order"].search([("uuid", "=", data["uuid"])])

    def test_refund_gives_the_coupon_back(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        order = self.pay(uuid, coupon)
        self.assertFalse(self.redemptions(coupon).needs_attention)
        self.assertEqual(self.refund(order).state, "paid")
        self.assertEqual(self.redemptions(coupon).state, "returned")
        self.assertEqual(coupon.wechat_state, "usable")

    def test_a_line_that_contradicts_itself_uses_the_coupon(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        data = self.order_data(uuid, coupon)
        data["lines"][-1][2]["price_subtotal_incl"] = 0.0
        self.env["pos.order"].with_user(self.cashier).sync_from_ui([data])
        self.assertEqual(self.redemptions(coupon).state, "redeemed")

    def test_conflict_is_settled(self):
        coupon = self.new_coupons()
        self.reserve("other", coupon)
        self.pay("other", coupon)
        self.pay(str(uuid4()), coupon)
        conflict = self.redemptions(coupon, "conflict")
        action = conflict.with_user(self.manager).action_settle()
        self.env["coupon.reason.wizard"].with_user(self.manager).with_context(
            **action["context"]
        ).create({"reason": "We bear it"}).action_confirm()
        self.assertFalse(conflict.needs_attention)
        self.assertEqual(conflict.state, "conflict")
        self.assertEqual(conflict.settled_by_id, self.manager)
        self.assertEqual(conflict.settle_reason, "We bear it")

    @mute_logger(
        "odoo.addons.wechat_coupon.tools.paid",
    )
    def test_a_mistake_of_ours_does_not_stop_the_order(self):
        coupon = self.new_coupons()

        def broken(*_args):
            raise ValueError("broken")

        self.patch(type(self.env["coupon.redemption.line"]), "_add", broken)
        order = self.pay(str(uuid4()), coupon)
        self.assertEqual(order.state, "paid")
        self.assertTrue(self.redemptions(coupon, "conflict").needs_attention)

    def test_draft_orders_redeem_nothing(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        data = self.order_data(uuid, coupon, state="draft", payment_ids=[])
        data["amount_paid"] = 0
        self.env["pos.order"].with_user(self.cashier).sync_from_ui([data])
        self.assertFalse(self.redemptions(coupon))

    def test_refund_does_not_redeem(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        order = self.pay(uuid, coupon)
        refund = order._refund()
        refund.lines.filtered("is_reward_line").coupon_id = coupon
        self.assertEqual(refund._wechat_coupon_uses(), {})

    def test_lines_follow_the_taxes(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        data = self.order_data(uuid, coupon)
        reward = data["lines"].pop()
        # Odoo's engine makes one discount line for each set of taxes.
        for taxes, amount in ((self.tax13, -6.0), (self.tax9, -4.0)):
            values = dict(reward[2], uuid=str(uuid4()))
            computed = taxes.compute_all(amount)
            values.update(
                price_unit=amount,
                price_subtotal=computed["total_excluded"],
                price_subtotal_incl=computed["total_included"],
                tax_ids=[(6, 0, taxes.ids)],
            )
            data["lines"].append((0, 0, values))
        self.env["pos.order"].with_user(self.cashier).sync_from_ui([data])
        lines = self.redemptions(coupon).line_ids
        found = {line.product_id: line for line in lines}
        self.assertEqual(found[self.tea].discount_fen, 600)
        self.assertEqual(found[self.rice].discount_fen, 400)
        self.assertEqual(found[self.tea].tax_label, self.tax13.name)
        self.assertEqual(found[self.tea].untaxed_fen, 531)
        self.assertEqual(found[self.tea].line_fen, 6000)
        self.assertEqual(sum(lines.mapped("discount_fen")), 1000)
        self.assertEqual(found[self.rice].redeemed_at, lines.redemption_id.redeemed_at)

    def test_lines_add_up_to_the_fen(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        products = [self.book] * 7
        self.pay(uuid, coupon, products=products)
        lines = self.redemptions(coupon).line_ids
        self.assertEqual(len(lines), 7)
        self.assertEqual(sum(lines.mapped("discount_fen")), 1000)
        self.assertEqual(
            sorted(lines.mapped("discount_fen")), [142, 143, 143, 143, 143, 143, 143]
        )

    def test_two_coupons_on_one_order(self):
        other = self.new_template(amount_fen=500, threshold_fen=0)
        coupons = self.new_coupons() + self.new_coupons(template=other)
        uuid = str(uuid4())
        self.reserve(uuid, coupons)
        self.pay(uuid, coupons)
        self.assertEqual(set(self.redemptions(coupons).mapped("state")), {"redeemed"})
        self.assertEqual(sum(coupons.mapped("points")), 0)

    def test_an_order_of_a_backend_payment(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        data = self.order_data(uuid, coupon, state="draft", payment_ids=[])
        data["amount_paid"] = 0
        self.env["pos.order"].sync_from_ui([data])
        order = self.env["pos.order"].search([("uuid", "=", uuid)])
        context = {"active_ids": order.ids, "active_id": order.id}
        wizard = self.env["pos.make.payment"].with_context(**context)
        wizard.create(
            {"payment_method_id": self.config.payment_method_ids[:1].id}
        ).check()
        self.assertEqual(order.state, "paid")
        self.assertEqual(self.redemptions(coupon).state, "redeemed")

    # === WHAT A PAID ORDER COULD NOT HAVE === #

    def check_attention(self, redemption, state):
        self.assertEqual(redemption.state, state)
        self.assertTrue(redemption.needs_attention)
        self.assertTrue(redemption.reason)
        self.assertTrue(redemption.activity_ids)

    def test_worthless_coupons_conflict(self):
        for state in ("void", "gifted", "deleted"):
            with self.subTest(state=state):
                coupon = self.new_coupons()
                coupon._wechat_set_state(state)
                order = self.pay(str(uuid4()), coupon)
                self.assertEqual(order.state, "paid")
                self.check_attention(self.redemptions(coupon), "conflict")
                self.assertEqual(coupon.wechat_state, state)
                # The sweeper leaves it to a person.
                self.env["coupon.redemption"]._retry_conflicts()
                self.assertEqual(self.redemptions(coupon).state, "conflict")

    def test_against_its_terms(self):
        expired = self.new_coupons()
        as_ledger(expired).wechat_valid_to = fields.Datetime.now() - timedelta(days=2)
        self.pay(str(uuid4()), expired)
        self.check_attention(self.redemptions(expired), "redeemed")
        large = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, large)
        self.pay(uuid, large, discount=-10.02)
        self.check_attention(self.redemptions(large), "redeemed")
        self.assertIn("10.02", self.redemptions(large).reason)

    def test_terms_count_when_the_order_is_paid(self):
        """The till may reserve with one cart and pay with another."""
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.assertTrue(self.reserve(uuid, coupon)["ok"])
        self.pay(uuid, coupon, products=[self.book])
        redemption = self.redemptions(coupon)
        self.check_attention(redemption, "redeemed")
        self.assertIn("¥66.67", redemption.reason)
        other = self.new_config("Shop 2")
        template = self.new_template(pos_config_ids=[Command.set(other.ids)])
        coupon = template._generate(1)
        uuid = str(uuid4())
        till = other.with_user(self.cashier)
        self.assertTrue(self.reserve(uuid, coupon, till=till)["ok"])
        self.pay(uuid, coupon)
        self.check_attention(self.redemptions(coupon), "redeemed")
        self.assertIn("this shop", self.redemptions(coupon).reason)

    def test_words_of_a_manager_decide_nothing(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        self.redemptions(coupon).with_user(self.manager)._release_by_manager("expired")
        as_ledger(coupon).wechat_valid_to = fields.Datetime.now() - timedelta(days=2)
        self.pay(uuid, coupon)
        self.check_attention(self.redemptions(coupon, "redeemed"), "redeemed")

    def test_reasons_are_in_the_readers_language(self):
        self.env["res.lang"]._activate_lang("zh_CN")
        coupon = self.new_coupons()
        self.pay(str(uuid4()), coupon)
        redemption = self.redemptions(coupon)
        self.assertIn("without reserving", redemption.reason)
        chinese = redemption.with_context(lang="zh_CN").reason
        self.assertRegex(chinese, "[\u4e00-\u9fff]")

    def test_doubts_add_up(self):
        coupon = self.new_coupons()
        order = self.pay(str(uuid4()), coupon, discount=-50.0)
        redemption = self.redemptions(coupon)
        before = redemption.reason
        redemption._goods_returned()
        redemption._goods_returned()
        self.assertTrue(redemption.reason.startswith(before))
        self.assertEqual(
            [code for code, _values in redemption.problems],
            ["not_reserved", "too_much_off", "goods_returned"],
        )
        self.assertEqual(order.state, "paid")

    def test_managers_may_write_about_it(self):
        coupon = self.new_coupons()
        self.pay(str(uuid4()), coupon)
        redemption = self.redemptions(coupon).with_user(self.manager)
        redemption.message_post(body="Asked the cashier")
        self.assertIn("Asked the cashier", redemption.message_ids[0].body)

    def test_branch_takes_coupons_of_the_company_above(self):
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        coupon = self.new_coupons()
        order = replace(self.order_ref(str(uuid4())), company=branch)
        order = replace(order, config=self.env["pos.config"])
        ledger = self.env["coupon.redemption"]
        held, refusals = ledger._reserve(order, coupon, None)
        self.assertFalse(refusals)
        self.assertEqual(held.company_id, branch)
        own = self.new_coupons()
        as_ledger(own).company_id = branch
        _held, refusals = ledger._reserve(self.order_ref(str(uuid4())), own, None)
        self.assertEqual([code for _c, code, _v in refusals], ["other_company"])

    def test_renewed_after_its_last_day(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        as_ledger(coupon).wechat_valid_to = fields.Datetime.now() - timedelta(minutes=1)
        self.assertTrue(self.reserve(uuid, coupon)["ok"])
        self.pay(uuid, coupon)
        self.assertEqual(self.redemptions(coupon).state, "redeemed")
        self.assertFalse(self.redemptions(coupon).needs_attention)

    def test_another_company(self):
        company = self.new_company("Other Shop CN")
        template = self.new_template()
        coupon = self.new_coupons(template=template)
        # As if another company had issued it.
        as_ledger(coupon).company_id = company
        order = self.pay(str(uuid4()), coupon)
        self.assertEqual(order.state, "paid")
        conflict = self.redemptions(coupon)
        self.check_attention(conflict, "conflict")
        self.assertEqual(conflict.company_id, self.company)
        self.assertEqual(coupon.wechat_state, "usable")

    def test_huge_amounts(self):
        coupon = self.new_coupons()
        self.tea.lst_price = 30_000_000
        order = self.pay(str(uuid4()), coupon)
        self.assertEqual(order.state, "paid")
        self.assertEqual(self.redemptions(coupon).state, "redeemed")
        self.assertGreater(self.redemptions(coupon).order_total_fen, 2**31)

    @mute_logger("odoo.addons.wechat_coupon.tools.paid")
    def test_broken_amounts(self):
        def broken(*_args):
            raise ValueError("broken")

        self.patch(type(self.env["pos.order"]), "_wechat_coupon_uses", broken)
        coupon = self.new_coupons()
        order = self.pay(str(uuid4()), coupon)
        self.assertEqual(order.state, "paid")
        self.check_attention(self.redemptions(coupon), "conflict")

    def test_any_line_that_takes_off_is_a_use(self):
        goods = self.pay(str(uuid4())).lines[0]
        for vals in ({"is_reward_line": False}, {"refunded_orderline_id": goods.id}):
            with self.subTest(vals=vals):
                coupon = self.new_coupons()
                data = self.order_data(str(uuid4()), coupon)
                data["lines"][-1][2].update(vals)
                self.env["pos.order"].with_user(self.cashier).sync_from_ui([data])
                self.assertEqual(self.redemptions(coupon).state, "redeemed")

    def test_goods_given_back(self):
        coupon = self.new_coupons()
        uuid = str(uuid4())
        self.reserve(uuid, coupon)
        order = self.pay(uuid, coupon)
        redemption = self.redemptions(coupon)
        self.assertFalse(redemption.needs_attention)
        order._refund()._wechat_mark_refunds()
        self.assertEqual(redemption.state, "returned")

    def test_another_till_cannot_release(self):
        coupon = self.new_coupons()
        self.reserve("u1", coupon)
        other = self.new_config("Shop 2").with_user(self.cashier)
        self.assertEqual(other.wechat_coupon_release("u1")["released"], 0)
        self.assertEqual(
            self.refusal_codes(self.reserve("u1", coupon, till=other)),
            ["held_by_other_order"],
        )
        self.config.trusted_config_ids = other.sudo()
        other.sudo().trusted_config_ids = self.config
        self.assertEqual(other.wechat_coupon_release("u1")["released"], 1)

    def test_history_is_the_ledgers(self):
        coupon = self.new_coupons()
        self.pay(str(uuid4()), coupon)
        values = {"card_id": coupon.id, "description": "x", "issued": 5}
        with self.assertRaises(UserError):
            self.env["loyalty.history"].create(values)
        with self.assertRaises(UserError):
            coupon.history_ids.used = 0
        with self.assertRaises(UserError):
            coupon.write({"history_ids": [(5, 0, 0)]})

    def test_sweeper_settles_what_became_free(self):
        coupons = self.new_coupons(2)
        self.reserve("other", coupons)
        for coupon in coupons:
            self.pay(str(uuid4()), coupon)
        self.expire(coupons)
        with self.enter_registry_test_mode():
            self.env.ref("wechat_coupon.ir_cron_sweep_expired").method_direct_trigger()
        conflicts = self.redemptions(coupons).filtered("pos_order_id")
        self.assertEqual(conflicts.mapped("state"), ["redeemed", "redeemed"])
        self.assertFalse(any(conflicts.mapped("needs_attention")))
        self.assertEqual(set(coupons.mapped("wechat_state")), {"used"})
        self.assertEqual(len(coupons.history_ids), 2)
        self.assertEqual(len(conflicts.line_ids), 4)
