"""Evaluation sets and their runs."""

import sqlalchemy as sa
from alembic import op

revision = "0010_evaluation"
down_revision = "0009_embeddings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_sets()
    _create_runs()


def _create_sets() -> None:
    op.create_table(
        "eval_set",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kb_id", sa.Integer(), sa.ForeignKey("knowledge_base.id"), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_eval_set_name", "eval_set", ["kb_id", "name"], unique=True)
    op.create_table(
        "eval_item",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("set_id", sa.Integer(), sa.ForeignKey("eval_set.id"), nullable=False),
        sa.Column("match_key", sa.String(32), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("passages", sa.JSON(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("refuses", sa.Boolean(), nullable=False),
        sa.Column("judged", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_eval_item_question", "eval_item", ["set_id", "match_key"], unique=True)


def _create_runs() -> None:
    op.create_table(
        "eval_run",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("set_id", sa.Integer(), sa.ForeignKey("eval_set.id"), nullable=False),
        sa.Column("kb_id", sa.Integer(), nullable=False, index=True),
        sa.Column("owner_client", sa.String(64), nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("circumstances", sa.JSON()),
        sa.Column("figures", sa.JSON()),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.Float(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True)),
        sa.Column("end_time", sa.DateTime(timezone=True)),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_eval_run_set", "eval_run", ["set_id", "id"])
    op.create_index("ix_eval_run_state", "eval_run", ["state", "id"])
    op.create_table(
        "eval_result",
        sa.Column("run_id", sa.Integer(), sa.ForeignKey("eval_run.id"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("match_key", sa.String(32), nullable=False),
        sa.Column("expected_key", sa.String(32), nullable=False),
        sa.Column("verdict", sa.String(10), nullable=False),
        sa.Column("rank", sa.Integer()),
        sa.Column("ndcg", sa.Float(), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("found_count", sa.Integer(), nullable=False),
        sa.Column("by_meaning", sa.Boolean(), nullable=False),
        sa.Column("reranked", sa.Boolean(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("expected", sa.JSON(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
    )
