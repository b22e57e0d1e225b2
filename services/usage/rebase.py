"""Counting everything again when the reporting currency changes, or the zone's hours begin at other minutes.

What an event cost never changes; what it counts in statistics is derived from it, and so are the rollups.
"""

from typing import Any

import structlog
from sqlalchemy import bindparam, delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.event import event_of_row
from services.usage.ledger import Ledger
from services.usage.rollup import ALL_TIME, Rollup
from services.usage.store import events as store
from services.usage.store import ledger as state
from services.usage.store.proof import SESSIONS
from services.usage.tables import corrections, events, rollups
from services.usage.zone import DAY, HOUR, Zone
from shared import clock

log = structlog.get_logger(__name__)

BASIS = "basis"
_MICRO = 1_000_000


class Rebase:
    """Notices that the configuration counts differently than the rollups do, and puts them right day by day."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._database = ledger.resources.database

    async def look(self) -> bool:
        """Count again if the basis changed; whether it had."""
        wanted = {"currency": self._ledger.currency, "minutes": _minutes(self._ledger.zone)}
        async with self._database.begin() as connection:
            found = await state.read_state(connection, BASIS)
            if found is None:
                await state.write_state(connection, BASIS, wanted)
        if found is None or found == wanted:
            return False
        log.warning("counting_again", before=found, now=wanted)
        currency_changed = found["currency"] != wanted["currency"]
        for day in await self._ledger.proof.days(None):
            await self._day(day, currency_changed=currency_changed)
        await self._sessions()
        async with self._database.begin() as connection:
            await state.write_state(connection, BASIS, wanted)
        self._ledger.live.touch()
        log.info("counted_again")
        return True

    async def _day(self, day: int, *, currency_changed: bool) -> None:
        async with self._database.begin() as connection:
            await state.lock(connection)
            if currency_changed:
                # An hour more on both sides: buckets off the full hour reach over the end of the day.
                await self._convert(connection, (day - HOUR) * _MICRO, (day + DAY + HOUR) * _MICRO)
            await self._ledger.proof.repair_day(connection, day)

    async def _convert(self, connection: AsyncConnection, start_us: int, end_us: int) -> None:
        """Tell the events' costs and their corrections in the reporting currency of now."""
        rates, currency = self._ledger.prices.book.rates, self._ledger.currency
        change = update(events).where(events.c.event_id == bindparam("key")).values(base_nano=bindparam("base"))
        correct = update(corrections).where(corrections.c.id == bindparam("key")).values(base_nano=bindparam("base"))
        async for rows in store.between(connection, start_us, end_us):
            known = await store.corrected(connection, [str(row.event_id) for row in rows])
            changed: list[dict[str, Any]] = []
            entries: list[dict[str, Any]] = []
            for row in rows:
                at = row.at_us / _MICRO
                if row.cost_nano is not None:
                    base = rates.convert_nano(row.cost_nano, row.currency, currency, at)
                    changed.append({"key": str(row.event_id), "base": base})
                for entry in known.get(str(row.event_id), ()):
                    base = rates.convert_nano(entry.nano, entry.currency, currency, at)
                    entries.append({"key": entry.id, "base": base or 0})
            if changed:
                await connection.execute(change, changed)
            if entries:
                await connection.execute(correct, entries)

    async def _sessions(self) -> None:
        """Totals of sessions are of no day: all of them are counted again."""
        async with self._database.begin() as connection:
            await state.lock(connection)
            fresh = Rollup(self._ledger.zone)
            async for rows in store.between(connection, 0, 2**62):
                known = await store.corrected(connection, [str(row.event_id) for row in rows if row.session_id])
                for row in rows:
                    if row.session_id:
                        event = event_of_row(row)
                        fresh.add_standing(event, known.get(event.event_id, ()))
            fresh.keep_sessions()
            table = rollups.c
            await connection.execute(delete(rollups).where(table.grain == ALL_TIME, table.dimension.in_(SESSIONS)))
            await state.roll_up(connection, fresh)


def _minutes(zone: Zone) -> list[int]:
    """At which second the zone's hours begin, in winter and in summer: all that buckets know of a zone."""
    now = clock.now()
    return sorted({zone.offset(now - half_years * 182 * DAY) % HOUR for half_years in (0, 1)})
