"""The message bus as the services see it: work queues, broadcasts, and an inbox for replies.

`bus_rabbitmq.py` and `bus_memory.py` behave alike and pass one contract suite. Delivery is at least once; handlers are
idempotent on our ids and acknowledge after their effect is committed.
"""

import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, Self


@dataclass(frozen=True)
class Queue:
    """A durable work queue. `retry_seconds` are the fixed delays that `send(delay_seconds=…)` may use.

    `confirm_on_ack` is for the bus in memory, which a crash empties: there the consumer's ack confirms a send.
    """

    name: str
    delivery_limit: int = 5
    dead_letter: str | None = None
    max_length: int | None = None
    single_active: bool = False
    retry_seconds: tuple[int, ...] = ()
    confirm_on_ack: bool = False


@dataclass(frozen=True)
class Message:
    """What travels. `expires_seconds` bounds how long it may wait in a queue; expired ones are dead-lettered."""

    body: bytes
    message_id: str = ""
    correlation_id: str = ""
    reply_to: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    expires_seconds: float | None = None
    persistent: bool = True


class Delivery(Protocol):
    """A message handed to this consumer, to be acknowledged or rejected once."""

    @property
    def message(self) -> Message: ...
    @property
    def queue(self) -> str: ...
    @property
    def delivery_count(self) -> int:
        """1 the first time."""

    async def ack(self) -> None:
        """Done. Never raises: after a reconnect the broker redelivers what it had not heard of."""

    async def reject(self, *, requeue: bool) -> None:
        """Not done: again, or to the dead letters."""


class Subscription(AbstractAsyncContextManager["Subscription"], Protocol):
    """A consumer while it is entered; survives reconnects."""

    def __aiter__(self) -> AsyncIterator[Delivery]: ...

    async def batch(self, most: int, wait_seconds: float) -> list[Delivery]:
        """At least one delivery, and what else comes within the wait, up to `most`."""

    async def stop(self) -> None:
        """Take no more; what was not acknowledged goes back to the queue."""

    async def __aenter__(self) -> Self: ...


class Inbox(AbstractAsyncContextManager["Inbox"], Protocol):
    """A private address for replies to this process, while it is entered; the address outlives reconnects."""

    @property
    def address(self) -> str: ...
    def __aiter__(self) -> AsyncIterator[Message]: ...
    async def __aenter__(self) -> Self: ...


class Bus(Protocol):
    """The port."""

    @property
    def connected(self) -> bool: ...
    async def open(self) -> None:
        """Begin connecting, and go on trying; returns at once."""

    async def close(self) -> None: ...
    async def wait_connected(self, seconds: float | None = None) -> bool: ...
    async def declare(self, *queues: Queue) -> None:
        """Make the queues; remembered and made again on every connect, so it may be called while the broker is away."""

    async def send(self, queue: str, message: Message, *, timeout_seconds: float = 5, delay_seconds: int = 0) -> None:
        """Put a message into a queue and wait until the broker has it; raises BusUnroutable or BusUnavailable."""

    async def post(self, address: str, message: Message) -> None:
        """Send to an inbox; not confirmed, and dropped when the inbox is gone."""

    async def broadcast(self, topic: str, message: Message) -> None:
        """Send to everybody who listens to the topic right now, at most once."""

    def subscribe(self, queue: str, *, prefetch: int) -> Subscription: ...
    def listen(self, topic: str) -> Subscription: ...
    def inbox(self) -> Inbox: ...
    async def depth(self, queue: str) -> int | None:
        """How many messages wait in a queue; None when nobody can say."""


def make_bus(url: str) -> Bus:
    """The bus that a URL names. Only the chosen one is imported: the embedded process needs no broker's client."""
    name = "shared.bus_memory" if url.startswith("memory:") else "shared.bus_rabbitmq"
    bus: Bus = importlib.import_module(name).make(url)
    return bus
