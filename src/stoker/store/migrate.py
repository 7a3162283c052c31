"""Bring a database's tables up to date: those of a SQLite file, and what PostgreSQL's need as well."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

HEAD = "0022"
_BUSY_SECONDS = 10
_SCRIPTS = Path(__file__).parent / "migrations"


class DatabaseUnusable(Exception):
    """The database can't be reached, or is not one that this stoker can use. The text says why, and what to do."""


class DatabaseTooNew(DatabaseUnusable):
    """The database was written by a newer stoker."""


def migration_config(path: Path | None = None) -> Config:
    """Alembic's configuration for the SQLite database at ``path``; without it, for a connection that it is given."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    if path is not None:
        config.set_main_option("sqlalchemy.url", f"sqlite:///{path}".replace("%", "%%"))
    return config


def migrate(path: Path) -> None:
    """Create the database at ``path`` (0600), or bring it up to date.

    Raises:
        DatabaseTooNew: a newer stoker has changed it.
    """
    path.touch(mode=0o600)
    # Alembic takes half a second to import, and all migrations a second more: neither a server that is up to date nor
    # a new one need wait for them.
    if _is_empty(path):
        _create(path)
    elif (current := _current_revision(path)) != HEAD:
        _upgrade(path, current)


def is_up_to_date(path: Path) -> bool:
    """Whether the database at ``path`` is there, with the tables that this stoker knows."""
    try:
        return path.exists() and _current_revision(path) == HEAD
    except sqlite3.Error:
        return False


def create_tables(connection: Connection) -> None:
    """Create all tables as they are after the last migration, in the connection's transaction."""
    from stoker.store.tables.schema import SCHEMA

    SCHEMA.create_all(connection)
    # As Alembic makes it (alembic.runtime.migration).
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{HEAD}')")  # noqa: S608 - a constant


def upgrade_tables(connection: Connection, current: str | None, name: str) -> None:
    """Run the migrations that come after the ``current`` one, and commit.

    Raises:
        DatabaseTooNew: a newer stoker has run more. ``name`` is what the database is called in its text.
    """
    from alembic import command
    from alembic.script import ScriptDirectory

    config = migration_config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseTooNew(f"{name} was written by a newer stoker (revision {current}); start that one")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _is_empty(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
        return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _current_revision(path: Path) -> str | None:
    with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
    return None if row is None else str(row[0])


def _create(path: Path) -> None:
    """All tables, or none of them."""
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            # Python's driver begins no transaction for statements that make tables.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            if connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").first() is None:
                create_tables(connection)
            connection.exec_driver_sql("COMMIT")
    finally:
        engine.dispose()


def _upgrade(path: Path, current: str | None) -> None:
    from sqlalchemy import create_engine, event

    engine = create_engine(f"sqlite:///{path}")

    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")

    event.listen(engine, "connect", on_connect)
    try:
        with engine.connect() as connection:
            upgrade_tables(connection, current, str(path))
    finally:
        engine.dispose()
