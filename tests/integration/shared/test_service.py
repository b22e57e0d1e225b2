"""How a process lives and dies, with a real server and real signals."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).parents[3]

PROGRAM = """
    import asyncio, sys
    from pathlib import Path
    from shared import log
    from shared.config import LiveConfig
    from shared.service import Part, Plan, Refused, run
    from shared.settings import settings_from

    log.configure(json=True)
    die = asyncio.Event()

    async def app(scope, receive, send):
        die.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(20):
            await send({"type": "http.response.body", "body": b"tick ", "more_body": True})
            await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"end"})

    async def consumer():
        await die.wait()
        await asyncio.sleep(0.2 if DIES else 1000)
        raise RuntimeError("the consumer died")

    async def compose(resources):
        return [Part("little", app, workers={"consumer": consumer})]

    settings = settings_from(ENVIRON, Path(FOLDER), data=Path(FOLDER), host=HOST)
    plan = Plan("little", compose, False, HOST, 0, announce=lambda port: print(port, flush=True))
    try:
        sys.exit(asyncio.run(run(plan, settings, LiveConfig.open(settings))))
    except Refused as refused:
        print(refused, file=sys.stderr)
        sys.exit(1)
"""


@pytest.fixture
def spawn():
    """Starts the little program; whatever is left of it is killed and its pipes are closed."""
    started = []

    def start(folder, **options):
        started.append(begin(folder, **options))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def begin(folder, *, dies=False, host="127.0.0.1", environ=None):
    names = {"DIES": dies, "FOLDER": str(folder), "HOST": host, "ENVIRON": environ or {}}
    head = "\n".join(f"{name} = {value!r}" for name, value in names.items())
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(PROGRAM)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def port_of(process):
    return int(process.stdout.readline())


def read(port, into, path="/"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        into.append(answer.read())


def streaming(port):
    came = []
    thread = threading.Thread(target=read, args=(port, came))
    thread.start()
    time.sleep(0.3)
    return thread, came


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stream_finishes_after_the_signal_and_the_exit_is_clean(spawn, tmp_path, number):
    process = spawn(tmp_path)
    port = port_of(process)
    thread, came = streaming(port)
    process.send_signal(number)
    time.sleep(0.2)
    with pytest.raises(urllib.error.HTTPError) as refused:
        read(port, [])
    assert refused.value.code == 503
    thread.join(10)
    assert came[0].endswith(b"end")
    assert process.wait(10) == 0


def test_a_consumer_that_dies_takes_the_process_down_after_the_same_drain(spawn, tmp_path):
    process = spawn(tmp_path, dies=True)
    thread, came = streaming(port_of(process))
    thread.join(10)
    assert came[0].endswith(b"end")
    assert process.wait(10) == 1
    assert "the consumer died" in process.stderr.read()


def test_health_ready_and_metrics_answer_without_a_key(spawn, tmp_path):
    process = spawn(tmp_path)
    port = port_of(process)
    for path in ("/health", "/ready", "/metrics"):
        came = []
        read(port, came, path)
        assert came[0]
    process.terminate()
    assert process.wait(10) == 0


def test_listening_beyond_loopback_without_a_key_is_refused_with_one_line(spawn, tmp_path):
    process = spawn(tmp_path, host="0.0.0.0")
    assert process.wait(10) == 1
    lines = [line for line in process.stderr.read().splitlines() if not line.startswith("{")]
    assert len(lines) == 1
    assert "without any key" in lines[0]


def test_an_absent_broker_and_cache_are_told_on_ready_and_do_not_stop_the_start(spawn, tmp_path):
    environ = {"TOLLWAY_BUS_URL": "amqp://127.0.0.1:1/", "TOLLWAY_CACHE_URL": "redis://127.0.0.1:1/0"}
    process = spawn(tmp_path, environ=environ)
    with pytest.raises(urllib.error.HTTPError) as refused:
        read(port_of(process), [], "/ready")
    assert refused.value.code == 503
    body = refused.value.read()
    assert b'"bus":{"ok":false' in body
    assert b'"cache":{"ok":false' in body
    process.terminate()
    assert process.wait(20) == 0


def test_a_second_process_on_the_port_is_told_so(spawn, tmp_path):
    first = spawn(tmp_path / "a")
    port = port_of(first)
    done = subprocess.run(
        [sys.executable, "-m", "services", "serve", "router", "--port", str(port), "--data", str(tmp_path / "b")],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
    first.terminate()
    assert first.wait(10) == 0
