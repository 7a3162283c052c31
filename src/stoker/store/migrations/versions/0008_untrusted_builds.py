"""Untrusted tokens, policies and builds, and the machines and volumes that belong to one build."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_MARKED = ("tokens", "trust_policies", "builds")
_KEPT = "state = 'active' AND build_id IS NULL"
_THROWN_AWAY = "state = 'active' AND build_id IS NOT NULL"


def upgrade() -> None:
    for table in _MARKED:
        op.add_column(table, sa.Column("untrusted", sa.Boolean(), nullable=False, server_default=sa.false()))
    for table in ("machines", "volumes"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("build_id", sa.String(length=16), nullable=True))
            batch_op.create_foreign_key(op.f(f"fk_{table}_build_id_builds"), "builds", ["build_id"], ["id"])
    op.add_column("volumes", sa.Column("to_copy", sa.String(length=16), nullable=True))
    op.drop_index("uq_volumes_active", "volumes")
    _unique("uq_volumes_active", "volumes", ["project_id", "platform"], _KEPT)
    _unique("uq_volumes_active_build", "volumes", ["build_id", "platform"], _THROWN_AWAY)
    op.drop_index("uq_machines_project_platform", "machines")
    _unique("uq_machines_project_platform", "machines", ["project_id", "platform"], "build_id IS NULL")
    _unique("uq_machines_build_platform", "machines", ["build_id", "platform"], "build_id IS NOT NULL")


def downgrade() -> None:
    raise NotImplementedError("machines and volumes of single builds have no place in older tables")


def _unique(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
