"""Bring a database's tables up to date."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0012"
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
    current = _current_revision(path)
    if current == HEAD:
        # Alembic takes half a second to import, which a server that is up to date need not wait for.
        return
    _upgrade(path, current)


def _current_revision(path: Path) -> str | None:
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
    return None if row is None else str(row[0])


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
        connection.execute("PRAGMA busy_timeout = 10000")

    event.listen(engine, "connect", on_connect)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
