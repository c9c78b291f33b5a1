"""What comes from the machine's package manager: Chromium and Chinese fonts."""

import os
import shutil
import subprocess
from pathlib import Path

from .console import SetupError, run, step

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser() -> str | None:
    """The path of a Chromium, or None. ``CHROMIUM`` overrides the search."""
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        return chosen
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def ensure() -> None:
    """Install Chromium and Chinese fonts if the rights are there, else say how."""
    missing = []
    if not browser():
        missing.append("chromium")
    if not _chinese_fonts():
        missing.append("fonts-noto-cjk")
    if missing:
        _install(missing)


def _chinese_fonts() -> bool:
    if shutil.which("fc-list"):
        done = subprocess.run(["fc-list", ":lang=zh-cn"], capture_output=True)
        return bool(done.stdout.strip())
    return any(Path("/usr/share/fonts").rglob("NotoSansCJK*"))


def _install(packages: list[str]) -> None:
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    by_hand = (
        f"The browser tests need: {', '.join(packages)}. Install them with the "
        f"system's package manager (Debian: sudo {' '.join(command[:2])} "
        f"{' '.join(packages)}), or set CHROMIUM to a Chromium that is there."
    )
    if not shutil.which("apt-get"):
        raise SetupError(by_hand)
    prefix = _rights()
    if prefix is None:
        raise SetupError(f"No rights to install packages here.\n{by_hand}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing {' and '.join(packages)} (system packages)"):
        run([*prefix, "apt-get", "-q", "update"], advice=by_hand, env=environment)
        run([*prefix, *command], advice=by_hand, env=environment)


def _rights() -> list[str] | None:
    """How to become root without asking: [] as root, sudo, or None."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo"):
        able = subprocess.run(["sudo", "-n", "true"], capture_output=True)
        if able.returncode == 0:
            return ["sudo", "-n"]
    return None
