"""Providers that send their protocol's last event and never said why the answer ended."""

from typing import Any

import pytest

from shared.translate.stream import AnthropicToOpenAI, AnthropicWatcher, OpenAIToAnthropic, OpenAIWatcher
from shared.wire.sse import OPENAI_DONE
from tests.unit.translate.streams import (
    anthropic_stream,
    chunk,
    event,
    read_by_anthropic,
    read_by_openai,
    text_block,
    told_by,
    tool_block,
)

HEAD = event("message_start", message={"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
    "content": [], "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}})  # fmt: skip
STOP = event("message_stop")
CALL = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SAID, CALLED = chunk({"role": "assistant", "content": "x"}), chunk({"role": "assistant", "tool_calls": [CALL]})


@pytest.mark.parametrize(
    ("reader", "stream", "finish"),
    [
        (OpenAIWatcher(), SAID + OPENAI_DONE, "stop"),
        (OpenAIWatcher(), CALLED + OPENAI_DONE, "tool_calls"),
        (AnthropicToOpenAI(), HEAD + text_block(0, "x") + STOP, "stop"),
        (AnthropicToOpenAI(), HEAD + tool_block(0, "a", "f") + STOP, "tool_calls"),
    ],
)
def test_openai_clients_are_told_a_finish(reader: Any, stream: bytes, finish: str) -> None:
    out = b"".join(told_by(reader, [stream]))
    assert reader.finished
    assert out.endswith(OPENAI_DONE)
    assert read_by_openai(out).choices[0].finish_reason == finish


@pytest.mark.parametrize(
    ("reader", "stream", "reason"),
    [
        (OpenAIToAnthropic(), SAID + OPENAI_DONE, "end_turn"),
        (OpenAIToAnthropic(), CALLED + OPENAI_DONE, "tool_use"),
        (AnthropicWatcher(), HEAD + text_block(0, "x") + STOP, None),
    ],
)
def test_anthropic_clients_get_their_end(reader: Any, stream: bytes, reason: str | None) -> None:
    out = b"".join(told_by(reader, [stream]))
    assert reader.finished
    assert out.count(b"event: message_stop") == 1
    assert read_by_anthropic(out).stop_reason == reason


@pytest.mark.parametrize(
    ("reader", "stream"),
    [
        (OpenAIWatcher(), chunk({"role": "assistant", "content": ""}) + OPENAI_DONE),
        (OpenAIToAnthropic(), chunk({"role": "assistant", "content": ""}) + OPENAI_DONE),
        (AnthropicToOpenAI(), HEAD + STOP),
        (AnthropicWatcher(), HEAD + STOP),
    ],
)
def test_an_end_without_any_content_is_no_answer(reader: Any, stream: bytes) -> None:
    told_by(reader, [stream])
    assert not reader.finished


def test_a_reason_that_was_given_is_not_doubled() -> None:
    reader = AnthropicToOpenAI()
    out = b"".join(told_by(reader, [anthropic_stream(text_block(0, "x"), stop="max_tokens")]))
    assert out.count(b'"finish_reason":"') == 1
