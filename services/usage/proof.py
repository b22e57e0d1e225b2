"""The proof: rollups computed again from the events, compared with those that were added up, and put right if asked."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import metrics
from services.usage.event import Event
from services.usage.rollup import Key, Rollup
from services.usage.store import events as store
from services.usage.store import ledger, proof
from services.usage.tables import MEASURES
from services.usage.zone import DAY, HOUR, Zone, utc_day, zone_of
from shared import clock
from shared.config import LiveConfig
from shared.database import Database
from shared.money import decimal_of

log = structlog.get_logger(__name__)

PROOF = "proof"
WHOLE_FROM = "whole_from"
MOST_TOLD = 50
_MICRO = 1_000_000
_CALLS, _COST = MEASURES.index("calls"), MEASURES.index("cost_nano")


class Proof:
    """Compares, a UTC day at a time, within one snapshot each."""

    def __init__(self, database: Database, config: LiveConfig) -> None:
        self._database = database
        self._config = config

    async def run(self, days: int | None = None, *, repair: bool = False) -> dict[str, Any]:
        """Prove the last days, or all there ever were; remembered as the last proof."""
        zone = zone_of(self._config.current.usage.timezone)
        found = _Found()
        for day in await self.days(days):
            async with self._transaction(repair=repair) as connection:
                await self._day(connection, zone, day, found, repair=repair)
        told = found.told(zone)
        async with self._database.begin() as connection:
            await ledger.write_state(connection, PROOF, msgspec.json.decode(_encoded(told)))
        metrics.DRIFT.set(found.drift_events)
        log.info("proved", buckets=found.buckets, events=found.events, ok=told["ok"])
        return told

    async def days(self, days: int | None) -> list[int]:
        """The UTC days to prove, the oldest first."""
        last = utc_day(int(clock.now())) + DAY
        async with self._database.read() as connection:
            first_us = await store.first_at(connection)
            whole_from = await ledger.read_state(connection, WHOLE_FROM) or 0
        zone = zone_of(self._config.current.usage.timezone)
        # Where events were forgotten the rollups are all there is, and nothing can be proved.
        first = max(utc_day(zone.bucket(first_us / _MICRO)) if first_us is not None else last, whole_from)
        if days is not None:
            first = max(first, last - days * DAY)
        async with self._database.read() as connection:
            busy = await proof.busy_days(connection, first, last)
        return sorted(day for day in busy if day >= first)

    async def repair_day(self, connection: AsyncConnection, day: int) -> None:
        """Put one UTC day's rollups right, within a transaction that holds the writer's lock."""
        zone = zone_of(self._config.current.usage.timezone)
        await self._day(connection, zone, day, _Found(), repair=True)

    @asynccontextmanager
    async def _transaction(self, *, repair: bool) -> AsyncIterator[AsyncConnection]:
        if repair:
            async with self._database.begin() as connection:
                await ledger.lock(connection)
                yield connection
        else:
            async with self._database.read() as connection:
                await _snapshot(connection)
                yield connection

    async def _day(self, connection: AsyncConnection, zone: Zone, day: int, found: "_Found", *, repair: bool) -> None:
        fresh = Rollup(zone)
        start, end = _first_bucket(zone, day), _first_bucket(zone, day + DAY)
        async for rows in store.between(connection, start * _MICRO, end * _MICRO):
            corrections = await store.corrected(connection, [str(row.event_id) for row in rows])
            for row in rows:
                event = event_of_row(row)
                fresh.add(event)
                for entry in standing(event, corrections.get(event.event_id, ())):
                    fresh.correct(event, entry.base_nano, entry.priced)
            found.events += len(rows)
        fresh.add_days()
        wanted = {key: values for key, values in fresh.sums.items() if key[2] in (HOUR, DAY) and any(values)}
        stored = await proof.read_day(connection, day, {key[0] for key in wanted})
        found.compare(wanted, stored)
        if repair and wanted != stored:
            await proof.replace_day(connection, day, fresh)


class _Found:
    """What the comparison has seen so far."""

    def __init__(self) -> None:
        self.buckets = 0
        self.events = 0
        self.drift_events = 0
        self.drift_nano = 0
        self.rows = 0
        self.differences: list[tuple[Key, list[int], list[int]]] = []

    def compare(self, wanted: dict[Key, list[int]], stored: dict[Key, list[int]]) -> None:
        """Count every row that is not what the events say."""
        nothing = [0] * len(MEASURES)
        self.buckets += len(wanted)
        for key in sorted(wanted.keys() | stored.keys()):
            should, does = wanted.get(key, nothing), stored.get(key, nothing)
            if should == does:
                continue
            self.rows += 1
            if len(self.differences) < MOST_TOLD:
                self.differences.append((key, should, does))
            if key[:3] == ("", "total", HOUR):
                self.drift_events += abs(should[_CALLS] - does[_CALLS])
                self.drift_nano += abs(should[_COST] - does[_COST])

    def told(self, zone: Zone) -> dict[str, Any]:
        """The result in the shape of the API."""
        return {
            "checked_at": zone.iso(clock.now()),
            "buckets": self.buckets,
            "events": self.events,
            "drift_events": self.drift_events,
            "drift_cost": decimal_of(self.drift_nano),
            "drift_rows": self.rows,
            "ok": self.rows == 0,
            "differences": [
                {
                    "bucket": zone.iso(key[3]),
                    "scope": key[0] or None,
                    "dimension": key[1],
                    "name": key[4] or None,
                    "events": should[_CALLS],
                    "rollup_events": does[_CALLS],
                    "cost": decimal_of(should[_COST]),
                    "rollup_cost": decimal_of(does[_COST]),
                }
                for key, should, does in self.differences
            ],
        }


def standing(event: Any, entries: Iterable[Any]) -> list[Any]:
    """The corrections that count where the event counts; those of closed months are events of their own."""
    return [entry for entry in entries if entry.at_us == event.at_us]


def event_of_row(row: Any) -> Event:
    """The event that a row of the table holds."""
    values = dict(row._mapping)  # noqa: SLF001 -- SQLAlchemy's public name of a row's mapping
    return Event(**{**values, "event_id": str(values["event_id"])})


def _first_bucket(zone: Zone, moment: int) -> int:
    """The first bucket that begins at or after a moment."""
    bucket = zone.bucket(moment)
    return bucket if bucket >= moment else zone.bucket(bucket + HOUR)


async def _snapshot(connection: AsyncConnection) -> None:
    """Have every statement that follows see the same state."""
    postgres = connection.dialect.name == "postgresql"
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ" if postgres else "BEGIN"))


def _encoded(value: Any) -> bytes:
    return msgspec.json.Encoder(decimal_format="number").encode(value)


def nightly(zone: Zone, at: float) -> float:
    """Seconds until a quarter past three on the zone's clock, when the nightly proof runs."""
    local = zone.local(at)
    due = local.replace(hour=3, minute=15, second=0, microsecond=0)
    if due <= local:
        due += timedelta(days=1)
    return max(1.0, due.timestamp() - at)
