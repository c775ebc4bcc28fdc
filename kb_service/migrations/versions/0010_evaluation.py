"""Evaluation sets and their runs."""

revision = "0010_evaluation"
down_revision = "0009_embeddings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the tables that it is for."""
