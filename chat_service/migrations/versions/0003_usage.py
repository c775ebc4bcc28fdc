"""Tokens used, and quotas on them."""

revision = "0003_usage"
down_revision = "0002_models"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the tables that it is for."""
