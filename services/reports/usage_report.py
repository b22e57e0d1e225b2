"""Collects what a usage report shows from the usage service; sums are exact, as the ledger's are."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from services.reports.errors import UsageUnavailableError
from services.reports.reach import UsageClient

GROUPS = ("model", "function", "user", "key", "provider")
PAGE = 500
MOST_EVENTS = 500_000


async def collect(
    client: UsageClient, days: int, key_id: str | None, zone: str, now: datetime, *, with_events: bool
) -> dict[str, Any]:
    """Totals, groups and days of the span; every single event too when a format needs them."""
    trend = await client.get("cost_trend", {"days": days}, key_id)
    groups = {group: _rows(await client.get("breakdown", {"by": group, "days": days}, key_id)) for group in GROUPS}
    by_model = groups["model"]
    first = (now.astimezone(ZoneInfo(zone)) - timedelta(days=days - 1)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    calls = sum(int(row.get("calls", 0)) for row in by_model)
    good = sum(float(row.get("success_rate") or 0.0) * int(row.get("calls", 0)) for row in by_model)
    return {
        "period_days": days,
        "generated_at": now.isoformat(timespec="seconds"),
        "timezone": zone,
        "first_day": first.date().isoformat(),
        "last_day": now.astimezone(ZoneInfo(zone)).date().isoformat(),
        "key_id": key_id,
        "total_calls": calls,
        "total_tokens": sum(int(row.get("tokens", 0)) for row in by_model),
        "total_cost": exact_sum(row.get("cost") for row in by_model),
        "success_rate": round(good / calls, 2) if calls else None,
        "groups": groups,
        "days": _rows(trend),
        "events": await _events(client, key_id, first) if with_events else None,
    }


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
    while len(found) < MOST_EVENTS:
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
