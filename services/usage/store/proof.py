"""The rollups of one UTC day as they are stored, for comparing and replacing."""

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.rollup import Key, Rollup
from services.usage.store import events, ledger
from services.usage.tables import MEASURES, latency, rollups
from services.usage.zone import DAY, HOUR, utc_day

_DIMENSIONS = ("total", "model", "function", "user", "key", "anchor", "provider", "status", "use", "tool", "cache")
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


async def replace_day(connection: AsyncConnection, day: int, fresh: Rollup) -> None:
    """Put the day's rows right; totals of sessions are not of a day and stay."""
    scopes = sorted({key[0] for key in fresh.sums} | {key[0] for key in await read_day(connection, day, set())})
    await connection.execute(delete(rollups).where(_of_day(day, scopes)))
    table = latency.c
    await connection.execute(
        delete(latency).where(
            table.scope.in_(scopes),
            table.measure.in_(_MEASURES),
            or_(
                and_(table.grain == HOUR, table.bucket >= day, table.bucket < day + DAY),
                and_(table.grain == DAY, table.bucket == day),
            ),
        )
    )
    fresh.sums = {key: values for key, values in fresh.sums.items() if key[2] in (HOUR, DAY)}
    fresh.sessions.clear()
    await ledger.roll_up(connection, fresh)


def _of_day(day: int, scopes: list[str]) -> ColumnElement[bool]:
    table = rollups.c
    return and_(
        table.scope.in_(scopes),
        table.dimension.in_(_DIMENSIONS),
        or_(
            and_(table.grain == HOUR, table.bucket >= day, table.bucket < day + DAY),
            and_(table.grain == DAY, table.bucket == day),
        ),
    )
