"""Machines that start for builds that were just created."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from stoker.store.tables.columns import Instant

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("machines", sa.Column("prewarmed_until", Instant))


def downgrade() -> None:
    op.drop_column("machines", "prewarmed_until")
