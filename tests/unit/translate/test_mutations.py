"""Nothing that a provider or client sends may end in anything but an answer or a refusal: valid input, damaged anywhere."""

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.translate.answer import anthropic_answer_to_openai, losses_of_message, openai_answer_to_anthropic
from shared.translate.errors import error_of, kind, render
from shared.translate.mend import mended_completion
from shared.translate.request import CannotTranslate, anthropic_to_openai, openai_to_anthropic
from shared.translate.stream import AnthropicToOpenAI, AnthropicWatcher, OpenAIToAnthropic, OpenAIWatcher
from shared.wire.anthropic import AnthropicAccumulator
from shared.wire.anthropic import tool_calls_of as anthropic_calls
from shared.wire.json_text import NotJsonError, decode, encode
from shared.wire.openai import OpenAIAccumulator
from shared.wire.openai import tool_calls_of as openai_calls
from shared.wire.sse import SseReader, encode_event
from shared.wire.usage import TokenUsage
from tests.unit.translate import streams
from tests.unit.translate.streams import Json, chunk
from tests.unit.translate.test_request_to_anthropic import ALL_PARAMETERS

ODD = st.sampled_from(
    [None, True, 0, -1, 1.5, 10**30, "", "x", "null", [], [None], [[]], {}, {"a": None}, "\u2028", ["x"], [5]]
)
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}

CHUNKS = SseReader().feed(
    streams.openai_stream(
        chunk({"reasoning_content": "r", "content": "c", "tool_calls": [{"index": 0, **CALL}]}),
        chunk({"function_call": {"name": "f", "arguments": "{}"}, "refusal": "no"}),
        chunk({"thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "r", "signature": "s"}]}),
        chunk({"tool_calls": [{"index": 1, "id": "c", "type": "custom", "custom": {"name": "g", "input": "x"}}]}),
    )
)
EVENTS = SseReader().feed(
    streams.anthropic_stream(
        streams.thinking_block(0, "a|b", "s"),
        streams.text_block(1, "x"),
        streams.tool_block(2, "t", "f", "{}"),
        streams.block(3, {"type": "redacted_thinking", "data": "x"}),
        stop="refusal",
    )
)
CHAT: Json = {
    **ALL_PARAMETERS,
    "reasoning_effort": "low",
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": "name"}}]},
    },
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "u", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "file", "file": {"file_data": "JVBERi0x", "filename": "a.pdf"}},
            ],
        },
        {
            "role": "assistant",
            "content": "a",
            "tool_calls": [CALL, {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}}],
            "function_call": {"name": "f", "arguments": "{}"},
            "thinking_blocks": [{"type": "thinking", "thinking": "r", "signature": "s"}],
        },
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "r"}]},
        {"role": "function", "name": "f", "content": "r"},
    ],
}
MESSAGES: Json = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["x"],
    "tools": [
        {"name": "f", "input_schema": {}, "cache_control": {"type": "ephemeral"}},
        {"type": "bash_x", "name": "b"},
    ],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "u"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}},
                {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "d"}]}},
                {"type": "search_result", "title": "t", "source": "s", "content": [{"type": "text", "text": "r"}]},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "r", "signature": "s"},
                {"type": "text", "text": "t", "citations": [{"url": "u", "title": "t"}]},
                {"type": "tool_use", "id": "a", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "x"}]}],
        },
        {"role": "system", "content": "late"},
        {"role": "user", "content": "go"},
    ],
}
COMPLETION: Json = {
    "id": "c",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "content": [{"type": "thinking", "thinking": [{"text": "r"}]}, {"type": "text", "text": "x"}],
                "thinking_blocks": [{"type": "thinking", "thinking": "r", "signature": "s"}],
                "tool_calls": [CALL, {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}}],
                "function_call": {"name": "f", "arguments": "{}"},
                "refusal": "no",
            },
        }
    ],
    "usage": {
        "prompt_tokens": 5,
        "completion_tokens": 4,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}
ANSWER: Json = {
    "id": "m",
    "content": MESSAGES["messages"][1]["content"],
    "stop_reason": "refusal",
    "stop_details": {"explanation": "no"},
    "usage": {"input_tokens": 1, "output_tokens": 2, "cache_creation": {"ephemeral_5m_input_tokens": 1}},
}


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


def damaged(value: Any, choice: int, odd: Any) -> Any:
    """A copy of the value with one part, however deep, put in place of what was there."""
    places = _places(value)[1:]
    *parents, key = places[choice % len(places)]
    value = copy.deepcopy(value)
    target = value
    for parent in parents:
        target = target[parent]
    target[key] = copy.deepcopy(odd)
    return value


PLACES = st.integers(0, 10_000)


@pytest.mark.parametrize(("reader", "events"), [(OpenAIWatcher, CHUNKS), (OpenAIToAnthropic, CHUNKS)])
@given(st.lists(st.tuples(st.integers(0, 30), PLACES, ODD), max_size=4))
@settings(max_examples=150)
def test_no_damaged_chunk_stops_a_reader(reader: Any, events: list[Any], damages: list[tuple[int, int, Any]]) -> None:
    _read(reader(), OpenAIAccumulator(), events, damages)


@pytest.mark.parametrize(("reader", "events"), [(AnthropicWatcher, EVENTS), (AnthropicToOpenAI, EVENTS)])
@given(st.lists(st.tuples(st.integers(0, 30), PLACES, ODD), max_size=4))
@settings(max_examples=150)
def test_no_damaged_event_stops_a_reader(reader: Any, events: list[Any], damages: list[tuple[int, int, Any]]) -> None:
    _read(reader(), AnthropicAccumulator(), events, damages)


def _read(reader: Any, accumulator: Any, events: list[Any], damages: list[tuple[int, int, Any]]) -> None:
    sent = []
    for position, event in enumerate(events):
        data = event.data
        for which, place, odd in damages:
            if which % len(events) == position and data != b"[DONE]":
                data = encode(damaged(decode(data), place, odd))
        sent.append(encode_event(data, event.event))
        if data != b"[DONE]":
            accumulator.feed(decode(data))
    told = streams.told_by(reader, [b"".join(sent)])
    for event in SseReader().feed(b"".join(told)):
        assert event.is_clean
        assert event.data == b"[DONE]" or isinstance(decode(event.data), dict)
    encode(accumulator.answer())
    encode(accumulator.message)


@given(PLACES, ODD)
@settings(max_examples=400)
def test_a_damaged_chat_request_is_translated_or_refused(place: int, odd: Any) -> None:
    body = damaged(CHAT, place, odd)
    with contextlib.suppress(CannotTranslate):
        encode(openai_to_anthropic(body).body)


@given(PLACES, ODD)
@settings(max_examples=400)
def test_a_damaged_messages_request_is_translated_or_refused(place: int, odd: Any) -> None:
    body = damaged(MESSAGES, place, odd)
    with contextlib.suppress(CannotTranslate):
        encode(anthropic_to_openai(body).body)


@given(PLACES, ODD)
@settings(max_examples=300)
def test_a_damaged_answer_is_translated_all_the_same(place: int, odd: Any) -> None:
    completion, answer = damaged(COMPLETION, place, odd), damaged(ANSWER, place, odd)
    encode(openai_answer_to_anthropic(completion))
    encode(anthropic_answer_to_openai(answer))
    losses_of_message(answer)
    decode(mended_completion(encode(completion)))
    TokenUsage.from_openai(completion.get("usage"))
    anthropic_calls(answer)
    openai_calls(damaged(COMPLETION["choices"][0]["message"], place, odd))


@given(
    st.recursive(
        ODD,
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["error", "message", "type", "code", "detail", "param", "errors", "details"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=6,
    )
)
def test_an_error_of_any_shape_is_an_error(value: Any) -> None:
    error = error_of(value)
    assert error.status >= 400
    assert error.message
    kind(error)
    decode(render(error, "openai"))
    decode(render(error, "anthropic"))


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4))
def test_bytes_of_any_kind_do_not_stop_the_reader(data: bytes, cuts: list[int]) -> None:
    for reader in (OpenAIWatcher(), AnthropicToOpenAI(), OpenAIToAnthropic(), AnthropicWatcher()):
        streams.told_by(reader, streams.pieces_of(data, cuts))


@given(st.binary(max_size=30) | st.text(max_size=30).map(str.encode))
def test_bytes_are_json_or_they_are_not(data: bytes) -> None:
    try:
        encode(decode(data))
    except NotJsonError:
        return
