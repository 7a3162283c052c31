"""The tables. Their history is in `migrations`; a test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """A time as `Instant` keeps it, for what is reckoned by the database."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(value: int) -> datetime:
    """The time that `microseconds` made a number of."""
    return _EPOCH + timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """An aware time, kept as whole microseconds since 1970 so that both databases order it alike."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ANN401
        """From the database."""
        return None if value is None else moment_of(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = String(16)

organizations = Table(
    "organizations",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)

projects = Table(
    "projects",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("organization_id", _ID, ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("region_id", Text, nullable=False),
    Column("hardware", Text, nullable=False),
    Column("keep_bytes", BigInteger, nullable=False),
    Column("keep_days", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    Index(None, "organization_id", "id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False, unique=True),
    Column("organization_id", _ID, ForeignKey("organizations.id")),
    Column("project_id", _ID, ForeignKey("projects.id")),
    Column("build_id", _ID, ForeignKey("builds.id")),
    Column("person_id", _ID, ForeignKey("people.id")),
    Column("description", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
    Column("untrusted", Boolean, nullable=False, server_default=false()),
    # Every build has a token, so who looks for tokens of another kind must not read all of those.
    Index(None, "organization_id", "kind"),
    Index(None, "project_id", "kind"),
    Index(None, "build_id"),
    Index(None, "person_id"),
)

builds = Table(
    "builds",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("organization_id", _ID, ForeignKey("organizations.id"), nullable=False),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
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

volumes = Table(
    "volumes",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
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
    Column("build_id", _ID, ForeignKey("builds.id")),
    Column("to_copy", _ID),
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
    Column("volume_id", _ID, ForeignKey("volumes.id"), primary_key=True),
    Column("taken_at", Instant, nullable=False),
    Column("records", LargeBinary, nullable=False),
)

machines = Table(
    "machines",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("organization_id", _ID, ForeignKey("organizations.id"), nullable=False),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("platform", Text, nullable=False),
    Column("region_id", Text, nullable=False),
    Column("desired", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("run", Integer, nullable=False),
    Column("volume_id", _ID, ForeignKey("volumes.id")),
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
    Column("build_id", _ID, ForeignKey("builds.id")),
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
)

leases = Table(
    "leases",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("build_id", _ID, ForeignKey("builds.id"), nullable=False),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("platform", Text, nullable=False),
    Column("machine_id", _ID, ForeignKey("machines.id"), nullable=False),
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
    Column("id", _ID, primary_key=True),
    Column("build_id", _ID, ForeignKey("builds.id"), nullable=False),
    Column("platform", Text, nullable=False),
    Column("organization_id", _ID, ForeignKey("organizations.id"), nullable=False),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index("uq_waiting_build_platform", "build_id", "platform", unique=True),
    Index(None, "organization_id", "id"),
    Index(None, "expires_at"),
)

build_shares = Table(
    "build_shares",
    metadata,
    Column("build_id", _ID, ForeignKey("builds.id"), primary_key=True),
    Column("share_id", Text, nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
)

solves = Table(
    "solves",
    metadata,
    Column("ref", Text, primary_key=True),
    Column("build_id", _ID, ForeignKey("builds.id"), nullable=False),
    Column("machine_id", _ID, ForeignKey("machines.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("machine_run", Integer, nullable=False, server_default=text("0")),
    Column("volume_id", _ID),
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
    Column("build_id", _ID, ForeignKey("builds.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
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
    Index("uq_steps_solve_digest", "build_id", "solve_ref", "digest", unique=True),
    Index(None, "build_id", "digest"),
    # Only what was really done tells how long it takes.
    Index(
        "ix_steps_work",
        "project_id",
        "work_key",
        "completed_at",
        sqlite_where=text("NOT cached AND completed_at IS NOT NULL AND error IS NULL"),
        postgresql_where=text("NOT cached AND completed_at IS NOT NULL AND error IS NULL"),
    ),
)

log_chunks = Table(
    "log_chunks",
    metadata,
    Column("build_id", _ID, ForeignKey("builds.id"), primary_key=True),
    Column("step_number", Integer, primary_key=True, autoincrement=False),
    Column("first_line", Integer, primary_key=True, autoincrement=False),
    Column("lines", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

warnings = Table(
    "warnings",
    metadata,
    Column("build_id", _ID, ForeignKey("builds.id"), primary_key=True),
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
    Column("build_id", _ID, ForeignKey("builds.id"), primary_key=True),
    Column("target", Text, primary_key=True),
    Column("filename", Text, primary_key=True),
    Column("contents", Text, nullable=False),
)

attestations = Table(
    "attestations",
    metadata,
    Column("build_id", _ID, ForeignKey("builds.id"), primary_key=True),
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
    Column("build_id", _ID, ForeignKey("builds.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("started_at", Instant),
    Column("duration_microseconds", BigInteger, nullable=False),
    Column("cached", Boolean, nullable=False),
    Column("error", Text),
    Column("stable_digest", Text, nullable=False),
)

trust_policies = Table(
    "trust_policies",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("provider", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("match_key", Text, nullable=False),
    Column("untrusted", Boolean, nullable=False, server_default=false()),
    Column("created_at", Instant, nullable=False),
    Index("uq_trust_policies_project_match", "project_id", "match_key", unique=True),
    Index(None, "match_key"),
    Index(None, "issuer"),
)

people = Table(
    "people",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("is_operator", Boolean, nullable=False),
    Column("password_hash", Text),
    Column("issuer", Text),
    Column("subject", Text),
    Column("created_at", Instant, nullable=False),
    Index("uq_people_issuer_subject", "issuer", "subject", unique=True),
)

memberships = Table(
    "memberships",
    metadata,
    Column("organization_id", _ID, ForeignKey("organizations.id"), primary_key=True),
    Column("person_id", _ID, ForeignKey("people.id"), primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "person_id"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("secret_hash", LargeBinary(32), nullable=False, unique=True),
    Column("organization_id", _ID, ForeignKey("organizations.id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("makes_operator", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "organization_id"),
    Index(None, "expires_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("secret_hash", LargeBinary(32), primary_key=True),
    Column("person_id", _ID, ForeignKey("people.id"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "person_id"),
    Index(None, "expires_at"),
)

logins = Table(
    "logins",
    metadata,
    Column("secret_hash", LargeBinary(32), primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    Column("client", Text, nullable=False),
    Column("person_id", _ID, ForeignKey("people.id")),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("refused_at", Instant),
    Column("finished_at", Instant),
    Index(None, "expires_at"),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", _ID, primary_key=True),
    # Neither this nor the ids below are foreign keys: what was done stays on record when it is gone.
    Column("organization_id", _ID),
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
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("organization_id", _ID, ForeignKey("organizations.id"), nullable=False),
    Column("project_id", _ID, ForeignKey("projects.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "project_id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("webhook_id", _ID, ForeignKey("webhooks.id"), nullable=False),
    Column("build_id", _ID, ForeignKey("builds.id")),
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
)

facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
