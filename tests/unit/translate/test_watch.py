import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.translate.stream import AnthropicWatcher, OpenAIWatcher
from shared.wire.sse import OPENAI_DONE, SseReader, encode_event, encode_object
from tests.unit.translate.streams import (
    Json,
    anthropic_stream,
    chunk,
    event,
    openai_stream,
    pieces_of,
    read_by_openai,
    text_block,
    thinking_block,
    told_by,
    tool_block,
    usage_chunk,
)

TEXT = openai_stream(chunk({"content": "Hello "}), chunk({"content": "wörld 🚦"}))
ODD = (
    b'data: {"id":"c","object":"chat.completion.chunk", "created": 1,"model":"m","x":{"big":12345678901234567890123,'
    b'"odd":1.10,"tiny":1E-7},"choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null}]}\n\n'
)
MESSAGE = anthropic_stream(
    thinking_block(0, "First |then", "sig"),
    text_block(1, "Hello ", "wörld"),
    tool_block(2, "toolu_1", "f", '{"a":', "1}"),
    event("x_future", x_event={"odd": 1.5}),
    stop="tool_use",
)


def relayed(stream: bytes, reader: Any = None) -> bytes:
    return b"".join(told_by(reader or OpenAIWatcher(), [stream]))


def frames(stream: bytes) -> list[Json]:
    return [json.loads(e.data) for e in SseReader().feed(stream) if e.data != b"[DONE]"]


def test_chunks_pass_untouched_and_the_usage_only_when_asked_for() -> None:
    assert relayed(TEXT, OpenAIWatcher(include_usage=True)) == TEXT
    without = relayed(TEXT)
    assert without == TEXT.replace(usage_chunk(prompt_tokens=10, completion_tokens=5, total_tokens=15), b"")


def test_the_spelling_of_numbers_and_unknown_fields_survive() -> None:
    assert relayed(ODD + chunk({}, "stop") + OPENAI_DONE) == ODD + chunk({}, "stop") + OPENAI_DONE


def test_what_clients_cannot_read_is_taken_out_and_data_is_kept_as_it_was() -> None:
    data = ODD[6:-2]
    wild = (
        b"\xef\xbb\xbf: processing\r\n\r\nid: 1\r\nretry: 5\r\ndata:"
        + data
        + b"\r\n\r\nevent: ping\r\ndata: {}\r\n\r\n"
        b"data: {}\r\n\r\ndata:\r\n\r\n: x\r\n\r\n"
    )
    assert relayed(wild + chunk({}, "stop")) == ODD + chunk({}, "stop") + OPENAI_DONE


def test_frames_that_are_not_json_are_dropped_and_counted() -> None:
    reader = OpenAIWatcher()
    wild = b'data: {"broken": \n\ndata: NaN\n\ndata: <html>\n\n' + ODD
    assert relayed(wild, reader) == ODD
    assert reader.dropped == 3


def test_half_an_emoji_is_relayed_as_it_came() -> None:
    stream = b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"\\ud83d"}}]}\n\n'
    reader = OpenAIWatcher()
    assert relayed(stream, reader) == stream
    assert reader.dropped == 0


def test_half_an_emoji_beside_the_usage_does_no_harm() -> None:
    stream = (
        b'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"\\ud83d"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    )
    told = frames(relayed(stream, OpenAIWatcher(include_usage=True)))
    assert told[0]["choices"][0]["delta"]["content"] == "\ufffd"
    assert told[1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 2}


def test_usage_in_the_finish_chunk_comes_in_a_chunk_of_its_own() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    stream = chunk({"role": "assistant", "content": "x"}) + chunk({}, "stop", usage=usage) + OPENAI_DONE
    told = frames(relayed(stream, OpenAIWatcher(include_usage=True)))
    assert ["usage" in frame for frame in told] == [False, False, True]
    assert (told[-1]["choices"], told[-1]["usage"], told[-1]["id"]) == ([], usage, "chatcmpl-1")
    assert not any("usage" in frame for frame in frames(relayed(stream)))


def test_usage_told_twice_is_seen_once() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    stream = chunk({"role": "assistant"}) + chunk({}, "stop", usage=usage) + usage_chunk(**usage) + OPENAI_DONE
    told = frames(relayed(stream, OpenAIWatcher(include_usage=True)))
    assert ["usage" in frame for frame in told] == [False, False, True]


def test_usage_told_nowhere_is_estimated_for_a_client_that_asked() -> None:
    stream = chunk({"role": "assistant", "content": "twelve chars"}) + chunk({}, "stop") + OPENAI_DONE
    told = frames(relayed(stream, OpenAIWatcher(include_usage=True, input_estimate=7)))
    assert told[-1]["usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    assert (told[-1]["choices"], told[-1]["id"], told[-1]["created"]) == ([], "chatcmpl-1", 1700000000)
    for reader in (OpenAIWatcher(include_usage=True), OpenAIWatcher(input_estimate=7)):
        assert relayed(stream, reader) == stream


def test_usage_that_comes_early_is_held_back_until_the_end() -> None:
    early = usage_chunk(prompt_tokens=3, completion_tokens=2)
    stream = chunk({"role": "assistant", "content": "x"}) + early + chunk({}, "stop") + OPENAI_DONE
    assert relayed(stream, OpenAIWatcher(include_usage=True)).endswith(chunk({}, "stop") + early + OPENAI_DONE)


def test_usage_is_known_whether_asked_for_or_not() -> None:
    reader = OpenAIWatcher()
    relayed(TEXT, reader)
    assert (reader.usage.input_tokens, reader.usage.output_tokens) == (10, 5)
    assert (reader.output_characters, reader.output_text_bytes) == (13, 17)


def test_done_is_told_once_and_made_good_after_the_finish() -> None:
    assert relayed(TEXT + OPENAI_DONE).count(OPENAI_DONE) == 1
    assert relayed(TEXT.removesuffix(OPENAI_DONE)) == relayed(TEXT)
    assert OPENAI_DONE not in relayed(chunk({"content": "x"}))
    assert OPENAI_DONE not in relayed(chunk({"role": "assistant", "content": ""}) + OPENAI_DONE)


def test_all_choices_have_to_finish() -> None:
    def of(index: int, delta: Json, finish: str | None) -> bytes:
        return encode_object({"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]})

    reader, sse = OpenAIWatcher(choices=2), SseReader()
    stream = of(0, {"role": "assistant"}, "stop") + of(1, {"role": "assistant"}, "stop")
    finished = []
    for upstream in sse.feed(stream):
        reader.feed(upstream)
        finished.append(reader.finished)
    assert finished == [False, True]


@pytest.mark.parametrize("error", [{"message": "busy", "code": 529}, "busy"])
def test_an_error_frame_is_not_relayed(error: Any) -> None:
    reader = OpenAIWatcher()
    wild = encode_object({"error": error})
    assert relayed(ODD + wild + ODD, reader) == ODD
    assert reader.failure is not None
    assert reader.failure.message == "busy"
    assert reader.failure.body == wild[6:-2]


def test_only_real_content_starts_the_content() -> None:
    for delta, expected in (
        ({"role": "assistant", "content": ""}, False),
        ({}, False),
        ({"content": "x"}, True),
        ({"reasoning_content": "x"}, True),
        ({"refusal": "x"}, True),
        ({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f"}}]}, True),
    ):
        reader = OpenAIWatcher()
        relayed(chunk(delta), reader)
        assert reader.started_content is expected, delta
    reader = OpenAIWatcher()
    relayed(chunk({}, "stop"), reader)
    assert reader.started_content


def tool(index: int | None, call_id: Any, name: Any, arguments: Any) -> Json:
    told: Json = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return told if index is None else {"index": index, **told}


def test_repeated_ids_and_names_are_told_once() -> None:
    stream = openai_stream(
        *[
            chunk({"tool_calls": [tool(n, f"call_{n}", f"f{n}", part)]})
            for part in ("", '{"a":', "1}")
            for n in range(2)
        ],
        finish="tool_calls",
    )
    calls = read_by_openai(relayed(stream)).choices[0].message.tool_calls
    assert [(c.id, c.function.name, c.function.arguments) for c in calls] == [
        ("call_0", "f0", '{"a":1}'),
        ("call_1", "f1", '{"a":1}'),
    ]


@pytest.mark.parametrize("blank", ["", " ", None])
def test_a_call_whose_arguments_never_came_has_empty_ones(blank: str | None) -> None:
    stream = openai_stream(
        chunk({"tool_calls": [tool(0, "a", "f", blank)]}), chunk({"tool_calls": [tool(1, "b", "g", '{"x":1}')]})
    )
    choice = read_by_openai(relayed(stream)).choices[0]
    assert [json.loads(call.function.arguments) for call in choice.message.tool_calls] == [{}, {"x": 1}]
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize("first", [None, 1])
def test_calls_are_numbered_from_zero(first: int | None) -> None:
    def numbered(n: int) -> int | None:
        return None if first is None else first + n

    stream = openai_stream(
        chunk({"tool_calls": [tool(numbered(0), "a", "f", "{}"), tool(numbered(1), "b", "g", "{}")]}), finish="stop"
    )
    choice = read_by_openai(relayed(stream)).choices[0]
    assert [call.id for call in choice.message.tool_calls] == ["a", "b"]
    assert choice.finish_reason == "tool_calls"


def test_null_members_and_repeated_roles_are_left_out() -> None:
    later = {"id": None, "type": None, "function": {"name": None, "arguments": "1}"}, "index": 0}
    stream = openai_stream(
        chunk({"role": "assistant", "content": None, "tool_calls": [tool(0, "a", "f", '{"x":')]}),
        chunk({"role": "assistant", "content": None, "tool_calls": [later]}),
        chunk({"role": "assistant", "content": "text", "refusal": None, "tool_calls": None}),
        finish="tool_calls",
    )
    told = [frame["choices"][0]["delta"] for frame in frames(relayed(stream))]
    assert told == [
        {"role": "assistant", "content": ""},
        {"tool_calls": [tool(0, "a", "f", '{"x":')]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {"content": "text"},
        {},
    ]
    message = read_by_openai(relayed(stream)).choices[0].message
    assert (message.role, message.content, message.tool_calls[0].function.arguments) == ("assistant", "text", '{"x":1}')


def test_a_mended_chunk_keeps_every_other_byte() -> None:
    wild = ODD.replace(b'"role":"assistant"', b'"role":"assistant","refusal":null')
    (told,) = frames(relayed(wild))
    assert told["choices"][0]["delta"] == {"role": "assistant", "content": "a"}
    assert b'"x":{"big":12345678901234567890123,"odd":1.10,"tiny":1E-7}' in relayed(wild)


def test_a_first_chunk_without_a_role_gets_one() -> None:
    assert frames(relayed(chunk({"content": "x"})))[0]["choices"][0]["delta"] == {"content": "x", "role": "assistant"}


def test_a_delta_that_is_null_becomes_empty() -> None:
    wild = encode_object({"id": "c", "choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]})
    told = frames(relayed(ODD + wild))
    assert told[1]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def test_messages_pass_untouched() -> None:
    reader = AnthropicWatcher()
    assert relayed(MESSAGE, reader) == MESSAGE
    assert reader.finished
    assert (reader.usage.input_tokens, reader.usage.output_tokens) == (10, 5)
    assert reader.output_characters == len('First thenHello wörld{"a":1}')


def test_messages_get_their_names_back_and_lose_what_is_not_theirs() -> None:
    nameless = b"".join(
        b"id: 1\r\ndata:" + e.data + b"\r\n\r\n: comment\r\n\r\nevent: x\r\n\r\n" for e in SseReader().feed(MESSAGE)
    )
    assert relayed(nameless + OPENAI_DONE, AnthropicWatcher()) == MESSAGE


def test_a_missing_message_stop_after_the_end_is_made_good() -> None:
    stream = anthropic_stream(text_block(0, "x"), stopped=False)
    assert relayed(stream, AnthropicWatcher()) == anthropic_stream(text_block(0, "x"))
    cut = stream[: stream.index(b"event: message_delta")]
    assert relayed(cut, AnthropicWatcher()) == cut


@pytest.mark.parametrize(
    "wild",
    [
        event("error", error={"type": "overloaded_error", "message": "busy"}),
        encode_event(b'{"error":{"type":"overloaded_error","message":"busy"}}'),
    ],
)
def test_an_error_event_is_not_relayed(wild: bytes) -> None:
    reader = AnthropicWatcher()
    start = event("message_start", message={"usage": {"input_tokens": 3, "output_tokens": 1}})
    assert relayed(start + wild, reader) == start
    assert reader.failure is not None
    assert (reader.failure.status, reader.failure.message) == (529, "busy")
    assert not reader.started_content


def test_starts_of_text_are_lifecycle_and_starts_of_tools_are_content() -> None:
    for start, expected in (
        ({"type": "text", "text": ""}, False),
        ({"type": "thinking", "thinking": ""}, False),
        ({"type": "tool_use", "id": "a", "name": "f", "input": {}}, True),
        ({"type": "server_tool_use"}, True),
    ):
        reader = AnthropicWatcher()
        relayed(event("message_start", message={}) + event("content_block_start", index=0, content_block=start), reader)
        assert reader.started_content is expected, start


@given(
    st.sampled_from([(OpenAIWatcher, TEXT), (OpenAIWatcher, ODD + TEXT), (AnthropicWatcher, MESSAGE)]),
    st.lists(st.integers(0, 9000), max_size=15),
    st.booleans(),
)
def test_the_way_the_upstream_is_cut_does_not_matter(case: Any, cuts: list[int], crlf: bool) -> None:
    reader, stream = case
    sent = stream.replace(b"\n", b"\r\n") if crlf else stream
    assert b"".join(told_by(reader(), pieces_of(sent, cuts))) == relayed(stream, reader())
