"""The statistics that the seed's monitor had, in its shapes: each is a sum over rollups."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.store import rollups
from services.usage.sums import NONE, Sums
from services.usage.zone import HOUR, Span, Zone, date_of, dates

UNKNOWN = "unknown"
MOST_NAMES = 1000
DIMENSIONS = ("model", "function", "user", "key", "anchor", "provider")


async def current(connection: AsyncConnection, scope: str, zone: Zone, at: float) -> dict[str, Any]:
    """This hour and today."""
    hour = zone.bucket(at)
    now = await _calls(connection, scope, Span(hour, hour + HOUR))
    today = zone.day(zone.today(at))
    return {
        "current_hour": {**_short(now), "success_rate": now.success_rate or 0},
        "today": {
            **_short(await _calls(connection, scope, today)),
            "by_model": await _groups(connection, scope, "model", today),
            "by_function": await _groups(connection, scope, "function", today),
        },
    }


async def summary(connection: AsyncConnection, scope: str, span: Span) -> dict[str, Any]:
    """A span in the shape of the seed's daily summary."""
    kinds = await rollups.by_name(connection, scope, "total", span)
    calls = kinds.get("model", NONE)
    return {
        "total_calls": calls.calls,
        "total_tokens": calls.tokens,
        "total_cost": calls.cost,
        "by_model": await _groups(connection, scope, "model", span),
        "by_function": await _groups(connection, scope, "function", span),
        "success_rate": calls.success_rate or 0,
        "requests": calls.requests,
        "errors": calls.errors,
        "aborted": calls.aborted,
        "interrupted": calls.interrupted,
        "input_tokens": calls.input_tokens,
        "output_tokens": calls.output_tokens,
        "cache_read_tokens": calls.cache_read_tokens,
        "cache_write_tokens": calls.cache_write_tokens,
        "reasoning_tokens": calls.reasoning_tokens,
        "unpriced_calls": calls.unpriced,
        "estimated_calls": calls.estimated,
        "tool_calls": kinds.get("tool", NONE).calls,
        "cache_hits": kinds.get("cache", NONE).calls,
    }


async def session(connection: AsyncConnection, scope: str, session_id: str) -> dict[str, Any]:
    """All calls of a session; zeros when there were none."""
    return _short(await rollups.all_time(connection, scope, "session", session_id))


async def top_users(connection: AsyncConnection, scope: str, zone: Zone, at: float, *, days: int, limit: int) -> Any:
    """The users who cost most in the last days."""
    return {
        "period_days": days,
        "top_users": await users_of(connection, scope, zone.last_days(days, at), limit),
    }


async def users_of(connection: AsyncConnection, scope: str, span: Span, limit: int) -> list[dict[str, Any]]:
    """The users who cost most in a span; calls of nobody in particular are no user's."""
    found = await rollups.dearest(connection, scope, "user", span, limit + 1)
    return [{"user_id": name, **_short(sums)} for name, sums in found.items() if name][:limit]


async def cost_trend(connection: AsyncConnection, scope: str, zone: Zone, at: float, *, days: int) -> dict[str, Any]:
    """The cost of every day, the oldest first, days without calls at 0."""
    last = zone.today(at)
    first = last - timedelta(days=days - 1)
    found = await daily_cost(connection, scope, zone, first, last)
    return {
        "period_days": days,
        "data": [{"date": day.isoformat(), "cost": found.get(day, NONE).cost} for day in dates(first, last)],
    }


async def daily_cost(connection: AsyncConnection, scope: str, zone: Zone, first: date, last: date) -> dict[date, Sums]:
    """The sums of model calls for each day that had any."""
    rows = await rollups.by_day(connection, scope, "total", zone.days(first, last), zone, ["model"])
    return {date_of(day): sums for day, _, sums in rows}


async def breakdown(connection: AsyncConnection, scope: str, by: str, span: Span) -> list[dict[str, Any]]:
    """Every name of a dimension, the dearest first; calls without one are under null."""
    found = await rollups.dearest(connection, scope, by, span, MOST_NAMES)
    return [{"name": name or None, **_short(sums), "success_rate": sums.success_rate} for name, sums in found.items()]


def dearest(found: Mapping[str, Sums]) -> list[tuple[str, Sums]]:
    """Names by cost, then by calls, then by themselves, so that the order never jumps."""
    return sorted(found.items(), key=lambda item: (-item[1].cost_nano, -item[1].calls, item[0]))


async def _calls(connection: AsyncConnection, scope: str, span: Span) -> Sums:
    return (await rollups.by_name(connection, scope, "total", span, ["model"])).get("model", NONE)


async def _groups(connection: AsyncConnection, scope: str, dimension: str, span: Span) -> dict[str, Any]:
    found = await rollups.by_name(connection, scope, dimension, span)
    named: dict[str, Sums] = {}
    for name, sums in dearest(found):
        named[name or UNKNOWN] = named.get(name or UNKNOWN, NONE).plus(sums)
    return {name: {"calls": sums.calls, "total_tokens": sums.tokens, "cost": sums.cost} for name, sums in named.items()}


def _short(sums: Sums) -> dict[str, Any]:
    return {"calls": sums.calls, "tokens": sums.tokens, "cost": sums.cost}
