"""Feedback is listed by its time; a turn knows which knowledge base it asked."""

import sqlalchemy as sa
from alembic import op

revision = "0002_feedback"
down_revision = "0001_sessions_and_turns"


def upgrade() -> None:
    op.add_column("chat_history", sa.Column("feedback_time", sa.DateTime(timezone=True)))
    op.add_column("chat_history", sa.Column("knowledge_base", sa.String(255)))
    # When it was given was not noted before.
    op.execute("UPDATE chat_history SET feedback_time = create_time WHERE feedback_score >= 0")
    rated = sa.text("feedback_time IS NOT NULL")
    op.create_index(
        "ix_chat_history_feedback",
        "chat_history",
        ["feedback_time"],
        sqlite_where=rated,
        postgresql_where=rated,
    )


def downgrade() -> None:
    op.drop_index("ix_chat_history_feedback", "chat_history")
    with op.batch_alter_table("chat_history") as table:
        table.drop_column("knowledge_base")
        table.drop_column("feedback_time")
