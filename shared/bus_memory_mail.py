"""Broadcasts and inboxes on the bus in memory."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

from shared.bus import Message
from shared.ids import new_id

LISTENER_BOUND = 10_000


class _Mailbox:
    """A bounded line of messages to one reader; the oldest go first when it overflows."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque(maxlen=LISTENER_BOUND)
        self._arrived = asyncio.Event()
        self._stopped = False

    def put(self, message: Message) -> None:
        """Hand over a message."""
        self._messages.append(message)
        self._arrived.set()

    async def take(self) -> Message | None:
        """The next message; None when stopped."""
        while not self._stopped:
            if self._messages:
                return self._messages.popleft()
            self._arrived.clear()
            await self._arrived.wait()
        return None

    def end(self) -> None:
        """Let the reader go."""
        self._stopped = True
        self._arrived.set()


class MemoryHeard:
    """A broadcast that was heard: there is nothing to acknowledge."""

    delivery_count = 1

    def __init__(self, topic: str, message: Message) -> None:
        self.queue = topic
        self.message = message

    async def ack(self) -> None:
        """Nothing to do."""

    async def reject(self, *, requeue: bool) -> None:
        """Nothing to do."""


class MemoryListener(_Mailbox):
    """See shared.bus.Subscription, for a topic."""

    def __init__(self, listeners: "list[MemoryListener]", topic: str) -> None:
        super().__init__()
        self._listeners = listeners
        self._topic = topic

    async def __aenter__(self) -> Self:
        self._listeners.append(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def __aiter__(self) -> AsyncIterator[MemoryHeard]:
        while (message := await self.take()) is not None:
            yield MemoryHeard(self._topic, message)

    async def batch(self, most: int, wait_seconds: float) -> list[MemoryHeard]:
        """Broadcasts come one by one."""
        del most, wait_seconds
        message = await self.take()
        return [] if message is None else [MemoryHeard(self._topic, message)]

    async def stop(self) -> None:
        """Listen no more."""
        self.end()
        if self in self._listeners:
            self._listeners.remove(self)


class MemoryInbox(_Mailbox):
    """See shared.bus.Inbox."""

    def __init__(self, inboxes: "dict[str, MemoryInbox]") -> None:
        super().__init__()
        self._inboxes = inboxes
        self.address = f"inbox.{new_id()}"

    async def __aenter__(self) -> Self:
        self._inboxes[self.address] = self
        return self

    async def __aexit__(self, *_: object) -> None:
        self._inboxes.pop(self.address, None)
        self.end()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self.take()) is not None:
            yield message
