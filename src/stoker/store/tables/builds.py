"""Builds, and their hold on machines or place in the queue."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text, false, text

from stoker.store.tables.columns import ID, Instant, metadata

builds = Table(
    "builds",
    metadata,
    Column("id", ID, primary_key=True),
    Column("organization_id", ID, ForeignKey("organizations.id"), nullable=False),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("title", Text, nullable=False, server_default=text("''")),
    Column("status", Text, nullable=False),
    Column("error", Text),
    Column("hint", Text),
    Column("untrusted", Boolean, nullable=False, server_default=false()),
    # No foreign key: who began a build stays on record when the credential is gone.
    Column("begun_by_kind", Text),
    Column("begun_by_id", Text),
    Column("begun_by_name", Text),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("saved_microseconds", BigInteger, nullable=False, server_default=text("0")),
    Column("steps", Integer),
    Column("cached_steps", Integer),
    Column("work_microseconds", BigInteger),
    Index(None, "project_id", "id"),
    Index(
        "ix_builds_saved",
        "project_id",
        "created_at",
        "saved_microseconds",
        sqlite_where=text("saved_microseconds > 0"),
        postgresql_where=text("saved_microseconds > 0"),
    ),
    # All that is summed up of a period, so that the rows themselves aren't read.
    Index("ix_builds_usage", "project_id", "finished_at", "created_at", "started_at"),
    Index(
        "ix_builds_running",
        "created_at",
        sqlite_where=text("status = 'running'"),
        postgresql_where=text("status = 'running'"),
    ),
)

build_shares = Table(
    "build_shares",
    metadata,
    Column("build_id", ID, ForeignKey("builds.id"), primary_key=True),
    Column("share_id", Text, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("id", ID, primary_key=True),
    Column("build_id", ID, ForeignKey("builds.id"), nullable=False),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("platform", Text, nullable=False),
    Column("machine_id", ID, ForeignKey("machines.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("end_reason", Text),
    Index(None, "build_id"),
    Index("ix_leases_usage", "project_id", "ended_at", "created_at"),
    Index(
        "uq_leases_live",
        "build_id",
        "platform",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_leases_live_machine",
        "machine_id",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_leases_live_expiry",
        "expires_at",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

waiting = Table(
    "waiting",
    metadata,
    Column("id", ID, primary_key=True),
    Column("build_id", ID, ForeignKey("builds.id"), nullable=False),
    Column("platform", Text, nullable=False),
    Column("organization_id", ID, ForeignKey("organizations.id"), nullable=False),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index("uq_waiting_build_platform", "build_id", "platform", unique=True),
    Index(None, "organization_id", "id"),
    Index(None, "expires_at"),
)
