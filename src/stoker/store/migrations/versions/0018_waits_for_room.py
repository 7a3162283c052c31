"""Machines that wait for room: why, and since when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stoker.store.tables.columns import Instant

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("machines", sa.Column("waits_for", sa.Text))
    op.add_column("machines", sa.Column("waits_since", Instant))


def downgrade() -> None:
    op.drop_column("machines", "waits_since")
    op.drop_column("machines", "waits_for")
