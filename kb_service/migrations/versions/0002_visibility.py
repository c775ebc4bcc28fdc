"""Knowledge bases are shown to all clients, to chosen clients or to their chosen groups."""

import sqlalchemy as sa
from alembic import op

revision = "0002_visibility"
down_revision = "0001_first"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("visibility", sa.String(10), nullable=False, server_default="all"),
        sa.Column("visible_clients", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("visible_groups", sa.JSON(), nullable=False, server_default="[]"),
    ):
        op.add_column("knowledge_base", column)
