"""Manifests and folders: each add-on installs by itself, and says what it needs."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from .. import paths, readme
from . import files

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same code under its older name
    import tomli as tomllib

LICENSE = "LGPL-3"
VERSION = re.compile(r"19\.0\.\d+\.\d+\.\d+")
# pylint-odoo checks the others.
WANTED_KEYS = ("name", "depends")
WANTED_FILES = ("readme/DESCRIPTION.md", "static/description/icon.png")
DATA_FOLDERS = ("data", "demo", "report", "reports", "security", "views", "wizard")


def check(root: Path) -> list[str]:
    """Check every add-on."""
    return [problem for addon in files.addons(root) for problem in _addon(root, addon)]


def _addon(root: Path, addon: Path) -> Iterator[str]:
    manifest = files.manifest(addon)
    place = addon / "__manifest__.py"
    if not manifest:
        yield files.at(root, place, None, "not a plain dict")
        return
    texts = [*_keys(manifest), *_listed(addon, manifest)]
    texts += [*_needed(root, addon, manifest), *_depends(root, addon, manifest)]
    yield from (files.at(root, place, None, text) for text in texts)
    yield from _files(root, addon)
    yield from _pyproject(root, addon)


def _keys(manifest: dict) -> Iterator[str]:
    yield from (f"{key!r} is missing" for key in WANTED_KEYS if key not in manifest)
    if manifest.get("license") != LICENSE:
        yield f"the license is {LICENSE}, not {manifest.get('license')}"
    if not VERSION.fullmatch(str(manifest.get("version"))):
        yield f"the version is 19.0.x.y.z, not {manifest.get('version')}"


def _listed(addon: Path, manifest: dict) -> Iterator[str]:
    """Every data file is loaded. (That each one named exists, pylint-odoo checks.)"""
    listed = [*manifest.get("data", ()), *manifest.get("demo", ())]
    for folder in DATA_FOLDERS:
        for path in files.below(addon / folder, ".xml", ".csv"):
            name = path.relative_to(addon).as_posix()
            if name not in listed and not _mentioned(addon, name):
                yield f"{name} is never loaded"


def _mentioned(addon: Path, name: str) -> bool:
    """A file that the code itself reads, such as a template for an import."""
    return any(name in path.read_text() for path in files.below(addon, ".py"))


def _needed(root: Path, addon: Path, manifest: dict) -> Iterator[str]:
    """The Python packages that are imported and do not come with Odoo."""
    stated = manifest.get("external_dependencies", {}).get("python", [])
    names = {_normal(re.split(r"[<>=!~\[; ]", name)[0]): name for name in stated}
    owners = packages_distributions()
    ours = _with_odoo(root)
    used = set()
    for module, place in _imports(addon).items():
        if module in sys.stdlib_module_names or module == "odoo":
            continue
        packages = {_normal(package) for package in owners.get(module, [module])}
        used |= packages
        if not packages & (ours | set(names)):
            package = sorted(packages)[0]
            yield f"external_dependencies lacks {package}, imported in {place}"
    for package, name in names.items():
        if package not in used:
            yield f"external_dependencies names {name}, which is imported nowhere"


def _imports(addon: Path) -> dict[str, str]:
    """Top-level modules that an add-on imports outside its tests, with the place."""
    found: dict[str, str] = {}
    for path in files.below(addon, ".py"):
        name = path.relative_to(addon).as_posix()
        if name.startswith("tests/"):
            continue
        for node in _tree(path):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            for module in modules:
                found.setdefault(module.split(".")[0], f"{name}:{node.lineno}")
    return found


def _tree(path: Path):
    try:
        return list(ast.walk(ast.parse(path.read_text())))
    except SyntaxError:
        return []


def _with_odoo(root: Path) -> set[str]:
    """What Odoo itself requires."""
    file = root / "env" / "requirements-odoo.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines)
    return {_normal(name.group()) for name in names if name} | {"psycopg2"}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _depends(root: Path, addon: Path, manifest: dict) -> Iterator[str]:
    """An add-on imports only from add-ons that it depends on."""
    allowed = _reach(root, addon.name)
    for path in files.below(addon, ".py"):
        for node in _tree(path):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            parts = node.module.split(".")
            if parts[:2] != ["odoo", "addons"] or len(parts) < 3:
                continue
            if parts[2] not in allowed:
                place = f"{path.relative_to(addon).as_posix()}:{node.lineno}"
                yield f"depends lacks {parts[2]}, imported in {place}"


def _reach(root: Path, name: str) -> set[str]:
    """An add-on and all that it depends on, directly or not."""
    found, waiting = {"base"}, [name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += _manifest_of(root, name).get("depends", ())
    return found


def _manifest_of(root: Path, name: str) -> dict:
    folders = [root, paths.ODOO_SRC / "odoo" / "addons"]
    folders += sorted(paths.VENV.glob("lib/python*/site-packages/odoo/addons"))
    for folder in folders:
        if (folder / name / "__manifest__.py").exists():
            return files.manifest(folder / name)
    return {}


def _files(root: Path, addon: Path) -> Iterator[str]:
    for name in WANTED_FILES:
        if not (addon / name).is_file():
            yield files.at(root, addon / name, None, "missing")
    page = addon / "README.md"
    if not page.exists() or page.read_text() != readme.compose(addon):
        text = "not what readme/ says: run python env/wxenv/readme.py"
        yield files.at(root, page, None, text)


def _pyproject(root: Path, addon: Path) -> Iterator[str]:
    file = addon / "pyproject.toml"
    if not file.exists():
        yield files.at(root, file, None, "missing")
        return
    system = tomllib.loads(file.read_text()).get("build-system", {})
    if system.get("build-backend") != "whool.buildapi":
        yield files.at(root, file, None, 'build-backend is not "whool.buildapi"')
    if not any(name.startswith("whool") for name in system.get("requires", ())):
        yield files.at(root, file, None, "build-system.requires lacks whool")
