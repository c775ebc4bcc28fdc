"""Knowledge bases choose their embedding models, and vectors are kept by content hash."""

import sqlalchemy as sa
from alembic import op

revision = "0009_embeddings"
down_revision = "0008_tags"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was there is the name of a collection; "" follows the installation's default model.
    op.execute("UPDATE knowledge_base SET embed_model = ''")
    op.add_column("vector_collection", sa.Column("calibration", sa.JSON()))
    op.create_table(
        "embedding",
        sa.Column("key", sa.LargeBinary(20), primary_key=True),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("is_cut", sa.Boolean(), nullable=False),
        sa.Column("last_used", sa.Integer(), nullable=False),
    )
    op.create_index("ix_embedding_last_used", "embedding", ["last_used"])
