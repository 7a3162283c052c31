"""Deliveries of webhooks that were dropped, because too many waited."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_WAITING, _TESTS = "ix_webhook_deliveries_waiting_of_webhook", "ix_webhook_deliveries_waiting_tests"


def upgrade() -> None:
    op.add_column("webhooks", sa.Column("dropped", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("webhooks", sa.Column("dropped_at", sa.BigInteger(), nullable=True))
    waiting = sa.text("state = 'waiting'")
    op.create_index(_WAITING, "webhook_deliveries", ["webhook_id"], sqlite_where=waiting, postgresql_where=waiting)
    tests = sa.text("state = 'waiting' and event = 'test'")
    op.create_index(_TESTS, "webhook_deliveries", ["due_at"], sqlite_where=tests, postgresql_where=tests)


def downgrade() -> None:
    op.drop_index(_TESTS, "webhook_deliveries")
    op.drop_index(_WAITING, "webhook_deliveries")
    op.drop_column("webhooks", "dropped_at")
    op.drop_column("webhooks", "dropped")
