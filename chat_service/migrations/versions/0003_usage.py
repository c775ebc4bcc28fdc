"""Tokens used, and quotas on them."""

import sqlalchemy as sa
from alembic import op

revision = "0003_usage"
down_revision = "0002_models"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("mode", sa.String(40), nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("knowledge_base", sa.Text, nullable=False),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("is_estimated", sa.Boolean, nullable=False),
        sa.Column("cost", sa.Double, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
    )
    op.create_index(
        "ix_usage_day",
        "usage",
        ["day", "client_id", "user_id", "prompt_tokens", "completion_tokens"],
    )
    op.create_table(
        "quota",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("per", sa.String(10), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("daily_tokens", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("client_id", "per", "user_id"),
    )


def downgrade() -> None:
    op.drop_table("quota")
    op.drop_table("usage")
