import threading
import time

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..const import TOKEN_MARGIN
from ..tools.exceptions import WechatUnavailable
from .common import CommittedCase


@tagged("post_install", "-at_install")
class TestToken(CommittedCase):
    def account_in(self, env):
        return env["wechat.account"].browse(self.committed_account_id)

    def obtain(self, env, fetch, stale=None):
        return env["wechat.token"]._obtain(
            self.account_in(env), "access_token", fetch, stale
        )

    def test_without_the_lock_several_workers_ask(self):
        """The race exists: what the lock is there for."""
        asked, all_have_looked = [], threading.Barrier(5)

        def work(env, _index):
            model, account = env["wechat.token"], self.account_in(env)
            value = model._peek(account.id, "access_token")
            all_have_looked.wait(20)
            if not value:
                asked.append(1)

        self.in_threads(5, work)
        self.assertEqual(len(asked), 5)

    def test_of_several_workers_one_asks(self):
        asked = []

        def fetch():
            asked.append(1)
            time.sleep(0.2)
            return f"TOKEN{len(asked)}", 7200

        tokens = self.in_threads(5, lambda env, _index: self.obtain(env, fetch))
        self.assertEqual(tokens, ["TOKEN1"] * 5)
        self.assertEqual(len(asked), 1)

    def test_of_several_refused_workers_one_refreshes(self):
        self.commit(lambda env: self.obtain(env, lambda: ("OLD", 7200)))
        asked = []

        def fetch():
            asked.append(1)
            time.sleep(0.2)
            return "NEW", 7200

        tokens = self.in_threads(
            5, lambda env, _index: self.obtain(env, fetch, stale="OLD")
        )
        self.assertEqual(tokens, ["NEW"] * 5)
        self.assertEqual(len(asked), 1)

    def test_survives_a_rollback_of_the_caller(self):
        with self.registry.cursor() as cr:
            env = self.env(cr=cr)
            self.obtain(env, lambda: ("KEPT", 7200))
            cr.rollback()
        self.assertEqual(self.commit(lambda env: self.obtain(env, self.fail)), "KEPT")

    def test_old_tokens_are_replaced(self):
        self.commit(lambda env: self.obtain(env, lambda: ("A", TOKEN_MARGIN - 1)))
        self.assertEqual(
            self.commit(lambda env: self.obtain(env, lambda: ("B", 7200))), "B"
        )

    def test_a_failure_leaves_no_lock(self):
        def fail():
            raise ValueError("network")

        for _time in range(2):
            with self.assertRaises(ValueError):
                self.commit(lambda env: self.obtain(env, fail))
        self.assertEqual(
            self.commit(lambda env: self.obtain(env, lambda: ("C", 7200))), "C"
        )

    def test_encrypted_and_forgotten_with_the_secret(self):
        self.commit(lambda env: self.obtain(env, lambda: ("CLEAR", 7200)))

        def row(env):
            env.cr.execute(
                "SELECT value_cipher FROM wechat_token WHERE account_id = %s",
                [self.committed_account_id],
            )
            return env.cr.fetchone()

        self.assertNotIn("CLEAR", self.commit(row)[0])
        self.commit(lambda env: self.account_in(env).write({"secret": "new"}))
        self.assertIsNone(self.commit(row))

    def test_forgotten_with_the_target(self):
        def kept(env):
            env.cr.execute(
                "SELECT count(*) FROM wechat_token WHERE account_id = %s",
                [self.committed_account_id],
            )
            return env.cr.fetchone()[0]

        for vals in (
            {"sandbox_url": "http://127.0.0.1:9"},
            {"environment": "production"},
        ):
            self.commit(lambda env: self.obtain(env, lambda: ("T", 7200)))
            self.assertEqual(self.commit(kept), 1)
            self.commit(lambda env, vals=vals: self.account_in(env).write(vals))
            self.assertEqual(self.commit(kept), 0)

    def test_the_wait_for_another_worker_ends(self):
        self.commit(lambda env: self.obtain(env, lambda: ("OLD", 1)))
        with self.registry.cursor() as cr:
            cr.execute(
                "SELECT 1 FROM wechat_token WHERE account_id = %s FOR UPDATE",
                [self.committed_account_id],
            )
            start = time.monotonic()
            with self.assertRaises(WechatUnavailable), mute_logger("odoo.sql_db"):
                self.commit(
                    lambda env: env["wechat.token"]._obtain(
                        self.account_in(env), "access_token", self.fail, patience=0.3
                    )
                )
            self.assertLess(time.monotonic() - start, 2)

    def test_a_failed_fetch_is_remembered(self):
        asked = []

        def fail():
            asked.append(1)
            raise WechatUnavailable("down")

        for _time in range(3):
            with self.assertRaises(WechatUnavailable):
                self.commit(lambda env: self.obtain(env, fail))
        self.assertEqual(len(asked), 1)

        def later(env):
            env.cr.execute(
                "UPDATE wechat_token SET retry_at = retry_at - interval '1 hour'"
                " WHERE account_id = %s",
                [self.committed_account_id],
            )

        self.commit(later)
        self.assertEqual(
            self.commit(lambda env: self.obtain(env, lambda: ("UP", 7200))), "UP"
        )

    def test_who_had_no_time_to_ask_stops_nobody(self):
        def fail():
            raise WechatUnavailable("no time", code="deadline")

        with self.assertRaises(WechatUnavailable):
            self.commit(lambda env: self.obtain(env, fail))
        self.assertEqual(
            self.commit(lambda env: self.obtain(env, lambda: ("UP", 7200))), "UP"
        )

    def test_through_the_client(self):
        self.server.says("/card/get", {"errcode": 0, "card": {}})

        def call(env):
            self.account_in(env)._get_client().card.get("p1")

        self.commit(call)
        self.commit(call)
        self.assertEqual(len(self.server.asked("/cgi-bin/stable_token")), 1)
