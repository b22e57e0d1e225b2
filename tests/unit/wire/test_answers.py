"""Streams added up, and the parts of messages that our own tools are run by, in both dialects."""

import json
from typing import Any

import pytest

from shared.wire import anthropic, openai
from shared.wire.anthropic import AnthropicAccumulator
from shared.wire.call_tracker import CallTracker
from shared.wire.errors import error_event, error_object
from shared.wire.openai import OpenAIAccumulator
from shared.wire.sse import SseReader
from shared.wire.tool_call import ToolCall, arguments_object
from shared.wire.usage import TokenUsage
from tests.unit.translate import streams
from tests.unit.translate.streams import Json, chunk


def added_up(accumulator: Any, stream: bytes) -> Any:
    for event in SseReader().feed(stream):
        if event.data != b"[DONE]":
            accumulator.feed(json.loads(event.data))
    return accumulator


def test_chunks_add_up_to_the_completion_that_would_have_come() -> None:
    stream = streams.openai_stream(
        chunk({"reasoning_content": "Hm "}),
        chunk({"reasoning_content": "so."}),
        chunk({"content": "Let "}),
        chunk({"content": "me."}),
        chunk({"thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "Hm so.", "signature": "s"}]}),
        *[
            chunk({"tool_calls": [{"index": n, "id": f"c{n}", "function": {"name": f"f{n}", "arguments": part}}]})
            for part in ("", '{"a":', "1}")
            for n in range(2)
        ],
        chunk(
            {"tool_calls": [{"index": 2, "id": "c2", "type": "function", "function": {"name": "f2", "arguments": ""}}]}
        ),
        finish="stop",
    )
    told = added_up(OpenAIAccumulator(), stream)
    assert told.finish_reason == "tool_calls"
    assert told.usage == TokenUsage(10, 5)
    assert told.message == {
        "role": "assistant",
        "content": "Let me.",
        "reasoning_content": "Hm so.",
        "thinking_blocks": [{"type": "thinking", "thinking": "Hm so.", "signature": "s"}],
        "tool_calls": [
            {"id": "c0", "type": "function", "function": {"name": "f0", "arguments": '{"a":1}'}},
            {"id": "c1", "type": "function", "function": {"name": "f1", "arguments": '{"a":1}'}},
            {"id": "c2", "type": "function", "function": {"name": "f2", "arguments": "{}"}},
        ],
    }
    answer = told.answer()
    assert (answer["id"], answer["object"], answer["model"]) == ("chatcmpl-1", "chat.completion", "gpt-x")
    assert answer["usage"]["total_tokens"] == 15


def test_several_choices_add_up_apart() -> None:
    told = OpenAIAccumulator()
    for index in (1, 0, 1):
        told.feed({"choices": [{"index": index, "delta": {"content": str(index)}, "finish_reason": "stop"}]})
    assert [choice["message"]["content"] for choice in told.answer()["choices"]] == ["0", "11"]


def test_an_empty_stream_is_an_empty_answer() -> None:
    assert OpenAIAccumulator().message == {"role": "assistant", "content": ""}
    assert OpenAIAccumulator().finish_reason is None
    assert AnthropicAccumulator().answer()["content"] == []


def test_events_add_up_to_the_message_that_would_have_come() -> None:
    stream = streams.anthropic_stream(
        streams.thinking_block(0, "First |then", "sig"),
        streams.text_block(1, "Hello ", "wörld"),
        streams.tool_block(2, "t1", "f", '{"n": 12345678', "901234567890}"),
        streams.tool_block(3, "t2", "g"),
        streams.tool_block(4, "t3", "h", whole={"x": 1}),
        streams.block(5, {"type": "redacted_thinking", "data": "xyz"}),
        stop="tool_use",
        usage={"input_tokens": 5, "cache_read_input_tokens": 5, "output_tokens": 1},
    )
    told = added_up(AnthropicAccumulator(), stream)
    assert told.usage == TokenUsage(10, 5, 5)
    answer = told.answer()
    assert (answer["id"], answer["stop_reason"]) == ("msg_1", "tool_use")
    assert answer["usage"] == {"input_tokens": 5, "cache_read_input_tokens": 5, "output_tokens": 5}
    assert answer["content"] == [
        {"type": "thinking", "thinking": "First then", "signature": "sig"},
        {"type": "text", "text": "Hello wörld"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"n": 12345678901234567890}},
        {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
        {"type": "tool_use", "id": "t3", "name": "h", "input": {"x": 1}},
        {"type": "redacted_thinking", "data": "xyz"},
    ]


def test_an_input_of_zero_and_an_empty_stop_reason_change_nothing() -> None:
    told = added_up(AnthropicAccumulator(), streams.anthropic_stream(streams.text_block(0, "x")))
    told.feed(
        {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"input_tokens": 0, "output_tokens": 9}}
    )
    assert told.stop_reason == "end_turn"
    assert told.answer()["usage"] == {"input_tokens": 10, "output_tokens": 9}


def test_a_delta_whose_start_was_lost_is_kept() -> None:
    told = AnthropicAccumulator()
    told.feed({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}})
    assert told.message["content"] == [{"type": "text", "text": "x"}]


@pytest.mark.parametrize("given", ['{"a": "half', "[1]", "5"])
def test_input_that_is_not_an_object_is_kept_as_text_in_one(given: str) -> None:
    stream = streams.anthropic_stream(streams.tool_block(0, "t", "f", given), stop="max_tokens")
    assert added_up(AnthropicAccumulator(), stream).answer()["content"][0]["input"] == {"_raw": given}


def test_calls_are_read_alike_from_both_dialects() -> None:
    calls = [ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}")]
    told = [{"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in calls]
    assert openai.tool_calls_of({"tool_calls": told}) == calls
    blocks = [{"type": "tool_use", "id": c.id, "name": c.name, "input": json.loads(c.arguments)} for c in calls]
    assert anthropic.tool_calls_of({"content": blocks}) == calls


def test_legacy_and_custom_calls_are_calls() -> None:
    assert openai.tool_calls_of({"function_call": {"name": "f", "arguments": ""}}) == [ToolCall("", "f", "{}")]
    custom = {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "ls"}}]}
    assert openai.tool_calls_of(custom) == [ToolCall("c", "f", '{"input":"ls"}')]


def test_text_is_read_from_every_shape_of_content() -> None:
    parts: list[Json] = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "b"},
    ]
    for content, expected in (("ab", "ab"), (parts, "ab"), (None, ""), ([], "")):
        assert openai.text_of({"content": content}) == expected
        assert anthropic.text_of({"content": content}) == expected


def test_offered_tools_are_named() -> None:
    tools = [openai.function_tool("f", "d", {}), {"type": "custom", "custom": {"name": "g"}}, {"type": "x"}]
    assert [openai.tool_name(tool) for tool in tools] == ["f", "g", ""]
    assert anthropic.tool_name(anthropic.function_tool("f", "d", {})) == "f"


def test_errors_have_the_vendors_shapes() -> None:
    assert error_object("openai", 404, "no", code="model_not_found") == {
        "error": {"message": "no", "type": "invalid_request_error", "param": None, "code": "model_not_found"}
    }
    assert error_object("anthropic", 413, "big", request_id="r") == {
        "type": "error",
        "error": {"type": "request_too_large", "message": "big"},
        "request_id": "r",
    }
    assert error_event("anthropic", error_object("anthropic", 529, "busy")).startswith(b"event: error\n")
    assert error_event("openai", error_object("openai", 500, "x")).startswith(b'data: {"error"')


def test_arguments_are_an_object_or_nothing() -> None:
    assert [arguments_object(given) for given in ('{"a":1}', {"a": 1}, "", None, " ")] == [
        {"a": 1},
        {"a": 1},
        {},
        {},
        {},
    ]
    assert [arguments_object(given) for given in ("[1]", "{", "5", [1])] == [None, None, None, None]


def test_fragments_find_their_call() -> None:
    tracker = CallTracker()
    assert tracker.place(0, "a", "f", "") == (0, True)
    assert tracker.place(1, "b", "g", "") == (1, True)
    assert tracker.place(0, "a", "f", "{}") == (0, False)
    assert tracker.place(0, "c", "h", "{}") == (2, True)
    assert tracker.place(0, "c", None, "") == (2, False)
    assert tracker.place(None, "b", None, "{}") == (1, False)
    assert tracker.place(None, None, None, " ") == (1, False)
    assert tracker.place(None, None, "k", "{}") == (3, True)
    assert tracker.count == 4
