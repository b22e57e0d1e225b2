"""The demo provider: labelled, streamed in words, with usage, and able to call a tool; no network."""

import json

import pytest

from services.router.providers.demo import answer
from services.router.relay import Relay
from shared.messages.gateway import Call
from shared.translate.stream import AnthropicWatcher, OpenAIWatcher

TOOL = {"type": "function", "function": {"name": "look_up"}}


def call(dialect: str, text: str = "hi", *, stream: bool = False, **more: object) -> Call:
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": text}], **more}).encode()
    return Call(request_id="r", dialect=dialect, model="demo", body=body, stream=stream)  # type: ignore[arg-type]


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_stream_comes_in_words_and_tells_usage(dialect: str) -> None:
    pieces = answer(call(dialect, stream=True))
    assert len(pieces) > 20
    relay = Relay(OpenAIWatcher(include_usage=True) if dialect == "openai" else AnthropicWatcher())
    out = b"".join(relay.feed(piece) for piece in pieces)
    assert relay.ended
    assert b"[demo]" in out
    assert relay.progress.usage.output_tokens


def test_it_calls_an_offered_tool_that_the_user_names() -> None:
    (body,) = answer(call("openai", "please look_up it", tools=[TOOL]))
    choice = json.loads(body)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "look_up"
    (body,) = answer(call("anthropic", "please look_up it", tools=[{"name": "look_up"}]))
    assert json.loads(body)["content"][0]["type"] == "tool_use"


def test_it_says_what_the_tool_said() -> None:
    messages = [{"role": "user", "content": "look_up"}, {"role": "tool", "tool_call_id": "1", "content": "42"}]
    body = json.dumps({"messages": messages, "tools": [TOOL]}).encode()
    (said,) = answer(Call(request_id="r", dialect="openai", model="demo", body=body))
    assert "42" in json.loads(said)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
def test_it_gives_a_tool_what_its_schema_requires(dialect: str, stream: bool) -> None:
    properties = {
        "query": {"type": "string"},
        "count": {"type": "integer"},
        "unit": {"enum": ["c", "f"]},
        "free": {},
        "optional": {"type": "string"},
    }
    schema = {"type": "object", "properties": properties, "required": ["query", "count", "unit", "free"]}
    offered = {"function": {"name": "look_up", "parameters": schema}}
    tool = offered if dialect == "openai" else {"name": "look_up", "input_schema": schema}
    out = b"".join(answer(call(dialect, "look_up toll roads", tools=[tool], stream=stream)))
    told = json.dumps({"query": "toll roads", "count": 1, "unit": "c", "free": "toll roads"}, separators=(",", ":"))
    # in OpenAI's dialect, and in every stream, arguments travel as text
    as_text = dialect == "openai" or stream
    assert (json.dumps(told) if as_text else told).encode() in out


def test_it_repeats_what_was_said_before() -> None:
    messages = [
        {"role": "user", "content": "my name is Ada"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "what is my name?"},
    ]
    body = json.dumps({"messages": messages}).encode()
    (said,) = answer(Call(request_id="r", dialect="openai", model="demo", body=body))
    assert "Before that you said: my name is Ada" in json.loads(said)["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": null}',
        b'{"messages": 5, "tools": 5}',
        b'{"tools": [{"function": 3}], "messages": [{"content": {"a": 1}}]}',
        b'{"messages": [1, {"role": "user", "content": [1]}], "tools": [1]}',
        b'{"messages": [{"role": "assistant"}, {"role": "user", "content": null}]}',
    ],
)
def test_odd_requests_do_not_break_it(body: bytes) -> None:
    assert b"[demo]" in answer(Call(request_id="r", dialect="openai", model="demo", body=body))[0]
