"""What builds are called, and where they come from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_TEXTS = (
    "command",
    "tags",
    "targets",
    "outputs",
    "dockerfiles",
    "labels",
    "repository_host",
    "repository",
    "branch",
    "git_tag",
    "pull_request",
    "revision",
)
_TEXTS_OF_CI = ("ci_host", "ci_number", "ci_workflow", "ci_actor", "ci_url", "subject", "search")


def upgrade() -> None:
    op.add_column("builds", sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_table(
        "build_origins",
        sa.Column("build_id", sa.String(length=16), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS),
        sa.Column("is_dirty", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("ci_provider", sa.Text(), nullable=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS_OF_CI),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_build_origins_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", name=op.f("pk_build_origins")),
    )


def downgrade() -> None:
    op.drop_table("build_origins")
    op.drop_column("builds", "title")
