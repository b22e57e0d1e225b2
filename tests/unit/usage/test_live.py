"""The live stream: at once on connecting, then with every booking, and over when the process stops."""

import asyncio
import json
from collections.abc import AsyncIterator

from services.usage.live import TOPIC
from services.usage.routes import desk
from shared.bus import Message
from tests.fakes.ledger import Books, ended


async def frames(books: Books, seen: int = 0, key: str = "") -> AsyncIterator[dict[str, str]]:
    async for chunk in desk._news(books.ledger, key, seen, sees_all=not key):
        fields = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if ": " in line)
        if "data" in fields:
            yield fields


async def test_news_come_with_rising_ids_and_the_events_just_booked(books: Books) -> None:
    stream = frames(books)
    async with asyncio.timeout(20):
        first = await anext(stream)
        await books.ledger.book.book([ended(user_id="fresh")])
        second = await anext(stream)
    assert int(second["id"]) > int(first["id"])
    body = json.loads(second["data"])
    assert body["type"] == "stats"
    assert [event["user_id"] for event in body["events"]] == ["fresh"]
    assert body["today"]["calls"] == body["current_hour"]["calls"] == 1
    assert body["trust"]["events_total"] == 1


async def test_a_key_is_not_woken_by_what_others_do(books: Books) -> None:
    stream = frames(books, key="one")
    async with asyncio.timeout(20):
        assert json.loads((await anext(stream))["data"])["today"]["calls"] == 0
        waiting = asyncio.ensure_future(anext(stream))
        await books.ledger.book.book([ended(key_id="two")])
        done, _ = await asyncio.wait({waiting}, timeout=2.5)
        assert not done
        await books.ledger.book.book([ended(key_id="one")])
        await books.ledger.book.book([ended(key_id="two") for _ in range(30)])
        body = json.loads((await waiting)["data"])
    assert (body["today"]["calls"], [event["key_id"] for event in body["events"]]) == (1, ["one"])


async def test_a_reconnect_with_the_last_id_is_not_told_the_same_again(books: Books) -> None:
    await books.ledger.book.book([ended()])
    stream = frames(books, books.ledger.live.number)
    waiting = asyncio.ensure_future(anext(stream))
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    await books.ledger.book.book([ended()])
    async with asyncio.timeout(20):
        assert json.loads((await waiting)["data"])["today"]["calls"] == 2


async def test_the_stream_ends_when_the_process_stops(books: Books) -> None:
    stream = frames(books)
    async with asyncio.timeout(20):
        await anext(stream)
        books.resources.lifecycle.draining.set()
        assert [frame async for frame in stream] == []


async def test_other_replicas_bookings_are_heard(books: Books) -> None:
    live = books.ledger.live
    running = books.resources.tasks.start(live.listen(), name="listen")
    seen = live.number
    async with asyncio.timeout(10):
        while live.number == seen:
            await books.resources.bus.broadcast(TOPIC, Message(b'{"origin": "other", "event_ids": []}'))
            await live.wait(seen, 0.05)
    running.cancel()


async def test_a_strange_last_event_id_is_as_good_as_none(books: Books) -> None:
    books.resources.lifecycle.draining.set()
    for value in ("x", "-1", "9" * 40, "²"):
        answer = await books.client.get("/api/ai_usage/live", headers={"last-event-id": value.encode()})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
