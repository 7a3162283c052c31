"""Opens the database that the settings name: PostgreSQL by its URL, or else the SQLite file in the data folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stoker.store import migrate as sqlite_migration
from stoker.store.engines.sqlite import open_sqlite

if TYPE_CHECKING:
    from pathlib import Path

    from stoker.settings.database import DatabaseSettings
    from stoker.store.database import Database
    from stoker.store.engines.postgresql_sole_use import SoleUse

# PostgreSQL's driver is imported only where it is used: a server on SQLite starts without it.


def open_database(settings: DatabaseSettings, file: Path) -> Database:
    """Open the database, which `migrate_database` has brought up to date.

    Args:
        settings: say which database it is.
        file: the SQLite file, for settings that name none.

    Raises:
        DatabaseUnusable: the URL is not understood.
    """
    if not settings.database:
        return open_sqlite(file)
    from stoker.store.engines.postgresql import open_postgresql

    return open_postgresql(settings)


def migrate_database(settings: DatabaseSettings, file: Path) -> None:
    """Create the tables, or bring them up to date.

    Raises:
        DatabaseTooNew: a newer stoker has changed them.
        DatabaseUnusable: the database can't be reached, or is not one for stoker.
    """
    if not settings.database:
        sqlite_migration.migrate(file)
        return
    from stoker.store.engines.postgresql_migration import migrate_postgresql

    migrate_postgresql(settings)


def is_migrated(settings: DatabaseSettings, file: Path) -> bool:
    """Whether the database is there, with the tables that this stoker knows."""
    if not settings.database:
        return sqlite_migration.is_up_to_date(file)
    from stoker.store.engines.postgresql_migration import is_postgresql_up_to_date

    return is_postgresql_up_to_date(settings)


def sole_use(settings: DatabaseSettings) -> SoleUse | None:
    """What keeps another server from working on the same database; None where the data folder's lock does.

    Raises:
        DatabaseUnusable: the URL is not understood.
    """
    if not settings.database:
        return None
    from stoker.store.engines.postgresql_sole_use import SoleUse

    return SoleUse(settings)
