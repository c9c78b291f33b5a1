import time
from types import SimpleNamespace
from unittest.mock import patch

from odoo.tests import tagged

from ..models import wechat_rate_guard
from .common import CommittedCase


@tagged("post_install", "-at_install")
class TestRateGuard(CommittedCase):
    def free_at(self, key, move=0.0):
        """Return when the key is free again; let ``move`` seconds go by for it."""

        def run(env):
            env.cr.execute(
                "UPDATE wechat_rate_guard SET free_at = free_at - %s"
                " WHERE key = %s RETURNING free_at",
                [move, key],
            )
            return env.cr.fetchone()[0]

        return self.commit(run)

    # Windows of many minutes: however slow this machine is, it is not that slow.

    def test_even_spacing(self):
        guard = self.env["wechat.rate.guard"]
        self.assertEqual(guard._acquire("test:even", 2, 2000.0), 0.0)
        wait = guard._acquire("test:even", 2, 2000.0)
        self.assertTrue(500 < wait <= 1000, wait)
        self.assertEqual(guard._acquire("test:other", 2, 2000.0), 0.0)

    def test_burst(self):
        guard = self.env["wechat.rate.guard"]
        waits = [guard._acquire("test:burst", 10, 100.0, burst=5) for _i in range(6)]
        self.assertEqual(waits[:5], [0.0] * 5)
        self.assertGreater(waits[5], 10)

    def test_refused_calls_cost_nothing(self):
        guard = self.env["wechat.rate.guard"]
        self.assertEqual(guard._acquire("test:free", 1, 1000.0), 0.0)
        free_at = self.free_at("test:free")
        for _i in range(20):
            self.assertGreater(guard._acquire("test:free", 1, 1000.0), 500)
        self.assertEqual(self.free_at("test:free"), free_at)
        self.free_at("test:free", move=1000.0)
        self.assertEqual(guard._acquire("test:free", 1, 1000.0), 0.0)

    def test_wait(self):
        guard, slept = self.env["wechat.rate.guard"], []

        def sleep(seconds):
            slept.append(seconds)
            self.free_at("test:wait", move=seconds)

        clock = SimpleNamespace(monotonic=time.monotonic, sleep=sleep)
        with patch.object(wechat_rate_guard, "time", clock):
            self.assertEqual(guard._wait("test:wait", 1, 1000.0), 0.0)
            self.assertEqual(slept, [])
            self.assertEqual(guard._wait("test:wait", 1, 1000.0, patience=2000), 0.0)
            self.assertTrue(500 < sum(slept) <= 1000, slept)
            slept.clear()
            self.assertGreater(guard._wait("test:wait", 1, 1000.0, patience=1), 500)
            self.assertEqual(slept, [])

    def test_many_workers_never_exceed_the_limit(self):
        """No window of one second holds more calls than allowed."""
        limit, seconds = 20, 1.0

        def work(env, _index):
            granted, end = [], time.monotonic() + 2.5
            while (before := time.monotonic()) < end:
                wait = env["wechat.rate.guard"]._acquire("test:race", limit, seconds)
                if wait:
                    time.sleep(min(wait, 0.02))
                else:
                    granted.append((before, time.monotonic()))
            return granted

        times = sorted(sum(self.in_threads(6, work), []), key=lambda pair: pair[1])
        # A call was granted somewhere between its two moments, however late this
        # thread was woken: too many are proved only if all of them fit the window.
        for last in range(limit, len(times)):
            group = times[last - limit : last + 1]
            span = group[-1][1] - min(before for before, _after in group)
            self.assertGreaterEqual(span, seconds)
        self.assertGreaterEqual(len(times), limit)
