"""Clients of one dialect on providers of the other."""

import json

import pytest

from tests.fakes.model_script import SENTENCE
from tests.integration.router.conftest import Bench, read

PAIRS = [("a/ok", "openai"), ("o/ok", "anthropic")]
OPENAI_TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
ANTHROPIC_TOOL = {"name": "look_up", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(("target", "dialect"), PAIRS)
async def test_a_plain_answer_is_translated(bench: Bench, target: str, dialect: str) -> None:
    bench.configure({"m": target})
    answer = await bench.ask("m", dialect=dialect)
    body = json.loads(await read(answer))
    text = body["choices"][0]["message"]["content"] if dialect == "openai" else body["content"][0]["text"]
    assert text == SENTENCE
    (event,) = bench.spool.ended
    told = bench.provider.calls[0]
    assert (event.usage.input_tokens, event.usage.output_tokens) == (told.input_tokens, told.output_tokens)


@pytest.mark.parametrize(("target", "dialect"), PAIRS)
async def test_a_stream_is_translated(bench: Bench, target: str, dialect: str) -> None:
    bench.configure({"m": target})
    body = await read(await bench.ask("m", dialect=dialect, stream=True))
    assert body.endswith(b"data: [DONE]\n\n") if dialect == "openai" else b"event: message_stop" in body
    assert bench.spool.ended[0].usage_source == "provider"


@pytest.mark.parametrize(
    ("target", "dialect", "tool"), [("a/tool", "openai", OPENAI_TOOL), ("o/tool", "anthropic", ANTHROPIC_TOOL)]
)
async def test_tool_calls_are_translated(bench: Bench, target: str, dialect: str, tool: dict) -> None:
    bench.configure({"m": target})
    body = json.loads(await read(await bench.ask("m", '{"q": 1}', dialect=dialect, tools=[tool])))
    if dialect == "openai":
        call = body["choices"][0]["message"]["tool_calls"][0]["function"]
        assert (call["name"], json.loads(call["arguments"])) == ("look_up", {"q": 1})
    else:
        assert body["content"][0]["input"] == {"q": 1}


@pytest.mark.parametrize(("target", "dialect"), [("a/s429", "openai"), ("o/s429", "anthropic")])
async def test_errors_are_told_in_the_clients_dialect(bench: Bench, target: str, dialect: str) -> None:
    bench.configure({"m": target}, routing={"retries": 0})
    answer = await bench.ask("m", dialect=dialect)
    body = json.loads(await read(answer))
    assert answer.status == 429
    assert answer.headers["retry-after"] == "2"
    assert ("type" in body) == (dialect == "anthropic")
    assert "scripted 429" in body["error"]["message"]


async def test_what_cannot_be_carried_is_named(bench: Bench) -> None:
    bench.configure({"m": "a/ok"})
    answer = await bench.ask("m", seed=7)
    assert "seed" in answer.headers["x-tollway-lossy"]


@pytest.mark.parametrize(
    ("target", "dialect", "loss"), [("a/cites", "openai", "citations"), ("o/cites", "anthropic", "content.annotations")]
)
async def test_what_an_answer_loses_is_named_in_the_header_or_at_the_end_of_the_stream(
    bench: Bench, target: str, dialect: str, loss: str
) -> None:
    bench.configure({"m": target})
    assert (await bench.ask("m", dialect=dialect)).headers["x-tollway-lossy"] == loss
    body = await read(await bench.ask("m", dialect=dialect, stream=True, include_usage=True))
    frames = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    told = [frame for frame in frames if "tollway" in frame]
    assert [frame["tollway"] for frame in told] == [{"lossy": [loss]}] * (2 if dialect == "openai" else 1)
    assert told[0].get("type", told[0].get("choices", [{}])[0].get("finish_reason")) in ("message_delta", "stop")


async def test_thoughts_that_another_provider_had_leave_before_anthropic_sees_them(bench: Bench) -> None:
    bench.configure({"m": "a/ok"})
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}
    said = {"role": "assistant", "content": [thought, {"type": "text", "text": "one"}]}
    ask = [{"role": "user", "content": "a"}, said, {"role": "user", "content": "b"}]
    answer = await bench.ask("m", dialect="anthropic", messages=ask)
    assert answer.headers["x-tollway-lossy"] == "thinking"
    assert json.loads(bench.provider.calls[0].body)["messages"][1]["content"] == [{"type": "text", "text": "one"}]
    said["content"][0]["signature"] = "sig"
    answer = await bench.ask("m", dialect="anthropic", messages=ask)
    assert "x-tollway-lossy" not in answer.headers
    assert json.loads(bench.provider.calls[1].body)["messages"] == ask
