"""Records of builds: steps, logs, warnings, Dockerfiles and timings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dockerfiles",
        sa.Column("build_id", sa.String(length=16), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("contents", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_dockerfiles_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", "target", "filename", name=op.f("pk_dockerfiles")),
    )
    op.create_table(
        "log_chunks",
        sa.Column("build_id", sa.String(length=16), nullable=False),
        sa.Column("step_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_line", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_log_chunks_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", "step_number", "first_line", name=op.f("pk_log_chunks")),
    )
    op.create_table(
        "steps",
        sa.Column("build_id", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("project_id", sa.String(length=16), nullable=False),
        sa.Column("solve_ref", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.Column("cached", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("work_key", sa.Text(), nullable=False),
        sa.Column("transfers", sa.Text(), nullable=False),
        sa.Column("stdout_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stderr_bytes", sa.BigInteger(), nullable=False),
        sa.Column("log_lines", sa.Integer(), nullable=False),
        sa.Column("dropped_bytes", sa.BigInteger(), nullable=False),
        sa.Column("clipped", sa.Boolean(), nullable=False),
        sa.Column("saved_microseconds", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_steps_build_id_builds")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_steps_project_id_projects")),
        sa.PrimaryKeyConstraint("build_id", "number", name=op.f("pk_steps")),
    )
    with op.batch_alter_table("steps", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_steps_build_id_digest"), ["build_id", "digest"], unique=False)
        batch_op.create_index(
            "ix_steps_work",
            ["project_id", "work_key", "completed_at"],
            unique=False,
            sqlite_where=sa.text("NOT cached AND completed_at IS NOT NULL AND error IS NULL"),
            postgresql_where=sa.text("NOT cached AND completed_at IS NOT NULL AND error IS NULL"),
        )
        batch_op.create_index("uq_steps_solve_digest", ["build_id", "solve_ref", "digest"], unique=True)

    op.create_table(
        "timings",
        sa.Column("build_id", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("duration_microseconds", sa.BigInteger(), nullable=False),
        sa.Column("cached", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("stable_digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_timings_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", "number", name=op.f("pk_timings")),
    )
    op.create_table(
        "warnings",
        sa.Column("build_id", sa.String(length=16), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("solve_ref", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("short", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("ranges", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["build_id"], ["builds.id"], name=op.f("fk_warnings_build_id_builds")),
        sa.PrimaryKeyConstraint("build_id", "fingerprint", name=op.f("pk_warnings")),
    )
    with op.batch_alter_table("builds", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("saved_microseconds", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        )
        batch_op.create_index(
            "ix_builds_saved",
            ["project_id", "created_at", "saved_microseconds"],
            unique=False,
            sqlite_where=sa.text("saved_microseconds > 0"),
            postgresql_where=sa.text("saved_microseconds > 0"),
        )

    with op.batch_alter_table("solves", schema=None) as batch_op:
        batch_op.add_column(sa.Column("machine_run", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch_op.add_column(sa.Column("record", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("record_error", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("dropped_steps", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch_op.create_index(
            "ix_solves_following",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("record = 'following'"),
            postgresql_where=sa.text("record = 'following'"),
        )


def downgrade() -> None:
    with op.batch_alter_table("solves", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_solves_following",
            sqlite_where=sa.text("record = 'following'"),
            postgresql_where=sa.text("record = 'following'"),
        )
        batch_op.drop_column("dropped_steps")
        batch_op.drop_column("record_error")
        batch_op.drop_column("record")
        batch_op.drop_column("machine_run")

    with op.batch_alter_table("builds", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_builds_saved",
            sqlite_where=sa.text("saved_microseconds > 0"),
            postgresql_where=sa.text("saved_microseconds > 0"),
        )
        batch_op.drop_column("saved_microseconds")

    op.drop_table("warnings")
    op.drop_table("timings")
    with op.batch_alter_table("steps", schema=None) as batch_op:
        batch_op.drop_index("uq_steps_solve_digest")
        batch_op.drop_index(
            "ix_steps_work",
            sqlite_where=sa.text("NOT cached AND completed_at IS NOT NULL AND error IS NULL"),
            postgresql_where=sa.text("NOT cached AND completed_at IS NOT NULL AND error IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_steps_build_id_digest"))

    op.drop_table("steps")
    op.drop_table("log_chunks")
    op.drop_table("dockerfiles")
