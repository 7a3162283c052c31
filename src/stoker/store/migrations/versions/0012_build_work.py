"""How much work builds did, with which cache their solves began, and what was attested of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("builds", sa.Column("steps", sa.Integer(), nullable=True))
    op.add_column("builds", sa.Column("cached_steps", sa.Integer(), nullable=True))
    op.add_column("builds", sa.Column("work_microseconds", sa.BigInteger(), nullable=True))
    op.add_column("solves", sa.Column("volume_id", sa.String(length=16), nullable=True))
    op.create_table(
        "attestations",
        sa.Column("build_id", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("solve_ref", sa.Text(), nullable=False),
        sa.Column("predicate_type", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_attestations_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", "number", name=op.f("pk_attestations")),
    )


def downgrade() -> None:
    op.drop_table("attestations")
    op.drop_column("solves", "volume_id")
    for name in ("work_microseconds", "cached_steps", "steps"):
        op.drop_column("builds", name)
