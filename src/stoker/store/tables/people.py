"""People, what they are members of, and how they come in."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, Table, Text

from stoker.store.tables.columns import ID, Instant, metadata

people = Table(
    "people",
    metadata,
    Column("id", ID, primary_key=True),
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
    Column("organization_id", ID, ForeignKey("organizations.id"), primary_key=True),
    Column("person_id", ID, ForeignKey("people.id"), primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "person_id"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", ID, primary_key=True),
    Column("secret_hash", LargeBinary(32), nullable=False, unique=True),
    Column("organization_id", ID, ForeignKey("organizations.id"), nullable=False),
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
    Column("person_id", ID, ForeignKey("people.id"), nullable=False),
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
    Column("address", Text),
    Column("person_id", ID, ForeignKey("people.id")),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("refused_at", Instant),
    Column("finished_at", Instant),
    Index(None, "expires_at"),
)
