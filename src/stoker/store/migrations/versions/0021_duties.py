"""Duties: which server does what only one does."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stoker.store.tables.columns import Instant

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "duties",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("claim", sa.Text),
        sa.Column("until", Instant),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duties")),
    )


def downgrade() -> None:
    op.drop_table("duties")
