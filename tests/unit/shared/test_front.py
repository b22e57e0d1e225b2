"""What stands before every service's routes while the process stops."""

import json

from shared.config import Config, LiveConfig
from shared.health import Front, Health, nothing
from shared.lifecycle import Lifecycle


async def _asked(path: str) -> tuple[int, dict[str, str], dict]:
    lifecycle = Lifecycle()
    lifecycle.draining.set()
    said: list[dict] = []

    async def send(message: dict) -> None:
        said.append(message)

    async def receive() -> dict:
        raise AssertionError("a refusal needs no body")

    front = Front(nothing, Health(LiveConfig(Config()), lifecycle), lifecycle)
    await front({"type": "http", "path": path, "method": "POST"}, receive, send)
    headers = {name.decode(): value.decode() for name, value in said[0]["headers"]}
    return said[0]["status"], headers, json.loads(said[1]["body"])


async def test_new_work_is_refused_in_its_dialect_with_an_id():
    status, headers, body = await _asked("/v1/messages")
    assert status == 503
    assert body["type"] == "error"
    assert body["request_id"] == headers["request-id"] == headers["x-request-id"]
    status, headers, body = await _asked("/v1/chat/completions")
    assert (status, body["error"]["code"]) == (503, "draining")
    assert headers["x-request-id"]
