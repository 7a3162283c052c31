"""Events of the audit log by whose they are: each actor's are bounded."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_INDEX = "ix_audit_events_actors"


def upgrade() -> None:
    op.create_index(_INDEX, "audit_events", ["organization_id", "actor_kind", "actor_id", "id"])


def downgrade() -> None:
    op.drop_index(_INDEX, "audit_events")
