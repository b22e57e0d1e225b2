"""The totals of sessions, added up again from all their events: they are of no day, so they are proved apart."""

from collections.abc import Iterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.event import event_of_row
from services.usage.rollup import Key, Rollup
from services.usage.store import events, ledger, proof
from services.usage.zone import Zone

_AT_ONCE = 200


def in_portions(session_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many sessions as are read at once."""
    for at in range(0, len(session_ids), _AT_ONCE):
        yield session_ids[at : at + _AT_ONCE]


async def whole(connection: AsyncConnection, session_ids: Sequence[str], whole_from: int) -> list[str]:
    """The sessions none of whose events were forgotten."""
    first = await proof.first_seen(connection, session_ids)
    return [name for name in session_ids if first.get(name, whole_from * 1_000_000) >= whole_from * 1_000_000]


async def added_up(connection: AsyncConnection, zone: Zone, session_ids: Sequence[str]) -> Rollup:
    """What the events of the sessions say."""
    fresh = Rollup(zone)
    async for rows in events.of_sessions(connection, session_ids):
        known = await events.corrected(connection, [str(row.event_id) for row in rows])
        for row in rows:
            event = event_of_row(row)
            fresh.add_standing(event, known.get(event.event_id, ()))
    fresh.keep_sessions()
    return fresh


async def stored(connection: AsyncConnection, session_ids: Sequence[str], fresh: Rollup) -> dict[Key, list[int]]:
    """What was added up when they were booked."""
    return await proof.read_sessions(connection, session_ids, _scopes(fresh))


async def replace(connection: AsyncConnection, session_ids: Sequence[str], fresh: Rollup) -> None:
    """Put the totals right, within a transaction that holds the writer's lock."""
    await proof.delete_sessions(connection, session_ids, _scopes(fresh))
    await ledger.roll_up(connection, fresh)


def _scopes(fresh: Rollup) -> list[str]:
    return sorted({"", *(key[0] for key in fresh.sums)})
