"""The outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001_outbox"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("turn_id", sa.String(32), nullable=False),
        sa.Column("capability", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
        sa.Column("docs", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
    )
    op.create_index("ix_outbox_due_at", "outbox", ["due_at"])


def downgrade() -> None:
    op.drop_table("outbox")
