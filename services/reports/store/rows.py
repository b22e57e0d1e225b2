"""One job's row, read under a lock, written back whole with the event that tells of it."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reports.job import Job, shown
from services.reports.tables import events, jobs, outbox
from shared.ids import new_id

JOB, WEBHOOK = "job", "webhook"


def from_row(row: sa.RowMapping) -> Job:
    # SQLAlchemy names columns by a subclass of str, which msgspec does not take for a key.
    return msgspec.convert({str(name): value for name, value in row.items()}, Job)


async def locked(connection: AsyncConnection, job_id: str) -> Job | None:
    """The row, held until the transaction ends (SQLite has one writer anyway)."""
    query = sa.select(jobs).where(jobs.c.id == job_id).with_for_update()
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else from_row(row)


async def save(connection: AsyncConnection, job: Job, *, tell: bool = True) -> Job:
    """Write the row back; `tell` adds the next event of its stream in the same transaction."""
    if tell:
        job.sequence += 1
    values = msgspec.to_builtins(job)
    await connection.execute(sa.update(jobs).where(jobs.c.id == job.id).values(**values))
    if tell:
        await add_event(connection, job)
    return job


async def add_event(connection: AsyncConnection, job: Job) -> None:
    body = shown(job)
    await connection.execute(sa.insert(events).values(job_id=job.id, sequence=job.sequence, body=body))


async def send_later(
    connection: AsyncConnection, kind: str, job_id: str, due_at: float, payload: dict[str, Any] | None = None
) -> None:
    """A message that leaves only if this transaction does."""
    row = {
        "id": new_id(),
        "kind": kind,
        "job_id": job_id,
        "payload": payload or {},
        "due_at": due_at,
        "tries": 0,
    }
    await connection.execute(sa.insert(outbox).values(**row))


async def announce_end(connection: AsyncConnection, job: Job, now: float) -> None:
    """The webhook of a finished job, sent by the relay after the commit."""
    if job.webhook_url:
        payload = {
            "type": f"report.{job.status}",
            "timestamp": shown(job)["ended_at"],
            "data": {
                name: shown(job)[name]
                for name in ("id", "type", "status", "warnings", "error", "artifacts", "created_at", "ended_at")
            },
        }
        await send_later(connection, WEBHOOK, job.id, now, payload)
