"""Machines and their volumes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, false, text

from stoker.store.tables.columns import ID, Instant, metadata

volumes = Table(
    "volumes",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("platform", Text, nullable=False),
    Column("region_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Instant),
    Column("error", Text),
    Column("size_bytes", BigInteger),
    Column("measured_at", Instant),
    Column("build_id", ID, ForeignKey("builds.id")),
    Column("to_copy", ID),
    Index(
        "uq_volumes_active",
        "project_id",
        "platform",
        unique=True,
        sqlite_where=text("state = 'active' AND build_id IS NULL"),
        postgresql_where=text("state = 'active' AND build_id IS NULL"),
    ),
    Index(
        "uq_volumes_active_build",
        "build_id",
        "platform",
        unique=True,
        sqlite_where=text("state = 'active' AND build_id IS NOT NULL"),
        postgresql_where=text("state = 'active' AND build_id IS NOT NULL"),
    ),
    Index(
        "ix_volumes_deleting",
        "id",
        sqlite_where=text("state = 'deleting'"),
        postgresql_where=text("state = 'deleting'"),
    ),
)

cache_contents = Table(
    "cache_contents",
    metadata,
    Column("volume_id", ID, ForeignKey("volumes.id"), primary_key=True),
    Column("taken_at", Instant, nullable=False),
    Column("records", LargeBinary, nullable=False),
)

machines = Table(
    "machines",
    metadata,
    Column("id", ID, primary_key=True),
    Column("organization_id", ID, ForeignKey("organizations.id"), nullable=False),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("platform", Text, nullable=False),
    Column("region_id", Text, nullable=False),
    Column("desired", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("run", Integer, nullable=False),
    Column("volume_id", ID, ForeignKey("volumes.id")),
    Column("placement", Text),
    Column("error", Text),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Instant),
    Column("idle_since", Instant),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("claim_token", Text),
    Column("claimed_until", Instant),
    Column("outdated", Boolean, nullable=False, server_default=false()),
    Column("crashes", Integer, nullable=False, server_default="0"),
    Column("build_id", ID, ForeignKey("builds.id")),
    Column("waits_for", Text),
    Column("waits_since", Instant),
    Column("prewarmed_until", Instant),
    Index(
        "uq_machines_project_platform",
        "project_id",
        "platform",
        unique=True,
        sqlite_where=text("build_id IS NULL"),
        postgresql_where=text("build_id IS NULL"),
    ),
    Index(
        "uq_machines_build_platform",
        "build_id",
        "platform",
        unique=True,
        sqlite_where=text("build_id IS NOT NULL"),
        postgresql_where=text("build_id IS NOT NULL"),
    ),
    Index("ix_machines_state", "state", "organization_id"),
)
