"""Writing the ledger: what one booking transaction does, statement by statement."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from services.usage import sequence
from services.usage.event import Event
from services.usage.rollup import Rollup
from services.usage.store import bulk
from services.usage.tables import (
    LATENCY_KEYS,
    ROLLUP_KEYS,
    events,
    latency,
    producers,
    quarantine,
    rollups,
    sessions,
    state,
)

# One writer at a time, also with several replicas and callers of POST record: order instead of deadlocks.
WRITER_LOCK = 0x7573_6167
MOST_BODY = 65_536
SESSION_KEYS = ("scope", "session_id")
_SEEN = (("user_id", "newest"), ("first_us", "least"), ("last_us", "greatest"))


async def lock(connection: AsyncConnection) -> None:
    """Wait until this transaction is the only one that writes the ledger; SQLite's transactions are so already."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})


async def insert_events(connection: AsyncConnection, rows: Sequence[Event]) -> set[str]:
    """Insert the events that are not there yet; their ids."""
    return await bulk.insert_new(connection, events, rows, "event_id")


async def roll_up(connection: AsyncConnection, rollup: Rollup) -> None:
    """Add what the events add."""
    await bulk.add_up(connection, rollups, rollup.rows(), ROLLUP_KEYS)
    await bulk.add_up(connection, latency, rollup.latency_rows(), LATENCY_KEYS)
    await bulk.add_up(connection, sessions, rollup.session_rows(), SESSION_KEYS, _SEEN)


async def see_sequences(connection: AsyncConnection, numbers: Mapping[str, Iterable[int]], now_us: int) -> None:
    """Mark sequence numbers of producers as seen."""
    if not numbers:
        return
    found = await connection.execute(
        select(producers.c.producer, producers.c.seen).where(producers.c.producer.in_(list(numbers)))
    )
    known = {producer: sequence.loads(seen) for producer, seen in found}
    rows = [
        {
            "producer": producer,
            "seen": sequence.dumps(sequence.seen(known.get(producer, []), fresh)),
            "last_us": now_us,
        }
        for producer, fresh in sorted(numbers.items())
    ]
    insert = _insert(connection, producers).values(rows)
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["producer"], set_={"seen": insert.excluded.seen, "last_us": insert.excluded.last_us}
        )
    )


async def set_aside(connection: AsyncConnection, bodies: Sequence[tuple[bytes, str]], now_us: int) -> None:
    """Keep messages that can never be booked, each once."""
    for body, reason in bodies:
        digest = hashlib.sha256(body).hexdigest()
        row = {"digest": digest, "body": body[:MOST_BODY], "reason": reason[:500], "at_us": now_us}
        await connection.execute(_insert(connection, quarantine).values(row).on_conflict_do_nothing())


async def read_state(connection: AsyncConnection, name: str) -> Any:
    """A small fact about the ledger itself; None when it was never written."""
    found = (await connection.execute(select(state.c.value).where(state.c.name == name))).scalar_one_or_none()
    return None if found is None else msgspec.json.decode(found)


async def write_state(connection: AsyncConnection, name: str, value: Any) -> None:
    """Remember a small fact about the ledger itself."""
    insert = _insert(connection, state).values(name=name, value=msgspec.json.encode(value).decode())
    await connection.execute(
        insert.on_conflict_do_update(index_elements=["name"], set_={"value": insert.excluded.value})
    )


def _insert(connection: AsyncConnection, table: Any) -> Any:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
