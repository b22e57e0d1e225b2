"""The worker's coming up: sources are served and announced; it calls itself ready after their first attempt."""

import asyncio

from services.tools.consumers import Announcer
from services.tools.registry import Registry
from shared.errors import Unavailable


class Settling:
    """Runs the sources and the announcer beside each other."""

    def __init__(self, registry: Registry, announcer: Announcer) -> None:
        self._registry = registry
        self._announcer = announcer
        self._settled = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for provider in self._registry.providers:
                group.create_task(provider.serve(self._registry.changed))
            group.create_task(self._settle())
            await self._announcer.run()

    async def check(self) -> None:
        """Whether the first attempt to reach every server is over and its outcome announced."""
        if not self._settled.is_set() or not self._announcer.up_to_date:
            raise Unavailable("tool servers are still being reached")

    async def _settle(self) -> None:
        await self._registry.settled()
        self._registry.changed()
        self._settled.set()
