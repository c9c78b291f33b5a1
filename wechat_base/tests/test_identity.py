from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import CommittedCase, WechatCase


@tagged("post_install", "-at_install")
class TestIdentity(WechatCase):
    def test_find_or_create(self):
        identities = self.env["wechat.identity"]
        first = identities._find_or_create(self.account, "oABC", nickname="小明")
        again = identities._find_or_create(self.account, "oABC", nickname=None)
        self.assertEqual(first, again)
        self.assertEqual(first.nickname, "小明")
        self.assertEqual(first.company_id, self.company)
        self.assertTrue(first.last_seen)
        partner = self.env["res.partner"].create({"name": "Ming"})
        identities._find_or_create(self.account, "oABC", partner_id=partner)
        self.assertEqual(first.partner_id, partner)
        self.assertEqual(first.display_name, "Ming")

    def test_contact_of_another_company(self):
        identity = self.env["wechat.identity"]._find_or_create(self.account, "oABC")
        other = self.env["res.company"].create({"name": "Other"})
        stranger = self.env["res.partner"].create(
            {"name": "Stranger", "company_id": other.id}
        )
        with self.assertRaises(UserError):
            identity.partner_id = stranger
            identity.flush_recordset()

    def test_openid_is_not_shown_whole(self):
        identity = self.env["wechat.identity"]._find_or_create(
            self.account, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
        )
        self.assertEqual(identity.display_name, "oUpF…eS6o")

    def test_events_of_a_follower(self):
        def receive(kind, created, **payload):
            event = self.env["wechat.event"].create(
                {
                    "source": "oa",
                    "account_id": self.account.id,
                    "company_id": self.company.id,
                    "event_key": f"{kind}{created}",
                    "event_type": kind,
                    "openid": "oF",
                    "payload": {"CreateTime": str(created), **payload},
                    "received_at": fields.Datetime.now(),
                }
            )
            event._process()
            return event

        receive("subscribe", 1700000000, EventKey="qrscene_desk1")
        identity = self.env["wechat.identity"].search([("openid", "=", "oF")])
        self.assertTrue(identity.subscribed)
        self.assertEqual(identity.scene, "desk1")
        receive("scan", 1700000010, EventKey="desk2")
        self.assertEqual(identity.scene, "desk2")
        receive("unsubscribe", 1700000020)
        self.assertFalse(identity.subscribed)
        # Delivered late: what came after it counts.
        receive("subscribe", 1700000015)
        self.assertFalse(identity.subscribed)
        self.assertEqual(receive("user_view_card_x", 1).state, "ignored")


@tagged("post_install", "-at_install")
class TestIdentityRace(CommittedCase):
    def test_two_callbacks_of_one_person(self):
        def create(env, _index):
            account = env["wechat.account"].browse(self.committed_account_id)
            identity = env["wechat.identity"]._find_or_create(account, "oRACE")
            env.cr.commit()
            return identity.id

        try:
            ids = self.in_threads(6, lambda env, index: _again(env, create))
        finally:
            self.commit(
                lambda env: (
                    env["wechat.identity"].search([("openid", "=", "oRACE")]).unlink()
                )
            )
        self.assertEqual(len(set(ids)), 1)


def _again(env, function):
    """Repeat on a conflict, as Odoo does for requests and we do in jobs."""
    from psycopg2 import OperationalError

    for _attempt in range(10):
        try:
            return function(env, 0)
        except OperationalError:
            env.cr.rollback()
    raise AssertionError("too many conflicts")
