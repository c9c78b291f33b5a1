import time

from odoo.tests import tagged

from .common import CommittedCase


@tagged("post_install", "-at_install")
class TestRateGuard(CommittedCase):
    def test_even_spacing(self):
        guard = self.env["wechat.rate.guard"]
        self.assertEqual(guard._acquire("test:even", 2, 1.0), 0.0)
        wait = guard._acquire("test:even", 2, 1.0)
        self.assertTrue(0.3 < wait <= 0.5, wait)
        self.assertEqual(guard._acquire("test:other", 2, 1.0), 0.0)

    def test_burst(self):
        guard = self.env["wechat.rate.guard"]
        waits = [guard._acquire("test:burst", 10, 100.0, burst=5) for _i in range(6)]
        self.assertEqual(waits[:5], [0.0] * 5)
        self.assertGreater(waits[5], 10)

    def test_refused_calls_cost_nothing(self):
        guard = self.env["wechat.rate.guard"]
        guard._acquire("test:free", 1, 0.2)
        for _i in range(20):
            guard._acquire("test:free", 1, 0.2)
        time.sleep(0.21)
        self.assertEqual(guard._acquire("test:free", 1, 0.2), 0.0)

    def test_wait(self):
        guard = self.env["wechat.rate.guard"]
        self.assertEqual(guard._wait("test:wait", 1, 0.2), 0.0)
        start = time.monotonic()
        self.assertEqual(guard._wait("test:wait", 1, 0.2), 0.0)
        self.assertGreater(time.monotonic() - start, 0.1)
        self.assertGreater(guard._wait("test:wait", 1, 0.2, patience=0.01), 0.05)

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
