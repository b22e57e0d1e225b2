"""Series for charts: finished labels in the reporting zone, a value for every bucket, few names and the rest."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from services.usage.sums import NONE, Sums
from services.usage.zone import HOUR, Span, Zone, dates

Bucket = Literal["hour", "day", "week", "month"]
OTHER = "other"

Figure = Callable[[Sums], Any]
FIGURES: Mapping[str, Figure] = {
    "cost": lambda sums: sums.cost,
    "calls": lambda sums: sums.calls,
    "tokens": lambda sums: sums.tokens,
    "input_tokens": lambda sums: sums.input_tokens,
    "output_tokens": lambda sums: sums.output_tokens,
    "cache_read_tokens": lambda sums: sums.cache_read_tokens,
    "cache_write_tokens": lambda sums: sums.cache_write_tokens,
    "reasoning_tokens": lambda sums: sums.reasoning_tokens,
    "success_rate": lambda sums: sums.success_rate,
    "errors": lambda sums: sums.errors,
    "requests": lambda sums: sums.requests,
    "unpriced": lambda sums: sums.unpriced,
}


@dataclass(frozen=True)
class Axis:
    """The buckets of a chart in order: what each is called, and which one a moment or a day belongs to."""

    labels: list[str]
    index: Mapping[int, int]
    bucket: Bucket

    def place(self, slot: int) -> int | None:
        """The position of an hour bucket or of a day number."""
        return self.index.get(slot)


def axis(zone: Zone, first: date, last: date, bucket: Bucket, until: float | None = None) -> Axis:
    """The axis over all dates from the first to the last; hours end at `until` if given."""
    if bucket == "hour":
        return _hours(zone, zone.days(first, last), until, several=first != last)
    labels: list[str] = []
    index: dict[int, int] = {}
    for day in dates(first, last):
        label = _label(day, bucket, first, last)
        if not labels or labels[-1] != label:
            labels.append(label)
        index[(day - date(1970, 1, 1)).days] = len(labels) - 1
    return Axis(labels, index, bucket)


def _hours(zone: Zone, span: Span, until: float | None, *, several: bool) -> Axis:
    end = span.end if until is None else min(span.end, int(until))
    labels: list[str] = []
    index: dict[int, int] = {}
    for start in range(span.start, end, HOUR):
        index[start] = len(labels)
        labels.append(f"{zone.local(start):%m-%d %H:00}" if several else f"{zone.local(start):%H:00}")
    return Axis(labels, index, "hour")


def _label(day: date, bucket: Bucket, first: date, last: date) -> str:
    if bucket == "month":
        return f"{day:%Y-%m}"
    if bucket == "week":
        monday = max(first, day - timedelta(days=day.weekday()))
        return f"{monday:%Y-%m-%d}"
    return f"{day:%m-%d}" if first.year == last.year else f"{day:%Y-%m-%d}"


Cells = Sequence[tuple[int, str, Sums]]


def rows_on(axis_: Axis, cells: Cells) -> dict[str, list[Sums]]:
    """For every name its sums in every bucket."""
    rows: dict[str, list[Sums]] = {}
    for slot, name, sums in cells:
        place = axis_.place(slot)
        if place is None:
            continue
        row = rows.setdefault(name, [NONE] * len(axis_.labels))
        row[place] = row[place].plus(sums)
    return rows


def stacked(rows: Mapping[str, list[Sums]], figure: Figure, most: int) -> list[dict[str, Any]]:
    """The dearest names as series, all others as one more."""
    totals = {name: _sum(row) for name, row in rows.items()}
    order = sorted(rows, key=lambda name: (-totals[name].cost_nano, -totals[name].calls, name))
    series = [_series(name or None, rows[name], figure) for name in order[:most]]
    if rest := order[most:]:
        together = across(rows[name] for name in rest)
        series.append(_series(OTHER, together, figure))
    return series


def across(rows: Iterable[list[Sums]]) -> list[Sums]:
    """All rows added up, bucket by bucket."""
    return [_sum(column) for column in zip(*rows, strict=True)]


def _series(name: str | None, row: list[Sums], figure: Figure) -> dict[str, Any]:
    return {"name": name, "values": [figure(sums) for sums in row], "total": figure(_sum(row))}


def _sum(parts: Iterable[Sums]) -> Sums:
    whole = NONE
    for part in parts:
        whole = whole.plus(part)
    return whole


def change(value: Any, previous: Any, *, points: bool = False) -> float | None:
    """The change in percent, or in points between rates; None when there is nothing to compare with."""
    if value is None or previous is None:
        return None
    if points:
        return round(float(value) - float(previous), 2)
    return round(100 * (float(value) - float(previous)) / float(previous), 1) if previous else None
