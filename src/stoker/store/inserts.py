"""Inserts that meet rows which are there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
    from sqlalchemy.dialects.sqlite import Insert as SqliteInsert

    from stoker.store.database import Transaction


def insert_or_ignore(tx: Transaction, table: Table) -> SqliteInsert | PostgresqlInsert:
    """Insert rows, and leave those that are there already. The result's ``rowcount`` is that of new ones."""
    return _insert(tx, table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def insert_or_replace(tx: Transaction, table: Table) -> SqliteInsert | PostgresqlInsert:
    """Insert rows, and write over those that have the same primary key. Give a value for every column."""
    new = _insert(tx, table)
    values = {column.name: new.excluded[column.name] for column in table.columns if not column.primary_key}
    return new.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)


def _insert(tx: Transaction, table: Table) -> SqliteInsert | PostgresqlInsert:
    # Both databases spell ON CONFLICT alike, and SQLAlchemy has a class of its own for each.
    if tx.dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_into_sqlite

        return insert_into_sqlite(table)
    from sqlalchemy.dialects.postgresql import insert as insert_into_postgresql

    return insert_into_postgresql(table)
