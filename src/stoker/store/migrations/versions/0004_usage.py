"""Usage, shared builds, and when tokens were last used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("last_used_at", sa.BigInteger(), nullable=True))
    op.add_column("volumes", sa.Column("size_bytes", sa.BigInteger(), nullable=True))
    op.add_column("volumes", sa.Column("measured_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_builds_usage", "builds", ["project_id", "finished_at", "created_at", "started_at"])
    op.create_index("ix_leases_usage", "leases", ["project_id", "ended_at", "created_at"])
    op.create_index("ix_leases_build_id", "leases", ["build_id"])
    op.create_table(
        "build_shares",
        sa.Column("build_id", sa.String(length=16), nullable=False),
        sa.Column("share_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_build_shares_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", name=op.f("pk_build_shares")),
        sa.UniqueConstraint("share_id", name=op.f("uq_build_shares_share_id")),
    )


def downgrade() -> None:
    op.drop_table("build_shares")
    op.drop_index("ix_leases_build_id", "leases")
    op.drop_index("ix_leases_usage", "leases")
    op.drop_index("ix_builds_usage", "builds")
    op.drop_column("volumes", "measured_at")
    op.drop_column("volumes", "size_bytes")
    op.drop_column("tokens", "last_used_at")
