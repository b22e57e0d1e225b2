"""Rollups are also found by name: limits per user, and charts of a few names over many."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = "ix_usage_rollups_name"


def upgrade() -> None:
    """Make the index; sums are not in it, so that adding to a row stays cheap."""
    op.create_index(NAME, "usage_rollups", ["scope", "dimension", "name", "grain", "bucket"])


def downgrade() -> None:
    """Remove it."""
    op.drop_index(NAME, table_name="usage_rollups")
