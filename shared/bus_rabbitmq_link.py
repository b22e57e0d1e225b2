"""One connection to the broker that is kept up: connect, prepare, wait until it is lost, again."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import aio_pika
import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

log = structlog.get_logger(__name__)

# What a broker that is away, or goes away while being asked, may look like.
BROKEN = (OSError, AMQPError, ChannelInvalidStateError, ConnectionError, RuntimeError)

HEARTBEAT_SECONDS = 10
CONNECT_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 3.0


class Link:
    """`connection` and `up` tell whether it is there; `prepare` runs on every connect before `up` is set."""

    def __init__(self, url: str, name: str, prepare: Callable[[AbstractConnection], Awaitable[None]]) -> None:
        self.up = asyncio.Event()
        self.connection: AbstractConnection | None = None
        self._url = url
        self._name = name
        self._prepare = prepare

    async def run(self) -> None:
        """Keep it up until cancelled."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._once()
                pause = FIRST_PAUSE_SECONDS
            except (TimeoutError, EOFError, StopAsyncIteration, *BROKEN) as error:
                # A broker that stops in the middle of the handshake makes the client raise a bare StopAsyncIteration.
                log.warning("bus_unavailable", link=self._name, error=f"{type(error).__name__}: {error}"[:200])
            await asyncio.sleep(pause * random.uniform(0.7, 1.3))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _once(self) -> None:
        lost = asyncio.Event()
        connection = await aio_pika.connect(
            self._url,
            timeout=CONNECT_SECONDS,
            heartbeat=HEARTBEAT_SECONDS,
            client_properties={"connection_name": f"tollway.{self._name}"},
        )
        try:
            connection.close_callbacks.add(lambda *_: lost.set())
            self.connection = connection
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._prepare(connection)
            self.up.set()
            log.info("bus_connected", link=self._name)
            await lost.wait()
        finally:
            self.up.clear()
            self.connection = None
            await _close(connection)


async def _close(connection: AbstractConnection) -> None:
    try:
        async with asyncio.timeout(2):
            await connection.close()
    except (TimeoutError, *BROKEN) as error:
        log.debug("bus_close", error=type(error).__name__)
