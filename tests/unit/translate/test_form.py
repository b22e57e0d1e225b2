"""Whole answers as streams and back: the vendors' own clients read the same from both."""

import msgspec
import pytest

from shared.translate.form import Broke, as_stream, as_whole, is_stream, is_whole
from shared.wire.sse import OPENAI_DONE
from tests.unit.translate.streams import (
    Json,
    anthropic_stream,
    chunk,
    openai_stream,
    read_by_anthropic,
    read_by_openai,
    text_block,
    thinking_block,
    tool_block,
)

COMPLETION: Json = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-x",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello wörld",
                "refusal": None,
                "annotations": [{"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}],
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"q": 1.10}'}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}
MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "Hello", "citations": [{"type": "char_location", "cited_text": "H"}]},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"q": 12345678901234567890123}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 3, "output_tokens": 5},
}


def test_a_completion_as_a_stream_is_read_as_the_completion() -> None:
    told = read_by_openai(as_stream(msgspec.json.encode(COMPLETION), "openai"))
    message = told.choices[0].message
    assert (message.content, told.choices[0].finish_reason) == ("Hello wörld", "tool_calls")
    assert [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls] == [
        ("a", "f", '{"q": 1.10}'),
        ("b", "g", "{}"),
    ]
    assert (told.id, told.model, told.usage.total_tokens) == ("chatcmpl-1", "gpt-x", 15)


def test_a_message_as_a_stream_is_read_as_the_message() -> None:
    told = read_by_anthropic(as_stream(msgspec.json.encode(MESSAGE), "anthropic"))
    assert [block.type for block in told.content] == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
    assert (told.content[0].thinking, told.content[0].signature) == ("hm", "s")
    assert [use.input for use in told.content[3:]] == [{"q": 12345678901234567890123}, {}]
    assert (told.stop_reason, told.usage.input_tokens, told.usage.output_tokens) == ("tool_use", 10, 5)


@pytest.mark.parametrize(("answer", "dialect"), [(COMPLETION, "openai"), (MESSAGE, "anthropic")])
def test_there_and_back_is_the_same_answer(answer: Json, dialect: str) -> None:
    back = msgspec.json.decode(as_whole(as_stream(msgspec.json.encode(answer), dialect), dialect))
    for choice in back.get("choices", ()):
        choice["message"] |= {"refusal": None, "annotations": COMPLETION["choices"][0]["message"]["annotations"]}
    assert back == answer


@pytest.mark.parametrize(
    ("stream", "dialect"),
    [
        (openai_stream(chunk({"content": "x"})), "openai"),
        (anthropic_stream(thinking_block(0, "t", "s"), text_block(1, "x"), tool_block(2, "a", "f")), "anthropic"),
    ],
)
def test_a_stream_that_is_cut_anywhere_before_its_end_is_no_answer(stream: bytes, dialect: str) -> None:
    end = stream.index(b'"finish_reason":"stop"' if dialect == "openai" else b"event: message_delta")
    for cut in range(0, end, 7):
        with pytest.raises(Broke):
            as_whole(stream[:cut], dialect)


def test_a_stream_that_says_it_is_done_but_not_why_is_an_answer() -> None:
    body = msgspec.json.decode(as_whole(chunk({"role": "assistant", "content": "x"}) + OPENAI_DONE, "openai"))
    assert body["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("first", [b'{"id"', b'\r\n\n {"', b"\xef\xbb\xbf[", b"[{"])
def test_a_whole_answer_is_known_by_its_first_bytes(first: bytes) -> None:
    assert is_whole(first)
    assert not is_stream(first)


@pytest.mark.parametrize(
    "first", [b"data: {", b"\n: processing\n\n", b"event: x", b"\xef\xbb\xbfdata:", b"retry: 5", b"id:1"]
)
def test_a_stream_is_known_by_its_first_bytes(first: bytes) -> None:
    assert is_stream(first)
    assert not is_whole(first)
