"""Any measure by any dimension over any range of days, beside the range before it."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import chart, summarise
from services.usage.chart import Axis, Bucket
from services.usage.question import Filter
from services.usage.rollup import quantile
from services.usage.store import rollups
from services.usage.sums import NONE, Sums, total
from services.usage.zone import DAY, HOUR, Span, Zone
from shared.errors import Unprocessable

Measure = Literal[
    "cost", "calls", "tokens", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "success_rate", "errors", "requests", "unpriced", "latency_p95_ms", "ttft_p95_ms", "tool_calls",
]  # fmt: skip
By = Literal["none", "model", "function", "user", "key", "anchor", "provider"]
MOST_ROWS = 200
MOST_DAYS = 400
_MOST_HOURS_DAYS = 14
# A dimension of the rollups and the names to read in it, all of them if None.
Place = tuple[str, list[str] | None]
_LATENCY = {"latency_p95_ms": "duration", "ttft_p95_ms": "ttft"}


@dataclass(frozen=True)
class Exploration:
    """One question."""

    measure: Measure
    by: By
    first: date
    last: date
    bucket: Bucket
    compare: bool
    top: int

    @property
    def before(self) -> tuple[date, date]:
        """The range of the same length just before."""
        days = (self.last - self.first).days + 1
        return self.first - timedelta(days=days), self.first - timedelta(days=1)


def bucket_for(first: date, last: date, wanted: str) -> Bucket:
    """The bucket that was asked for, or the one that suits the range."""
    days = (last - first).days + 1
    if wanted == "auto":
        wanted = "hour" if days <= 2 else "day" if days <= 92 else "week" if days <= 200 else "month"
    if wanted == "hour" and days > _MOST_HOURS_DAYS:
        raise Unprocessable(f"Hours are shown for at most {_MOST_HOURS_DAYS} days.", param="bucket")
    bucket: Bucket = wanted  # type: ignore[assignment]  # the route admits only these words
    return bucket


async def explore(
    connection: AsyncConnection, zone: Zone, currency: str, wanted: Filter, asked: Exploration, now: float
) -> dict[str, Any]:
    """The answer in the shape of the page."""
    _answerable(wanted, asked)
    axis = chart.axis(zone, asked.first, asked.last, asked.bucket, until=now)
    span, before = zone.days(asked.first, asked.last), zone.days(*asked.before)
    groups = await _groups(connection, wanted, asked, span)
    earlier = await _groups(connection, wanted, asked, before) if asked.compare else {}
    tails = await _tails(connection, wanted, asked, span, groups)
    if asked.measure in _LATENCY:
        series, whole = await _latency_series(connection, zone, wanted, asked, span, axis)
    else:
        order = [name for name, _ in summarise.dearest(groups)]
        series, whole = await _series(connection, zone, wanted, asked, span, axis, order)
    return {
        "measure": asked.measure,
        "by": asked.by,
        "bucket": asked.bucket,
        "from": asked.first.isoformat(),
        "to": asked.last.isoformat(),
        "previous_from": asked.before[0].isoformat(),
        "previous_to": asked.before[1].isoformat(),
        "timezone": zone.name,
        "currency": currency,
        "labels": axis.labels,
        "series": series,
        "total": whole,
        "previous": await _previous(connection, zone, wanted, asked, before) if asked.compare else None,
        "rows": _rows(asked, groups, earlier, tails),
    }


def _answerable(wanted: Filter, asked: Exploration) -> None:
    if asked.measure == "tool_calls" and (asked.by != "none" or wanted.by):
        raise Unprocessable("Tool calls are counted in total only.", param="by")
    if asked.by != "none" and not wanted.answers(asked.by):
        raise Unprocessable(f"A filter by {wanted.by} cannot be broken down by {asked.by}.", param="by")
    if asked.measure in _LATENCY and (asked.by not in ("none", "model") or wanted.by not in (None, "model")):
        raise Unprocessable("Latency is kept in total and by model.", param="by")


def _place(wanted: Filter, asked: Exploration) -> Place:
    """The dimension to read and the names in it."""
    if asked.measure == "tool_calls":
        return "total", ["tool"]
    if asked.by == "none":
        return wanted.dimension, wanted.total_names
    return asked.by, wanted.names_of(asked.by)


async def _groups(connection: AsyncConnection, wanted: Filter, asked: Exploration, span: Span) -> dict[str, Sums]:
    dimension, names = _place(wanted, asked)
    found = await rollups.by_name(connection, wanted.scope, dimension, span, names)
    return {"": total(found.values())} if asked.by == "none" else found


async def _cells(
    connection: AsyncConnection, zone: Zone, wanted: Filter, asked: Exploration, span: Span, place: Place
) -> chart.Cells:
    """The sums of every bucket and name of a place in the rollups."""
    dimension, names = place
    if asked.bucket == "hour":
        return await rollups.by_hour(connection, wanted.scope, dimension, span, names)
    return await rollups.by_day(connection, wanted.scope, dimension, span, zone, names)


async def _series(
    connection: AsyncConnection,
    zone: Zone,
    wanted: Filter,
    asked: Exploration,
    span: Span,
    axis: Axis,
    order: Sequence[str],
) -> tuple[list[dict[str, Any]], Any]:
    """The dearest names, and the rest as the whole without them: only what is shown is read by name."""
    figure = chart.FIGURES["calls" if asked.measure == "tool_calls" else asked.measure]
    whole = await _whole(connection, zone, wanted, asked, span, axis)
    everything = figure(total(whole))
    if asked.by == "none":
        return [{"name": asked.measure, "values": [figure(sums) for sums in whole], "total": everything}], everything
    names = list(order[: asked.top])
    cells = await _cells(connection, zone, wanted, asked, span, (asked.by, names)) if names else []
    rows = chart.rows_on(axis, cells)
    series = chart.stacked(rows, figure, len(rows))
    if len(order) > len(names):
        rest = [sums.minus(total(column)) for sums, *column in zip(whole, *rows.values(), strict=True)]
        series.append({"name": chart.OTHER, "values": [figure(sums) for sums in rest], "total": figure(total(rest))})
    return series, everything


async def _whole(
    connection: AsyncConnection, zone: Zone, wanted: Filter, asked: Exploration, span: Span, axis: Axis
) -> list[Sums]:
    """The sums of every bucket, all names together."""
    place = _place(wanted, dataclasses.replace(asked, by="none"))
    cells = await _cells(connection, zone, wanted, asked, span, place)
    rows = chart.rows_on(axis, [(slot, "", sums) for slot, _, sums in cells])
    return rows.get("", [NONE] * len(axis.labels))


async def _latency_series(
    connection: AsyncConnection, zone: Zone, wanted: Filter, asked: Exploration, span: Span, axis: Axis
) -> tuple[list[dict[str, Any]], Any]:
    """One line for all calls; its buckets are hours or days, which is what histograms are kept by."""
    measure = _LATENCY[asked.measure]
    unit = HOUR if asked.bucket == "hour" else DAY
    names = list(wanted.names) or [""]
    found = (await rollups.histograms_by(connection, wanted.scope, [measure], span, zone, unit, names))[measure]
    merged: dict[int, list[tuple[int, int]]] = {}
    for slot, counts in found.items():
        place = axis.place(slot)
        if place is not None:
            merged.setdefault(place, []).extend(counts)
    values = [quantile(_merged(merged.get(place, [])), 0.95) for place in range(len(axis.labels))]
    whole = quantile(_merged([pair for counts in found.values() for pair in counts]), 0.95)
    return [{"name": asked.measure, "values": values, "total": whole}], whole


def _merged(counts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    steps: dict[int, int] = {}
    for step, count in counts:
        steps[step] = steps.get(step, 0) + count
    return list(steps.items())


async def _tails(
    connection: AsyncConnection, wanted: Filter, asked: Exploration, span: Span, groups: Mapping[str, Sums]
) -> Mapping[str, float | None]:
    """The 95 % durations, where they are kept by name. Histograms lie in the order of names: those shown are named."""
    if asked.by not in ("none", "model") or wanted.by not in (None, "model"):
        return {}
    measure = _LATENCY.get(asked.measure, "duration")
    if asked.by == "none":
        found = await rollups.histogram(connection, wanted.scope, measure, span, list(wanted.names) or [""])
        return {"": quantile(_merged([pair for counts in found.values() for pair in counts]), 0.95)}
    names = [name for name, _ in summarise.dearest(groups)[:MOST_ROWS]]
    found = await rollups.histogram(connection, wanted.scope, measure, span, names)
    return {name: quantile(counts, 0.95) for name, counts in found.items()}


async def _previous(
    connection: AsyncConnection, zone: Zone, wanted: Filter, asked: Exploration, before: Span
) -> dict[str, Any]:
    axis = chart.axis(zone, *asked.before, asked.bucket)
    if asked.measure in _LATENCY:
        series, whole = await _latency_series(connection, zone, wanted, asked, before, axis)
        return {"labels": axis.labels, "values": series[0]["values"], "total": whole}
    figure = chart.FIGURES["calls" if asked.measure == "tool_calls" else asked.measure]
    columns = await _whole(connection, zone, wanted, asked, before, axis)
    return {"labels": axis.labels, "values": [figure(sums) for sums in columns], "total": figure(total(columns))}


def _rows(
    asked: Exploration, groups: Mapping[str, Sums], earlier: Mapping[str, Sums], tails: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    rows = []
    for name, sums in summarise.dearest(groups)[:MOST_ROWS]:
        latency = tails.get(name)
        figure = chart.FIGURES.get(asked.measure)
        value = figure(sums) if figure else sums.calls if asked.measure == "tool_calls" else latency
        before = earlier.get(name)
        previous = figure(before) if figure and before is not None else None
        rows.append(
            {
                "name": name or None,
                "calls": sums.calls,
                "tokens": sums.tokens,
                "input_tokens": sums.input_tokens,
                "output_tokens": sums.output_tokens,
                "cache_read_tokens": sums.cache_read_tokens,
                "reasoning_tokens": sums.reasoning_tokens,
                "cost": sums.cost,
                "success_rate": sums.success_rate,
                "latency_p95_ms": latency,
                "value": value,
                "previous": previous,
                "change": chart.change(value, previous, points=asked.measure == "success_rate"),
            }
        )
    return rows
