"""Files have tags."""

revision = "0008_tags"
down_revision = "0007_chunk_edits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Filled in with the tables that it is for."""
