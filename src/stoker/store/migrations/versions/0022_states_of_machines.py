"""An index that leads to the machines that aren't stopped, however many projects are idle."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_machines_state", "machines", ["state", "organization_id"])


def downgrade() -> None:
    op.drop_index("ix_machines_state", "machines")
