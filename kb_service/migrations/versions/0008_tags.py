"""Files have tags."""

import sqlalchemy as sa
from alembic import op

revision = "0008_tags"
down_revision = "0007_chunk_edits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "file_tag",
        sa.Column(
            "file_id",
            sa.Integer(),
            sa.ForeignKey("knowledge_file.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("tag", sa.String(50), primary_key=True),
    )
    op.add_column("index_version", sa.Column("tags", sa.JSON()))
