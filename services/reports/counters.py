"""What Prometheus is told about report jobs. No label holds a token, a key or free text."""

from prometheus_client import Counter, Histogram

ENDED = Counter("reports_builds", "Attempts at a report by what became of them", ["type", "outcome"])
SECONDS = Histogram(
    "reports_build_seconds", "Time of one attempt", ["type"], buckets=(0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)
)
SOURCES = Counter("reports_source_answers", "Answers of market data sources", ["source", "status"])
INSIGHT = Counter("reports_insight", "Insight texts by who wrote them", ["by"])
