"""The hot doors: who comes in, what is refused, and how the answer leaves."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from services.gateway.exchange import Exchange, Floor
from shared.tasks import Tasks
from tests.fakes.gateway import ADMIN, Gateway, ScriptedAnswer, opened

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


async def test_a_chat_completion_passes_through(gateway: Gateway) -> None:
    answer = await gateway.chat()
    assert answer.status == 200
    assert answer.json()["choices"][0]["message"]["content"] == "hello there"
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-tollway-model"] == "m"
    assert answer.headers["x-tollway-attempts"] == "1"


async def test_a_message_passes_through_and_has_its_dialects_request_id(gateway: Gateway) -> None:
    answer = await gateway.messages()
    assert answer.json()["content"][0]["text"] == "hello there"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]


async def test_a_stream_keeps_its_bytes_and_is_not_buffered_by_proxies(gateway: Gateway) -> None:
    answer = await gateway.chat(stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert gateway.router.calls[0].stream


async def test_unknown_fields_and_numbers_travel_untouched_and_ours_do_not(gateway: Gateway) -> None:
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"hi","x":1.10}],"seed":-9007199254740991,'
        b'"big":12345678901234567890123,"session_id":"s","user_id":"u","tollway":{"function":"f"},"odd":1E-7}'
    )
    assert (await gateway.ask("/v1/chat/completions", body)).status == 200
    sent = gateway.router.calls[0]
    assert sent.body == (
        b'{"model":"m","messages":[{"role":"user","content":"hi","x":1.10}],"seed":-9007199254740991,'
        b'"big":12345678901234567890123,"odd":1E-7}'
    )
    assert (sent.named.session_id, sent.named.user_id, sent.named.function) == ("s", "u", "f")


async def test_labels_also_come_by_header(gateway: Gateway) -> None:
    headers = {"x_tollway_user": "u", "x_tollway_function": "f", "x_tollway_anchor": "a", "x_tollway_session": "s"}
    await gateway.ask("/v1/chat/completions", CHAT, **headers)
    named = gateway.router.calls[0].named
    assert (named.user_id, named.function, named.anchor_id, named.session_id) == ("u", "f", "a", "s")


@pytest.mark.parametrize(
    ("fields", "headers", "label"),
    [
        ({"metadata": {"user_id": '{"device_id":"d","session_id":"abc"}'}}, {}, "abc"),
        (
            {"metadata": {"user_id": "user_1_session_0b4b0b4b-0b4b-0b4b-0b4b-0b4b0b4b0b4b"}},
            {},
            "0b4b0b4b-0b4b-0b4b-0b4b-0b4b0b4b0b4b",
        ),
        ({"prompt_cache_key": "pk"}, {}, "pk"),
        ({"prompt_cache_key": "pk"}, {"x_claude_code_session_id": "cc"}, "cc"),
    ],
)
async def test_a_clients_own_marks_label_usage_and_keep_no_history(
    gateway: Gateway, fields: dict[str, object], headers: dict[str, str], label: str
) -> None:
    for _ in range(2):
        answer = await gateway.ask("/v1/messages", {**CHAT, "max_tokens": 5, **fields}, **headers)
    assert gateway.router.calls[1].named.session_id == label
    assert len(json.loads(gateway.router.calls[1].body)["messages"]) == 1
    assert "x-tollway-session" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v1/chat/completions/", 404),
        ("POST", "//v1/chat/completions", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/messages/", 404),
        ("PUT", "/v1/messages", 405),
    ],
)
async def test_odd_paths_and_methods_are_refused_in_the_dialect(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    answer = await gateway.ask(path, method=method)
    assert answer.status == status
    told = answer.json()
    assert ("type" in told) == ("messages" in path)
    assert told["error"]["message"]


async def test_models_come_in_both_shapes(gateway: Gateway) -> None:
    openai = (await gateway.get("/v1/models")).json()
    assert openai["object"] == "list"
    assert [model["id"] for model in openai["data"]] == ["m", "other", "org/model:tag"]
    page = (await gateway.get("/api/v1/models?limit=2", anthropic_version="2023-06-01")).json()
    assert [model["id"] for model in page["data"]] == ["m", "other"]
    assert page["has_more"]
    rest = (await gateway.get("/v1/models?limit=2&after_id=other", anthropic_version="2023-06-01")).json()
    assert (rest["first_id"], rest["last_id"], rest["has_more"]) == ("org/model:tag", "org/model:tag", False)
    assert (await gateway.get("/v1/models?limit=0", anthropic_version="2023-06-01")).status == 400


async def test_a_model_with_a_slash_and_a_colon_is_found(gateway: Gateway) -> None:
    assert (await gateway.get("/v1/models/org/model:tag")).json()["id"] == "org/model:tag"
    missing = await gateway.get("/v1/models/nobody")
    assert missing.status == 404
    assert missing.json()["error"]["code"] == "model_not_found"


async def test_a_provider_error_before_the_first_byte_keeps_status_and_bytes(gateway: Gateway) -> None:
    body = b'{"error": {"message":"scripted",  "type":"x"}}'
    headers = {"content-type": "application/json", "retry-after": "2"}
    gateway.router.script = lambda _: ScriptedAnswer(429, headers, [body])
    answer = await gateway.chat(stream=True)
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (429, body, "2")


async def test_keep_alives_open_a_silent_stream_and_later_failures_are_events(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        gateway.router.hold = asyncio.Event()
        gateway.router.script = lambda _: ScriptedAnswer(
            503, {"content-type": "application/json"}, [b'{"error":{"message":"late","type":"x"}}']
        )
        _shorten(gateway)
        visit = gateway.visit("POST", "/v1/chat/completions", {**CHAT, "stream": True, "session_id": "s"})
        await visit.until(lambda response: response.body.count(b": ping\n\n") >= 2)
        assert visit.response.status == 200
        assert visit.response.headers["x-tollway-session"] == "s"
        gateway.router.hold.set()
        answer = await visit.done()
        last = answer.body.rstrip().rsplit(b"\n\n", 1)[-1]
        assert json.loads(last.removeprefix(b"data: "))["error"]["message"] == "late"
        assert b"[DONE]" not in answer.body


async def test_keep_alives_of_messages_are_pings_and_never_cut_an_event(tmp_path: Path) -> None:
    async with opened(tmp_path) as gateway:
        gate = asyncio.Event()
        half = [b'event: content_block_delta\ndata: {"type":', b'"content_block_delta"}\n\n']
        gateway.router.script = lambda _: ScriptedAnswer(200, {"content-type": "text/event-stream"}, half, gate=gate)
        _shorten(gateway)
        visit = gateway.visit("POST", "/v1/messages", {**CHAT, "max_tokens": 5, "stream": True})
        await visit.until(lambda response: bool(response.body))
        with pytest.raises(TimeoutError):
            await visit.until(lambda response: b"ping" in response.body, seconds=0.5)
        gate.set()
        assert (await visit.done()).body == b"".join(half)


async def test_a_keep_alive_that_was_overtaken_by_half_an_event_is_not_sent() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    tasks = Tasks()
    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    exchange = Exchange(Floor(tasks, keep_alive_seconds=0), scope, asyncio.Event().wait, send, "openai")

    async def work(exchange: Exchange) -> None:
        exchange.streams()
        exchange._tick()
        exchange._boundary = False
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    await exchange.run(work)
    await tasks.drain(1)
    assert sent == []


def _shorten(gateway: Gateway) -> None:
    floor = gateway.part.http._floor
    floor.keep_alive_seconds = 0.05


@pytest.mark.parametrize("stream", [True, False])
async def test_leaving_before_the_first_byte_cancels_the_call(gateway: Gateway, stream: bool) -> None:
    gateway.router.hold = asyncio.Event()
    visit = gateway.visit("POST", "/v1/chat/completions", {**CHAT, "stream": stream})
    await gateway.router.called.wait()
    visit.leave()
    async with asyncio.timeout(1):
        await gateway.router.cancelled.wait()
        await visit.task
    assert visit.response.status == 0


async def test_leaving_in_the_middle_closes_the_answer(gateway: Gateway) -> None:
    gateway.router.script = lambda call: _gated(gateway, call)
    visit = gateway.visit("POST", "/v1/chat/completions", {**CHAT, "stream": True})
    await visit.until(lambda response: bool(response.body))
    visit.leave()
    await visit.done(1)
    assert gateway.router.answers[0].closed == "aborted"
    assert not visit.response.complete


def _gated(gateway: Gateway, call: object) -> ScriptedAnswer:
    answer = gateway.router.plain(call)  # type: ignore[arg-type]
    answer.gate = asyncio.Event()
    return answer


async def test_past_the_drain_deadline_a_stream_ends_with_an_error(gateway: Gateway) -> None:
    gateway.router.script = lambda call: _gated(gateway, call)
    visit = gateway.visit("POST", "/v1/chat/completions", {**CHAT, "stream": True})
    await visit.until(lambda response: bool(response.body))
    gateway.resources.lifecycle.expired.set()
    answer = await visit.done(2)
    assert gateway.router.answers[0].closed == "interrupted"
    assert answer.complete
    assert b"[DONE]" not in answer.body
    assert b'"draining"' in answer.body


async def test_a_failure_of_ours_is_500_with_its_request_id(gateway: Gateway) -> None:
    gateway.router.script = lambda _: RuntimeError("boom")
    answer = await gateway.chat()
    assert answer.status == 500
    assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
    assert "boom" not in answer.body.decode()


async def test_chat_paths_change_while_running(gateway: Gateway) -> None:
    assert (await gateway.ask("/my/chat", CHAT)).status == 404
    config = gateway.resources.config
    paths = {"prefix": ["/proxy/"], "append": ["/my/chat"]}
    config.replace(config.current.model_validate({"chat_paths": paths}))
    for path in ("/my/chat", "/proxy/v1/chat/completions", "/v1/chat/completions"):
        assert (await gateway.ask(path, CHAT)).status == 200
    config.replace(config.current.model_validate({"chat_paths": {"replace": ["/only"]}}))
    assert (await gateway.ask("/only", CHAT)).status == 200
    assert (await gateway.ask("/v1/chat/completions", CHAT)).status == 404


async def test_forwarded_surfaces_are_told_who_asks_and_nothing_the_client_claims(gateway: Gateway) -> None:
    claimed = {"x_tollway_key_id": "other", "x_tollway_admin": "1", "x_tollway_internal": "guess"}
    assert (await gateway.get("/api/ai_usage/stats/current", **claimed)).status == 401
    seen = (await gateway.get("/api/ai_usage/stats/current", authorization=f"Bearer {ADMIN}", **claimed)).json()
    assert seen["headers"]["x-tollway-admin"] == "1"
    assert "x-tollway-key-id" not in seen["headers"]
    assert "authorization" not in seen["headers"]
    key_id, secret = await gateway.make_key()
    seen = (await gateway.get("/api/ai_usage/stats/current", authorization=f"Bearer {secret}", **claimed)).json()
    assert seen["headers"]["x-tollway-key-id"] == key_id
    assert "x-tollway-admin" not in seen["headers"]
    assert (await gateway.get("/static/ai_usage_monitor.html")).status == 200


async def test_the_document_describes_every_door(gateway: Gateway) -> None:
    document = (await gateway.get("/openapi.json")).json()
    for path in (
        "/v1/chat/completions",
        "/v1/messages",
        "/v1/models/{model_id}",
        "/admin/keys",
        "/health",
        "/api/tools",
    ):
        assert path in document["paths"], path
    expiry = document["components"]["schemas"]["NewKey"]["properties"]["expires_at"]
    assert [kind["type"] for kind in expiry["anyOf"]] == ["string", "number", "null"]
    docs = await gateway.get("/docs")
    assert docs.status == 200
    assert b"/v1/chat/completions" in docs.body
    assert b"<script" not in docs.body
    assert not re.findall(rb'(?:src|href)="(?!/|#)', docs.body)
    assert "default-src 'none'" in docs.headers["content-security-policy"]
    assert (await gateway.get("/")).status == 200
    assert (await gateway.ask("/", method="HEAD")).status == 200


async def test_a_number_beyond_all_bounds_is_a_bad_request(gateway: Gateway) -> None:
    def body(seed: str, said: str) -> bytes:
        return f'{{"model":"m","seed":{seed},"messages":[{{"role":"user","content":"{said}"}}]}}'.encode()

    assert (await gateway.ask("/v1/chat/completions", body("9" * 3999, "9" * 9000))).status == 200
    refused = await gateway.ask("/v1/chat/completions", body("9" * 5000, "hi"))
    assert refused.status == 400
    assert "digits" in refused.json()["error"]["message"]
