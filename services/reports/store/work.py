"""Jobs as their workers see them: claimed under a lease, fenced by their attempt, checkpointed stage by stage."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reports.errors import CancelledByOwnerError, LeaseLostError
from services.reports.job import CANCELLED, QUEUED, RUNNING, Job, close, fresh_stages
from services.reports.store.rows import JOB, announce_end, from_row, locked, save, send_later
from services.reports.tables import checkpoints, jobs
from shared.database import Database


class WorkStore:
    """The worker's side of `report_jobs`. Every write is refused unless the attempt still holds the row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, job_id: str, worker: str, now: float, lease_seconds: float, running_cap: int
    ) -> tuple[Job | None, bool]:
        """The job when this worker may have it; else whether it should be offered again later (owner at the cap)."""
        async with self._database.begin() as connection:
            job = await locked(connection, job_id)
            if job is None or not _is_free(job, now, worker):
                return None, False
            if await self._running(connection, job, now) >= running_cap:
                return None, True
            job.status, job.attempt = RUNNING, job.attempt + 1
            job.lease_owner, job.lease_until = worker, now + lease_seconds
            job.started_at = job.started_at or now
            job.stages = job.stages or fresh_stages(job.type)
            return await save(connection, job), False

    async def _running(self, connection: AsyncConnection, job: Job, now: float) -> int:
        if self._database.dialect == "postgresql":
            # Two workers counting at once would both find room; the owner's name orders them.
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(job.owner))))
        query = (
            sa.select(sa.func.count())
            .select_from(jobs)
            .where(
                jobs.c.owner == job.owner,
                jobs.c.status == RUNNING,
                jobs.c.lease_until >= now,
                jobs.c.id != job.id,
            )
        )
        return int((await connection.execute(query)).scalar_one())

    async def beat(self, job: Job, now: float, lease_seconds: float) -> None:
        """Extend the lease; raises when it was lost, or when the owner asked to stop."""
        query = (
            sa.update(jobs)
            .where(jobs.c.id == job.id, jobs.c.attempt == job.attempt, jobs.c.status == RUNNING)
            .values(lease_until=now + lease_seconds)
            .returning(jobs.c.cancel_requested)
        )
        async with self._database.begin() as connection:
            found = (await connection.execute(query)).first()
        if found is None:
            raise LeaseLostError
        if found.cancel_requested:
            raise CancelledByOwnerError

    async def change(self, job: Job, mutate: Callable[[Job], None], *, tell: bool = True) -> Job:
        """Apply a change to the row this attempt holds."""
        async with self._database.begin() as connection:
            held = await self._held(connection, job)
            mutate(held)
            return await save(connection, held, tell=tell)

    async def _held(self, connection: AsyncConnection, job: Job) -> Job:
        held = await locked(connection, job.id)
        if held is None or held.attempt != job.attempt or held.status != RUNNING:
            raise LeaseLostError
        return held

    async def finish(self, job: Job, mutate: Callable[[Job], None], now: float) -> Job:
        """Make the job's end and its announcement in one transaction; the lease ends with it."""
        async with self._database.begin() as connection:
            held = await self._held(connection, job)
            mutate(held)
            if held.cancel_requested and not held.artifacts:
                held.status, held.error = CANCELLED, None
                close(held, CANCELLED)
            held.lease_owner = held.lease_until = None
            held.ended_at = now
            await save(connection, held)
            await announce_end(connection, held, now)
            await connection.execute(sa.delete(checkpoints).where(checkpoints.c.job_id == job.id))
            return held

    async def retry(self, job: Job, due_at: float, warning: str) -> None:
        """Back to the queue, to be sent out again at its time."""
        async with self._database.begin() as connection:
            held = await self._held(connection, job)
            held.status, held.failures = QUEUED, held.failures + 1
            held.lease_owner = held.lease_until = None
            held.published_at = due_at
            held.warnings = [*held.warnings, warning] if warning not in held.warnings else held.warnings
            await save(connection, held)
            await send_later(connection, JOB, job.id, due_at)

    async def keep(self, job: Job, stage: str, input_hash: str, body: bytes) -> None:
        """A stage's result; the row is locked first, so that a zombie cannot overwrite its successor's."""
        values = {"job_id": job.id, "stage": stage, "input_hash": input_hash, "body": body}
        async with self._database.begin() as connection:
            await self._held(connection, job)
            where = (checkpoints.c.job_id == job.id, checkpoints.c.stage == stage)
            await connection.execute(sa.delete(checkpoints).where(*where))
            await connection.execute(sa.insert(checkpoints).values(**values))

    async def kept(self, job: Job, stage: str, input_hash: str) -> bytes | None:
        query = sa.select(checkpoints.c.body).where(
            checkpoints.c.job_id == job.id,
            checkpoints.c.stage == stage,
            checkpoints.c.input_hash == input_hash,
        )
        async with self._database.read() as connection:
            found: Any = (await connection.execute(query)).scalar_one_or_none()
        return None if found is None else bytes(found)

    async def exists(self, job_id: str) -> bool:
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id))).first() is not None

    async def leased(self) -> list[Job]:
        """Jobs that somebody is supposed to be working on."""
        query = sa.select(jobs).where(jobs.c.status == RUNNING)
        async with self._database.read() as connection:
            return [from_row(row) for row in (await connection.execute(query)).mappings()]

    async def release(self, job_id: str, attempt: int, now: float) -> None:
        """Take the lease from a worker that is gone and offer the job again; or end it, if that was asked for."""
        async with self._database.begin() as connection:
            job = await locked(connection, job_id)
            if job is None or job.attempt != attempt or job.status != RUNNING:
                return
            job.lease_owner, job.lease_until = None, now
            if job.cancel_requested:
                job.status, job.ended_at = CANCELLED, now
                close(job, CANCELLED)
                await announce_end(connection, job, now)
            else:
                job.status, job.published_at = QUEUED, now
                await send_later(connection, JOB, job.id, now)
            await save(connection, job)

    async def unheard(self, published_before: float, now: float) -> int:
        """Offer queued jobs again whose message seems lost; a duplicate only loses the claim."""
        async with self._database.begin() as connection:
            query = (
                sa.select(jobs.c.id).where(jobs.c.status == QUEUED, jobs.c.published_at < published_before).limit(500)
            )
            found = [row.id for row in await connection.execute(query)]
            for job_id in found:
                await send_later(connection, JOB, job_id, now)
            if found:
                await connection.execute(sa.update(jobs).where(jobs.c.id.in_(found)).values(published_at=now))
        return len(found)


def _is_free(job: Job, now: float, worker: str) -> bool:
    if job.status == QUEUED:
        return not job.cancel_requested
    # A worker does one job at a time: a lease in its own name is left from a try that the database cut short.
    return job.status == RUNNING and ((job.lease_until or 0.0) < now or job.lease_owner == worker)
