"""Prompts and word lists of operators."""

revision = "0004_prompts_and_words"
down_revision = "0003_usage"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the tables that it is for."""
