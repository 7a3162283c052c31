"""What is recorded of builds."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, false, text

from stoker.store.tables.columns import ID, Instant, metadata

solves = Table(
    "solves",
    metadata,
    Column("ref", Text, primary_key=True),
    Column("build_id", ID, ForeignKey("builds.id"), nullable=False),
    Column("machine_id", ID, ForeignKey("machines.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("machine_run", Integer, nullable=False, server_default=text("0")),
    Column("volume_id", ID),
    Column("record", Text),
    Column("record_error", Text),
    Column("dropped_steps", Integer, nullable=False, server_default=text("0")),
    Index(None, "build_id"),
    Index(
        "ix_solves_following",
        "created_at",
        sqlite_where=text("record = 'following'"),
        postgresql_where=text("record = 'following'"),
    ),
)

steps = Table(
    "steps",
    metadata,
    Column("build_id", ID, ForeignKey("builds.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
    Column("solve_ref", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("group", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("started_at", Instant),
    Column("completed_at", Instant),
    Column("cached", Boolean, nullable=False),
    Column("error", Text),
    Column("inputs", Text, nullable=False),
    Column("work_key", Text, nullable=False),
    Column("transfers", Text, nullable=False),
    Column("stdout_bytes", BigInteger, nullable=False),
    Column("stderr_bytes", BigInteger, nullable=False),
    Column("log_lines", Integer, nullable=False),
    Column("dropped_bytes", BigInteger, nullable=False),
    Column("clipped", Boolean, nullable=False),
    Column("saved_microseconds", BigInteger),
    # Whether it tells how long its work takes: a machine did it well, for a trusted build.
    Column("tells_duration", Boolean, nullable=False, server_default=false()),
    Index("uq_steps_solve_digest", "build_id", "solve_ref", "digest", unique=True),
    Index(None, "build_id", "digest"),
    Index(
        "ix_steps_work",
        "project_id",
        "work_key",
        "completed_at",
        sqlite_where=text("tells_duration"),
        postgresql_where=text("tells_duration"),
    ),
)

log_chunks = Table(
    "log_chunks",
    metadata,
    Column("build_id", ID, ForeignKey("builds.id"), primary_key=True),
    Column("step_number", Integer, primary_key=True, autoincrement=False),
    Column("first_line", Integer, primary_key=True, autoincrement=False),
    Column("lines", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

warnings = Table(
    "warnings",
    metadata,
    Column("build_id", ID, ForeignKey("builds.id"), primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("solve_ref", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("level", Integer, nullable=False),
    Column("short", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("ranges", Text, nullable=False),
)

dockerfiles = Table(
    "dockerfiles",
    metadata,
    Column("build_id", ID, ForeignKey("builds.id"), primary_key=True),
    Column("target", Text, primary_key=True),
    Column("filename", Text, primary_key=True),
    Column("contents", Text, nullable=False),
)

attestations = Table(
    "attestations",
    metadata,
    Column("build_id", ID, ForeignKey("builds.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("solve_ref", Text, nullable=False),
    Column("predicate_type", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

timings = Table(
    "timings",
    metadata,
    Column("build_id", ID, ForeignKey("builds.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("started_at", Instant),
    Column("duration_microseconds", BigInteger, nullable=False),
    Column("cached", Boolean, nullable=False),
    Column("error", Text),
    Column("stable_digest", Text, nullable=False),
)

record_sizes = Table(
    "record_sizes",
    metadata,
    Column("build_id", ID, ForeignKey("builds.id"), primary_key=True),
    # Whether it is what its client reported, or what machines did.
    Column("is_reported", Boolean, primary_key=True),
    Column("steps", Integer, nullable=False, server_default=text("0")),
    Column("log_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("kept_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("left_out", Integer, nullable=False, server_default=text("0")),
)
