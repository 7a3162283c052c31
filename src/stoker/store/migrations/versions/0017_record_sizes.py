"""How much is kept of each build, and which steps tell how long their work takes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_DONE = "NOT cached AND completed_at IS NOT NULL AND error IS NULL"


def upgrade() -> None:
    op.create_table(
        "record_sizes",
        sa.Column("build_id", sa.String(length=16), nullable=False),
        sa.Column("is_reported", sa.Boolean(), nullable=False),
        sa.Column("steps", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("log_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("kept_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("left_out", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_record_sizes_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", "is_reported", name=op.f("pk_record_sizes")),
    )
    op.add_column("steps", sa.Column("tells_duration", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(
        f"UPDATE steps SET tells_duration = true WHERE {_DONE} AND solve_ref != 'client'"  # noqa: S608 - a constant
        " AND build_id NOT IN (SELECT id FROM builds WHERE untrusted)"
    )
    op.execute("UPDATE builds SET saved_microseconds = 0 WHERE untrusted")
    op.drop_index("ix_steps_work", table_name="steps")
    op.create_index(
        "ix_steps_work",
        "steps",
        ["project_id", "work_key", "completed_at"],
        sqlite_where=sa.text("tells_duration"),
        postgresql_where=sa.text("tells_duration"),
    )


def downgrade() -> None:
    op.drop_index("ix_steps_work", table_name="steps")
    op.create_index(
        "ix_steps_work",
        "steps",
        ["project_id", "work_key", "completed_at"],
        sqlite_where=sa.text(_DONE),
        postgresql_where=sa.text(_DONE),
    )
    op.drop_column("steps", "tells_duration")
    op.drop_table("record_sizes")
