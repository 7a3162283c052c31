"""Contents of volumes at the last stop of their machines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cache_contents",
        sa.Column("volume_id", sa.String(length=16), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["volume_id"], ["volumes.id"], name=op.f("fk_cache_contents_volume_id_volumes")),
        sa.PrimaryKeyConstraint("volume_id", name=op.f("pk_cache_contents")),
    )


def downgrade() -> None:
    op.drop_table("cache_contents")
