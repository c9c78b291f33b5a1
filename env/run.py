#!/usr/bin/env python3
"""Entry point of the environment; see ``make help``.

The first half runs with any Python 3.10 to 3.13 and makes ``.venv``; the second
half goes on inside it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from wxenv import odoo_source, paths, stamps, system, venv
from wxenv.console import main_guard


def prepare(browser: bool) -> None:
    """Everything that is not a database; quick when there is nothing to do."""
    with stamps.lock(paths.DATA / "setup.lock"):
        odoo_source.ensure()
        venv.ensure()
        if browser:
            system.ensure()


def main() -> int:
    arguments = sys.argv[1:] or ["help"]
    if not venv.inside():
        prepare(browser=arguments[0] not in ("odoo", "help", "down"))
        venv.reenter([str(Path(__file__).resolve()), *arguments])
    from wxenv import commands

    return commands.main(arguments)


main_guard(main)
