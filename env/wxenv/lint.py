"""``make lint``: every check over the whole repository, and the total of problems."""

import os
import sys
import time
from pathlib import Path

from . import paths
from .console import say
from .linting import addons, documents, odoo19, slips, tools, translations, xml_files

CHECKS = {
    "ruff": (tools.ruff_check, "rules for Python (ruff)"),
    "format": (tools.ruff_format, "formatting of Python (ruff format)"),
    "pylint": (tools.pylint, "rules for add-ons (pylint-odoo)"),
    "eslint": (tools.eslint, "rules for JavaScript (eslint)"),
    "xml": (xml_files.check, "views and data in XML"),
    "odoo19": (odoo19.check, "what Odoo 19 no longer knows, docstrings, secrets"),
    "po": (translations.check, "Chinese translations"),
    "addons": (addons.check, "manifests and folders of add-ons"),
    "docs": (documents.check, "READMEs, links, docs/requirements.md"),
    "slips": (slips.check, "host names, machine paths, secrets"),
}
SHOWN = 60


def main(rest: list[str], root: Path = paths.ROOT) -> int:
    """Run the checks named, or all, and return 1 if one of them found a problem."""
    rest = rest or os.environ.get("ONLY", "").split()
    unknown = [name for name in rest if name not in CHECKS]
    if unknown:
        say(f"No such check: {', '.join(unknown)}. There are: {', '.join(CHECKS)}.")
        return 2
    total = sum(_run(name, root) for name in rest or CHECKS)
    say(f"{total} problem{'s' if total != 1 else ''}.")
    return 1 if total else 0


def _run(name: str, root: Path) -> int:
    check, title = CHECKS[name]
    start = time.monotonic()
    problems = check(root)
    spent = time.monotonic() - start
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    verdict = count if problems else "clean"
    say(f"{name:8} {title}: {verdict} ({spent:.1f} s)")
    for line in problems[:SHOWN]:
        say(f"    {line}")
    if len(problems) > SHOWN:
        say(f"    … and {len(problems) - SHOWN} more: make lint ONLY={name}")
    return len(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
