"""Streams on their way: however a stream is cut, and whether looked through in bulk or not, the client gets the same."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.router.burst import burst_for
from services.router.relay import Relay
from shared.translate.stream import AnthropicToOpenAI, AnthropicWatcher, OpenAIToAnthropic, OpenAIWatcher
from tests.fakes.model_script import anthropic_steps, openai_steps, script_for

BEHAVIOURS = [
    "ok",
    "think",
    "utf8",
    "extras",
    "cached",
    "tool",
    "tools2",
    "texttool",
    "badjson",
    "long-40",
    "errstream",
    "nodone",
]
BODY = {
    "messages": [{"role": "user", "content": '{"q": "toll"}'}],
    "tools": [{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "b"}}],
}
ERROR = {
    "openai": b'data: {"error": {"message": "m", "type": "overloaded_error"}}\n\n',
    "anthropic": b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}\n\n',
}


def stream_of(behaviour: str, dialect: str) -> bytes:
    script = script_for(behaviour, BODY, b"")
    openai = dialect == "openai"
    steps = openai_steps(script, "m", 1, usage_asked=True) if openai else anthropic_steps(script, "m", 1)
    out = b""
    for step in steps:
        if step == "error":
            return out + ERROR[dialect]
        out += step if isinstance(step, bytes) else b""
    return out


def readers() -> dict[str, tuple[str, Any]]:
    return {
        "openai": ("openai", lambda: OpenAIWatcher(include_usage=True)),
        "anthropic": ("anthropic", AnthropicWatcher),
        "to_openai": ("anthropic", lambda: AnthropicToOpenAI(include_usage=True, created=1, answer_id="x")),
        "to_anthropic": ("openai", lambda: OpenAIToAnthropic(answer_id="x")),
    }


def run(relay: Relay, data: bytes, cuts: list[int]) -> tuple[bytes, Any]:
    out, last = b"", 0
    for cut in [*sorted({c for c in cuts if 0 < c < len(data)}), len(data)]:
        out += relay.feed(data[last:cut])
        last = cut
        if relay.ended or relay.failure:
            break
    if not relay.ended and not relay.failure:
        out += relay.finish()
    state = relay.progress
    return out, (relay.ended, bool(relay.failure), state.usage, state.dropped, state.output_characters, state.finished)


@pytest.mark.parametrize("kind", ["openai", "anthropic", "to_openai", "to_anthropic"])
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@settings(max_examples=15)
@given(cuts=st.lists(st.integers(1, 9000), max_size=12))
def test_any_cut_of_any_stream_gives_the_same(behaviour: str, kind: str, cuts: list[int]) -> None:
    dialect, make = readers()[kind]
    data = stream_of(behaviour, dialect)
    slow = Relay(make())
    slow._burst = None
    assert run(Relay(make()), data, cuts) == run(slow, data, [])


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_plain_chunks_are_taken_in_bulk(kind: str) -> None:
    dialect, make = readers()[kind]
    watcher = make()
    data = stream_of("long-40", dialect)
    first = data.find(b"tok ")
    start = data.rfind(b"\n\n", 0, first) + 2
    burst = burst_for(watcher)
    assert burst is not None
    taken = data[start : start + burst.take(data[start:])]
    assert taken.count(b'"tok "') == 40
    assert watcher.output_characters == 160
    assert b'finish_reason": "' not in taken
    assert b"content_block_stop" not in taken


@pytest.mark.parametrize(
    "odd",
    [
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a","role":"assistant"}}]}\n\n',
        b'data: {"id":"x","choices":[{"index":1,"delta":{"content":"a"}}]}\n\n',
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}\n\n',
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":null}}]}\n\n',
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a","tool_calls":[]}}]}\n\n',
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"}}],"error":{"message":"m"}}\n\n',
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]},{"id":"y"\n\n',
        b'data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]\n\n',
        b': a comment\n\ndata: {"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
    ],
)
def test_whatever_is_not_plain_text_is_left_to_the_watcher(odd: bytes) -> None:
    assert OpenAIBurst_take(odd) == 0


def OpenAIBurst_take(data: bytes) -> int:
    burst = burst_for(OpenAIWatcher())
    assert burst is not None
    return burst.take(data)


def test_two_objects_in_one_frame_are_not_taken_for_two_frames() -> None:
    one = {"id": "x", "choices": [{"index": 0, "delta": {"content": "a"}}]}
    frame = b"data: " + json.dumps(one).encode() + b"," + json.dumps(one).encode() + b"\n\n"
    relay = Relay(OpenAIWatcher())
    relay.progress.started_content = True
    assert relay.feed(frame) == b""
    assert relay.progress.dropped == 1
