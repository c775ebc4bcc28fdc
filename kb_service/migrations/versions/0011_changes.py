"""What changed, for other processes of the service."""

revision = "0011_changes"
down_revision = "0010_evaluation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the tables that it is for."""
