"""What changed, for other processes of the service, and since when versions are what they are."""

import sqlalchemy as sa
from alembic import op

revision = "0011_changes"
down_revision = "0010_evaluation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "index_version", sa.Column("state_since", sa.Float(), nullable=False, server_default="0")
    )
    op.create_table(
        "kb_change",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kb_id", sa.Integer(), nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_kb_change_kb_id", "kb_change", ["kb_id"])
