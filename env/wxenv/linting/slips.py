"""Slips: what belongs to one machine or one person and not into the repository."""

import re
from collections.abc import Iterator
from pathlib import Path

from . import files

MAX_BYTES = 2_000_000
SKIPPED = {".png", ".jpg", ".gif", ".ico", ".pdf", ".wav", ".mp3", ".woff2"}

HOSTS = (
    r"py(?:pi|thon{1}hosted)\.org",
    r"registry\.npm\w*\.\w+",
    r"npmjs\.(?:org|com)",
    r"(?:deb|ftp|snapshot)\.debian\.org",
    r"archive\.ubuntu\.com",
    r"mirrors?\.[\w-]+\.(?:com|cn|edu\.cn|org)",
    r"proxy\.golang\.org",
    r"crates\.io",
)
# Written so that no pattern finds itself.
PATTERNS = {
    "names a host of packages": re.compile(rf"\b(?:{'|'.join(HOSTS)})\b"),
    "names a path of one machine": re.compile(
        r"(?<![\w.~$}])/(?:work|tmp/plan|home/\w+|root|Users/\w+|mnt/\w+)/[\w.-]"
        r"|\b[C-Z]:\\Users\\"
    ),
    "holds a private key": re.compile(
        r"-----BEGIN (?:RSA |EC |OPENSSH |ENCRYPTED )?PRIVATE KEY-----"
        r"(?:\\n|\s)*[A-Za-z0-9+/]{40}"
    ),
    "holds a token": re.compile(
        r"\b(?:gh[pousr]_[A-Za-z0-9]{30}|npm_[A-Za-z0-9]{30}|AKIA[A-Z0-9]{16}"
        r"|xox[abp]-[\w-]{20}|glpat-[\w-]{20}|sk-[A-Za-z0-9_-]{32})"
    ),
    "has a password in an address": re.compile(
        r"\b(?:https?|postgres(?:ql)?)://[^\s/:@\"'{}<>$]+:[^\s/@\"'{}<>$]+@"
    ),
    "is left from a merge": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
    "refers to a text that is not in the repository": re.compile(
        r"\b(?:wechat-contracts|field-notes|interfaces)\.md\b"
        r"|\b(?:design|contracts|style)(?:\.md)? §"
    ),
}
# Keys for tests only: made for them, or published as samples in WeChat's own docs.
TEST_ONLY = ("holds a private key",)


def check(root: Path) -> list[str]:
    """Look through every text file of the repository."""
    problems = []
    for path in files.all_files(root):
        if path.suffix in SKIPPED or path.stat().st_size > MAX_BYTES:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        test = bool({"tests", "demo"} & set(path.relative_to(root).parts))
        problems += [
            files.at(root, path, line, found) for line, found in scan(text, test)
        ]
    return problems


def scan(text: str, test: bool = False) -> Iterator[tuple[int, str]]:
    """The slips in a text, with their lines."""
    for title, pattern in PATTERNS.items():
        if test and title in TEST_ONLY:
            continue
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield line, f"{title}: {match.group().splitlines()[0][:40]}"
