"""THE use case: builds one report in stages, each kept when done, and ends the job exactly once.

A stage that finished in an earlier attempt is read back instead of run again, so that a killed worker costs no second
model call; the row's attempt number fences off a worker that lost its lease.
"""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog

from services.reports import counters
from services.reports.artifacts import ArtifactFolder
from services.reports.errors import BuildError, CancelledByOwnerError, LeaseLostError
from services.reports.job import CANCELLED, EVIDENCE, FAILED, PARTIAL, STAGES, SUCCEEDED, Job, close
from services.reports.plan import (
    BEAT_SECONDS,
    CAP_RETRY_SECONDS,
    CHECKPOINTS,
    JOB_SECONDS,
    LEASE_SECONDS,
    MOST_BUG_FAILURES,
    MOST_FAILURES,
    RETRY_SECONDS,
    Limits,
)
from services.reports.progress import Bell
from services.reports.recipes import Outcome, Recipe
from services.reports.store.work import WorkStore
from shared import clock
from shared.errors import TollwayError
from shared.ids import new_id
from shared.tasks import Tasks, cancel

log = structlog.get_logger(__name__)
DAY_SECONDS = 86_400.0


class Builder:
    """Runs one job at a time; as many builders as the configuration asks for share the queue."""

    def __init__(
        self,
        store: WorkStore,
        artifacts: ArtifactFolder,
        recipes: dict[str, Recipe],
        tasks: Tasks,
        worker: str,
        limits: Callable[[], Limits],
        offer_again: Callable[[str, float], Awaitable[None]],
        bell: Bell,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._recipes = recipes
        self._tasks = tasks
        self._worker = worker
        self._limits = limits
        self._offer_again = offer_again
        self._bell = bell

    async def run(self, job_id: str) -> None:
        """Claim the job, if it is free, and bring it as far as it goes."""
        job, wait = await self._store.claim(
            job_id, self._worker, clock.now(), LEASE_SECONDS, self._limits().running_per_owner
        )
        if wait:
            await self._offer_again(job_id, clock.now() + CAP_RETRY_SECONDS)
        if job is None:
            return
        self._bell.ring(job.id)
        started = clock.monotonic()
        try:
            ended = await self._watched(job)
        except LeaseLostError:
            log.info("report_lease_lost", job=job.id, attempt=job.attempt)
            if not await self._store.exists(job.id):
                # Deleted while it was built: nobody else will come for the files of this attempt.
                await asyncio.to_thread(self._artifacts.remove, job.id)
            return
        except asyncio.CancelledError:
            # The process stops: the next worker shall not have to wait until the lease has run out.
            await asyncio.shield(self._store.release(job.id, job.attempt, clock.now()))
            raise
        finally:
            self._bell.ring(job.id)
        counters.ENDED.labels(job.type, ended).inc()
        counters.SECONDS.labels(job.type).observe(clock.monotonic() - started)
        log.info(
            "report_built",
            job=job.id,
            type=job.type,
            outcome=ended,
            attempt=job.attempt,
            seconds=round(clock.monotonic() - started, 3),
        )

    async def _watched(self, job: Job) -> str:
        """Build while the lease is kept alive; whichever ends first decides."""
        building = self._tasks.start(self._build(job), name=f"report-{job.id}")
        beating = self._tasks.start(self._beat(job), name=f"report-beat-{job.id}")
        try:
            async with asyncio.timeout(JOB_SECONDS):
                await asyncio.wait({building, beating}, return_when=asyncio.FIRST_COMPLETED)
            if building.done():
                return await self._ended(job, building)
            await cancel(building)
            return await self._stopped(job, beating)
        except TimeoutError:
            await cancel(building)
            return await self._fail(job, "deadline", f"took longer than {JOB_SECONDS:g} s", retryable=False)
        finally:
            await cancel(beating)
            if not building.done():
                await cancel(building)
            await asyncio.to_thread(self._artifacts.clear_staging, job.id, job.attempt)

    async def _beat(self, job: Job) -> None:
        while True:
            # Whoever cancels or deletes the job in this process rings, so that nobody waits for the next beat.
            await self._bell.wait(job.id, BEAT_SECONDS)
            try:
                await self._store.beat(job, clock.now(), LEASE_SECONDS)
            except (LeaseLostError, CancelledByOwnerError):
                return
            except TollwayError:
                # The database is away; the lease may well outlast that.
                continue

    async def _stopped(self, job: Job, beating: asyncio.Task[Any]) -> str:
        """The beat ended: the owner cancelled, or the lease is another's."""
        try:
            await self._store.beat(job, clock.now(), LEASE_SECONDS)
        except CancelledByOwnerError:

            def mutate(held: Job) -> None:
                held.status = CANCELLED
                close(held, CANCELLED)

            await self._store.finish(job, mutate, clock.now())
            return CANCELLED
        del beating
        return "stopped"

    async def _ended(self, job: Job, building: asyncio.Task[str]) -> str:
        """What the build came to: its end, a fault with or without another try, or a bug."""
        try:
            return building.result()
        except (LeaseLostError, asyncio.CancelledError):
            raise
        except BuildError as error:
            return await self._fail(job, error.code, str(error), retryable=error.retryable)
        except TollwayError as error:
            return await self._fail(job, error.error_code, error.message, retryable=error.retryable)
        except Exception as error:
            # A bug: one more try, then the job ends and the log has the traceback under this number.
            trace = new_id()
            log.error("report_bug", job=job.id, trace=trace, exc_info=error)
            again = job.failures < MOST_BUG_FAILURES
            text = f"an error of ours; the log has it as {trace}"
            return await self._fail(job, "internal_error", text, retryable=again)

    async def _fail(self, job: Job, code: str, message: str, *, retryable: bool) -> str:
        if retryable and job.failures < MOST_FAILURES:
            delay = RETRY_SECONDS[min(job.failures, len(RETRY_SECONDS) - 1)]
            await self._store.retry(job, clock.now() + delay, f"attempt {job.attempt}: {message}")
            return "retry"

        def mutate(held: Job) -> None:
            held.status = FAILED
            held.error = {"code": code, "message": message, "retryable": retryable}
            close(held, FAILED)

        await self._store.finish(job, mutate, clock.now())
        return FAILED

    async def _build(self, job: Job) -> str:
        recipe = self._recipes[job.type]
        folder = await asyncio.to_thread(self._artifacts.staging, job.id, job.attempt)
        made: dict[str, bytes] = {}
        key = f"{job.request_hash}:{CHECKPOINTS}"
        for stage in STAGES[job.type]:
            if stage in ("store", "notify"):
                break
            key = sha256(f"{key}:{stage}".encode()).hexdigest()
            kept = None if stage == "render" else await self._store.kept(job, stage, key)
            if kept is None:
                await self._mark(job, stage, started=True)
                kept = await recipe.stages[stage](job, made, folder)
                await self._store.keep(job, stage, key, kept)
            made[stage] = kept
            # What a stage made is part of what the next one is made from.
            key = sha256(key.encode() + kept).hexdigest()
            await self._mark(job, stage, started=False)
        return await self._store_files(job, recipe, made, folder)

    async def _store_files(self, job: Job, recipe: Recipe, made: dict[str, bytes], folder: Path) -> str:
        await self._mark(job, "store", started=True)
        artifacts = await asyncio.to_thread(self._artifacts.settle, job.id, folder, job.request["formats"])
        hashes = {artifact["format"]: artifact["sha256"] for artifact in artifacts}
        body = await asyncio.to_thread(recipe.evidence, job, made, hashes)
        evidence: dict[str, Any] | None = None
        if body is not None:
            await asyncio.to_thread((folder / EVIDENCE).write_bytes, body)
            (evidence,) = await asyncio.to_thread(self._artifacts.settle, job.id, folder, [EVIDENCE])
        return await self._finish(job, recipe.outcome(job, made), artifacts, evidence)

    async def _mark(self, job: Job, stage: str, *, started: bool) -> None:
        def mutate(held: Job) -> None:
            held.stage = stage
            _mark(held, stage, started=started)
            if not started:
                held.progress = max(held.progress, STAGES[held.type][stage])

        await self._store.change(job, mutate)
        self._bell.ring(job.id)

    async def _finish(
        self, job: Job, outcome: Outcome, artifacts: list[dict[str, Any]], evidence: dict[str, Any] | None
    ) -> str:
        limits = self._limits()

        def mutate(held: Job) -> None:
            held.artifacts = artifacts
            held.status = PARTIAL if outcome.partial else SUCCEEDED
            held.warnings = list(dict.fromkeys([*held.warnings, *outcome.warnings]))
            held.usage = outcome.usage
            held.progress, held.stage = 1.0, "notify"
            held.artifacts_until = clock.now() + limits.retention_days * DAY_SECONDS
            if evidence:
                held.evidence = evidence
                held.evidence_until = clock.now() + limits.evidence_days * DAY_SECONDS
            _mark(held, "store", started=False)
            _mark(held, "notify", started=True)
            _mark(held, "notify", started=False)

        ended = await self._store.finish(job, mutate, clock.now())
        kept = [*ended.artifacts, *([ended.evidence] if ended.evidence else [])]
        await asyncio.to_thread(self._artifacts.sweep, job.id, kept)
        return ended.status


def _mark(job: Job, stage: str, *, started: bool) -> None:
    now = clock.utc_now().isoformat(timespec="milliseconds")
    changes = {"status": "running", "started": now} if started else {"status": "done", "ended": now}
    job.stages = [row | changes if row["name"] == stage else row for row in job.stages]
