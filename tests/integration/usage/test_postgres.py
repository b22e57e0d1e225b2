"""The ledger on a real Postgres: the same figures, partitions, plans along indexes, two writers at once."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from services.usage.store import events as store
from services.usage.store import spans
from services.usage.store.bulk import encode as encode_rows
from services.usage.upkeep import Upkeep
from services.usage.zone import utc_date
from shared import clock
from shared.messages.envelope import encode
from shared.messages.router import AttemptEnded
from shared.wire.usage import TokenUsage
from tests.fakes.ledger import Books, ended, opened

PATHS = (
    "stats/current", "stats/daily", "stats/monthly", "top_users", "cost_trend", "breakdown?by=user", "breakdown?by=anchor",
    "stats/session/s1", "explore?by=function&compare=true", "explore?measure=ttft_p95_ms&by=none", "advice",
)  # fmt: skip


SCREEN = ("cards", "spend", "heatmap", "latency", "breakdowns", "movers", "tools", "advice")


@pytest.fixture
async def books(tmp_path: Path, postgres_url: str) -> AsyncIterator[Books]:
    async with opened(tmp_path, {"usage": {"alerts": [{"name": "daily", "limit": 1}]}}, url=postgres_url) as found:
        yield found


def many(count: int, seed: int = 1) -> list[AttemptEnded]:
    chance = random.Random(seed)
    now = clock.now()
    return [
        ended(
            chance.choice(["qwen-max", "qwen-plus", "gpt-4o-mini", "mystery"]),
            chance.choice([None, chance.randint(0, 5000)]),
            chance.randint(0, 900),
            at=now - chance.random() * 30 * 86_400,
            user_id=chance.choice([None, "u1", "u2", "用户"]),
            key_id=chance.choice([None, "k1", "k2"]),
            session_id=chance.choice([None, "s1", "s2"]),
            anchor_id=chance.choice([None, "a"]),
            function=chance.choice([None, "f"]),
            status=chance.choice(["ok", "ok", "error", "aborted"]),
            kind=chance.choice(["model", "model", "model", "tool", "cache"]),
            attempt=chance.randint(1, 3),
            duration_ms=chance.random() * 5000,
            producer="p",
            sequence=number + 1,
        )
        for number in range(count)
    ]


async def test_both_databases_tell_the_same(books: Books, tmp_path: Path) -> None:
    events = many(400)
    async with opened(tmp_path / "sqlite", {"usage": {"alerts": [{"name": "daily", "limit": 1}]}}) as others:
        for which in (books, others):
            for start in range(0, 400, 90):
                await which.ledger.book.book_messages([encode(event) for event in events[start : start + 120]])
            assert (await which.post("proof"))["ok"]
        for path in PATHS:
            assert await books.get(path) == await others.get(path), path
        for days in (1, 7, 30):
            here, there = await books.get("dashboard", days=days), await others.get("dashboard", days=days)
            for board in (here, there):
                del board["cards"]["forecast"]  # it looks at the clock
            for part in SCREEN:
                assert here[part] == there[part], (days, part)
        ours, theirs = [], []
        for which, found in ((books, ours), (others, theirs)):
            cursor: dict[str, Any] = {}
            while cursor is not None:
                page = await which.get("events", limit=77, **cursor)
                found += page["events"]
                cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None  # type: ignore[assignment]
        assert ours == theirs
        assert len(ours) == 400


async def test_events_live_in_weekly_partitions_and_stay_unique_over_all_of_them(books: Books) -> None:
    await Upkeep(books.ledger)._partitions_once()
    await Upkeep(books.ledger)._partitions_once()
    fresh, old = ended(), ended(event_id="0184d3a0-0000-7000-8000-000000000001")
    for _ in range(2):
        await books.ledger.book.book([fresh, old])
    async with books.resources.database.read() as connection:
        names = await store.partitions(connection)
        found = await connection.execute(text("SELECT tableoid::regclass::text, count(*) FROM usage_events GROUP BY 1"))
        places = {row[0]: row[1] for row in found}
    weeks = [int(clock.now()) // store.WEEK * store.WEEK + ahead * store.WEEK for ahead in range(-5, 4)]
    assert {f"usage_events_{utc_date(week):%Y%m%d}" for week in weeks} <= names
    assert sum(places.values()) == 2
    assert places["usage_events_default"] == 1
    assert len(places) == 2


async def test_retention_drops_whole_weeks_and_leaves_the_rollups(books: Books) -> None:
    now = clock.now()
    async with books.resources.database.begin() as connection:
        await store.ensure_partitions(connection, now - 10 * store.WEEK, now + store.WEEK)
    from uuid import UUID

    def old_id(number: int) -> str:
        milliseconds = int((now - 9 * store.WEEK) * 1000)
        return str(UUID(int=(milliseconds << 80) | (7 << 76) | (0b10 << 62) | number))

    await books.ledger.book.book([ended(event_id=old_id(1), at=now - 9 * store.WEEK), ended()])
    async with books.resources.database.begin() as connection:
        assert await store.forget_before(connection, now - 3 * store.WEEK)
    assert len((await books.get("events"))["events"]) == 1
    assert sum(row["cost"] for row in (await books.get("cost_trend", days=100))["data"]) == 0.0044


async def test_retention_reaches_events_under_their_callers_own_ids(books: Books) -> None:
    now = clock.now()
    await Upkeep(books.ledger)._partitions_once()
    records = [
        {
            "model": "qwen-max",
            "input_tokens": 1000,
            "output_tokens": 0,
            "event_id": name,
            "timestamp": now - weeks * 604_800,
        }
        for name, weeks in (("mine", 9), ("f47ac10b-58cc-4372-a567-0e02b2c3d479", 9), ("fresh", 1))
    ]
    await books.post("record", records)
    async with books.resources.database.begin() as connection:
        assert await store.forget_before(connection, now - 3 * store.WEEK)
    (left,) = (await books.get("events"))["events"]
    assert left["timestamp"] == pytest.approx(records[2]["timestamp"])
    assert sum(row["cost"] for row in (await books.get("cost_trend", days=100))["data"]) == 0.06
    assert (await books.post("proof"))["ok"]


async def test_events_that_missed_their_week_are_counted_for_an_alarm(books: Books) -> None:
    await books.ledger.book.book([ended()])
    await Upkeep(books.ledger)._partitions_once()
    await books.post("record", {"model": "m", "event_id": "a name of its own"})
    assert REGISTRY.get_sample_value("usage_default_partition_events") == 1
    assert (await books.post("proof"))["ok"]


async def test_two_writers_neither_wait_for_each_other_in_a_circle_nor_lose(books: Books) -> None:
    batches = [
        [msgspec.structs.replace(event, sequence=60 * seed + event.sequence) for event in many(60, seed)]
        for seed in range(8)
    ]

    async def write(batch: list[AttemptEnded]) -> int:
        return len((await books.ledger.book.book_messages([encode(event) for event in batch])).accepted)

    async with asyncio.timeout(60):
        assert sum(await asyncio.gather(*(write(batch) for batch in batches))) == 480
    health = await books.get("health")
    assert (health["gaps"], health["events_total"]) == (0, 480)
    assert (await books.post("proof"))["ok"]


async def test_single_events_are_found_along_an_index(books: Books) -> None:
    await Upkeep(books.ledger)._partitions_once()
    for seed in range(3):
        await books.ledger.book.book(many(1000, seed + 10))
    queries = {
        "request": "SELECT * FROM usage_events WHERE request_id = 'r' ORDER BY at_us DESC, event_id DESC LIMIT 5",
        "session": "SELECT * FROM usage_events WHERE session_id = 's9' ORDER BY at_us DESC, event_id DESC LIMIT 5",
        "page": "SELECT * FROM usage_events WHERE at_us <= 1 ORDER BY at_us DESC, event_id DESC LIMIT 5",
    }
    async with books.resources.database.read() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        for name, query in queries.items():
            plan = "\n".join((await connection.execute(text(f"EXPLAIN {query}"))).scalars())
            assert "Seq Scan" not in plan, f"{name}:\n{plan}"


async def test_a_later_chunk_of_events_is_read_from_where_the_last_one_ended(books: Books) -> None:
    await Upkeep(books.ledger)._partitions_once()
    await books.ledger.book.book(many(1000, 4))
    async with books.resources.database.read() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        rows = await store.some(connection, 0, 2**62, None)
        after = (rows[900].at_us, str(rows[900].event_id))
        statement = store._range(0, 2**62, None, after)
        query = str(statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
        plan = "\n".join((await connection.execute(text(f"EXPLAIN ANALYZE {query}"))).scalars())
        assert [str(row.event_id) for row in await store.some(connection, 0, 2**62, after)] == [
            str(row.event_id) for row in rows[901:]
        ]
    removed = sum(int(line.split(":")[1]) for line in plan.splitlines() if "Rows Removed by Filter" in line)
    assert removed <= 10, plan


async def test_a_screen_finds_its_spans_along_an_index(books: Books) -> None:
    await books.ledger.book.book(many(1000, 5))
    span = books.ledger.zone.last_days(30, clock.now())
    asked = [{"number": 0, "what": "user", "size": g, "low": a, "high": b} for g, a, b in spans.pieces(span)]
    values = {"pieces": encode_rows(asked), "scope": "", "most": 40}
    async with books.resources.database.read() as connection:
        for template in (spans.SUMS, spans.TAILS, spans.COMPARED):
            query = spans.statement(template, "postgresql", named=False)
            plan = "\n".join((await connection.execute(text(f"EXPLAIN {query}"), values)).scalars())
            assert "Seq Scan" not in plan, plan


async def test_a_refused_text_does_not_stop_the_batch(books: Books) -> None:
    bad = ended(user_id="a\0b", error_msg="\ud800", status="error")
    booked = await books.ledger.book.book([ended(), bad])
    assert len(booked.accepted) == 2


async def test_a_query_that_runs_while_events_are_booked_sees_whole_batches(books: Books) -> None:
    async def write() -> None:
        for seed in range(10):
            await books.ledger.book.book([ended("qwen-max", usage=TokenUsage(1000, 0)) for _ in range(10 + seed * 0)])

    async def read() -> None:
        for _ in range(20):
            today = (await books.get("stats/current"))["today"]
            assert today["calls"] % 10 == 0
            await asyncio.sleep(0)

    await asyncio.gather(write(), read())
