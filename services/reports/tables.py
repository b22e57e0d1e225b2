"""The reports service's tables. A job's row is the truth; the bus carries its id only."""

import sqlalchemy as sa

metadata = sa.MetaData()

jobs = sa.Table(
    "report_jobs",
    metadata,
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
    # The attempt is the fencing token: only the attempt in the row may write.
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
    sa.Column("evidence", sa.JSON(none_as_null=True)),
    sa.Column("evidence_until", sa.Double),
    sa.UniqueConstraint("owner", "idempotency_key", name="uq_report_jobs_key"),
    sa.Index("ix_report_jobs_status", "status", "lease_until"),
    sa.Index("ix_report_jobs_owner", "owner", "created_at"),
)

events = sa.Table(
    "report_events",
    metadata,
    sa.Column("job_id", sa.String(40), primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
)

checkpoints = sa.Table(
    "report_checkpoints",
    metadata,
    sa.Column("job_id", sa.String(40), primary_key=True),
    sa.Column("stage", sa.String(16), primary_key=True),
    sa.Column("input_hash", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

outbox = sa.Table(
    "report_outbox",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("job_id", sa.String(40), nullable=False, index=True),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("due_at", sa.Double, nullable=False, index=True),
    sa.Column("tries", sa.Integer, nullable=False),
)
