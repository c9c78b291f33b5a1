"""The guides: both languages say the same, links lead somewhere, states are true."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from . import files

CHINESE = ".zh-CN.md"
FENCE = re.compile(r"^\s*(```|~~~)")
HEADING = re.compile(r"^(#{1,6})\s+\S")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
STATES = ("open", "partly", "done")
ROWS = 231
ROW = re.compile(r"^\|\s*(\d+)\s*\|(.*)\|\s*$")
# A test is named as `folder/file`, or `folder/file::name` for one within it.
TEST = re.compile(r"`([^`]+)`")


def check(root: Path) -> list[str]:
    """Check every Markdown file of the repository."""
    pages = [path for path in files.all_files(root) if path.suffix == ".md"]
    problems = [*_readmes(root)]
    for page in pages:
        problems += _links(root, page)
        if page.name.endswith(CHINESE):
            english = page.with_name(page.name.removesuffix(CHINESE) + ".md")
            problems += _same_shape(root, english, page)
    return problems + list(requirements(root))


def _readmes(root: Path) -> Iterator[str]:
    for name in ("README.md", f"README{CHINESE}"):
        if not (root / name).exists():
            yield f"{name}: missing"


def _same_shape(root: Path, english: Path, chinese: Path) -> Iterator[str]:
    """Same headings by level, same blocks of code, in the same order."""
    if not english.exists():
        if english != root / "README.md":
            yield files.at(root, chinese, None, f"has no {english.name}")
        return
    ours, theirs = shape(english.read_text()), shape(chinese.read_text())
    for name, one, other in (
        ("headings", ours[0], theirs[0]),
        ("blocks of code", ours[1], theirs[1]),
    ):
        if one != other:
            text = f"{name} differ: {_counts(one)} in {english.name}, {_counts(other)}"
            yield files.at(root, chinese, None, text)


def _counts(values: list[str]) -> str:
    counted = Counter(values)
    parts = [f"{number} {value or 'plain'}" for value, number in counted.items()]
    return f"{len(values)} ({', '.join(parts)})"


def shape(text: str) -> tuple[list[str], list[str]]:
    """The levels of the headings and the languages of the blocks of code."""
    levels, blocks, fenced = [], [], False
    for line in text.splitlines():
        if FENCE.match(line):
            if not fenced:
                blocks.append(line.strip().strip("`~ "))
            fenced = not fenced
        elif not fenced and HEADING.match(line):
            levels.append(HEADING.match(line).group(1))
    return levels, blocks


def _links(root: Path, page: Path) -> Iterator[str]:
    fenced = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fenced ^= bool(FENCE.match(line))
        for target in () if fenced else LINK.findall(line):
            target = target.split("#")[0]
            if not target or ":" in target:
                continue
            if not (page.parent / target).exists():
                yield files.at(root, page, number, f"{target} is not there")


def requirements(root: Path) -> Iterator[str]:
    """All rows are there, and what is done names a test that exists."""
    page = root / "docs" / "requirements.md"
    if not page.exists():
        yield files.at(root, page, None, "missing")
        return
    numbers = []
    for line_number, line in enumerate(page.read_text().splitlines(), 1):
        row = ROW.match(line)
        if row:
            numbers.append(int(row.group(1)))
            for text in _row(root, row):
                yield files.at(root, page, line_number, f"row {row.group(1)}: {text}")
    if numbers != list(range(1, ROWS + 1)):
        lost = sorted(set(range(1, ROWS + 1)) - set(numbers))
        text = f"rows 1 to {ROWS} in order are wanted; there are {len(numbers)}"
        text += f", without {lost[:10]}" if lost else ""
        yield files.at(root, page, None, text)


def _row(root: Path, row: re.Match) -> Iterator[str]:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row.group(2))]
    if len(cells) != 3:
        yield f"has {len(cells) + 1} columns instead of 4"
        return
    feature, state, test = cells
    if not feature:
        yield "says no feature"
    if state not in STATES:
        yield f"the state is one of {', '.join(STATES)}, not “{state}”"
    named = TEST.findall(test)
    if state == "done" and not named:
        yield "is done but names no test"
    if test and not named:
        yield f"a test is named as `path` or `path::name`, not “{test}”"
    for name in named:
        yield from _test(root, name)


def _test(root: Path, name: str) -> Iterator[str]:
    path, *inner = name.split("::")
    file = root / path
    if not file.is_file():
        yield f"there is no test {path}"
        return
    if "test" not in path:
        yield f"{path} is no test"
    text = file.read_text()
    for part in inner:
        if not re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text):
            yield f"{path} has no {part}"
