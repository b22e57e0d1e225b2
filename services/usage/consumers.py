"""The bus edge: takes usage events in batches, has them booked, and acknowledges after the commit."""

import asyncio
from collections.abc import Iterable, Iterator

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.usage.book import Book
from shared import prices_genai
from shared.bus import Bus, Delivery, Subscription
from shared.errors import Unavailable
from shared.messages.router import EVENTS, USAGE_QUEUE

log = structlog.get_logger(__name__)

# A message holds what its producer had noted at once: one event in quiet times, a thousand after an outage.
MOST_MESSAGES = 50
# More in one transaction saves little and makes everybody wait: readers for the news, the next batch for the lock.
MOST_EVENTS = 5_000
# While the database writes one batch, the next one is read, priced and added up.
TAKERS = 2
PREFETCH = TAKERS * MOST_MESSAGES
WAIT_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


class Intake:
    """Books what arrives on the queue, for ever."""

    def __init__(self, bus: Bus, book: Book, ready: asyncio.Event) -> None:
        self._bus = bus
        self._book = book
        self._ready = ready

    async def run(self) -> None:
        """Take batches until cancelled; nothing is fetched before the tables are there."""
        await self._bus.declare(EVENTS)
        await self._ready.wait()
        # In a thread: a second of reading tables must not stop answers that share this process.
        await asyncio.to_thread(prices_genai.load)
        async with self._bus.subscribe(USAGE_QUEUE, prefetch=PREFETCH) as subscription, asyncio.TaskGroup() as takers:
            for number in range(TAKERS):
                takers.create_task(self._take_on(subscription), name=f"usage.take.{number}")

    async def _take_on(self, subscription: Subscription) -> None:
        while True:
            await self._take(await subscription.batch(MOST_MESSAGES, WAIT_SECONDS))

    async def _take(self, deliveries: list[Delivery]) -> None:
        for portion, bodies in _portions(deliveries):
            await self._book_all(bodies)
            for delivery in portion:
                await delivery.ack()

    async def _book_all(self, bodies: list[bytes]) -> None:
        """Book one batch; while the database is away it is held, not lost and not counted as failed."""
        pause = 0.1
        while True:
            try:
                await self._book.book_messages(bodies)
            except (Unavailable, SQLAlchemyError):
                log.warning("booking_waits", events=len(bodies), pause_seconds=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                return


def _portions(deliveries: Iterable[Delivery]) -> Iterator[tuple[list[Delivery], list[bytes]]]:
    """Whole messages with their events, as many as go into one transaction."""
    portion: list[Delivery] = []
    bodies: list[bytes] = []
    for delivery in deliveries:
        found = delivery.message.body.split(b"\n")
        if portion and len(bodies) + len(found) > MOST_EVENTS:
            yield portion, bodies
            portion, bodies = [], []
        portion.append(delivery)
        bodies += found
    if portion:
        yield portion, bodies
