import threading
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

import psycopg2

from odoo import SUPERUSER_ID, api, fields
from odoo.exceptions import UserError
from odoo.modules.registry import DummyRLock, Registry
from odoo.service.model import retrying
from odoo.tests import TransactionCase, tagged
from odoo.tools import mute_logger, sql

from ..tools.cart import Cart, OrderRef

_INDEX = "coupon_redemption_one_active_per_coupon"
_NAME = "Race of the coupon tests"


class RaceCase(TransactionCase):
    """Real transactions: what they write is committed, and taken away at the end."""

    _retry = False

    def setUp(self):
        super().setUp()
        self.addCleanup(self.commit, self.clean_up)
        self.commit(self.make)

    def commit(self, function):
        """Call ``function(env)`` in a transaction of its own."""
        with self.registry.cursor() as cr:
            return function(api.Environment(cr, SUPERUSER_ID, {}))

    @staticmethod
    def shop(env):
        """A company that counts in yuan; it stays, nothing else of the test does."""
        yuan = env.ref("base.CNY")
        companies = env["res.company"]
        found = companies.search([("currency_id", "=", yuan.id)], limit=1)
        return found or companies.create({"name": _NAME, "currency_id": yuan.id})

    @classmethod
    def new_template(cls, env, count):
        """A template of one yuan off, and coupons of it."""
        today = fields.Date.today()
        template = env["coupon.template"].create(
            {
                "name": _NAME,
                "company_id": cls.shop(env).id,
                "amount_fen": 100,
                "date_from": today - timedelta(days=2),
                "date_to": today + timedelta(days=2),
            }
        )
        template.action_publish()
        return template._generate(count)

    @classmethod
    def make(cls, env):
        """Make what the tests need."""

    @staticmethod
    def clean_up(env):
        template = env["coupon.template"].search([("name", "=", _NAME)])
        program = template.program_id
        # The log of changes lets nobody else delete it.
        env.cr.execute("ALTER TABLE coupon_redemption_log DISABLE TRIGGER USER")
        env.cr.execute(
            "DELETE FROM coupon_redemption_log WHERE redemption_id IN ("
            "SELECT id FROM coupon_redemption WHERE template_id = ANY(%s))",
            [template.ids],
        )
        env.cr.execute("ALTER TABLE coupon_redemption_log ENABLE TRIGGER USER")
        for query in (
            "DELETE FROM coupon_redemption WHERE template_id = ANY(%s)",
            "DELETE FROM loyalty_card WHERE coupon_template_id = ANY(%s)",
            "DELETE FROM coupon_template WHERE id = ANY(%s)",
        ):
            env.cr.execute(query, [template.ids])
        for query in (
            "DELETE FROM loyalty_reward WHERE program_id = ANY(%s)",
            "DELETE FROM loyalty_program WHERE id = ANY(%s)",
        ):
            env.cr.execute(query, [program.ids])

    def order(self, env, uuid=None):
        return OrderRef(
            uuid=uuid or str(uuid4()),
            company=self.shop(env),
            config=env["pos.config"],
            session=env["pos.session"],
            partner=env["res.partner"],
        )

    def race(self, count, function):
        """Call ``function(env, index)`` in threads that begin together.

        :return: what each returned, or the exception it raised
        """
        barrier = threading.Barrier(count)
        results = [None] * count

        def run(index):
            try:
                with self.registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    # The snapshot of the transaction is taken before the others act.
                    env.cr.execute("SELECT 1")
                    barrier.wait(20)
                    results[index] = retrying(lambda: function(env, index), env)
            except Exception as error:
                results[index] = error

        threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
        # The runner of the tests holds the registry's lock.
        with patch.object(Registry, "_lock", DummyRLock()):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        return results

    @contextmanager
    def without_index(self, name, clean_up):
        """Do without a guard, and have it back as Odoo makes it.

        :param clean_up: function of the environment that takes away what the guard
            would not have let in
        """
        before = self.commit(lambda env: sql.index_definition(env.cr, name)[1])
        self.commit(lambda env: env.cr.execute(f"DROP INDEX {name}"))
        try:
            yield
        finally:
            self.commit(clean_up)
            self.commit(lambda env: self.make_index(env, name))
        # Odoo keeps the definition that it knows as the index's comment.
        self.assertEqual(
            self.commit(lambda env: sql.index_definition(env.cr, name)[1]), before
        )

    @staticmethod
    def make_index(env, name):
        model = env["coupon.redemption"]
        for wanted in model._table_objects.values():
            if wanted.full_name(model) == name:
                wanted.apply_to_database(model)


@tagged("post_install", "-at_install")
class TestGuard(RaceCase):
    """The database guard of the coupon itself."""

    @classmethod
    def make(cls, env):
        cls.coupon_id = cls.new_template(env, 1).id

    def reserve(self, env, uuid=None):
        coupon = env["loyalty.card"].browse(self.coupon_id)
        return env["coupon.redemption"]._reserve(self.order(env, uuid), coupon, None)

    def rows(self, *states):
        return self.commit(
            lambda env: (
                env["coupon.redemption"]
                .search([("coupon_id", "=", self.coupon_id), ("state", "in", states)])
                .mapped("order_uuid")
            )
        )

    # === THE INDEX === #

    @mute_logger("odoo.sql_db")
    def test_second_insert_is_refused(self):
        def insert(env, state):
            coupon = env["loyalty.card"].browse(self.coupon_id)
            env.cr.execute(
                """
                INSERT INTO coupon_redemption (coupon_id, template_id, company_id,
                       state, order_uuid, remote_state)
                VALUES (%s, %s, %s, %s, %s, 'none')
                """,
                [
                    coupon.id,
                    coupon.coupon_template_id.id,
                    env.company.id,
                    state,
                    str(uuid4()),
                ],
            )

        self.commit(lambda env: insert(env, "reserved"))
        for state in ("reserved", "redeemed"):
            with self.assertRaises(psycopg2.errors.UniqueViolation):
                self.commit(lambda env, state=state: insert(env, state))
        for state in ("released", "returned", "conflict"):
            self.commit(lambda env, state=state: insert(env, state))

    def test_two_cursors(self):
        with self.registry.cursor() as cr1, self.registry.cursor() as cr2:
            env1 = api.Environment(cr1, SUPERUSER_ID, {})
            env2 = api.Environment(cr2, SUPERUSER_ID, {})
            # Both have looked before either has acted.
            for env in (env1, env2):
                self.assertFalse(env["coupon.redemption"]._holders([self.coupon_id]))
            done, refused = self.reserve(env1, "first")
            self.assertTrue(done)
            cr1.commit()
            done, refused = self.reserve(env2, "second")
            self.assertFalse(done)
            self.assertEqual(refused[0][1], "held_by_other_order")
            # The second transaction is still good.
            env2.cr.execute("SELECT 1")
        self.assertEqual(self.rows("reserved"), ["first"])

    def test_same_order_twice_at_once(self):
        results = self.race(4, lambda env, _i: self.reserve(env, "same")[0].ids)
        self.assertEqual(len({tuple(ids) for ids in results}), 1, results)
        self.assertEqual(self.rows("reserved"), ["same"])

    def test_race_to_reserve(self):
        for _round in range(5):
            results = self.race(
                8, lambda env, i: bool(self.reserve(env, f"order{i}")[0])
            )
            self.assertEqual(sorted(map(str, results)), ["False"] * 7 + ["True"])
            self.assertEqual(len(self.rows("reserved")), 1)
            self.commit(
                lambda env: (
                    env["coupon.redemption"]
                    .search([("coupon_id", "=", self.coupon_id)])
                    .write({"state": "released"})
                )
            )

    def test_race_to_redeem(self):
        """Paid orders without a reservation: one redeems, the others conflict."""

        def redeem(env, index):
            coupon = env["loyalty.card"].browse(self.coupon_id)
            values = {"discount_fen": 100, "order_name": f"order{index}", "lines": []}
            return (
                env["coupon.redemption"]
                ._redeem(self.order(env, f"order{index}"), {coupon: values})[0]
                .state
            )

        results = self.race(4, redeem)
        self.assertEqual(
            sorted(map(str, results)), ["conflict"] * 3 + ["redeemed"], results
        )
        self.assertEqual(len(self.rows("redeemed")), 1)
        self.assertEqual(len(self.rows("conflict")), 3)

    def test_the_race_exists(self):
        """With the guard off more than one order gets the coupon."""
        forget = "DELETE FROM coupon_redemption WHERE coupon_id = %s"
        with self.without_index(
            _INDEX, lambda env: env.cr.execute(forget, [self.coupon_id])
        ):
            results = self.race(
                8, lambda env, i: bool(self.reserve(env, f"order{i}")[0])
            )
            winners = self.rows("reserved")
        self.assertGreater(len(winners), 1, results)

    def test_manager_is_told_when_a_till_is_busy(self):
        self.commit(lambda env: self.reserve(env, "order"))
        domain = [("coupon_id", "=", self.coupon_id), ("state", "=", "reserved")]

        def release(env):
            found = env["coupon.redemption"].search(domain)
            with self.registry.cursor() as till:
                till.execute(
                    "SELECT id FROM coupon_redemption WHERE id = %s FOR UPDATE",
                    found.ids,
                )
                with self.assertRaises(UserError):
                    found._release_by_manager("now")
            found._release_by_manager("now")
            return found.state

        self.assertEqual(self.commit(release), "released")

    def test_a_replacement_being_made_holds_up_no_till(self):
        def lock(env, patience):
            env.cr.execute("SELECT set_config('lock_timeout', %s, true)", [patience])
            coupon = env["loyalty.card"].browse(self.coupon_id)
            coupon.coupon_template_id._lock_replacement()
            return env

        with self.registry.cursor() as cr:
            env = lock(api.Environment(cr, SUPERUSER_ID, {}), "5s")
            with self.assertRaises(psycopg2.errors.LockNotAvailable):
                self.commit(lambda other: lock(other, "50ms"))

            def reserve(till):
                till.cr.execute("SET LOCAL lock_timeout = '2s'")
                return bool(self.reserve(till, "order")[0])

            self.assertTrue(self.commit(reserve))
            env.cr.rollback()

    def test_sets_in_any_order_do_not_deadlock(self):
        ids = self.commit(
            lambda env: (
                env["coupon.template"].search([("name", "=", _NAME)])._generate(6).ids
            )
        )

        def reserve(env, index):
            chosen = ids if index % 2 else ids[::-1]
            coupons = env["loyalty.card"].browse(chosen)
            return bool(
                env["coupon.redemption"]._reserve(
                    self.order(env, f"order{index}"), coupons, Cart()
                )[0]
            )

        results = self.race(6, reserve)
        self.assertEqual(results.count(True) + results.count(False), 6, results)

    def test_time_over_has_one_heir(self):
        self.commit(lambda env: self.reserve(env, "first"))
        self.commit(
            lambda env: (
                env["coupon.redemption"]
                .search([("order_uuid", "=", "first")])
                .write({"expires_at": fields.Datetime.now() - timedelta(minutes=1)})
            )
        )
        results = self.race(6, lambda env, i: bool(self.reserve(env, f"heir{i}")[0]))
        self.assertEqual(results.count(True), 1, results)
        self.assertEqual(len(self.rows("reserved")), 1)

    def test_void_after_a_reservation_nobody_saw(self):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            # This transaction has looked before the order reserves.
            self.assertFalse(env["coupon.redemption"]._holders([self.coupon_id]))
            self.commit(lambda other: self.reserve(other, "first"))
            with self.assertRaises(UserError):
                env["loyalty.card"].browse(self.coupon_id)._wechat_void("stolen")
            cr.rollback()

    def test_reserve_after_a_void_nobody_saw(self):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            self.assertFalse(env["coupon.redemption"]._holders([self.coupon_id]))
            self.commit(
                lambda other: (
                    other["loyalty.card"].browse(self.coupon_id)._wechat_void("stolen")
                )
            )
            # Odoo runs the request again, and it sees the coupon's state.
            with self.assertRaises(psycopg2.errors.SerializationFailure):
                self.reserve(env, "first")
            cr.rollback()
            self.assertEqual(self.reserve(env, "first")[1][0][1], "void")
