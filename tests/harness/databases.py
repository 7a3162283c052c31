"""Databases that have all tables and no rows, for the tests of the store and of services."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from stoker.settings.database import DatabaseSettings
from stoker.store.database import Database
from stoker.store.engines.sqlite import open_sqlite
from stoker.store.migrate import migrate
from stoker.store.opening import open_database
from tests.harness import postgresql
from tests.harness.postgresql import Postgresql

ENGINES = ("sqlite", "postgresql")
DEFAULT_ENGINE = os.environ.get("STOKER_TEST_DATABASE", "sqlite")
"""Of the servers of all tests that don't choose: `make soak` runs them over PostgreSQL."""


@dataclass(frozen=True)
class DatabasePlace:
    """Where a database is, and beside which other files."""

    settings: DatabaseSettings
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "stoker.db"

    @property
    def is_postgresql(self) -> bool:
        return bool(self.settings.database)

    def open(self, **settings: Any) -> Database:
        return open_database(replace(self.settings, **settings), self.file)

    def open_impatiently(self) -> Database:
        """Open it so that nobody waits long for a lock."""
        if self.is_postgresql:
            return self.open(database_lock_timeout_seconds=0.1)
        return open_sqlite(self.file, busy_seconds=0.01)

    @contextmanager
    def keeping_writers_out(self, table: str) -> Iterator[None]:
        """Hold what whoever writes into a table needs."""
        if self.is_postgresql:
            with psycopg.connect(self.settings.database) as other:
                other.execute(f"LOCK TABLE {table}".encode())
                yield
        else:
            with closing(sqlite3.connect(self.file, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                yield

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement beside stoker, and commit; the rows, if it returns any."""
        if self.is_postgresql:
            return postgresql.query(self.settings.database, sql, *values)
        with closing(sqlite3.connect(self.file, timeout=10)) as connection, connection:
            return connection.execute(sql, values).fetchall()


def new_place(engine: str, folder: Path, start: Callable[[], Postgresql]) -> DatabasePlace:
    """A new database of an engine. ``start`` returns the PostgreSQL of this process."""
    if engine == "postgresql":
        return DatabasePlace(DatabaseSettings(database=start().new_database()), folder)
    place = DatabasePlace(DatabaseSettings(), folder)
    migrate(place.file)
    return place
