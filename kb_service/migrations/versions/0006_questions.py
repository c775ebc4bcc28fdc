"""Questions know what is equal to them, searches are counted, files know who uploaded them."""

import hashlib
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0006_questions"
down_revision = "0005_chunking"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "question", sa.Column("match_key", sa.String(32), nullable=False, server_default="")
    )
    _fill_keys()
    for column in (
        sa.Column("upload_time", sa.DateTime(timezone=True)),
        sa.Column("owner_client", sa.String(64), nullable=False, server_default=""),
        sa.Column("owner_user", sa.Text(), nullable=False, server_default=""),
    ):
        op.add_column("knowledge_file", column)
    op.create_table(
        "search_count",
        sa.Column("kb_id", sa.Integer(), sa.ForeignKey("knowledge_base.id"), primary_key=True),
        sa.Column("searches", sa.Integer(), nullable=False),
        sa.Column("misses", sa.Integer(), nullable=False),
        sa.Column("last_search", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "missed_query",
        sa.Column("kb_id", sa.Integer(), sa.ForeignKey("knowledge_base.id"), primary_key=True),
        sa.Column("match_key", sa.String(32), primary_key=True),
        sa.Column("query", sa.String(200), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_time", sa.DateTime(timezone=True), nullable=False),
    )


def _fill_keys() -> None:
    """As it was done when this was written."""
    table = sa.table("question", sa.column("id"), sa.column("query"), sa.column("match_key"))
    connection = op.get_bind()
    for number, query in connection.execute(sa.select(table.c.id, table.c.query)).all():
        plain = unicodedata.normalize("NFKC", query).casefold()
        kept = "".join(c for c in plain if c.isalnum() or unicodedata.category(c)[0] in "MS")
        key = hashlib.sha256((kept or plain).encode(errors="replace")).hexdigest()[:32]
        connection.execute(table.update().where(table.c.id == number).values(match_key=key))
