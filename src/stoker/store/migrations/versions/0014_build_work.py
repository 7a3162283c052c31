"""How much work builds did, and with which cache their solves began."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("builds", sa.Column("steps", sa.Integer(), nullable=True))
    op.add_column("builds", sa.Column("cached_steps", sa.Integer(), nullable=True))
    op.add_column("builds", sa.Column("work_microseconds", sa.BigInteger(), nullable=True))
    op.add_column("solves", sa.Column("volume_id", sa.String(length=16), nullable=True))


def downgrade() -> None:
    op.drop_column("solves", "volume_id")
    for name in ("work_microseconds", "cached_steps", "steps"):
        op.drop_column("builds", name)
