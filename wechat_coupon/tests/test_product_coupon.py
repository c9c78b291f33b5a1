"""Product coupons (商品券): what only they have, beside the kit of all channels."""

from uuid import uuid4

from psycopg2.errors import UniqueViolation

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.wechat_base.tests.common import make_keys
from odoo.addons.wechat_base.tools.exceptions import WechatError

from .channel_kit import BRAND, MCHID, ProductKit

CONFIRM = "/confirm$"


class ProductCase(ProductKit):
    # The kit's own cases run in test_channel_kit.
    allow_inherited_tests_method = False
    door = "brand"

    def confirms(self, coupon):
        return self.env["coupon.task"].search(
            [("kind", "=", "confirm"), ("coupon_id", "=", coupon.id)]
        )

    def last_body(self, end):
        """What was sent with the last request for such a path."""
        paths = [one["path"] for one in self.sandbox.call("GET", "log")]
        path = [one for one in paths if one.endswith(end)][-1]
        return self.sandbox.last_body(path)

    def remote_state(self, coupon):
        return self.at_wechat(coupon.code)["coupon_state"]


@tagged("post_install", "-at_install", "wechat_channels")
class TestProductReceipt(ProductCase):
    """From the claim to a coupon that can be used."""

    def test_usable_only_when_confirmed(self):
        shown = self.claim(self.offer)[0]
        self.sent(self.offer, shown)
        coupon = self.card(shown["coupon_code"])
        self.assertEqual((coupon.wechat_state, coupon.points), ("confirming", 0))
        answer = self.reserve(str(uuid4()), coupon)
        self.assertEqual(self.refusal_codes(answer), ["being_confirmed"])
        self.work_off(self.offer)
        self.assertEqual((coupon.wechat_state, coupon.points), ("usable", 1))
        self.assertEqual(self.remote_state(coupon), "EFFECTIVE")
        self.assertTrue(self.reserve(str(uuid4()), coupon)["ok"])

    def test_reported_twice(self):
        """However often it is told: one coupon, one confirmation, one number."""
        shown = self.claim(self.offer)[0]
        for _time in range(3):
            self.sent(self.offer, shown)
        self.work_off(self.offer)
        self.sent(self.offer, shown)
        coupon = self.card(shown["coupon_code"])
        task = self.confirms(coupon)
        self.assertEqual(len(task), 1)
        self.assertEqual((task.remote_state, task.remote_attempts), ("done", 1))
        self.assertEqual(coupon.wechat_state, "usable")

    def test_one_confirmation_for_ever(self):
        """The database itself refuses a second number for the same coupon."""
        coupon = self.card(self.hand_out(self.offer))
        task = self.confirms(coupon)
        with mute_logger("odoo.sql_db"), self.assertRaises(UniqueViolation):
            task.copy({"request_no": False})
            self.env.flush_all()

    def test_both_names_of_the_event(self):
        for prefix in ("product_coupon", "product_coupon_sp"):
            shown = self.claim(self.offer)[0]
            payload = self.send_payload(self.offer, shown)
            self.notice(f"{prefix}.send", payload)
            self.assertEqual(self.card(shown["coupon_code"]).wechat_state, "confirming")

    def test_confirmation_without_an_answer(self):
        for name, fault in self.faults.items():
            with self.subTest(name):
                self.fault(CONFIRM, times=self.sends, **fault)
                coupon = self.card(self.hand_out(self.offer))
                task = self.confirms(coupon)
                self.assertEqual(task.remote_state, "done", task.remote_error)
                self.assertEqual(coupon.wechat_state, "usable")
                self.assertEqual(self.remote_state(coupon), "EFFECTIVE")
                number = self.at_wechat(coupon.code)["confirm_request_no"]
                self.assertEqual(number, task.request_no)
                self.sandbox.call("DELETE", "faults")

    def test_confirmed_by_somebody_else(self):
        """Another number than ours has confirmed it: the coupon is good."""
        shown = self.claim(self.offer)[0]
        self.sent(self.offer, shown)
        coupon = self.card(shown["coupon_code"])
        self.model._do(coupon, "confirm", "BY-OTHERS-1")
        self.work_off(self.offer)
        self.assertEqual(self.confirms(coupon).remote_state, "done")
        self.assertEqual(coupon.wechat_state, "usable")

    def test_deleted_before_it_was_confirmed(self):
        shown = self.claim(self.offer)[0]
        self.sent(self.offer, shown)
        self.sandbox.post(
            f"phone/{self.openid}/product/delete", coupon_code=shown["coupon_code"]
        )
        self.work_off(self.offer)
        coupon = self.card(shown["coupon_code"])
        self.assertEqual(self.confirms(coupon).remote_state, "refused")
        self.assertEqual(coupon.wechat_state, "deleted")

    def test_deleted_by_the_customer(self):
        """Nobody is told of that: WeChat says it when the till asks."""
        coupon = self.card(self.hand_out(self.offer))
        self.sandbox.post(
            f"phone/{self.openid}/product/delete", coupon_code=coupon.code
        )
        answer = self.reserve(str(uuid4()), coupon)
        self.assertEqual(self.refusal_codes(answer), ["deleted"])

    def test_receipt_never_told(self):
        """The callback is lost for good: comparing finds the coupon."""
        self.env["wechat.identity"]._find_or_create(self.account, self.openid)
        code = self.claim(self.offer)[0]["coupon_code"]
        self.assertFalse(self.card(code))
        self.offer.with_user(self.manager).action_refresh()
        self.work_off(self.offer)
        coupon = self.card(code)
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertEqual(coupon.wechat_openid, self.openid)

    def test_validity_is_what_wechat_says(self):
        shown = self.claim(self.offer)[0]
        self.sent(self.offer, shown, valid_end_time="2031-05-06T23:59:59+08:00")
        coupon = self.card(shown["coupon_code"])
        self.assertEqual(str(coupon.wechat_valid_to), "2031-05-06 15:59:59")

    def test_receipt_told_while_publishing(self):
        """The callback overtakes WeChat's answer: it is tried again later."""
        shown = self.claim(self.offer)[0]
        payload = self.send_payload(self.offer, shown)
        template = self.make_offer()
        template.with_user(self.manager).action_publish()
        self.tasks(template)._operation_settle({"result": {}})
        self.assertEqual(
            self.tasks(template).filtered(lambda t: t.kind == "publish").remote_state,
            "pending",
        )
        with self.assertRaisesRegex(UserError, "being published"):
            self.event_of("send", {**payload, "stock_id": "NOT-YET-KNOWN"})

    def test_of_nobody(self):
        """A stock that is not ours, or no coupon at all: left alone."""
        shown = self.claim(self.offer)[0]
        payload = self.send_payload(self.offer, shown)
        for change in ({"stock_id": "1"}, {"coupon_code": 5}, {"coupon_code": ""}):
            event = self.event_of("send", {**payload, **change})
            self.assertEqual(event.state, "ignored")

    def test_sent_by_us(self):
        code = self.model._send(self.offer, self.openid, "SEND-0001")
        self.assertEqual(self.model._send(self.offer, self.openid, "SEND-0001"), code)
        token = self.model._claim_token(self.offer, self.openid, "SEND-0002")
        shown = self.claim(self.offer, token=token)[0]
        self.assertEqual(shown["send_request_no"], "SEND-0002")

    def test_codes_of_ours(self):
        template = self.make_offer(code_mode="upload")
        self.publish(template)
        codes = template._generate(3)
        self.assertEqual(codes.mapped("wechat_state"), ["waiting"] * 3)
        self.work_off(template)
        deposit = self.tasks(template).filtered(lambda task: task.kind == "deposit")
        self.assertEqual(deposit.remote_state, "done", deposit.remote_error)
        found = self.card(self.hand_out(template))
        self.assertIn(found, codes)
        self.assertEqual(found.wechat_state, "usable")


@tagged("post_install", "-at_install", "wechat_channels")
class TestProductUse(ProductCase):
    """A coupon is used together with a WeChat payment, or not at all."""

    def coupon(self):
        return self.card(self.hand_out(self.offer))

    def test_the_payment_is_named(self):
        coupon = self.coupon()
        redemption = self.sell(coupon)
        self.write_off(redemption)
        body = self.last_body("/use")
        payment = self.transaction(redemption.order_uuid)
        self.assertTrue(payment.remote_no)
        self.assertEqual(
            body["associated_order_info"], {"transaction_id": payment.remote_no}
        )
        self.assertEqual(body["saved_amount"], 1000)
        self.assertEqual(body["out_request_no"], redemption.request_no)

    def test_without_payment(self):
        """Paid in cash after all: the order stands, a person has to look."""
        coupon, uuid = self.coupon(), str(uuid4())
        self.assertTrue(self.reserve(uuid, coupon)["ok"])
        self.pay(uuid, coupon)
        redemption = self.redemptions(coupon, "redeemed")
        self.write_off(redemption)
        self.assertEqual(redemption.remote_state, "refused")
        self.assertTrue(redemption.needs_attention)
        self.assertIn("not paid with WeChat", redemption.remote_error)
        self.assertEqual(self.remote_uses(coupon.code), 0)

    def test_payment_that_is_not_known_yet(self):
        """Forced by the cashier: the use waits for what WeChat says."""
        coupon, uuid = self.coupon(), str(uuid4())
        self.assertTrue(self.reserve(uuid, coupon)["ok"])
        values = self.payment_of(uuid)
        payment = self.transaction(uuid)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE wechat_pay_transaction SET state = 'unknown' WHERE id = %s",
            [payment.id],
        )
        self.env.invalidate_all()
        self.pay(uuid, coupon, **values)
        redemption = self.redemptions(coupon, "redeemed")
        self.attempt(redemption)
        self.assertEqual(redemption.remote_state, "pending")
        self.assertEqual(redemption.remote_error_code, "UNPAID")
        payment.state = "done"
        self.write_off(redemption)
        self.assertEqual(redemption.remote_state, "done")

    def test_payment_that_failed(self):
        """The coupon is free again, and can be held for the next payment."""
        coupon, uuid = self.coupon(), str(uuid4())
        self.assertTrue(self.reserve(uuid, coupon)["ok"])
        self.sandbox.post(f"phone/{self.openid}/ask_password", times=1)
        line = str(uuid4())
        self.charge(uuid, line=line)
        self.assertTrue(self.redemptions(coupon, "reserved"))
        number = self.transaction(uuid).number
        self.sandbox.post(f"pay/orders/{MCHID}/{number}/password", result="cancel")
        self.env["wechat.pay.transaction"]._work(self.transaction(uuid).id, "query")
        self.env.invalidate_all()
        self.assertEqual(self.transaction(uuid).state, "failed")
        self.assertFalse(self.redemptions(coupon, "reserved"))
        other = str(uuid4())
        self.assertTrue(self.reserve(other, coupon)["ok"])
        # Another order has it now; the first one cannot have it back.
        answer = self.reserve(uuid, coupon)
        self.assertEqual(self.refusal_codes(answer), ["held_by_other_order"])

    def test_payment_that_was_cancelled(self):
        """By the cashier, who goes on with another: the order keeps its coupon."""
        coupon, uuid, line = self.coupon(), str(uuid4()), str(uuid4())
        self.assertTrue(self.reserve(uuid, coupon)["ok"])
        self.sandbox.post(f"phone/{self.openid}/ask_password", times=1)
        self.charge(uuid, line=line)
        self.env.flush_all()
        self.method.with_user(self.cashier).wechat_pay_cancel(line)
        self.env.invalidate_all()
        self.assertTrue(self.redemptions(coupon, "reserved"))
        self.pay(uuid, coupon, **self.payment_of(uuid))
        redemption = self.redemptions(coupon, "redeemed")
        self.write_off(redemption)
        self.assertEqual(redemption.remote_state, "done", redemption.remote_error)

    def test_no_wechat_pay_at_the_till(self):
        coupon = self.coupon()
        config = self.new_config("Shop without WeChat Pay")
        till = config.with_user(self.cashier)
        answer = self.reserve(str(uuid4()), coupon, till=till)
        self.assertEqual(self.refusal_codes(answer), ["needs_wechat_payment"])

    def test_the_till_is_told(self):
        coupon = self.coupon()
        answer = self.till.wechat_coupon_lookup(coupon.code, "u1", False, False)
        program = answer["load"]["loyalty.program"][0]
        self.assertTrue(program["wechat_needs_payment"])
        self.assertTrue(answer["eligible"], answer["reasons"])

    def test_used_with_another_number(self):
        for number in (272755200, 272756745):
            self.sandbox.post("settings", product_used_number=number)
            coupon = self.coupon()
            redemption = self.sell(coupon)
            self.use_elsewhere(coupon.code)
            self.write_off(redemption)
            self.assertEqual(redemption.remote_state, "refused")
            self.assertEqual(redemption.remote_error_code, str(number))
            self.assertTrue(redemption.needs_attention)

    def test_used_and_given_back_behind_our_back(self):
        """The number that was sent before gets a good answer, and means nothing."""
        coupon = self.coupon()
        redemption = self.sell(coupon)
        self.fault(self.write_off_path, "http_status", status=500, commit=True, times=2)
        self.attempt(redemption)
        self.assertEqual(redemption.remote_state, "unknown")
        self.model._do(coupon, "return", "RETURNED-1")
        self.write_off(redemption)
        self.assertEqual(redemption.remote_state, "refused")
        self.assertEqual(redemption.remote_error_code, "RETURNED")

    def test_given_back(self):
        coupon = self.coupon()
        redemption = self.sell(coupon)
        self.write_off(redemption)
        for _twice in range(2):
            self.model._return_at_channel(redemption, "RETURN-0001")
        self.assertEqual(self.remote_state(coupon), "EFFECTIVE")

    def test_our_own_use_is_told(self):
        """The callback comes before the answer, which is lost."""
        coupon = self.coupon()
        redemption = self.sell(coupon)
        self.fault(self.write_off_path, "http_status", status=500, commit=True, times=2)
        self.attempt(redemption)
        self.event_of("use", self.use_payload(coupon, redemption.request_no))
        self.assertEqual(redemption.remote_state, "done")
        self.assertFalse(coupon.wechat_used_outside)

    def test_told_out_of_order(self):
        """Used before it was received, and given back before it was used."""
        shown = self.claim(self.offer)[0]
        code = shown["coupon_code"]
        use = self.payload(shown) | {
            "use_request_no": "OTHERS-0001",
            "use_time": self.beijing(self.clock(60)),
        }
        back = self.payload(shown) | {
            "return_request_no": "OTHERS-0002",
            "return_time": self.beijing(self.clock(120)),
        }
        self.event_of("use", use)
        coupon = self.card(code)
        self.assertEqual(
            (coupon.wechat_state, coupon.wechat_used_outside), ("used", True)
        )
        self.sent(self.offer, shown)
        self.assertEqual(coupon.wechat_state, "used")
        self.assertFalse(self.confirms(coupon))
        self.event_of("return", back)
        self.assertEqual(
            (coupon.wechat_state, coupon.wechat_used_outside), ("usable", False)
        )
        for _time in range(2):
            self.event_of("use", use)
        self.assertEqual(coupon.wechat_state, "usable")


@tagged("post_install", "-at_install", "wechat_channels")
class TestProductTemplate(ProductCase):
    """Review, texts, stock, the two doors, bundles."""

    def test_review(self):
        """WeChat's review is waited for; nobody has to press anything."""
        self.sandbox.post("settings", product_review="hold")
        template = self.make_offer()
        self.publish(template)
        self.assertEqual(template.state, "review")
        start = self.tasks(template).filtered(lambda task: task.kind == "start")
        self.assertEqual(start.remote_state, "pending")
        self.assertIn("reviewing", start.remote_error)
        self.sandbox.post(
            f"product/coupons/{template.product_coupon_no}/review", **{"pass": True}
        )
        self.work_off(template)
        self.assertEqual(template.state, "live")

    def test_paused_before_we_have_heard_of_the_review(self):
        self.sandbox.post("settings", product_review="hold")
        template = self.make_offer()
        self.publish(template)
        self.sandbox.post(
            f"product/coupons/{template.product_coupon_no}/review", **{"pass": True}
        )
        self.sandbox.post(f"product/stocks/{template.remote_id}/state", state="PAUSED")
        self.work_off(template)
        self.assertEqual(template.state, "live")
        template.with_user(self.manager).action_refresh()
        self.assertEqual(template.state, "paused")

    def test_no_pieces(self):
        template = self.make_offer().with_user(self.manager)
        self.publish(template)
        with self.assertRaisesRegex(UserError, "from 1 to 100 million"):
            template.stock = 0

    def test_who_has_paused_resumes(self):
        template = self.make_offer().with_user(self.manager)
        self.publish(template)
        self.work_off(template)

        def at_wechat(state):
            path = f"product/stocks/{template.remote_id}/state"
            self.sandbox.post(path, state=state)
            template.action_refresh()

        at_wechat("PAUSED")
        self.assertEqual(template.state, "paused")
        at_wechat("SENDING")
        self.assertEqual(template.state, "live")
        template.action_pause()
        at_wechat("SENDING")
        self.assertEqual(template.state, "paused")
        with self.assertRaises(AccessError):
            template.paused_there = True
        template.action_resume()
        at_wechat("STOPPED")
        self.assertEqual(template.state, "ended")

    def test_review_rejected(self):
        """The reason is shown; the coupon can be changed and published anew."""
        self.sandbox.post("settings", product_review="hold")
        template = self.make_offer()
        self.publish(template)
        first = template.product_coupon_no
        self.sandbox.post(
            f"product/coupons/{first}/review", **{"pass": False, "reason": "图片模糊"}
        )
        self.work_off(template)
        self.assertEqual(template.state, "draft")
        self.assertIn("图片模糊", template.state_reason)
        self.assertFalse(template.remote_id)
        self.sandbox.post("settings", product_review="pass")
        template.with_user(self.manager).amount_fen = 900
        self.publish(template)
        self.assertEqual(template.state, "live", template.state_reason)
        self.assertNotEqual(template.product_coupon_no, first)

    def test_review_rejected_is_seen_by_comparing(self):
        self.sandbox.post("settings", product_review="hold")
        template = self.make_offer()
        self.publish(template)
        self.sandbox.post(
            f"product/coupons/{template.product_coupon_no}/review",
            **{"pass": False, "reason": "图片模糊"},
        )
        template.with_user(self.manager).action_refresh()
        self.assertEqual((template.state, template.state_reason), ("draft", "图片模糊"))
        self.work_off(template)
        self.assertEqual(template.state, "draft")

    def test_what_is_sent(self):
        """Percent OFF: 30 stays 30; what is not for everything goes to the stock."""
        template = self.make_offer(
            coupon_type="percent", percent_off=30, product_ids=self.tea.ids
        )
        self.publish(template)
        self.assertEqual(template.state, "live", template.state_reason)
        body = self.last_body("/product-coupons")
        self.assertEqual((body["type"], body["scope"]), ("DISCOUNT", "CATEGORY"))
        rule = body["stock"]["single_usage_rule"]
        self.assertEqual(rule["discount_coupon"]["percent_off"], 30)
        gift = self.make_offer(coupon_type="gift", gift_product_id=self.tea.id)
        self.publish(gift)
        self.assertEqual(gift.state, "live", gift.state_reason)
        body = self.last_body("/product-coupons")
        rule = body["stock"]["single_usage_rule"]
        self.assertEqual(rule["exchange_coupon"]["exchange_price"], 0)
        term = self.make_offer(date_type="term", term_days=7, term_begin_days=1)
        self.publish(term)
        self.assertEqual(term.state, "live", term.state_reason)

    def test_texts_and_stock(self):
        self.offer.with_user(self.manager).write(
            {"stock": 250, "description": "新条件"}
        )
        self.work_off(self.offer)
        stock = self.model._stock(self.offer)
        self.assertEqual(stock["stock_send_rule"]["max_count"], 250)
        shown = stock["usage_rule_display_info"]
        self.assertEqual(shown["usage_description"], "新条件")

    def test_limits_of_wechat(self):
        for vals, text in (
            ({"title": "满减"}, "3 to 15"),
            ({"title": "满" * 16}, "too long"),
            ({"logo": False}, "picture"),
            ({"get_limit": 101}, "1 to 100"),
            ({"date_type": "term", "term_begin_days": 31}, "30 days"),
        ):
            with self.subTest(vals), self.assertRaisesRegex(UserError, text):
                self.make_offer(**vals).action_publish()
        for vals in (
            {"bundle_count": 2},
            {"bundle_count": 3, "code_mode": "upload"},
            {"bundle_count": 3, "bundle_interval": 8},
        ):
            with self.subTest(vals), self.assertRaises(ValidationError):
                self.make_offer(**vals)

    def test_numbers_are_ours_to_write(self):
        """What WeChat has given out is not for people to change."""
        for name in ("product_coupon_no", "product_pictures"):
            with self.subTest(name), self.assertRaises(UserError):
                self.offer.with_user(self.manager).write({name: "1"})

    def test_provider_needs_the_brand(self):
        self.door = "provider"
        template = self.make_offer(brand_no=False)
        with self.assertRaisesRegex(UserError, "brand ID"):
            template.action_publish()
        self.tell_brand_without_provider()
        template.brand_no = BRAND
        self.publish(template)
        self.assertEqual(template.state, "draft")
        self.assertIn("authorised", template.state_reason)

    def tell_brand_without_provider(self):
        self.sandbox.post("brands", brand_id=BRAND, providers=[])
        self.addCleanup(self.sandbox.post, "brands", brand_id=BRAND, providers=[MCHID])

    def test_bundle(self):
        """One claim, several coupons, each with its own code, used in their order."""
        template = self.make_offer(bundle_count=3)
        self.publish(template)
        self.assertEqual(template.state, "live", template.state_reason)
        claimed = self.claim(template)
        self.assertEqual(len(claimed), 3)
        for shown in reversed(claimed):
            self.sent(template, shown)
        self.work_off(template)
        first, second, third = (self.card(one["coupon_code"]) for one in claimed)
        coupons = first | second | third
        self.assertEqual(coupons.mapped("wechat_state"), ["usable"] * 3)
        self.assertEqual(len(set(coupons.mapped("wechat_bundle_no"))), 1)
        self.assertEqual(len(set(coupons.mapped("wechat_stock_no"))), 3)
        answer = self.reserve(str(uuid4()), second)
        self.assertEqual(self.refusal_codes(answer), ["not_open_yet"])
        for coupon in (first, second):
            redemption = self.sell(coupon)
            self.write_off(redemption)
            self.assertEqual(redemption.remote_state, "done", redemption.remote_error)
        self.assertEqual(self.remote_uses(second.code), 1)
        self.assertEqual(self.remote_uses(third.code), 0)
        third.with_user(self.manager)._wechat_void("lost")
        template.with_user(self.manager).stock = 300
        self.work_off(template)
        self.assertEqual(self.remote_state(third), "DEACTIVATED")
        rule = self.model._stock(template)["stock_send_rule"]
        self.assertEqual(rule["max_count"], 300)

    def test_bundle_sent_by_us(self):
        template = self.make_offer(bundle_count=3, bundle_interval=1)
        self.publish(template)
        code = self.model._send(template, self.openid, "SEND-0003")
        self.env["wechat.identity"]._find_or_create(self.account, self.openid)
        template.with_user(self.manager).action_refresh()
        self.work_off(template)
        coupon = self.card(code)
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertTrue(coupon.wechat_bundle_no)


@tagged("post_install", "-at_install", "wechat_channels")
class TestProductBrand(ProductCase):
    """The brand as a connection: it signs with a scheme of its own."""

    def test_connection(self):
        """The question of the connection check, with both answers of WeChat."""
        self.sandbox.post("brands", brand_id=BRAND, notify_url="")
        for _answer in ("not set", "set"):
            check = self.env["wechat.connection.check"].create(
                {"merchant_id": self.brand.id}
            )
            check._check_pay_call(self.brand)
            line = check.line_ids[:1]
            self.assertEqual(line.state, "ok", line.detail)
            self.publish(self.make_offer())

    def test_signed_by_somebody_else(self):
        self.brand.private_key = make_keys("stranger").private_pem
        with self.assertRaises(WechatError):
            self.model._stock(self.offer)
        last = self.sandbox.call("GET", "log")[-1]
        self.assertEqual(last["status"], 401)

    def test_product_coupons_only(self):
        with self.assertRaisesRegex(ValidationError, "only"):
            self.make_offer(channel="busifavor")

    def test_not_for_payments(self):
        self.assertNotIn(
            self.brand,
            self.env["wechat.merchant"].search(
                self.env["pos.payment.method"]._fields["wechat_merchant_id"].domain
            ),
        )

        with self.assertRaisesRegex(ValidationError, "takes no money"):
            self.method.copy({"wechat_merchant_id": self.brand.id})

    def test_public_key_only(self):
        with self.assertRaises(ValidationError):
            self.brand.key_mode = "certificate"
