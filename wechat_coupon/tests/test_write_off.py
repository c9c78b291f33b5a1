from uuid import uuid4

from odoo.exceptions import UserError
from odoo.tests import tagged

from odoo.addons.wechat_base.tools.exceptions import WechatRefused

from .common import SandboxCase


@tagged("post_install", "-at_install")
class TestWriteOff(SandboxCase):
    """The write-off step by step, as the drain takes it; WeChat is the sandbox."""

    def setUp(self):
        super().setUp()
        self.coupon = self.scan(self.receive())
        uuid = str(uuid4())
        self.reserve(uuid, self.coupon)
        self.number = self.redemptions(self.coupon).request_no
        self.pay(uuid, self.coupon)
        self.redemption = self.redemptions(self.coupon)

    def step(self, method):
        try:
            return getattr(self.redemption, method)()
        except UserError as error:
            return error

    def send(self):
        """One attempt of the drain: sending is recorded, then the call is made."""
        self.assertTrue(self.redemption._operation_begin())
        self.redemption._operation_settle(self.step("_operation_call"))

    def ask(self):
        """What the drain does first with a row whose outcome is unknown."""
        answer = self.step("_operation_query")
        if answer == "done":
            self.redemption._operation_settle({})
        return answer

    @property
    def consumed(self):
        return self.sandbox.code(self.coupon.code)["consume_count"]

    def check_done(self):
        self.assertEqual(self.redemption.remote_state, "done")
        self.assertEqual(self.redemption.request_no, self.number)
        self.assertEqual(self.redemption.state, "redeemed")
        self.assertFalse(self.redemption.needs_attention)
        self.assertEqual(self.consumed, 1)

    def test_prepared_with_the_order(self):
        self.assertEqual(self.redemption.remote_state, "pending")
        self.assertEqual(self.redemption.request_no, self.number)
        self.assertEqual(self.redemption.remote_priority, 0)
        self.assertEqual(self.consumed, 0)

    def test_done(self):
        self.send()
        self.check_done()

    def test_other_doubts_stay_on_the_worklist(self):
        self.redemption._goods_returned()
        self.send()
        self.assertEqual(self.redemption.remote_state, "done")
        self.assertTrue(self.redemption.needs_attention)
        self.assertTrue(self.redemption.activity_ids)

    def test_a_refusal_stays_in_the_history(self):
        self.fault("/card/code/consume", "errcode", errcode=40127)
        self.send()
        self.assertEqual(self.redemption.remote_state, "refused")
        bodies = " ".join(self.redemption.message_ids.mapped("body"))
        self.assertIn("40127", bodies)
        self.assertIn("made invalid", bodies)

    def test_killed_before_the_call(self):
        self.redemption._operation_begin()
        self.assertEqual(self.ask(), "not_done")
        self.send()
        self.check_done()

    def test_killed_after_the_call(self):
        self.redemption._operation_begin()
        self.step("_operation_call")
        self.assertEqual(self.redemption.remote_state, "sending")
        self.assertEqual(self.ask(), "done")
        self.check_done()

    def test_no_answer_but_done(self):
        self.fault("/card/code/consume", "timeout_after", seconds=0.1)
        self.send()
        self.assertEqual(self.redemption.remote_state, "unknown")
        self.assertEqual(self.ask(), "done")
        self.check_done()

    def test_no_answer_and_not_done(self):
        self.fault("/card/code/consume", "drop_connection")
        self.send()
        self.assertEqual(self.redemption.remote_state, "unknown")
        self.assertEqual(self.ask(), "not_done")
        self.send()
        self.check_done()

    def test_unreachable(self):
        self.fault("/card/code/get", "http_status", status=502)
        self.send()
        self.assertIn(self.redemption.remote_state, ("pending", "unknown"))
        self.assertTrue(self.redemption.remote_next_at)
        self.assertEqual(self.consumed, 0)
        self.assertEqual(self.ask(), "not_done")
        self.send()
        self.check_done()

    def test_busy(self):
        self.fault("/card/code/consume", "errcode", errcode=-1)
        self.send()
        self.assertEqual(self.redemption.remote_state, "pending")
        self.send()
        self.check_done()

    def test_token_expires(self):
        self.fault("/card/code/consume", "expire_token")
        self.send()
        self.check_done()

    def test_late_arrival_of_an_earlier_call(self):
        """40099 although the code was good a moment ago, on a later attempt."""
        self.redemption._operation_begin()
        self.assertEqual(self.ask(), "not_done")
        self.fault("/card/code/consume", "errcode", errcode=40099)
        self.send()
        self.assertEqual(self.redemption.remote_state, "unknown")
        self.sandbox.post(
            f"phone/{self.openid}/consume", code=self.coupon.code, source="FROM_API"
        )
        self.assertEqual(self.ask(), "done")
        self.check_done()

    def test_used_by_somebody_else(self):
        self.sandbox.post(f"phone/{self.openid}/consume", code=self.coupon.code)
        self.send()
        self.assertEqual(self.redemption.remote_state, "refused")
        self.assertEqual(self.redemption.remote_error_code, "40099")
        self.assertTrue(self.redemption.needs_attention)
        self.assertTrue(self.redemption.activity_ids)
        # The order keeps its discount, and the coupon stays used.
        self.assertEqual(self.redemption.state, "redeemed")

    def test_used_by_somebody_else_while_we_asked(self):
        """No answer to our call, and a callback says that it was not us."""
        self.fault("/card/code/consume", "drop_connection")
        self.send()
        self.sandbox.post(f"phone/{self.openid}/consume", code=self.coupon.code)
        self.event("user_consume_card", self.coupon.code, ConsumeSource="FROM_MP")
        self.assertEqual(self.ask(), "not_done")
        self.send()
        self.assertEqual(self.redemption.remote_state, "refused")

    def test_deleted_on_the_phone(self):
        self.sandbox.post(f"phone/{self.openid}/delete", code=self.coupon.code)
        self.send()
        self.assertEqual(self.redemption.remote_state, "refused")
        self.assertTrue(self.redemption.needs_attention)

    def test_retry_by_the_manager(self):
        self.redemption._operation_begin()
        self.redemption._operation_settle(WechatRefused("no", code=40127))
        self.assertTrue(self.redemption.needs_attention)
        self.redemption.with_user(self.manager).action_retry()
        self.assertEqual(self.redemption.remote_state, "pending")
        self.send()
        self.check_done()
        self.assertFalse(self.redemption.activity_ids)

    def test_local_coupons_are_not_sent(self):
        coupon = self.new_coupons()
        self.pay(str(uuid4()), coupon)
        self.assertEqual(self.redemptions(coupon).remote_state, "none")
