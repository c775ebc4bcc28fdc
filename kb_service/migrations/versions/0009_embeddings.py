"""Vectors of texts are kept by content hash."""

revision = "0009_embeddings"
down_revision = "0008_tags"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the tables that it is for."""
