"""Chunks are edited, disabled and added, and each of their versions is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0007_chunk_edits"
down_revision = "0006_questions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chunk_edit",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kb_id", sa.Integer(), sa.ForeignKey("knowledge_base.id"), nullable=False),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.Column("anchor", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("is_added", sa.Boolean(), nullable=False),
        sa.Column("is_lost", sa.Boolean(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("context", sa.Text()),
        sa.Column("meta_data", sa.JSON(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(32)),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_chunk_edit_file", "chunk_edit", ["kb_id", "file_name"])
    op.create_table(
        "chunk_revision",
        sa.Column("edit_id", sa.Integer(), sa.ForeignKey("chunk_edit.id"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("action", sa.String(10), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    )
