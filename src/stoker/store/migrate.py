"""Bring a database's tables up to date."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event

if TYPE_CHECKING:
    from typing import Any

_SCRIPTS = Path(__file__).parent / "migrations"


class DatabaseTooNew(Exception):
    """The database was written by a newer stoker."""


def migration_config(path: Path) -> Config:
    """Alembic's configuration for the SQLite database at ``path``."""
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
    config = migration_config(path)
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    engine = create_engine(f"sqlite:///{path}")

    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401
        connection.execute("PRAGMA busy_timeout = 10000")

    event.listen(engine, "connect", on_connect)
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current == scripts.get_current_head():
            return
        if current is not None and current not in known:
            raise DatabaseTooNew(f"{path} was written by a newer stoker (revision {current}); start that one")
        connection.rollback()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
