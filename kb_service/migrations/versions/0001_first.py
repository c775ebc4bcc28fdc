"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "knowledge_base",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kb_name", sa.String(255), nullable=False, unique=True),
        sa.Column("kb_zh_name", sa.String(255), nullable=False),
        sa.Column("kb_info", sa.Text(), nullable=False),
        sa.Column("vs_type", sa.String(50), nullable=False),
        sa.Column("embed_model", sa.String(255), nullable=False),
        sa.Column("owner_client", sa.String(64), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "knowledge_file",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kb_id", sa.Integer(), sa.ForeignKey("knowledge_base.id"), nullable=False),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.Column("file_ext", sa.String(16), nullable=False),
        sa.Column("document_loader_name", sa.String(50), nullable=False),
        sa.Column("text_splitter_name", sa.String(50), nullable=False),
        sa.Column("file_version", sa.Integer(), nullable=False),
        sa.Column("file_mtime", sa.Float(), nullable=False),
        sa.Column("file_size", sa.Integer(), nullable=False),
        sa.Column("custom_docs", sa.Boolean(), nullable=False),
        sa.Column("docs_count", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content_id", sa.String(32), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("chunk_size", sa.Integer()),
        sa.Column("chunk_overlap", sa.Integer()),
        sa.Column("zh_title_enhance", sa.Boolean(), nullable=False),
        sa.Column("live_version", sa.String(32)),
    )
    op.create_index("ix_knowledge_file_name", "knowledge_file", ["kb_id", "file_name"], unique=True)
    _create_index_tables()
    op.create_table(
        "question",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("query", sa.String(200), nullable=False),
        sa.Column("kb_name", sa.String(255)),
        sa.Column("answer", sa.Text()),
        sa.Column("tap_count", sa.Integer(), nullable=False),
        sa.Column("enable", sa.Boolean(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner_client", sa.String(64), nullable=False),
    )
    op.create_index("ix_question_kb_name", "question", ["kb_name"])
    op.create_table(
        "milestone",
        sa.Column("name", sa.String(50), primary_key=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    )


def _create_index_tables() -> None:
    op.create_table(
        "index_version",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("kb_id", sa.Integer(), nullable=False),
        sa.Column("collection", sa.String(255), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("term_counts", sa.LargeBinary()),
    )
    op.create_index("ix_index_version_kb_id", "index_version", ["kb_id"])
    op.create_table(
        "chunk",
        sa.Column("version", sa.String(32), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("doc_id", sa.String(32), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("meta_data", sa.JSON(), nullable=False),
    )
    op.create_table(
        "vector_collection",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("dense_size", sa.Integer(), nullable=False),
    )
