"""The bus within one process, with RabbitMQ's semantics: competing consumers, acknowledgement, dead letters."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Self

from shared import clock
from shared.bus import Message, Queue
from shared.bus_memory_mail import MemoryInbox, MemoryListener
from shared.errors import BusUnavailable, BusUnroutable


@dataclass
class _Waiting:
    message: Message
    deliveries: int = 0
    expires: float | None = None
    settled: asyncio.Future[bool] | None = None

    def settle(self, *, done: bool) -> None:
        """Tell a sender that waits for the acknowledgement."""
        if self.settled is not None and not self.settled.done():
            self.settled.set_result(done)


@dataclass
class _Line:
    """A queue and those who wait for its messages."""

    queue: Queue
    waiting: deque[_Waiting] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    consumers: list["MemorySubscription"] = field(default_factory=list)

    def put(self, item: _Waiting, *, first: bool = False) -> None:
        if first:
            self.waiting.appendleft(item)
        else:
            self.waiting.append(item)
        self.arrived.set()


def make(_: str) -> "MemoryBus":
    """A bus of this process."""
    return MemoryBus()


class MemoryBus:
    """See shared.bus."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._topics: dict[str, list[MemoryListener]] = {}
        self._inboxes: dict[str, MemoryInbox] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self.connected = True

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """Drop what waits for later."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.connected = False

    async def wait_connected(self, seconds: float | None = None) -> bool:
        """Always connected, until closed."""
        del seconds
        return self.connected

    async def declare(self, *queues: Queue) -> None:
        """Make the queues that are not there yet."""
        for queue in queues:
            self._lines.setdefault(queue.name, _Line(queue))
            if queue.dead_letter:
                self._lines.setdefault(queue.dead_letter, _Line(Queue(queue.dead_letter)))

    async def send(self, queue: str, message: Message, *, timeout_seconds: float = 5, delay_seconds: int = 0) -> None:
        """Put the message into the queue, now or after the delay."""
        line = self._lines.get(queue)
        if line is None:
            raise BusUnroutable(f"no queue {queue}")
        if delay_seconds:
            self._later(delay_seconds, line, message)
            return
        if line.queue.max_length is not None and len(line.waiting) >= line.queue.max_length:
            raise BusUnavailable(f"{queue} is full")
        expires = clock.monotonic() + message.expires_seconds if message.expires_seconds is not None else None
        item = _Waiting(message, expires=expires)
        if line.queue.confirm_on_ack:
            item.settled = asyncio.get_running_loop().create_future()
        line.put(item)
        if message.expires_seconds is not None:
            self._timer(message.expires_seconds + 0.01, lambda: self.expire(line))
        if item.settled is not None:
            await self._confirmed(line, item, item.settled, timeout_seconds)

    async def _confirmed(
        self, line: _Line, item: _Waiting, settled: asyncio.Future[bool], timeout_seconds: float
    ) -> None:
        """Wait for the acknowledgement; what was not taken in time is taken back, so that a repeat is the only copy."""
        try:
            async with asyncio.timeout(timeout_seconds):
                done = await settled
        except TimeoutError:
            done = False
            if item in line.waiting:
                line.waiting.remove(item)
        if not done:
            raise BusUnavailable(f"{line.queue.name} has not taken the message")

    def _later(self, seconds: float, line: _Line, message: Message) -> None:
        self._timer(seconds, lambda: line.put(_Waiting(replace(message, expires_seconds=None))))

    def _timer(self, seconds: float, then: object) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            then()  # type: ignore[operator]  # a plain callback

        timer = asyncio.get_running_loop().call_later(seconds, fire)
        self._timers.add(timer)

    def expire(self, line: _Line) -> None:
        """Dead-letter what has waited too long."""
        now = clock.monotonic()
        for item in [item for item in line.waiting if item.expires is not None and item.expires <= now]:
            line.waiting.remove(item)
            self.bury(line, item.message, "expired")

    def bury(self, line: _Line, message: Message, reason: str) -> None:
        """Move a message to the dead letters of its queue, or drop it when there are none."""
        dead = self._lines.get(line.queue.dead_letter or "")
        if dead is not None:
            headers = {**message.headers, "x-dead-reason": reason, "x-dead-queue": line.queue.name}
            dead.put(_Waiting(replace(message, headers=headers, expires_seconds=None)))

    async def post(self, address: str, message: Message) -> None:
        """Into the inbox, if it is still there."""
        inbox = self._inboxes.get(address)
        if inbox is not None:
            inbox.put(message)
        await asyncio.sleep(0)

    async def broadcast(self, topic: str, message: Message) -> None:
        """To every listener."""
        for listener in list(self._topics.get(topic, ())):
            listener.put(message)

    def subscribe(self, queue: str, *, prefetch: int) -> "MemorySubscription":
        """A competing consumer of the queue."""
        if queue not in self._lines:
            self._lines[queue] = _Line(Queue(queue))
        return MemorySubscription(self, self._lines[queue], prefetch)

    def listen(self, topic: str) -> MemoryListener:
        """An own copy of every broadcast."""
        return MemoryListener(self._topics.setdefault(topic, []), topic)

    def inbox(self) -> MemoryInbox:
        """A private address."""
        return MemoryInbox(self._inboxes)

    async def depth(self, queue: str) -> int | None:
        """How many messages wait."""
        line = self._lines.get(queue)
        return None if line is None else len(line.waiting)


class MemoryDelivery:
    """See shared.bus.Delivery."""

    def __init__(self, owner: "MemorySubscription", item: _Waiting) -> None:
        self.message = item.message
        self.queue = owner.line.queue.name
        self.delivery_count = item.deliveries
        self.item = item
        self._owner = owner
        self._settled = False

    async def ack(self) -> None:
        """Forget the message."""
        if not self._settled:
            self._settled = True
            self._owner.settle(self)
            self.item.settle(done=True)

    async def reject(self, *, requeue: bool) -> None:
        """Back to the queue, or to the dead letters."""
        if self._settled:
            return
        self._settled = True
        self._owner.settle(self)
        self._owner.give_back(self, requeue=requeue)


class MemorySubscription:
    """See shared.bus.Subscription."""

    def __init__(self, bus: MemoryBus, line: _Line, prefetch: int) -> None:
        self.line = line
        self._bus = bus
        self._prefetch = prefetch
        self._held: dict[int, MemoryDelivery] = {}
        self._stopped = False
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.line.consumers.append(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def __aiter__(self) -> AsyncIterator[MemoryDelivery]:
        while (delivery := await self._next()) is not None:
            yield delivery

    async def batch(self, most: int, wait_seconds: float) -> list[MemoryDelivery]:
        """At least one, and what else comes within the wait."""
        first = await self._next()
        if first is None:
            return []
        found = [first]
        deadline = clock.monotonic() + wait_seconds
        while len(found) < most and (left := deadline - clock.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    more = await self._next()
            except TimeoutError:
                break
            if more is None:
                break
            found.append(more)
        return found

    async def stop(self) -> None:
        """Give back what was not acknowledged."""
        if self._stopped:
            return
        self._stopped = True
        self._wake()
        if self in self.line.consumers:
            self.line.consumers.remove(self)
        for delivery in reversed(list(self._held.values())):
            await delivery.reject(requeue=True)
        self.line.arrived.set()

    def settle(self, delivery: MemoryDelivery) -> None:
        """Room for one more."""
        self._held.pop(id(delivery), None)
        self._wake()

    def give_back(self, delivery: MemoryDelivery, *, requeue: bool) -> None:
        """Redeliver, or bury what was tried too often."""
        limit = self.line.queue.delivery_limit
        if requeue and delivery.delivery_count <= limit:
            self.line.put(delivery.item, first=True)
        else:
            self._bus.bury(self.line, delivery.message, "delivery_limit" if requeue else "rejected")
            delivery.item.settle(done=True)

    def _wake(self) -> None:
        self._changed.set()
        self.line.arrived.set()

    def _may_take(self) -> bool:
        if self.line.queue.single_active and self.line.consumers and self.line.consumers[0] is not self:
            return False
        return len(self._held) < self._prefetch

    async def _next(self) -> MemoryDelivery | None:
        while not self._stopped:
            if self.line.waiting and self._may_take():
                item = self.line.waiting.popleft()
                if item.expires is not None and item.expires <= clock.monotonic():
                    self._bus.bury(self.line, item.message, "expired")
                    continue
                item.deliveries += 1
                delivery = MemoryDelivery(self, item)
                self._held[id(delivery)] = delivery
                return delivery
            self.line.arrived.clear()
            await self.line.arrived.wait()
        return None
