"""Organizations and their projects."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from stoker.store.tables.columns import ID, Instant, metadata

organizations = Table(
    "organizations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)

projects = Table(
    "projects",
    metadata,
    Column("id", ID, primary_key=True),
    Column("organization_id", ID, ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("region_id", Text, nullable=False),
    Column("hardware", Text, nullable=False),
    Column("keep_bytes", BigInteger, nullable=False),
    Column("keep_days", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    Index(None, "organization_id", "id"),
)
