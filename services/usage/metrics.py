"""What Prometheus is told. No label holds a user or free text: models that are not configured are `other`."""

from collections import Counter as Counted
from collections.abc import Collection, Iterable

from prometheus_client import Counter, Gauge, Histogram

from services.usage.event import Event

EVENTS = Counter("usage_events", "Events by what became of them", ["result"])
TOKENS = Counter("usage_tokens", "Tokens booked", ["model", "kind"])
COST = Counter("usage_cost", "Cost booked, in the reporting currency", ["model", "currency"])
BATCH_SECONDS = Histogram(
    "usage_batch_seconds", "Time to book a batch", buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
)
LAG = Histogram(
    "usage_ingest_lag_seconds",
    "From the end of an attempt to its booking",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300, 3600),
)
LAST_EVENT = Gauge(
    "usage_last_event_timestamp_seconds", "When the newest booked event happened", multiprocess_mode="max"
)
UNPRICED = Counter("usage_unpriced_events", "Events whose model has no price")
QUEUE = Gauge("usage_queue_events", "Events waiting on the bus", multiprocess_mode="max")
SPOOL = Gauge("usage_spool_events", "Events waiting in this process's spool", multiprocess_mode="sum")
SPOOL_AGE = Gauge(
    "usage_spool_oldest_age_seconds", "Age of the oldest event waiting in this spool", multiprocess_mode="max"
)
GAPS = Gauge("usage_sequence_gaps", "Sequence numbers of producers that never came", multiprocess_mode="max")
DRIFT = Gauge(
    "usage_rollup_drift_events", "Difference between rollups and events at the last proof", multiprocess_mode="max"
)
QUARANTINE = Gauge("usage_quarantine_events", "Messages set aside", multiprocess_mode="max")
MISPLACED = Gauge(
    "usage_default_partition_events", "Events whose week had no partition of its own", multiprocess_mode="max"
)
BUDGET = Gauge(
    "usage_budget_used_ratio", "How much of a configured limit is spent", ["budget"], multiprocess_mode="max"
)
FORECAST = Gauge(
    "usage_forecast_month_cost", "Forecast of this month's cost", ["quantile", "currency"], multiprocess_mode="max"
)

_TOKEN_COLUMNS = [(kind, f"{kind}_tokens") for kind in ("input", "output", "cache_read", "cache_write", "reasoning")]


def booked(events: Iterable[Event], configured: Collection[str], currency: str) -> None:
    """Count what was booked, added up first: a counter costs more than everything else here."""
    newest, unpriced = 0.0, 0
    tokens: Counted[tuple[str, str]] = Counted()
    costs: Counted[str] = Counted()
    for event in events:
        newest = max(newest, event.at)
        if event.kind != "model":
            continue
        model = next((name for name in (event.model, event.requested_model) if name and name in configured), "other")
        for kind, column in _TOKEN_COLUMNS:
            if count := getattr(event, column):
                tokens[model, kind] += count
        if event.base_nano:
            costs[model] += event.base_nano
        unpriced += event.unpriced
    for labels, count in tokens.items():
        TOKENS.labels(*labels).inc(count)
    for model, nano in costs.items():
        COST.labels(model, currency).inc(nano / 1e9)
    UNPRICED.inc(unpriced)
    if newest:
        LAST_EVENT.set(newest)
