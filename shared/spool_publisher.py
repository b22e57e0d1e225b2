"""Publishes the spool: in order, with confirms, as fast as the bus takes it, and for as long as the bus is away."""

import asyncio
from collections.abc import Sequence

import structlog

from shared import clock
from shared.bus import Bus, Message
from shared.errors import BusUnavailable
from shared.ids import new_id
from shared.messages.router import EVENTS, USAGE_QUEUE
from shared.spool import Pending, Spool

log = structlog.get_logger(__name__)

BATCH = 1000
PER_MESSAGE = 100
PAUSE_SECONDS = 0.5
GATHER_SECONDS = 0.02  # under load many events share a message, and nobody notices the wait
IDLE_SECONDS = 1.0
SYNC_SECONDS = 0.05
ADOPT_SECONDS = 5.0
CONFIRM_SECONDS = 10.0


class SpoolPublisher:
    """Three loops around one spool: publish, flush to disk, adopt what dead processes left."""

    def __init__(self, spool: Spool, bus: Bus) -> None:
        self._spool = spool
        self._bus = bus

    async def run(self) -> None:
        """Until cancelled."""
        await self._bus.declare(EVENTS)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish(), name="spool.publish")
            group.create_task(self._sync(), name="spool.sync")
            group.create_task(self._adopt(), name="spool.adopt")

    async def flush(self, seconds: float) -> bool:
        """Publish everything that is left, up to a deadline; the rest stays on disk for the next start."""
        deadline = clock.monotonic() + seconds
        while clock.monotonic() < deadline:
            pending = self._spool.pending(BATCH)
            if not pending:
                return True
            if not await self._send(pending, max(0.1, deadline - clock.monotonic())):
                return False
        return False

    async def _publish(self) -> None:
        while True:
            self._spool.wrote.clear()
            pending = self._spool.pending(BATCH)
            if not pending:
                await _wait(self._spool.wrote, IDLE_SECONDS)
            elif await self._send(pending, CONFIRM_SECONDS):
                await asyncio.sleep(GATHER_SECONDS)
            else:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _send(self, pending: Sequence[Pending], seconds: float) -> bool:
        """Send what is pending, many events to a message; what is confirmed from its beginning on is done."""
        groups = [pending[at : at + PER_MESSAGE] for at in range(0, len(pending), PER_MESSAGE)]
        results = await asyncio.gather(*(self._send_one(group, seconds) for group in groups))
        confirmed = results.index(False) if False in results else len(results)
        if confirmed:
            done = groups[:confirmed]
            self._spool.published(done[-1][-1].position, sum(len(group) for group in done))
        if confirmed < len(results):
            log.warning("spool_waiting", events=self._spool.events_waiting, bytes=self._spool.bytes_waiting)
        return confirmed == len(results)

    async def _send_one(self, group: Sequence[Pending], seconds: float) -> bool:
        """One message: an event per line. A confirm costs the same for a hundred events as for one."""
        message = Message(b"\n".join(item.body for item in group), message_id=new_id())
        try:
            await self._bus.send(USAGE_QUEUE, message, timeout_seconds=seconds)
        except BusUnavailable:
            return False
        return True

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            if self._spool.unsynced:
                await asyncio.to_thread(self._spool.sync)

    async def _adopt(self) -> None:
        while True:
            self._spool.adopt(clock.now())
            await asyncio.sleep(ADOPT_SECONDS)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
