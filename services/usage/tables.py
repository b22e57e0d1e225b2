"""The ledger's tables. Times are Unix microseconds (buckets: seconds), money is nano-units: exact in both databases."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

EventId = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
# SQLite only counts up by itself in a column that is exactly INTEGER.
Serial = BigInteger().with_variant(Integer(), "sqlite")


def _tokens(name: str) -> Column[int]:
    return Column(name, BigInteger)


# Partitioned by ranges of event_id on Postgres, so that the unique key is the partition key and holds for ever.
events = Table(
    "usage_events",
    metadata,
    Column("event_id", EventId, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key_id", Text),
    Column("user_id", Text),
    Column("session_id", Text),
    Column("anchor_id", Text),
    Column("function", Text),
    Column("provider", Text),
    Column("model", Text),
    Column("requested_model", Text),
    _tokens("input_tokens"),
    _tokens("output_tokens"),
    _tokens("total_tokens"),
    _tokens("cache_read_tokens"),
    _tokens("cache_write_tokens"),
    _tokens("reasoning_tokens"),
    Column("cost_nano", BigInteger),
    Column("currency", Text),
    Column("base_nano", BigInteger),
    Column("unpriced", SmallInteger, nullable=False, default=0),
    Column("price_version", Text),
    Column("usage_source", Text, nullable=False, default="none"),
    Column("duration_ms", Float(53)),
    Column("ttft_ms", Float(53)),
    Column("status", Text, nullable=False, default="ok"),
    Column("error_msg", Text),
    Column("booked_us", BigInteger, nullable=False, default=0),
    Index("ix_usage_events_at", "at_us", "event_id"),
    Index("ix_usage_events_request", "request_id"),
    Index("ix_usage_events_session", "session_id", "at_us"),
    Index("ix_usage_events_key", "key_id", "at_us"),
    postgresql_partition_by="RANGE (event_id)",
)

# One row per scope ('' or a key), dimension, grain (3600, 86400 or 0 for all time), bucket and name ('' is unknown).
ROLLUP_KEYS = ("scope", "dimension", "grain", "bucket", "name")
MEASURES = (
    "calls",
    "requests",
    "ok",
    "errors",
    "aborted",
    "interrupted",
    "estimated",
    "unpriced",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "tokens",
    "cost_nano",
)
rollups = Table(
    "usage_rollups",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("dimension", Text, primary_key=True),
    Column("grain", Integer, primary_key=True, autoincrement=False),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    *(Column(measure, BigInteger, nullable=False, default=0, server_default="0") for measure in MEASURES),
    Index("ix_usage_rollups_name", "scope", "dimension", "name", "grain", "bucket"),
)

# Histogram of durations: `step` counts eighths of doublings of a millisecond.
LATENCY_KEYS = ("scope", "measure", "grain", "name", "bucket", "step")
latency = Table(
    "usage_latency",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("grain", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    Column("step", SmallInteger, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
)

sessions = Table(
    "usage_sessions",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("session_id", Text, primary_key=True),
    Column("user_id", Text),
    Column("first_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Index("ix_usage_sessions_last", "scope", "last_us"),
)

# Signed entries that change what an event cost; events themselves are never updated.
corrections = Table(
    "usage_corrections",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("event_id", EventId, nullable=False, index=True),
    Column("at_us", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("nano", BigInteger, nullable=False),
    Column("base_nano", BigInteger, nullable=False),
    Column("priced", SmallInteger, nullable=False),
    Column("price_version", Text),
    Column("booked_us", BigInteger, nullable=False),
    Index("ix_usage_corrections_at", "at_us"),
)

quarantine = Table(
    "usage_quarantine",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    UniqueConstraint("digest"),
)

# The sequence numbers seen of every producer, as ranges: what is between them is missing.
producers = Table(
    "usage_producers",
    metadata,
    Column("producer", Text, primary_key=True),
    Column("seen", Text, nullable=False),
    Column("last_us", BigInteger, nullable=False),
)

prices = Table(
    "usage_prices",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("model", Text, nullable=False),
    Column("provider", Text),
    Column("currency", Text, nullable=False),
    Column("input", BigInteger, nullable=False),
    Column("output", BigInteger, nullable=False),
    Column("cache_read", BigInteger),
    Column("cache_write", BigInteger),
    Column("reasoning", BigInteger),
    Column("display_name", Text),
    Column("valid_from", Float(53)),
    Column("valid_to", Float(53)),
    Column("created_us", BigInteger, nullable=False),
)

rates = Table(
    "usage_rates",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("source", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("valid_from", Text, nullable=False),
    UniqueConstraint("source", "target", "valid_from"),
)

alerts = Table(
    "usage_alerts",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("budget", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("period_start", BigInteger, nullable=False),
    Column("threshold", Integer, nullable=False),
    Column("spent_nano", BigInteger),
    Column("limit_nano", BigInteger),
    Column("currency", Text),
    Column("text", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("resolved_us", BigInteger),
    UniqueConstraint("budget", "name", "period_start", "threshold"),
    Index("ix_usage_alerts_at", "at_us"),
)

outbox = Table(
    "usage_outbox",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("message_id", Text, nullable=False),
    Column("alert_id", BigInteger, nullable=False, index=True),
    Column("budget", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_us", BigInteger, nullable=False),
    Column("delivered_us", BigInteger),
    Column("given_up_us", BigInteger),
    Column("error", Text),
    UniqueConstraint("message_id"),
    Index("ix_usage_outbox_next", "delivered_us", "given_up_us", "next_us"),
)

state = Table(
    "usage_state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
