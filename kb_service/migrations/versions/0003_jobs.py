"""Indexing is a job with a row."""

import sqlalchemy as sa
from alembic import op

revision = "0003_jobs"
down_revision = "0002_visibility"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ingest_job",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kb_id", sa.Integer(), sa.ForeignKey("knowledge_base.id"), nullable=False),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("content_id", sa.String(32)),
        sa.Column("content_size", sa.Integer(), nullable=False),
        sa.Column("content_mtime", sa.Float(), nullable=False),
        sa.Column("passages_id", sa.String(32)),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("owner_client", sa.String(64), nullable=False),
        sa.Column("owner_user", sa.Text(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("step", sa.String(10), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("version", sa.String(32)),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ingest_job_queue", "ingest_job", ["state", "owner_client", "id"])
    op.create_index("ix_ingest_job_file", "ingest_job", ["kb_id", "file_name"])
    op.create_index("ix_ingest_job_turn", "ingest_job", ["owner_client", "lease_token"])
    op.create_index("ix_ingest_job_lease_token", "ingest_job", ["lease_token"])
