"""The commands behind the Makefile's targets."""

import contextlib
import os
import signal
import subprocess
import sys

from . import databases, odoo_run, odoo_source, paths, postgres
from .console import SetupError, say
from .services import Stack

HELP = """\
make env      set up Odoo 19, Python, PostgreSQL, Chromium and a database
make demo     play the main story from end to end, then stop everything
make up       the same environment, left running at http://localhost:8069
make test     all tests; ONLY=wechat_coupon for a part
make proof    the long proofs at full size; ONLY=race for a part
make lint     ruff, pylint-odoo, eslint, translations
make bench    the benchmarks, one JSON line per figure
make i18n     the translation files, as the sources are now
bin/odoo      Odoo's command line in this environment"""


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)  # so that every block cleans up
    name, rest = arguments[0], arguments[1:]
    commands = {
        "help": lambda rest: say(HELP) or 0,
        "env": env,
        "odoo": odoo,
        "up": up,
        "i18n": i18n,
    }
    if name in commands:
        return commands[name](rest)
    # The larger commands have a file each.
    from . import checks

    return checks.main(name, rest)


def env(_rest: list[str]) -> int:
    with postgres.server() as database:
        template = databases.template(database)
    say(f"Ready: Odoo {odoo_source.release()}, template database {template}.")
    return 0


def odoo(rest: list[str]) -> int:
    """Odoo's own command line; PostgreSQL runs for as long as it does."""
    with postgres.server() as database:
        config = odoo_run.write_config(database, paths.RUN / f"cli-{os.getpid()}.conf")
        try:
            process = subprocess.Popen(
                odoo_run.command(config, *rest), env=odoo_run.environment()
            )
            with _ignored(signal.SIGINT):
                return process.wait()
        finally:
            config.unlink()


def i18n(_rest: list[str]) -> int:
    from . import catalogs

    with postgres.server() as database:
        catalogs.refresh(database, paths.addons())
    return 0


def up(_rest: list[str]) -> int:
    """A shop to try things in, until Ctrl-C; its data stays for the next time."""
    from . import shop

    with postgres.server() as database:
        name = "wechat_up"
        if not databases.exists(database, name):
            databases.copy(database, shop.template(database), name)
        port = int(os.environ.get("PORT", "8069"))
        sandbox_port = int(os.environ.get("SANDBOX_PORT", "8070"))
        _check_free(port, sandbox_port)
        stack = Stack(
            database,
            name,
            port=port,
            sandbox_port=sandbox_port,
            sandbox_data=paths.RUN / "sandbox",
            label="up",
        )
        shop.aim(stack)
        with stack:
            shop.connect(stack)
            say(shop.welcome(stack))
            with contextlib.suppress(KeyboardInterrupt):
                stack.processes["odoo"].popen.wait()
                say("Odoo has stopped.")
    return 0


def _interrupt(*_unused) -> None:
    raise KeyboardInterrupt


def _check_free(*ports: int) -> None:
    import socket

    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise SetupError(
                    f"Port {port} is in use. Stop what uses it, or choose other "
                    "ports: make up PORT=8169 SANDBOX_PORT=8170"
                ) from error


@contextlib.contextmanager
def _ignored(number: int):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
