"""What Prometheus is told of model calls: by model and outcome, never by user."""

from functools import lru_cache
from typing import NamedTuple

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

REQUESTS = Counter("tollway_requests_total", "Requests answered", ["operation", "dialect", "model", "outcome"])
FIRST_BYTE = Histogram(
    "tollway_time_to_first_byte_seconds", "Until the first byte of an answer", ["model"], buckets=_SECONDS
)
DURATION = Histogram(
    "tollway_request_duration_seconds", "Until the last byte of an answer", ["model"], buckets=_SECONDS
)
TOKENS = Counter("tollway_tokens_total", "Tokens used", ["model", "kind"])
IN_FLIGHT = Gauge("tollway_requests_in_flight", "Requests being answered", ["kind"], multiprocess_mode="livesum")
PROMPT_CACHE = Counter("tollway_prompt_cache_total", "Look-ups of the prompt cache", ["result"])

# Names that clients make up must not become labels without end.
MOST_MODELS = 500
_models: set[str] = set()


def model_label(model: str | None) -> str:
    """A model's name as a label; beyond a bound, names share one."""
    if not model:
        return "none"
    if model not in _models:
        if len(_models) >= MOST_MODELS:
            return "other"
        _models.add(model)
    return model


class Told(NamedTuple):
    """The counters of one kind of answer, looked up once: finding them by label costs more than counting."""

    requests: Counter
    first_byte: Histogram
    duration: Histogram
    tokens_in: Counter
    tokens_out: Counter


@lru_cache(maxsize=4096)
def told(operation: str, dialect: str, model: str | None, outcome: str) -> Told:
    """The counters of an answer."""
    label = model_label(model)
    return Told(
        REQUESTS.labels(operation, dialect, label, outcome),
        FIRST_BYTE.labels(label),
        DURATION.labels(label),
        TOKENS.labels(label, "input"),
        TOKENS.labels(label, "output"),
    )
