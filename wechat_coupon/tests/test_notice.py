from datetime import timedelta
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .common import CouponCase, SandboxCase


class NoticeCase(CouponCase):
    def use(self, template=None, partner=None):
        """Use a coupon of a template on a paid order; return the redemption."""
        coupon = self.new_coupons(template=template)
        uuid = str(uuid4())
        partner_id = partner.id if partner else False
        self.reserve(uuid, coupon)
        self.pay(uuid, coupon, partner_id=partner_id)
        return self.redemptions(coupon)

    def notices(self, redemption):
        return self.env["coupon.notice"].search(
            [("redemption_id", "in", redemption.ids)]
        )

    def send(self, notice):
        self.env.flush_all()
        self.assertTrue(notice._operation_begin())
        try:
            outcome = notice._operation_call()
        except UserError as error:
            outcome = error
        notice._operation_settle(outcome)


@tagged("post_install", "-at_install")
class TestNotice(NoticeCase):
    def test_nobody_asked(self):
        self.assertFalse(self.notices(self.use()))

    def test_by_email(self):
        self.template.notify_customer = True
        self.customer.email = "customer@example.com"
        redemption = self.use(partner=self.customer)
        notice = self.notices(redemption)
        self.assertEqual(notice.remote_state, "pending")
        self.send(notice)
        self.assertEqual((notice.remote_state, notice.way), ("done", "email"))
        mail = self.env["mail.mail"].search([("model", "=", redemption._name)])
        self.assertEqual(mail.recipient_ids, self.customer)
        self.assertIn("10.00", mail.body_html)
        self.assertNotIn("/wechat/coupon/feedback", mail.body_html)

    def test_without_address(self):
        self.template.notify_customer = True
        notice = self.notices(self.use(partner=self.customer))
        self.send(notice)
        self.assertEqual((notice.remote_state, notice.way), ("done", "none"))

    def test_unknown_customer(self):
        self.template.notify_customer = True
        self.assertFalse(self.notices(self.use()))

    def test_colleagues(self):
        self.template.notify_user_ids = [Command.set(self.manager.ids)]
        redemption = self.use()
        notice = self.notices(redemption)
        self.send(notice)
        self.assertEqual((notice.remote_state, notice.way), ("done", "inbox"))
        told = self.env["mail.message"].search(
            [("model", "=", redemption._name), ("res_id", "=", redemption.id)]
        )
        self.assertEqual(told.notified_partner_ids, self.manager.partner_id)

    def test_a_synced_again_order_tells_once(self):
        self.template.notify_user_ids = [Command.set(self.manager.ids)]
        redemption = self.use()
        redemption._tell()
        self.assertEqual(len(self.notices(redemption)), 1)

    @mute_logger("odoo.addons.wechat_coupon.models.coupon_redemption_notice")
    def test_a_failure_does_not_stop_the_order(self):
        self.template.notify_user_ids = [Command.set(self.manager.ids)]

        def broken(self, redemptions):
            raise ValueError("broken")

        self.patch(type(self.env["coupon.notice"]), "_make", broken)
        redemption = self.use()
        self.assertEqual(redemption.state, "redeemed")

    def test_rights(self):
        self.template.notify_user_ids = [Command.set(self.manager.ids)]
        notice = self.notices(self.use())
        notice.with_user(self.auditor).read(["way"])
        with self.assertRaises(AccessError):
            notice.with_user(self.cashier).read(["way"])
        with self.assertRaises(AccessError):
            notice.with_user(self.manager).write({"way": "none"})
        with self.assertRaises(AccessError):
            notice.with_user(self.auditor).action_retry()


@tagged("post_install", "-at_install")
class TestNoticeAtWechat(NoticeCase, SandboxCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        client = cls.account._get_client()
        cls.message = client.post(
            "template/api_add_template",
            data={"template_id_short": "TM1", "keyword_name_list": ["券", "时间"]},
        )["template_id"]
        cls.account.write(
            {
                "notice_template": cls.message,
                "notice_keys": "thing1=coupon\nthing2=saved",
            }
        )
        cls.template.write({"notify_customer": True, "ask_feedback": True})
        identities = cls.env["wechat.identity"]
        identity = identities._find_or_create(cls.account, cls.openid)
        identity.partner_id = cls.customer
        cls.sandbox.post(f"phone/{cls.openid}/subscribe", appid=cls.appid)

    def messages(self):
        return [
            row["body"]
            for row in self.sandbox.call("GET", "state")["messages"]
            if row["openid"] == self.openid
        ]

    def test_sent(self):
        before = len(self.messages())
        redemption = self.use(partner=self.customer)
        notice = self.notices(redemption)
        self.send(notice)
        self.assertEqual((notice.remote_state, notice.way), ("done", "wechat"))
        sent = self.messages()
        self.assertEqual(len(sent), before + 1)
        self.assertEqual(sent[-1]["data"]["thing1"]["value"], self.template.name)
        self.assertEqual(sent[-1]["data"]["thing2"]["value"], "10.00元")
        self.assertEqual(sent[-1]["url"], redemption._feedback_url())

    def test_an_answer_that_is_lost(self):
        """The same number goes out again; WeChat sends one message."""
        before = len(self.messages())
        notice = self.notices(self.use(partner=self.customer))
        self.fault("/cgi-bin/message/template/send", "timeout_after", seconds=0.1)
        self.send(notice)
        self.assertEqual(notice.remote_state, "unknown")
        self.assertEqual(notice._operation_query(), "not_done")
        self.send(notice)
        self.assertEqual(notice.remote_state, "done")
        self.assertEqual(len(self.messages()), before + 1)

    def test_too_late_to_send_again(self):
        notice = self.notices(self.use(partner=self.customer))
        self.fault("/cgi-bin/message/template/send", "timeout_after", seconds=0.1)
        self.send(notice)
        notice.first_sent_at = fields.Datetime.now() - timedelta(minutes=11)
        self.assertEqual(notice._operation_query(), ("done", {"way": "unsure"}))

    def test_refused(self):
        self.account.notice_template = "unknown"
        notice = self.notices(self.use(partner=self.customer))
        self.send(notice)
        self.assertEqual(notice.remote_state, "refused")
        self.assertIn("40037", notice.remote_error_code or notice.remote_error)

    def test_keywords(self):
        for text in ("thing1", "thing1=secret", "1=coupon"):
            with self.subTest(text=text), self.assertRaises(ValidationError):
                self.account.notice_keys = text


@tagged("post_install", "-at_install")
class TestFeedback(NoticeCase, HttpCase):
    def setUp(self):
        super().setUp()
        self.template.ask_feedback = True
        self.redemption = self.use(partner=self.customer)
        self.path = "/" + self.redemption._feedback_url().split("/", 3)[3]

    def test_receipt(self):
        order = self.redemption.pos_order_id
        self.assertEqual(order.wechat_feedback_url, self.redemption._feedback_url())
        self.template.ask_feedback = False
        order.invalidate_recordset(["wechat_feedback_url"])
        self.assertFalse(order.wechat_feedback_url)

    def test_page(self):
        page = self.url_open(self.path)
        self.assertEqual(page.status_code, 200)
        self.assertIn("/rate/", page.url)
        token = page.url.split("/rate/")[1].split("/")[0]
        self.assertEqual(self.url_open(self.path).url, page.url, "one rating each")
        self.url_open(
            f"/rate/{token}/submit_feedback",
            data={
                "rate": 3,
                "feedback": "排队太久",
                "csrf_token": self.csrf(page.text),
            },
        )
        self.redemption.invalidate_recordset()
        self.assertEqual(self.redemption.rating_last_value, 3)
        self.assertEqual(self.redemption.rating_last_feedback, "排队太久")
        rating = self.redemption.rating_ids
        self.assertEqual(rating.parent_res_name, self.template.name)
        self.assertEqual(rating.rated_partner_id, self.cashier.partner_id)

    def csrf(self, html):
        return html.split('name="csrf_token" value="')[1].split('"')[0]

    @mute_logger("odoo.http")
    def test_wrong_tokens(self):
        right = self.redemption._feedback_token()
        for path in (
            f"{self.redemption.id}/{right[:-1]}0x",
            f"{self.redemption.id}/%C3%A9",
            f"{self.redemption.id + 1}/{right}",
            f"{2**40}/{right}",
        ):
            with self.subTest(path=path):
                answer = self.url_open(f"/wechat/coupon/feedback/{path}")
                self.assertEqual(answer.status_code, 404)
        self.assertFalse(self.redemption.rating_ids)
