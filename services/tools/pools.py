"""A consumer for every pool there is; one that a change of the configuration adds is served from then on."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from services.tools.opening import Opening
from shared.bus import Bus
from shared.config import LiveConfig
from shared.errors import BusUnavailable
from shared.messages.tools import call_queue

OWN_POOLS = ("builtin", "python", "mcp", "unifai")


class Pools:
    """Starts the consumers. A pool that is no longer named keeps its own: there may be calls in its queue."""

    def __init__(
        self, config: LiveConfig, bus: Bus, opening: Opening, consume: Callable[[str], Callable[[], Awaitable[None]]]
    ) -> None:
        self._config = config
        self._bus = bus
        self._opening = opening
        self._consume = consume
        self._changed = asyncio.Event()
        config.subscribe(lambda _: self._changed.set())

    @property
    def names(self) -> list[str]:
        """The pools of the configuration in force."""
        return sorted({*OWN_POOLS, *(server.pool for server in self._config.current.tools.mcp.values())})

    async def run(self) -> None:
        """Until cancelled."""
        served: set[str] = set()
        await self._opening.queues_made.wait()
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                for pool in [name for name in self.names if name not in served]:
                    served.add(pool)
                    group.create_task(self._serve(pool), name=f"pool-{pool}")
                await self._changed.wait()

    async def _serve(self, pool: str) -> None:
        with suppress(BusUnavailable):  # it is remembered, and made with the next connection
            await self._bus.declare(call_queue(pool))
        await self._consume(pool)()
