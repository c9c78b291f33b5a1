"""A whole running shop for a story: processes, people, and what both sides say."""

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from wxenv import databases, paths, postgres, shop
from wxenv.services import Stack

from .rpc import Rpc
from .sandbox import Sandbox

SHOTS = paths.RUN / "screenshots"


@dataclass
class World:
    """The running parts and how to ask them."""

    stack: Stack
    sandbox: Sandbox
    people: dict[str, Rpc] = field(default_factory=dict)

    def person(self, login: str) -> Rpc:
        """The JSON-RPC session of one of the shop's people."""
        if login not in self.people:
            self.people[login] = Rpc(self.stack.url, self.stack.name, login, login)
        return self.people[login]

    @property
    def admin(self) -> Rpc:
        return self.person("admin")

    def sql(self, query: str, *arguments) -> list:
        """One statement on the shop's database, beside Odoo."""
        return self.stack.database.execute(query, *arguments, name=self.stack.name)

    def ref(self, name: str) -> int:
        """The id of a record of the training shop by its external name."""
        rows = self.sql(
            "SELECT res_id FROM ir_model_data WHERE module = 'wechat_shop' "
            "AND name = %s",
            name,
        )
        return rows[0][0]

    def shots(self, story: str) -> Path:
        return SHOTS / story


def wait_until(what: str, check, seconds: float = 60.0, every: float = 0.1):
    """Ask again and again until ``check()`` is true, and return its value.

    :raises AssertionError: with the last value, when the time is over
    """
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:.0f} s still not: {what} ({value!r})")
        time.sleep(every)


@contextlib.contextmanager
def running(label: str, *, workers: int = 2, settings: dict | None = None, **options):
    """A shop on a database of its own, running for as long as the block lasts.

    :param options: further fields of the sandbox's account
    """
    with postgres.server() as database:
        name = f"wechat_{label}_{os.getpid()}"
        source = shop.template(database)
        with databases.scratch(database, source, name):
            stack = Stack(
                database, name, workers=workers, label=label, options=settings
            )
            shop.aim(stack)
            with stack:
                shop.connect(stack, **options)
                yield World(stack, Sandbox(stack.sandbox_url))
