"""What moves jobs along beside their builders: the outbox's relay, the sweeper of dead leases, retention."""

import asyncio
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable

import msgspec
import structlog

from services.reports.artifacts import ArtifactFolder
from services.reports.plan import (
    METADATA_DAYS,
    QUEUE,
    QUEUES,
    RETENTION_EVERY_SECONDS,
    SWEEP_SECONDS,
    UNHEARD_SECONDS,
    WEBHOOK_SECONDS,
)
from services.reports.store.jobs import JobStore
from services.reports.store.outbox import Outbox, Parcel
from services.reports.store.rows import JOB, WEBHOOK
from services.reports.store.work import WorkStore
from services.reports.webhooks import Webhooks
from shared import clock
from shared.bus import Bus, Message
from shared.errors import BusUnavailable, DatabaseUnavailable

log = structlog.get_logger(__name__)
IDLE_SECONDS = 1.0
AWAY_SECONDS = 2.0
DAY_SECONDS = 86_400.0


class Relay(ABC):
    """Sends one kind of what transactions promised. At least once; ids stay the same."""

    def __init__(self, kind: str, outbox: Outbox, ready: asyncio.Event) -> None:
        self._kind = kind
        self._outbox = outbox
        self._ready = ready
        self.wake = asyncio.Event()

    async def run(self) -> None:
        await self._ready.wait()
        while True:
            self.wake.clear()
            try:
                parcels = await self._outbox.take(self._kind, clock.now())
                await asyncio.gather(*(self._send(parcel) for parcel in parcels))
            except DatabaseUnavailable as error:
                log.warning("report_relay_waits", kind=self._kind, error=type(error).__name__)
                await asyncio.sleep(AWAY_SECONDS)
                continue
            if not parcels:
                await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self.wake.wait()
        except TimeoutError:
            return

    @abstractmethod
    async def _send(self, parcel: Parcel) -> None:
        """Deliver one, then strike it off; or postpone it."""


class OfferRelay(Relay):
    """Job ids, to the bus."""

    def __init__(self, outbox: Outbox, ready: asyncio.Event, bus: Bus) -> None:
        super().__init__(JOB, outbox, ready)
        self._bus = bus

    async def run(self) -> None:
        await self._bus.declare(*QUEUES)
        await super().run()

    async def _send(self, parcel: Parcel) -> None:
        body = msgspec.json.encode({"job_id": parcel.job_id})
        try:
            await self._bus.send(QUEUE, Message(body, message_id=parcel.id))
        except BusUnavailable as error:
            log.warning("report_offer_waits", job=parcel.job_id, error=error.error_code)
            await self._outbox.postpone(parcel, clock.now() + AWAY_SECONDS)
            return
        await self._outbox.sent(parcel)


class WebhookRelay(Relay):
    """Ends of jobs, to whoever asked to be told. A relay of its own: a slow receiver must not hold up offers."""

    def __init__(self, outbox: Outbox, ready: asyncio.Event, webhooks: Webhooks) -> None:
        super().__init__(WEBHOOK, outbox, ready)
        self._webhooks = webhooks

    async def _send(self, parcel: Parcel) -> None:
        url, secret = await self._outbox.address(parcel.job_id)
        if not url or not secret or await self._webhooks.post(url, secret, f"msg_{parcel.id}", parcel.payload):
            await self._outbox.sent(parcel)
        elif parcel.tries < len(WEBHOOK_SECONDS):
            await self._outbox.postpone(parcel, clock.now() + WEBHOOK_SECONDS[parcel.tries])
        else:
            log.warning("report_webhook_given_up", job=parcel.job_id)
            await self._outbox.sent(parcel)


class Sweeper:
    """Frees jobs whose worker is gone, offers again what seems lost, and forgets what is past its time."""

    def __init__(
        self,
        work: WorkStore,
        jobs: JobStore,
        artifacts: ArtifactFolder,
        worker: str,
        ready: asyncio.Event,
        wake: Callable[[], None],
    ) -> None:
        self._work = work
        self._jobs = jobs
        self._artifacts = artifacts
        self._worker = worker
        self._ready = ready
        self._wake = wake

    async def run(self) -> None:
        await self._ready.wait()
        # A bus in memory lost its messages with the process before us: offer everything queued once.
        unheard_before, retention_due = clock.now(), 0.0
        while True:
            try:
                await self.sweep(unheard_before)
                if clock.monotonic() >= retention_due:
                    await self.forget()
                    retention_due = clock.monotonic() + RETENTION_EVERY_SECONDS
            except DatabaseUnavailable:
                log.warning("report_sweeper_waits")
            await asyncio.sleep(SWEEP_SECONDS)
            unheard_before = clock.now() - UNHEARD_SECONDS

    async def sweep(self, unheard_before: float) -> None:
        now = clock.now()
        for job in await self._work.leased():
            if (job.lease_until or 0.0) < now or gone(job.lease_owner or "", self._worker):
                log.warning("report_lease_expired", job=job.id, worker=job.lease_owner)
                await self._work.release(job.id, job.attempt, now)
                self._wake()
        if await self._work.unheard(unheard_before, now):
            self._wake()

    async def forget(self) -> None:
        now = clock.now()
        for job in await self._jobs.outdated(now):
            await asyncio.to_thread(self._artifacts.remove, job.id)
            await self._jobs.forget_artifacts(job.id)
        for job in await self._jobs.outdated_evidence(now):
            await asyncio.to_thread(self._artifacts.sweep, job.id, job.artifacts)
            await self._jobs.forget_evidence(job.id)
        await self._jobs.forget_jobs(now - METADATA_DAYS * DAY_SECONDS)


def worker_name(incarnation: str, number: int = 0) -> str:
    """Host, process, incarnation and number: enough to see that a worker on this host is no more."""
    return f"{socket.gethostname()[:60]}/{os.getpid()}/{incarnation}#{number}"


def gone(owner: str, own: str) -> bool:
    """Whether a lease's holder was a process of this host that has ended; other hosts are given their lease's time."""
    host, pid, incarnation = [*owner.split("/"), "", ""][:3]
    own_host, own_pid, own_incarnation = own.split("/")
    if host != own_host or not pid.isdigit():
        return False
    if pid == own_pid:
        return incarnation.partition("#")[0] != own_incarnation.partition("#")[0]
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
