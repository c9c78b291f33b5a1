import threading
from contextlib import ExitStack
from unittest.mock import patch

from psycopg2 import IntegrityError

from odoo import SUPERUSER_ID, api, fields
from odoo.exceptions import ValidationError
from odoo.modules.registry import DummyRLock, Registry
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.wechat_operation import WechatOperation
from ..tools.exceptions import (
    WechatConfigError,
    WechatRefused,
    WechatUnavailable,
    WechatUnknownOutcome,
)
from .common import CommittedCase
from .operation_model import NAME, Killed, Remote, operation_model

LOGGER = "odoo.addons.wechat_base.models.wechat_operation"


@tagged("post_install", "-at_install")
class TestOperation(CommittedCase):
    """Real transactions: what is committed when is what this is about."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.remote = Remote()
        stack = ExitStack()
        cls.addClassCleanup(stack.close)
        stack.enter_context(operation_model(cls.registry, cls.remote))

    def setUp(self):
        super().setUp()
        self.remote.__init__()
        self.addCleanup(self.commit, lambda env: env[NAME].search([]).unlink())

    # --- helpers ---

    def prepare(self, count=1, **vals):
        def create(env):
            rows = env[NAME].create([{"name": str(i), **vals} for i in range(count)])
            rows._operation_prepare()
            return rows.ids

        return self.commit(create)

    def drain(self):
        self.commit(lambda env: env[NAME]._operation_drain())

    def row(self, row_id, *names):
        values = self.commit(lambda env: env[NAME].browse(row_id).read()[0])
        return [values[name] for name in names] if len(names) > 1 else values[names[0]]

    def due_now(self, *ids):
        self.commit(
            lambda env: (
                env[NAME].browse(ids).write({"remote_next_at": fields.Datetime.now()})
            )
        )

    def blocked(self):
        return self.commit(
            lambda env: (
                env[NAME].search([("remote_blocked", "=", True)], order="id").ids
            )
        )

    def jobs(self):
        return self.commit(
            lambda env: (
                env["queue.job"]
                .search([("model_name", "=", NAME), ("state", "=", "pending")])
                .mapped(lambda job: (job.identity_key, job.channel, bool(job.eta)))
            )
        )

    # --- number and states ---

    def test_the_number_stays(self):
        (row_id,) = self.prepare()
        number = self.row(row_id, "request_no")
        self.assertRegex(number, r"^[0-9a-zA-Z]{6,32}$")
        self.commit(lambda env: env[NAME].browse(row_id)._operation_prepare())
        self.assertEqual(self.row(row_id, "request_no"), number)
        for value in ("other", False):
            with self.assertRaises(ValidationError):
                self.commit(
                    lambda env, value=value: (
                        env[NAME].browse(row_id).write({"request_no": value})
                    )
                )

    @mute_logger("odoo.sql_db")
    def test_the_number_is_unique(self):
        number = self.row(self.prepare()[0], "request_no")
        with self.assertRaises(IntegrityError):
            self.commit(lambda env: env[NAME].create({"request_no": number}))

    def test_transitions(self):
        self.assertTrue(
            all(
                isinstance(targets, tuple) and all(isinstance(t, str) for t in targets)
                for targets in WechatOperation._REMOTE_TRANSITIONS.values()
            )
        )
        (row_id,) = self.prepare()
        self.drain()
        for state in ("pending", "sending", "unknown", "refused", "cancelled", "none"):
            with self.subTest(state), self.assertRaises(ValidationError):
                self.commit(
                    lambda env, state=state: (
                        env[NAME].browse(row_id).write({"remote_state": state})
                    )
                )

    def test_cancel(self):
        (row_id,) = self.prepare()
        self.commit(lambda env: env[NAME].browse(row_id)._operation_cancel())
        self.drain()
        self.assertEqual(self.row(row_id, "remote_state"), "cancelled")
        self.assertFalse(self.remote.calls)

    def test_a_copy_has_no_number(self):
        (row_id,) = self.prepare()
        copy = self.commit(lambda env: env[NAME].browse(row_id).copy().read()[0])
        self.assertFalse(copy["request_no"])
        self.assertEqual(copy["remote_state"], "none")

    # --- outcomes ---

    def test_success(self):
        (row_id,) = self.prepare()
        self.drain()
        state, hook, attempts, request_id, done_at, number = self.row(
            row_id,
            "remote_state",
            "hook",
            "remote_attempts",
            "remote_request_id",
            "remote_done_at",
            "request_no",
        )
        self.assertEqual((state, hook, attempts), ("done", "done", 1))
        self.assertEqual(request_id, f"RID-{number[:4]}")
        self.assertTrue(done_at)
        self.drain()
        self.assertEqual(self.remote.calls, [number])

    def test_refused(self):
        self.remote.script = [("before", WechatRefused("no", 40127, "rid-1"))]
        (row_id,) = self.prepare()
        self.drain()
        self.assertEqual(
            self.row(
                row_id, "remote_state", "hook", "remote_error_code", "remote_request_id"
            ),
            ["refused", "refused 40127", "40127", "rid-1"],
        )
        number = self.row(row_id, "request_no")
        self.commit(lambda env: env[NAME].browse(row_id).action_operation_retry())
        self.drain()
        self.assertEqual(self.row(row_id, "remote_state"), "done")
        self.assertEqual(self.remote.calls, [number, number])

    def test_unavailable(self):
        self.remote.script = [("before", WechatUnavailable("down"))]
        (row_id,) = self.prepare()
        self.drain()
        state, next_at, error = self.row(
            row_id, "remote_state", "remote_next_at", "remote_error"
        )
        self.assertEqual((state, error), ("pending", "down"))
        self.assertGreater(next_at, fields.Datetime.now())
        self.assertFalse(self.remote.queries)
        self.due_now(row_id)
        self.drain()
        self.assertEqual(
            self.row(row_id, "remote_state", "remote_error", "remote_attempts"),
            ["done", False, 2],
        )
        self.assertFalse(self.remote.queries)

    def test_retry_after(self):
        self.remote.script = [("before", WechatUnavailable("q", 45009, None, 3600.0))]
        (row_id,) = self.prepare()
        self.drain()
        wait = self.row(row_id, "remote_next_at") - fields.Datetime.now()
        self.assertGreater(wait.total_seconds(), 3500)

    def test_configuration(self):
        self.remote.script = [("before", WechatConfigError("set it up", 48001))]
        (row_id,) = self.prepare()
        self.drain()
        state, code, next_at = self.row(
            row_id, "remote_state", "remote_error_code", "remote_next_at"
        )
        self.assertEqual((state, code), ("pending", "48001"))
        self.assertGreater((next_at - fields.Datetime.now()).total_seconds(), 600)
        self.assertEqual(self.blocked(), [row_id])
        # Something else came in between: nobody has to change a setting.
        self.remote.script = [("before", WechatUnavailable("later"))]
        self.due_now(row_id)
        self.drain()
        self.assertEqual(self.blocked(), [])

    def test_configuration_put_right(self):
        self.remote.script = [("before", WechatConfigError("set it up", "NO_AUTH"))] * 2
        done_id, cancelled_id = self.prepare(2)
        self.drain()
        self.assertEqual(self.blocked(), [done_id, cancelled_id])
        self.commit(lambda env: env[NAME].browse(cancelled_id)._operation_cancel())
        self.commit(lambda env: env[NAME].browse(done_id).action_operation_retry())
        self.assertEqual(self.blocked(), [done_id])
        self.drain()
        self.assertEqual(self.row(done_id, "remote_state"), "done")
        self.assertEqual(self.blocked(), [])

    def test_time_out_before_the_change(self):
        self.remote.script = [("before", WechatUnknownOutcome("silence"))]
        (row_id,) = self.prepare()
        self.drain()
        self.assertEqual(self.row(row_id, "remote_state"), "unknown")
        self.due_now(row_id)
        self.drain()
        number = self.row(row_id, "request_no")
        self.assertEqual(self.row(row_id, "remote_state"), "done")
        self.assertEqual(self.remote.queries, [number])
        self.assertEqual(self.remote.calls, [number, number])
        self.assertEqual(self.remote.done, {number: 1})

    def test_time_out_after_the_change(self):
        """It was carried out: asking finds out, and nothing is sent again."""
        self.remote.script = [("after", WechatUnknownOutcome("silence"))]
        (row_id,) = self.prepare()
        self.drain()
        self.assertEqual(self.row(row_id, "remote_state"), "unknown")
        self.due_now(row_id)
        self.drain()
        number = self.row(row_id, "request_no")
        self.assertEqual(self.row(row_id, "remote_state", "hook"), ["done", "done"])
        self.assertEqual(self.remote.calls, [number])
        self.assertEqual(self.remote.done, {number: 1})

    def test_a_question_without_answer(self):
        self.remote.script = [("after", WechatUnknownOutcome("silence"))]
        (row_id,) = self.prepare()
        self.drain()
        for answer in (WechatUnavailable("down"), "unknown"):
            self.due_now(row_id)
            effect = (
                {"side_effect": answer}
                if isinstance(answer, Exception)
                else {"return_value": answer}
            )
            with patch.object(Remote, "query", **effect):
                self.drain()
            self.assertEqual(self.row(row_id, "remote_state"), "unknown")
        self.assertEqual(len(self.remote.calls), 1)

    def test_a_refused_question_calls_for_help_once(self):
        self.remote.script = [("after", WechatUnknownOutcome("silence"))]
        (row_id,) = self.prepare()
        self.drain()
        waits = []
        for _time in range(9):
            self.due_now(row_id)
            with patch.object(Remote, "query", side_effect=WechatRefused("no", 40056)):
                self.drain()
            wait = self.row(row_id, "remote_next_at") - fields.Datetime.now()
            waits.append(wait.total_seconds())
            hook = "stuck 40056" if len(waits) >= 3 else False
            self.assertEqual(self.row(row_id, "hook"), hook)
        self.assertEqual(self.row(row_id, "remote_queries"), 9)
        self.assertEqual(self.remote.stuck, 1)
        self.assertGreater(waits[-1], 3000)
        self.assertEqual(self.row(row_id, "remote_state"), "unknown")
        self.assertTrue(self.row(row_id, "remote_needs_help"))
        self.commit(lambda env: env[NAME].browse(row_id).action_operation_retry())
        self.drain()
        self.assertEqual(
            self.row(row_id, "remote_state", "remote_needs_help", "remote_queries"),
            ["done", False, 0],
        )

    @mute_logger("odoo.addons.wechat_base.models.wechat_drain_mixin")
    def test_a_mistake_of_ours_is_an_unknown_outcome(self):
        self.remote.script = [("after", KeyError("bug"))]
        first, second = self.prepare(2)
        self.drain()
        self.assertEqual(self.row(first, "remote_state"), "unknown")
        self.assertEqual(self.row(second, "remote_state"), "done")

    # --- a row that fails here ---

    def fails(self, name, row_name="0"):
        """Have a hook of the row ``row_name`` raise what cannot be stored."""
        original = getattr(self.registry[NAME], name)

        def fail(row, *args):
            if row.name == row_name:
                raise ValueError("broken \ud83d\0 hook")
            return original(row, *args)

        return patch.object(self.registry[NAME], name, fail)

    def test_what_cannot_be_stored(self):
        half = "\ud83d"
        self.remote.script = [
            ("before", WechatRefused(f"cut {half}\0.", f"c{half}", f"rid-{half}"))
        ]
        first, second = self.prepare(2)
        result = {"remote_request_id": f"a{half}\0b"}
        self.drain()
        self.assertEqual(
            self.row(first, "remote_state", "remote_error", "remote_request_id"),
            ["refused", "cut ?.", "rid-?"],
        )
        self.assertEqual(self.row(second, "remote_state"), "done")
        (third,) = self.prepare()
        with patch.object(self.registry[NAME], "_operation_call", lambda row: result):
            self.drain()
        self.assertEqual(
            self.row(third, "remote_state", "remote_request_id"), ["done", "a?b"]
        )

    @mute_logger(LOGGER, "odoo.sql_db")
    def test_a_row_that_cannot_be_settled_stops_nobody(self):
        first, second = self.prepare(2)
        with self.fails("_operation_done"):
            self.drain()
            state, failures, error, code, next_at = self.row(
                first,
                "remote_state",
                "remote_failures",
                "remote_error",
                "remote_error_code",
                "remote_next_at",
            )
            self.assertEqual((state, failures, code), ("unknown", 1, "exception"))
            self.assertEqual(error, "ValueError: broken ? hook")
            self.assertGreater(next_at, fields.Datetime.now())
            self.assertEqual(self.row(second, "remote_state"), "done")
            for failures in range(2, 10):
                self.due_now(first)
                self.drain()
                self.assertEqual(self.row(first, "remote_failures"), failures)
                self.assertEqual(self.remote.stuck, int(failures >= 8))
        self.assertTrue(self.row(first, "remote_needs_help"))
        self.assertEqual(set(self.remote.done.values()), {1})
        self.commit(lambda env: env[NAME].browse(first).action_operation_retry())
        self.drain()
        self.assertEqual(
            self.row(first, "remote_state", "remote_failures", "remote_needs_help"),
            ["done", 0, False],
        )

    @mute_logger(LOGGER)
    def test_a_row_that_cannot_begin_stops_nobody(self):
        first, second = self.prepare(2)
        self.commit(
            lambda env: env.cr.execute(
                "UPDATE wechat_test_operation SET request_no = NULL WHERE id = %s",
                [first],
            )
        )
        self.drain()
        self.assertEqual(
            self.row(first, "remote_state", "remote_failures"), ["pending", 1]
        )
        self.assertGreater(self.row(first, "remote_next_at"), fields.Datetime.now())
        self.assertEqual(self.row(second, "remote_state"), "done")

    @mute_logger(LOGGER)
    def test_a_row_whose_every_hook_fails_stops_nobody(self):
        first, second = self.prepare(2)
        with (
            self.fails("_operation_done"),
            self.fails("_operation_stuck"),
            self.fails("_operation_fail"),
        ):
            for _time in range(8):
                self.due_now(first)
                self.drain()
        self.assertEqual(
            self.row(first, "remote_failures", "remote_needs_help"), [8, True]
        )
        self.assertGreater(self.row(first, "remote_next_at"), fields.Datetime.now())
        self.assertEqual(self.row(second, "remote_state"), "done")

    # --- kill -9 between any two steps ---

    def kill_in(self, owner, name, after=False):
        """Have the process die when it comes to ``owner.name``."""
        original = getattr(owner, name)

        def killed(*args, **kwargs):
            if after:
                original(*args, **kwargs)
            raise Killed()

        with patch.object(owner, name, killed), self.assertRaises(Killed):
            self.drain()

    def survive(self, row_id, state, calls):
        number = self.row(row_id, "request_no")
        self.assertEqual(self.row(row_id, "remote_state"), state)
        self.due_now(row_id)
        self.drain()
        self.assertEqual(self.row(row_id, "remote_state", "hook"), ["done", "done"])
        self.assertEqual(self.row(row_id, "request_no"), number)
        self.assertEqual(set(self.remote.calls), {number})
        self.assertEqual(len(self.remote.calls), calls)
        self.assertEqual(self.remote.done, {number: 1})

    def test_killed_before_it_is_recorded(self):
        (row_id,) = self.prepare()
        self.kill_in(self.registry[NAME], "_operation_begin", after=True)
        self.survive(row_id, "pending", calls=1)

    def test_killed_before_the_call(self):
        (row_id,) = self.prepare()
        self.kill_in(self.registry[NAME], "_operation_call")
        self.survive(row_id, "sending", calls=1)
        self.assertEqual(len(self.remote.queries), 1)

    def test_killed_after_the_call(self):
        (row_id,) = self.prepare()
        self.kill_in(self.registry[NAME], "_operation_call", after=True)
        self.survive(row_id, "sending", calls=1)
        self.assertEqual(len(self.remote.queries), 1)

    def test_killed_before_the_outcome_is_recorded(self):
        (row_id,) = self.prepare()
        self.kill_in(self.registry[NAME], "_operation_settle")
        self.survive(row_id, "sending", calls=1)

    def test_killed_while_the_outcome_is_recorded(self):
        (row_id,) = self.prepare()
        self.kill_in(self.registry[NAME], "_operation_done", after=True)
        self.survive(row_id, "sending", calls=1)

    def test_killed_while_asking(self):
        self.remote.script = [("after", WechatUnknownOutcome("silence"))]
        (row_id,) = self.prepare()
        self.drain()
        self.due_now(row_id)
        self.kill_in(self.registry[NAME], "_operation_query", after=True)
        self.survive(row_id, "unknown", calls=1)

    def test_a_fresh_sending_row_is_left_alone(self):
        """The request of a killed process may still be under way."""
        (row_id,) = self.prepare()
        self.kill_in(self.registry[NAME], "_operation_call")
        self.drain()
        self.assertEqual(self.row(row_id, "remote_state"), "sending")
        self.assertFalse(self.remote.queries)

    # --- several at once ---

    def test_two_drains_send_each_row_once(self):
        ids = self.prepare(30)
        self.in_threads(3, lambda env, _index: env[NAME]._operation_drain())
        self.assertEqual(len(self.remote.calls), 30)
        self.assertEqual(set(self.remote.done.values()), {1})
        states = self.commit(lambda env: env[NAME].browse(ids).mapped("remote_state"))
        self.assertEqual(set(states), {"done"})

    def test_a_slow_call_is_not_taken_for_dead(self):
        """Past its grace, but alive: the lock says so."""
        (row_id,) = self.prepare()
        inside, go_on = threading.Event(), threading.Event()

        def during(_number):
            inside.set()
            go_on.wait(20)

        self.remote.during = during
        with patch.object(Registry, "_lock", DummyRLock()):
            thread = threading.Thread(target=self.drain, daemon=True)
            thread.start()
            self.assertTrue(inside.wait(10))
            self.due_now(row_id)
            self.drain()
            self.assertEqual(self.remote.queries, [])
            self.assertEqual(len(self.remote.calls), 1)
            go_on.set()
            thread.join(20)
        self.assertEqual(self.row(row_id, "remote_state"), "done")

    def test_a_callback_may_be_faster_than_the_answer(self):
        (row_id,) = self.prepare()
        self.remote.during = lambda _number: self.commit(
            lambda env: (
                env[NAME]
                .browse(row_id)
                ._operation_settle_done({"remote_request_id": "BY-CALLBACK"})
            )
        )
        with patch.object(Registry, "_lock", DummyRLock()):
            self.drain()
        self.assertEqual(
            self.row(row_id, "remote_state", "remote_request_id", "hook"),
            ["done", "BY-CALLBACK", "done"],
        )

    def test_a_locked_row_does_not_stop_the_others(self):
        first, second = self.prepare(2)
        with self.registry.cursor() as cr:
            cr.execute(
                "SELECT 1 FROM wechat_test_operation WHERE id = %s FOR UPDATE", [first]
            )
            self.drain()
        self.assertEqual(self.row(first, "remote_state"), "pending")
        self.assertEqual(self.row(second, "remote_state"), "done")

    # --- order and speed ---

    def test_people_who_wait_go_first(self):
        ids = self.prepare(3)
        self.commit(lambda env: env[NAME].browse(ids[2])._operation_enqueue(now=True))
        numbers = [self.row(row_id, "request_no") for row_id in ids]
        self.drain()
        self.assertEqual(self.remote.calls, [numbers[2], numbers[0], numbers[1]])

    def test_rate(self):
        self.prepare(3)
        with patch.object(self.registry[NAME], "_operation_rate_limit", (1, 60.0)):
            self.drain()
        self.assertEqual(len(self.remote.calls), 1)
        self.assertEqual(self.jobs(), [(f"{NAME}:later", "root.wechat.official", True)])

    def test_the_rate_of_one_key_does_not_stop_the_others(self):
        ids = self.prepare(4)
        self.commit(lambda env: env[NAME].browse(ids[3]).write({"name": "other"}))
        model = self.registry[NAME]
        key = patch.object(
            model, "_operation_rate_key", lambda row: f"test:{row.name == 'other'}"
        )
        with key, patch.object(model, "_operation_rate_limit", (1, 60.0)):
            self.drain()
        self.assertEqual(
            [self.row(row_id, "remote_state") for row_id in ids],
            ["done", "pending", "pending", "done"],
        )
        self.assertEqual(self.jobs(), [(f"{NAME}:later", "root.wechat.official", True)])

    def test_the_rest_gets_a_new_job(self):
        self.prepare(3)
        with patch.object(self.registry[NAME], "_drain_batch", 2):
            self.drain()
        self.assertEqual(len(self.remote.calls), 2)
        self.assertEqual(self.jobs(), [(f"{NAME}:now", "root.wechat.official", False)])

    def test_enqueue_wakes_after_the_commit(self):
        def enqueue(env):
            row = env[NAME].create({})
            row._operation_prepare()
            row._operation_enqueue()
            row._operation_enqueue()
            env.cr.execute(
                "SELECT count(*) FROM queue_job WHERE model_name = %s", [NAME]
            )
            return env.cr.fetchone()[0]

        with patch.object(Registry, "_lock", DummyRLock()):
            self.assertEqual(self.commit(enqueue), 0)
        self.assertEqual(self.jobs(), [(f"{NAME}:now", "root.wechat.official", False)])

    def test_sweeper(self):
        self.prepare()
        self.commit(lambda env: env["wechat.drain.mixin"]._cron_sweep())
        self.assertEqual(len(self.jobs()), 1)

    def test_a_rolled_back_request_sends_nothing(self):
        with self.registry.cursor() as cr:
            row = api.Environment(cr, SUPERUSER_ID, {})[NAME].create({})
            row._operation_prepare()
            row._operation_enqueue()
            cr.rollback()
        self.drain()
        self.assertFalse(self.remote.calls)
        self.assertFalse(self.jobs())
