"""Follows a job: wakes those who wait in this process at once, and looks at the database for the rest."""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from services.reports.job import TERMINAL
from services.reports.store.jobs import JobStore
from shared import clock

LOOK_SECONDS = 1.0
PING_SECONDS = 10.0


class Bell:
    """One event per job that somebody waits for."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Event]] = {}

    def ring(self, job_id: str) -> None:
        for event in self._waiting.get(job_id, []):
            event.set()

    async def wait(self, job_id: str, seconds: float) -> None:
        """Until the job moves, or the time is over (another process may have moved it)."""
        event = asyncio.Event()
        self._waiting.setdefault(job_id, []).append(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            left = self._waiting[job_id]
            left.remove(event)
            if not left:
                del self._waiting[job_id]


async def follow(store: JobStore, bell: Bell, job_id: str, after: int, draining: asyncio.Event) -> AsyncIterator[bytes]:
    """The job's events after a sequence number as SSE frames, ending with the terminal one."""
    quiet_since = clock.monotonic()
    while not draining.is_set():
        told = await store.events_after(job_id, after)
        for sequence, body in told:
            after, quiet_since = sequence, clock.monotonic()
            yield b"id: %d\ndata: %s\n\n" % (sequence, msgspec.json.encode(body))
            if body["status"] in TERMINAL:
                return
        if not told and await _is_over(store, job_id, after):
            return
        if clock.monotonic() - quiet_since >= PING_SECONDS:
            quiet_since = clock.monotonic()
            yield b": ping\n\n"
        await bell.wait(job_id, LOOK_SECONDS)


async def _is_over(store: JobStore, job_id: str, after: int) -> bool:
    """Nothing more will come: the end was seen before, or the job was deleted."""
    job = await store.get(job_id, None)
    return job is None or (job.is_terminal and job.sequence <= after)


async def until_moved(store: JobStore, bell: Bell, job_id: str, seconds: float, draining: asyncio.Event) -> None:
    """Long poll: until the job ended, or the time is over."""
    deadline = clock.monotonic() + seconds
    while not draining.is_set() and (left := deadline - clock.monotonic()) > 0:
        job = await store.get(job_id, None)
        if job is None or job.is_terminal:
            return
        await bell.wait(job_id, min(LOOK_SECONDS, left))
