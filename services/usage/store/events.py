"""Reading events, a bounded page at a time and always along an index, and the partitions that hold them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, delete, or_, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.store import ledger
from services.usage.tables import corrections, events, producers, quarantine
from services.usage.zone import DAY, utc_date, utc_day

WEEK = 7 * DAY
WEEKS_AHEAD = 4
CHUNK = 2000

# Events are in the order of their time, then of their id.
Position = tuple[int, str]


async def page(
    connection: AsyncConnection,
    limit: int,
    *,
    key_id: str | None = None,
    request_id: str | None = None,
    session_id: str | None = None,
    before: Position | None = None,
) -> Sequence[Row[Any]]:
    """Events, the newest first, that come before a position in that order."""
    table = events.c
    statement = select(events)
    for column, value in ((table.key_id, key_id), (table.request_id, request_id), (table.session_id, session_id)):
        if value is not None:
            statement = statement.where(column == value)
    if before is not None:
        at_us, event_id = before
        statement = statement.where(or_(table.at_us < at_us, and_(table.at_us == at_us, table.event_id < event_id)))
        statement = statement.where(table.at_us <= at_us)
    statement = statement.order_by(table.at_us.desc(), table.event_id.desc()).limit(limit)
    return (await connection.execute(statement)).all()


async def between(
    connection: AsyncConnection, start_us: int, end_us: int, *, key_id: str | None = None
) -> AsyncIterator[Sequence[Row[Any]]]:
    """All events of a time range, the oldest first, in chunks."""
    after: Position | None = None
    while rows := await some(connection, start_us, end_us, after, key_id=key_id):
        yield rows
        after = (rows[-1].at_us, str(rows[-1].event_id))


async def some(
    connection: AsyncConnection, start_us: int, end_us: int, after: Position | None, *, key_id: str | None = None
) -> Sequence[Row[Any]]:
    """The next events of a time range after a position, the oldest first."""
    rows: Sequence[Row[Any]] = (await connection.execute(_range(start_us, end_us, key_id, after).limit(CHUNK))).all()
    return rows


def _range(start_us: int, end_us: int, key_id: str | None, after: Position | None) -> Select[Any]:
    table = events.c
    # Where the last chunk ended is said plainly, too: from the OR below alone no index can begin there.
    first_us = start_us if after is None else max(start_us, after[0])
    statement = select(events).where(table.at_us >= first_us, table.at_us < end_us)
    if key_id is not None:
        statement = statement.where(table.key_id == key_id)
    if after is not None:
        at_us, event_id = after
        statement = statement.where(or_(table.at_us > at_us, and_(table.at_us == at_us, table.event_id > event_id)))
    return statement.order_by(table.at_us, table.event_id)


async def corrected(connection: AsyncConnection, event_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """The corrections of some events, the oldest first."""
    found: dict[str, list[Row[Any]]] = {}
    if event_ids:
        statement = select(corrections).where(corrections.c.event_id.in_(event_ids)).order_by(corrections.c.id)
        for row in await connection.execute(statement):
            found.setdefault(str(row.event_id), []).append(row)
    return found


async def next_at(connection: AsyncConnection, since_us: int) -> int | None:
    """When the first event since a moment happened, in microseconds."""
    statement = select(events.c.at_us).where(events.c.at_us >= since_us).order_by(events.c.at_us).limit(1)
    found = (await connection.execute(statement)).scalar_one_or_none()
    return None if found is None else int(found)


async def first_at(connection: AsyncConnection) -> int | None:
    """When the oldest event happened, in microseconds."""
    statement = select(events.c.at_us).order_by(events.c.at_us).limit(1)
    found = (await connection.execute(statement)).scalar_one_or_none()
    return None if found is None else int(found)


async def of_sessions(connection: AsyncConnection, session_ids: Sequence[str]) -> AsyncIterator[Sequence[Row[Any]]]:
    """All events of some sessions, in chunks."""
    after: str | None = None
    while True:
        statement = select(events).where(events.c.session_id.in_(session_ids))
        if after is not None:
            statement = statement.where(events.c.event_id > after)
        rows = (await connection.execute(statement.order_by(events.c.event_id).limit(CHUNK))).all()
        if rows:
            yield rows
        if len(rows) < CHUNK:
            return
        after = str(rows[-1].event_id)


async def last_of(connection: AsyncConnection, event_ids: Sequence[str]) -> Sequence[Row[Any]]:
    """Some events by their ids."""
    return (await connection.execute(select(events).where(events.c.event_id.in_(event_ids)))).all()


async def seen_by_producer(connection: AsyncConnection) -> Sequence[Row[Any]]:
    """What is known of every producer's sequence, the last heard first."""
    return (await connection.execute(select(producers).order_by(producers.c.last_us.desc()).limit(1000))).all()


async def quarantined(connection: AsyncConnection, limit: int = 50) -> Sequence[Row[Any]]:
    """Messages that were set aside, the newest first."""
    return (await connection.execute(select(quarantine).order_by(quarantine.c.id.desc()).limit(limit))).all()


async def quarantine_size(connection: AsyncConnection) -> int:
    """How many messages were set aside."""
    return int((await connection.execute(text("SELECT count(*) FROM usage_quarantine"))).scalar_one())


async def ensure_partitions(connection: AsyncConnection, start: float, end: float) -> int:
    """Make the weekly partitions for a time range; how many were new. SQLite has none."""
    if connection.dialect.name != "postgresql":
        return 0
    await ledger.lock(connection)
    known = await partitions(connection)
    made = 0
    week = int(start // WEEK) * WEEK
    while week < end:
        name = f"usage_events_{utc_date(week):%Y%m%d}"
        if name not in known and await _make_partition(connection, name, week):
            made += 1
        week += WEEK
    return made


async def _make_partition(connection: AsyncConnection, name: str, week: int) -> bool:
    bounds = f"FROM ('{_least_id(week)}') TO ('{_least_id(week + WEEK)}')"
    try:
        async with connection.begin_nested():
            await connection.execute(text(f"CREATE TABLE {name} PARTITION OF usage_events FOR VALUES {bounds}"))
    except DBAPIError:
        # Events of that week already lie in the default partition: they stay there, complete and unique.
        return False
    return True


async def partitions(connection: AsyncConnection) -> set[str]:
    """The names of the partitions there are."""
    if connection.dialect.name != "postgresql":
        return set()
    found = await connection.execute(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'usage_events'::regclass")
    )
    return set(found.scalars())


async def forget_before(connection: AsyncConnection, oldest: float) -> int | None:
    """Forget events from before a moment, rollups stay: whole weeks on Postgres, the very events on SQLite
    and where ids carry no time.

    Answers the UTC day from which on all events are there; None when nothing was forgotten.
    """
    if connection.dialect.name == "postgresql":
        return await _drop_weeks(connection, oldest)
    last = utc_day(int(oldest))
    result = await connection.execute(delete(events).where(events.c.at_us < last * 1_000_000))
    return last if result.rowcount else None


async def _drop_weeks(connection: AsyncConnection, oldest: float) -> int | None:
    week = int(oldest) // WEEK * WEEK
    limit = f"usage_events_{utc_date(week):%Y%m%d}"
    old = sorted(name for name in await partitions(connection) if name != "usage_events_default" and name < limit)
    for name in old:
        await connection.execute(text(f"DROP TABLE {name}"))
    # Callers' own ids carry no time, so their events lie in the default partition: few, and deleted one by one.
    deleted = await connection.execute(
        text("DELETE FROM usage_events_default WHERE at_us < :until"), {"until": week * 1_000_000}
    )
    # Ids are minted when a call begins; a day of slack covers clocks that differ and buckets off the full hour.
    return week + DAY if old or deleted.rowcount else None


async def misplaced(connection: AsyncConnection, start: float, end: float) -> int:
    """How many events lie in the default partition although their ids carry a time that should have a week."""
    if connection.dialect.name != "postgresql":
        return 0
    statement = "SELECT count(*) FROM usage_events_default WHERE event_id >= :low AND event_id < :high"
    bounds = {"low": _least_id(int(start)), "high": _least_id(int(end))}
    return int((await connection.execute(text(statement), bounds)).scalar_one())


def _least_id(seconds: int) -> UUID:
    """The least id that carries a moment."""
    return UUID(int=(seconds * 1000) << 80)
