"""Odoo 19 itself: the Debian package, fetched without touching the machine's apt.

Odoo is on no Python index. Debian's package is architecture-independent and is
fetched from the machine's own mirror with apt folders of our own, so no root is
needed and nothing is installed. ``ODOO_SOURCE`` names an Odoo 19 that is already
there instead.
"""

import os
import re
import shutil
from pathlib import Path

from . import paths
from .console import SetupError, run, step
from .stamps import digest, fresh, set_stamp

# The package's symlinks lead into these. Two come from the stable suite, because
# the newer ones have other file names.
UNSTABLE = (
    "odoo-19",
    "libjs-jquery",
    "libjs-underscore",
    "libjs-jquery-form",
    "fonts-montserrat",
    "fonts-roboto-unhinted",
    "fonts-ocr-b",
)
STABLE = ("fonts-font-awesome", "fonts-inconsolata")
# Debian leaves this library out, as its source is not there, but the manifest of
# `mail` still names it: the browser reports an error on each page of the backend.
LEFT_OUT = "odoo/addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js"
STAND_IN = """\
// Stands in for the library of MediaPipe that Debian's package leaves out. `mail` looks
// for window.SelfieSegmentation only when somebody blurs the background of a call.
"""
NO_APT = (
    "Odoo 19 is fetched as the Debian package odoo-19. If this machine cannot do "
    "that, get Odoo 19 Community in another way and set ODOO_SOURCE to its folder "
    "(the one that holds the folder 'odoo')."
)


def ensure() -> None:
    """Make ``.odoo/src`` the folder that holds the package ``odoo``."""
    source = os.environ.get("ODOO_SOURCE")
    if source:
        _use(Path(source).expanduser().resolve())
        return
    key = digest(*UNSTABLE, *STABLE, "3")
    if not fresh(paths.ODOO / "stamp", key):
        debs = _download()
        with step("unpacking Odoo 19"):
            _unpack(debs)
        set_stamp(paths.ODOO / "stamp", key)
        shutil.rmtree(paths.ODOO / "apt", ignore_errors=True)
    _stand_in()


def extra_addons() -> list[Path]:
    """Add-on folders beside the package (a git checkout keeps them outside)."""
    beside = paths.ODOO_SRC.resolve() / "addons"
    return [beside] if (beside / "point_of_sale").is_dir() else []


def release() -> str:
    """The version of the Odoo in use, for stamps and for the user."""
    text = (paths.ODOO_SRC / "odoo" / "release.py").read_text()
    found = re.search(r"^version_info = \((.*)\)", text, re.M)
    package = paths.ODOO / "package"
    return f"{found[1]} {package.read_text() if package.exists() else ''}".strip()


def _stand_in() -> None:
    """Put a file without content where Debian's package lacks one."""
    file = paths.ODOO_SRC / LEFT_OUT
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(STAND_IN)


def _use(source: Path) -> None:
    if not (source / "odoo" / "release.py").exists():
        raise SetupError(
            f"ODOO_SOURCE is {source}, but there is no odoo/release.py in it. "
            "Set it to the folder of an Odoo 19 checkout."
        )
    if "version_info = (19, 0" not in (source / "odoo" / "release.py").read_text():
        raise SetupError(f"ODOO_SOURCE is {source}: that is not Odoo 19.0.")
    paths.ODOO.mkdir(parents=True, exist_ok=True)
    _link(source)
    set_stamp(paths.ODOO / "stamp", f"ODOO_SOURCE {source}")


def _link(source: Path) -> None:
    link = paths.ODOO_SRC
    if link.is_symlink() or link.exists():
        link.unlink()
    link.symlink_to(source)


def _mirror() -> tuple[str, str]:
    """The Debian mirror and the keyring of this machine's own apt sources."""
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    folder = Path("/etc/apt")
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]
    for file in files:
        if not file.is_file():
            continue
        for stanza in re.split(r"\n\s*\n", file.read_text()):
            uri = re.search(r"^URIs:\s*(\S+)", stanza, re.M)
            uri = uri or re.search(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)", stanza, re.M)
            signed = re.search(r"[Ss]igned-[Bb]y[:=]\s*([^\s\]]+)", stanza)
            if uri and re.search(r"/debian/?$", uri[1]):
                return uri[1], signed[1] if signed else keyring
    raise SetupError(f"No Debian mirror in /etc/apt. {NO_APT}")


def _apt_options(folder: Path) -> list[str]:
    for name in ("lists/partial", "cache/archives/partial", "parts", "state"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "state" / "status").touch()
    places = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": folder / "parts",
        "Dir::Etc::preferences": folder / "preferences",
        "Dir::Etc::preferencesparts": folder / "parts",
        "Dir::State": folder / "state",
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "state" / "status",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
        "Acquire::Retries": "3",
    }
    return [part for key, value in places.items() for part in ("-o", f"{key}={value}")]


def _download() -> list[Path]:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise SetupError(f"This machine has no apt-get and dpkg-deb. {NO_APT}")
    uri, keyring = _mirror()
    folder = paths.ODOO / "apt"
    options = _apt_options(folder)
    (folder / "sources.list").write_text(
        f"deb [signed-by={keyring}] {uri} unstable main\n"
        f"deb [signed-by={keyring}] {uri} stable main\n"
    )
    downloads = folder / "debs"
    downloads.mkdir(exist_ok=True)
    advice = f"Check this machine's network and its Debian mirror. {NO_APT}"
    with step("reading Debian's package lists"):
        run(["apt-get", *options, "-q", "update"], advice=advice)
    wanted = [f"{name}/unstable" for name in UNSTABLE]
    wanted += [f"{name}/stable" for name in STABLE]
    with step("fetching the package odoo-19 (123 MB) and its fonts"):
        run(
            ["apt-get", *options, "-q", "download", *wanted],
            advice=advice,
            cwd=downloads,
        )
    return sorted(downloads.glob("*.deb"))


def _unpack(debs: list[Path]) -> None:
    fresh_root = paths.ODOO / "root.new"
    shutil.rmtree(fresh_root, ignore_errors=True)
    fresh_root.mkdir(parents=True)
    for deb in debs:
        run(
            ["dpkg-deb", "-x", deb, fresh_root],
            advice=f"Delete {deb} and try again; is the disk full?",
        )
    packages = fresh_root / "usr/lib/python3/dist-packages"
    # The package holds the same code twice; the second one only confuses.
    shutil.rmtree(packages / "addons", ignore_errors=True)
    root = paths.ODOO / "root"
    shutil.rmtree(root, ignore_errors=True)
    fresh_root.rename(root)
    odoo = next(deb.name for deb in debs if deb.name.startswith("odoo-19"))
    (paths.ODOO / "package").write_text(odoo)
    _link(Path("root/usr/lib/python3/dist-packages"))
