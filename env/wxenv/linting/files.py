"""Which files of a checkout are looked at."""

import ast
import subprocess
from pathlib import Path

SKIPPED = {".odoo", ".venv", ".run", ".git", "node_modules", "build", "__pycache__"}


def all_files(root: Path) -> list[Path]:
    """The files that are, or would be, part of the repository, sorted."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    if done.returncode:  # an unpacked archive
        found = (path for path in root.rglob("*") if not _skipped(path, root))
    else:
        found = (root / name for name in done.stdout.split("\0") if name)
    return sorted(path for path in set(found) if path.is_file())


def _skipped(path: Path, root: Path) -> bool:
    return bool(SKIPPED.intersection(path.relative_to(root).parts))


def addons(root: Path) -> list[Path]:
    """The folders of the add-ons, sorted by name."""
    return sorted(manifest.parent for manifest in root.glob("*/__manifest__.py"))


def manifest(addon: Path) -> dict:
    """What an add-on's manifest says; {} when it is no plain dict."""
    try:
        return ast.literal_eval((addon / "__manifest__.py").read_text())
    except (ValueError, SyntaxError):
        return {}


def below(folder: Path, *suffixes: str) -> list[Path]:
    """The files below a folder that end with one of the suffixes, sorted."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in suffixes
        and path.is_file()
        and not SKIPPED.intersection(path.parts)
    )


def at(root: Path, path: Path, line: int | None, text: str) -> str:
    """One problem, in the form that editors understand."""
    place = path.relative_to(root).as_posix()
    return f"{place}:{line}: {text}" if line else f"{place}: {text}"
