import time
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import SandboxCase


class EventCase(SandboxCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["coupon.channel.card"]._pull(cls.account)
        cls.card_template = cls.env["coupon.template"].search(
            [("remote_id", "=", cls.card_id)]
        )
        cls.now = int(time.time())

    def coupon(self, code):
        return self.env["loyalty.card"]._wechat_find(code)

    def get(self, code, at=0, **payload):
        return self.event("user_get_card", code, at=self.now + at, **payload)

    def gifting(self, code, at=0, back=False):
        return self.event(
            "user_gifting_card", code, at=self.now + at, IsReturnBack=str(int(back))
        )

    def delete(self, code, at=0):
        return self.event("user_del_card", code, at=self.now + at)

    def consume(self, code, at=0, source="FROM_MP"):
        return self.event(
            "user_consume_card", code, at=self.now + at, ConsumeSource=source
        )


@tagged("post_install", "-at_install")
class TestReceived(EventCase):
    def test_triggers(self):
        event = self.get("100000000001", OuterStr="poster")
        self.assertEqual(event.state, "done")
        coupon = self.coupon("100000000001")
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertEqual(coupon.points, 1)
        self.assertEqual(coupon.coupon_template_id, self.card_template)
        self.assertEqual(coupon.program_id, self.card_template.program_id)
        self.assertEqual(coupon.wechat_openid, self.openid)
        self.assertEqual(coupon.wechat_identity_id.openid, self.openid)
        self.assertEqual(coupon.wechat_outer_str, "poster")
        self.assertEqual(coupon.expiration_date, self.card_template.date_to)

    def test_checks_the_person(self):
        identity = self.env["wechat.identity"]._find_or_create(
            self.account, self.openid
        )
        identity.partner_id = self.customer
        self.get("100000000002")
        self.assertEqual(self.coupon("100000000002").partner_id, self.customer)

    def test_accepts_empty_elements(self):
        self.get("100000000003", OuterStr=None, FriendUserName=None, UnionId=None)
        self.assertEqual(self.coupon("100000000003").wechat_state, "usable")

    def test_rejects_other_cards(self):
        event = self.get("100000000004", card_id="pMemberCard")
        self.assertEqual(event.state, "ignored")
        self.assertFalse(self.coupon("100000000004"))

    def test_other_cards_are_left_to_others(self):
        below = type(self.env["wechat.event.cards"])
        with patch.object(below, "_handle_user_get_card", return_value=None) as handler:
            event = self.get("100000000014", card_id="pMemberCard")
            self.assertEqual(event.state, "done")
            self.get("100000000015")
        self.assertEqual(handler.call_count, 2)
        self.assertTrue(self.coupon("100000000015"))

    def test_rejects_a_code_of_another_template(self):
        card = self.new_card()
        self.pull()
        self.get("100000000005")
        with self.assertRaises(UserError):
            self.get("100000000005", card_id=card["card_id"])

    def test_a_code_that_odoo_gave_to_another_card(self):
        program = self.env["loyalty.program"].create(
            {"name": "Own", "program_type": "coupons", "company_id": self.company.id}
        )
        code = "100000000015"
        self.env["loyalty.card"].create({"program_id": program.id, "code": code})
        with self.assertRaisesRegex(UserError, code):
            self.get(code)

    def test_waits_for_a_card_that_is_being_published(self):
        template = self.new_template(
            publish=False, channel="card", account_id=self.account.id
        )
        self.env["coupon.task"]._start("publish", template)
        with self.assertRaises(UserError):
            self.get("100000000006", card_id="pNotKnownYet")

    def test_replay(self):
        for _thrice in range(3):
            self.get("100000000007")
        self.assertEqual(
            self.env["loyalty.card"].search_count([("code", "=", "100000000007")]), 1
        )

    def test_replay_after_use(self):
        self.get("100000000008")
        coupon = self.coupon("100000000008")
        self.pay("paid", coupon)
        self.get("100000000008")
        self.assertEqual(coupon.wechat_state, "used")
        self.assertEqual(coupon.points, 0)


@tagged("post_install", "-at_install")
class TestGift(EventCase):
    def test_gift(self):
        self.get("200000000001")
        giver = self.coupon("200000000001")
        self.gifting("200000000001", at=1)
        self.assertEqual(giver.wechat_state, "gifting")
        self.assertEqual(giver.points, 0)
        self.get(
            "200000000002",
            at=2,
            openid=self.friend,
            IsGiveByFriend="1",
            OldUserCardCode="200000000001",
            FriendUserName=self.openid,
        )
        received = self.coupon("200000000002")
        self.assertEqual(giver.wechat_state, "gifted")
        self.assertEqual(received.wechat_state, "usable")
        self.assertEqual(received.wechat_openid, self.friend)
        self.assertEqual(received.wechat_valid_to, giver.wechat_valid_to)

    def test_disorder(self):
        """The friend's receipt comes first, then the gift, then our receipt."""
        self.get(
            "200000000004",
            at=2,
            openid=self.friend,
            IsGiveByFriend="1",
            OldUserCardCode="200000000003",
        )
        self.gifting("200000000003", at=1)
        self.get("200000000003", at=0)
        giver = self.coupon("200000000003")
        self.assertEqual(giver.wechat_state, "gifted")
        self.assertEqual(giver.points, 0)
        self.assertEqual(giver.wechat_openid, self.openid)
        self.assertEqual(self.coupon("200000000004").wechat_state, "usable")

    def test_return(self):
        self.get("200000000005")
        self.gifting("200000000005", at=1)
        self.gifting("200000000005", at=5, back=True)
        coupon = self.coupon("200000000005")
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertEqual(coupon.points, 1)
        # The replay of the older event changes nothing.
        self.gifting("200000000005", at=1)
        self.assertEqual(coupon.wechat_state, "usable")

    def test_return_before_gift(self):
        self.get("200000000006")
        self.gifting("200000000006", at=5, back=True)
        self.gifting("200000000006", at=1)
        self.gifting("200000000006", at=5, back=True)
        self.assertEqual(self.coupon("200000000006").wechat_state, "usable")

    def test_a_code_of_our_own_changes_hands(self):
        self.get("OWN1")
        self.gifting("OWN1", at=1)
        self.get(
            "OWN1",
            at=2,
            openid=self.friend,
            IsGiveByFriend="1",
            OldUserCardCode="OWN1",
        )
        coupon = self.coupon("OWN1")
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertEqual(coupon.wechat_openid, self.friend)

    def test_given_away_while_an_order_has_it(self):
        """It is what WeChat has told meanwhile when the order gives it back."""
        for number, (back, state) in enumerate(((False, "gifting"), (True, "usable"))):
            with self.subTest(state):
                code = f"20000000001{number}"
                self.get(code)
                coupon = self.coupon(code)
                self.pay(f"u{number}", coupon)
                self.gifting(code, at=1)
                if back:
                    self.gifting(code, at=2, back=True)
                self.assertEqual(coupon.wechat_state, "used")
                self.redemptions(coupon, "redeemed")._return("manager")
                self.assertEqual(coupon.wechat_state, state)
                self.assertEqual(coupon.points, int(state == "usable"))

    def test_gift_of_an_unknown_code(self):
        self.gifting("200000000007", at=1)
        self.get("200000000007", at=0)
        self.assertEqual(self.coupon("200000000007").wechat_state, "gifting")


@tagged("post_install", "-at_install")
class TestDeleted(EventCase):
    def test_delete(self):
        self.get("300000000001")
        for _twice in range(2):
            self.delete("300000000001", at=1)
        coupon = self.coupon("300000000001")
        self.assertEqual(coupon.wechat_state, "deleted")
        self.assertEqual(coupon.points, 0)

    def test_delete_before_get(self):
        self.delete("300000000002", at=1)
        self.get("300000000002")
        self.assertEqual(self.coupon("300000000002").wechat_state, "deleted")

    def test_delete_after_use(self):
        self.get("300000000003")
        coupon = self.coupon("300000000003")
        self.pay("paid", coupon)
        self.delete("300000000003", at=9)
        self.assertEqual(coupon.wechat_state, "used")


@tagged("post_install", "-at_install")
class TestConsumed(EventCase):
    def test_used_elsewhere(self):
        self.get("400000000001")
        for _twice in range(2):
            self.consume("400000000001", at=1)
        coupon = self.coupon("400000000001")
        self.assertEqual(coupon.wechat_state, "used")
        self.assertTrue(coupon.wechat_used_outside)
        answer = self.till.wechat_coupon_lookup(
            "400000000001", "u", False, self.full_cart
        )
        self.assertEqual(answer["reasons"][0]["code"], "used")

    def test_consume_before_get(self):
        self.consume("400000000002", at=1)
        self.get("400000000002")
        coupon = self.coupon("400000000002")
        self.assertEqual(coupon.wechat_state, "used")
        self.assertEqual(coupon.points, 0)
        self.assertEqual(coupon.wechat_openid, self.openid)

    def test_our_own_write_off(self):
        self.get("400000000003")
        coupon = self.coupon("400000000003")
        self.pay("paid", coupon)
        self.consume("400000000003", at=1, source="FROM_API")
        self.assertFalse(coupon.wechat_used_outside)
        self.assertEqual(self.redemptions(coupon).state, "redeemed")

    def test_by_another_system(self):
        self.get("400000000004")
        self.consume("400000000004", at=1, source="FROM_API")
        self.assertTrue(self.coupon("400000000004").wechat_used_outside)

    def test_while_an_order_holds_it(self):
        code = self.receive()
        coupon = self.scan(code)
        self.reserve("u1", coupon)
        self.sandbox.post(f"phone/{self.openid}/consume", code=code)
        self.consume(code, at=1)
        # The gate before the validation says so; the order stays open.
        self.assertEqual(self.refusal_codes(self.reserve("u1", coupon)), ["used"])

    def test_before_our_order_was_saved(self):
        self.get("400000000005")
        coupon = self.coupon("400000000005")
        self.consume("400000000005", at=1)
        order = self.pay("paid", coupon)
        self.assertEqual(order.state, "paid")
        self.assertTrue(self.redemptions(coupon, "conflict").needs_attention)


@tagged("post_install", "-at_install")
class TestStock(EventCase):
    def test_stock(self):
        event = self.event(
            "card_sku_remind", Detail="the card's quantity is equal to 0"
        )
        self.assertEqual(event.state, "done")
        self.assertIn("equal to 0", self.card_template.message_ids[0].body)
