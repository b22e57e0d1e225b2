"""Readers on RabbitMQ: competing consumers, listeners to a topic, and an inbox. Each survives reconnects."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Self

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aiormq.exceptions import ChannelLockedResource

from shared import clock
from shared.bus import Message
from shared.bus_rabbitmq_link import BROKEN, Link
from shared.ids import new_id

log = structlog.get_logger(__name__)

PRIVATE_BOUND = 50_000
LOCKED_TRIES = 20
LOCKED_PAUSE_SECONDS = 1.0


class Received:
    """A message handed to us; see shared.bus.Delivery."""

    def __init__(self, incoming: AbstractIncomingMessage, queue: str) -> None:
        self.message = _incoming(incoming)
        self.queue = queue
        before = incoming.headers.get("x-delivery-count", 0)
        self.delivery_count = 1 + (before if isinstance(before, int) else 0)
        self._incoming = incoming

    async def ack(self) -> None:
        """Tell the broker; when the connection is gone it will redeliver, and our ids make that harmless."""
        try:
            await self._incoming.ack()
        except BROKEN as error:
            log.info("ack_lost", queue=self.queue, error=type(error).__name__)

    async def reject(self, *, requeue: bool) -> None:
        """Back, or to the dead letters."""
        try:
            await self._incoming.reject(requeue=requeue)
        except BROKEN as error:
            log.info("reject_lost", queue=self.queue, error=type(error).__name__)


class Reader(ABC):
    """What all readers share: a channel that is opened again on every connect, and a line of what came."""

    def __init__(self, link: Link, readers: set[Any]) -> None:
        self._link = link
        self._readers = readers
        self._came: deque[Received] = deque()
        self._arrived = asyncio.Event()
        self._stopped = False
        self._channel: AbstractChannel | None = None

    async def __aenter__(self) -> Self:
        self._readers.add(self)
        if self._link.connection is not None and self._link.up.is_set():
            try:
                await self.attach(self._link.connection)
            except BROKEN as error:  # lost just now: the next connect attaches it
                log.info("attach_lost", error=type(error).__name__)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def attach(self, connection: AbstractConnection) -> None:
        """Open a channel on this connection and consume; what came over the last one will be redelivered."""
        self._came.clear()
        self._channel = channel = await connection.channel()
        await self._consume(channel)

    @abstractmethod
    async def _consume(self, channel: AbstractChannel) -> None:
        """Declare what is read from, and begin to."""

    async def stop(self) -> None:
        """Close the channel: what was not acknowledged goes back."""
        if self._stopped:
            return
        self._stopped = True
        self._readers.discard(self)
        self._arrived.set()
        if self._channel is not None:
            try:
                async with asyncio.timeout(2):
                    await self._channel.close()
            except (TimeoutError, *BROKEN) as error:
                log.debug("channel_close", error=type(error).__name__)

    def _put(self, received: Received) -> None:
        self._came.append(received)
        self._arrived.set()

    async def _next(self) -> Received | None:
        while not self._stopped:
            if self._came:
                return self._came.popleft()
            self._arrived.clear()
            await self._arrived.wait()
        return None

    async def batch(self, most: int, wait_seconds: float) -> list[Received]:
        """At least one, and what else comes within the wait."""
        first = await self._next()
        if first is None:
            return []
        found = [first]
        deadline = clock.monotonic() + wait_seconds
        while len(found) < most and (left := deadline - clock.monotonic()) > 0:
            while self._came and len(found) < most:
                found.append(self._came.popleft())
            if len(found) < most:
                self._arrived.clear()
                try:
                    async with asyncio.timeout(left):  # wait_for may lose a cancellation that comes with a delivery
                        await self._arrived.wait()
                except TimeoutError:
                    break
        return found


class Competing(Reader):
    """One of many consumers of a work queue."""

    def __init__(self, link: Link, readers: set[Any], queue: str, prefix: str, prefetch: int) -> None:
        super().__init__(link, readers)
        self._queue = queue
        self._name = prefix + queue
        self._prefetch = prefetch

    async def __aiter__(self) -> AsyncIterator[Received]:
        while (received := await self._next()) is not None:
            yield received

    async def _consume(self, channel: AbstractChannel) -> None:
        await channel.set_qos(prefetch_count=self._prefetch)
        queue = await channel.get_queue(self._name, ensure=False)

        async def take(incoming: AbstractIncomingMessage) -> None:
            self._put(Received(incoming, self._queue))

        await queue.consume(take)


class Heard(Reader):
    """An own copy of every broadcast of a topic."""

    def __init__(self, link: Link, readers: set[Any], topic: str, prefix: str) -> None:
        super().__init__(link, readers)
        self._topic = topic
        self._name = prefix + topic

    async def __aiter__(self) -> AsyncIterator[Received]:
        while (received := await self._next()) is not None:
            yield received

    async def _consume(self, channel: AbstractChannel) -> None:
        exchange = await channel.declare_exchange(f"{self._name}.topic", aio_pika.ExchangeType.FANOUT, durable=True)
        queue = await channel.declare_queue(exclusive=True, auto_delete=True, arguments={"x-max-length": PRIVATE_BOUND})
        await queue.bind(exchange)

        async def take(incoming: AbstractIncomingMessage) -> None:
            self._put(Received(incoming, self._topic))

        await queue.consume(take, no_ack=True)


class Post(Reader):
    """A private address; the name is kept across reconnects, so that replies sent meanwhile may still arrive."""

    def __init__(self, link: Link, readers: set[Any], prefix: str) -> None:
        super().__init__(link, readers)
        self.address = f"{prefix}inbox.{new_id()}"

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (received := await self._next()) is not None:
            yield received.message

    async def attach(self, connection: AbstractConnection) -> None:
        """As for every reader; but the broker may think for a while that our dead connection still holds the name."""
        for left in range(LOCKED_TRIES, 0, -1):
            try:
                await super().attach(connection)
            except ChannelLockedResource:
                if left == 1:
                    raise
                await asyncio.sleep(LOCKED_PAUSE_SECONDS)
            else:
                return

    async def _consume(self, channel: AbstractChannel) -> None:
        queue = await channel.declare_queue(
            self.address, exclusive=True, auto_delete=True, arguments={"x-max-length": PRIVATE_BOUND}
        )

        async def take(incoming: AbstractIncomingMessage) -> None:
            self._put(Received(incoming, self.address))

        await queue.consume(take, no_ack=True)


def _incoming(incoming: AbstractIncomingMessage) -> Message:
    return Message(
        incoming.body,
        message_id=incoming.message_id or "",
        correlation_id=incoming.correlation_id or "",
        reply_to=incoming.reply_to or "",
        headers=_headers(incoming),
    )


def _headers(incoming: AbstractIncomingMessage) -> dict[str, str]:
    """Our own headers as text, and the broker's story of a dead letter in the words the memory bus uses."""
    headers = {key: str(value) for key, value in incoming.headers.items() if isinstance(value, str | int | bytes)}
    deaths = incoming.headers.get("x-death")
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        reason = str(deaths[0].get("reason", ""))
        headers["x-dead-reason"] = reason
        headers["x-dead-queue"] = str(deaths[0].get("queue", ""))
    return headers
