"""Knowledge bases and files have options of any splitter; a chunk may have text for the answer."""

import sqlalchemy as sa
from alembic import op

revision = "0005_chunking"
down_revision = "0004_sources"
branch_labels = None
depends_on = None

_FILES = sa.table(
    "knowledge_file",
    sa.column("id", sa.Integer()),
    sa.column("chunk_size", sa.Integer()),
    sa.column("chunk_overlap", sa.Integer()),
    sa.column("zh_title_enhance", sa.Boolean()),
    sa.column("chunking", sa.JSON(none_as_null=True)),
)


def upgrade() -> None:
    op.add_column("chunk", sa.Column("context", sa.Text()))
    for table in ("knowledge_base", "knowledge_file"):
        op.add_column(table, sa.Column("chunking", sa.JSON(none_as_null=True)))
    connection = op.get_bind()
    was_cut = sa.select(_FILES).where(_FILES.c.chunk_size.is_not(None))
    for row in connection.execute(was_cut).all():
        options = {
            "splitter": "recursive",
            "size": row.chunk_size,
            "overlap": row.chunk_overlap,
            "zh_title_enhance": row.zh_title_enhance,
        }
        connection.execute(sa.update(_FILES).where(_FILES.c.id == row.id).values(chunking=options))
    for column in ("chunk_size", "chunk_overlap", "zh_title_enhance"):
        op.drop_column("knowledge_file", column)
