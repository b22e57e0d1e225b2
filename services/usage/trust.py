"""Whether the numbers can be trusted: how fresh they are, what is on its way, what is missing, unpriced or doubted."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import metrics, sequence
from services.usage.ledger import Ledger
from services.usage.store import events, rollups
from services.usage.store import ledger as store
from services.usage.sums import NONE, total
from services.usage.zone import DAY, Span, utc_day
from shared import clock
from shared.messages.router import USAGE_QUEUE

_MICRO = 1_000_000
_UNPRICED_DAYS = 7
PROOF = "proof"
# A batch waits at most this long on purpose; below it nothing lags.
_CALM_SECONDS = 1.0
_JUST_NOW_SECONDS = 10.0
_KEPT_IN_TABLES = ("events", "events_total", "gaps", "unpriced", "quarantined", "drift_events", "complete_until")
_OTHERS = ("lag_events", "queue_depth", "spool_events", "last_event_at", "booked_at")


async def trust(connection: AsyncConnection, ledger: Ledger, scope: str, *, sees_all: bool = True) -> dict[str, Any]:
    """The strip above every figure. A key is told what concerns its own figures, not how busy others are."""
    strip = await _whole(connection, ledger, scope)
    if sees_all:
        return strip
    own = await rollups.by_name(connection, scope, "total", Span(0, utc_day(int(clock.now())) + 2 * DAY))
    return {
        **strip,
        **dict.fromkeys(_OTHERS),
        "freshness_seconds": strip["lag_seconds"],
        "events_total": total(own.values()).calls,
    }


async def _whole(connection: AsyncConnection, ledger: Ledger, scope: str) -> dict[str, Any]:
    now = clock.now()
    booked = await store.read_state(connection, "booked") or {}
    proof = await store.read_state(connection, PROOF) or {}
    depth = await ledger.resources.bus.depth(USAGE_QUEUE)
    spool = ledger.resources.spool
    waiting = spool.events_waiting
    calls = await rollups.by_name(connection, scope, "total", ledger.zone.last_days(_UNPRICED_DAYS, now), ["model"])
    producers = await events.seen_by_producer(connection)
    lag = _lag(now, booked, ledger, depth)
    gaps = sum(low_high[1] - low_high[0] + 1 for row in producers for low_high in _holes(row))
    metrics.QUEUE.set(depth or 0)
    metrics.GAPS.set(gaps)
    metrics.SPOOL.set(waiting)
    metrics.SPOOL_AGE.set(max(0.0, now - spool.oldest_waiting) if waiting and spool.oldest_waiting else 0)
    quarantined = await events.quarantine_size(connection)
    metrics.QUARANTINE.set(quarantined)
    return {
        "freshness_seconds": _freshness(now, booked, lag),
        "lag_seconds": lag,
        "lag_events": (depth or 0) + waiting,
        "queue_depth": depth,
        "database_connected": True,
        "bus_connected": ledger.resources.bus.connected,
        "spool_events": waiting,
        "gaps": gaps,
        "unpriced": calls.get("model", NONE).unpriced,
        "unpriced_days": _UNPRICED_DAYS,
        "quarantined": quarantined,
        "drift_events": proof.get("drift_events", 0),
        "drift_checked_at": proof.get("checked_at"),
        "last_event_at": _iso(ledger, booked.get("last_event_us")),
        "booked_at": _iso(ledger, booked.get("at_us")),
        "events_total": booked.get("events", 0),
        "complete_until": _iso(ledger, round((now - lag) * _MICRO)) if not gaps else None,
        "prices_at": ledger.prices.newest_at(),
        "price_table": ledger.prices.describe(),
        "zone": ledger.zone.name,
        "timezone": ledger.zone.name,
        "currency": ledger.currency,
    }


async def health(connection: AsyncConnection, ledger: Ledger, scope: str, *, sees_all: bool) -> dict[str, Any]:
    """The strip with its details; a key sees only the strip."""
    strip = await trust(connection, ledger, scope, sees_all=sees_all)
    calm = strip["bus_connected"] and not (
        strip["gaps"] or strip["unpriced"] or strip["quarantined"] or strip["drift_events"]
    )
    body = {
        "status": "ok" if calm and strip["lag_seconds"] < 60 else "degraded",
        **strip,
        "freshness": strip["freshness_seconds"],
        "events": strip["events_total"],
        "lag": strip["lag_events"],
    }
    if sees_all:
        body |= await _details(connection, ledger)
    return body


async def blind(ledger: Ledger, *, sees_all: bool) -> dict[str, Any]:
    """What can be told without the database: what waits for it, and since when."""
    now, depth, spool = clock.now(), await ledger.resources.bus.depth(USAGE_QUEUE), ledger.resources.spool
    lag = round(now - ledger.live.number / 1000, 3)
    waiting = (depth or 0) + spool.events_waiting
    told = {
        "status": "degraded",
        "freshness": lag,
        "freshness_seconds": lag,
        "lag": waiting,
        "lag_seconds": lag,
        "lag_events": waiting,
        "queue_depth": depth,
        "database_connected": False,
        "bus_connected": ledger.resources.bus.connected,
        "spool_events": spool.events_waiting,
        **dict.fromkeys(_KEPT_IN_TABLES),
        "zone": ledger.zone.name,
        "timezone": ledger.zone.name,
        "currency": ledger.currency,
    }
    return told if sees_all else {**told, "lag": None, **dict.fromkeys(_OTHERS)}


async def _details(connection: AsyncConnection, ledger: Ledger) -> dict[str, Any]:
    now = clock.now()
    span = ledger.zone.last_days(_UNPRICED_DAYS, now)
    models = await rollups.by_name(connection, "", "model", span)
    unpriced = [
        {"provider": None, "model": name or None, "events": sums.unpriced, "tokens": sums.tokens}
        for name, sums in sorted(models.items(), key=lambda item: -item[1].unpriced)
        if sums.unpriced
    ]
    return {
        "producers": [_producer(ledger, row) for row in await events.seen_by_producer(connection)],
        "unpriced_models": unpriced,
        "quarantine": [_quarantined(ledger, row) for row in await events.quarantined(connection)],
        "drift": await store.read_state(connection, PROOF),
        "partitions": sorted(await events.partitions(connection)),
    }


def _lag(now: float, booked: Mapping[str, Any], ledger: Ledger, depth: int | None) -> float:
    """How old the oldest event may be that is still on its way; 0 when nothing is."""
    spool, since_booking = ledger.resources.spool, now - booked.get("at_us", round(now * _MICRO)) / _MICRO
    ages = [0.0]
    if spool.events_waiting and spool.oldest_waiting:
        ages.append(now - spool.oldest_waiting)
    # Without the broker nobody can say what waits in other processes: since the last booking, anything may.
    if depth or not ledger.resources.bus.connected:
        ages.append(since_booking)
    age = max(ages)
    return round(age, 3) if age > _CALM_SECONDS else 0.0


def _freshness(now: float, booked: Mapping[str, Any], lag: float) -> float | None:
    """How far the figures are behind: what lags, else how long the last events took if that was just now."""
    if not booked:
        return None
    last: float = booked["lag_seconds"] if now - booked["at_us"] / _MICRO < _JUST_NOW_SECONDS else 0.0
    return max(lag, last)


def _producer(ledger: Ledger, row: Any) -> dict[str, Any]:
    ranges = sequence.loads(row.seen)
    return {
        "producer": row.producer,
        "service": None,
        "first_sequence": ranges[0][0] if ranges else None,
        "last_sequence": ranges[-1][1] if ranges else None,
        "seen": sequence.count(ranges),
        "missing": [{"from": low, "to": high} for low, high in _holes(row)[:50]],
        "last_at": _iso(ledger, row.last_us),
    }


def _quarantined(ledger: Ledger, row: Any) -> dict[str, Any]:
    excerpt = bytes(row.body[:200]).decode("utf-8", "replace")
    return {"at": _iso(ledger, row.at_us), "reason": row.reason, "excerpt": excerpt}


def _holes(row: Any) -> Sequence[Sequence[int]]:
    return sequence.missing(sequence.loads(row.seen))


def _iso(ledger: Ledger, micro: int | None) -> str | None:
    return ledger.zone.iso(micro / _MICRO) if micro else None
