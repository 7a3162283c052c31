"""Brings the tables of a PostgreSQL database up to date, one server at a time."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from stoker.store.engines.postgresql import connection_parameters
from stoker.store.engines.postgresql_trouble import said_by
from stoker.store.migrate import HEAD, DatabaseUnusable, create_tables, upgrade_tables

if TYPE_CHECKING:
    from collections.abc import Generator

    from sqlalchemy import Connection

    from stoker.settings.database import DatabaseSettings

_OLDEST = 140_000
_MIGRATING = 0x53746F6B65724D69  # a number of our own, for the lock of migrations
_RECIPE = "createdb --template=template0 --encoding=UTF8 --locale=C stoker"


def migrate_postgresql(settings: DatabaseSettings) -> None:
    """Create the tables, or bring them up to date; all of it or nothing.

    Raises:
        DatabaseTooNew: a newer stoker has changed them.
        DatabaseUnusable: the database can't be reached, or is not one for stoker.
    """
    with _connected(settings) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
        _require_fitting(connection)
        current = _current_revision(connection)
        if current is None and not inspect(connection).has_table("organizations"):
            create_tables(connection)
            connection.commit()
        elif current != HEAD:
            upgrade_tables(connection, current, "the database")


def is_postgresql_up_to_date(settings: DatabaseSettings) -> bool:
    """Whether the database can be reached, with the tables that this stoker knows."""
    try:
        with _connected(settings) as connection:
            return _current_revision(connection) == HEAD
    except DatabaseUnusable:
        return False


@contextmanager
def _connected(settings: DatabaseSettings) -> Generator[Connection]:
    parameters: dict[str, Any] = connection_parameters(settings)
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(**parameters),
        hide_parameters=True,
        use_native_hstore=False,
    )
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise DatabaseUnusable(f"the database can't be used: {said_by(error.orig)}") from None
    finally:
        engine.dispose()


def _require_fitting(connection: Connection) -> None:
    version = int(connection.execute(text("SELECT current_setting('server_version_num')")).scalar_one())
    if version < _OLDEST:
        raise DatabaseUnusable(f"the database is PostgreSQL {version // 10_000}; stoker needs 14 or newer")
    if connection.execute(text("SELECT current_setting('server_encoding')")).scalar_one() != "UTF8":
        raise DatabaseUnusable(f"the database is not in UTF-8; make one with `{_RECIPE}`")
    # Ids are in the order of time by their bytes, and an index of such an order outlives updates of the C library.
    if not connection.execute(text("SELECT 'B' < 'a'")).scalar_one():
        raise DatabaseUnusable(f"the database sorts by a language instead of by bytes; make one with `{_RECIPE}`")


def _current_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
