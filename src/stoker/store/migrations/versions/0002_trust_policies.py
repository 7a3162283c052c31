"""Trust policies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trust_policies",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("project_id", sa.String(length=16), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("match_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_trust_policies_project_id_projects")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trust_policies")),
    )
    with op.batch_alter_table("trust_policies", schema=None) as batch_op:
        batch_op.create_index("uq_trust_policies_project_match", ["project_id", "match_key"], unique=True)
        batch_op.create_index(batch_op.f("ix_trust_policies_match_key"), ["match_key"], unique=False)
        batch_op.create_index(batch_op.f("ix_trust_policies_issuer"), ["issuer"], unique=False)


def downgrade() -> None:
    op.drop_table("trust_policies")
