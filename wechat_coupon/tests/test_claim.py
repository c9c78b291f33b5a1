"""Customers get coupons by themselves: link, page, poster."""

import hashlib
import re
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import requests

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, tagged
from odoo.tools import SQL, mute_logger

from ..controllers import claim
from .common import AES_KEY, CouponCase, SandboxCase

PHONE = "13800138000"


class ClaimCase(CouponCase):
    def link(self, template=None):
        template = template or self.template
        template.with_user(self.manager).action_claim_link()
        self.assertTrue(template.claim_url)
        return self.env["coupon.claim.link"].sudo()._get(template)

    def claim(self, link, who="phone:1", **vals):
        with self.enter_registry_test_mode():
            coupon_id = link._claim(who, **vals)
        self.env.invalidate_all()
        return self.env["loyalty.card"].browse(coupon_id)


@tagged("post_install", "-at_install")
class TestClaim(ClaimCase):
    def test_one_link_for_each_template(self):
        self.assertEqual(self.link(), self.link())

    def test_claim(self):
        coupon = self.claim(self.link(), partner_id=self.customer.id)
        self.assertEqual(coupon.coupon_template_id, self.template)
        self.assertEqual(coupon.wechat_state, "usable")
        self.assertEqual(coupon.partner_id, self.customer)
        self.assertEqual(coupon.wechat_outer_str, "claim")
        self.assertEqual(coupon.wechat_source, "Link or QR code")
        self.assertTrue(self.reserve("u1", coupon)["ok"])

    def test_as_often_as_the_template_says(self):
        self.template.get_limit = 2
        link = self.link()
        for _time in range(2):
            self.claim(link)
        with self.assertRaisesRegex(UserError, "already"):
            self.claim(link)
        self.claim(link, "phone:2")

    def test_one_customer_by_phone_and_in_wechat(self):
        link = self.link()
        self.claim(link, partner_id=self.customer.id)
        with self.assertRaisesRegex(UserError, "already"):
            self.claim(link, "openid:1:a", partner_id=self.customer.id)
        self.template.get_limit = 2
        self.claim(link, "openid:1:a", partner_id=self.customer.id)
        with self.assertRaisesRegex(UserError, "already"):
            self.claim(link, partner_id=self.customer.id)

    def test_one_customer_of_a_campaign_in_two_ways(self):
        self.template.get_limit = 2
        link = self.link()
        self.env["coupon.campaign"].create(
            {"name": "C", "template_id": self.template.id, "trigger": "claim"}
        ).action_start()
        self.claim(link, partner_id=self.customer.id)
        self.claim(link, "openid:1:a", partner_id=self.customer.id)
        with self.assertRaisesRegex(UserError, "already"):
            self.claim(link, "openid:1:b", partner_id=self.customer.id)

    def test_a_coupon_that_is_gone_leaves_its_number(self):
        self.template.get_limit = 3
        link = self.link()
        coupon = self.claim(link)
        self.claim(link)
        issues = self.env["coupon.issue"].search([("coupon_id", "=", coupon.id)])
        issues.sudo().unlink()
        self.claim(link)
        slots = self.env["coupon.issue"].search([("claimer", "=", "phone:1")])
        self.assertEqual(sorted(slots.mapped("claim_slot")), [2, 3])

    def test_a_contact_that_is_gone(self):
        person = self.env["res.partner"].create({"name": "Somebody"})
        link = self.link()
        self.claim(link, partner_id=person.id)
        waiting = self.env["coupon.issue"]._plan(
            self.template, [{"partner_id": person.id}]
        )
        person.unlink()
        self.env.invalidate_all()
        self.assertFalse(waiting.exists(), "a coupon for nobody")
        with self.assertRaisesRegex(UserError, "already"):
            self.claim(link)

    def test_one_number_in_many_ways(self):
        partners = self.env["res.partner"]
        for text, digits in (
            ("+44 20 7946 0000", "442079460000"),
            ("0044 20 7946 0000", "442079460000"),
            ("0086 138 0013 8000", PHONE),
            ("+86-138-0013-8000", PHONE),
            ("\uff11\uff13\uff18\uff10\uff10\uff11\uff13\uff18000", PHONE),
            ("001234", ""),
        ):
            with self.subTest(text=text):
                self.assertEqual(partners._wechat_digits(text), digits)
        for phone in ("+44 20 7946 0000", "0044-20-7946-0000"):
            self.customer.phone = phone
            found = partners._wechat_by_contact(["004420 79460000"], self.company)
            self.assertEqual(found, {"004420 79460000": self.customer.ids})

    def test_contacts_are_found_by_an_index(self):
        partners = self.env["res.partner"]
        partners.create(
            [
                {"name": "C", "phone": f"+86 {number}", "email": f"{number}@example.cn"}
                for number in range(13800138000, 13800138300)
            ]
        )
        self.env.flush_all()
        # A new table: PostgreSQL may not use the index of one that has been changed
        # for those who began before. It hides the real one until it is dropped.
        self.env.cr.execute(
            "CREATE TEMPORARY TABLE res_partner "
            "(LIKE public.res_partner INCLUDING INDEXES);"
            "INSERT INTO pg_temp.res_partner SELECT * FROM public.res_partner;"
            "ANALYZE pg_temp.res_partner"
        )
        for kind, value, condition in (
            ("phone", PHONE, "Index Cond: (regexp_replace("),
            ("email", f"{PHONE}@example.cn", "Index Cond: (lower("),
        ):
            query = partners._wechat_having_query(kind, [value], self.company)
            self.env.cr.execute(SQL("EXPLAIN ANALYZE %s", query))
            plan = "\n".join(row[0] for row in self.env.cr.fetchall())
            self.assertIn(condition, plan)
            self.assertIn("rows=1", plan)
        self.env.cr.execute("DROP TABLE pg_temp.res_partner")

    def test_over_while_it_waited(self):
        """What is true after the others were served counts."""
        link = self.link()
        self.template.action_pause()
        with self.assertRaisesRegex(UserError, "at the moment"):
            link._claim_now("phone:1", False, {})

    def test_tokens_that_are_none(self):
        links = self.env["coupon.claim.link"]
        for token in ("", "x\0y", "x" * 5000):
            self.assertFalse(links._by_token(token))

    def test_stock(self):
        template = self.new_template(stock=1)
        link = self.link(template)
        self.claim(link)
        with self.assertRaisesRegex(UserError, "handed out"):
            self.claim(link, "phone:2")

    def test_not_open(self):
        link = self.link()
        self.template.action_pause()
        with self.assertRaisesRegex(UserError, "at the moment"):
            self.claim(link)
        self.template.action_resume()
        self.template.action_end()
        with self.assertRaisesRegex(UserError, "over"):
            self.claim(link)

    def test_certain_customers_only(self):
        tag = self.env["res.partner.category"].create({"name": "VIP"})
        template = self.new_template(
            audience="tags", audience_tag_ids=[Command.set(tag.ids)]
        )
        link = self.link(template)
        with self.assertRaisesRegex(UserError, "certain customers"):
            self.claim(link)
        self.customer.category_id = tag
        # Anybody can enter the number of somebody who is meant.
        with self.assertRaisesRegex(UserError, "inside WeChat"):
            self.claim(link, partner_id=self.customer.id)
        self.assertTrue(self.claim(link, "openid:1:a", partner_id=self.customer.id))

    def test_nobody_reads_tokens(self):
        link = self.link()
        with self.assertRaises(AccessError):
            link.with_user(self.manager).read(["token"])
        with self.assertRaises(AccessError):
            link.with_user(self.cashier).read(["template_id"])

    def html(self, report, records):
        reports = self.env["ir.actions.report"]
        return reports._render_qweb_html(report, records.ids)[0].decode()

    def test_poster(self):
        html = self.html("wechat_coupon.report_poster_a4", self.template)
        self.assertIn(self.template.name, html)
        self.assertIn("data:image/png;base64,", html)
        draft = self.new_template(publish=False)
        with self.assertRaisesRegex(Exception, "Publish it first"):
            self.html("wechat_coupon.report_poster_a4", draft)

    def test_a_poster_makes_no_link_for_readers(self):
        links = self.env["coupon.claim.link"]
        branch = self.env["res.company"].create(
            {"name": "Branch CN", "parent_id": self.company.id}
        )
        boss = self.new_user(
            "branch_boss", "wechat_coupon.coupon_group_manager", company=branch
        )
        report = "wechat_coupon.report_poster_a4"

        def html(user):
            context = {"allowed_company_ids": user.company_ids.ids}
            reports = self.env["ir.actions.report"].with_user(user)
            reports = reports.with_context(**context)
            return reports._render_qweb_html(report, self.template.ids)[0].decode()

        for user in (self.auditor, boss):
            with self.assertRaisesRegex(Exception, "Ask a coupon manager"):
                html(user)
        self.assertFalse(links.search([("template_id", "=", self.template.id)]))
        self.assertFalse(self.template.claim_url)
        self.assertIn("o_wechat_qr", html(self.manager))
        self.assertTrue(links.search([("template_id", "=", self.template.id)]))
        for user in (self.auditor, boss):
            self.assertIn("o_wechat_qr", html(user))

    def test_coupons_to_cut_out(self):
        coupons = self.new_coupons(3)
        html = self.html("wechat_coupon.report_cards", coupons)
        for coupon in coupons:
            self.assertIn(coupon.code, html)


@tagged("post_install", "-at_install")
class TestClaimPage(ClaimCase, HttpCase):
    def setUp(self):
        super().setUp()
        self.path = "/" + self.link().template_id.claim_url.split("/", 3)[3]

    def csrf(self, page):
        return page.text.split('name="csrf_token" value="')[1].split('"')[0]

    def get(self, phone):
        page = self.url_open(self.path)
        self.assertEqual(page.status_code, 200)
        data = {"phone": phone, "csrf_token": self.csrf(page)}
        return self.url_open(f"{self.path}/get", data=data)

    def coupons(self):
        return self.env["loyalty.card"].search(
            [("coupon_template_id", "=", self.template.id)]
        )

    def test_from_the_poster_to_the_till(self):
        page = self.url_open(self.path)
        self.assertIn("¥10 off", page.text)
        self.assertIn("¥100 or more", page.text)
        self.assertEqual(page.headers["Cache-Control"], "no-store")
        page = self.get(PHONE)
        self.assertIn("/coupon/my/", page.url)
        coupon = self.coupons()
        self.assertEqual(len(coupon), 1)
        self.assertIn(coupon.code, page.text)
        self.assertIn("data:image/png;base64,", page.text)
        # Another tap leads to the coupon, on this browser only.
        again = self.get(f"+86 {PHONE[:3]} {PHONE[3:]}")
        self.assertEqual(again.url, page.url)
        self.assertIn(coupon.code, again.text)
        self.assertEqual(len(self.coupons()), 1)
        # This browser finds its coupon again.
        self.assertIn("/coupon/my/", self.url_open(self.path).text)
        self.env.invalidate_all()
        coupon._wechat_void("lost")
        page = self.url_open(coupon._wechat_my_path())
        self.assertNotIn(coupon.code, page.text)

    def test_somebody_else_enters_the_number(self):
        self.get(PHONE)
        self.opener.cookies.clear()
        page = self.get(PHONE)
        self.assertIn("already", page.text)
        self.assertNotIn("/coupon/my/", page.text + page.url)
        self.assertNotIn(self.coupons().code, page.text)

    def test_two_taps_at_once(self):
        """The second tap comes before the first one's answer is remembered."""
        page = self.url_open(self.path)
        data = {"phone": PHONE, "csrf_token": self.csrf(page)}
        with patch.object(claim, "_remember"):
            first = self.url_open(f"{self.path}/get", data=data)
        second = self.url_open(f"{self.path}/get", data=data)
        self.assertIn("/coupon/my/", first.url)
        self.assertEqual(second.url, first.url)

    def test_chinese_keyboard(self):
        wide = "".join(chr(ord(digit) + 0xFEE0) for digit in PHONE)
        self.assertIn("/coupon/my/", self.get(wide).url)
        self.opener.cookies.clear()
        self.assertIn("already", self.get(PHONE).text)

    def test_a_file_is_no_number(self):
        data = {"csrf_token": self.csrf(self.url_open(self.path))}
        page = self.url_open(
            f"{self.path}/get", data=data, files={"phone": ("a.txt", b"13800138000")}
        )
        self.assertEqual(page.status_code, 200)
        self.assertIn("mobile number", page.text)
        self.assertFalse(self.coupons())

    @mute_logger("odoo.http")
    def test_addresses_that_no_database_holds(self):
        data = {"csrf_token": self.csrf(self.url_open(self.path))}
        for path, sent in (
            ("/coupon/claim/%00", None),
            ("/coupon/claim/%00/get", data),
            ("/coupon/claim/x%00/oauth", None),
            ("/coupon/my/%00", None),
        ):
            with self.subTest(path=path):
                self.assertEqual(self.url_open(path, data=sent).status_code, 404)

    def test_whose_number_it_is(self):
        self.customer.phone = f"+86 {PHONE}"
        self.env.flush_all()
        self.get(PHONE)
        self.assertEqual(self.coupons().partner_id, self.customer)

    def test_bad_numbers(self):
        for phone in ("", "12345", "x" * 100, "1380013800a"):
            with self.subTest(phone=phone):
                self.assertIn("mobile number", self.get(phone).text)
        self.assertFalse(self.coupons())

    @mute_logger("odoo.http")
    def test_addresses_that_nobody_was_given(self):
        coupon = self.new_coupons()
        right = coupon._wechat_my_token()
        for path in (
            "/coupon/claim/x",
            "/coupon/claim/%C3%A9",
            f"/coupon/my/{right[:-1]}x",
            f"/coupon/my/{coupon.id + 1}-{right.partition('-')[2]}",
            "/coupon/my/99999999999999999999-x",
        ):
            with self.subTest(path=path):
                page = self.url_open(path)
                self.assertEqual(page.status_code, 404)
                self.assertIn("There is no coupon here", page.text)


@tagged("post_install", "-at_install")
class TestClaimInWechat(ClaimCase, HttpCase):
    """WeChat says who asks."""

    def setUp(self):
        super().setUp()
        self.path = "/" + self.link().template_id.claim_url.split("/", 3)[3]
        # Nobody answers there: each call would be a failure.
        self.account = self.env["wechat.account"].create(
            {
                "name": "Test account",
                "company_id": self.company.id,
                "appid": "wxclaim000000001",
                "original_id": "gh_claim000000",
                "secret": "0123456789abcdef0123456789abcdef",
                "token": "claimtoken",
                "encoding_aes_key": AES_KEY,
                "environment": "sandbox",
                "sandbox_url": "http://127.0.0.1:9",
            }
        )
        self.opener.headers["User-Agent"] = "Mozilla/5.0 MicroMessenger/8.0"

    def back_from_wechat(self):
        page = self.url_open(self.path, allow_redirects=False)
        self.assertEqual(page.status_code, 303)
        query = parse_qs(urlsplit(page.headers["Location"]).query)
        return f"{self.path}/oauth?code=wrong&state={query['state'][0]}"

    def test_who_comes_too_often_asks_nothing_at_wechat(self):
        path = self.back_from_wechat()
        guard = self.env["wechat.rate.guard"]
        key = hashlib.sha256(b"127.0.0.1").hexdigest()[:32]
        while not guard._acquire(f"coupon_claim_ip:{key}", **claim._PER_IP):
            continue
        client = type(self.account._get_client())
        with patch.object(client, "oauth_openid", side_effect=AssertionError) as asked:
            page = self.url_open(path)
        self.assertIn("Too many tries", page.text)
        asked.assert_not_called()


@tagged("post_install", "-at_install")
class TestClaimThroughWechat(ClaimCase, SandboxCase, HttpCase):
    """To WeChat and back: the coupon belongs to whom WeChat names."""

    def setUp(self):
        super().setUp()
        self.path = "/" + self.link().template_id.claim_url.split("/", 3)[3]
        self.opener.headers["User-Agent"] = "Mozilla/5.0 MicroMessenger/8.0"

    def visit(self):
        """Follow the page to WeChat; return the address to which it sends back."""
        page = self.url_open(self.path, allow_redirects=False)
        self.assertEqual(page.status_code, 303, page.text[:200])
        query = parse_qs(urlsplit(page.headers["Location"]).query)
        form = {name: values[0] for name, values in query.items()}
        answer = requests.post(
            f"{self.sandbox.url}/connect/oauth2/authorize",
            data={**form, "openid": self.openid},
            allow_redirects=False,
            timeout=10,
        )
        self.assertEqual(answer.status_code, 302, answer.text)
        back = urlsplit(answer.headers["Location"])
        return f"{back.path}?{back.query}"

    def get(self):
        page = self.url_open(self.path)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        self.assertTrue(token, page.text[:500])
        return self.url_open(
            f"{self.path}/get", data={"csrf_token": token[1], "phone": ""}
        )

    def coupons(self):
        return self.env["loyalty.card"].search(
            [("coupon_template_id", "=", self.template.id)]
        )

    def test_to_wechat_and_back(self):
        self.url_open(self.visit())
        page = self.get()
        self.assertEqual(page.status_code, 200)
        [coupon] = self.coupons()
        self.assertEqual(coupon.wechat_openid, self.openid)
        self.assertIn(coupon.code, page.text)

    def test_loaded_twice(self):
        """WeChat's browser does so; nobody sees an error for it."""
        back = self.visit()
        self.url_open(back)
        self.assertEqual(self.url_open(back).status_code, 200)
        self.get()
        self.assertEqual(self.coupons().wechat_openid, self.openid)

    def test_not_sent_by_us(self):
        back = self.visit()
        self.assertEqual(self.url_open(back + "0").status_code, 404)
        self.assertFalse(self.coupons())

    def test_wechat_does_not_say(self):
        """The phone number is a way, and some minutes later WeChat is asked again."""
        back = self.visit().replace("code=", "code=x")
        with self.assertLogs("odoo.addons.wechat_coupon.controllers.claim", "WARNING"):
            page = self.url_open(back)
        self.assertIn('name="phone"', page.text)
        self.assertEqual(self.url_open(self.path).status_code, 200)
        with patch.object(claim, "_AGAIN", -1):
            page = self.url_open(self.path, allow_redirects=False)
        self.assertEqual(page.status_code, 303)
