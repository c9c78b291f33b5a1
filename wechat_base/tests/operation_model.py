"""A model of operations for the tests, in the registry only while they run."""

import threading
from contextlib import contextmanager

from odoo import SUPERUSER_ID, api, fields, models
from odoo.orm.model_classes import add_to_registry
from odoo.tools import SQL

NAME = "wechat.test.operation"
TABLE = "wechat_test_operation"
SELECTIONS = "field_id IN (SELECT id FROM ir_model_fields WHERE model = %s)"


class Killed(BaseException):
    """The process is gone: no handler of ours runs, transactions are rolled back."""


class Remote:
    """The other side: carries out each request number once, counts everything."""

    def __init__(self):
        self.lock = threading.Lock()
        self.done = {}
        self.calls = []
        self.queries = []
        self.script = []
        self.during = None
        self.stuck = 0

    def call(self, number):
        with self.lock:
            self.calls.append(number)
            step = self.script.pop(0) if self.script else None
        if self.during:
            self.during(number)
        if step and step[0] == "before":
            raise step[1]
        with self.lock:
            self.done[number] = self.done.get(number, 0) + 1
        if step and step[0] == "after":
            raise step[1]

    def query(self, number):
        with self.lock:
            self.queries.append(number)
            return "done" if number in self.done else "not_done"


@contextmanager
def operation_model(registry, remote):
    """Add the model to the registry and its table to the database, committed."""

    class WechatTestOperation(models.Model):
        _module = None
        _name = NAME
        _description = "Operation of the tests"
        _inherit = ["wechat.operation"]

        name = fields.Char()
        hook = fields.Char()

        _operation_rate_family = "test:operation"
        _operation_rate_limit = (1000, 1.0)

        def _operation_call(self):
            remote.call(self.request_no)
            return {"remote_request_id": f"RID-{self.request_no[:4]}"}

        def _operation_query(self):
            return remote.query(self.request_no)

        def _operation_done(self, vals):
            self.hook = "done"

        def _operation_stuck(self, error):
            remote.stuck += 1
            self.hook = f"stuck {error.code}"

        def _operation_refused(self, error):
            self.hook = f"refused {error.code}"

    add_to_registry(registry, WechatTestOperation)
    try:
        with registry.cursor() as cr:
            registry._setup_models__(cr, [NAME])
            registry.init_models(cr, [NAME], {"module": "wechat_base"})
        with registry.cursor() as cr:
            _add_job_function(api.Environment(cr, SUPERUSER_ID, {}))
        yield
    finally:
        with registry.cursor() as cr:
            functions = api.Environment(cr, SUPERUSER_ID, {})["queue.job.function"]
            functions.search([("name", "like", NAME)]).unlink()
            _remove(cr)
        del registry.models[NAME]
        for parent in ("wechat.operation", "base"):
            registry[parent]._inherit_children.discard(NAME)
        with registry.cursor() as cr:
            registry._setup_models__(cr, [])


def _add_job_function(env):
    """Say what a real model's add-on says in its data."""
    env["queue.job.function"].create(
        {
            "model_id": env["ir.model"]._get_id(NAME),
            "method": "_operation_drain",
            "channel_id": env.ref("wechat_base.queue_job_channel_official").id,
        }
    )


def _remove(cr):
    """Remove the table and what Odoo has written about the model."""
    cr.execute(SQL("DROP TABLE IF EXISTS %s CASCADE", SQL.identifier(TABLE)))
    for model, where in (
        (
            "ir.model.inherit",
            "model_id IN (SELECT id FROM ir_model WHERE model = %s)",
        ),
        ("ir.model.constraint", "model IN (SELECT id FROM ir_model WHERE model = %s)"),
        ("ir.model.fields.selection", SELECTIONS),
        ("ir.model.fields", "model = %s"),
        ("ir.model", "model = %s"),
    ):
        found = SQL(f"SELECT id FROM %s WHERE {where}", _table(model), NAME)
        cr.execute(
            SQL(
                "DELETE FROM ir_model_data WHERE model = %s AND res_id IN (%s)",
                model,
                found,
            )
        )
        cr.execute(SQL("DELETE FROM %s WHERE id IN (%s)", _table(model), found))
    cr.execute("DELETE FROM queue_job WHERE model_name = %s", [NAME])


def _table(model):
    return SQL.identifier(model.replace(".", "_"))
