"""Finds in an Odoo log what our add-ons are warned about.

Odoo only logs a warning for many faults (a constraint that it ignores, a model
without access rules, a deprecated call), so tests stay green. This makes them fail.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import paths
from .console import say

HEAD = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ \d+ (?P<level>[A-Z]+) (?P<database>\S+) "
    r"(?P<logger>[^\s:]+): (?P<text>.*)$"
)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LEVELS = ("WARNING", "ERROR", "CRITICAL")
FRAME = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
WARNED_AT = re.compile(r"^(?P<path>\S+?):\d+: \w*Warning: ")
# Odoo's framework and libraries: they warn for the sake of their caller.
FRAMEWORK = re.compile(
    r"/odoo/(?!addons/)|/site-packages/(?!odoo/addons/)|/lib/python3\.\d+/|^<"
)
# A freshly installed Odoo has no warning from these; one that names nobody is ours.
REGISTRY = re.compile(r"odoo\.(registry|modules|fields|models|schema|orm|domains)\b")
PREFIXES = ("wechat", "coupon")

# What is let through, and why.
ALLOWED = (
    (
        r"odoo\.modules\.loading: Transient module states were reset",
        "an earlier run was stopped while it installed; Odoo has put it right",
    ),
    (
        r"Killing chrome descendants-or-self",
        "how Odoo's test harness ends a browser that is slow to go",
    ),
    (
        r"TestTillUnits\.test_hoot\.browser: RPC_ERROR: (Ask the manager|KeyError)",
        "unit tests of the till that make the server fail on purpose",
    ),
)


@dataclass
class Record:
    """One entry of the log: its first line and what belongs to it below."""

    level: str
    logger: str
    text: str

    @property
    def first(self) -> str:
        return self.text.splitlines()[0].strip()

    def __str__(self) -> str:
        place = re.search(r"'file': '([^']+)',\s+'line': (\d+)", self.text)
        where = f" [{place.group(1)}:{place.group(2)}]" if place else ""
        return f"{self.level} {self.logger}: {self.first}{where}"


def problems(
    log_text: str, addons: Iterable[str], root: Path = paths.ROOT
) -> list[str]:
    """The warnings and errors in a log that come from our add-ons, each once.

    :param log_text: the log of an Odoo server or test run.
    :param addons: the technical names of our add-ons.
    :param root: the folder that holds them; their models are read from there.
    """
    ours = _ours(list(addons), root)
    found = [
        str(record)
        for record in records(log_text)
        if record.level in LEVELS and _concerns(record, ours) and not _allowed(record)
    ]
    return list(dict.fromkeys(found))


def records(log_text: str) -> Iterator[Record]:
    """The entries of a log; lines without a head belong to the entry above."""
    current = None
    for line in COLOUR.sub("", log_text).splitlines():
        head = HEAD.match(line)
        if head:
            if current:
                yield current
            current = Record(head["level"], head["logger"], head["text"])
        elif current:
            current.text += f"\n{line}"
    if current:
        yield current


def _concerns(record: Record, ours: re.Pattern) -> bool:
    if record.logger == "py.warnings":
        return _warned(record, ours)
    if ours.search(f"{record.logger}\n{record.text}"):
        return True
    # "Model attribute '_sql_constraints' is no longer supported" names no model.
    return bool(REGISTRY.match(record.logger)) and not _names_others(record)


def _warned(record: Record, ours: re.Pattern) -> bool:
    """Who is a Python warning for: the place it names, or who called the framework."""
    place = WARNED_AT.match(record.text)
    path = place["path"] if place else ""
    if not path or (FRAMEWORK.search(path) and not ours.search(path)):
        frames = [frame["path"] for frame in FRAME.finditer(record.text)]
        callers = [
            frame
            for frame in frames
            if ours.search(frame) or not FRAMEWORK.search(frame)
        ]
        path = callers[-1] if callers else ""
    # Warnings about a field or a model name it, wherever they are raised.
    return bool(ours.search(path) or ours.search(record.first.partition(": ")[2]))


def _names_others(record: Record) -> bool:
    return record.level == "WARNING" and bool(
        re.search(r"/addons/\w+/|\b[Mm]odule \w+|\b[a-z_]+\.[a-z_]+\b", record.text)
    )


def _allowed(record: Record) -> bool:
    line = f"{record.logger}: {record.text}"
    return any(re.search(pattern, line) for pattern, _reason in ALLOWED)


def _ours(addons: list[str], root: Path) -> re.Pattern:
    """Matches a path, a module, an XML id, a model or a table of ours."""
    names = "|".join(map(re.escape, addons)) or "(?!)"
    models = {name for addon in addons for name in _models(root / addon)}
    tables = {name.replace(".", "_") for name in models}
    known = "|".join(map(re.escape, sorted(models | tables, reverse=True))) or "(?!)"
    prefixed = rf"(?:{'|'.join(PREFIXES)})(?:\.[a-z_]+)+"
    return re.compile(
        rf"/(?:{names})/|(?<![\w./-])(?:odoo\.addons\.)?(?:{names})(?![\w-])"
        rf"|(?<![\w.])(?:{known})(?!\w)|(?<![\w./@-]){prefixed}(?![\w-])"
    )


def _models(addon: Path) -> Iterator[str]:
    """The names of the models that an add-on defines."""
    for file in addon.rglob("*.py"):
        try:
            tree = ast.parse(file.read_text())
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and _sets_name(node):
                yield node.value.value


def _sets_name(node: ast.Assign) -> bool:
    target = node.targets[0]
    named = isinstance(target, ast.Name) and target.id == "_name"
    value = node.value
    return named and isinstance(value, ast.Constant) and isinstance(value.value, str)


def main(files: list[str]) -> int:
    """Check log files by hand; return 1 if one holds a problem."""
    found = []
    for name in files:
        found += problems(Path(name).read_text(errors="replace"), paths.addons())
    for line in dict.fromkeys(found):
        say(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
