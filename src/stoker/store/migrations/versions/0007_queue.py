"""The queue of builds that wait for a machine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "waiting",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("build_id", sa.String(length=16), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.String(length=16), nullable=False),
        sa.Column("project_id", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_waiting_build_id_builds")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_waiting_organization_id_organizations")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_waiting_project_id_projects")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waiting")),
    )
    with op.batch_alter_table("waiting", schema=None) as batch_op:
        batch_op.create_index("uq_waiting_build_platform", ["build_id", "platform"], unique=True)
        batch_op.create_index(batch_op.f("ix_waiting_organization_id_id"), ["organization_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_waiting_expires_at"), ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("waiting")
