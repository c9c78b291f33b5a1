"""The same cases for every channel: a new one is one file plus its kit."""

import time
from unittest.mock import patch
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import UserError

from odoo.addons.wechat_base.tests.common import APIV3_KEY, make_keys
from odoo.addons.wechat_coupon import const

from .common import LOGO_URL, SandboxCase

MCHID = "1900008801"
BRAND = "1203440001"
# One point.
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)
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
    #: path of the call that gives a used coupon back; none where it is replaced
    return_path = None
    #: path of the call that puts a coupon into a wallet; none where people take it
    send_path = None
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

    def order_vals(self, uuid):
        """Pay for an order as the channel needs it; values of the order."""
        return {}

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
        self.assertTrue(row._operation_begin(), (row.remote_state, row.remote_error))
        row._operation_settle(self.outside(row, "_operation_call"))

    def give_back(self, redemption):
        """Refund the whole order of a redemption at the till."""
        order = redemption.pos_order_id
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
                }
            )
            for line in order.lines
        ]
        total = -order.amount_total
        data.update(amount_total=total, amount_paid=total, amount_tax=-order.amount_tax)
        data["payment_ids"][0][2]["amount"] = total
        self.env["pos.order"].with_user(self.cashier).sync_from_ui([data])

    def coupon_of(self, code):
        return self.scan(code)

    def sell(self, coupon):
        """Reserve and pay; return the redemption."""
        uuid = str(uuid4())
        answer = self.reserve(uuid, coupon)
        self.assertTrue(answer["ok"], answer)
        self.pay(uuid, coupon, **self.order_vals(uuid))
        return self.redemptions(coupon, "redeemed")

    def write_off(self, redemption):
        for _attempt in range(8):
            if redemption.remote_state in ("none", "done", "refused", "cancelled"):
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
                template = self.make_offer(title=f"缺了{len(name)}")
                before = self.remote_templates()
                self.fault(self.publish_path, times=self.sends, **fault)
                self.publish(template)
                task = self.tasks(template).filtered(lambda t: t.kind == "publish")
                self.assertEqual(task.remote_state, "done", task.remote_error)
                self.assertEqual(self.remote_templates(), before + 1)
                self.sandbox.call("DELETE", "faults")

    def remote_templates(self):
        return 0

    def before_sending(self):
        """Let time go by, if the channel needs that before it gives coupons."""

    def tell_of(self, code):
        """Have the channel report a coupon that it gave by our order."""

    def test_kit_given_to_customers(self):
        """A hand-out: one for each whom the channel knows, also without an answer."""
        known, stranger = self.env["res.partner"].create(
            [{"name": "Known"}, {"name": "Stranger"}]
        )
        if self.model._is_remote:
            identities = self.env["wechat.identity"]
            identity = identities._find_or_create(self.account, self.openid)
            identity.partner_id = known
        handout = self.env["coupon.handout"].with_user(self.manager)
        handout = handout.create(
            {
                "template_id": self.offer.id,
                "partner_ids": [Command.set((known + stranger).ids)],
            }
        )
        if self.model._is_remote and not self.send_path:
            with self.assertRaisesRegex(UserError, "themselves"):
                handout.action_start()
            return
        handout.action_start()
        self.before_sending()
        if self.send_path:
            fault = self.faults["cut after it was done"]
            self.fault(self.send_path, times=self.sends, **fault)
        handout.sudo()._hand_out_chunk()
        self.work_off(self.offer)
        issues = handout.sudo().issue_ids.grouped("partner_id")
        if not self.send_path:
            self.assertTrue(all(row.coupon_id for row in issues.values()))
            return
        self.assertIn("does not know", issues[stranger].problem)
        self.check_given(issues[known])

    def check_given(self, issue):
        """One number, one coupon, and we know whose it is."""
        task = self.env["coupon.task"].search([("issue_id", "=", issue.id)])
        self.assertEqual((len(task), task.remote_state), (1, "done"), task.remote_error)
        self.assertEqual(task.remote_attempts, 2)
        own = {"code": issue.code} if self.offer.code_mode == "send" else {}
        again = self.model._send(self.offer, self.openid, task.request_no, **own)
        self.assertEqual(again, issue.code)
        self.tell_of(issue.code)
        self.assertEqual(issue.coupon_id.code, issue.code)

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
        if self.model._in_payment:
            with self.assertRaisesRegex(UserError, "no way"):
                coupon.with_user(self.manager)._wechat_void("lost")
            self.assertEqual(coupon.wechat_state, "usable")
            return
        coupon.with_user(self.manager)._wechat_void("lost")
        self.work_off(self.offer)
        if self.model._is_remote:
            task = self.tasks(self.offer).filtered(lambda t: t.kind == "void")
            self.assertEqual(task.remote_state, "done", task.remote_error)
        answer = self.reserve(str(uuid4()), coupon)
        self.assertEqual(self.refusal_codes(answer), ["void"])

    def usable_after_return(self, redemption):
        """Return the coupon that the customer has after a full refund."""
        return redemption.replacement_id or redemption.coupon_id

    def test_kit_returned(self):
        """After a full refund the customer has a good coupon, and one only."""
        if self.model._in_payment:
            self.skipTest("WeChat gives it back inside the refund of the payment")
        coupon = self.coupon_of(self.hand_out(self.offer))
        redemption = self.sell(coupon)
        self.write_off(redemption)
        self.give_back(redemption)
        self.work_off(self.offer)
        self.assertEqual(redemption.state, "returned")
        self.assertFalse(redemption.needs_attention, redemption.reason)
        found = self.usable_after_return(redemption)
        self.assertEqual(found.wechat_state, "usable")
        if found == coupon:
            self.assertIn(self.remote_uses(coupon.code), (None, 0))
        else:
            answer = self.reserve(str(uuid4()), coupon)
            self.assertEqual(self.refusal_codes(answer), ["used"])
            self.assertEqual(found.wechat_replaces_id, coupon)
        again = self.sell(found)
        self.write_off(again)
        self.assertIn(again.remote_state, ("done", "none"))
        self.assertFalse(again.needs_attention)

    def test_kit_returned_before_it_was_written_off(self):
        """What WeChat never heard of is not given back there."""
        if self.model._in_payment:
            self.skipTest("WeChat gives it back inside the refund of the payment")
        coupon = self.coupon_of(self.hand_out(self.offer))
        redemption = self.sell(coupon)
        self.give_back(redemption)
        self.write_off(redemption)
        self.work_off(self.offer)
        self.assertEqual(redemption.state, "returned")
        self.assertFalse(redemption.return_task_ids)
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertIn(self.remote_uses(coupon.code), (None, 0))
        self.write_off(self.sell(coupon))
        self.assertIn(self.remote_uses(coupon.code), (None, 1))

    def test_kit_returned_without_an_answer(self):
        """Whatever goes wrong: given back once, with one number."""
        if not self.return_path:
            self.skipTest("the channel takes nothing back")
        for name, fault in self.faults.items():
            with self.subTest(name):
                openid = self.sandbox.post("users", nickname=name)["openid"]
                coupon = self.coupon_of(self.hand_out(self.offer, openid))
                redemption = self.sell(coupon)
                self.write_off(redemption)
                self.give_back(redemption)
                number = redemption.return_task_ids.request_no
                self.fault(self.return_path, times=self.sends, **fault)
                self.work_off(self.offer)
                task = redemption.return_task_ids
                self.assertEqual(task.remote_state, "done", task.remote_error)
                self.assertEqual(task.request_no, number)
                self.assertEqual(coupon.wechat_state, "usable")
                self.assertEqual(self.remote_uses(coupon.code), 0)
                self.sandbox.call("DELETE", "faults")

    def test_kit_unknown_code(self):
        answer = self.till.wechat_coupon_lookup("NOSUCHCODE1", "u1", False, False)
        self.assertEqual((answer["ok"], answer["code"]), (False, "unknown_code"))

    def test_kit_released(self):
        """An order that comes to nothing leaves no trace."""
        if self.model._in_payment:
            self.skipTest("WeChat takes it off by itself; no order holds it")
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

    def test_kit_wechat_is_slow(self):
        """A queue waits: the till gives up long before the channel's client does."""
        if not self.model._asks_before_reserve:
            self.skipTest("nobody is asked")
        coupon = self.coupon_of(self.hand_out(self.offer))
        self.fault("/", "delay", times=99, seconds=3)
        began = time.monotonic()
        with patch.object(const, "TILL_TIMEOUT", 0.5):
            answer = self.reserve("u1", coupon)
        self.assertLess(time.monotonic() - began, 2.5)
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
        self.sell(coupon)


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
        record._process()
        return record

    @staticmethod
    def now():
        moment = fields.Datetime.now()
        return moment.isoformat(timespec="seconds") + "+00:00"

    @staticmethod
    def beijing(seconds=None):
        stamp = time.gmtime((seconds or time.time()) + 8 * 3600)
        return time.strftime("%Y-%m-%dT%H:%M:%S+08:00", stamp)


class PayingCase(PayChannelCase):
    """Customers of the till pay with WeChat."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.method = cls.env["pos.payment.method"].create(
            {
                "name": "WeChat Pay",
                "journal_id": cls.config.payment_method_ids.journal_id.id,
                "company_id": cls.company.id,
                "payment_method_type": "terminal",
                "use_payment_terminal": "wechat_pay",
                "wechat_merchant_id": cls.merchant.id,
            }
        )
        cls.config.payment_method_ids |= cls.method
        cls.config.open_ui()
        cls.config.current_session_id.set_opening_control(0, None)
        # One customer pays all day long, and is not asked for the password.
        cls.sandbox.post("settings", free_payments=None, ask_password=False)
        cls.env.flush_all()

    def charge(self, uuid, fen=9000, line=None):
        """The customer pays by code; what the till is told."""
        code = self.sandbox.post(f"phone/{self.openid}/pay_code", new=True)
        self.env.flush_all()
        answer = self.method.with_user(self.cashier).wechat_pay_start(
            {
                "config": self.config.id,
                "order": uuid,
                "line": line or str(uuid4()),
                "name": "0001",
                "amount": fen,
                "total": fen,
                "way": "codepay",
                "code": code["auth_code"],
            }
        )
        self.env.invalidate_all()
        return answer

    def transaction(self, uuid):
        return self.env["wechat.pay.transaction"].search(
            [("pos_order_uuid", "=", uuid)], limit=1
        )

    def payment_of(self, uuid, fen=9000):
        line = str(uuid4())
        answer = self.charge(uuid, fen, line)
        self.assertEqual(answer["state"], "done", answer)
        payment = {
            "uuid": line,
            "name": fields.Datetime.to_string(fields.Datetime.now()),
            "amount": fen / 100,
            "payment_method_id": self.method.id,
            "payment_status": "done",
        }
        return {"payment_ids": [Command.create(payment)]}


class ProductKit(ChannelKit, PayingCase):
    """Product coupons: whoever uses one pays with WeChat."""

    channel = "product_coupon"
    #: who signs: the brand itself, or a merchant for it
    door = None
    sends = 2
    write_off_path = "/use$"
    return_path = "/return$"
    publish_path = "/product-coupons$"
    send_path = "/users/[^/]+/coupons$"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        known = cls.tell_brand()
        cls.brand = cls.env["wechat.merchant"].create(
            {
                "name": "Brand",
                "kind": "brand",
                "mchid": BRAND,
                "company_id": cls.company.id,
                "account_ids": [Command.set(cls.account.ids)],
                "apiv3_key": APIV3_KEY,
                "private_key": make_keys("brand").private_pem,
                "certificate": make_keys("brand").certificate_pem,
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
    def tell_brand(cls, **vals):
        return cls.sandbox.post(
            "brands",
            brand_id=BRAND,
            appids=[cls.appid],
            providers=[MCHID],
            apiv3_key=APIV3_KEY,
            merchant_cert_pem=make_keys("brand").certificate_pem,
            **vals,
        )

    def setUp(self):
        self.sandbox.post(
            "settings", product_review="pass", product_event_prefix="door"
        )
        super().setUp()

    def offer_vals(self):
        return {
            **super().offer_vals(),
            "logo_url": False,
            "logo": PICTURE,
            **self.door_vals(),
        }

    def door_vals(self):
        if self.door == "brand":
            return {"merchant_id": self.brand.id}
        return {"brand_no": BRAND}

    @property
    def prefix(self):
        return "product_coupon" if self.door == "brand" else "product_coupon_sp"

    def order_vals(self, uuid):
        return self.payment_of(uuid)

    # === CLAIMING === #

    def claim(self, template, openid=None, **vals):
        """Somebody claims on the phone; what WeChat says of the coupons."""
        what = "stock_bundle_id" if template.bundle_count else "stock_id"
        vals = vals or {what: template.remote_id}
        openid = openid or self.openid
        return self.sandbox.post(f"phone/{openid}/product/claim", **vals)

    def payload(self, shown, template=None, openid=None):
        """What every notice says of a coupon that WeChat shows."""
        template = template or self.offer
        bundle = shown.get("user_product_coupon_bundle_info") or {}
        numbers = {}
        if bundle:
            numbers["stock_bundle_id"] = template.remote_id
            numbers["user_coupon_bundle_id"] = bundle["user_coupon_bundle_id"]
        return {
            "brand_id": BRAND,
            "coupon_code": shown["coupon_code"],
            "product_coupon_id": template.product_coupon_no,
            "stock_id": shown["stock"]["stock_id"],
            **numbers,
            "appid": self.appid,
            "openid": openid or self.openid,
        }

    def send_payload(self, template, shown, openid=None):
        names = (
            "receive_time",
            "send_request_no",
            "send_channel",
            "valid_begin_time",
            "valid_end_time",
        )
        return {
            **self.payload(shown, template, openid),
            **{name: shown[name] for name in names},
        }

    def sent(self, template, shown, openid=None, **vals):
        """Report the receipt of a coupon, as WeChat does."""
        payload = self.send_payload(template, shown, openid)
        return self.event_of("send", {**payload, **vals})

    def use_payload(self, coupon, number):
        shown = self.at_wechat(coupon.code)
        return {
            **self.payload(shown),
            "use_request_no": number,
            "use_time": self.beijing(),
        }

    @staticmethod
    def clock(seconds):
        return time.time() + seconds

    def event_of(self, kind, payload):
        return self.notice(f"{self.prefix}.{kind}", payload)

    def notice(self, event, payload):
        """Reported to whoever signs."""
        events = self.env["wechat.event"]
        owner = self.brand if self.door == "brand" else self.merchant
        events._receive("pay", owner.id, self.company.id, str(uuid4()), event, payload)
        record = events.search([], order="id desc", limit=1)
        record._process()
        return record

    def card(self, code):
        return self.env["loyalty.card"]._wechat_find(code)

    # === WHAT THE CHANNEL SAYS === #

    def remote_templates(self):
        return len(self.sandbox.call("GET", "product/coupons"))

    def hand_out(self, template, openid=None):
        shown = self.claim(template, openid)[0]
        self.sent(template, shown, openid)
        self.work_off(template)
        return shown["coupon_code"]

    def tell_of(self, code):
        held = self.sandbox.call("GET", f"phone/{self.openid}/product/coupons")
        shown = next(one for one in held if one["coupon_code"] == code)
        self.sent(self.offer, shown)

    def at_wechat(self, code):
        owner = self.card(code).wechat_openid
        held = self.sandbox.call("GET", f"phone/{owner}/product/coupons")
        return next(one for one in held if one["coupon_code"] == code)

    def remote_uses(self, code):
        return int(self.at_wechat(code)["coupon_state"] == "USED")

    def use_elsewhere(self, code, number=None):
        payment = self.paid_at_wechat()
        return self.model._do(
            self.card(code),
            "use",
            number or uuid4().hex,
            use_time=self.beijing(),
            associated_order_info=payment,
        )

    # === PAYING === #

    def paid_at_wechat(self):
        """An order that somebody has paid with WeChat; how the use names it."""
        uuid = str(uuid4())
        self.charge(uuid)
        return {"transaction_id": self.transaction(uuid).remote_no}
