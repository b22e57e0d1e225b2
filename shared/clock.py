"""The only place that asks what time it is."""

import time
from datetime import UTC, datetime


def now() -> float:
    """Unix time in seconds."""
    return time.time()


def utc_now() -> datetime:
    """The time as an aware UTC datetime."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds of a clock that never goes back: for durations and deadlines."""
    return time.monotonic()


def from_unix(seconds: float) -> datetime:
    """An aware UTC datetime of a Unix time."""
    return datetime.fromtimestamp(seconds, UTC)
