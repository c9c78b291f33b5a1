"""Each add-on and program installs with pip, and brings all its files."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDONS = sorted(manifest.parent.name for manifest in ROOT.glob("*/__manifest__.py"))
# What belongs into the wheel, as far as the add-on has it.
FOLDERS = ("data", "security", "views", "wizard", "report", "static", "i18n")
IGNORED = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info", "build")


def wheel(source: Path, target: Path) -> dict[str, str]:
    """Build a wheel from a copy of a folder; its files, with the text of METADATA."""
    copy = target / source.name
    shutil.copytree(source, copy, ignore=IGNORED)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"]
    command += ["--no-build-isolation", "-w", str(target), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = target.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return {
            name: archive.read(name).decode() if name.endswith("/METADATA") else ""
            for name in archive.namelist()
        }


@pytest.mark.parametrize("name", ADDONS)
def test_the_wheel_of_an_addon_is_whole(name, tmp_path):
    contents = wheel(ROOT / name, tmp_path)
    base = f"odoo/addons/{name}/"
    assert f"{base}__manifest__.py" in contents
    wanted = {
        base + path.relative_to(ROOT / name).as_posix()
        for folder in FOLDERS
        for path in (ROOT / name / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= set(contents)
    metadata = next(text for text in contents.values() if text)
    needed = set(re.findall(r"^Requires-Dist: ([\w.-]+)", metadata, re.MULTILINE))
    assert {spelled(package) for package in packages(name)} <= set(map(spelled, needed))


def packages(name: str) -> list[str]:
    manifest = ast.literal_eval((ROOT / name / "__manifest__.py").read_text())
    ours = [f"odoo-addon-{other}" for other in manifest["depends"] if other in ADDONS]
    stated = manifest.get("external_dependencies", {}).get("python", [])
    return [*ours, *(re.match(r"[\w.-]+", package).group() for package in stated)]


def spelled(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def test_the_wheel_of_the_sandbox_holds_its_pages(tmp_path):
    sandbox = ROOT / "sandbox"
    contents = wheel(sandbox, tmp_path)
    package = sandbox / "wechat_sandbox"
    wanted = {
        path.relative_to(sandbox).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= set(contents)
