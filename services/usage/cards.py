"""The cards of the first screen: a figure, the same figure of the span before, and a small line of how it went."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import chart
from services.usage.ledger import Ledger
from services.usage.question import Filter
from services.usage.rollup import quantile
from services.usage.store import rollups
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


async def cards(
    connection: AsyncConnection,
    ledger: Ledger,
    wanted: Filter,
    span: Span,
    before: Span,
    now: float,
    forecast: Mapping[str, Any],
) -> dict[str, Any]:
    """All cards by their id."""
    current, previous = await _kinds(connection, wanted, span), await _kinds(connection, wanted, before)
    days = await _days(connection, ledger, wanted, now)
    deck = {
        name: card(figure(current["model"]), figure(previous["model"]), [figure(sums) for sums in days], name in _RATES)
        for name, figure in _FIGURES.items()
    }
    for name, kind in (("tool_calls", "tool"), ("cache_hits", "cache")):
        deck[name] = card(current[kind].calls, previous[kind].calls)
    for name, measure in _TAILS.items():
        if wanted.by in (None, "model"):
            tail = await _tail(connection, wanted, measure, span)
            deck[name] = card(tail, await _tail(connection, wanted, measure, before))
    return {**await _spans(connection, ledger, wanted, now), **deck, "forecast": _forecast(forecast, wanted)}


def card(value: Any, previous: Any, spark: Sequence[Any] = (), points: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 -- told by position in the table above
    """One card."""
    return {
        "value": value,
        "previous": previous,
        "change": chart.change(value, previous, points=points),
        "spark": list(spark),
    }


async def _spans(connection: AsyncConnection, ledger: Ledger, wanted: Filter, now: float) -> dict[str, Any]:
    """Today beside yesterday until this time, this month beside the last one until this day."""
    zone = ledger.zone
    today = zone.today(now)
    hour = zone.bucket(now) + HOUR
    day = Span(zone.start_of(today), hour)
    yesterday = Span(zone.start_of(today - timedelta(days=1)), hour - DAY)
    month = Span(zone.start_of(today.replace(day=1)), hour)
    last_month = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    start = zone.start_of(last_month)
    same = Span(start, min(start + month.end - month.start, month.start))
    deck = {}
    for name, now_span, then_span in (("spend_today", day, yesterday), ("month_to_date", month, same)):
        current = (await _kinds(connection, wanted, now_span))["model"]
        previous = (await _kinds(connection, wanted, then_span))["model"]
        deck[name] = card(current.cost, previous.cost)
    return deck


async def _kinds(connection: AsyncConnection, wanted: Filter, span: Span) -> dict[str, Sums]:
    """The sums of model calls, tool calls and cache hits."""
    if wanted.by:
        found = await rollups.by_name(connection, wanted.scope, wanted.by, span, wanted.total_names)
        return {"model": total(found.values()), "tool": NONE, "cache": NONE}
    found = await rollups.by_name(connection, wanted.scope, "total", span)
    return {kind: found.get(kind, NONE) for kind in ("model", "tool", "cache")}


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


async def _tail(connection: AsyncConnection, wanted: Filter, measure: str, span: Span) -> float | None:
    names = list(wanted.names) or [""]
    found = await rollups.histogram(connection, wanted.scope, measure, span, names)
    steps: dict[int, int] = {}
    for counts in found.values():
        for step, count in counts:
            steps[step] = steps.get(step, 0) + count
    return quantile(steps.items(), 0.95)


def _forecast(forecast: Mapping[str, Any], wanted: Filter) -> dict[str, Any]:
    if wanted.by:
        return {**card(None, None), "low": None, "high": None}
    history = forecast["history"]
    previous = history[-1]["actual"] if history else None
    return {**card(forecast["mid"], previous), "low": forecast["low"], "high": forecast["high"]}
