"""Several processes, killed processes and forked processes: no record is lost or doubled."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tollway import get_usage_monitor

SOURCE = Path(__file__).parents[3] / "sdk" / "src"

WRITE = """
import sys
from tollway import record_ai_usage
for number in range(int(sys.argv[2])):
    record_ai_usage("qwen-plus", "分析" * (number % 40), 10, 5, session_id=f"{sys.argv[1]}-{number}", user_id=sys.argv[1])
"""

ENDLESS = """
import itertools
from tollway import record_ai_usage
for number in itertools.count():
    record = record_ai_usage("qwen-plus", "f", 10, 5, session_id=str(number))
    print(record["event_id"], flush=True)
"""

FORK = """
import os
from tollway import record_ai_usage, get_usage_monitor
record_ai_usage("qwen-plus", "parent", 1, 1)
child = os.fork()
record_ai_usage("qwen-plus", "child" if child == 0 else "parent", 1, 1)
assert get_usage_monitor().flush(20)
if child:
    os.waitpid(child, 0)
"""


def start(code, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_four_processes_of_ten_thousand_records_leave_forty_thousand(records):
    began = time.monotonic()
    writers = [start(WRITE, name, 10_000) for name in "abcd"]
    assert [writer.wait(100) for writer in writers] == [0, 0, 0, 0]
    seconds = time.monotonic() - began
    for writer in writers:
        writer.stdout.close()
    lines = [line for path in records.iterdir() for line in path.read_bytes().splitlines() if line]
    sessions = Counter(json.loads(line)["session_id"] for line in lines)
    assert sessions == Counter(f"{name}-{number}" for name in "abcd" for number in range(10_000))
    assert (
        get_usage_monitor().get_daily_summary().total_calls + get_usage_monitor().get_daily_summary(1).total_calls
        == 40_000
    )
    print(f"40,000 records of four processes in {seconds:.1f} s")


def test_a_killed_writer_loses_nothing_it_was_told_is_booked(records):
    writer = start(ENDLESS)
    told = [writer.stdout.readline().strip() for _ in range(200)]
    writer.send_signal(signal.SIGKILL)
    told += [line.strip() for line in writer.stdout.read().splitlines() if len(line.strip()) == 36]
    writer.wait(10)
    writer.stdout.close()
    kept = {record["event_id"] for record in get_usage_monitor().journal.everything()}
    assert set(told) <= kept


def test_records_of_a_killed_process_are_sent_by_the_next_one(ledger, records):
    away = start(ENDLESS, TOLLWAY_URL="http://127.0.0.1:9")
    told = [away.stdout.readline().strip() for _ in range(300)]
    away.send_signal(signal.SIGKILL)
    told += [line.strip() for line in away.stdout.read().splitlines() if len(line.strip()) == 36]
    away.wait(10)
    away.stdout.close()
    successor = start(WRITE, "next", 1)
    assert successor.wait(30) == 0
    successor.stdout.close()
    kept = ledger.wait_records(len(told) + 1)
    assert set(told) <= {record["event_id"] for record in kept}
    assert [path for path in (records / "outbox").iterdir() if path.stat().st_size] == []


def test_the_end_of_a_program_waits_until_its_records_are_sent(ledger):
    program = start(WRITE, "p", 2500)
    assert program.wait(60) == 0
    program.stdout.close()
    assert len(ledger.records) == 2500
    assert max(ledger.batches) <= 500


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("where", ["local", "server"])
def test_parent_and_forked_child_book_what_is_theirs(request, where, records):
    server = request.getfixturevalue("ledger") if where == "server" else None
    program = start(FORK)
    assert program.wait(60) == 0
    program.stdout.close()
    kept = server.wait_records(3) if server else list(get_usage_monitor().journal.everything())
    assert Counter(record["function"] for record in kept) == {"parent": 2, "child": 1}


def test_a_server_that_fails_for_a_while_gets_everything_once(ledger):
    ledger.failing = [503, 500, 429]
    program = start(WRITE, "p", 50)
    assert program.wait(60) == 0
    program.stdout.close()
    follower = start(WRITE, "q", 1)
    follower.wait(30)
    follower.stdout.close()
    assert len(ledger.wait_records(51)) == 51
