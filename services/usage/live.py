"""News for open dashboards: every booking is told to all replicas, and each open stream wakes at most once a second."""

import asyncio
import contextlib

import msgspec

from services.usage.book import Booked
from services.usage.event import Event
from shared import clock, ids
from shared.bus import Bus, Message
from shared.errors import BusUnavailable
from shared.tasks import Tasks

TOPIC = "usage.booked"
MOST_EVENTS = 20


class News(msgspec.Struct):
    """A booking, as replicas tell each other."""

    origin: str
    event_ids: list[str]


class Live:
    """The newest booking as a rising number, and the events it brought."""

    def __init__(self, bus: Bus, tasks: Tasks) -> None:
        self.number = _milliseconds()
        self.recent: list[str] = []
        self._origin = ids.new_id()
        self._bus = bus
        self._tasks = tasks
        self._changed = asyncio.Event()

    def booked(self, booked: Booked) -> None:
        """Tell everybody of a booking, this process first."""
        if booked.events:
            news = News(self._origin, [event.event_id for event in newest(booked.events)])
            self._take(news)
            self._tasks.start(self._tell(news), name="usage.tell")

    def touch(self) -> None:
        """Something else changed the figures: whoever kept an answer asks again."""
        self._take(News(self._origin, []))

    async def listen(self) -> None:
        """Hear of other replicas' bookings until cancelled."""
        async with self._bus.listen(TOPIC) as heard:
            async for delivery in heard:
                news = msgspec.json.decode(delivery.message.body, type=News)
                if news.origin != self._origin:
                    self._take(news)

    async def wait(self, seen: int, seconds: float) -> bool:
        """Until there is something newer than `seen`, or the time is over."""
        if self.number > seen:
            return True
        changed = self._changed
        try:
            async with asyncio.timeout(seconds):
                await changed.wait()
        except TimeoutError:
            return False
        return True

    async def _tell(self, news: News) -> None:
        # Nobody waits for this news: what is missed is read with the next question.
        with contextlib.suppress(BusUnavailable):
            await self._bus.broadcast(TOPIC, Message(msgspec.json.encode(news), persistent=False))

    def _take(self, news: News) -> None:
        self.number = max(self.number + 1, _milliseconds())
        self.recent = [*news.event_ids, *self.recent][: 5 * MOST_EVENTS]
        # A fresh event for the next round: whoever waits on the old one wakes, nobody wakes twice.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def newest(events: list[Event]) -> list[Event]:
    """The last events of a batch, the newest first."""
    return sorted(events, key=lambda event: (event.at_us, event.event_id), reverse=True)[:MOST_EVENTS]


def _milliseconds() -> int:
    return round(clock.now() * 1000)
