"""Evidence of a report, kept for a time of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("report_jobs", sa.Column("evidence", sa.JSON(none_as_null=True)))
    op.add_column("report_jobs", sa.Column("evidence_until", sa.Double))


def downgrade() -> None:
    """Take them away."""
    op.drop_column("report_jobs", "evidence_until")
    op.drop_column("report_jobs", "evidence")
