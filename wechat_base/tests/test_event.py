from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import wechat_event
from ..models.wechat_event import MAX_ATTEMPTS, RETRY_SECONDS
from .common import CommittedCase, WechatCase
from .operation_model import Killed

LOGGER = "odoo.addons.wechat_base.models.wechat_event"


@tagged("post_install", "-at_install")
class TestEvent(WechatCase):
    """Processing, in the test's transaction."""

    def setUp(self):
        super().setUp()
        self.handled = []
        handled = self.handled

        def handle(event):
            handled.append(event.event_key)
            payload = event._payload()
            if payload.get("fail"):
                # A part of the work is done before it fails.
                event.account_id.name = "half done"
                raise ValueError("broken\nsecond line")
            return False if payload.get("not_ours") else None

        model = type(self.env["wechat.event"])
        self.addCleanup(lambda: delattr(model, "_handle_test_kind"))
        model._handle_test_kind = handle
        self.registry_enter_test_mode()

    def receive(self, key, kind="test_kind", **payload):
        self.assertTrue(
            self.env["wechat.event"]._receive(
                "oa", self.account.id, self.company.id, key, kind, payload, "oABC"
            )
        )
        event = self.env["wechat.event"].search([("event_key", "=", key)])
        self.assertEqual(len(event), 1)
        return event

    def drain(self):
        self.env.flush_all()
        self.env["wechat.event"]._event_drain()
        self.env.invalidate_all()

    def test_receives_once(self):
        self.receive("k1")
        again = self.env["wechat.event"]._receive(
            "oa", self.account.id, self.company.id, "k1", "test_kind", {}, "oABC"
        )
        self.assertFalse(again)

    def test_done_and_ignored(self):
        done = self.receive("k1")
        not_ours = self.receive("k2", not_ours=True)
        unknown = self.receive("k3", kind="nobody_handles_this")
        # Kept for whoever wants to look at it, without a job.
        self.assertEqual((unknown.state, bool(unknown.processed_at)), ("ignored", True))
        dotted = self.receive("k4", kind="test.kind")
        self.drain()
        self.assertEqual(
            (done + not_ours + unknown + dotted).mapped("state"),
            ["done", "ignored", "ignored", "done"],
        )
        self.assertEqual(done.attempts, 1)
        self.assertTrue(done.processed_at)
        self.drain()
        self.assertEqual(self.handled, ["k1", "k2", "k4"])

    @mute_logger(LOGGER)
    def test_a_failure_is_its_own(self):
        failing, good = self.receive("k1", fail=True), self.receive("k2")
        self.drain()
        self.assertEqual(good.state, "done")
        self.assertEqual(failing.state, "pending")
        self.assertEqual(failing.attempts, 1)
        self.assertEqual(failing.error, "ValueError: broken")
        self.assertGreater(failing.next_at, fields.Datetime.now())
        self.assertEqual(self.account.name, "Shop")
        self.drain()
        self.assertEqual(self.handled.count("k1"), 1)

    @mute_logger(LOGGER)
    def test_gives_up_and_is_tried_again_by_hand(self):
        event = self.receive("k1", fail=True)
        for _attempt in range(len(RETRY_SECONDS) + 1):
            event.next_at = fields.Datetime.now()
            self.drain()
        self.assertEqual(event.state, "failed")
        self.assertEqual(event.attempts, len(RETRY_SECONDS) + 1)
        event.write({"payload": {}})
        event.action_retry()
        self.assertEqual((event.state, event.attempts), ("pending", 0))
        self.drain()
        self.assertEqual(event.state, "done")
        self.assertFalse(event.error)
        with self.assertRaises(UserError):
            event.action_retry()

    def test_one_job_for_a_burst(self):
        events = self.env["wechat.event"]
        for index in range(5):
            self.receive(f"k{index}")
        callbacks = list(self.env.cr.postcommit._funcs)
        self.assertEqual(len(callbacks), 1)
        for _time in range(3):
            events._drain_enqueue()
        jobs = self.env["queue.job"].search([("identity_key", "=", "wechat.event:now")])
        self.assertEqual(len(jobs), 1)
        self.assertEqual(jobs.channel, "root.wechat.inbox")
        self.assertEqual(jobs.method_name, "_event_drain")
        # One that runs does not count: its last look may lie before our commit.
        jobs.with_context(_job_edit_sentinel=type(jobs).EDIT_SENTINEL).state = "started"
        self.env.flush_all()
        events._drain_enqueue()
        jobs = self.env["queue.job"].search([("identity_key", "=", "wechat.event:now")])
        self.assertEqual(len(jobs), 2)

    def test_sweeper(self):
        self.receive("k1")
        jobs = [("identity_key", "=", "wechat.event:now")]
        self.assertFalse(self.env["queue.job"].search(jobs))
        self.env["wechat.drain.mixin"]._cron_sweep()
        self.assertEqual(len(self.env["queue.job"].search(jobs)), 1)
        self.env["wechat.drain.mixin"]._cron_sweep()
        self.assertEqual(len(self.env["queue.job"].search(jobs)), 1)

    def test_rest_of_a_batch(self):
        for index in range(5):
            self.receive(f"k{index}")
        with patch.object(type(self.env["wechat.event"]), "_drain_batch", 2):
            self.drain()
        self.assertEqual(len(self.handled), 2)
        jobs = self.env["queue.job"].search([("identity_key", "=", "wechat.event:now")])
        self.assertEqual(len(jobs), 1)

    def test_housekeeping(self):
        old, young, waiting = (self.receive(key) for key in ("k1", "k2", "k3"))
        long_ago = fields.Datetime.now() - timedelta(days=400)
        (old + waiting).write({"received_at": long_ago})
        (old + young).write({"state": "done"})
        self.env.flush_all()
        self.env["wechat.event"]._gc_events()
        self.env.invalidate_all()
        self.assertFalse(old.exists())
        self.assertTrue((young + waiting).exists() == young + waiting)

    def test_housekeeping_comes_back_for_the_rest(self):
        events = self.env["wechat.event"]
        for index in range(3):
            events |= self.receive(f"k{index}")
        long_ago = fields.Datetime.now() - timedelta(days=400)
        events.write({"received_at": long_ago, "state": "done"})
        self.env.flush_all()
        with patch.object(wechat_event, "GC_BATCH", 2):
            self.assertEqual(events._gc_events(), (2, True))
            self.assertEqual(events._gc_events(), (1, False))
            self.assertEqual(events._gc_events(), (0, False))

    def test_what_cannot_be_stored(self):
        half = "\ud83d"
        event = self.receive("k1", text=f"a{half}\0b", number=float("nan"))
        self.assertEqual(event.payload, {"text": "a?b", "number": None})
        with (
            mute_logger(LOGGER),
            patch.object(type(event), "_handle_test_kind", side_effect=KeyError(half)),
        ):
            self.drain()
        self.assertEqual((event.state, event.attempts), ("pending", 1))
        self.assertIn("KeyError", event.error)

    def test_channel_of_each_drain(self):
        """What the data say, nothing in the code: an administrator may change it."""
        names = self.env.registry.descendants(["wechat.drain.mixin"], "_inherit")
        names = [name for name in names if not self.env[name]._abstract]
        self.assertIn("wechat.event", names)
        for name in names:
            self.env[name]._drain_enqueue()
            job = self.env["queue.job"].search(
                [("identity_key", "=", f"{name}:now"), ("state", "=", "pending")]
            )
            with self.subTest(name):
                if name == "wechat.event":
                    self.assertEqual(job.channel, "root.wechat.inbox")
                else:
                    # Nothing keeps callbacks waiting, nor what Odoo itself does.
                    self.assertNotIn(job.channel, ("root", "root.wechat.inbox"))
        function = self.env.ref("wechat_base.queue_job_function_event_drain")
        function.channel_id = self.env.ref("wechat_base.queue_job_channel_pay")
        self.env["wechat.event"]._drain_enqueue(seconds=5)
        job = self.env["queue.job"].search(
            [("identity_key", "=", "wechat.event:later")]
        )
        self.assertEqual(job.channel, "root.wechat.pay")


@tagged("post_install", "-at_install")
class TestEventRace(CommittedCase):
    """Two jobs, one inbox: real transactions."""

    def test_each_event_is_processed_once(self):
        handled = []
        model = type(self.env["wechat.event"])
        self.addCleanup(lambda: delattr(model, "_handle_test_race"))
        model._handle_test_race = lambda event: handled.append(event.event_key)

        def receive(env):
            for index in range(40):
                env["wechat.event"]._receive(
                    "oa", self.committed_account_id, 1, f"r{index}", "test_race", {}
                )

        self.commit(receive)
        self.in_threads(3, lambda env, _index: env["wechat.event"]._event_drain())
        self.assertEqual(sorted(handled), sorted(f"r{index}" for index in range(40)))

    def test_an_event_that_kills_its_worker_is_not_first_for_ever(self):
        handled = []

        def handle(event):
            if event.event_key == "poison":
                raise Killed()
            handled.append(event.event_key)

        model = type(self.env["wechat.event"])
        self.addCleanup(lambda: delattr(model, "_handle_test_poison"))
        model._handle_test_poison = handle

        def receive(env):
            for key in ("poison", "good"):
                env["wechat.event"]._receive(
                    "oa", self.committed_account_id, 1, key, "test_poison", {}
                )

        def poison(env):
            return env["wechat.event"].search([("event_key", "=", "poison")])

        def drain():
            self.commit(lambda env: env["wechat.event"]._event_drain())

        def due(env):
            poison(env).next_at = fields.Datetime.now()

        self.commit(receive)
        with self.assertRaises(Killed):
            drain()
        self.assertEqual(self.commit(lambda env: poison(env).attempts), 1)
        drain()
        self.assertEqual(handled, ["good"])
        for _time in range(MAX_ATTEMPTS - 1):
            self.commit(due)
            with self.assertRaises(Killed):
                drain()
        self.commit(due)
        drain()
        self.assertEqual(self.commit(lambda env: poison(env).state), "failed")
