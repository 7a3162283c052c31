"""Who began a build."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_COLUMNS = ("begun_by_kind", "begun_by_id", "begun_by_name")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("builds", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    for name in reversed(_COLUMNS):
        op.drop_column("builds", name)
