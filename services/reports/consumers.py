"""The bus's edge: an id arrives, the builder runs it, and only then it is acknowledged."""

import asyncio

import msgspec
import structlog

from services.reports.build import Builder
from services.reports.plan import QUEUE, QUEUES
from shared.bus import Bus, Delivery
from shared.errors import TollwayError

log = structlog.get_logger(__name__)
PAUSES_SECONDS = (0.5, 1.0, 2.0, *(5.0,) * 30)


class Offer(msgspec.Struct, frozen=True):
    """What travels: an id and nothing else, for the row is the truth."""

    job_id: str


class Consumer:
    """One of several competing for jobs; each builds one at a time."""

    def __init__(self, bus: Bus, builder: Builder, ready: asyncio.Event, draining: asyncio.Event) -> None:
        self._bus = bus
        self._builder = builder
        self._ready = ready
        self._draining = draining

    async def run(self) -> None:
        await self._ready.wait()
        await self._bus.declare(*QUEUES)
        async with self._bus.subscribe(QUEUE, prefetch=1) as deliveries:
            async for delivery in deliveries:
                if self._draining.is_set():
                    # Another process, or this one's successor, takes it.
                    await delivery.reject(requeue=True)
                    await deliveries.stop()
                    break
                await self._handle(delivery)
        await asyncio.Event().wait()

    async def _handle(self, delivery: Delivery) -> None:
        try:
            offer = msgspec.json.decode(delivery.message.body, type=Offer)
        except msgspec.DecodeError:
            log.error("report_offer_unreadable")
            await delivery.reject(requeue=False)
            return
        try:
            done = await self._run(offer.job_id)
        except Exception as error:
            # The consumer's edge: one bad job must not take the worker down with it.
            log.error("report_offer_failed", job=offer.job_id, exc_info=error)
            await delivery.reject(requeue=False)
            return
        if done:
            await delivery.ack()
        else:
            await delivery.reject(requeue=True)

    async def _run(self, job_id: str) -> bool:
        """Build; while the database is away the row cannot be told, so wait for it instead of using up deliveries."""
        for pause in PAUSES_SECONDS:
            try:
                await self._builder.run(job_id)
            except TollwayError as error:
                log.warning("report_build_waits", job=job_id, error=error.error_code)
                await asyncio.sleep(pause)
            else:
                return True
        return False
