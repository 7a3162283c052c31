"""Where builds come from."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Table, Text, false

from stoker.store.tables.columns import ID, metadata

build_origins = Table(
    "build_origins",
    metadata,
    Column("build_id", ID, ForeignKey("builds.id"), primary_key=True),
    Column("command", Text, nullable=False),
    # Lists, as JSON.
    Column("tags", Text, nullable=False),
    Column("targets", Text, nullable=False),
    Column("outputs", Text, nullable=False),
    Column("dockerfiles", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("repository_host", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("git_tag", Text, nullable=False),
    Column("pull_request", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("is_dirty", Boolean, nullable=False, server_default=false()),
    # Of a CI that proved its run by a token; NULL for all others.
    Column("ci_provider", Text),
    Column("ci_host", Text, nullable=False),
    Column("ci_number", Text, nullable=False),
    Column("ci_workflow", Text, nullable=False),
    Column("ci_actor", Text, nullable=False),
    Column("ci_url", Text, nullable=False),
    # Equal for builds of the same thing; see `subject_of`.
    Column("subject", Text, nullable=False),
    # What a search looks through.
    Column("search", Text, nullable=False),
)
