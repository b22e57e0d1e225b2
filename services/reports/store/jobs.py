"""Jobs as their owners see them: made, read, listed, cancelled, deleted, forgotten after their time."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from services.reports.errors import KeyReused
from services.reports.job import CANCELLED, QUEUED, RUNNING, TERMINAL, Job, close
from services.reports.store.rows import JOB, add_event, announce_end, from_row, locked, save, send_later
from services.reports.tables import checkpoints, events, jobs, outbox
from shared.database import Database


class JobStore:
    """The owner's side of `report_jobs`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, job: Job) -> tuple[Job, bool]:
        """The job and whether it is new: the same key with the same body is the same job."""
        if job.idempotency_key:
            known = await self._by_key(job)
            if known is not None:
                return known, False
        job.sequence, job.published_at = 1, job.created_at
        try:
            async with self._database.begin() as connection:
                await connection.execute(sa.insert(jobs).values(**msgspec.to_builtins(job)))
                await add_event(connection, job)
                await send_later(connection, JOB, job.id, job.created_at)
        except IntegrityError:
            # Two posts with one key at the same moment: the other one was first.
            known = await self._by_key(job)
            if known is None:
                raise
            return known, False
        return job, True

    async def _by_key(self, job: Job) -> Job | None:
        query = sa.select(jobs).where(jobs.c.owner == job.owner, jobs.c.idempotency_key == job.idempotency_key)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            return None
        known = from_row(row)
        if known.request_hash != job.request_hash:
            raise KeyReused(param="Idempotency-Key")
        return known

    async def get(self, job_id: str, owner: str | None) -> Job | None:
        """One job; of this owner, or of anybody when `owner` is None."""
        query = sa.select(jobs).where(jobs.c.id == job_id)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else from_row(row)

    async def listed(
        self, owner: str | None, status: str | None, kind: str | None, before: str | None, limit: int
    ) -> list[Job]:
        """Newest first; ids carry their time, so they are the cursor."""
        query = sa.select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        if status is not None:
            query = query.where(jobs.c.status == status)
        if kind is not None:
            query = query.where(jobs.c.type == kind)
        if before is not None:
            query = query.where(jobs.c.id < before)
        async with self._database.read() as connection:
            return [from_row(row) for row in (await connection.execute(query)).mappings()]

    async def waiting(self, owner: str) -> int:
        query = (
            sa.select(sa.func.count())
            .select_from(jobs)
            .where(jobs.c.owner == owner, jobs.c.status.in_((QUEUED, RUNNING)))
        )
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def cancel(self, job_id: str, now: float) -> Job | None:
        """A queued job is cancelled at once; a running one is asked to stop; a finished one stays as it is."""
        async with self._database.begin() as connection:
            job = await locked(connection, job_id)
            if job is None or job.is_terminal or job.cancel_requested:
                return job
            job.cancel_requested = True
            if job.status == QUEUED or (job.lease_until or 0.0) < now:
                job.status, job.ended_at = CANCELLED, now
                close(job, CANCELLED)
                await announce_end(connection, job, now)
            return await save(connection, job)

    async def delete(self, job_id: str) -> None:
        async with self._database.begin() as connection:
            for table in (events, checkpoints, outbox):
                await connection.execute(sa.delete(table).where(table.c.job_id == job_id))
            await connection.execute(sa.delete(jobs).where(jobs.c.id == job_id))

    async def events_after(self, job_id: str, sequence: int) -> list[tuple[int, dict[str, Any]]]:
        query = (
            sa.select(events.c.sequence, events.c.body)
            .where(events.c.job_id == job_id, events.c.sequence > sequence)
            .order_by(events.c.sequence)
        )
        async with self._database.read() as connection:
            return [(row.sequence, row.body) for row in await connection.execute(query)]

    async def outdated(self, now: float) -> list[Job]:
        """Jobs whose artefacts' time is over."""
        query = sa.select(jobs).where(jobs.c.status.in_(TERMINAL), jobs.c.artifacts_until < now).limit(100)
        async with self._database.read() as connection:
            return [from_row(row) for row in (await connection.execute(query)).mappings()]

    async def forget_artifacts(self, job_id: str) -> None:
        """The files are gone; the row stays to say so."""
        async with self._database.begin() as connection:
            await connection.execute(
                sa.update(jobs)
                .where(jobs.c.id == job_id)
                .values(artifacts_until=None, artifacts=[], evidence_until=None, evidence=None)
            )
            await connection.execute(sa.delete(checkpoints).where(checkpoints.c.job_id == job_id))

    async def outdated_evidence(self, now: float) -> list[Job]:
        """Jobs whose evidence's time is over."""
        query = sa.select(jobs).where(jobs.c.status.in_(TERMINAL), jobs.c.evidence_until < now).limit(100)
        async with self._database.read() as connection:
            return [from_row(row) for row in (await connection.execute(query)).mappings()]

    async def forget_evidence(self, job_id: str) -> None:
        async with self._database.begin() as connection:
            await connection.execute(
                sa.update(jobs).where(jobs.c.id == job_id).values(evidence_until=None, evidence=None)
            )

    async def forget_jobs(self, ended_before: float) -> int:
        """Drop the rows of jobs that ended long ago."""
        old = sa.select(jobs.c.id).where(jobs.c.status.in_(TERMINAL), jobs.c.ended_at < ended_before)
        async with self._database.begin() as connection:
            for table in (events, checkpoints, outbox):
                await connection.execute(sa.delete(table).where(table.c.job_id.in_(old)))
            gone = await connection.execute(
                sa.delete(jobs).where(jobs.c.status.in_(TERMINAL), jobs.c.ended_at < ended_before)
            )
        return int(gone.rowcount)
