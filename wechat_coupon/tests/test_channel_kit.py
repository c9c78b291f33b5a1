"""One command shows that all channels behave alike: ``ONLY=channels``."""

import time
from datetime import timedelta
from uuid import uuid4

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from .channel_kit import ChannelKit, PayChannelCase, PayingCase, ProductKit
from .common import LOGO_URL, SandboxCase


@tagged("post_install", "-at_install", "wechat_channels")
class TestChannelLocal(ChannelKit, SandboxCase):
    channel = "local"


@tagged("post_install", "-at_install", "wechat_channels")
class TestChannelCard(ChannelKit, SandboxCase):
    channel = "card"
    write_off_path = "/card/code/consume"
    publish_path = "/card/create"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sandbox.post("accounts", **cls.sandbox_account(can_create_coupons=True))

    def offer_vals(self):
        return {"account_id": self.account.id, "logo_url": LOGO_URL, "get_limit": 50}

    def publish(self, template):
        res = super().publish(template)
        self.sandbox.post(f"cards/{template.remote_id}/review", **{"pass": True})
        template.action_refresh()
        return res

    def remote_templates(self):
        return len(self.sandbox.call("GET", "state")["cards"])

    def hand_out(self, template, openid=None):
        return self.receive(openid, template.remote_id)

    def remote_uses(self, code):
        return self.sandbox.code(code)["consume_count"]

    def use_elsewhere(self, code):
        self.sandbox.post(
            f"phone/{self.openid}/consume", card_id=self.offer.remote_id, code=code
        )

    # === OF ITS OWN === #

    def test_replacements(self):
        """One template of replacements, worth the same; nobody hands them out."""
        replacements = self.env["loyalty.card"]
        for _twice in range(2):
            openid = self.sandbox.post("users", nickname="u")["openid"]
            coupon = self.coupon_of(self.hand_out(self.offer, openid))
            redemption = self.sell(coupon)
            self.write_off(redemption)
            self.give_back(redemption)
            new = redemption.replacement_id
            self.assertEqual(new.wechat_openid, coupon.wechat_openid)
            self.assertEqual(new.wechat_valid_to, coupon.wechat_valid_to)
            self.assertIn(new.code, redemption._return_sentence())
            replacements |= new
        template = replacements.coupon_template_id
        self.assertEqual(len(template), 1)
        self.assertEqual((template.channel, template.state), ("local", "ended"))
        self.assertEqual(template.amount_fen, self.offer.amount_fen)
        self.assertEqual(template.threshold_fen, self.offer.threshold_fen)

    def test_replacement_of_an_expired_coupon(self):
        coupon = self.coupon_of(self.hand_out(self.offer))
        redemption = self.sell(coupon)
        self.write_off(redemption)
        over = fields.Datetime.now() - timedelta(days=1)
        coupon.sudo()._write({"wechat_valid_to": over})
        coupon.invalidate_recordset()
        self.give_back(redemption)
        self.assertEqual(redemption.state, "returned")
        self.assertFalse(redemption.replacement_id)
        self.assertIn("expired", redemption._return_sentence())


@tagged("post_install", "-at_install", "wechat_channels")
class TestChannelBusifavor(ChannelKit, PayChannelCase):
    channel = "busifavor"
    write_off_path = "/v3/marketing/busifavor/coupons/use"
    publish_path = "/v3/marketing/busifavor/stocks"
    return_path = "/v3/marketing/busifavor/coupons/return"
    send_path = "/v3/marketing/busifavor/coupons/send"
    sends = 2

    def setUp(self):
        self.sandbox.post("settings", busifavor_creating=False)
        super().setUp()

    def remote_templates(self):
        return len(self.sandbox.call("GET", "state")["stocks"]["busifavor"])

    def hand_out(self, template, openid=None):
        openid = openid or self.openid
        coupon = self.sandbox.post(
            f"phone/{openid}/busifavor", stock_id=template.remote_id
        )
        self.notice("coupon.send", self.send_notice(template, coupon, openid))
        return coupon["coupon_code"]

    def before_sending(self):
        self.tell_merchant(can_send_busifavor=True)

    def tell_of(self, code):
        shown = {"coupon_code": code}
        self.notice("coupon.send", self.send_notice(self.offer, shown, self.openid))

    def send_notice(self, template, coupon, openid):
        return {
            "event_type": "EVENT_TYPE_BUSICOUPON_SEND",
            "coupon_code": coupon["coupon_code"],
            "stock_id": template.remote_id,
            "send_time": self.beijing(),
            "openid": openid,
            "send_channel": "BUSICOUPON_SEND_CHANNEL_PAYGIFT",
            "send_merchant": self.merchant.mchid,
        }

    def at_wechat(self, code):
        owner = self.env["loyalty.card"]._wechat_find(code).wechat_openid
        held = self.sandbox.call("GET", f"phone/{owner}/busifavor")
        return next(one for one in held if one["coupon_code"] == code)

    def remote_uses(self, code):
        return int(self.at_wechat(code)["state"] == "USED")

    def use_elsewhere(self, code):
        body = {
            "coupon_code": code,
            "stock_id": self.offer.remote_id,
            "appid": self.appid,
            "use_time": self.beijing(),
            "use_request_no": uuid4().hex,
        }
        self.model._call(self.offer, "POST", "/coupons/use", body, "x")

    # === OF ITS OWN === #

    def test_percent_is_what_is_paid(self):
        """30 off is 70 on the wire: the card counts the other way round."""
        template = self.make_offer(coupon_type="percent", percent_off=30)
        self.publish(template)
        body = self.sandbox.last_body("/v3/marketing/busifavor/stocks")
        rule = body["coupon_use_rule"]["discount_coupon"]
        self.assertEqual(rule["discount_percent"], 70)

    def test_not_admitted(self):
        self.tell_merchant(can_busifavor=False)
        self.addCleanup(self.tell_merchant, can_busifavor=True)
        template = self.make_offer()
        self.publish(template)
        self.assertEqual(template.state, "draft")
        self.assertIn("December 2025", template.state_reason)

    def test_notices_twice_and_late(self):
        openid = self.openid
        coupon = self.sandbox.post(
            f"phone/{openid}/busifavor", stock_id=self.offer.remote_id
        )
        notice = self.send_notice(self.offer, coupon, openid)
        self.notice("coupon.send", {**notice, "openid": ""})
        found = self.env["loyalty.card"]._wechat_find(coupon["coupon_code"])
        self.assertEqual((found.wechat_state, found.wechat_openid), ("usable", False))
        redemption = self.sell(found)
        self.write_off(redemption)
        for _time in range(2):
            self.notice("coupon.send", notice)
        self.assertEqual(found.wechat_state, "used")
        self.assertEqual(found.wechat_openid, openid)
        self.assertEqual(found.points, 0)

    def test_codes_of_ours(self):
        template = self.make_offer(code_mode="upload")
        self.publish(template)
        codes = template._generate(3)
        self.work_off(template)
        deposit = self.tasks(template).filtered(lambda task: task.kind == "deposit")
        self.assertEqual(deposit.remote_state, "done", deposit.remote_error)
        coupon = self.sandbox.post(
            f"phone/{self.openid}/busifavor", stock_id=template.remote_id
        )
        self.notice("coupon.send", self.send_notice(template, coupon, self.openid))
        found = codes.filtered(lambda one: one.code == coupon["coupon_code"])
        self.assertEqual(found.wechat_state, "usable")

    def test_link(self):
        url = self.model._link_for(self.offer, self.openid, "N1")
        answer = self.sandbox.post(f"phone/{self.openid}/busifavor", url=url)
        again = self.sandbox.post(f"phone/{self.openid}/busifavor", url=url)
        self.assertEqual(answer["coupon_code"], again["coupon_code"])

    def test_given_back(self):
        coupon = self.coupon_of(self.hand_out(self.offer))
        redemption = self.sell(coupon)
        self.write_off(redemption)
        for _twice in range(2):
            self.model._return_at_channel(redemption, "RETURN1")
        self.assertEqual(self.remote_uses(coupon.code), 0)

    def test_refused_return(self):
        """WeChat does not take it back: a person has to look."""
        coupon = self.coupon_of(self.hand_out(self.offer))
        redemption = self.sell(coupon)
        self.write_off(redemption)
        self.give_back(redemption)
        self.assertEqual(redemption.return_way, "channel")
        self.assertEqual(coupon.wechat_state, "used")
        self.fault(self.return_path, "http_status", status=400, code="INVALID_REQUEST")
        self.work_off(self.offer)
        self.assertEqual(redemption.return_task_ids.remote_state, "refused")
        self.assertTrue(redemption.needs_attention)
        self.assertIn("take the coupon back", redemption.reason)
        self.assertEqual(coupon.wechat_state, "used")
        # The cause is gone: a manager tries again.
        redemption.return_task_ids.with_user(self.manager).action_retry()
        self.work_off(self.offer)
        self.assertEqual(coupon.wechat_state, "usable")

    def test_given_back_while_the_write_off_is_under_way(self):
        coupon = self.coupon_of(self.hand_out(self.offer))
        redemption = self.sell(coupon)
        self.fault(self.write_off_path, "timeout_after", times=self.sends, seconds=0.1)
        self.attempt(redemption)
        self.assertEqual(redemption.remote_state, "unknown")
        self.give_back(redemption)
        self.assertEqual(redemption.return_way, "waiting")
        self.assertEqual(coupon.wechat_state, "used")
        self.write_off(redemption)
        self.assertEqual(redemption.return_way, "channel")
        self.work_off(self.offer)
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertEqual(self.remote_uses(coupon.code), 0)

    def test_no_pieces(self):
        with self.assertRaisesRegex(UserError, "from 1 to 1 billion"):
            self.offer.with_user(self.manager).stock = 0

    def test_stock_and_texts(self):
        self.offer.with_user(self.manager).write(
            {"stock": 250, "description": "新条件", "goods_text": "茶饮"}
        )
        self.work_off(self.offer)
        stock = self.model._stock(self.offer)
        self.assertEqual(stock["stock_send_rule"]["max_coupons"], 250)
        self.assertEqual(stock["goods_name"], "茶饮")


@tagged("post_install", "-at_install", "wechat_channels")
class TestChannelProductBrand(ProductKit):
    """A brand signs for itself."""

    door = "brand"


@tagged("post_install", "-at_install", "wechat_channels")
class TestChannelProductProvider(ProductKit):
    """A merchant acts for the brand."""

    door = "provider"


@tagged("post_install", "-at_install", "wechat_channels")
class TestChannelFavorKit(ChannelKit, PayingCase):
    """No till scans it: the customer pays, and WeChat takes it off."""

    channel = "favor"
    publish_path = "/coupon-stocks$"
    send_path = "/users/[^/]+/coupons$"
    sends = 2

    def setUp(self):
        self.sandbox.post("merchants", mchid=self.merchant.mchid, balance=None)
        # WeChat takes the best of all that are in the wallet.
        self.openid = self.somebody()
        super().setUp()
        self.addCleanup(self.sandbox.post, "clock", reset=True)

    def somebody(self):
        return self.sandbox.post("users", nickname="somebody")["openid"]

    def remote_templates(self):
        return len(self.sandbox.call("GET", "state")["stocks"]["favor"])

    def hand_out(self, template, openid=None):
        # It begins some minutes after it was made.
        self.sandbox.post("clock", set=time.time() + 400)
        number = self.model._send(template, openid or self.openid, uuid4().hex)
        self.sandbox.post("clock", reset=True)
        self.model._coupon(template, number, openid or self.openid)
        return number

    def before_sending(self):
        self.sandbox.post("clock", set=time.time() + 400)

    def coupon_of(self, code):
        return self.env["loyalty.card"]._wechat_find(code)

    def sell(self, coupon):
        uuid = str(uuid4())
        self.sandbox.post("clock", set=time.time() + 400)
        # The order is worth what it costs; the discount is in the payment.
        self.pay(uuid, **self.payment_of(uuid, 10000))
        self.sandbox.post("clock", reset=True)
        return self.redemptions(coupon, "redeemed")

    def remote_uses(self, code):
        held = self.sandbox.call("GET", f"phone/{self.openid}/vouchers")
        found = next(one for one in held if one["coupon_id"] == code)
        return int(found["state"] == "USED")
