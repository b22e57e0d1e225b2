"""From RabbitMQ into Postgres: everything that was confirmed is booked once, also when it is delivered again."""

import asyncio
from pathlib import Path

from services.usage.consumers import Intake
from shared.bus import Message
from shared.messages.envelope import encode
from shared.messages.router import EVENTS, USAGE_QUEUE
from tests.fakes.ledger import ended, opened

COUNT = 2000


async def test_events_from_the_broker_are_booked_once(tmp_path: Path, postgres_url: str, amqp_url: str) -> None:
    async with opened(tmp_path, url=postgres_url, bus=amqp_url) as books:
        bus = books.resources.bus
        assert await bus.wait_connected(30)
        await bus.declare(EVENTS)
        intake = Intake(bus, books.ledger.book, books.resources.database.ready)
        first = books.resources.tasks.start(intake.run(), name="intake")
        bodies = [encode(ended(producer="p", sequence=number + 1)) for number in range(COUNT)]
        gate = asyncio.Semaphore(200)

        async def send(body: bytes) -> None:
            async with gate:
                await bus.send(USAGE_QUEUE, Message(body), timeout_seconds=30)

        async with asyncio.timeout(100):
            await asyncio.gather(*(send(body) for body in [*bodies, *bodies[:300], b"poison"]))
            # The consumer dies in the middle; another one takes over what it had not acknowledged.
            first.cancel()
            await asyncio.wait({first})
            second = books.resources.tasks.start(intake.run(), name="intake again")
            while (health := await books.get("health"))["events_total"] < COUNT or not health["quarantined"]:
                await books.ledger.live.wait(books.ledger.live.number, 0.5)
        assert (health["gaps"], health["quarantined"]) == (0, 1)
        assert (await books.get("stats/current"))["today"]["calls"] == COUNT
        assert (await books.post("proof"))["ok"]
        second.cancel()
