"""Coupons for chosen customers: the order, the job, what each has got."""

from datetime import timedelta
from unittest.mock import patch

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..models import coupon_handout
from .common import CouponCase

JOB = "odoo.addons.wechat_coupon.models.coupon_job_mixin"


class HandoutCase(CouponCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.handouts = cls.env["coupon.handout"].with_user(cls.manager)
        cls.tag = cls.env["res.partner.category"].create({"name": "Regulars"})
        cls.people = cls.env["res.partner"].create(
            [
                {
                    "name": f"Customer {number}",
                    "email": f"c{number}@example.com",
                    "category_id": [Command.set(cls.tag.ids)],
                }
                for number in range(5)
            ]
        )

    def new_handout(self, **vals):
        return self.handouts.create(
            {
                "template_id": self.template.id,
                "audience": "tags",
                "category_ids": [Command.set(self.tag.ids)],
                **vals,
            }
        )

    def work_off(self, steps=None):
        """Run the job, as long as it wants or for some steps."""
        self.env.flush_all()
        with self.enter_registry_test_mode():
            model = self.env["coupon.handout"].sudo()
            with patch.object(type(model), "_drain_batch", steps or 500):
                model._job_drain()
        self.env.invalidate_all()

    def coupons(self, template=None):
        return self.env["loyalty.card"].search(
            [("coupon_template_id", "=", (template or self.template).id)]
        )


@tagged("post_install", "-at_install")
class TestHandout(HandoutCase):
    def test_one_for_each(self):
        handout = self.new_handout()
        self.assertEqual(handout.audience_count, 5)
        handout.action_start()
        self.assertEqual((handout.state, handout.count), ("running", 5))
        self.work_off()
        self.assertEqual((handout.state, handout.done), ("done", 5))
        self.assertEqual(handout.progress, 100)
        self.assertEqual(self.coupons().partner_id, self.people)
        self.assertTrue(self.reserve("u1", self.coupons()[0])["ok"])

    def test_everybody_is_told(self):
        before = self.env["mail.mail"].search([])
        handout = self.new_handout()
        handout.action_start()
        self.work_off()
        mails = self.env["mail.mail"].search([]) - before
        self.assertEqual(mails.recipient_ids, self.people)
        self.assertIn("/coupon/my/", mails[0].body_html)

    def test_chosen_from_the_list_of_contacts(self):
        action = self.people[:2].with_user(self.manager).action_wechat_give_coupon()
        form = Form(self.handouts.with_context(**action["context"]))
        form.template_id = self.template
        handout = form.save()
        handout.action_start()
        self.work_off()
        self.assertEqual(self.coupons().partner_id, self.people[:2])

    def test_a_filter(self):
        handout = self.new_handout(
            audience="filter", domain="[('name', 'like', 'Customer 3')]"
        )
        handout.action_start()
        self.work_off()
        self.assertEqual(self.coupons().partner_id.mapped("name"), ["Customer 3"])

    def test_users_are_no_customers_of_a_filter(self):
        handout = self.new_handout(audience="filter")
        self.assertNotIn(
            self.manager.partner_id,
            self.env["res.partner"].search(handout._audience_domain()),
        )

    def test_a_filter_that_is_none(self):
        for domain in ("[('no_such_field', '=', 1)]", "[(", "__import__('os')"):
            with self.assertRaisesRegex(ValidationError, "does not work"):
                self.new_handout(audience="filter", domain=domain)

    def test_message_about_something_else(self):
        other = self.env.ref("wechat_coupon.mail_template_used")
        with self.assertRaisesRegex(ValidationError, "not for coupons"):
            self.new_handout(mail_template_id=other.id)

    def test_our_own_company_is_no_customer(self):
        handout = self.new_handout(audience="all")
        found = self.env["res.partner"].search(handout._audience_domain())
        self.assertNotIn(self.company.partner_id, found)
        self.assertLessEqual(self.people, found)

    def test_over(self):
        template = self.new_template()
        template._write_guarded({"date_to": "2026-01-31", "date_from": "2026-01-01"})
        with self.assertRaisesRegex(UserError, "valid until"):
            self.new_handout(template_id=template.id).action_start()

    def test_over_before_it_begins(self):
        """Valid some days after receipt, and by then its last day is over."""
        template = self.new_template(
            date_type="term",
            term_days=30,
            term_begin_days=9,
            term_latest=fields.Date.today() + timedelta(days=3),
        )
        with self.assertRaisesRegex(UserError, "valid until"):
            self.new_handout(template_id=template.id).action_start()

    def test_given_coupons_keep_their_history(self):
        """Who deletes a cancelled hand-out does not make room for a second coupon."""
        handout = self.new_handout()
        handout.action_start()
        with patch.object(coupon_handout, "CHUNK", 2):
            self.work_off(steps=1)
        with self.enter_registry_test_mode():
            handout.action_cancel()
        with self.assertRaisesRegex(UserError, "nobody gets two"):
            handout.unlink()
        self.new_handout().unlink()

    def test_merged_customers(self):
        handout = self.new_handout()
        handout.action_start()
        self.work_off()
        one, two, three = self.people[:3]
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((one + two + three).ids, one)
        self.assertFalse((two + three).exists())
        mine = self.coupons().filtered(lambda coupon: coupon.partner_id == one)
        self.assertEqual(len(mine), 3)
        self.assertEqual(len(handout.issue_ids), 5)
        self.assertEqual(
            len(handout.issue_ids.filtered(lambda row: row.partner_id == one)), 1
        )

    def test_archived_meanwhile(self):
        handout = self.new_handout()
        handout.action_start()
        self.people[0].active = False
        self.work_off()
        self.assertEqual(handout.state, "done")
        self.assertEqual(self.coupons().partner_id, self.people[1:])
        [gone] = handout.issue_ids.filtered("problem")
        self.assertIn("archived", gone.problem)

    def test_an_address_is_no_customer(self):
        self.people[0].copy({"parent_id": self.people[1].id, "type": "delivery"})
        self.assertEqual(self.new_handout().audience_count, 5)

    def test_duplicate(self):
        handout = self.new_handout()
        handout.action_start()
        self.assertEqual(handout.copy().state, "draft")

    def test_nobody(self):
        with self.assertRaisesRegex(UserError, "Nobody matches"):
            self.new_handout(
                audience="filter", domain="[('name', '=', 'nobody')]"
            ).action_start()
        with self.assertRaisesRegex(UserError, "Choose the customers"):
            self.new_handout(audience="partners").action_start()

    def test_only_whom_the_coupon_is_for(self):
        vip = self.env["res.partner.category"].create({"name": "VIP"})
        self.people[0].category_id += vip
        template = self.new_template(
            audience="tags", audience_tag_ids=[Command.set(vip.ids)]
        )
        handout = self.new_handout(template_id=template.id)
        self.assertEqual(handout.audience_count, 1)
        stranger = self.new_handout(
            template_id=template.id,
            audience="partners",
            partner_ids=[Command.set(self.people[:2].ids)],
        )
        with self.assertRaisesRegex(UserError, "Customer 1"):
            stranger.action_start()

    def test_whoever_asks_the_filter_is_the_same(self):
        """A till of another company asks with the eyes of who chose the filter."""
        template = self.new_template(
            audience="filter", audience_domain="[('name', 'like', 'Customer 3')]"
        )
        template._write_guarded({"audience_user_id": self.manager.id})
        branch = self.env["res.company"].create(
            {"name": "Branch", "parent_id": self.company.id}
        )
        self.people[3].company_id = branch
        self.manager.company_ids += branch
        cashier = self.new_user("far", "point_of_sale.group_pos_user", company=branch)
        # sudo: as tills read templates.
        asked = template.with_user(cashier).sudo()
        asked = asked.with_context(allowed_company_ids=branch.ids)
        self.assertEqual(asked._allowed(self.people), self.people[3])

    def test_marketing_coupons_go_by_campaign(self):
        template = self.new_template(attribute="marketing")
        with self.assertRaisesRegex(UserError, "by a campaign"):
            self.new_handout(template_id=template.id).action_start()

    def test_draft_template(self):
        template = self.new_template(publish=False)
        with self.assertRaisesRegex(UserError, "Publish"):
            self.new_handout(template_id=template.id).action_start()

    def test_goes_on_after_a_crash(self):
        """What was committed is not made again; the rest is made once."""
        handout = self.new_handout()
        handout.action_start()
        with patch.object(coupon_handout, "CHUNK", 2):
            self.work_off(steps=1)
            self.assertEqual(handout.done, 2)
            made = self.coupons()
            crash = patch.object(
                self.registry["coupon.issue"], "_make", side_effect=RuntimeError("died")
            )
            with crash, mute_logger(JOB):
                self.work_off()
            self.assertEqual((handout.state, handout.done), ("failed", 2))
            self.assertEqual(self.coupons(), made)
            with self.enter_registry_test_mode():
                handout.action_resume()
            self.work_off()
        self.assertEqual((handout.state, handout.done), ("done", 5))
        self.assertEqual(len(self.coupons()), 5)
        self.assertEqual(self.coupons().partner_id, self.people)

    def test_pieces_run_out(self):
        template = self.new_template(stock=3)
        handout = self.new_handout(template_id=template.id)
        handout.action_start()
        with mute_logger(JOB):
            self.work_off()
        self.assertEqual(handout.state, "failed")
        self.assertIn("Raise the number", handout.error)
        self.assertFalse(self.coupons(template))
        template.stock = 5
        with self.enter_registry_test_mode():
            handout.action_resume()
        self.work_off()
        self.assertEqual(handout.state, "done")
        self.assertEqual(template.stock_left, 0)

    def test_cancelled(self):
        handout = self.new_handout()
        handout.action_start()
        with patch.object(coupon_handout, "CHUNK", 2):
            self.work_off(steps=1)
        with self.enter_registry_test_mode():
            handout.action_cancel()
        self.work_off()
        self.assertEqual(len(self.coupons()), 2)
        self.assertFalse(handout.issue_ids.filtered(lambda row: not row.issued_at))

    def test_not_faster_than_agreed(self):
        handout = self.new_handout()
        handout.action_start()
        guard = type(self.env["wechat.rate.guard"])
        with patch.object(guard, "_acquire", return_value=7.0):
            self.work_off()
        self.assertEqual((handout.state, handout.done), ("running", 0))
        self.assertTrue(handout.next_at > handout.write_date)

    def test_rights(self):
        handout = self.new_handout()
        for user in (self.cashier, self.auditor):
            with self.assertRaises(AccessError):
                handout.with_user(user).action_start()
            with self.assertRaises(AccessError):
                self.handouts.with_user(user).create({"template_id": self.template.id})
        for vals in ({"state": "done"}, {"occasion": "x"}, {"count": 9}):
            with self.assertRaises(AccessError):
                handout.write(vals)

    def test_another_company(self):
        other = self.new_company("Other")
        template = self.new_template(company_id=other.id)
        with self.assertRaises(UserError):
            self.new_handout(template_id=template.id)
