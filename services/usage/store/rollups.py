"""Reading the rollups. A span is read as whole UTC days with hours at its edges, never from the events."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.store import spans
from services.usage.sums import Sums
from services.usage.tables import MEASURES, latency, rollups, sessions
from services.usage.zone import DAY, HOUR, Span, Zone

# Weekday 0 is Monday; 1970-01-01 was a Thursday.
_THURSDAY = 3
_LISTED = ("calls", "ok", "tokens", "cost_nano")
COSTS = ("calls", "cost_nano")


async def by_name(
    connection: AsyncConnection, scope: str, dimension: str, span: Span, names: Sequence[str] | None = None
) -> dict[str, Sums]:
    """The sums of a span for every name of a dimension."""
    return (await spans.sums(connection, scope, [(dimension, span)], names))[0]


async def dearest(
    connection: AsyncConnection, scope: str, dimension: str, span: Span, limit: int, names: Sequence[str] | None = None
) -> dict[str, Sums]:
    """The names of a dimension that cost most in a span, in that order, with the figures that lists show."""
    table = rollups.c
    parts: list[Select[Any]] = []
    for grain, start, end in spans.pieces(span):
        rows = _rows(scope, dimension, grain, Span(start, end), names)
        parts.append(select(table.name, *(table[measure] for measure in _LISTED)).where(rows))
    inner = union_all(*parts).subquery()
    sums = {measure: func.sum(inner.c[measure]) for measure in _LISTED}
    statement = (
        select(inner.c.name, *sums.values())
        .group_by(inner.c.name)
        .order_by(sums["cost_nano"].desc(), sums["calls"].desc(), inner.c.name)
        .limit(limit)
    )
    found = await connection.execute(statement)
    return {row[0]: Sums.some(_LISTED, row[1:]) for row in found}


async def by_hour(
    connection: AsyncConnection, scope: str, dimension: str, span: Span, names: Sequence[str] | None = None
) -> list[tuple[int, str, Sums]]:
    """The sums of every hour bucket and name."""
    table = rollups.c
    statement = select(table.bucket, table.name, *(table[measure] for measure in MEASURES)).where(
        _rows(scope, dimension, HOUR, span, names)
    )
    return [(int(row[0]), row[1], Sums.of(row[2:])) for row in await connection.execute(statement)]


async def by_day(
    connection: AsyncConnection,
    scope: str,
    dimension: str,
    span: Span,
    zone: Zone,
    names: Sequence[str] | None = None,
    measures: Sequence[str] = MEASURES,
) -> list[tuple[int, str, Sums]]:
    """The sums of every day of the zone, counted from 1970-01-01, and name."""
    table = rollups.c
    day = _local(table.bucket, zone, span) // DAY
    return [
        (int(row[0]), row[1], Sums.some(measures, row[2:]))
        for row in await connection.execute(
            select(day.label("day"), table.name, *(func.sum(table[measure]) for measure in measures))
            .where(_rows(scope, dimension, HOUR, span, names))
            .group_by("day", table.name)
        )
    ]


async def by_weekday_and_hour(
    connection: AsyncConnection, scope: str, span: Span, zone: Zone
) -> list[tuple[int, int, Sums]]:
    """The calls and cost of models by weekday (Monday is 0) and hour of the zone."""
    table = rollups.c
    hours = _local(table.bucket, zone, span) // HOUR
    statement = (
        select((hours % (7 * 24)).label("slot"), *(func.sum(table[measure]) for measure in COSTS))
        .where(_rows(scope, "total", HOUR, span, ["model"]))
        .group_by("slot")
    )
    found = []
    for row in await connection.execute(statement):
        day, hour = divmod(int(row[0]), 24)
        found.append(((day + _THURSDAY) % 7, hour, Sums.some(COSTS, row[1:])))
    return found


async def all_time(connection: AsyncConnection, scope: str, dimension: str, name: str) -> Sums:
    """The sums of one name since ever, where they are kept."""
    table = rollups.c
    row = (
        await connection.execute(
            select(*(table[measure] for measure in MEASURES)).where(
                table.scope == scope,
                table.dimension == dimension,
                table.grain == 0,
                table.bucket == 0,
                table.name == name,
            )
        )
    ).first()
    return Sums() if row is None else Sums.of(row)


async def histogram(
    connection: AsyncConnection, scope: str, measure: str, span: Span, names: Sequence[str] | None = None
) -> dict[str, spans.Counts]:
    """The (step, count) pairs of every name over a span."""
    return (await spans.tails(connection, scope, [(measure, span)], names))[0]


async def histograms_by(
    connection: AsyncConnection,
    scope: str,
    measures: Sequence[str],
    span: Span,
    zone: Zone,
    unit: int,
    names: Sequence[str],
) -> dict[str, dict[int, spans.Counts]]:
    """For every measure the (step, count) pairs of some names by hour bucket, or by local day from 1970-01-01."""
    table = latency.c
    slot = table.bucket if unit == HOUR else _local(table.bucket, zone, span) // DAY
    statement = (
        select(table.measure, slot.label("slot"), table.step, func.sum(table.count))
        .where(
            table.scope == scope,
            table.measure.in_(measures),
            table.grain == HOUR,
            table.name.in_(names),
            table.bucket >= span.start,
            table.bucket < span.end,
        )
        .group_by(table.measure, "slot", table.step)
    )
    found: dict[str, dict[int, spans.Counts]] = {measure: {} for measure in measures}
    for measure, slot_number, step, count in await connection.execute(statement):
        found[measure].setdefault(int(slot_number), []).append((int(step), int(count)))
    return found


async def seen_sessions(
    connection: AsyncConnection, scope: str, since_us: int, prefix: str, limit: int
) -> list[tuple[str, str | None, int, int]]:
    """Sessions last seen since a moment, the newest first: id, user, first and last microsecond."""
    table = sessions.c
    statement = select(table.session_id, table.user_id, table.first_us, table.last_us).where(
        table.scope == scope, table.last_us >= since_us
    )
    if prefix:
        statement = statement.where(table.session_id.startswith(prefix, autoescape=True))
    statement = statement.order_by(table.last_us.desc()).limit(limit)
    return [(row[0], row[1], int(row[2]), int(row[3])) for row in await connection.execute(statement)]


async def session_sums(connection: AsyncConnection, scope: str, names: Sequence[str]) -> dict[str, Sums]:
    """All-time sums of sessions."""
    table = rollups.c
    statement = select(table.name, *(table[measure] for measure in MEASURES)).where(
        # Named alone: sessions have one row each, and the planner takes the index by name for it.
        table.scope == scope,
        table.dimension == "session",
        table.name.in_(names),
    )
    return {row[0]: Sums.of(row[1:]) for row in await connection.execute(statement)}


def _rows(scope: str, dimension: str, grain: int, span: Span, names: Sequence[str] | None) -> ColumnElement[bool]:
    table = rollups.c
    wanted = and_(
        table.scope == scope,
        table.dimension == dimension,
        table.grain == grain,
        table.bucket >= span.start,
        table.bucket < span.end,
    )
    return wanted if names is None else and_(wanted, table.name.in_(names))


def _local(bucket: Any, zone: Zone, span: Span) -> Any:
    """The bucket's start on the zone's clock, as seconds."""
    offsets = zone.offsets(span) or [(span.end, zone.offset(span.start))]
    if len(offsets) == 1:
        return bucket + literal(offsets[0][1])
    return bucket + case(*((bucket < until, offset) for until, offset in offsets[:-1]), else_=offsets[-1][1])
