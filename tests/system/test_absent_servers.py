"""Broker, database and cache absent at start: every service says so, keeps trying, and recovers without a restart."""

import json
import pathlib
import tempfile
import urllib.error
import urllib.request

import pytest

from chaos.servers import Server
from tests import servers
from tests.conftest import missing
from tests.system.stack import ADMIN, SERVICES, Stack, wait_for


@pytest.fixture
def ground():
    with tempfile.TemporaryDirectory(prefix="tollway-absent-", ignore_cleanup_errors=True) as folder:
        made = {}
        for kind in ("postgres", "rabbitmq", "redis"):
            try:
                made[kind] = Server(kind, pathlib.Path(folder))
            except servers.Unavailable as reason:
                missing(kind, str(reason))
        data = pathlib.Path(folder) / "tollway"
        data.mkdir()
        stack = Stack(data, {kind: server.url for kind, server in made.items()})
        yield stack, made
        stack.stop()
        for server in made.values():
            server.kill()


def ready(stack, name):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.ports[name]}/ready", timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.timeout(180)
def test_everything_recovers_when_the_servers_come(ground):
    stack, made = ground
    for name in SERVICES:
        stack.start_service(name)
    for name in SERVICES:
        status, told = wait_for(lambda name=name: ready(stack, name), 30, f"{name} listens")
        assert status == 503
        assert told["checks"]["bus"]["ok"] is False
        assert told["checks"]["cache"]["ok"] is False
        assert told["checks"].get("database", {"ok": False})["ok"] is False
    for kind in ("redis", "rabbitmq", "postgres"):
        made[kind].start()
    stack.wait_ready(60)
    assert all(process.poll() is None for process in stack.processes.values())
    body = {"model": "demo", "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        f"{stack.url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        request_id = answer.headers["x-request-id"]
    assert len(stack.events(1, request_id=request_id)) == 1
