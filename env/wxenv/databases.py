"""Databases: a template that is built once, and copies of it that cost a second."""

import contextlib
import os
import subprocess

from . import odoo_run, odoo_source, paths
from .console import SetupError, step
from .postgres import Database
from .stamps import digest, lock

MODULES = ("pos_loyalty", "sale_loyalty", "l10n_cn", "queue_job")


def exists(database: Database, name: str) -> bool:
    return bool(database.execute("SELECT 1 FROM pg_database WHERE datname = %s", name))


def drop(database: Database, name: str) -> None:
    """Drop a database, if it is there, and the sessions that our role has on it.

    Not ``WITH (FORCE)``: that is refused while autovacuum is at work there, whose
    process belongs to no role. The plain command ends autovacuum by itself.
    """
    database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = %s AND usename = current_user",
        name,
    )
    database.execute(f'DROP DATABASE IF EXISTS "{name}"')


def copy(database: Database, source: str, name: str) -> None:
    """Make ``name`` a copy of ``source``; an older ``name`` goes away."""
    drop(database, name)
    _copy_files(source, name)
    database.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')


def template(database: Database) -> str:
    """The name of the template: Odoo with its demo data and no add-on of ours.

    It speaks English only, as Odoo's own tests expect.

    Its demo data has a company with the Chinese chart of accounts (l10n_cn's
    ``base.demo_asbe_company_cn``). Built when it is not there; about two minutes.
    """
    with lock(paths.DATA / "template.lock"):
        key = digest(
            odoo_source.release(),
            paths.ROOT / "env/requirements-addons.txt",
            *MODULES,
        )
        name = f"wechat_template_{key}"
        if not exists(database, name):
            with step("building the template database (about 2 minutes, once)"):
                _build(database, name)
    return name


def with_addons(database: Database) -> str:
    """The name of a template that has this checkout's add-ons as well.

    It is built again when a file of an add-on that the database holds has changed.
    """
    addons = paths.addons()
    source = template(database)
    key = digest(source, str(paths.ROOT), *(_addon_digest(name) for name in addons))

    def build(partial: str) -> None:
        odoo(database, partial, "-i", ",".join(addons))

    return derived(database, "addons", source, key, build)


def derived(database: Database, kind: str, source: str, key: str, build) -> str:
    """A template made from another one; the last of its kind and checkout is kept.

    :param kind: a word for its name and for the user
    :param build: function that changes the copy whose name it gets
    :return: the name of the finished template
    """
    name = f"wechat_{kind}_{key}"
    last = paths.RUN / f"{kind}.template"
    with lock(paths.RUN / f"{kind}.lock"):
        if exists(database, name):
            return name
        with step(f"building the template database “{kind}”"):
            if last.exists():
                drop(database, last.read_text())
            partial = f"{name}_partial"
            copy(database, source, partial)
            build(partial)
            _rename(database, partial, name)
            last.write_text(name)
    return name


def _addon_digest(name: str) -> str:
    files = sorted(
        file
        for file in (paths.ROOT / name).rglob("*")
        if file.is_file()
        and file.suffix in (".py", ".xml", ".csv", ".po", ".sql", ".js", ".scss")
        and "tests" not in file.parts
    )
    return digest(*(str(file.relative_to(paths.ROOT)) for file in files), *files)


def _build(database: Database, name: str) -> None:
    partial = f"{name}_partial"
    drop(database, partial)
    database.execute(
        f"CREATE DATABASE \"{partial}\" TEMPLATE template0 ENCODING 'UTF8'"
    )
    odoo(database, partial, "-i", ",".join(MODULES), "--with-demo")
    _rename(database, partial, name)


def _rename(database: Database, old: str, new: str) -> None:
    """The finished name is given last: a cut leaves only a ``_partial``."""
    _copy_files(old, new)
    drop(database, new)
    database.execute(f'ALTER DATABASE "{old}" RENAME TO "{new}"')
    # The server does not wait for the disk: a machine that is cut off now would
    # keep a template with half of its pages.
    os.sync()


def _filestore(name: str):
    # Templates are shared by checkouts, so their files are kept beside the cluster.
    shared = name.startswith("wechat_template_")
    base = paths.DATA if shared else paths.RUN
    return base / "data" / "filestore" / name


def _copy_files(source: str, name: str) -> None:
    # Odoo wrote the files of a partial database below this checkout's data folder.
    candidates = (_filestore(source), paths.RUN / "data" / "filestore" / source)
    found = next((folder for folder in candidates if folder.exists()), None)
    target = _filestore(name)
    if found and found != target:
        subprocess.run(["rm", "-rf", target], check=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Hard links: Odoo never changes a stored file, it only adds and removes.
        if subprocess.run(["cp", "-al", found, target], capture_output=True).returncode:
            subprocess.run(["cp", "-a", found, target], check=True)


def odoo(database: Database, name: str, *arguments: str) -> None:
    """Run Odoo on a database for what its command line asks, then stop it."""
    config = odoo_run.write_config(database, paths.RUN / "build.conf")
    log = paths.LOGS / f"build-{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    full = odoo_run.command(config, "-d", name, *arguments, "--stop-after-init")
    full += ["--no-http", "--logfile", str(log), "--log-level", "warn"]
    done = subprocess.run(
        full, env=odoo_run.environment(), stdin=subprocess.DEVNULL, capture_output=True
    )
    if done.returncode:
        tail = log.read_text()[-3000:] if log.exists() else done.stderr.decode()[-3000:]
        raise SetupError(f"Odoo could not build {name}:\n{tail}\nThe whole log: {log}")


def shell(database: Database, name: str, code: str) -> str:
    """Run Python code in Odoo's shell on a database and return what it printed."""
    config = odoo_run.write_config(database, paths.RUN / "build.conf")
    full = odoo_run.command(config, "shell", "-d", name, "--no-http")
    done = subprocess.run(
        [*full, "--log-level", "error"],
        env=odoo_run.environment(),
        input=code.encode(),
        capture_output=True,
    )
    if done.returncode or b"Traceback" in done.stderr:
        raise SetupError(
            f"Odoo's shell failed on {name}:\n{done.stderr.decode()[-3000:]}"
        )
    return done.stdout.decode()


@contextlib.contextmanager
def scratch(database: Database, source: str, name: str):
    """A copy that goes away with the block."""
    copy(database, source, name)
    try:
        yield name
    finally:
        drop(database, name)
        subprocess.run(["rm", "-rf", _filestore(name)], check=False)
