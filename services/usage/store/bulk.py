"""Many rows in one statement, the same on both databases: the rows travel as one JSON parameter."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Column, Table, TextClause, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.schema import ScalarElementColumnDefault

_POSTGRES = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves its dialects untyped
_encoder = msgspec.json.Encoder()

# How a column of a row that is there changes. CASE: the databases name least and greatest differently.
Rules = tuple[tuple[str, str], ...]
_RULES = {
    "add": "{old} + {new}",
    "least": "CASE WHEN {new} < {old} THEN {new} ELSE {old} END",
    "greatest": "CASE WHEN {new} > {old} THEN {new} ELSE {old} END",
    "newest": "COALESCE({new}, {old})",
}


def encode(rows: Sequence[Any]) -> str:
    """The parameter that the statements below take."""
    return _encoder.encode(rows).decode()


async def insert_new(connection: AsyncConnection, table: Table, rows: Sequence[Any], key: str) -> set[str]:
    """Insert what is not there yet; the keys of the rows really inserted."""
    if not rows:
        return set()
    statement = _insert_new(table, connection.dialect.name, key)
    result = await connection.execute(statement, {"rows": encode(rows)})
    return {str(value) for value in result.scalars()}


async def add_up(
    connection: AsyncConnection, table: Table, rows: Sequence[Any], keys: tuple[str, ...], rules: Rules = ()
) -> None:
    """Merge rows into those that are there; rows come in the order of their keys. Columns without a rule are added."""
    if rows:
        statement = _merge(table, connection.dialect.name, keys, rules)
        await connection.execute(statement, {"rows": encode(rows)})


@lru_cache(maxsize=64)
def _insert_new(table: Table, dialect: str, key: str) -> TextClause:
    names = [column.name for column in table.columns]
    return text(
        f"INSERT INTO {table.name} ({', '.join(names)}) {_rows(table, dialect, tuple(names))} "
        f"ON CONFLICT ({key}) DO NOTHING RETURNING {key}"
    )


@lru_cache(maxsize=64)
def _merge(table: Table, dialect: str, keys: tuple[str, ...], rules: Rules) -> TextClause:
    names = [column.name for column in table.columns]
    given = dict(rules)
    sets = ", ".join(
        f"{name} = " + _RULES[given.get(name, "add")].format(old=f"{table.name}.{name}", new=f"excluded.{name}")
        for name in names
        if name not in keys
    )
    return text(
        f"INSERT INTO {table.name} ({', '.join(names)}) {_rows(table, dialect, tuple(names))} "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}"
    )


def _rows(table: Table, dialect: str, names: tuple[str, ...]) -> str:
    """A SELECT of the JSON parameter's rows. SQLite needs the WHERE to tell ON CONFLICT from a join."""
    if dialect == "sqlite":
        picked = ", ".join(_or_default(table.columns[name], f"json_extract(value, '$.{name}')") for name in names)
        return f"SELECT {picked} FROM json_each(:rows) WHERE true"  # noqa: S608 -- names of our own columns
    typed = ", ".join(f"{name} {table.columns[name].type.compile(_POSTGRES)}" for name in names)
    picked = ", ".join(_or_default(table.columns[name], name) for name in names)
    return f"SELECT {picked} FROM json_to_recordset(CAST(:rows AS json)) AS fresh({typed}) WHERE true"  # noqa: S608 -- the same


def _or_default(column: Column[Any], told: str) -> str:
    """What a row tells of a column, or the column's default: rows leave out what is that."""
    if not isinstance(column.default, ScalarElementColumnDefault):
        return told
    value = column.default.arg
    return f"COALESCE({told}, {value if isinstance(value, int) else repr(value)})"
