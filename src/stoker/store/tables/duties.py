"""Duties: which server does what only one does."""

from __future__ import annotations

from sqlalchemy import Column, Table, Text

from stoker.store.tables.columns import Instant, metadata

duties = Table(
    "duties",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text),
    Column("claim", Text),
    Column("until", Instant),
)
