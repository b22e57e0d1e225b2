"""The rollups of one UTC day as they are stored, for comparing and replacing."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.rollup import ALL_TIME, Key, LatencyKey, Rollup
from services.usage.store import events, ledger
from services.usage.tables import MEASURES, latency, rollups, sessions
from services.usage.zone import DAY, HOUR, utc_day

_DIMENSIONS = ("total", "model", "function", "user", "key", "anchor", "provider", "status", "use", "tool", "cache")
SESSIONS = ("session", "session tool", "session cache")
_MEASURES = ("duration", "ttft", "tool")
_MICRO = 1_000_000


async def busy_days(connection: AsyncConnection, first: int, last: int) -> set[int]:
    """The UTC days that rollups know of or that events lie in: what neither has cannot differ."""
    table = rollups.c
    days: set[int] = set()
    moment = first
    while (at := await events.next_at(connection, moment * _MICRO)) is not None and at < last * _MICRO:
        day = utc_day(at // _MICRO)
        # Zones off the full hour count the first minutes of a day to an hour of the day before.
        days |= {day - DAY, day}
        moment = day + DAY
    found = await connection.execute(
        select(table.bucket)
        .where(table.scope == "", table.dimension == "total", table.grain == DAY)
        .where(table.bucket >= first, table.bucket < last)
    )
    return days | {int(bucket) for bucket in found.scalars()}


async def read_day(connection: AsyncConnection, day: int, scopes: set[str]) -> dict[Key, list[int]]:
    """All rows of the day with anything in them, for the given scopes and those that the day's own rows name."""
    table = rollups.c
    keys = await connection.execute(
        select(table.name).where(
            table.scope == "", table.dimension == "key", table.grain == DAY, table.bucket == day, table.name != ""
        )
    )
    statement = select(rollups).where(_of_day(day, sorted({*scopes, "", *keys.scalars()})))
    found: dict[Key, list[int]] = {}
    for row in await connection.execute(statement):
        values = [int(getattr(row, measure)) for measure in MEASURES]
        if any(values):
            key: Key = (row.scope, row.dimension, int(row.grain), int(row.bucket), row.name)
            found[key] = values
    return found


async def read_latency(connection: AsyncConnection, day: int, scopes: set[str]) -> dict[LatencyKey, int]:
    """The histograms of the day for the given scopes."""
    found = await connection.execute(select(latency).where(_histograms_of_day(day, sorted({*scopes, ""}))))
    return {
        (row.scope, row.measure, int(row.grain), row.name, int(row.bucket), int(row.step)): int(row.count)
        for row in found.mappings()
    }


async def first_seen(connection: AsyncConnection, session_ids: Sequence[str]) -> dict[str, int]:
    """When sessions were first seen, in microseconds."""
    table = sessions.c
    statement = select(table.session_id, table.first_us).where(table.scope == "", table.session_id.in_(session_ids))
    return {row.session_id: int(row.first_us) for row in await connection.execute(statement)}


async def read_sessions(
    connection: AsyncConnection, session_ids: Sequence[str], scopes: Sequence[str]
) -> dict[Key, list[int]]:
    """All totals of some sessions with anything in them."""
    found: dict[Key, list[int]] = {}
    for row in await connection.execute(select(rollups).where(_of_sessions(session_ids, scopes))):
        values = [int(getattr(row, measure)) for measure in MEASURES]
        if any(values):
            found[row.scope, row.dimension, int(row.grain), int(row.bucket), row.name] = values
    return found


async def delete_sessions(connection: AsyncConnection, session_ids: Sequence[str], scopes: Sequence[str]) -> None:
    """Forget all totals of some sessions."""
    await connection.execute(delete(rollups).where(_of_sessions(session_ids, scopes)))


def _of_sessions(session_ids: Sequence[str], scopes: Sequence[str]) -> ColumnElement[bool]:
    table = rollups.c
    return and_(
        table.scope.in_(scopes),
        table.dimension.in_(SESSIONS),
        table.grain == ALL_TIME,
        table.name.in_(session_ids),
    )


async def replace_day(connection: AsyncConnection, day: int, fresh: Rollup) -> None:
    """Put the day's rows right; totals of sessions are not of a day and stay."""
    scopes = sorted({key[0] for key in fresh.sums} | {key[0] for key in await read_day(connection, day, set())})
    await connection.execute(delete(rollups).where(_of_day(day, scopes)))
    await connection.execute(delete(latency).where(_histograms_of_day(day, scopes)))
    fresh.keep_days()
    await ledger.roll_up(connection, fresh)


def _histograms_of_day(day: int, scopes: list[str]) -> ColumnElement[bool]:
    return and_(latency.c.scope.in_(scopes), latency.c.measure.in_(_MEASURES), _within(latency, day))


def _of_day(day: int, scopes: list[str]) -> ColumnElement[bool]:
    return and_(rollups.c.scope.in_(scopes), rollups.c.dimension.in_(_DIMENSIONS), _within(rollups, day))


def _within(table: Table, day: int) -> ColumnElement[bool]:
    """The rows of the day's hours, and those of the day."""
    grain, bucket = table.c.grain, table.c.bucket
    return or_(and_(grain == HOUR, bucket >= day, bucket < day + DAY), and_(grain == DAY, bucket == day))
