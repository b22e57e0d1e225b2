"""The chat surface: its events to the letter, exactly one end, sessions, and stopping from outside."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Unavailable
from shared.messages.gateway import Ending
from shared.messages.tools import Announce, ToolSpec
from tests.fakes.gateway import ADMIN, Gateway, Response, ScriptedAnswer, chunk, opened, sse, usage

ALL = {"authorization": f"Bearer {ADMIN}"}
STREAM = {"content-type": "text/event-stream", "x-tollway-model": "m"}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with opened(tmp_path) as found:
        yield found


def events_of(response: Response) -> list[dict[str, Any]]:
    found, last = [], 0
    for block in response.body.decode().split("\n\n"):
        if not block or block.startswith(":"):
            continue
        number, data = block.split("\n")
        assert int(number.removeprefix("id: ")) > last
        last = int(number.removeprefix("id: "))
        found.append(json.loads(data.removeprefix("data: ")))
    return found


def ask(text: str = "hi", session: str = "s", **fields: Any) -> dict[str, Any]:
    return {"session_id": session, "content": text, **fields}


async def chat(gateway: Gateway, body: dict[str, Any], path: str = "/api/chat/stream", **headers: str) -> Response:
    return await gateway.ask(path, body, **headers)


async def test_an_answer_is_chunks_and_one_complete(gateway: Gateway) -> None:
    response = await chat(gateway, ask())
    assert response.status == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-request-id"]
    assert response.headers["x-tollway-cache"] == "off"
    *chunks, complete = events_of(response)
    assert chunks == [{"type": "chunk", "data": {"content": "hello there"}}]
    assert complete == {
        "type": "complete",
        "data": {
            "message": {"role": "assistant", "content": "hello there"},
            "usage": {"input_tokens": 8, "output_tokens": 14},
            "finish_reason": "stop",
        },
    }


async def test_a_session_keeps_both_messages_and_direct_leaves_it_alone(gateway: Gateway) -> None:
    await chat(gateway, ask("one"))
    direct = {"session_id": "s", "messages": [{"role": "user", "content": "elsewhere"}]}
    await chat(gateway, direct, "/api/chat/stream/direct")
    await chat(gateway, ask("two"))
    sent = [json.loads(call.body)["messages"] for call in gateway.router.calls]
    assert sent[1] == [{"role": "user", "content": "elsewhere"}]
    assert [message["content"] for message in sent[2]] == ["one", "hello there", "two"]
    assert {call.named.session_id for call in gateway.router.calls} == {"s"}


async def test_model_and_parameters_are_the_requests_and_auto_is_the_default(gateway: Gateway) -> None:
    settings = {"model_name": "other", "temperature": 0.3, "max_tokens": 9, "api_key": "", "base_url": ""}
    await chat(gateway, ask(model_config=settings))
    await chat(gateway, ask())
    body = json.loads(gateway.router.calls[0].body)
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("other", 0.3, 9)
    assert gateway.router.calls[0].byo is None
    assert gateway.router.calls[1].model == "auto"


async def test_an_endpoint_of_the_requests_own_travels_with_its_own_key_or_not_at_all(gateway: Gateway) -> None:
    own = {"model_name": "x", "base_url": "https://models.example/v1", "api_key": "mine"}
    await chat(gateway, ask(model_config=own))
    assert gateway.router.calls[0].byo.api_key == "mine"
    refused = await chat(gateway, ask(model_config={"base_url": "https://models.example/v1"}))
    assert refused.status == 422
    assert refused.json()["error"]["param"] == "model_config.api_key"
    assert len(gateway.router.calls) == 1


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"content": "x"}, 422, "session_id"),
        ({"session_id": "s"}, 422, "content"),
        ({"session_id": "s", "content": ""}, 422, "content"),
        ({"session_id": 5, "content": "x"}, 422, "session_id"),
        ({"session_id": "s", "content": "x", "model_config": {"max_tokens": "many"}}, 422, "model_config.max_tokens"),
        ({"session_id": "s", "content": "x", "model_config": {"max_tokens": 0}}, 422, "model_config.max_tokens"),
        ({"session_id": "s", "content": "x", "model_config": {"temperature": 3}}, 422, "model_config.temperature"),
        (b"[", 400, None),
        (b'{"session_id": "a", "session_id": "b", "content": "x"}', 400, "session_id"),
        (
            b'{"session_id": "a", "content": "x", "model_config": {"api_key": "a", "api_key": "b"}}',
            400,
            "model_config.api_key",
        ),
        (b'{"session_id": "a", "content": "x", "tollway": {"tools": [], "tools": ["*"]}}', 400, "tollway.tools"),
        (b'{"session_id": "a", "content": NaN}', 400, None),
    ],
)
async def test_bad_input_names_its_field(gateway: Gateway, body: Any, status: int, param: str | None) -> None:
    response = await gateway.ask("/api/chat/stream", body)
    assert response.status == status
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize(
    "messages",
    [None, [], [{"role": "robot", "content": "x"}], [{"role": "user"}], [{"role": "user", "content": 5}]],
)
async def test_a_direct_conversation_must_be_one(gateway: Gateway, messages: Any) -> None:
    response = await chat(gateway, {"session_id": "s", "messages": messages}, "/api/chat/stream/direct")
    assert response.status == 422
    assert "messages" in response.json()["error"]["param"]


async def test_a_refusal_before_the_first_event_is_a_status(gateway: Gateway) -> None:
    error = {"error": {"message": "slow down", "type": "rate_limit_error", "param": None, "code": None}}
    gateway.router.script = lambda call: ScriptedAnswer(429, {"retry-after": "2"}, [json.dumps(error).encode()])
    response = await chat(gateway, ask())
    assert (response.status, response.headers["retry-after"]) == (429, "2")
    gateway.router.script = lambda call: Unavailable("nobody is there")
    assert (await chat(gateway, ask())).status == 503


async def test_an_error_inside_the_stream_is_the_last_event_and_saves_nothing(gateway: Gateway) -> None:
    error = {"error": {"message": "it broke", "type": "overloaded_error", "code": "overloaded"}}
    pieces = sse(chunk({"role": "assistant", "content": "half"}), error, done=False)
    gateway.router.script = lambda call: ScriptedAnswer(200, STREAM, pieces, final=Ending(status="error"))
    events = events_of(await chat(gateway, ask("one")))
    assert [event["type"] for event in events] == ["chunk", "error"]
    assert events[-1]["data"] == {"error": "it broke", "code": "overloaded"}
    gateway.router.script = gateway.router.plain
    await chat(gateway, ask("two"))
    sent = json.loads(gateway.router.calls[-1].body)["messages"]
    assert [message["content"] for message in sent] == ["two"]


async def test_a_stream_that_breaks_off_is_no_success(gateway: Gateway) -> None:
    pieces = sse(chunk({"content": "half"}), done=False)
    gateway.router.script = lambda call: ScriptedAnswer(200, STREAM, pieces)
    assert events_of(await chat(gateway, ask()))[-1]["type"] == "error"
    gateway.router.script = lambda call: ScriptedAnswer(200, STREAM, pieces, fails=Unavailable("gone"))
    assert events_of(await chat(gateway, ask()))[-1] == {
        "type": "error",
        "data": {"error": "gone", "code": "unavailable"},
    }


def held(gateway: Gateway) -> None:
    """An answer that stays open after its first words."""
    pieces = sse(chunk({"role": "assistant", "content": "half"}), chunk({}, "stop"))
    gateway.router.script = lambda call: ScriptedAnswer(200, STREAM, pieces, gate=asyncio.Event())


@pytest.mark.parametrize("by", ["session_id", "request_id"])
async def test_an_abort_completes_the_answer_with_its_partial_text_and_keeps_it(gateway: Gateway, by: str) -> None:
    held(gateway)
    visit = gateway.visit("POST", "/api/chat/stream", ask("one"))
    response = await visit.until(lambda response: b"half" in response.body)
    name = "s" if by == "session_id" else response.headers["x-request-id"]
    stopped = await gateway.ask("/api/chat/abort", {by: name})
    assert (stopped.status, stopped.json()) == (200, {"aborted": True})
    events = events_of(await visit.done(1))
    assert events[-1]["type"] == "complete"
    assert events[-1]["data"]["finish_reason"] == "aborted"
    assert events[-1]["data"]["message"]["content"] == "half"
    assert gateway.router.answers[0].closed == "aborted"
    gateway.router.script = gateway.router.plain
    await chat(gateway, ask("two"))
    sent = json.loads(gateway.router.calls[-1].body)["messages"]
    assert [message["content"] for message in sent] == ["one", "half", "two"]


async def test_an_abort_before_the_first_byte_completes_an_empty_answer(gateway: Gateway) -> None:
    gateway.router.hold = asyncio.Event()
    visit = gateway.visit("POST", "/api/chat/stream", ask())
    await asyncio.wait_for(gateway.router.called.wait(), 2)
    assert (await gateway.ask("/api/chat/abort", {"session_id": "s"})).json() == {"aborted": True}
    (complete,) = events_of(await visit.done(1))
    assert complete["data"]["finish_reason"] == "aborted"
    assert complete["data"]["message"] == {"role": "assistant", "content": ""}
    assert gateway.router.cancelled.is_set()


async def test_what_does_not_run_or_is_anothers_is_not_aborted(gateway: Gateway) -> None:
    assert (await gateway.ask("/api/chat/abort", {"session_id": "nobody"})).json() == {"aborted": False}
    assert (await gateway.ask("/api/chat/abort", {})).status == 422
    _, key = await gateway.make_key()
    _, other = await gateway.make_key()
    held(gateway)
    visit = gateway.visit("POST", "/api/chat/stream", ask(), {"authorization": f"Bearer {key}"})
    await visit.until(lambda response: b"half" in response.body)
    asked = await gateway.ask("/api/chat/abort", {"session_id": "s"}, authorization=f"Bearer {other}")
    assert asked.json() == {"aborted": False}
    asked = await gateway.ask("/api/chat/abort", {"session_id": "s"}, authorization=f"Bearer {key}")
    assert asked.json() == {"aborted": True}
    await visit.done(1)


async def test_a_client_that_leaves_stops_the_answer(gateway: Gateway) -> None:
    held(gateway)
    visit = gateway.visit("POST", "/api/chat/stream", ask())
    await visit.until(lambda response: b"half" in response.body)
    visit.leave()
    await visit.done(1)
    assert gateway.router.answers[0].closed == "aborted"


async def test_an_answer_that_runs_in_another_process_is_stopped_there(gateway: Gateway) -> None:
    from services.gateway.chat.running import RunningChats

    resources = gateway.resources
    elsewhere = RunningChats(resources.bus, resources.cache, resources.tasks)
    held(gateway)
    visit = gateway.visit("POST", "/api/chat/stream", ask())
    await visit.until(lambda response: b"half" in response.body)
    assert await elsewhere.abort("open", "s", None)
    assert events_of(await visit.done(1))[-1]["data"]["finish_reason"] == "aborted"
    assert not await elsewhere.abort("open", "s", None)


async def test_limits_of_the_tool_loop_are_told_in_complete(gateway: Gateway) -> None:
    final = {**chunk({}, "stop"), "tollway": {"limit_reached": "rounds"}}
    counted = {**chunk({}), "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}
    gateway.router.script = lambda call: ScriptedAnswer(200, STREAM, sse(chunk({"content": "x"}), final, counted))
    data = events_of(await chat(gateway, ask()))[-1]["data"]
    assert data["tollway"] == {"limit_reached": "rounds"}
    assert data["usage"] == {"input_tokens": 3, "output_tokens": 4}
    assert usage(3, 4).total_tokens == 7


def announced(gateway: Gateway) -> None:
    client = gateway.part.workers["tools_client"].__self__
    tools = [
        ToolSpec(name=name, server=name.split("__")[0], description="d", input_schema={}, source="mcp", pool="mcp")
        for name in ("a__one", "b__two")
    ]
    client.catalogue.hear(Announce(worker="w", revision=1, tools=tools))


async def test_all_tools_of_the_key_are_offered_unless_narrowed(gateway: Gateway) -> None:
    announced(gateway)
    _, key = await gateway.make_key(tools=["a__*"])
    authorized = {"authorization": f"Bearer {key}"}
    await chat(gateway, ask(), **authorized)
    await chat(gateway, ask(tollway={"tools": []}), **authorized)
    await chat(gateway, ask(tollway={"tools": ["b__two"]}), **ALL)
    offered = [
        [tool["function"]["name"] for tool in json.loads(call.body).get("tools", [])] for call in gateway.router.calls
    ]
    assert offered == [["a__one"], [], ["b__two"]]
    assert (await chat(gateway, ask(tollway={"tools": ["b__two"]}), **authorized)).status == 403
    assert (await chat(gateway, ask(tollway={"tools": ["c__three"]}), **ALL)).status == 400


async def test_a_small_browser_client_is_shown_without_a_key(gateway: Gateway) -> None:
    page = await gateway.get("/api/chat/page")
    assert page.headers["content-type"].startswith("text/html")
    assert b"/api/chat/stream" in page.body


async def test_the_lists_tell_a_key_what_it_may_use(gateway: Gateway) -> None:
    announced(gateway)
    _, key = await gateway.make_key(tools=["a__*"])
    listed = (await gateway.get("/api/tools", authorization=f"Bearer {key}")).json()["tools"]
    assert [tool["name"] for tool in listed] == ["a__one"]
    assert {"name", "description", "input_schema", "source", "supports_streaming"} <= set(listed[0])
    assert (await gateway.get("/api/servers", **ALL)).json() == {"servers": []}
    assert (await gateway.ask("/api/tools", b"", **ALL)).status == 405
    assert (await gateway.get("/api/chat/stream", **ALL)).status == 405
