"""The front desk of report jobs: accepts, finds, cancels and hands out, for whoever may."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.reports.artifacts import CONTENT_TYPES, ArtifactFolder
from services.reports.errors import ArtifactGone, EvidenceGone, NotFinished
from services.reports.identity import Caller, Doorkeeper
from services.reports.job import CANCELLED, EVIDENCE, FAILED, Job, fresh_stages
from services.reports.plan import MOST_WAITING_PER_OWNER
from services.reports.progress import Bell
from services.reports.request import fingerprint, ignored, read
from services.reports.store.jobs import JobStore
from services.reports.webhooks import Webhooks, new_secret
from shared import clock
from shared.errors import NotFound, RateLimited
from shared.ids import new_id

MOST_IGNORED = 10


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with."""

    door: Doorkeeper
    jobs: JobStore
    artifacts: ArtifactFolder
    webhooks: Webhooks
    bell: Bell
    draining: asyncio.Event
    webhook_secret: str | None
    wake: Callable[[], None]

    async def accept(self, caller: Caller, body: Any, key: str | None) -> tuple[Job, str | None]:
        """The queued job, or the one this key already made; with a webhook secret minted for it, told only now."""
        request = read(body)
        url = request.get("webhook_url")
        if url:
            await self.webhooks.check(url)
        if await self.jobs.waiting(caller.owner) >= MOST_WAITING_PER_OWNER:
            raise RateLimited("Too many reports of yours are waiting.", retry_after=30)
        secret = (self.webhook_secret or new_secret()) if url else None
        job = Job(
            id=new_id(),
            owner=caller.owner,
            type=request["type"],
            request=request,
            request_hash=fingerprint(request),
            stages=fresh_stages(request["type"]),
            idempotency_key=key,
            webhook_url=url,
            webhook_secret=secret,
            warnings=ignored(body)[:MOST_IGNORED],
            created_at=clock.now(),
        )
        kept, fresh = await self.jobs.create(job)
        self.wake()
        told = secret if fresh and secret != self.webhook_secret else None
        return kept, told

    async def find(self, caller: Caller, job_id: str) -> Job:
        """The job, if the caller may know of it; another owner's is as if it were not there."""
        job = await self.jobs.get(job_id, caller.sees)
        if job is None:
            raise NotFound("There is no such report.", param="id")
        return job

    async def artifact(self, job: Job, form: str) -> tuple[dict[str, Any], Path]:
        if form == EVIDENCE or form not in CONTENT_TYPES:
            raise NotFound("There is no such artefact.", param="format")
        _ended_well(job)
        if not job.artifacts:
            raise ArtifactGone
        found = next((artifact for artifact in job.artifacts if artifact["format"] == form), None)
        if found is None:
            raise NotFound(f"This report was not made as {form}.", param="format")
        return found, await self._path(job, found)

    async def evidence(self, job: Job) -> tuple[dict[str, Any], Path]:
        """What the report can be made again from: for its owner, who may not pass the providers' data on."""
        if job.type != "token":
            raise NotFound("Only reports on tokens have evidence.")
        _ended_well(job)
        if job.evidence is None:
            raise EvidenceGone
        return job.evidence, await self._path(job, job.evidence)

    async def _path(self, job: Job, found: dict[str, Any]) -> Path:
        path = self.artifacts.path(job.id, found)
        if not await asyncio.to_thread(path.exists):
            raise ArtifactGone
        return path

    async def cancel(self, job: Job) -> Job:
        changed = await self.jobs.cancel(job.id, clock.now())
        self.bell.ring(job.id)
        return changed or job

    async def remove(self, job: Job) -> None:
        # A worker that still has it loses its lease with the row and writes nothing any more.
        await self.jobs.delete(job.id)
        await asyncio.to_thread(self.artifacts.remove, job.id)
        self.bell.ring(job.id)


def _ended_well(job: Job) -> None:
    if not job.is_terminal:
        raise NotFinished(f"The report is {job.status}.", headers={"retry-after": "2"})
    if job.status in (FAILED, CANCELLED):
        raise NotFound(f"The report was {job.status}; it has no artefact.")
