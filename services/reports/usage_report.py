"""Collects what a usage report shows from the usage service; sums are exact, as the ledger's are."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from services.reports.errors import BuildError, UsageUnavailableError
from services.reports.reach import UsageClient

# Each grouping and the event's field behind it.
GROUPS = {"model": "model", "function": "function", "user": "user_id", "key": "key_id", "provider": "provider"}
PAGE = 500
MOST_EVENTS = 300_000
# The usage service groups this much by itself; longer spans are added up here, from the events.
LONGEST_BREAKDOWN_DAYS = 90


class SpanTooLargeError(BuildError):
    """There are too many events in this period for one report."""

    code = "too_many_events"


async def collect(
    client: UsageClient,
    days: int,
    key_id: str | None,
    reporting: tuple[str, str],
    now: datetime,
    *,
    with_events: bool,
) -> dict[str, Any]:
    """Totals, groups and days of the span; every single event too when a format needs them."""
    zone, currency = reporting
    today = now.astimezone(ZoneInfo(zone))
    first = (today - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    is_long = days > LONGEST_BREAKDOWN_DAYS
    events = await _events(client, key_id, first) if with_events or is_long else None
    if is_long:
        groups, trend = grouped(events or [], currency), by_day(events or [], first, days, currency)
    else:
        asked = {name: await client.get("breakdown", {"by": name, "days": days}, key_id) for name in GROUPS}
        groups = {name: _rows(answer) for name, answer in asked.items()}
        trend = _rows(await client.get("cost_trend", {"days": days}, key_id))
    by_model = groups["model"]
    calls = sum(int(row.get("calls", 0)) for row in by_model)
    good = sum(float(row.get("success_rate") or 0.0) * int(row.get("calls", 0)) for row in by_model)
    return {
        "period_days": days,
        "generated_at": now.isoformat(timespec="seconds"),
        "timezone": zone,
        "currency": currency,
        "first_day": first.date().isoformat(),
        "last_day": today.date().isoformat(),
        "key_id": key_id,
        "total_calls": calls,
        "total_tokens": sum(int(row.get("tokens", 0)) for row in by_model),
        "total_cost": exact_sum(row.get("cost") for row in by_model),
        "success_rate": round(good / calls, 2) if calls else None,
        "groups": groups,
        "days": trend,
        "events": events if with_events else None,
    }


def grouped(events: list[dict[str, Any]], currency: str) -> dict[str, list[dict[str, Any]]]:
    """Model calls by each name, the dearest first; a cost in another currency is not mixed in."""
    calls = [event for event in events if event.get("kind") in (None, "model")]
    return {group: _sums(calls, field, currency) for group, field in GROUPS.items()}


def _sums(calls: list[dict[str, Any]], field: str, currency: str) -> list[dict[str, Any]]:
    named: dict[str, list[dict[str, Any]]] = {}
    for event in calls:
        named.setdefault(str(event.get(field) or ""), []).append(event)
    rows = [
        {
            "name": name,
            "calls": len(found),
            "tokens": sum(int(event.get("total_tokens") or 0) for event in found),
            "cost": _cost(found, currency),
            "success_rate": round(100 * sum(bool(event.get("success")) for event in found) / len(found), 2),
        }
        for name, found in named.items()
    ]
    return sorted(rows, key=lambda row: -float(row["cost"]))


def _cost(events: list[dict[str, Any]], currency: str) -> float:
    return exact_sum(event.get("cost") for event in events if event.get("currency") == currency)


def by_day(events: list[dict[str, Any]], first: datetime, days: int, currency: str) -> list[dict[str, Any]]:
    """One row for every day of the span, days without calls at 0."""
    spent: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event.get("kind") in (None, "model"):
            on = datetime.fromtimestamp(when(event), first.tzinfo).date().isoformat()
            spent.setdefault(on, []).append(event)
    dates = [(first.date() + timedelta(days=index)).isoformat() for index in range(days)]
    return [{"date": on, "cost": _cost(spent.get(on, []), currency)} for on in dates]


def exact_sum(values: Any) -> float:
    """Sum of decimal figures as they are written; binary rounding would lose the last unit."""
    return float(sum((Decimal(repr(value)) for value in values if value is not None), Decimal(0)))


def _rows(answer: Any) -> list[dict[str, Any]]:
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise UsageUnavailableError("the usage service's answer has another shape")
    return [row for row in rows if isinstance(row, dict)]


async def _events(client: UsageClient, key_id: str | None, first: datetime) -> list[dict[str, Any]]:
    """Every event since the first day, oldest first."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        if len(found) > MOST_EVENTS:
            raise SpanTooLargeError
        page = await client.get("events", {"limit": PAGE, "cursor": cursor}, key_id)
        rows = page.get("events") or []
        inside = [row for row in rows if when(row) >= first.timestamp()]
        found += inside
        cursor = page.get("next_cursor")
        if not cursor or len(inside) < len(rows):
            break
    return found[::-1]


def when(event: dict[str, Any]) -> float:
    """An event's time, told in Unix seconds or as ISO."""
    told = event.get("timestamp")
    if isinstance(told, str):
        return datetime.fromisoformat(told).timestamp()
    return float(told or 0.0)
