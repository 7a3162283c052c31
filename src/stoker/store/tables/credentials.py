"""What may be shown as a credential: tokens, and the OIDC tokens that projects trust."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, Table, Text, false

from stoker.store.tables.columns import ID, Instant, metadata

tokens = Table(
    "tokens",
    metadata,
    Column("id", ID, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("secret_hash", LargeBinary(32), nullable=False, unique=True),
    Column("organization_id", ID, ForeignKey("organizations.id")),
    Column("project_id", ID, ForeignKey("projects.id")),
    Column("build_id", ID, ForeignKey("builds.id")),
    Column("person_id", ID, ForeignKey("people.id")),
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

trust_policies = Table(
    "trust_policies",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", ID, ForeignKey("projects.id"), nullable=False),
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
