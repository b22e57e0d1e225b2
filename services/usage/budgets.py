"""Spending limits: which events count in one, how much of it is used, and which thresholds that reaches. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from services.usage.event import Event
from services.usage.zone import Span, Zone, last_of_month
from shared.config.usage import Alert
from shared.money import decimal_of, nano_of

# The rollup dimension behind each kind of limit, and the event's field.
DIMENSIONS = {
    "total": "total",
    "key": "key",
    "user": "user",
    "model": "model",
    "function": "function",
    "anchor": "anchor",
}
_FIELDS = {"key": "key_id", "user": "user_id", "model": "model", "function": "function", "anchor": "anchor_id"}
_WARNING = 80


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit in one period."""

    id: str
    by: str
    match: str | None
    period: str
    span: Span
    limit_nano: int
    thresholds: tuple[int, ...]
    webhook: str | None

    @property
    def dimension(self) -> str:
        """Where the rollups keep what it has spent."""
        return DIMENSIONS[self.by]

    def names(self, events: Iterable[Event]) -> set[str]:
        """The rollup names of this budget that the events touch."""
        found = set()
        for event in events:
            if event.kind != "model" or not event.base_nano or not self.span.start <= event.at < self.span.end:
                continue
            if self.by == "total":
                found.add("model")
                continue
            name = getattr(event, _FIELDS[self.by])
            if name and self.match in (None, name):
                found.add(name)
        return found

    def reached(self, spent_nano: int) -> list[int]:
        """The thresholds, in percent, that a spending reaches."""
        return [threshold for threshold in self.thresholds if spent_nano * 100 >= self.limit_nano * threshold]

    def used(self, spent_nano: int) -> float:
        """How much of it is spent, in percent."""
        return round(100 * spent_nano / self.limit_nano, 2)

    def state(self, spent_nano: int) -> str:
        """`ok`, `warning` from the first threshold on, `exceeded` at the limit."""
        if spent_nano >= self.limit_nano:
            return "exceeded"
        first = min(self.thresholds, default=_WARNING)
        return "warning" if spent_nano * 100 >= self.limit_nano * first else "ok"

    def sentence(self, name: str, spent_nano: int, threshold: int, currency: str) -> str:
        """What a person is told."""
        whose = "" if self.by == "total" else f" by {self.by} {name}"
        spent, limit = decimal_of(spent_nano), decimal_of(self.limit_nano)
        return f"{self.id}: {spent} of {limit} {currency} per {self.period} spent{whose} ({threshold} % reached)"


def budget_of(alert: Alert, zone: Zone, at: float) -> Budget:
    """A configured limit in the period that holds a moment."""
    today = zone.today(at)
    if alert.period == "month":
        span = zone.days(today.replace(day=1), last_of_month(today))
    else:
        span = zone.days(today, today + timedelta(0))
    return Budget(
        id=alert.name,
        by=alert.by,
        match=alert.match,
        period=alert.period,
        span=span,
        limit_nano=nano_of(alert.limit),
        thresholds=tuple(sorted({round(threshold * 100) for threshold in alert.thresholds})),
        webhook=alert.webhook,
    )


def projected(spent_nano: int, span: Span, at: float) -> int | None:
    """What the period will have cost at this pace; None while too little of it has passed to say."""
    passed, whole = at - span.start, span.end - span.start
    if passed < whole / 24:
        return None
    return round(spent_nano * whole / passed)
