"""Redis goes away under load, silent or dead: requests go on, /ready says so, and nothing has to be restarted."""

import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from chaos.servers import Server
from tests.conftest import missing
from tests.servers import Unavailable
from tests.system.stack import Stack, get, running, wait_for


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        server = Server("redis", tmp_path_factory.mktemp("redis"))
    except Unavailable as reason:
        missing("redis", str(reason))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def stack(redis: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with running(Stack(folder, config={"tools": {}}, environ={"TOLLWAY_CACHE_URL": redis.url})) as stack:
        yield stack


class Load:
    """A few clients with a limited key and a session each; what they saw, and how long they waited at most."""

    def __init__(self, stack: Stack, key: str) -> None:
        self.statuses: set[int] = set()
        self.longest = 0.0
        self.asked = 0
        self._url, self._key = stack.url, key
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(4)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            body = {"model": "o-ok", "session_id": f"s{number}", "messages": [{"role": "user", "content": "hi"}]}
            headers = {"authorization": f"Bearer {self._key}"}
            asked = urllib.request.Request(f"{self._url}/v1/chat/completions", json.dumps(body).encode(), headers)
            try:
                with urllib.request.urlopen(asked, timeout=30) as answer:
                    self.statuses.add(answer.status)
            except urllib.error.HTTPError as error:
                self.statuses.add(error.code)
            self.longest = max(self.longest, time.monotonic() - began)
            self.asked += 1

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)


@pytest.mark.parametrize("how", ["silent", "dead"])
def test_requests_go_on_without_redis_and_it_is_taken_up_again(stack: Stack, redis: Server, how: str) -> None:
    key = get(f"{stack.url}/admin/keys", body={"name": how, "requests_per_minute": 1_000_000})["key"]
    load = Load(stack, key)
    wait_for(lambda: load.asked > 20, 30, "the load runs")
    assert redis.process is not None
    if how == "silent":
        redis.process.send_signal(signal.SIGSTOP)
    else:
        redis.kill()
    before = load.asked
    wait_for(lambda: not _cache(stack)["ok"], 15, "/ready tells that the cache is away")
    wait_for(lambda: load.asked > before + 40, 30, "requests go on")
    if how == "silent":
        redis.process.send_signal(signal.SIGCONT)
    else:
        redis.start()
    wait_for(lambda: _cache(stack)["ok"], 15, "the cache is taken up again")
    load.stop()
    assert load.statuses == {200}
    assert load.longest < 2.5, load.longest  # a second, and what a busy machine adds
    told = [_history(stack, key) for _ in range(2)]
    assert told[1] == told[0] + 2, "sessions are kept again"


def _history(stack: Stack, key: str) -> int:
    body = {"model": "o-history", "session_id": "after", "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {key}"}
    asked = urllib.request.Request(f"{stack.url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        told: int = json.loads(json.load(answer)["choices"][0]["message"]["content"])["n"]
        return told


def _cache(stack: Stack) -> dict[str, bool]:
    try:
        with urllib.request.urlopen(f"{stack.url}/ready", timeout=5) as answer:
            told = json.load(answer)
    except urllib.error.HTTPError as error:
        told = json.load(error)
    found: dict[str, bool] = told["checks"]["cache"]
    return found
