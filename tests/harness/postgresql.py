"""A PostgreSQL of the distribution's package, for the tests of one process.

It runs as an unprivileged user on a Unix socket in a temporary folder, without waiting for any disk. Each database is a
copy of one that has all tables.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from stoker.settings.database import DatabaseSettings
from stoker.store.engines.postgresql_migration import migrate_postgresql

START_SECONDS = 60
STOP_SECONDS = 30
_ROOM_BYTES = 2 * 1024**3
_USER = "stoker"
_TEMPLATE = "with_tables"
_LOCALE = "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
_HURRY = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
}


def programs() -> Path:
    """The folder of the newest PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: float(one.parts[-3]))
    assert found, "there is no PostgreSQL; `make setup` in a checkout with tests installs Debian's"
    return found[-1].parent


def _fast_folder() -> Path | None:
    """Memory, where there is enough of it for the copies of the template, of some megabytes each."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
    return shared if shared.is_dir() and shutil.disk_usage(shared).free > _ROOM_BYTES else None


def _as_unprivileged(*, dies_with_us: bool) -> list[str]:
    """A command before another one. Root can't run PostgreSQL."""
    command = ["setpriv", *(["--pdeathsig", "INT"] if dies_with_us else [])]
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        command += [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return command if len(command) > 1 else []


@dataclass
class Postgresql:
    """One PostgreSQL."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    options: dict[str, str] = field(default_factory=dict)
    numbers: count[int] = field(default_factory=lambda: count(1))

    @classmethod
    def new(cls) -> Postgresql:
        """Make one, and start it."""
        folder = Path(tempfile.mkdtemp(prefix="stoker-postgresql-", dir=_fast_folder()))
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        made = cls(folder)
        settings = ["--auth=trust", f"--username={_USER}", "--no-sync", "--locale=C", "--encoding=UTF8"]
        command = [*_as_unprivileged(dies_with_us=False), str(programs() / "initdb"), "-D", str(made.data), *settings]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stderr
        made.start()
        made.execute(f"CREATE DATABASE {_TEMPLATE} {_LOCALE}")
        migrate_postgresql(DatabaseSettings(database=made.url(_TEMPLATE)))
        return made

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        own = {"listen_addresses": "", "unix_socket_directories": str(self.folder)}
        settings = {**_HURRY, **own, **self.options}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*_as_unprivileged(dies_with_us=True), str(programs() / "postgres"), "-D", str(self.data), *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd="/")
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, "PostgreSQL takes no connections"
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it; its connections end at once."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(STOP_SECONDS)
            self.process = None

    def remove(self) -> None:
        """Stop it, and remove all that it wrote."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        return f"postgresql://{_USER}@/{database}?host={self.folder}&port={self.options.get('port', '5432')}"

    def new_database(self, *, template: str = _TEMPLATE) -> str:
        """The URL of a new database, which has all tables and no rows."""
        name = f"test_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} {_LOCALE.replace('template0', template)}")
        return self.url(name)

    def execute(self, sql: str) -> None:
        """Run a statement outside of stoker's databases."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.encode())


def query(url: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement with question marks for its values, as SQLite has them; the rows, if it returns any."""
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as connection:
        cursor = connection.execute(sql.replace("%", "%%").replace("?", "%s").encode(), values)
        return cursor.fetchall() if cursor.description is not None else []


def everything(url: str) -> bytes:
    """All rows of all tables, as texts."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        rows: list[bytes] = []
        for (table,) in tables:
            with connection.cursor().copy(f'COPY "{table}" TO STDOUT'.encode()) as copied:
                rows += [bytes(part) for part in copied]
    return b"".join(rows)


@contextmanager
def started_when_needed() -> Iterator[Callable[[], Postgresql]]:
    """Returns the PostgreSQL that the first call starts, and removes it at the end."""
    started: list[Postgresql] = []

    def start() -> Postgresql:
        if not started:
            started.append(Postgresql.new())
        return started[0]

    try:
        yield start
    finally:
        for one in started:
            one.remove()


def with_tls(postgresql: Postgresql, port: int, certificate: str, key: str, password: str) -> None:
    """Let a PostgreSQL take TLS connections with a password, on loopback, from its next start on."""
    for name, content in (("server.crt", certificate), ("server.key", key)):
        path = postgresql.data / name
        path.write_text(content)
        path.chmod(0o600)
        shutil.chown(path, postgresql.data.owner())
    rules = postgresql.data / "pg_hba.conf"
    rules.write_text("hostssl all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n")
    postgresql.execute(f"ALTER ROLE {_USER} PASSWORD '{password}'")
    postgresql.options |= {"listen_addresses": "127.0.0.1", "port": str(port), "ssl": "on"}
