"""How Odoo is started here: its configuration file and its command line."""

import os
from pathlib import Path

from . import odoo_source, paths
from .postgres import Database
from .venv import PYTHON

MAIN = paths.ROOT / "env" / "odoo_main.py"


def addons_path() -> str:
    folders = [paths.ROOT, *odoo_source.extra_addons()]
    return ",".join(str(folder) for folder in folders)


def write_config(database: Database, file: Path | None = None, **options) -> Path:
    """Write an ``odoo.conf`` for this checkout and return its path.

    :param options: further options, or other values for those set here.
    """
    file = file or paths.RUN / "odoo.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    chosen = {
        "addons_path": addons_path(),
        "data_dir": paths.RUN / "data",
        "db_host": database.host,
        "db_port": database.port,
        "db_user": database.user,
        "db_password": database.password or "False",
        "server_wide_modules": "base,rpc,web,queue_job",
        "max_cron_threads": 1,
        "list_db": "False",
        "http_interface": "127.0.0.1",
        "limit_time_real": 600,
        "limit_time_cpu": 600,
        "admin_passwd": "admin",
        **options,
    }
    lines = [f"{key} = {value}" for key, value in chosen.items()]
    file.write_text("\n".join(["[options]", *lines, ""]))
    file.chmod(0o600)
    return file


def command(config: Path, *arguments: str) -> list[str]:
    """Odoo's command line; a first argument such as ``shell`` is a subcommand."""
    before = ()
    if arguments and not arguments[0].startswith("-"):
        before, arguments = arguments[:1], arguments[1:]
    return [str(PYTHON), str(MAIN), *before, "-c", str(config), *arguments]


def environment() -> dict[str, str]:
    """The environment of an Odoo process: in UTC, its output unbuffered."""
    kept = {key: value for key, value in os.environ.items() if key[:2] != "PG"}
    return {**kept, "TZ": "UTC", "PYTHONUNBUFFERED": "1"}
