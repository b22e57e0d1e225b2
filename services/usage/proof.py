"""The proof: rollups computed again from the events, compared with those that were added up, and put right if asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import metrics, session_totals
from services.usage.event import event_of_row
from services.usage.rollup import Key, LatencyKey, Rollup
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
                seen = await self._day(connection, zone, day, found, repair=repair)
            await self._sessions(zone, seen, found, repair=repair)
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

    async def _sessions(self, zone: Zone, seen: set[str], found: "_Found", *, repair: bool) -> None:
        """The totals of the sessions that a day has seen, each looked at once."""
        fresh = sorted(seen - found.sessions)
        found.sessions |= seen
        for portion in session_totals.in_portions(fresh):
            async with self._transaction(repair=repair) as connection:
                whole_from = await ledger.read_state(connection, WHOLE_FROM) or 0
                names = await session_totals.whole(connection, portion, whole_from)
                wanted = await session_totals.added_up(connection, zone, names)
                stored = await session_totals.stored(connection, names, wanted)
                differs = found.compare(wanted.sums, stored)
                if repair and differs:
                    await session_totals.replace(connection, names, wanted)

    async def _day(
        self, connection: AsyncConnection, zone: Zone, day: int, found: "_Found", *, repair: bool
    ) -> set[str]:
        """Compare a day; the sessions it has seen."""
        seen: set[str] = set()
        fresh = Rollup(zone)
        start, end = _first_bucket(zone, day), _first_bucket(zone, day + DAY)
        async for rows in store.between(connection, start * _MICRO, end * _MICRO):
            corrections = await store.corrected(connection, [str(row.event_id) for row in rows])
            for row in rows:
                event = event_of_row(row)
                fresh.add_standing(event, corrections.get(event.event_id, ()))
                if event.session_id:
                    seen.add(event.session_id)
            found.events += len(rows)
        fresh.add_days()
        wanted = {key: values for key, values in fresh.sums.items() if key[2] in (HOUR, DAY) and any(values)}
        scopes = {key[0] for key in wanted}
        stored = await proof.read_day(connection, day, scopes)
        differs = found.compare(wanted, stored)
        differs |= found.compare_latency(fresh.counts, await proof.read_latency(connection, day, scopes))
        if repair and differs:
            await proof.replace_day(connection, day, fresh)
        return seen


class _Found:
    """What the comparison has seen so far."""

    def __init__(self) -> None:
        self.buckets = 0
        self.events = 0
        self.drift_events = 0
        self.drift_nano = 0
        self.rows = 0
        self.sessions: set[str] = set()
        self.differences: list[tuple[Key, list[int], list[int]]] = []

    def compare(self, wanted: dict[Key, list[int]], stored: dict[Key, list[int]]) -> bool:
        """Count every row that is not what the events say; whether there is one."""
        before = self.rows
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
        return self.rows > before

    def compare_latency(self, wanted: dict[LatencyKey, int], stored: dict[LatencyKey, int]) -> bool:
        """The same for histograms of durations: one row of the result for all steps of a bucket."""
        if wanted == stored:
            return False
        wrong = {key for key in wanted.keys() | stored.keys() if wanted.get(key, 0) != stored.get(key, 0)}
        for scope, measure, grain, name, bucket in sorted({key[:5] for key in wrong}):
            self.rows += 1
            if len(self.differences) < MOST_TOLD:
                place = (scope, measure, grain, name, bucket)
                should, does = (
                    sum(count for key, count in counts.items() if key[:5] == place) for counts in (wanted, stored)
                )
                rest = [0] * (len(MEASURES) - 1)
                key: Key = (scope, f"{measure} histogram", grain, bucket, name)
                self.differences.append((key, [should, *rest], [does, *rest]))
        return True

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
