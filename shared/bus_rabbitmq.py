"""The bus on RabbitMQ: what of it is declared, sent and consumed. Runs on 3.10 and on 4.x alike.

Publishing and consuming have a connection each, so that a broker that throttles publishers does not stall the
acknowledgements.
"""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import DeliveryError, PublishError

from shared.bus import Message, Queue
from shared.bus_rabbitmq_consume import Competing, Heard, Post
from shared.bus_rabbitmq_link import BROKEN, Link
from shared.errors import BusUnavailable, BusUnroutable
from shared.tasks import Tasks

log = structlog.get_logger(__name__)


def make(url: str) -> "RabbitBus":
    """A bus on the broker of this URL; `?prefix=` goes before the name of every queue and topic."""
    parts = urlsplit(url)
    prefix = parse_qs(parts.query).get("prefix", [""])[0]
    return RabbitBus(urlunsplit(parts._replace(query="")), prefix)


class RabbitBus:
    """See shared.bus."""

    def __init__(self, url: str, prefix: str = "") -> None:
        self._prefix = prefix
        self._tasks = Tasks()
        self._publishing = Link(url, "publish", self._prepare)
        self._consuming = Link(url, "consume", self._attach)
        self._queues: dict[str, Queue] = {}
        self._readers: set[Competing | Heard | Post] = set()
        self._confirmed: AbstractExchange | None = None
        self._unconfirmed: AbstractChannel | None = None
        self._topics: dict[str, AbstractExchange] = {}

    @property
    def connected(self) -> bool:
        """Whether both connections are up."""
        return self._publishing.up.is_set() and self._consuming.up.is_set()

    async def open(self) -> None:
        """Begin connecting."""
        self._tasks.start(self._publishing.run(), name="bus.publish")
        self._tasks.start(self._consuming.run(), name="bus.consume")

    async def close(self) -> None:
        """Close both connections."""
        await self._tasks.drain(0)

    async def wait_connected(self, seconds: float | None = None) -> bool:
        """Whether it is connected within the time."""
        try:
            async with asyncio.timeout(seconds):
                await self._publishing.up.wait()
                await self._consuming.up.wait()
        except TimeoutError:
            return False
        return True

    async def declare(self, *queues: Queue) -> None:
        """Remember the queues, and make them now if there is a connection."""
        for queue in queues:
            self._queues[queue.name] = queue
        connection = self._publishing.connection or self._consuming.connection
        if connection is not None:
            try:
                await self._make(connection, queues)
            except BROKEN as error:
                log.warning("declare_waits", error=f"{type(error).__name__}: {error}"[:200])

    async def send(self, queue: str, message: Message, *, timeout_seconds: float = 5, delay_seconds: int = 0) -> None:
        """Into the queue, confirmed by the broker."""
        name = f"{queue}.retry.{delay_seconds}s" if delay_seconds else queue
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._publishing.up.wait()
                exchange = self._confirmed
                if exchange is None:
                    raise BusUnavailable
                await exchange.publish(_outgoing(message), self._prefix + name, mandatory=True)
        except PublishError as error:
            raise BusUnroutable(f"no queue {name}") from error
        except (TimeoutError, DeliveryError, *BROKEN) as error:
            raise BusUnavailable(f"{name} did not confirm the message") from error

    async def post(self, address: str, message: Message) -> None:
        """To an inbox."""
        channel = self._unconfirmed
        if channel is None:
            return
        try:
            await channel.default_exchange.publish(_outgoing(message), address, mandatory=False)
        except BROKEN as error:
            log.info("post_lost", error=type(error).__name__)

    async def broadcast(self, topic: str, message: Message) -> None:
        """To everybody who listens now; nobody hears it while the broker is away."""
        channel = self._unconfirmed
        if channel is None:
            return
        try:
            exchange = self._topics.get(topic)
            if exchange is None:
                exchange = self._topics[topic] = await fanout(channel, self._prefix + topic)
            await exchange.publish(_outgoing(message), "", mandatory=False)
        except BROKEN as error:
            log.info("broadcast_lost", topic=topic, error=type(error).__name__)

    def subscribe(self, queue: str, *, prefetch: int) -> Competing:
        """A competing consumer."""
        self._queues.setdefault(queue, Queue(queue))
        return Competing(self._consuming, self._readers, queue, self._prefix, prefetch)

    def listen(self, topic: str) -> Heard:
        """An own copy of every broadcast."""
        return Heard(self._consuming, self._readers, topic, self._prefix)

    def inbox(self) -> Post:
        """A private address."""
        return Post(self._consuming, self._readers, self._prefix)

    async def depth(self, queue: str) -> int | None:
        """How many messages wait, as the broker counts."""
        connection = self._publishing.connection
        if connection is None:
            return None
        try:
            async with asyncio.timeout(2), connection.channel() as channel:
                found = await channel.declare_queue(self._prefix + queue, passive=True)
        except (TimeoutError, *BROKEN):
            return None
        return found.declaration_result.message_count

    async def _prepare(self, connection: AbstractConnection) -> None:
        """On every connect of the publisher: queues first, then channels, so that a send finds its queue."""
        self._topics.clear()
        await self._make(connection, list(self._queues.values()))
        confirmed = await connection.channel(publisher_confirms=True, on_return_raises=True)
        self._confirmed = confirmed.default_exchange
        self._unconfirmed = await connection.channel(publisher_confirms=False)

    async def _attach(self, connection: AbstractConnection) -> None:
        """On every connect of the consumer: every reader gets its channel again."""
        await self._make(connection, list(self._queues.values()))
        # One that comes while others are attached must not be forgotten: the link is not up for it yet.
        attached: set[Competing | Heard | Post] = set()
        while waiting := self._readers - attached:
            reader = waiting.pop()
            attached.add(reader)
            await reader.attach(connection)

    async def _make(self, connection: AbstractConnection, queues: list[Queue] | tuple[Queue, ...]) -> None:
        async with connection.channel() as channel:
            for queue in queues:
                if queue.dead_letter and queue.dead_letter not in self._queues:
                    await self._declare(channel, Queue(queue.dead_letter))
                await self._declare(channel, queue)

    async def _declare(self, channel: AbstractChannel, queue: Queue) -> None:
        name = self._prefix + queue.name
        await channel.declare_queue(name, durable=True, arguments=_arguments(queue, self._prefix))
        for seconds in queue.retry_seconds:
            # One queue per delay: a lifetime per message would only end at the head of the line.
            waiting: dict[str, Any] = {
                "x-queue-type": "quorum",
                "x-message-ttl": seconds * 1000,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": name,
            }
            await channel.declare_queue(f"{name}.retry.{seconds}s", durable=True, arguments=waiting)


async def fanout(channel: AbstractChannel, name: str) -> AbstractExchange:
    """The exchange of a topic."""
    return await channel.declare_exchange(f"{name}.topic", aio_pika.ExchangeType.FANOUT, durable=True)


def _arguments(queue: Queue, prefix: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {"x-queue-type": "quorum", "x-delivery-limit": queue.delivery_limit}
    if queue.dead_letter:
        arguments |= {
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": prefix + queue.dead_letter,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
    if queue.max_length is not None:
        arguments |= {"x-max-length": queue.max_length, "x-overflow": "reject-publish"}
    if queue.single_active:
        arguments["x-single-active-consumer"] = True
    return arguments


def _outgoing(message: Message) -> aio_pika.Message:
    return aio_pika.Message(
        message.body,
        message_id=message.message_id or None,
        correlation_id=message.correlation_id or None,
        reply_to=message.reply_to or None,
        headers=dict(message.headers),
        expiration=message.expires_seconds,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT if message.persistent else aio_pika.DeliveryMode.NOT_PERSISTENT,
        content_type="application/json",
    )
