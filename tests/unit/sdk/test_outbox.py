"""Records on their way to a server: durable, sent once it takes them, adopted from the dead, never silently lost."""

import json
import threading

import pytest
from tollway.errors import RefusedError, ServerError, ServerUnreachableError
from tollway.usage.outbox import Outbox
from tollway.usage.segment import adopt_orphans, open_segment


class Server:
    """Takes batches, or fails as told."""

    def __init__(self):
        self.taken = []
        self.failing = []
        self.refusing = set()
        self.away = False
        self.asked = threading.Semaphore(0)

    def __call__(self, records):
        self.asked.release()
        if self.away:
            raise ServerUnreachableError("nobody there")
        if self.failing:
            raise self.failing.pop(0)
        if any(record["event_id"] in self.refusing for record in records):
            raise RefusedError(422, "no")
        self.taken.extend(record["event_id"] for record in records)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def outbox(tmp_path, server):
    made = Outbox(tmp_path / "outbox", server)
    yield made
    made.close(0)


def record(name):
    return {"event_id": str(name), "model": "m"}


def files(outbox):
    return sorted(path.name for path in outbox.directory.iterdir())


def test_records_arrive_in_order_and_leave_no_file(outbox, server):
    for number in range(1200):
        outbox.put(record(number))
    assert outbox.flush(10)
    assert server.taken == [str(number) for number in range(1200)]
    assert outbox.unsent == 0
    assert files(outbox) == []


def test_a_server_that_is_away_loses_nothing(outbox, server, caplog):
    server.away = True
    outbox.put(record(1))
    assert not outbox.flush(0.05)
    outbox.put(record(2))
    kept = b"".join(path.read_bytes() for path in sorted(outbox.directory.iterdir()))
    assert [json.loads(line)["event_id"] for line in kept.splitlines()] == ["1", "2"]
    assert "cannot be sent now" in caplog.text
    server.away = False
    assert outbox.flush(10)
    assert server.taken == ["1", "2"]


def test_an_error_status_is_tried_again(outbox, server):
    server.failing = [ServerError(503, "later"), ServerError(401, "who?")]
    outbox.put(record(1))
    assert outbox.flush(10)
    assert server.taken == ["1"]


def test_a_refused_record_is_set_aside_and_the_others_arrive(outbox, server, caplog):
    server.refusing = {"3"}
    for number in range(6):
        outbox.put(record(number))
    assert outbox.flush(10)
    assert server.taken == ["0", "1", "2", "4", "5"]
    assert files(outbox) == ["refused.jsonl"]
    assert json.loads((outbox.directory / "refused.jsonl").read_text())["event_id"] == "3"
    assert "refused a usage record" in caplog.text


def test_the_segments_of_the_dead_are_adopted(tmp_path, server):
    directory = tmp_path / "outbox"
    dead = open_segment(directory)
    dead.append(b'{"event_id": "left"}\n{"event_id": "to')
    dead.release()
    living = open_segment(directory)
    living.append(b'{"event_id": "mine"}\n')
    successor = Outbox(directory, server)
    successor.start()
    assert server.asked.acquire(timeout=10)
    successor.close(5)
    assert server.taken == ["left"]
    assert adopt_orphans(directory) == []
    living.release()


def test_a_segment_somebody_unlinked_is_still_sent(outbox, server):
    server.away = True
    outbox.put(record(1))
    for path in outbox.directory.iterdir():
        path.unlink()
    server.away = False
    assert outbox.flush(10)
    assert server.taken == ["1"]


def test_a_long_absence_makes_no_more_than_two_files(outbox, server):
    server.away = True
    for number in range(20):
        outbox.put(record(number))
        assert not outbox.flush(0.01)
    assert len(files(outbox)) <= 2
    server.away = False
    assert outbox.flush(10)
    assert server.taken == [str(number) for number in range(20)]
    assert files(outbox) == []


def test_a_full_outbox_is_told_to_the_caller(outbox, server, monkeypatch):
    monkeypatch.setattr("tollway.usage.outbox.MOST_BYTES", 100)
    server.away = True
    outbox.put(record("x" * 200))
    assert not outbox.flush(0.05)
    outbox.put(record("y" * 200))
    with pytest.raises(OSError, match="is full"):
        outbox.put(record("z"))


def test_a_closed_outbox_leaves_its_records_to_the_next_one(outbox, server):
    server.away = True
    outbox.put(record(1))
    outbox.close(0.05)
    server.away = False
    successor = Outbox(outbox.directory, server)
    successor.start()
    while not server.taken:
        assert server.asked.acquire(timeout=10)
    successor.close(5)
    assert server.taken == ["1"]


def test_closing_leaves_unsent_records_for_the_next_process(outbox, server, caplog):
    server.away = True
    outbox.put(record(1))
    outbox.close(0.05)
    assert "1 usage record(s) wait in" in caplog.text
    assert len(files(outbox)) == 1


def test_a_disk_that_refuses_is_told_to_the_caller(outbox):
    outbox.directory.parent.mkdir(exist_ok=True)
    outbox.directory.write_text("a file where the folder should be")
    with pytest.raises(FileExistsError):
        outbox.put(record(1))
    outbox.directory.unlink()
    outbox.put(record(2))
    assert outbox.flush(10)
