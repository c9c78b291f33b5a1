"""The Python environment ``.venv``: Odoo's libraries, ours, and Odoo on the path."""

import os
import subprocess
import sys

from . import paths
from .console import SetupError, run, step
from .stamps import digest, fresh, set_stamp

FILES = ("requirements-odoo.txt", "requirements.txt", "requirements-addons.txt")
PYTHON = paths.VENV / "bin" / "python"


def ensure() -> None:
    """Make ``.venv`` hold what the requirement files say; quick when it does."""
    _check_interpreter()
    files = [paths.ROOT / "env" / name for name in FILES]
    key = digest(sys.version, *files)
    stamp = paths.VENV / "stamp"
    if not fresh(stamp, key):
        _build()
        set_stamp(stamp, key)
    _put_odoo_on_the_path()


def inside() -> bool:
    """Is this process run by the interpreter of ``.venv``?"""
    return sys.prefix == str(paths.VENV)


def _check_interpreter() -> None:
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        raise SetupError(
            f"Odoo 19 needs Python 3.10 to 3.13; this is {sys.version.split()[0]}. "
            "Set PYTHON to another interpreter, e.g. make env PYTHON=python3.12."
        )


def _build() -> None:
    index = "Check the network, and that pip can reach a Python package index."
    if not PYTHON.exists() or not _works():
        with step("making .venv"):
            run(
                [sys.executable, "-m", "venv", "--clear", paths.VENV],
                advice="Install Python's venv module (Debian: apt install "
                "python3-venv).",
            )
    pip = [PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    with step("installing Odoo's Python libraries and ours (about 1 minute)"):
        run([*pip, "-r", paths.ROOT / "env/requirements.txt"], advice=index)
        addons = paths.ROOT / "env/requirements-addons.txt"
        run([*pip, "--no-deps", "-r", addons], advice=index)


def _works() -> bool:
    """A cut in the middle of making it leaves a .venv without pip."""
    return not subprocess.run(
        [PYTHON, "-m", "pip", "--version"], capture_output=True
    ).returncode


def _put_odoo_on_the_path() -> None:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    file = paths.VENV / "lib" / version / "site-packages" / "odoo-source.pth"
    wanted = f"{paths.ODOO_SRC}\n"
    if not file.exists() or file.read_text() != wanted:
        file.write_text(wanted)


def reenter(arguments: list[str]) -> None:
    """Go on inside ``.venv``, where the libraries are."""
    os.execv(PYTHON, [str(PYTHON), *arguments])
