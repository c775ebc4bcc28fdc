"""Web pages and sitemaps that are fetched on schedule."""

import sqlalchemy as sa
from alembic import op

revision = "0004_sources"
down_revision = "0003_jobs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kb_id", sa.Integer(), sa.ForeignKey("knowledge_base.id"), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("url", sa.String(2_000), nullable=False),
        sa.Column("interval_hours", sa.Integer()),
        sa.Column("pages_max", sa.Integer(), nullable=False),
        sa.Column("remove_after", sa.Integer(), nullable=False),
        sa.Column("owner_client", sa.String(64), nullable=False),
        sa.Column("owner_user", sa.Text(), nullable=False),
        sa.Column("is_removed", sa.Boolean(), nullable=False),
        sa.Column("next_run", sa.Float()),
        sa.Column("lease_token", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("last_run", sa.DateTime(timezone=True)),
        sa.Column("last_result", sa.JSON()),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_source_url", "source", ["kb_id", "url"], unique=True)
    op.create_index("ix_source_due", "source", ["next_run"])
    op.create_table(
        "source_page",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kb_id", sa.Integer(), sa.ForeignKey("knowledge_base.id"), nullable=False),
        sa.Column("source_id", sa.Integer(), sa.ForeignKey("source.id")),
        sa.Column("url", sa.String(2_000), nullable=False),
        sa.Column("file_name", sa.String(255)),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("etag", sa.String(200), nullable=False),
        sa.Column("last_modified", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("job_id", sa.Integer()),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("missing_runs", sa.Integer(), nullable=False),
        sa.Column("checked", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_source_page_url", "source_page", ["source_id", "url"], unique=True)
    op.create_index("ix_source_page_file", "source_page", ["kb_id", "file_name"], unique=True)
