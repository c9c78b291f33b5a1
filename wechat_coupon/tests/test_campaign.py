"""Campaigns: what hands coupons out by itself, once for each occasion."""

from datetime import date, datetime, timedelta
from unittest.mock import patch
from uuid import uuid4

from freezegun import freeze_time

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, TransactionCase, tagged
from odoo.tools import mute_logger

from ..models import coupon_handout
from ..tools import lunar
from .test_claim import ClaimCase
from .test_handout import HandoutCase


@tagged("post_install", "-at_install")
class TestLunar(TransactionCase):
    """Days of the lunar calendar, as printed in Chinese almanacs."""

    def test_festivals(self):
        days = {
            ("eve", 2026): date(2026, 2, 16),
            ("spring", 2026): date(2026, 2, 17),
            ("lantern", 2026): date(2026, 3, 3),
            ("dragon_boat", 2025): date(2025, 5, 31),
            ("qixi", 2025): date(2025, 8, 29),
            ("mid_autumn", 2025): date(2025, 10, 6),
            ("mid_autumn", 2026): date(2026, 9, 25),
            ("double_ninth", 2026): date(2026, 10, 18),
            ("eve", 2025): date(2025, 1, 28),
            ("spring", 2033): date(2033, 1, 31),
            ("singles", 2026): date(2026, 11, 11),
        }
        for (name, year), day in days.items():
            self.assertEqual(lunar.festival(name, year), day, (name, year))

    def test_each_day_is_found_again(self):
        day = date(2019, 1, 1)
        while day < date(2039, 1, 1):
            year, month, number, leap = lunar.to_lunar(day)
            if not leap:
                self.assertEqual(lunar.from_lunar(year, month, number), day)
            day += timedelta(days=1)

    def test_everybody_has_one_birthday_a_year(self):
        """Whoever was born when, also on 29 February and on the 30th of a month."""
        days = [date(2023, 1, 1) + timedelta(days=n) for n in range(4 * 365)]
        found = {}
        for day in days:
            for key, year in lunar.birthday_keys(day).items():
                found.setdefault(key, []).append(year)
        self.assertEqual(found["S0229"], [2023, 2024, 2025, 2026])
        keys = {
            lunar.birthday_key(date(1990, 1, 1) + timedelta(days=n), True)
            for n in range(0, 11000, 7)
        }
        for key in keys:
            years = found[key]
            self.assertEqual(len(years), len(set(years)), key)
            self.assertTrue({2024, 2025}.issubset(years), key)


class CampaignCase(HandoutCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.campaigns = cls.env["coupon.campaign"].with_user(cls.manager)
        cls.company.partner_id.tz = "Asia/Shanghai"

    def new_campaign(self, start=True, **vals):
        campaign = self.campaigns.create(
            {
                "name": "Campaign",
                "template_id": self.template.id,
                "domain": f"[('category_id', 'in', {self.tag.ids})]",
                "mail_template_id": False,
                **vals,
            }
        )
        if start:
            campaign.action_start()
        return campaign

    def run_at(self, moment):
        """Run the daily job, and what it has started, at a time in UTC."""
        with freeze_time(moment):
            for campaign in self.campaigns.search([("state", "=", "running")]):
                campaign.sudo()._run()
            self.work_off()


@tagged("post_install", "-at_install")
class TestCampaign(CampaignCase):
    @freeze_time("2026-03-01 04:00:00")
    def test_on_the_first_day(self):
        campaign = self.new_campaign(date_from="2026-03-03", date_to="2026-03-05")
        self.run_at("2026-03-02 15:59:00")
        self.assertFalse(self.coupons())
        self.run_at("2026-03-02 16:01:00")  # it is the 3rd in Shanghai
        self.assertEqual(self.coupons().partner_id, self.people)
        self.assertEqual(campaign.issue_count, 5)
        self.run_at("2026-03-03 09:00:00")
        self.assertEqual(len(self.coupons()), 5)
        self.run_at("2026-03-05 17:00:00")
        self.assertEqual(campaign.state, "ended")

    @freeze_time("2026-03-01 04:00:00")
    def test_the_first_day_is_over(self):
        campaign = self.new_campaign(start=False, date_from="2026-02-27")
        with self.assertRaisesRegex(UserError, "first day is over"):
            campaign.action_start()

    @freeze_time("2026-03-01 04:00:00")
    def test_birthdays(self):
        term = self.new_template(date_type="term", term_days=30)
        self.people[0].wechat_birthday = "1990-03-04"
        self.people[1].wechat_birthday = "1992-02-29"
        # 15th of the 1st lunar month: in 2026 on 3 March.
        self.people[2].write(
            {"wechat_birthday": "1988-03-03", "wechat_birthday_lunar": True}
        )
        self.assertEqual(self.people[2].wechat_birthday_key, "L0116")
        self.new_campaign(
            trigger="birthday", days=2, date_from="2026-02-01", template_id=term.id
        )
        self.run_at("2026-03-01 05:00:00")
        self.assertFalse(self.coupons(term))
        self.run_at("2026-03-02 05:00:00")  # for 4 March, the lunar 16th
        self.assertEqual(self.coupons(term).partner_id, self.people[0] + self.people[2])
        self.run_at("2026-03-02 06:00:00")
        self.assertEqual(len(self.coupons(term)), 2)
        self.run_at("2027-02-26 05:00:00")
        self.run_at("2027-03-02 05:00:00")
        mine = self.coupons(term).filtered(lambda c: c.partner_id == self.people[0])
        self.assertEqual(len(mine), 2, "one each year")
        leap = self.coupons(term).filtered(lambda c: c.partner_id == self.people[1])
        self.assertEqual(len(leap), 1, "28 February where there is no 29th")

    @freeze_time("2026-09-01 04:00:00")
    def test_a_festival(self):
        campaign = self.new_campaign(
            trigger="festival", festival="mid_autumn", days=3, date_from="2026-09-01"
        )
        self.assertEqual(campaign.next_day, date(2026, 9, 22))
        self.assertEqual(campaign.kind, "care")
        self.run_at("2026-09-21 05:00:00")
        self.assertFalse(self.coupons())
        # The server was off on the day, and is back on the next.
        self.run_at("2026-09-23 05:00:00")
        self.assertEqual(self.coupons().partner_id, self.people)
        self.run_at("2026-09-24 05:00:00")
        self.assertEqual(len(self.coupons()), 5)

    @freeze_time("2026-09-01 04:00:00")
    def test_a_festival_after_the_coupons_end(self):
        self.template._write_guarded(
            {"date_from": "2026-08-01", "date_to": "2026-09-20"}
        )
        with self.assertRaisesRegex(UserError, "valid then"):
            self.new_campaign(trigger="festival", festival="mid_autumn")

    def test_new_customers(self):
        now = fields.Datetime.now()
        for moment, people in (
            (now, self.people[0]),
            (now - timedelta(days=9), self.people[1:]),
        ):
            self.env.cr.execute(
                "UPDATE res_partner SET create_date = %s WHERE id = ANY(%s)",
                [moment, people.ids],
            )
        self.env.invalidate_all()
        self.new_campaign(trigger="new_customer")
        self.run_at(now + timedelta(days=1))
        self.assertEqual(self.coupons().partner_id, self.people[0])
        self.run_at(now + timedelta(days=2))
        self.assertEqual(len(self.coupons()), 1)

    def test_new_customers_of_the_first_and_the_last_day(self):
        """Those of the day before the campaign are not meant; of its last day, yes."""
        now = fields.Datetime.now()
        campaign = self.new_campaign(trigger="new_customer")
        today = campaign._today()
        for days, person in zip((-1, 0, 1, 2, -9), self.people, strict=True):
            self.env.cr.execute(
                "UPDATE res_partner SET create_date = %s WHERE id = %s",
                [now + timedelta(days=days), person.id],
            )
        self.env.invalidate_all()
        campaign.sudo().write({"date_to": today + timedelta(days=1)})
        for day in range(4):
            self.run_at(now + timedelta(days=day))
        self.assertEqual(self.coupons().partner_id, self.people[1:3])
        self.assertEqual(campaign.state, "ended")

    def test_days_that_were_missed(self):
        campaign = self.new_campaign(trigger="birthday")
        now = fields.Datetime.now()
        self.run_at(now + timedelta(days=7))
        self.assertFalse(campaign.message_ids.filtered(lambda m: "Nothing" in m.body))
        self.run_at(now + timedelta(days=20))
        self.assertIn("Nothing was handed out", campaign.message_ids[0].body)

    def test_who_has_not_come_for_a_while(self):
        for person in self.people[:2]:
            self.pay(str(uuid4()), partner_id=person.id)
        now = fields.Datetime.now()
        self.new_campaign(trigger="inactive", days=3)
        late = self.pay(str(uuid4()), partner_id=self.people[1].id)
        late.date_order = now + timedelta(days=2)
        self.run_at(now + timedelta(days=2))
        self.assertFalse(self.coupons())
        self.run_at(now + timedelta(days=3))
        self.assertEqual(self.coupons().partner_id, self.people[0])

    def test_after_a_purchase(self):
        template = self.new_template(attribute="marketing", name="Come again")
        campaign = self.new_campaign(
            trigger="purchase", template_id=template.id, amount=80
        )
        order = self.pay(str(uuid4()), partner_id=self.people[0].id)
        [printed] = order.with_user(self.cashier).wechat_new_coupons
        self.assertEqual(printed["name"], "Come again")
        self.assertEqual(self.coupons(template).partner_id, self.people[0])
        self.assertEqual(campaign.issue_count, 1)
        self.pay(str(uuid4()), partner_id=self.customer.id)
        self.pay(str(uuid4()), products=self.tea, partner_id=self.people[1].id)
        self.assertEqual(len(self.coupons(template)), 1)
        campaign.action_end()
        self.pay(str(uuid4()), partner_id=self.people[0].id)
        self.assertEqual(len(self.coupons(template)), 1)

    def test_by_a_button(self):
        campaign = self.new_campaign(trigger="manual")
        action = campaign.action_hand_out()
        self.assertEqual(action["res_model"], "coupon.handout")
        self.work_off()
        self.assertEqual(len(self.coupons()), 5)
        with self.assertRaisesRegex(UserError, "have got it"):
            campaign.action_hand_out()
        self.customer.category_id = self.tag
        campaign.action_hand_out()
        self.work_off()
        self.assertEqual(len(self.coupons()), 6)

    @freeze_time("2026-03-01 04:00:00")
    def test_paused_coupon_is_made_up_for(self):
        campaign = self.new_campaign(start=False)
        today = fields.Datetime.now().replace(hour=5)
        campaign.date_from = (today + timedelta(days=1)).date()
        campaign.action_start()
        self.template.action_pause()
        self.run_at(today + timedelta(days=1))
        self.assertIn("Publish", campaign.problem)
        self.template.action_resume()
        self.run_at(today + timedelta(days=2))
        self.assertFalse(campaign.problem)
        self.assertEqual(len(self.coupons()), 5)

    def test_care_coupons(self):
        care = self.new_template(attribute="care")
        with self.assertRaisesRegex(UserError, "care campaign"):
            self.new_campaign(template_id=care.id, trigger="manual")
        self.new_campaign(template_id=care.id, trigger="birthday")

    def test_a_filter_that_works_no_more(self):
        """One campaign has a problem; the others go on."""
        first = self.new_campaign(trigger="birthday")
        self.env.cr.execute(
            "UPDATE coupon_campaign SET domain = %s WHERE id = %s",
            ["[('x_gone', '=', 1)]", first.id],
        )
        self.env.invalidate_all()
        other = self.new_campaign(trigger="birthday")
        with mute_logger("odoo.addons.wechat_coupon.models.coupon_campaign"):
            self.run_at(fields.Datetime.now() + timedelta(days=1))
        self.assertIn("filter", first.problem)
        self.assertFalse(other.problem)

    def test_a_filter_sees_what_its_user_sees(self):
        """Nobody learns by a campaign what he may not read."""
        secret = "[('signup_type', '=', 'reset')]"
        with self.assertRaises(AccessError):
            self.new_campaign(start=False, domain=secret)
        campaign = self.new_campaign(start=False, trigger="birthday")
        with self.assertRaises(AccessError):
            campaign.domain = secret
        with self.assertRaises(AccessError):
            self.template.with_user(self.manager).copy(
                {"audience": "filter", "audience_domain": secret}
            )
        with self.assertRaises(UserError):
            campaign.filter_user_id = self.env.ref("base.user_admin")
        self.assertEqual(campaign.filter_user_id, self.manager)

    def test_a_filter_is_judged_in_the_companies_of_its_user(self):
        """Also when a till of a branch asks whether a customer is meant."""
        branch = self.env["res.company"].create(
            {"name": "Branch CN", "parent_id": self.company.id}
        )
        campaign = self.new_campaign(domain="[('name', 'like', 'Customer _')]")
        asked = campaign.sudo().with_context(allowed_company_ids=branch.ids)
        self.assertTrue(asked._is_for(self.people[0].with_env(asked.env)))
        self.assertFalse(asked._is_for(self.customer.with_env(asked.env)))

    def test_another_companys_customers(self):
        other = self.new_company("Other")
        self.people[0].company_id = other
        self.new_campaign(domain="[('name', 'like', 'Customer _')]")
        self.work_off()
        self.assertEqual(self.coupons().partner_id, self.people[1:])

    def test_end_stops_what_is_under_way(self):
        campaign = self.new_campaign(trigger="manual")
        campaign.action_hand_out()
        with patch.object(coupon_handout, "CHUNK", 2):
            self.work_off(steps=1)
            with self.enter_registry_test_mode():
                campaign.action_end()
            self.work_off()
        self.assertEqual(len(self.coupons()), 2)
        self.assertEqual(campaign.handout_ids.state, "cancelled")

    def test_started_again_after_an_end_by_mistake(self):
        """Who had got nothing yet gets it, and nobody gets two."""
        campaign = self.new_campaign(trigger="start")
        with patch.object(coupon_handout, "CHUNK", 2):
            self.work_off(steps=1)
            with self.enter_registry_test_mode():
                campaign.action_end()
        self.assertEqual(len(self.coupons()), 2)
        campaign.action_start()
        self.work_off()
        owners = self.coupons().partner_id
        self.assertEqual((len(self.coupons()), owners), (5, self.people))

    def test_what_is_promised_stays(self):
        campaign = self.new_campaign(trigger="manual")
        other = self.new_template()
        with self.assertRaisesRegex(UserError, "Copy it"):
            campaign.template_id = other
        with self.assertRaisesRegex(UserError, "Archive|archive"):
            campaign.unlink()
        self.assertEqual(campaign.copy().state, "draft")

    def test_what_is_missing(self):
        with self.assertRaisesRegex(ValidationError, "festival"):
            self.new_campaign(start=False, trigger="festival")
        with self.assertRaisesRegex(ValidationError, "days after"):
            self.new_campaign(start=False, trigger="inactive")

    def test_rights(self):
        campaign = self.new_campaign(start=False, trigger="manual")
        for user in (self.cashier, self.auditor):
            with self.assertRaises(AccessError):
                campaign.with_user(user).action_start()
        with self.assertRaises(UserError):
            campaign.state = "running"
        with self.assertRaises(AccessError):
            self.people[0].with_user(self.auditor).write({"wechat_birthday": False})

    def test_form(self):
        form = Form(self.campaigns)
        form.name = "Festival"
        form.template_id = self.template
        form.trigger = "festival"
        form.festival = "spring"
        form.days = 7
        campaign = form.save()
        spring = lunar.festival("spring", campaign.next_day.year)
        self.assertEqual(campaign.next_day, spring - timedelta(days=7))

    def test_birthday_that_was_none(self):
        for born in ("1800-01-01", datetime.now().date() + timedelta(days=2)):
            with self.assertRaisesRegex(ValidationError, "between"):
                self.people[0].wechat_birthday = born

    def test_installed_beside_many_contacts(self):
        """They are not read for a birthday that none of them can have yet."""
        partners = type(self.env["res.partner"])
        self.people[0].wechat_birthday = "1990-03-04"

        def install_without(*columns):
            self.env.flush_all()
            drop = ", ".join(f"DROP COLUMN {column}" for column in columns)
            self.env.cr.execute(f"ALTER TABLE res_partner {drop}")
            self.env.invalidate_all()
            self.registry.init_models(
                self.env.cr, ["res.partner"], {"module": "wechat_coupon"}
            )

        install_without("wechat_birthday_key")
        self.assertEqual(self.people[0].wechat_birthday_key, "S0304")
        with patch.object(partners, "_compute_wechat_birthday_key") as compute:
            install_without("wechat_birthday_key", "wechat_birthday")
        compute.assert_not_called()
        self.people[0].wechat_birthday = "1990-03-05"
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(self.people[0].wechat_birthday_key, "S0305")


@tagged("post_install", "-at_install")
class TestCampaignLink(ClaimCase, CampaignCase):
    def test_marketing_coupon_by_link(self):
        template = self.new_template(attribute="marketing")
        link = self.link(template)
        with self.assertRaisesRegex(UserError, "certain customers"):
            self.claim(link)
        campaign = self.new_campaign(
            trigger="claim", template_id=template.id, domain="[]"
        )
        campaign.action_claim_link()
        self.assertEqual(self.claim(link).coupon_template_id, template)
        self.assertEqual(campaign.issue_count, 1)
        campaign.action_end()
        with self.assertRaisesRegex(UserError, "over"):
            self.claim(link, "phone:2")

    def test_link_of_a_campaign_that_is_over(self):
        """Its link is not for everybody then."""
        link = self.link(self.template)
        self.assertTrue(self.claim(link, "phone:9"))
        # The day of the company: Greenwich's is over at four in the afternoon.
        today = self.campaigns._default_date_from()
        campaign = self.new_campaign(trigger="claim", date_to=today)
        with freeze_time(fields.Datetime.now() + timedelta(days=2)):
            self.assert_over(link, "phone:1")
        campaign.action_end()
        self.assert_over(link, "phone:2")
        campaign.active = False
        self.assert_over(link, "phone:3")
        self.new_campaign(trigger="claim", domain="[]")
        self.assertTrue(self.claim(link, "phone:4"))

    def test_archived_campaign_that_runs(self):
        link = self.link(self.template)
        self.new_campaign(trigger="claim", domain="[]").active = False
        self.assert_over(link, "phone:1")

    def assert_over(self, link, who):
        self.env.invalidate_all()
        with self.assertRaisesRegex(UserError, "offer is over"):
            self.claim(link, who)

    def test_only_customers_of_the_campaign(self):
        template = self.new_template(attribute="marketing")
        link = self.link(template)
        self.new_campaign(trigger="claim", template_id=template.id)
        with self.assertRaisesRegex(UserError, "certain customers"):
            self.claim(link)
        with self.assertRaisesRegex(UserError, "inside WeChat"):
            self.claim(link, partner_id=self.people[0].id)
        self.assertTrue(self.claim(link, "openid:1:a", partner_id=self.people[0].id))
        self.people[1].category_id = [Command.clear()]
        with self.assertRaisesRegex(UserError, "certain customers"):
            self.claim(link, "openid:1:b", partner_id=self.people[1].id)
