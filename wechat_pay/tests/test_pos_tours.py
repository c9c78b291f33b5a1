import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

from odoo import Command
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from odoo.addons.point_of_sale.tests.test_frontend import TestPointOfSaleHttpCommon
from odoo.addons.web.tests import test_js
from odoo.addons.wechat_base.tests.sandbox import Sandbox

from .. import const
from .common import MCHID, PayShop

PAYMENTS = "odoo.addons.wechat_pay.models.wechat_pay_transaction_payment"


@tagged("post_install", "-at_install")
class TestTillUnits(HttpCase):
    """The hoot tests of the till, alone: `static/tests/unit`."""

    def test_hoot(self):
        suite = test_js.HOOTCommon._generate_hash(self, "@wechat_pay")
        self.browser_js(
            f"/web/tests?headless&loglevel=2&preset=desktop&timeout=15000&id={suite}",
            "",
            "",
            login="admin",
            timeout=600,
            success_signal="[HOOT] Test suite succeeded",
            error_checker=test_js.unit_test_error_checker,
        )


class PhonePage(BaseHTTPRequestHandler):
    """Lets a tour do what customers and WeChat do: ``phone_<name>`` of the test."""

    def do_GET(self):
        parts = urlsplit(self.path)
        name = parts.path.strip("/")
        answer = getattr(self.server.test, f"phone_{name}")(
            **dict(parse_qsl(parts.query))
        )
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *args):
        """Payment codes are written nowhere."""


@tagged("post_install", "-at_install")
class TestTillTours(PayShop, TestPointOfSaleHttpCommon):
    """Whole stories of a cashier, in Chromium, with a customer at the sandbox."""

    @classmethod
    @TestPointOfSaleHttpCommon.setup_country("cn")
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("en_US")
        cls.env.user.lang = cls.pos_user.lang = "en_US"
        cls.sandbox = Sandbox()
        cls.addClassCleanup(cls.sandbox.close)
        cls.make_shop(cls._get_main_company())
        cls.main_pos_config.payment_method_ids = [Command.link(cls.method.id)]
        cls.env["product.product"].create(
            {
                "name": "Tea",
                "list_price": 60,
                "available_in_pos": True,
                "taxes_id": False,
            }
        )

    def setUp(self):
        super().setUp()
        self.phone_heal()
        self.sandbox.post("settings", refund_gap_seconds=0, auto_refund=True)
        self.codes, self.told = [], []
        # Who pays often has to enter the password: a new customer for each story.
        self.openid = self.sandbox.post("users", nickname="小林")["openid"]
        # The till asks every two seconds; WeChat may be asked as often here.
        self.startPatcher(patch.object(const, "QUERY_SECONDS", 1))

        self.phone = ThreadingHTTPServer(("127.0.0.1", 0), PhonePage)
        self.phone.test = self
        threading.Thread(target=self.phone.serve_forever, daemon=True).start()
        self.addCleanup(self.phone.server_close)
        self.addCleanup(self.phone.shutdown)

    def _run(self, tour):
        self.main_pos_config.with_user(self.pos_user).open_ui()
        url = f"http://127.0.0.1:{self.phone.server_port}"
        self.start_pos_tour(tour, timeout=180, cookies={"wechat_phone": url})

    # === THE CUSTOMER'S PHONE === #
    #
    # The tours ask for /<name>?<options>; see PhonePage.

    def phone_code(self, used=None):
        if used:
            return self.codes[-1]
        answer = self.sandbox.post(f"phone/{self.openid}/pay_code", new=True)
        self.codes.append(answer["auth_code"])
        return answer["auth_code"]

    def phone_ask_password(self):
        return self.ask_password()

    def phone_password(self, result):
        number = self._orders()[-1]["out_trade_no"]
        self.sandbox.post(f"pay/orders/{MCHID}/{number}/password", result=result)

    def phone_pay(self, tell="1"):
        """Pay the last QR code; WeChat tells it late, and perhaps twice."""
        path = f"pay/orders/{MCHID}/{self._orders()[-1]['out_trade_no']}"
        self.sandbox.post(f"{path}/pay", openid=self.openid, notify=False)
        self.told += [path] * int(tell)

    def phone_voucher(self, amount, name):
        self.sandbox.post(
            f"phone/{self.openid}/vouchers",
            type="NOCASH",
            amount=int(amount),
            name=name,
        )

    def phone_fault(self, kind, path="codepay", **options):
        for name in ("status", "commit", "seconds", "times"):
            if name in options:
                options[name] = int(options[name])
        if "commit" in options:
            options["commit"] = bool(options["commit"])
        if "code" in options:
            options["body"] = {"code": options.pop("code"), "message": "test"}
        vals = {"path": path, "kind": kind, "times": 1, **options}
        self.sandbox.call("POST", "faults", vals)

    def phone_heal(self):
        self.sandbox.call("DELETE", "faults")

    def phone_slow_refunds(self):
        self.sandbox.post("settings", auto_refund=False)

    def phone_quick_refunds(self):
        self.sandbox.post("settings", auto_refund=True)

    def phone_other_amount(self):
        """The row expects another amount than WeChat will report."""
        self._change_last("amount_fen = 5999")

    def phone_let_time_pass(self):
        """The customer has had time enough."""
        self._change_last("expires_at = expires_at - interval '10 minutes'")

    def _change_last(self, change):
        with self.registry.cursor() as cr:
            cr.execute(
                f"UPDATE wechat_pay_transaction SET {change} WHERE number = %s",
                [self._orders()[-1]["out_trade_no"]],
            )

    def _orders(self):
        return self.sandbox.call("GET", "state")["orders"]

    # === WHAT CAME OF IT === #

    def _payments(self, state="done"):
        return self.env["wechat.pay.transaction"].search(
            [
                ("kind", "=", "payment"),
                ("state", "=", state),
                ("pos_config_id", "=", self.main_pos_config.id),
            ]
        )

    def _assert_paid(self, count, rows=None):
        """Each order was charged once, and each charge belongs to an order."""
        rows = self._payments() if rows is None else rows
        self.assertEqual(rows.mapped("abandoned"), [False] * count)
        self.assertEqual(len(rows.pos_order_id), count)
        self.assertFalse(any(rows.pos_payment_id.mapped("wechat_unproven")))
        for row in rows:
            payment = row.pos_payment_id
            self.assertEqual(payment.transaction_id, row.remote_no)
            self.assertEqual(payment.payment_ref_no, row.number)
            self.assertEqual(payment.card_type, "WeChat Pay")
        taken = ("SUCCESS", "REFUND")
        remote = [o for o in self._orders() if o["trade_state"] in taken]
        numbers = {o["out_trade_no"] for o in remote}
        self.assertTrue(set(rows.mapped("number")) <= numbers)

    def test_story(self):
        self._run("WechatPayStory")
        # The other till's order is not finished.
        elsewhere = self._payments().filtered(lambda row: not row.pos_order_id)
        self.assertEqual(len(elsewhere), 1)
        self._assert_paid(3, self._payments() - elsewhere)
        self.assertEqual(len(self._payments("failed")), 2)

    def test_password(self):
        self._run("WechatPayPassword")
        self._assert_paid(3)
        self.assertEqual(len(self._payments("cancelled")), 2)

    @mute_logger(PAYMENTS)
    def test_faults(self):
        self._run("WechatPayFaults")
        self._assert_paid(4)
        self._assert_forced(self._payments("unknown"))
        self.assertEqual(len(self._payments("abnormal")), 1)
        reversed_orders = [o for o in self._orders() if o["trade_state"] == "REVOKED"]
        self.assertEqual(len(reversed_orders), 1)

    def _assert_forced(self, forced):
        """What the cashier has forced is kept, and confirmed when WeChat is asked."""
        self.assertEqual(forced.mapped("abandoned"), [False])
        payment = forced.pos_payment_id
        self.assertEqual(payment.pos_order_id.state, "paid")
        self.assertTrue(payment.wechat_unproven)
        self.assertFalse(payment.transaction_id)
        self.assertIn("Not confirmed by WeChat", payment.ticket)
        forced.sudo()._work(forced.id, "query")
        self.env.invalidate_all()
        self.assertEqual(forced.state, "done")
        self.assertFalse(payment.wechat_unproven)

    def test_too_late(self):
        self.startPatcher(patch.object(const, "CODE_SECONDS", 4))
        self._run("WechatPayTooLate")
        self._assert_paid(1)
        self.assertEqual(len(self._payments("cancelled")), 2)

    def test_qr(self):
        parameters = self.env["ir.config_parameter"]
        parameters.set_param("web.base.url", self.base_url())
        self.merchant.invalidate_recordset(["notify_url"])
        self._run("WechatPayQr")
        self._assert_paid(3)
        before = self._payments().mapped("write_date")
        with self.allow_requests(all_requests=True):
            for path in self.told:
                self.sandbox.post(f"{path}/notify")
            self.sandbox.post("callbacks/wait", timeout=10)
        events = self.env["wechat.event"].sudo().search([("state", "=", "pending")])
        self.assertEqual(len(events), 3)
        for event in events:
            event._process()
        self.assertEqual(self._payments().mapped("write_date"), before)
        self._assert_paid(3)

    def test_refund(self):
        self._run("WechatPayRefund")
        self._assert_paid(2)
        self.assertEqual(
            sorted(row.refunded_fen for row in self._payments()), [4000, 12000]
        )
        orders = self.env["pos.order"].search([("amount_total", "<", 0)])
        self.assertEqual(set(orders.mapped("state")), {"paid"})
        self.assertEqual(sum(orders.mapped("amount_total")), -180)
        refunds = orders.payment_ids.filtered(
            lambda payment: payment.payment_method_id == self.method
        )
        self.assertEqual(sum(refunds.mapped("amount")), -160)
        self.assertFalse(any(refunds.mapped("wechat_unproven")))
