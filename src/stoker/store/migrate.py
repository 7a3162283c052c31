"""Bring a database's tables up to date."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0021"
_BUSY_SECONDS = 10
_SCRIPTS = Path(__file__).parent / "migrations"


class DatabaseTooNew(Exception):
    """The database was written by a newer stoker."""


def migration_config(path: Path) -> Config:
    """Alembic's configuration for the SQLite database at ``path``."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
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
    """All tables as they are after the last migration, or none of them."""
    from sqlalchemy import create_engine

    from stoker.store.tables.schema import SCHEMA

    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            # Python's driver begins no transaction for statements that make tables.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            if connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").first() is None:
                SCHEMA.create_all(connection)
                # As Alembic makes it (alembic.runtime.migration).
                connection.exec_driver_sql(
                    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
                    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
                )
                connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (HEAD,))
            connection.exec_driver_sql("COMMIT")
    finally:
        engine.dispose()


def _upgrade(path: Path, current: str | None) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine, event

    config = migration_config(path)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseTooNew(f"{path} was written by a newer stoker (revision {current}); start that one")
    engine = create_engine(f"sqlite:///{path}")

    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")

    event.listen(engine, "connect", on_connect)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
