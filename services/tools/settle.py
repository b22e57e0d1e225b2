"""The worker's coming up: queues, consumers, sources, announcement; ready after the first attempt at every server."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from services.tools.consumers import Announcer
from services.tools.opening import Opening
from services.tools.registry import Registry
from shared.bus import Bus, Queue
from shared.errors import BusUnavailable, Unavailable

OPEN_SECONDS = 10.0


class Settling:
    """Runs the sources and the announcer beside each other."""

    def __init__(
        self, registry: Registry, announcer: Announcer, opening: Opening, bus: Bus, queues: Sequence[Queue]
    ) -> None:
        self._opening = opening
        self._bus = bus
        self._queues = queues
        self._registry = registry
        self._announcer = announcer
        self._settled = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for provider in self._registry.providers:
                group.create_task(provider.serve(self._registry.changed))
            group.create_task(self._settle())
            await self._open()
            await self._announcer.run()

    async def _open(self) -> None:
        """Make the queues, and wait until all consumers are there: whoever is announced must be able to hear."""
        await self._bus.wait_connected()
        with suppress(BusUnavailable):  # they are remembered, and made with the next connection
            await self._bus.declare(*self._queues)
        self._opening.queues_made.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                await self._opening.all_listen.wait()

    async def check(self) -> None:
        """Whether the first attempt to reach every server is over and its outcome announced."""
        if not self._settled.is_set() or not self._announcer.up_to_date:
            raise Unavailable("tool servers are still being reached")

    async def _settle(self) -> None:
        await self._registry.settled()
        self._registry.changed()
        self._settled.set()
