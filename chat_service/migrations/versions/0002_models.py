"""Models that operators add."""

import sqlalchemy as sa
from alembic import op

revision = "0002_models"
down_revision = "0001_outbox"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "model",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("preset", sa.String(32), nullable=False),
        sa.Column("base_url", sa.Text, nullable=True),
        sa.Column("model", sa.Text, nullable=True),
        sa.Column("sealed_key", sa.LargeBinary, nullable=True),
        sa.Column("context_tokens", sa.Integer, nullable=True),
        sa.Column("input_price", sa.Double, nullable=True),
        sa.Column("output_price", sa.Double, nullable=True),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("fallbacks", sa.JSON, nullable=False),
        sa.Column("max_concurrency", sa.Integer, nullable=False),
        sa.Column("temperature_min", sa.Double, nullable=True),
        sa.Column("temperature_max", sa.Double, nullable=True),
        sa.Column("max_output_tokens", sa.Integer, nullable=True),
    )
    state = op.create_table(
        "model_revision",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("default_model", sa.String(64), nullable=False),
    )
    op.bulk_insert(state, [{"id": 1, "number": 0, "default_model": ""}])


def downgrade() -> None:
    op.drop_table("model_revision")
    op.drop_table("model")
