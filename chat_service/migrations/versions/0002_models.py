"""Models that operators add."""

revision = "0002_models"
down_revision = "0001_outbox"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the tables that it is for."""
