"""Several spans and dimensions of the rollups in one statement: a screen takes a few of them, not dozens.

The ranges to read travel as one JSON parameter, so that the statement is the same for any number of them.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import String, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage.store.bulk import encode
from services.usage.sums import Sums
from services.usage.tables import MEASURES
from services.usage.zone import DAY, HOUR, Span

Counts = list[tuple[int, int]]

_WANTED = """scope = :scope AND {column} = piece.what AND grain = piece.size
  AND bucket >= piece.low AND bucket < piece.high {named}"""
# The subquery with its OFFSET has Postgres look every range up in the index; by itself it would read the whole table.
_SOURCES = {
    "postgresql": f"""json_to_recordset(CAST(:pieces AS json))
  AS piece(number int, what text, size int, low bigint, high bigint)
  CROSS JOIN LATERAL (SELECT * FROM {{table}} WHERE {_WANTED} OFFSET 0) AS stored""",  # noqa: S608 -- names of our own
    "sqlite": f"""(SELECT value ->> 'number' AS number, value ->> 'what' AS what, value ->> 'size' AS size,
    value ->> 'low' AS low, value ->> 'high' AS high FROM json_each(:pieces)) AS piece
  JOIN {{table}} AS stored ON {_WANTED}""",  # noqa: S608 -- the same
}
# Names are compared byte by byte: the same order on both databases, and no time spent on a language's rules.
_PLAIN = {"postgresql": 'COLLATE "C"', "sqlite": ""}
SUMS = "SELECT piece.number, name {plain}, {sums} FROM {rollups} GROUP BY piece.number, name {plain}"
TAILS = "SELECT piece.number, name {plain}, step, sum(count) FROM {latency} GROUP BY piece.number, name {plain}, step"
# By dimension the dearest names of two spans, each with the figures of both: the first (number 0) and the one before.
COMPARED = """SELECT dimension, name, calls, ok, tokens, cost_nano, calls_before, cost_before FROM (
  SELECT added.*, row_number() OVER (PARTITION BY dimension ORDER BY cost_nano DESC, calls DESC, name) AS place,
    row_number() OVER (PARTITION BY dimension ORDER BY cost_before DESC, calls_before DESC, name) AS place_before
  FROM (SELECT piece.what AS dimension, name {plain} AS name,
      sum(CASE WHEN piece.number = 0 THEN calls ELSE 0 END) AS calls,
      sum(CASE WHEN piece.number = 0 THEN ok ELSE 0 END) AS ok,
      sum(CASE WHEN piece.number = 0 THEN tokens ELSE 0 END) AS tokens,
      sum(CASE WHEN piece.number = 0 THEN cost_nano ELSE 0 END) AS cost_nano,
      sum(CASE WHEN piece.number = 0 THEN 0 ELSE calls END) AS calls_before,
      sum(CASE WHEN piece.number = 0 THEN 0 ELSE cost_nano END) AS cost_before
    FROM {rollups} GROUP BY piece.what, name {plain}) AS added) AS placed
  WHERE (place <= :most AND (calls > 0 OR cost_nano <> 0)) OR (place_before <= :most AND calls_before > 0)
  ORDER BY dimension, cost_nano DESC, calls DESC, name"""


def pieces(span: Span) -> list[tuple[int, int, int]]:
    """A span as (grain, from, until) ranges of bucket starts: whole UTC days with hours at its edges."""
    first, last = -(-span.start // DAY) * DAY, span.end // DAY * DAY
    if first >= last:
        return [(HOUR, span.start, span.end)]
    parts = [(HOUR, span.start, first), (DAY, first, last), (HOUR, last, span.end)]
    return [part for part in parts if part[1] < part[2]]


async def sums(
    connection: AsyncConnection, scope: str, asked: Sequence[tuple[str, Span]], names: Sequence[str] | None = None
) -> list[dict[str, Sums]]:
    """For every dimension and span asked for, the sums of each name."""
    found: list[dict[str, Sums]] = [{} for _ in asked]
    for number, name, *values in await _read(connection, SUMS, scope, asked, names):
        found[number][name] = Sums.of(values)
    return found


async def tails(
    connection: AsyncConnection, scope: str, asked: Sequence[tuple[str, Span]], names: Sequence[str] | None = None
) -> list[dict[str, Counts]]:
    """For every measure of durations and span asked for, the (step, count) pairs of each name."""
    found: list[dict[str, Counts]] = [{} for _ in asked]
    for number, name, step, count in await _read(connection, TAILS, scope, asked, names):
        found[number].setdefault(name, []).append((int(step), int(count)))
    return found


async def compared(
    connection: AsyncConnection,
    scope: str,
    dimensions: Sequence[str],
    span: Span,
    before: Span,
    most: int,
    names: Sequence[str] | None = None,
) -> dict[str, list[tuple[str, Sums, Sums]]]:
    """For every dimension the names that cost most in either span, the dearest first, with the figures of both."""
    asked = [(dimension, part) for dimension in dimensions for part in (span, before)]
    found: dict[str, list[tuple[str, Sums, Sums]]] = {dimension: [] for dimension in dimensions}
    rows = await _read(connection, COMPARED, scope, asked, names, spans=2, most=most)
    for dimension, name, calls, ok, tokens, cost, calls_before, cost_before in rows:
        now = Sums(calls=int(calls), ok=int(ok), tokens=int(tokens), cost_nano=int(cost))
        found[dimension].append((name, now, Sums(calls=int(calls_before), cost_nano=int(cost_before))))
    return found


async def _read(
    connection: AsyncConnection,
    template: str,
    scope: str,
    asked: Sequence[tuple[str, Span]],
    names: Sequence[str] | None,
    spans: int = 0,
    **values: Any,
) -> Any:
    """The rows of a statement over the pieces of what is asked, numbered in its order or, if told, over and over."""
    rows = [
        {"number": number % (spans or len(asked)), "what": what, "size": size, "low": low, "high": high}
        for number, (what, span) in enumerate(asked)
        for size, low, high in pieces(span)
    ]
    values |= {"pieces": encode(rows), "scope": scope}
    if names is not None:
        values["names"] = list(names)
    return await connection.execute(statement(template, connection.dialect.name, named=names is not None), values)


@lru_cache(maxsize=16)
def statement(template: str, dialect: str, *, named: bool) -> TextClause:
    """A statement over the pieces that are its parameter, for all names or for some."""
    source = _SOURCES[dialect].replace("{named}", "AND name IN :names" if named else "")
    found = text(
        template.format(
            plain=_PLAIN[dialect],
            sums=", ".join(f"sum({measure})" for measure in MEASURES),
            rollups=source.format(table="usage_rollups", column="dimension"),
            latency=source.format(table="usage_latency", column="measure"),
        )
    )
    return found.bindparams(bindparam("names", expanding=True, type_=String())) if named else found
