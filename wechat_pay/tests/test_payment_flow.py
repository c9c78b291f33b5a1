import json
from html import unescape
from urllib.parse import parse_qs, urlsplit

from odoo.tests import JsonRpcException, tagged
from odoo.tools import mute_logger

from .http_common import DESKTOP, PHONE, WECHAT, WebCase

NATIVE = "/v3/pay/transactions/native"
JSAPI = "/v3/pay/transactions/jsapi"
RPC_LOG = "odoo.http"


@tagged("post_install", "-at_install")
class TestDesktop(WebCase):
    """A QR code in a browser."""

    def test_from_odoos_payment_form_to_the_page(self):
        """What Odoo's form sends leads to our page."""
        tx = self.make_tx()
        form = tx._get_processing_values()["redirect_form_html"]
        self.assertIn(f'action="/payment/wechat_pay/{tx.id}"', form)
        self.assertIn(f'value="{tx._wechat_token()}"', form)
        self.assertEqual(tx.state, "draft")
        self.assertFalse(self.rows(tx))

    def test_paid_on_the_phone_and_told(self):
        tx = self.invoice_tx()
        page = self.open_page(tx)
        self.assertEqual(page.status_code, 200)
        row = self.rows(tx)
        self.assertEqual(
            (row.state, row.way, row.amount_fen), ("waiting", "native", 1234)
        )
        self.assertEqual(
            self.shown(page),
            {"state": "payable", "way": "native", "number": row.number, "jsapi": ""},
        )
        self.assertIn("data:image/png;base64,", page.text)
        self.assertEqual(page.headers["Cache-Control"], "no-store")
        self.assertEqual(self.ask(tx)["state"], "payable")
        events = self.pay(row.number, notify=True)
        self.assertEqual(events.mapped("state"), ["done"])
        self.assertEqual((tx.state, row.state), ("done", "done"))
        self.assertEqual(tx.provider_reference, row.remote_no)
        self.assertEqual(self.ask(tx)["state"], "paid")
        tx._post_process()
        self.assertEqual(tx.invoice_ids.amount_residual, 0)
        self.assertEqual(tx.payment_id.journal_id, self.merchant.journal_id)
        # Twice told: nothing changes.
        again = f"pay/orders/{self.merchant.mchid}/{row.number}/notify"
        with self.allow_requests(all_requests=True):
            self.sandbox.post(again)
            self.sandbox.post("callbacks/wait", timeout=10)
        self.process_events()
        self.assertEqual((tx.state, len(self.rows(tx).refund_ids)), ("done", 0))
        # The page says so to whoever has the link, and leads the customer on.
        page = self.open_page(tx, allow_redirects=False)
        self.assertEqual(self.shown(page)["state"], "paid")
        self.assertNotIn(tx.reference, self.url_open("/payment/status").text)
        self.begin(tx)
        answer = self.open_page(tx, allow_redirects=False)
        self.assertEqual(answer.headers["Location"], "/payment/status")
        self.assertIn(tx.reference, self.url_open("/payment/status").text)

    def test_paid_with_the_sandboxs_phone_without_a_notice(self):
        """No callback arrives: the page's questions find out."""
        tx = self.make_tx()
        self.open_page(tx)
        row = self.rows(tx)
        self.scan(row.number)
        self.later(row)
        self.assertEqual(self.ask(tx)["state"], "paid")
        self.assertEqual(tx.state, "done")

    def test_wechat_is_not_asked_all_the_time(self):
        tx = self.make_tx()
        self.open_page(tx)
        row = self.rows(tx)
        path = f"/v3/pay/transactions/out-trade-no/{row.number}"
        self.later(row)
        for _poll in range(4):
            self.ask(tx)
        self.assertEqual(self.count(path), 1)

    def test_i_have_paid(self):
        tx = self.make_tx()
        self.open_page(tx)
        row = self.rows(tx)
        self.scan(row.number)
        row.write({"sent_at": self.seconds_ago(2), "queried_at": self.seconds_ago(2)})
        self.assertEqual(self.ask(tx)["state"], "payable")
        self.assertEqual(self.ask(tx, now=True)["state"], "paid")

    def test_reload_and_a_second_tab_show_the_same_order(self):
        tx = self.make_tx()
        before = self.count(NATIVE)
        first = self.shown(self.open_page(tx))
        second = self.shown(self.open_page(tx))
        self.browse_as(DESKTOP)
        third = self.shown(self.open_page(tx))
        self.assertEqual(first, second)
        self.assertEqual(first, third)
        self.assertEqual(self.count(NATIVE), before + 1)

    def test_expired_and_tried_again(self):
        tx = self.make_tx()
        number = self.shown(self.open_page(tx))["number"]
        row = self.rows(tx)
        self.let_time_pass(row)
        page = self.open_page(tx)
        self.assertEqual(self.shown(page)["state"], "ended")
        self.assertIn("The time to pay is over", page.text)
        self.assertEqual(self.remote(number)["trade_state"], "CLOSED")
        self.assertEqual(tx.state, "error")
        # A reload opens nothing, "Try again" does.
        self.assertEqual(self.shown(self.open_page(tx))["number"], number)
        again = self.ask(tx, "retry", way="native")
        self.assertEqual(again["state"], "payable")
        self.assertNotEqual(again["number"], number)
        self.assertEqual(self.shown(self.open_page(tx))["number"], again["number"])
        self.pay(again["number"], notify=True)
        self.assertEqual(tx.state, "done")

    def test_expired_without_a_browser(self):
        """A job closes the order, and Odoo's payment follows."""
        tx = self.make_tx()
        self.open_page(tx)
        self.let_time_pass(self.rows(tx))
        self.drain()
        self.assertEqual((self.rows(tx).state, tx.state), ("cancelled", "error"))

    def test_cancelled(self):
        tx = self.make_tx()
        number = self.shown(self.open_page(tx))["number"]
        self.assertEqual(self.ask(tx, "cancel")["state"], "over")
        self.assertEqual(tx.state, "cancel")
        self.assertEqual(self.remote(number)["trade_state"], "CLOSED")
        page = self.open_page(tx, allow_redirects=False)
        self.assertEqual(self.shown(page)["state"], "problem")
        self.assertIn("was cancelled", page.text)
        self.begin(tx)
        answer = self.open_page(tx, allow_redirects=False)
        self.assertEqual(answer.headers["Location"], "/payment/status")

    def test_way_on_leads_nowhere_else(self):
        """Odoo's status page goes where the browser has asked for."""
        for route in (
            "javascript:alert(1)",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/x y",
            "\t/x",
            "x",
        ):
            with self.subTest(route):
                tx = self.make_tx(landing_route=route)
                self.assertEqual(tx.landing_route, "/payment/status")
        route = "/my/orders/1?access_token=1&message=sign_ok#pay"
        self.assertEqual(self.make_tx(landing_route=route).landing_route, route)

    @mute_logger("odoo.addons.wechat_pay.controllers.main")
    def test_yuan_only(self):
        """Odoo offers the provider for yuan only, and does not insist on it."""
        dollar = self.env.ref("base.USD")
        dollar.active = True
        tx = self.make_tx(currency_id=dollar.id)
        page = self.open_page(tx)
        self.assertEqual(self.shown(page)["state"], "problem")
        self.assertFalse(self.rows(tx))
        self.ask(tx, "retry")
        self.assertFalse(self.rows(tx))

    @mute_logger("odoo.addons.wechat_pay.models.payment_transaction")
    def test_another_amount_after_an_error(self):
        """Odoo compares amounts only before the first error."""
        tx = self.make_tx()
        self.open_page(tx)
        row = self.rows(tx)
        for state in ("error", "cancel", "draft"):
            tx.state = state
            tx._process(
                "wechat_pay",
                {"reference": tx.reference, "state": "done", "amount_fen": 1233},
            )
            self.assertEqual(tx.state, "error", state)
        tx.amount = 99
        self.pay(row.number, notify=True)
        self.assertEqual((tx.state, row.state), ("error", "done"))
        self.assertEqual((row.needs_help, row.error_code), (True, "mismatch"))

    def test_play_money_is_not_for_strangers(self):
        self.provider.is_published = False
        tx = self.make_tx()
        self.assertEqual(self.open_page(tx).status_code, 404)
        self.assertFalse(self.rows(tx))
        self.authenticate(self.manager.login, self.manager.login)
        self.assertEqual(self.open_page(tx).status_code, 200)

    def test_paid_in_the_moment_of_cancelling(self):
        tx = self.make_tx()
        number = self.shown(self.open_page(tx))["number"]
        self.pay(number)
        self.assertEqual(self.ask(tx, "cancel")["state"], "paid")
        self.assertEqual(tx.state, "done")

    def test_cancelled_while_wechat_does_not_answer(self):
        """The customer may go; what is paid in spite of that is still good."""
        tx = self.make_tx()
        number = self.shown(self.open_page(tx))["number"]
        self.fault("out-trade-no", "http_status", status=500, times=20)
        self.assertEqual(self.ask(tx, "cancel")["state"], "over")
        row = self.rows(tx)
        self.assertEqual((row.state, row.abandoned), ("closing", True))
        self.sandbox.call("DELETE", "faults")
        self.pay(number, notify=True)
        self.assertEqual((tx.state, row.state, row.abandoned), ("done", "done", False))
        self.assertFalse(row.refund_ids)

    def test_placing_fails_and_is_tried_again(self):
        self.merchant.account_ids.appid = "wxunknown00000001"
        tx = self.make_tx()
        page = self.open_page(tx)
        self.assertEqual(self.shown(page)["state"], "ended")
        self.assertEqual(tx.state, "error")
        self.merchant.account_ids.appid = self.account_appid
        self.assertEqual(self.ask(tx, "retry")["state"], "payable")

    def test_answer_lost(self):
        """The same number is sent again."""
        self.fault(NATIVE, "http_status", status=500, commit=True, times=2)
        tx = self.make_tx()
        first = self.shown(self.open_page(tx))
        self.assertEqual(first["state"], "checking")
        second = self.shown(self.open_page(tx))
        self.assertEqual(second["state"], "payable")
        self.assertEqual(second["number"], first["number"])

    def test_wechat_was_away_when_the_page_was_opened(self):
        """The page goes on by itself, with the same number."""
        self.fault(NATIVE, "http_status", status=500, times=2)
        tx = self.make_tx()
        first = self.shown(self.open_page(tx))
        self.assertEqual(first["state"], "checking")
        self.later(self.rows(tx))
        answer = self.ask(tx)
        self.assertEqual(
            (answer["state"], answer["number"]), ("payable", first["number"])
        )

    def test_order_is_closed_at_wechat(self):
        """E.g. by somebody in the merchant's console: the customer may try again."""
        tx = self.make_tx()
        self.open_page(tx)
        row = self.rows(tx)
        row._pay_api().close(row.number)
        self.later(row)
        self.assertEqual(self.ask(tx)["state"], "ended")
        self.assertEqual((row.state, tx.state), ("cancelled", "error"))
        self.assertEqual(self.ask(tx, "retry")["state"], "payable")

    def test_other_amount_at_wechat(self):
        tx = self.make_tx()
        number = self.shown(self.open_page(tx))["number"]
        self.env["wechat.event"]._receive(
            "pay",
            self.merchant.id,
            self.company.id,
            "EV-web",
            "transaction.success",
            {
                "out_trade_no": number,
                "mchid": self.merchant.mchid,
                "trade_state": "SUCCESS",
                "amount": {"total": 1, "currency": "CNY"},
            },
        )
        with mute_logger(
            "odoo.addons.wechat_pay.models.wechat_pay_transaction_payment"
        ):
            self.process_events()
        self.assertEqual((self.rows(tx).state, tx.state), ("abnormal", "error"))
        self.assertEqual(self.ask(tx)["state"], "problem")
        self.assertEqual(self.ask(tx, "retry")["state"], "problem")

    def test_provider_does_not_fit_its_merchant(self):
        tx = self.make_tx()
        self.env.cr.execute(
            "UPDATE wechat_merchant SET environment = 'disabled' WHERE id = %s",
            [self.merchant.id],
        )
        self.env.invalidate_all()
        with self.assertLogs("odoo.addons.wechat_pay.controllers.main", "WARNING"):
            page = self.open_page(tx)
        self.assertEqual(self.shown(page)["state"], "problem")
        self.assertIn("not available at the moment", page.text)
        self.assertFalse(self.rows(tx))

    def test_wrong_token(self):
        tx, other = self.make_tx(), self.make_tx()
        for token in ("", "0" * 64, other._wechat_token()):
            url = f"{tx._wechat_path()}?access_token={token}"
            self.assertEqual(self.url_open(url).status_code, 404)
        self.assertEqual(self.url_open("/payment/wechat_pay/0").status_code, 404)
        self.assertFalse(self.rows(tx))
        for what in ("status", "retry", "cancel"):
            with (
                mute_logger(RPC_LOG),
                self.assertRaisesRegex(JsonRpcException, "NotFound"),
            ):
                self.ask(tx, what, access_token=other._wechat_token())
        self.assertEqual(tx.state, "draft")

    def test_only_payments_with_wechat(self):
        tx = self.make_tx(operation="offline")
        self.assertEqual(self.open_page(tx).status_code, 404)

    def test_phone_outside_wechat(self):
        self.browse_as(PHONE)
        page = self.open_page(self.make_tx())
        self.assertIn("Open this page in WeChat", page.text)
        self.assertIn("o_wechat_pay_link", page.text)


@tagged("post_install", "-at_install")
class TestInsideWechat(WebCase):
    """The openid by OAuth, then JSAPI."""

    def setUp(self):
        super().setUp()
        self.browse_as(WECHAT)

    def visit(self, tx):
        """Follow the page to WeChat, and WeChat's answer back to the page."""
        page = self.open_page(tx, allow_redirects=False)
        self.assertEqual(page.status_code, 303)
        target = page.headers["Location"]
        self.assertTrue(target.startswith(f"{self.sandbox.url}/connect/oauth2/"))
        query = parse_qs(urlsplit(target).query)
        self.assertEqual(query["scope"], ["snsapi_base"])
        self.assertLessEqual(len(query["state"][0]), 128)
        form = {name: values[0] for name, values in query.items()}
        answer = self.sandbox_page(
            "/connect/oauth2/authorize",
            data={**form, "openid": self.openid},
            allow_redirects=False,
        )
        self.assertEqual(answer.status_code, 302, answer.text)
        return answer.headers["Location"]

    def arrive(self, tx):
        page = self.url_open(self.visit(tx))
        self.env.invalidate_all()
        return page

    def test_paid(self):
        tx = self.make_tx()
        page = self.arrive(tx)
        shown = self.shown(page)
        row = self.rows(tx)
        self.assertEqual((row.way, row.payer_openid), ("jsapi", self.openid))
        self.assertEqual((shown["state"], shown["way"]), ("payable", "jsapi"))
        params = json.loads(unescape(shown["jsapi"]))
        self.assertEqual(params["package"], f"prepay_id={row.prepay_id}")
        self.assertEqual(
            set(params),
            {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"},
        )
        self.assertNotIn("data:image/png", page.text)
        self.assertEqual(self.sandbox.last_body(JSAPI)["payer"]["openid"], self.openid)
        self.pay(row.number, notify=True)
        self.assertEqual(self.ask(tx)["state"], "paid")
        # The openid is known now: no way round by WeChat, and the same order.
        other = self.make_tx()
        self.assertEqual(self.shown(self.open_page(other))["way"], "jsapi")

    def test_coming_back_without_having_been_sent(self):
        tx, other = self.make_tx(), self.make_tx()
        back = self.visit(tx)
        for url in (
            back.replace("state=", "state=0"),
            back.replace(f"/{tx.id}/", f"/{other.id}/"),
        ):
            self.assertEqual(self.url_open(url).status_code, 404)
        self.browse_as(WECHAT)
        self.assertEqual(self.url_open(back).status_code, 404)
        self.assertFalse(self.rows(tx))

    def test_odd_states_and_tokens(self):
        """Letters beyond ASCII cannot be compared; it is none of ours, and no error."""
        tx = self.make_tx()
        back = self.visit(tx)
        self.assertEqual(
            self.url_open(back.replace("state=", "state=%C3%A9")).status_code, 404
        )
        odd = back.replace("access_token=", "access_token=%E5%88%B8")
        self.assertEqual(self.url_open(odd).status_code, 404)

    def test_coming_back_twice(self):
        tx = self.make_tx()
        back = self.visit(tx)
        self.assertEqual(self.url_open(back).status_code, 200)
        self.assertEqual(self.url_open(back).status_code, 404)

    def test_wechat_does_not_know_the_code(self):
        tx = self.make_tx()
        back = self.visit(tx).replace("code=", "code=x")
        with self.assertLogs("odoo.addons.wechat_pay.controllers.main", "WARNING"):
            page = self.url_open(back)
        self.assertEqual(self.shown(page)["way"], "native")
        self.assertIn("Open this page in WeChat", page.text)

    def test_opened_at_the_desk_and_paid_inside_wechat(self):
        """One order at a time: the QR code is closed when the other way is open."""
        tx = self.make_tx()
        self.browse_as(DESKTOP)
        first = self.shown(self.open_page(tx))["number"]
        self.browse_as(WECHAT)
        shown = self.shown(self.arrive(tx))
        self.assertNotEqual(shown["number"], first)
        self.assertEqual(self.remote(first)["trade_state"], "CLOSED")
        self.assertEqual(tx.state, "draft")
        self.assertEqual(self.rows(tx).mapped("state"), ["waiting", "cancelled"])
        # The other tab sees that the payment goes on elsewhere.
        self.assertEqual(self.ask(tx)["number"], shown["number"])
        self.pay(shown["number"], notify=True)
        self.assertEqual(tx.state, "done")

    def test_no_service_account(self):
        self.account.account_type = "subscription"
        page = self.open_page(self.make_tx())
        self.assertEqual(self.shown(page)["way"], "native")
        self.assertIn("cannot be paid from inside WeChat", page.text)


@tagged("post_install", "-at_install")
class TestTour(WebCase):
    def test_customer_pays_in_the_browser(self):
        """In Chromium: the code, the clock, and the way on after the payment."""
        tx = self.invoice_tx()
        tx.landing_route = tx.invoice_ids.get_portal_url()
        self.open_page(tx)
        row = self.rows(tx)
        self.pay(row.number)
        self.later(row)
        self.begun = tx.id
        url = tx._wechat_url().removeprefix(self.base_url())
        self.start_tour(url, "wechat_pay_web_payment", login=None)
        self.assertEqual(tx.state, "done")
        self.assertEqual(tx.invoice_ids.amount_residual, 0)
