"""Booking: whatever arrives how often in whatever order, every event counts once, and rollups equal events."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from services.usage import consumers
from services.usage.consumers import Intake
from services.usage.event import event_of
from services.usage.rollup import HOUR, Rollup, measures
from services.usage.store import ledger as store
from services.usage.tables import MEASURES, quarantine
from services.usage.upkeep import Upkeep
from services.usage.zone import zone_of
from shared import ids
from shared.bus import Message
from shared.config.schema import Config
from shared.errors import DatabaseUnavailable
from shared.messages.envelope import encode
from shared.messages.router import EVENTS, USAGE_QUEUE, AttemptEnded
from shared.prices import PriceBook
from shared.wire.usage import TokenUsage
from tests.fakes.ledger import Books, ended, opened

NOTHING = TokenUsage()

events_strategy = st.lists(
    st.builds(
        ended,
        st.sampled_from(["qwen-plus", "qwen-max", "gpt-4o-mini", "unknown-model"]),
        st.one_of(st.none(), st.integers(0, 5000)),
        st.one_of(st.none(), st.integers(0, 5000)),
        at=st.floats(1_790_000_000, 1_795_000_000),
        kind=st.sampled_from(["model", "model", "model", "tool", "cache"]),
        key_id=st.sampled_from([None, "k1", "k2"]),
        user_id=st.sampled_from([None, "u1", "u2", "用户"]),
        session_id=st.sampled_from([None, "s1"]),
        function=st.sampled_from([None, "f"]),
        attempt=st.integers(1, 3),
        status=st.sampled_from(["ok", "ok", "error", "aborted", "interrupted"]),
    ),
    max_size=25,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(events=events_strategy, data=st.data(), zone=st.sampled_from(["Asia/Shanghai", "Asia/Kolkata", "UTC"]))
def test_any_split_order_and_repetition_books_the_same(
    tmp_path_factory: pytest.TempPathFactory, events: list[AttemptEnded], data: st.DataObject, zone: str
) -> None:
    delivered = data.draw(
        st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=10)) if events else [])
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(delivered)), max_size=4)))

    async def run() -> None:
        folder = tmp_path_factory.mktemp("ledger")
        async with opened(folder, {"usage": {"timezone": zone}}) as books:
            accepted: set[str] = set()
            for start, end in zip([0, *cuts], [*cuts, len(delivered)], strict=True):
                booked = await books.ledger.book.book_messages([encode(event) for event in delivered[start:end]])
                assert not accepted & booked.accepted
                accepted |= booked.accepted
            assert accepted == {event.event_id for event in events}
            proof = await books.post("proof")
            assert proof["ok"], proof["differences"]
            assert proof["events"] == len(events)

    asyncio.run(run())


async def test_every_event_of_a_large_batch_counts_in_every_sum(books: Books) -> None:
    batch = [
        ended("qwen-max", 1000 + number, 0, user_id=f"u{number}", session_id=f"s{number}", key_id=f"k{number % 7}")
        for number in range(400)
    ]
    await books.ledger.book.book_messages([encode(event) for event in batch])
    nano = 20_000 * sum(1000 + number for number in range(400))
    assert (await books.get("stats/daily"))["total_cost"] == nano / 1e9
    assert len((await books.get("breakdown", by="user"))["data"]) == 400
    assert sum(row["calls"] for row in (await books.get("breakdown", by="key"))["data"]) == 400
    assert (await books.post("proof"))["ok"]


async def test_a_message_that_can_never_be_booked_is_set_aside_once_and_the_others_are_booked(books: Books) -> None:
    good = [ended() for _ in range(5)]
    bad = [
        b"not json",
        b'{"type": "attempt_ended"}',
        encode(ended(event_id="no-uuid")),
        encode(ended(timestamp=-1.0)),
        encode(ended(kind="other")),
        encode(ended(usage=TokenUsage(-5, 1))),
        b"\xff\xfe",
    ]
    for _ in range(2):
        booked = await books.ledger.book.book_messages([*bad, *(encode(event) for event in good)])
        assert booked.quarantined == len(bad)
    assert (await books.get("stats/current"))["today"]["calls"] == 5
    async with books.resources.database.read() as connection:
        reasons = (await connection.execute(select(quarantine.c.reason))).scalars().all()
    assert len(reasons) == len(bad)
    assert (await books.get("health"))["quarantined"] == len(bad)


async def test_what_the_database_refuses_is_found_by_halving(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    real = store.insert_events

    class Refused(Exception):
        sqlstate = "22021"

    from sqlalchemy.exc import DBAPIError

    async def picky_as_data_error(connection: Any, rows: Any) -> set[str]:
        if any(row.user_id == "poison" for row in rows):
            raise DBAPIError("INSERT", {}, Refused())
        return await real(connection, rows)

    monkeypatch.setattr(store, "insert_events", picky_as_data_error)
    events = [ended(user_id="poison" if number == 6 else "fine") for number in range(11)]
    booked = await books.ledger.book.book_messages([encode(event) for event in events])
    assert (len(booked.accepted), booked.quarantined) == (10, 1)


@pytest.mark.parametrize("code", ["53100", "57P01", "42P01", "XX000"])
async def test_a_database_that_cannot_work_makes_no_event_poison(
    books: Books, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    from sqlalchemy.exc import DBAPIError

    class Refused(Exception):
        sqlstate = code

    async def full(*_: Any) -> set[str]:
        raise DBAPIError("INSERT", {}, Refused())

    real = store.insert_events
    monkeypatch.setattr(store, "insert_events", full)
    bodies = [encode(ended()) for _ in range(4)]
    with pytest.raises(DatabaseUnavailable):
        await books.ledger.book.book_messages(bodies)
    monkeypatch.setattr(store, "insert_events", real)
    assert len((await books.ledger.book.book_messages(bodies)).accepted) == 4
    assert (await books.get("health"))["quarantined"] == 0


@pytest.mark.parametrize("code", ["40P01", "40001", "55P03"])
async def test_transactions_that_met_badly_are_tried_again(
    books: Books, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    from sqlalchemy.exc import DBAPIError

    class Deadlock(Exception):
        sqlstate = code

    real, failures = store.roll_up, [Deadlock(), Deadlock()]

    async def unlucky(*arguments: Any) -> None:
        if failures:
            raise DBAPIError("INSERT", {}, failures.pop())
        await real(*arguments)

    monkeypatch.setattr(store, "roll_up", unlucky)
    assert len((await books.ledger.book.book_messages([encode(ended())])).accepted) == 1
    assert (await books.get("stats/daily"))["total_calls"] == 1
    assert (await books.post("proof"))["ok"]


async def test_text_no_database_stores_is_cleaned_and_not_poison(books: Books) -> None:
    booked = await books.ledger.book.book([ended(user_id="a\0b", function="x" * 5000, error_msg="\ud800")])
    (event,) = (await books.get("events"))["events"]
    assert len(booked.accepted) == 1
    assert (event["user_id"], len(event["function"])) == ("ab", 512)


async def test_kinds_are_counted_apart(books: Books) -> None:
    await books.ledger.book.book(
        [
            ended("qwen-plus", user_id="u"),
            ended("time__now", kind="tool", provider="time", usage=NOTHING, user_id="u"),
            ended("qwen-plus", kind="cache", user_id="u", usage=NOTHING),
        ]
    )
    daily = await books.get("stats/daily")
    assert (daily["total_calls"], daily["tool_calls"], daily["cache_hits"]) == (1, 1, 1)
    events = {event["kind"]: event for event in (await books.get("events"))["events"]}
    assert events["cache"]["cost"] == 0
    assert events["tool"]["cost"] is None
    assert events["tool"]["unpriced"] is False
    assert (await books.get("top_users"))["top_users"] == [{"user_id": "u", "calls": 1, "tokens": 2700, "cost": 0.0022}]


async def test_gaps_in_a_producers_sequence_are_told_and_heal(books: Books) -> None:
    await books.ledger.book.book([ended(producer="gateway-1", sequence=number) for number in (1, 2, 5)])
    health = await books.get("health")
    assert health["gaps"] == 2
    assert health["producers"][0]["missing"] == [{"from": 3, "to": 4}]
    await books.ledger.book.book([ended(producer="gateway-1", sequence=number) for number in (4, 3, 3)])
    assert (await books.get("health"))["gaps"] == 0


async def test_a_failed_booking_leaves_nothing_behind(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise DatabaseUnavailable

    real = store.see_sequences
    monkeypatch.setattr(store, "see_sequences", broken)
    event = ended()
    with pytest.raises(DatabaseUnavailable):
        await books.ledger.book.book([event])
    assert (await books.get("events"))["events"] == []
    monkeypatch.setattr(store, "see_sequences", real)
    assert (await books.ledger.book.book([event])).accepted == {event.event_id}
    assert (await books.post("proof"))["ok"]


async def test_the_intake_books_from_the_bus_and_acknowledges_after_the_commit(tmp_path: Path) -> None:
    async with opened(tmp_path) as books:
        bus = books.resources.bus
        intake = Intake(bus, books.ledger.book, books.resources.database.ready)
        running = books.resources.tasks.start(intake.run(), name="intake")
        await bus.declare(EVENTS)
        seen = books.ledger.live.number
        for number in range(20):
            await bus.send(USAGE_QUEUE, Message(encode(ended(producer="p", sequence=number + 1))))
        await bus.send(USAGE_QUEUE, Message(b"poison"))
        async with asyncio.timeout(10):
            while (await books.get("health"))["events_total"] < 20 or await bus.depth(USAGE_QUEUE):
                await books.ledger.live.wait(seen, 0.2)
        health = await books.get("health")
        assert (health["quarantined"], health["gaps"], health["lag_seconds"]) == (1, 0, 0)
        running.cancel()


async def test_the_intake_holds_a_batch_while_the_database_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as books:
        bus, book = books.resources.bus, books.ledger.book
        failures, tried = [DatabaseUnavailable(), DatabaseUnavailable()], asyncio.Event()
        real = book.book_messages

        async def away(bodies: Any) -> Any:
            if failures:
                raise failures.pop()
            result = await real(bodies)
            tried.set()
            return result

        monkeypatch.setattr(book, "book_messages", away)
        running = books.resources.tasks.start(Intake(bus, book, books.resources.database.ready).run(), name="intake")
        await bus.declare(EVENTS)
        await bus.send(USAGE_QUEUE, Message(encode(ended())))
        async with asyncio.timeout(10):
            await tried.wait()
        assert len((await books.get("events"))["events"]) == 1
        running.cancel()


async def test_nothing_is_acknowledged_before_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as books:
        bus, book = books.resources.bus, books.ledger.book
        real, taken, may_commit = book.book_messages, asyncio.Event(), asyncio.Event()

        async def slow(bodies: Any) -> Any:
            taken.set()
            await may_commit.wait()
            return await real(bodies)

        monkeypatch.setattr(book, "book_messages", slow)
        running = books.resources.tasks.start(Intake(bus, book, books.resources.database.ready).run(), name="intake")
        await bus.declare(EVENTS)
        sending = asyncio.create_task(bus.send(USAGE_QUEUE, Message(encode(ended()))))
        async with asyncio.timeout(10):
            await taken.wait()
            await asyncio.sleep(0.05)
            assert not sending.done(), "the producer may forget only what is in the ledger"
            may_commit.set()
            await sending
        assert len((await books.get("events"))["events"]) == 1
        running.cancel()


async def test_a_backlog_is_booked_in_portions_of_whole_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "MOST_EVENTS", 5)
    async with opened(tmp_path) as books:
        bus, book = books.resources.bus, books.ledger.book
        real, portions = book.book_messages, []

        async def noted(bodies: Any) -> Any:
            portions.append(len(bodies))
            return await real(bodies)

        monkeypatch.setattr(book, "book_messages", noted)
        await bus.declare(EVENTS)
        sizes = (2, 2, 2, 7, 1)
        sending = [
            asyncio.create_task(bus.send(USAGE_QUEUE, Message(b"\n".join(encode(ended()) for _ in range(size)))))
            for size in sizes
        ]
        await asyncio.sleep(0)
        running = books.resources.tasks.start(Intake(bus, book, books.resources.database.ready).run(), name="intake")
        async with asyncio.timeout(10):
            await asyncio.gather(*sending)
        assert sum(portions) == sum(sizes)
        assert max(portions) == 7, "only a message that is larger by itself may be more than a portion"
        assert (await books.get("health"))["events_total"] == sum(sizes)
        running.cancel()


async def test_many_events_are_added_up_beside_the_event_loop(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    book, threads = books.ledger.book, []
    real = book._worked_out

    def noted(*given: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return real(*given)

    monkeypatch.setattr(book, "_worked_out", noted)
    await book.book([ended() for _ in range(200)])
    await book.book([ended()])
    assert threads == [False, True]
    assert (await books.get("stats/daily"))["total_calls"] == 201


async def test_sums_are_the_same_however_many_events_wait_to_be_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    book = PriceBook.of(Config().usage)
    events = [
        event_of(ended("qwen-max", n, 2 * n, user_id=f"u{n % 3}", key_id="k", session_id="s"), book, "CNY", 0.0)
        for n in range(20)
    ]

    def added() -> tuple[Any, ...]:
        rollup = Rollup(zone_of("Asia/Kolkata"))
        for event in events:
            rollup.add(event)
        rollup.correct(events[0], -5, 1)
        rollup.add_days()
        return rollup.sums, rollup.counts, rollup.sessions

    whole = added()
    monkeypatch.setattr("services.usage.rollup.MOST_WAITING", 3)
    assert added() == whole
    one_by_one = [0] * len(MEASURES)
    for event in events:
        one_by_one = [one + other for one, other in zip(one_by_one, measures(event), strict=True)]
    cost = MEASURES.index("cost_nano")
    one_by_one[cost] -= 5
    one_by_one[MEASURES.index("unpriced")] -= 1
    assert [values for key, values in whole[0].items() if key[:3] == ("", "total", HOUR)] == [one_by_one]


async def test_a_lost_rollup_is_found_and_put_right(books: Books) -> None:
    await books.ledger.book.book([ended("qwen-max", user_id="u", key_id="k") for _ in range(4)])
    async with books.resources.database.begin() as connection:
        await connection.execute(
            text("UPDATE usage_rollups SET calls = calls + 1 WHERE dimension = 'total' AND scope = ''")
        )
        await connection.execute(text("DELETE FROM usage_rollups WHERE dimension = 'user' AND scope = 'k'"))
    proof = await books.post("proof")
    assert not proof["ok"]
    assert proof["drift_events"] == 1
    assert {row["dimension"] for row in proof["differences"]} == {"total", "user"}
    assert (await books.get("health"))["drift_events"] == 1
    assert not (await books.post("proof", repair="true"))["ok"], "the repair tells what it found"
    assert (await books.post("proof"))["ok"]
    assert (await books.get("stats/daily"))["total_calls"] == 4


@pytest.mark.parametrize(
    ("damage", "dimension"),
    [
        ("UPDATE usage_rollups SET cost_nano = cost_nano + 1 WHERE dimension = 'session' AND scope = 'k'", "session"),
        ("DELETE FROM usage_rollups WHERE dimension = 'session tool' AND scope = ''", "session tool"),
        ("UPDATE usage_latency SET count = count + 1 WHERE measure = 'ttft' AND scope = ''", "ttft histogram"),
        ("DELETE FROM usage_latency WHERE measure = 'duration' AND grain = 86400", "duration histogram"),
    ],
)
async def test_drift_of_sessions_and_histograms_is_found_and_mended_by_night(
    books: Books, damage: str, dimension: str
) -> None:
    labels = {"user_id": "u", "key_id": "k", "session_id": "s"}
    await books.ledger.book.book([ended("qwen-max", **labels), ended("t", kind="tool", **labels), ended(**labels)])
    assert (await books.post("proof"))["ok"]
    async with books.resources.database.begin() as connection:
        await connection.execute(text(damage))
    proof = await books.post("proof")
    assert {row["dimension"] for row in proof["differences"]} == {dimension}
    assert (proof["ok"], proof["drift_events"]) == (False, 0)
    await Upkeep(books.ledger)._prove_once()
    assert (await books.post("proof"))["ok"]
    assert (await books.get("stats/session/s"))["calls"] == 2


async def test_ids_given_by_callers_are_the_same_event_whatever_their_time(books: Books) -> None:
    body = {"model": "qwen-plus", "input_tokens": 1, "output_tokens": 1, "event_id": "mine"}
    first = await books.post("record", {**body, "timestamp": 1_790_000_000})
    again = await books.post("record", [{**body, "timestamp": 1_790_009_999}, body])
    assert (first["accepted"], again["accepted"], again["duplicates"]) == (1, 0, 2)
    assert first["event_ids"] == again["event_ids"][:1]
    assert ids.is_uuid7(first["event_ids"][0])


def test_messages_of_a_later_version_with_more_fields_are_read() -> None:
    body = msgspec.json.decode(encode(ended()))
    assert msgspec.json.decode(msgspec.json.encode({**body, "version": 2, "new": 1}), type=AttemptEnded)
