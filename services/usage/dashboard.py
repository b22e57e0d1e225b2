"""Everything the first screen shows, in one answer: read from rollups alone, and kept until something new is booked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import cards as card_deck
from services.usage import chart, outlook
from services.usage import trust as trusting
from services.usage.ledger import Ledger
from services.usage.question import DIMENSIONS, Filter
from services.usage.rollup import quantile
from services.usage.store import rollups, spans
from services.usage.sums import NONE, Sums
from services.usage.zone import DAY, HOUR, Span
from shared import clock
from shared.money import decimal_of

_MOST_SERIES = 8
_MOST_ROWS = 10
_MOST_MOVERS = 8
_MOST_COMPARED = 40
_ALERTS = 20


@dataclass(frozen=True)
class View:
    """One look at the ledger."""

    ledger: Ledger
    wanted: Filter
    days: int
    now: float
    sees_all: bool

    @property
    def last(self) -> date:
        """Today."""
        return self.ledger.zone.today(self.now)

    @property
    def first(self) -> date:
        """The first day shown."""
        return self.last - timedelta(days=self.days - 1)

    @property
    def span(self) -> Span:
        """The days shown."""
        return self.ledger.zone.days(self.first, self.last)

    @property
    def before(self) -> Span:
        """As many days before them."""
        return self.ledger.zone.days(self.first - timedelta(days=self.days), self.first - timedelta(days=1))


async def dashboard(connection: AsyncConnection, view: View) -> dict[str, Any]:
    """The first screen."""
    ledger, zone = view.ledger, view.ledger.zone
    trust = await trusting.trust(connection, ledger, view.wanted.scope, sees_all=view.sees_all)
    forecast = await outlook.forecast(connection, ledger, view.wanted.scope)
    figures = await card_deck.figures(connection, ledger, view.wanted, view.span, view.before, view.now)
    breakdowns = await _breakdowns(connection, view, figures["shown"].get("model", NONE))
    budgets = await outlook.budgets(connection, ledger) if view.sees_all else []
    bucket = "hour" if view.days == 1 else "day"
    return {
        "generated_at": zone.iso(view.now),
        "timezone": zone.name,
        "currency": ledger.currency,
        "empty": not trust["events_total"],
        "period": {
            "days": view.days,
            "from": view.first.isoformat(),
            "to": view.last.isoformat(),
            "bucket": bucket,
        },
        "trust": trust,
        "cards": await card_deck.cards(
            connection, ledger, view.wanted, figures, view.span, view.before, view.now, forecast
        ),
        "spend": {**await _spend(connection, view, bucket), "forecast": _ahead(view, forecast), "budget": _line(view)},
        "heatmap": await _heatmap(connection, view),
        "latency": await _latency(connection, view, bucket),
        "breakdowns": breakdowns,
        "movers": _movers(breakdowns),
        "tools": await _tools(connection, view),
        "budgets": budgets,
        "alerts": await outlook.alerts(connection, ledger, _ALERTS) if view.sees_all else [],
        "advice": await outlook.advice(connection, ledger, view.wanted.scope),
        "forecast": forecast,
    }


async def _spend(connection: AsyncConnection, view: View, bucket: Any) -> dict[str, Any]:
    axis = chart.axis(view.ledger.zone, view.first, view.last, bucket)
    dimension = view.wanted.by or "model"
    names = view.wanted.names_of(dimension)
    if bucket == "hour":
        cells = await rollups.by_hour(connection, view.wanted.scope, dimension, view.span, names)
    else:
        zone, scope = view.ledger.zone, view.wanted.scope
        cells = await rollups.by_day(connection, scope, dimension, view.span, zone, names, rollups.COSTS)
    rows = chart.rows_on(axis, cells)
    columns = chart.across(rows.values()) if rows else [NONE] * len(axis.labels)
    return {
        "labels": axis.labels,
        "series": chart.stacked(rows, chart.FIGURES["cost"], _MOST_SERIES),
        "total": [sums.cost for sums in columns],
    }


def _ahead(view: View, forecast: Mapping[str, Any]) -> dict[str, Any] | None:
    """The forecast of the days to come, beside a chart of days."""
    days = [day for day in forecast["days"] if day["date"] > view.last.isoformat()]
    if view.days == 1 or view.wanted.by or not days:
        return None
    return {
        "labels": [day["date"][5:] for day in days],
        "mid": [day["mid"] for day in days],
        "low": [day["low"] for day in days],
        "high": [day["high"] for day in days],
    }


def _line(view: View) -> dict[str, Any] | None:
    """The daily limit on everything, where the chart's buckets are days."""
    for budget in view.ledger.alerts.budgets(view.now):
        if budget.by == "total" and budget.period == "day" and view.days > 1:
            return {"name": budget.id, "limit": decimal_of(budget.limit_nano)}
    return None


async def _heatmap(connection: AsyncConnection, view: View) -> dict[str, Any] | None:
    if view.wanted.by:
        return None
    calls: list[list[Any]] = [[0] * 24 for _ in range(7)]
    cost: list[list[Any]] = [[0] * 24 for _ in range(7)]
    slots = await rollups.by_weekday_and_hour(connection, view.wanted.scope, view.span, view.ledger.zone)
    for weekday, hour, sums in slots:
        calls[weekday][hour], cost[weekday][hour] = sums.calls, sums.cost
    return {"calls": calls, "cost": cost}


async def _latency(connection: AsyncConnection, view: View, bucket: Any) -> dict[str, Any] | None:
    if view.wanted.by not in (None, "model"):
        return None
    axis = chart.axis(view.ledger.zone, view.first, view.last, bucket)
    lines: dict[str, Any] = {"labels": axis.labels}
    unit, names = HOUR if bucket == "hour" else DAY, list(view.wanted.names) or [""]
    scope, zone = view.wanted.scope, view.ledger.zone
    found = await rollups.histograms_by(connection, scope, ("duration", "ttft"), view.span, zone, unit, names)
    for measure, prefix in (("duration", ""), ("ttft", "ttft_")):
        by_place = {axis.place(slot): counts for slot, counts in found[measure].items()}
        for name, share in (("p50", 0.5), ("p95", 0.95)):
            lines[prefix + name] = [quantile(by_place.get(place, ()), share) for place in range(len(axis.labels))]
    return lines


async def _breakdowns(connection: AsyncConnection, view: View, whole: Sums) -> dict[str, list[dict[str, Any]]]:
    """Every dimension's dearest names in the span shown and in the one before."""
    every = (*DIMENSIONS, "key")
    wanted = [dimension for dimension in every if view.wanted.answers(dimension)]
    names = list(view.wanted.names) if view.wanted.by else None
    found = await spans.compared(connection, view.wanted.scope, wanted, view.span, view.before, _MOST_COMPARED, names)
    return {
        dimension: [_row(name, now, before, whole) for name, now, before in found.get(dimension, ())]
        for dimension in every
    }


def _row(name: str, sums: Sums, before: Sums, whole: Sums) -> dict[str, Any]:
    by_cost = bool(whole.cost_nano)
    part, of = (sums.cost_nano, whole.cost_nano) if by_cost else (sums.calls, whole.calls)
    return {
        "name": name or None,
        "calls": sums.calls,
        "tokens": sums.tokens,
        "cost": sums.cost,
        "success_rate": sums.success_rate,
        "previous_cost": before.cost if before.calls else None,
        "share": round(100 * part / of, 2) if of else 0,
    }


def _movers(breakdowns: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What changed most; afterwards the breakdowns are cut to what is shown of them."""
    movers = []
    for by, rows in breakdowns.items():
        for row in rows:
            delta = row["cost"] - (row["previous_cost"] or 0)
            if row["name"] is not None and delta:
                movers.append(
                    {
                        "by": by,
                        "name": row["name"],
                        "cost": row["cost"],
                        "previous": row["previous_cost"] or 0,
                        "delta": delta,
                    }
                )
        breakdowns[by] = [row for row in rows if row["calls"] or row["cost"]][:_MOST_ROWS]
    return sorted(movers, key=lambda mover: -abs(mover["delta"]))[:_MOST_MOVERS]


async def _tools(connection: AsyncConnection, view: View) -> list[dict[str, Any]]:
    found = await rollups.by_name(connection, view.wanted.scope, "tool", view.span)
    order = sorted(found.items(), key=lambda item: (-item[1].calls, item[0]))[:_MOST_ROWS]
    tails = await rollups.histogram(connection, view.wanted.scope, "tool", view.span, [name for name, _ in order])
    return [
        {
            "name": name or None,
            "calls": sums.calls,
            "success_rate": sums.success_rate,
            "p50_ms": quantile(tails.get(name, ()), 0.5),
            "p95_ms": quantile(tails.get(name, ()), 0.95),
        }
        for name, sums in order
    ]


def look(ledger: Ledger, wanted: Filter, days: int, *, sees_all: bool) -> View:
    """The view of this moment."""
    return View(ledger, wanted, days, clock.now(), sees_all)
