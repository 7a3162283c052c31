"""Run by Alembic: hands it our tables and the connection that `stoker.store.migrate` opened."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine

from stoker.store.tables.schema import SCHEMA


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:
        connection = create_engine(context.config.get_main_option("sqlalchemy.url") or "").connect()
    context.configure(
        connection=connection, target_metadata=SCHEMA, render_as_batch=True, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


run()
