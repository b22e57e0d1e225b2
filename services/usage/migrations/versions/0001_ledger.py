"""The ledger's first tables: events, rollups, and what keeps them honest."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "usage_alerts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("budget", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("period_start", sa.BigInteger(), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("spent_nano", sa.BigInteger(), nullable=True),
        sa.Column("limit_nano", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("resolved_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_usage_alerts"),
        sa.UniqueConstraint(
            "budget", "name", "period_start", "threshold", name="uq_usage_alerts_budget_name_period_start_threshold"
        ),
    )
    op.create_index("ix_usage_alerts_at", "usage_alerts", ["at_us"], unique=False)
    op.create_table(
        "usage_corrections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.String(length=36).with_variant(sa.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("base_nano", sa.BigInteger(), nullable=False),
        sa.Column("priced", sa.SmallInteger(), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=True),
        sa.Column("booked_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_usage_corrections"),
    )
    op.create_index("ix_usage_corrections_at", "usage_corrections", ["at_us"], unique=False)
    op.create_index("ix_usage_corrections_event_id", "usage_corrections", ["event_id"], unique=False)
    op.create_table(
        "usage_events",
        sa.Column("event_id", sa.String(length=36).with_variant(sa.UUID(as_uuid=False), "postgresql"), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("anchor_id", sa.Text(), nullable=True),
        sa.Column("function", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("requested_model", sa.Text(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("total_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_read_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cost_nano", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("base_nano", sa.BigInteger(), nullable=True),
        sa.Column("unpriced", sa.SmallInteger(), nullable=False),
        sa.Column("price_version", sa.Text(), nullable=True),
        sa.Column("usage_source", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.Float(precision=53), nullable=True),
        sa.Column("ttft_ms", sa.Float(precision=53), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error_msg", sa.Text(), nullable=True),
        sa.Column("booked_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_usage_events"),
        postgresql_partition_by="RANGE (event_id)",
    )
    op.create_index("ix_usage_events_at", "usage_events", ["at_us", "event_id"], unique=False)
    op.create_index("ix_usage_events_key", "usage_events", ["key_id", "at_us"], unique=False)
    op.create_index("ix_usage_events_request", "usage_events", ["request_id"], unique=False)
    op.create_index("ix_usage_events_session", "usage_events", ["session_id", "at_us"], unique=False)
    op.create_table(
        "usage_latency",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("grain", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "measure", "grain", "name", "bucket", "step", name="pk_usage_latency"),
    )
    op.create_table(
        "usage_outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("budget", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_us", sa.BigInteger(), nullable=False),
        sa.Column("delivered_us", sa.BigInteger(), nullable=True),
        sa.Column("given_up_us", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_usage_outbox"),
        sa.UniqueConstraint("message_id", name="uq_usage_outbox_message_id"),
    )
    op.create_index("ix_usage_outbox_alert_id", "usage_outbox", ["alert_id"], unique=False)
    op.create_index("ix_usage_outbox_next", "usage_outbox", ["delivered_us", "given_up_us", "next_us"], unique=False)
    op.create_table(
        "usage_prices",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("input", sa.BigInteger(), nullable=False),
        sa.Column("output", sa.BigInteger(), nullable=False),
        sa.Column("cache_read", sa.BigInteger(), nullable=True),
        sa.Column("cache_write", sa.BigInteger(), nullable=True),
        sa.Column("reasoning", sa.BigInteger(), nullable=True),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Float(precision=53), nullable=True),
        sa.Column("valid_to", sa.Float(precision=53), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_usage_prices"),
    )
    op.create_table(
        "usage_producers",
        sa.Column("producer", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("producer", name="pk_usage_producers"),
    )
    op.create_table(
        "usage_quarantine",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_usage_quarantine"),
        sa.UniqueConstraint("digest", name="uq_usage_quarantine_digest"),
    )
    op.create_table(
        "usage_rates",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_usage_rates"),
        sa.UniqueConstraint("source", "target", "valid_from", name="uq_usage_rates_source_target_valid_from"),
    )
    op.create_table(
        "usage_rollups",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("grain", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("requests", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ok", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("errors", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("aborted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("interrupted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("estimated", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unpriced", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("cost_nano", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("scope", "dimension", "grain", "bucket", "name", name="pk_usage_rollups"),
    )
    op.create_table(
        "usage_sessions",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("first_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "session_id", name="pk_usage_sessions"),
    )
    op.create_index("ix_usage_sessions_last", "usage_sessions", ["scope", "last_us"], unique=False)
    op.create_table(
        "usage_state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_usage_state"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Weekly partitions are made ahead by the service; this one takes what lies outside of them.
        op.execute("CREATE TABLE usage_events_default PARTITION OF usage_events DEFAULT")
        op.execute("ALTER TABLE usage_rollups SET (fillfactor = 80)")
        op.execute("ALTER TABLE usage_latency SET (fillfactor = 80)")


def downgrade() -> None:
    """Remove them."""

    op.drop_table("usage_state")
    op.drop_index("ix_usage_sessions_last", table_name="usage_sessions")
    op.drop_table("usage_sessions")
    op.drop_table("usage_rollups")
    op.drop_table("usage_rates")
    op.drop_table("usage_quarantine")
    op.drop_table("usage_producers")
    op.drop_table("usage_prices")
    op.drop_index("ix_usage_outbox_next", table_name="usage_outbox")
    op.drop_index("ix_usage_outbox_alert_id", table_name="usage_outbox")
    op.drop_table("usage_outbox")
    op.drop_table("usage_latency")
    op.drop_index("ix_usage_events_session", table_name="usage_events")
    op.drop_index("ix_usage_events_request", table_name="usage_events")
    op.drop_index("ix_usage_events_key", table_name="usage_events")
    op.drop_index("ix_usage_events_at", table_name="usage_events")
    op.drop_table("usage_events")
    op.drop_index("ix_usage_corrections_event_id", table_name="usage_corrections")
    op.drop_index("ix_usage_corrections_at", table_name="usage_corrections")
    op.drop_table("usage_corrections")
    op.drop_index("ix_usage_alerts_at", table_name="usage_alerts")
    op.drop_table("usage_alerts")
