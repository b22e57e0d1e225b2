"""The spool keeps what happened, whatever dies when."""

import os
import subprocess
import sys
import textwrap

import pytest

from shared.bus_memory import MemoryBus
from shared.errors import SpoolFull
from shared.ids import new_id
from shared.messages.envelope import decode
from shared.messages.router import EVENTS, USAGE_QUEUE, AttemptEnded, AttemptProgress, AttemptStarted
from shared.spool import Spool
from shared.spool_publisher import SpoolPublisher
from shared.wire.usage import TokenUsage


def started(**fields):
    given = {"event_id": new_id(), "request_id": "r", "attempt": 1, "timestamp": 1.0, "provider": "p", "model": "m"}
    return AttemptStarted(**{**given, **fields})


def ended(begun, **fields):
    return AttemptEnded(
        **{
            "event_id": begun.event_id,
            "request_id": begun.request_id,
            "attempt": 1,
            "timestamp": 1.0,
            "status": "ok",
            **fields,
        }
    )


def events(spool):
    return [decode(item.body, AttemptEnded) for item in spool.pending(10_000)]


def test_what_ended_is_pending_in_order_with_a_gapless_sequence(tmp_path):
    spool = Spool(tmp_path)
    begun = [started() for _ in range(5)]
    for one in begun:
        spool.start(one)
        spool.end(ended(one))
    assert [event.event_id for event in events(spool)] == [one.event_id for one in begun]
    assert [event.sequence for event in events(spool)] == [1, 2, 3, 4, 5]
    assert {event.producer for event in events(spool)} == {spool.producer}


def test_a_second_end_of_an_attempt_is_ignored(tmp_path):
    spool = Spool(tmp_path)
    one = started()
    spool.start(one)
    spool.end(ended(one))
    spool.end(ended(one, status="error"))
    assert [event.status for event in events(spool)] == ["ok"]


def test_a_cache_hit_needs_no_beginning(tmp_path):
    spool = Spool(tmp_path)
    spool.end(ended(started(), kind="cache"))
    assert len(events(spool)) == 1


def test_published_events_are_not_pending_and_their_segments_go(tmp_path):
    spool = Spool(tmp_path, segment_bytes=400)
    for _ in range(20):
        one = started()
        spool.start(one)
        spool.end(ended(one))
    pending = spool.pending(15)
    spool.published(pending[-1].position, len(pending))
    assert len(events(spool)) == 5
    assert spool.events_waiting == 5
    before = len(list(spool.folder.glob("*.log")))
    pending = spool.pending(100)
    spool.published(pending[-1].position, len(pending))
    assert len(list(spool.folder.glob("*.log"))) < before
    assert spool.events_waiting == 0
    assert spool.oldest_waiting is None


def test_a_full_spool_refuses_new_attempts_and_never_drops_an_end(tmp_path):
    spool = Spool(tmp_path, limit_bytes=1000)
    last = started()
    spool.start(last)
    with pytest.raises(SpoolFull):
        for _ in range(100):
            spool.start(started())
    spool.end(ended(last))
    assert [event.event_id for event in events(spool)] == [last.event_id]


def test_the_next_process_publishes_what_a_dead_one_left(tmp_path):
    """A child process is killed with one attempt ended, one cut in its middle and one that had just begun."""
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {os.getcwd()!r})
        from pathlib import Path
        from shared.spool import Spool
        from shared.messages.router import AttemptEnded, AttemptProgress, AttemptStarted
        from shared.wire.usage import TokenUsage
        spool = Spool(Path({str(tmp_path)!r}), segment_bytes=300)
        for name in ("done", "cut", "begun"):
            spool.start(AttemptStarted(event_id=name, request_id="r", attempt=1, timestamp=5.0, input_tokens_estimate=7))
        spool.end(AttemptEnded(event_id="done", request_id="r", attempt=1, timestamp=5.0))
        spool.progress(AttemptProgress(event_id="cut", usage=TokenUsage(output_tokens=3), ttft_ms=12.0))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False).returncode == -9
    spool = Spool(tmp_path)
    assert spool.adopt(now=9.0) == 3
    found = {event.event_id: event for event in events(spool)}
    assert set(found) == {"done", "cut", "begun"}
    assert found["done"].status == "ok"
    assert found["cut"].status == found["begun"].status == "interrupted"
    assert found["cut"].usage == TokenUsage(input_tokens=7, output_tokens=3)
    assert found["cut"].usage_source == "estimated"
    assert found["begun"].usage is None
    assert found["begun"].usage_source == "none"
    assert spool.adopt(now=9.0) == 0
    assert [path.name for path in tmp_path.iterdir()] == [spool.producer]


def test_a_living_process_is_not_robbed(tmp_path):
    first, second = Spool(tmp_path), Spool(tmp_path)
    one = started()
    first.start(one)
    assert second.adopt(now=1.0) == 0
    first.end(ended(one))
    assert len(events(first)) == 1


def test_a_torn_tail_costs_only_the_torn_record(tmp_path):
    spool = Spool(tmp_path)
    one, two = started(), started()
    for each in (one, two):
        spool.start(each)
        spool.end(ended(each))
    path = next(spool.folder.glob("*.log"))
    path.write_bytes(path.read_bytes()[:-5])
    os.close(spool._lock)
    heir = Spool(tmp_path)
    heir.adopt(now=1.0)
    assert [(event.event_id, event.status) for event in events(heir)] == [
        (one.event_id, "ok"),
        (two.event_id, "interrupted"),
    ]


async def test_the_publisher_deletes_only_what_the_consumer_has_taken(tmp_path, eventually):
    spool, bus = Spool(tmp_path), MemoryBus()
    await bus.declare(EVENTS)
    one = started()
    spool.start(one)
    spool.progress(AttemptProgress(event_id=one.event_id, usage=TokenUsage(output_tokens=1)))
    spool.end(ended(one))
    publisher = SpoolPublisher(spool, bus)
    assert not await publisher.flush(0.3)
    assert len(events(spool)) == 1
    async with bus.subscribe(USAGE_QUEUE, prefetch=10) as subscription:

        async def book():
            for delivery in await subscription.batch(10, 0.1):
                await delivery.ack()

        import asyncio

        _, flushed = await asyncio.gather(book(), publisher.flush(3))
    assert flushed
    assert events(spool) == []


def test_what_is_published_no_longer_counts_against_the_bound(tmp_path):
    spool = Spool(tmp_path, segment_bytes=500)
    for _ in range(100):
        one = started()
        spool.start(one)
        spool.end(ended(one))
        pending = spool.pending(10)
        spool.published(pending[-1].position, len(pending))
    assert spool.bytes_waiting == 0
    assert len(list(spool.folder.glob("*.log"))) == 1


def test_more_than_memory_keeps_is_read_back_from_the_log(tmp_path):
    spool = Spool(tmp_path, segment_bytes=2000, ahead=5)
    begun = [started() for _ in range(30)]
    for one in begun:
        spool.start(one)
        spool.end(ended(one))
    found = []
    while pending := spool.pending(7):
        found += [decode(item.body, AttemptEnded).event_id for item in pending]
        spool.published(pending[-1].position, len(pending))
    assert found == [one.event_id for one in begun]
    last = started()
    spool.start(last)
    spool.end(ended(last))
    assert [event.event_id for event in events(spool)] == [last.event_id]
    assert spool.bytes_waiting < 2000


def test_a_cursor_that_was_torn_means_publishing_again_and_not_losing(tmp_path):
    spool = Spool(tmp_path)
    one = started()
    spool.start(one)
    spool.end(ended(one))
    pending = spool.pending(1)
    spool.published(pending[-1].position, 1)
    (spool.folder / "cursor").write_bytes(b"00")
    os.close(spool._lock)
    assert Spool(tmp_path).adopt(now=1.0) == 1
