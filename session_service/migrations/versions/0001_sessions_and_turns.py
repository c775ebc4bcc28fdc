"""Sessions and turns."""

import sqlalchemy as sa
from alembic import op

revision = "0001_sessions_and_turns"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "chat_session",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("client_id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("saved", sa.Boolean(), nullable=False),
        sa.Column("mode", sa.String(20), nullable=False),
        sa.Column("session_name", sa.String(20), nullable=False),
        sa.Column("param", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index(
        "ix_chat_session_owner", "chat_session", ["client_id", "user_id", "create_time"]
    )
    op.create_table(
        "chat_history",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("session_id", sa.String(32)),
        sa.Column("client_id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("chat_type", sa.String(50), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("docs", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("capability_hash", sa.String(64), nullable=False),
        sa.Column("begun_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("feedback_score", sa.Integer(), nullable=False),
        sa.Column("feedback_reason", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_chat_history_session", "chat_history", ["session_id", "seq"])


def downgrade() -> None:
    op.drop_table("chat_history")
    op.drop_table("chat_session")
