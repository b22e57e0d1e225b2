"""The cards of the first screen: a figure, the same figure of the span before, and a small line of how it went."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import chart
from services.usage.ledger import Ledger
from services.usage.question import Filter
from services.usage.rollup import quantile
from services.usage.store import rollups, spans
from services.usage.sums import NONE, Sums, total
from services.usage.zone import DAY, HOUR, Span

_FIGURES: Mapping[str, Callable[[Sums], Any]] = {
    "spend_period": lambda sums: sums.cost,
    "calls": lambda sums: sums.calls,
    "success_rate": lambda sums: sums.success_rate,
    "tokens": lambda sums: sums.tokens,
    "input_tokens": lambda sums: sums.input_tokens,
    "output_tokens": lambda sums: sums.output_tokens,
    "reasoning_tokens": lambda sums: sums.reasoning_tokens,
    "cache_share": lambda sums: sums.cache_share,
    "errors": lambda sums: sums.errors,
}
_RATES = ("success_rate", "cache_share")
_TAILS = {"latency_p95_ms": "duration", "ttft_p95_ms": "ttft"}
_SPARK_DAYS = 14

# By period and kind.
Figures = Mapping[str, Mapping[str, Sums]]


async def figures(
    connection: AsyncConnection, ledger: Ledger, wanted: Filter, span: Span, before: Span, now: float
) -> Figures:
    """The sums of every span that the cards tell of, in one look."""
    periods = {"shown": span, "before": before, **_periods(ledger, now)}
    names = wanted.total_names if wanted.by else None
    found = await spans.sums(connection, wanted.scope, [(wanted.dimension, each) for each in periods.values()], names)
    if wanted.by:
        # Tool calls and cache hits are counted in total only.
        return {name: {"model": total(sums.values())} for name, sums in zip(periods, found, strict=True)}
    return dict(zip(periods, found, strict=True))


async def cards(
    connection: AsyncConnection,
    ledger: Ledger,
    wanted: Filter,
    told: Figures,
    span: Span,
    before: Span,
    now: float,
    forecast: Mapping[str, Any],
) -> dict[str, Any]:
    """All cards by their id."""

    def of(period: str, kind: str = "model") -> Sums:
        return told[period].get(kind, NONE)

    days = await _days(connection, ledger, wanted, now)
    return {
        "spend_today": card(of("today").cost, of("yesterday").cost),
        "month_to_date": card(of("month").cost, of("last_month").cost),
        **{
            name: card(figure(of("shown")), figure(of("before")), [figure(sums) for sums in days], name in _RATES)
            for name, figure in _FIGURES.items()
        },
        "tool_calls": card(of("shown", "tool").calls, of("before", "tool").calls),
        "cache_hits": card(of("shown", "cache").calls, of("before", "cache").calls),
        **(await _tails(connection, wanted, span, before) if wanted.by in (None, "model") else {}),
        "forecast": _forecast(forecast, wanted),
    }


def card(value: Any, previous: Any, spark: Sequence[Any] = (), points: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 -- told by position in the table above
    """One card."""
    return {
        "value": value,
        "previous": previous,
        "change": chart.change(value, previous, points=points),
        "spark": list(spark),
    }


def _periods(ledger: Ledger, now: float) -> dict[str, Span]:
    """Today beside yesterday until this time, this month beside the last one until this day."""
    zone = ledger.zone
    today = zone.today(now)
    hour = zone.bucket(now) + HOUR
    month = Span(zone.start_of(today.replace(day=1)), hour)
    last_month = zone.start_of((today.replace(day=1) - timedelta(days=1)).replace(day=1))
    return {
        "today": Span(zone.start_of(today), hour),
        "yesterday": Span(zone.start_of(today - timedelta(days=1)), hour - DAY),
        "month": month,
        "last_month": Span(last_month, min(last_month + month.end - month.start, month.start)),
    }


async def _days(connection: AsyncConnection, ledger: Ledger, wanted: Filter, now: float) -> list[Sums]:
    """The sums of each of the last days."""
    zone = ledger.zone
    last = zone.today(now)
    first = last - timedelta(days=_SPARK_DAYS - 1)
    axis = chart.axis(zone, first, last, "day")
    span = zone.days(first, last)
    cells = await rollups.by_day(connection, wanted.scope, wanted.dimension, span, zone, wanted.total_names)
    rows = chart.rows_on(axis, cells)
    return chart.across(rows.values()) if rows else [NONE] * len(axis.labels)


async def _tails(connection: AsyncConnection, wanted: Filter, span: Span, before: Span) -> dict[str, Any]:
    """The cards of the slowest twentieth."""
    asked = [(measure, each) for measure in _TAILS.values() for each in (span, before)]
    found = await spans.tails(connection, wanted.scope, asked, list(wanted.names) or [""])
    p95 = [quantile(_merged(counts.values()), 0.95) for counts in found]
    return {name: card(now, then) for name, now, then in zip(_TAILS, p95[::2], p95[1::2], strict=True)}


def _merged(parts: Iterable[spans.Counts]) -> spans.Counts:
    steps: dict[int, int] = {}
    for counts in parts:
        for step, count in counts:
            steps[step] = steps.get(step, 0) + count
    return list(steps.items())


def _forecast(forecast: Mapping[str, Any], wanted: Filter) -> dict[str, Any]:
    if wanted.by:
        return {**card(None, None), "low": None, "high": None}
    history = forecast["history"]
    previous = history[-1]["actual"] if history else None
    return {**card(forecast["mid"], previous), "low": forecast["low"], "high": forecast["high"]}
