"""Jobs, their events, checkpoints and outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "report_jobs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("owner", sa.String(120), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16)),
        sa.Column("progress", sa.Double, nullable=False),
        sa.Column("stages", sa.JSON, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("error", sa.JSON(none_as_null=True)),
        sa.Column("artifacts", sa.JSON, nullable=False),
        sa.Column("usage", sa.JSON(none_as_null=True)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("lease_owner", sa.String(120)),
        sa.Column("lease_until", sa.Double),
        sa.Column("published_at", sa.Double, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("webhook_url", sa.String(2048)),
        sa.Column("webhook_secret", sa.String(120)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("artifacts_until", sa.Double),
        sa.UniqueConstraint("owner", "idempotency_key", name="uq_report_jobs_key"),
    )
    op.create_index("ix_report_jobs_status", "report_jobs", ["status", "lease_until"])
    op.create_index("ix_report_jobs_owner", "report_jobs", ["owner", "created_at"])
    op.create_table(
        "report_events",
        sa.Column("job_id", sa.String(40), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("body", sa.JSON, nullable=False),
    )
    op.create_table(
        "report_checkpoints",
        sa.Column("job_id", sa.String(40), primary_key=True),
        sa.Column("stage", sa.String(16), primary_key=True),
        sa.Column("input_hash", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "report_outbox",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
    )
    op.create_index("ix_report_outbox_job_id", "report_outbox", ["job_id"])
    op.create_index("ix_report_outbox_due_at", "report_outbox", ["due_at"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("report_outbox")
    op.drop_table("report_checkpoints")
    op.drop_table("report_events")
    op.drop_table("report_jobs")
