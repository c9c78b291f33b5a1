"""Checks by programs of others: ruff, pylint with pylint-odoo, eslint."""

import shutil
import subprocess
import sys
from pathlib import Path

from ..stamps import digest, fresh, set_stamp
from . import files


def ruff_check(root: Path) -> list[str]:
    """Run ruff's rules with the settings of the repository, also below sandbox/."""
    return _lines(
        [*_python("ruff"), "check", "--output-format=concise", "-q", *_settings(root)],
        root,
    )


def ruff_format(root: Path) -> list[str]:
    """Name the files that ``ruff format`` would change."""
    found = _lines(
        [*_python("ruff"), "format", "--check", "-q", *_settings(root)],
        root,
    )
    prefix = "Would reformat: "
    names = {line.removeprefix(prefix) for line in found if line.startswith(prefix)}
    names |= {
        line.strip().removeprefix("--> ").split(":")[0]
        for line in found
        if line.strip().startswith("--> ")
    }
    if found and not names:
        return found
    return [f"{name}: not as ruff format writes it" for name in sorted(names)]


def _settings(root: Path) -> list[str]:
    return ["--config", str(root / "pyproject.toml"), "."]


def pylint(root: Path) -> list[str]:
    """Run pylint with pylint-odoo over the add-ons."""
    addons = files.addons(root)
    if not addons:
        return []
    names = [addon.name for addon in addons]
    rules = f"--rcfile={root / '.pylintrc'}"
    found = _lines([*_python("pylint"), rules, *names], root)
    return [line for line in found if not line.startswith("***")]


def eslint(root: Path) -> list[str]:
    """Run eslint; its packages are fetched when package-lock.json has changed."""
    scripts = [path for path in files.all_files(root) if path.suffix in (".js", ".mjs")]
    if not scripts:
        return []
    missing = _install(root)
    if missing:
        return [missing]
    program = root / "node_modules" / ".bin" / "eslint"
    found = _lines([program, "--format", "stylish", "--max-warnings=0", "."], root)
    return _by_line(found, root)


def _install(root: Path) -> str:
    """Fetch eslint if need be; returns what hinders it."""
    stamp = root / "node_modules" / ".stamp"
    key = digest(root / "package-lock.json")
    if fresh(stamp, key):
        return ""
    if not shutil.which("npm"):
        return (
            "npm is missing, so no JavaScript was checked. Install Node.js 18.18 or "
            "newer with npm (Debian: apt install nodejs npm)."
        )
    done = subprocess.run(
        ["npm", "ci", "--no-progress", "--ignore-scripts"],
        cwd=root,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        tail = " ".join((done.stderr or done.stdout).split()[-40:])
        return f"npm ci failed, so no JavaScript was checked: {tail}"
    set_stamp(stamp, key)
    return ""


def _by_line(found: list[str], root: Path) -> list[str]:
    """eslint names a file once and its problems below; put both on one line."""
    problems, name = [], ""
    for line in found:
        if not line.startswith(" "):
            path = Path(line.strip())
            inside = path.is_absolute() and path.is_relative_to(root)
            name = path.relative_to(root).as_posix() if inside else line.strip()
            if not inside and not line.startswith("✖"):
                problems.append(name)
            continue
        place, _, text = line.strip().partition(" ")
        if ":" in place:
            problems.append(f"{name}:{place}: {' '.join(text.split())}")
    return problems


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _lines(command: list, root: Path) -> list[str]:
    """The lines that a checker prints; none when it ends with 0."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=root,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if not done.returncode:
        return []
    output = done.stdout.strip() or done.stderr.strip()
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    return lines or [f"{command[0]} ended with {done.returncode} and said nothing"]
