"""The audit log."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from stoker.store.tables.columns import ID, Instant, metadata

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", ID, primary_key=True),
    # Neither this nor the ids below are foreign keys: what was done stays on record when it is gone.
    Column("organization_id", ID),
    Column("occurred_at", Instant, nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target_kind", Text, nullable=False),
    Column("target_id", Text, nullable=False),
    Column("target_name", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Index(None, "organization_id", "id"),
    Index("ix_audit_events_actors", "organization_id", "actor_kind", "actor_id", "id"),
)
