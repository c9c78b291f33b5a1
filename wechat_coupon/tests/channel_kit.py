"""The same cases for every channel: a new one is one file plus its kit."""

import time
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import UserError

from odoo.addons.wechat_base.tests.common import APIV3_KEY, make_keys

from .common import LOGO_URL, SandboxCase

MCHID = "1900008801"
APIV2_KEY = "2abcdefghijklmnopqrstuvwxyz01234"
FAULTS = {
    "cut before it is sent": {"kind": "timeout_before", "seconds": 0.1},
    "cut after it was done": {"kind": "timeout_after", "seconds": 0.1},
    "5xx": {"kind": "http_status", "status": 503},
    "5xx after it was done": {"kind": "http_status", "status": 500, "commit": True},
    "429": {"kind": "http_status", "status": 429},
    "slow": {"kind": "delay", "seconds": 1},
}


class ChannelKit:
    """Cases that every channel passes; a mixin of :class:`SandboxCase`.

    A channel says how its coupons come into being, and what WeChat knows of them.
    """

    # Odoo runs only what stands in the class itself, unless told so.
    allow_inherited_tests_method = True
    channel = None
    #: path of the call that writes a coupon off; none where nothing is written off
    write_off_path = None
    #: path of the call that makes the template at the channel
    publish_path = None
    #: how often the channel's client sends one attempt, by the backup address
    sends = 1
    faults = FAULTS

    def setUp(self):
        super().setUp()
        self.offer = self.make_offer()
        self.publish(self.offer)

    # === WHAT A CHANNEL SAYS === #

    def hand_out(self, template, openid=None):
        """Have somebody receive a coupon; return its code."""
        return template._generate(1).code

    def remote_uses(self, code):
        """How often the channel has seen the coupon used; ``None`` if it keeps none."""
        return None

    def use_elsewhere(self, code):
        """Use a coupon at the channel, past us."""
        raise NotImplementedError()

    # === STEPS === #

    def make_offer(self, **vals):
        return self.new_template(
            publish=False,
            **{
                "name": "满100减10",
                "channel": self.channel,
                "title": "满100减10",
                "brand_name": "测试商店",
                "notice": "请出示给收银员",
                "description": "每单限用一张",
                **self.offer_vals(),
                **vals,
            },
        )

    def publish(self, template):
        template.with_user(self.manager).action_publish()
        self.work_off(template)

    @property
    def model(self):
        return self.env[f"coupon.channel.{self.channel}"]

    def work_off(self, template):
        """Do all that is ordered at the channel, as its drain does."""
        for _round in range(6):
            tasks = self.tasks(template).filtered(
                lambda task: task.remote_state in ("pending", "unknown")
            )
            if not tasks:
                break
            for task in tasks.sorted("id"):
                self.attempt(task)
        self.env.invalidate_all()

    def attempt(self, row):
        """One step of the drain with a row: ask if need be, then send."""
        self.env.flush_all()
        if row.remote_state == "unknown":
            found = self.outside(row, "_operation_query")
            outcome, vals = found if isinstance(found, tuple) else (found, {})
            if outcome == "done":
                row._operation_settle(vals)
                return
        self.assertTrue(row._operation_begin())
        row._operation_settle(self.outside(row, "_operation_call"))

    def coupon_of(self, code):
        return self.scan(code)

    def sell(self, coupon):
        """Reserve and pay; return the redemption."""
        uuid = str(uuid4())
        answer = self.reserve(uuid, coupon)
        self.assertTrue(answer["ok"], answer)
        self.pay(uuid, coupon)
        return self.redemptions(coupon, "redeemed")

    def write_off(self, redemption):
        for _attempt in range(8):
            if redemption.remote_state in ("none", "done", "refused"):
                break
            self.attempt(redemption)

    # === CASES === #

    def test_kit_published(self):
        self.assertEqual(self.offer.state, "live", self.offer.state_reason)
        self.assertEqual(bool(self.offer.remote_id), self.model._is_remote)
        self.assertTrue(self.offer.program_id.active)

    def test_kit_publishing_without_an_answer(self):
        """However the answer is lost: one template at the channel, one number."""
        if not self.publish_path:
            self.skipTest("nobody else is told")
        for name, fault in self.faults.items():
            with self.subTest(name):
                template = self.make_offer(title=f"缺{len(name)}")
                before = self.remote_templates()
                self.fault(self.publish_path, times=self.sends, **fault)
                self.publish(template)
                task = self.tasks(template).filtered(lambda t: t.kind == "publish")
                self.assertEqual(task.remote_state, "done", task.remote_error)
                self.assertEqual(self.remote_templates(), before + 1)
                self.sandbox.call("DELETE", "faults")

    def remote_templates(self):
        return 0

    def test_kit_used_once(self):
        coupon = self.coupon_of(self.hand_out(self.offer))
        redemption = self.sell(coupon)
        number = redemption.request_no
        self.write_off(redemption)
        self.assertIn(redemption.remote_state, ("done", "none"))
        self.assertEqual(redemption.request_no, number)
        self.assertIn(self.remote_uses(coupon.code), (None, 1))
        answer = self.reserve(str(uuid4()), coupon)
        self.assertEqual(self.refusal_codes(answer), ["used"])
        # The order comes once more: nothing changes.
        self.assertEqual(len(self.redemptions(coupon)), 1)
        self.assertEqual(redemption.discount_fen, 1000)

    def test_kit_write_off_without_an_answer(self):
        """Whatever goes wrong: used once, with one number, on both sides."""
        if not self.write_off_path:
            self.skipTest("nobody else is told")
        for name, fault in self.faults.items():
            with self.subTest(name):
                openid = self.sandbox.post("users", nickname=name)["openid"]
                coupon = self.coupon_of(self.hand_out(self.offer, openid))
                redemption = self.sell(coupon)
                number = redemption.request_no
                self.fault(self.write_off_path, times=self.sends, **fault)
                self.write_off(redemption)
                self.assertEqual(
                    redemption.remote_state, "done", redemption.remote_error
                )
                self.assertEqual(redemption.request_no, number)
                self.assertEqual(self.remote_uses(coupon.code), 1)
                self.assertFalse(redemption.needs_attention)
                self.sandbox.call("DELETE", "faults")

    def test_kit_used_elsewhere(self):
        if not self.model._asks_before_reserve:
            self.skipTest("nobody else can use it")
        coupon = self.coupon_of(self.hand_out(self.offer))
        self.use_elsewhere(coupon.code)
        answer = self.reserve(str(uuid4()), coupon)
        self.assertEqual(self.refusal_codes(answer), ["used"])
        self.assertTrue(coupon.wechat_used_outside)

    def test_kit_used_elsewhere_after_it_was_reserved(self):
        """WeChat's no stays on the worklist; the order is saved."""
        if not self.write_off_path:
            self.skipTest("nobody else is told")
        coupon = self.coupon_of(self.hand_out(self.offer))
        redemption = self.sell(coupon)
        self.use_elsewhere(coupon.code)
        self.write_off(redemption)
        self.assertEqual(redemption.remote_state, "refused")
        self.assertTrue(redemption.needs_attention)
        self.assertEqual(self.remote_uses(coupon.code), 1)

    def test_kit_made_invalid(self):
        coupon = self.coupon_of(self.hand_out(self.offer))
        coupon.with_user(self.manager)._wechat_void("lost")
        self.work_off(self.offer)
        if self.model._is_remote:
            task = self.tasks(self.offer).filtered(lambda t: t.kind == "void")
            self.assertEqual(task.remote_state, "done", task.remote_error)
        answer = self.reserve(str(uuid4()), coupon)
        self.assertEqual(self.refusal_codes(answer), ["void"])

    def test_kit_unknown_code(self):
        answer = self.till.wechat_coupon_lookup("NOSUCHCODE1", "u1", False, False)
        self.assertEqual((answer["ok"], answer["code"]), (False, "unknown_code"))

    def test_kit_released(self):
        """An order that comes to nothing leaves no trace."""
        coupon = self.coupon_of(self.hand_out(self.offer))
        self.assertTrue(self.reserve("u1", coupon)["ok"])
        self.till.wechat_coupon_release("u1")
        self.assertIn(self.remote_uses(coupon.code), (None, 0))
        self.assertTrue(self.reserve("u2", coupon)["ok"])

    def test_kit_wechat_is_down(self):
        if not self.model._asks_before_reserve:
            self.skipTest("nobody is asked")
        coupon = self.coupon_of(self.hand_out(self.offer))
        self.fault("/", "http_status", times=99, status=503)
        answer = self.reserve("u1", coupon)
        self.assertEqual(self.refusal_codes(answer), ["remote_unavailable"])
        self.assertFalse(self.redemptions(coupon))

    def test_kit_ended(self):
        """No more are handed out; those that customers hold stay good."""
        coupon = self.coupon_of(self.hand_out(self.offer))
        self.offer.with_user(self.manager).action_end()
        self.work_off(self.offer)
        ends = self.tasks(self.offer).filtered(lambda task: task.kind == "end")
        self.assertIn(ends.mapped("remote_state"), ([], ["done"]))
        self.assertEqual(self.offer.state, "ended")
        self.assertTrue(self.reserve("u1", coupon)["ok"])


class PayChannelCase(SandboxCase):
    """The shop with a WeChat Pay merchant at the sandbox."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        known = cls.tell_merchant()
        cls.merchant = cls.env["wechat.merchant"].create(
            {
                "name": "Shop",
                "mchid": MCHID,
                "company_id": cls.company.id,
                "account_ids": [Command.set(cls.account.ids)],
                "apiv3_key": APIV3_KEY,
                "apiv2_key": APIV2_KEY,
                "private_key": make_keys("merchant").private_pem,
                "certificate": make_keys("merchant").certificate_pem,
                "environment": "sandbox",
                "sandbox_url": cls.sandbox.url,
                "key_ids": [
                    Command.create(
                        {
                            "kind": "public_key",
                            "serial": known["public_key_id"],
                            "pem": known["public_key_pem"],
                        }
                    )
                ],
            }
        )
        cls.env.flush_all()

    @classmethod
    def tell_merchant(cls, **vals):
        return cls.sandbox.post(
            "merchants",
            mchid=MCHID,
            appids=[cls.appid],
            apiv3_key=APIV3_KEY,
            apiv2_key=APIV2_KEY,
            merchant_cert_pem=make_keys("merchant").certificate_pem,
            **vals,
        )

    def offer_vals(self):
        return {
            "account_id": self.account.id,
            "merchant_id": self.merchant.id,
            "stock": 100,
            "get_limit": 60,
            "logo_url": LOGO_URL,
        }

    def notice(self, event, payload):
        """Put a notice of WeChat Pay into the inbox and process it."""
        events = self.env["wechat.event"]
        events._receive(
            "pay", self.merchant.id, self.company.id, str(uuid4()), event, payload
        )
        record = events.search([], order="id desc", limit=1)
        try:
            record._process()
        except UserError:
            return record
        return record

    @staticmethod
    def now():
        moment = fields.Datetime.now()
        return moment.isoformat(timespec="seconds") + "+00:00"

    @staticmethod
    def beijing(seconds=None):
        stamp = time.gmtime((seconds or time.time()) + 8 * 3600)
        return time.strftime("%Y-%m-%dT%H:%M:%S+08:00", stamp)
