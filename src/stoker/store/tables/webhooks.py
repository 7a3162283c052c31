"""Webhooks, and what is to be sent to them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text, text

from stoker.store.tables.columns import ID, Instant, metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("organization_id", ID, ForeignKey("organizations.id"), nullable=False),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("dropped", Integer, nullable=False, server_default=text("0")),
    Column("dropped_at", Instant),
    Index(None, "project_id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", ID, primary_key=True),
    Column("webhook_id", ID, ForeignKey("webhooks.id"), nullable=False),
    Column("build_id", ID, ForeignKey("builds.id")),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("http_status", Integer),
    Column("error", Text),
    Index(None, "webhook_id", "id"),
    Index(None, "finished_at"),
    Index(
        "ix_webhook_deliveries_waiting",
        "due_at",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_webhook_deliveries_waiting_of_webhook",
        "webhook_id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_webhook_deliveries_waiting_tests",
        "due_at",
        sqlite_where=text("state = 'waiting' and event = 'test'"),
        postgresql_where=text("state = 'waiting' and event = 'test'"),
    ),
)
