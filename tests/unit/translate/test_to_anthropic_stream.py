import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.translate.stream import OpenAIToAnthropic
from shared.wire.sse import OPENAI_DONE, SseReader, encode_event, encode_object
from tests.unit.translate.streams import (
    Json,
    chunk,
    openai_stream,
    pieces_of,
    read_by_anthropic,
    told_by,
    usage_chunk,
)


def call(index: int | None, call_id: str | None, name: str | None, arguments: Any, **extras: Any) -> Json:
    told: Json = {} if index is None else {"index": index}
    if call_id is not None:
        told |= {"id": call_id, "type": "function"}
    function = {} if name is None else {"name": name}
    return {**told, "function": {**function, "arguments": arguments}, **extras}


def calls(*told: Json) -> bytes:
    return chunk({"tool_calls": list(told)})


TEXT = openai_stream(chunk({"content": "Hello "}), chunk({"content": "wörld 🚦"}))
MIXED = openai_stream(
    chunk({"reasoning_content": "Hm "}),
    chunk({"reasoning_content": "so."}),
    chunk({"content": "Let me look."}),
    calls(call(0, "call_1", "look_up", "")),
    calls(call(0, None, None, '{"q": ')),
    calls(call(0, None, None, '"toll"}')),
    calls(call(1, "call_2", "now", "")),
    chunk({"content": "After."}),
    finish="tool_calls",
)


def translate(stream: bytes, **options: Any) -> list[Json]:
    out = told_by(OpenAIToAnthropic(**options), [stream])
    told = []
    for part in out:
        name, data = part.decode().rstrip("\n").split("\n")
        frame = json.loads(data.removeprefix("data: "))
        assert name == f"event: {frame['type']}"
        told.append(frame)
    return told


def assert_valid(frames: list[Json]) -> None:
    """One start, blocks numbered without gaps and never two open, one end."""
    assert frames[0]["type"] == "message_start"
    assert [frame["type"] for frame in frames[-2:]] == ["message_delta", "message_stop"]
    open_block, following = None, 0
    for frame in frames[1:-2]:
        if frame["type"] == "content_block_start":
            assert open_block is None
            assert frame["index"] == following
            open_block, following = frame["index"], following + 1
        elif frame["type"] == "content_block_stop":
            assert frame["index"] == open_block
            open_block = None
        else:
            assert frame["type"] == "content_block_delta"
            assert frame["index"] == open_block
    assert open_block is None


def content(stream: bytes) -> list[Json]:
    return [
        block.model_dump(exclude_none=True, exclude={"citations", "parsed_output", "caller"})
        for block in read_by_anthropic(stream).content
    ]


def answered(stream: bytes, **options: Any) -> Any:
    out = told_by(OpenAIToAnthropic(**options), [stream])
    return read_by_anthropic(b"".join(out))


def used(stream: bytes) -> list[tuple[str, str, Any]]:
    assert_valid(translate(stream))
    return [(block.id, block.name, block.input) for block in answered(stream).content if block.type == "tool_use"]


def test_text_comes_as_anthropic_would_send_it() -> None:
    frames = translate(TEXT, input_estimate=7)
    assert_valid(frames)
    assert frames[0]["message"] == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 0},
    }
    assert frames[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert frames[-2]["usage"] == {"input_tokens": 10, "output_tokens": 5}
    message = answered(TEXT)
    assert message.content[0].text == "Hello wörld 🚦"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (10, 5)


def test_reasoning_text_calls_and_text_again_are_blocks_of_their_own() -> None:
    assert_valid(translate(MIXED))
    message = answered(MIXED)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use", "text"]
    assert [message.content[0].thinking, message.content[1].text] == ["Hm so.", "Let me look."]
    assert [(b.id, b.name, b.input) for b in message.content[2:4]] == [
        ("call_1", "look_up", {"q": "toll"}),
        ("call_2", "now", {}),
    ]
    assert message.stop_reason == "tool_use"


def test_interleaved_calls_leave_one_after_the_other() -> None:
    stream = openai_stream(
        *[
            calls(call(n, f"call_{n}", f"f{n}", part))
            for part in ('{"a', '": [1', ', {"b": 2}', "]", "}")
            for n in range(3)
        ]
    )
    expected = {"a": [1, {"b": 2}]}
    assert used(stream) == [(f"call_{n}", f"f{n}", expected) for n in range(3)]


def test_a_call_that_came_whole_in_one_chunk_is_not_lost() -> None:
    stream = openai_stream(calls(call(0, "a", "f", '{"x":1}'), call(1, "b", "g", '{"y":2}')))
    assert used(stream) == [("a", "f", {"x": 1}), ("b", "g", {"y": 2})]


def test_text_in_the_finish_chunk_is_not_lost() -> None:
    stream = chunk({"role": "assistant", "content": "all"}, "stop") + OPENAI_DONE
    assert answered(stream).content[0].text == "all"


@pytest.mark.parametrize(
    "told",
    [
        [call(1, "a", "f", '{"x":1}'), call(2, "b", "g", "{}")],
        [call(None, "a", "f", '{"x":1}'), call(None, "b", "g", "{}")],
        [call(0, "a", "f", '{"x":1}'), call(0, "b", "g", "{}")],
        [call(0, "a", "f", {"x": 1}), call(1, "b", "g", None)],
        [call(0, "a", "f", '{"x":'), call(None, "a", None, "1}"), call(1, "b", "g", " ")],
        [call(None, "a", "f", '{"x":'), call(None, None, None, "1}"), call(None, "b", "g", "")],
    ],
)
def test_calls_are_told_apart_however_they_are_numbered(told: list[Json]) -> None:
    for stream in (openai_stream(calls(*told)), openai_stream(*(calls(one) for one in told))):
        assert used(stream) == [("a", "f", {"x": 1}), ("b", "g", {})]


def test_calls_without_an_id_get_one() -> None:
    ids = [one[0] for one in used(openai_stream(calls(call(0, None, "f", "{}")), calls(call(1, None, "g", "{}"))))]
    assert len(set(ids)) == 2
    assert all(ids)


def test_a_legacy_function_call_is_a_tool_use() -> None:
    stream = openai_stream(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"x":1}'}}),
        finish="function_call",
    )
    ((call_id, name, given_input),) = used(stream)
    assert call_id
    assert (name, given_input) == ("f", {"x": 1})


def test_a_custom_call_is_a_tool_use_of_one_text() -> None:
    def custom(text: str, **named: str) -> Json:
        return {"index": 0, "type": "custom", "custom": {**named, "input": text}}

    stream = openai_stream(calls({**custom("", name="sh"), "id": "a"}), calls(custom(" ls {")), calls(custom("}\n")))
    assert used(stream) == [("a", "sh", {"input": " ls {}\n"})]


def test_parts_without_text_make_no_block() -> None:
    stream = openai_stream(chunk({"content": [{"type": "image", "data": "x"}]}), chunk({"content": "x"}))
    assert [block.type for block in answered(stream).content] == ["text"]


@pytest.mark.parametrize(
    ("finish", "stop"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal"), ("eos", "end_turn")],
)
def test_every_finish_reason_has_a_word_of_anthropics(finish: str, stop: str) -> None:
    assert answered(openai_stream(chunk({"content": "x"}), finish=finish)).stop_reason == stop


def test_a_call_under_the_finish_stop_is_a_tool_use() -> None:
    assert answered(openai_stream(calls(call(0, "a", "f", "{}")), finish="stop")).stop_reason == "tool_use"


def test_a_refusal_keeps_its_text() -> None:
    message = answered(
        openai_stream(chunk({"refusal": "I will "}), chunk({"refusal": "not."}), finish="content_filter")
    )
    assert (message.content[0].text, message.stop_reason) == ("I will not.", "refusal")


def test_the_end_waits_for_the_usage() -> None:
    reader, sse = OpenAIToAnthropic(), SseReader()
    (finish, usage) = sse.feed(chunk({"role": "assistant", "content": "x"}, "stop") + usage_chunk(prompt_tokens=3))
    assert b"message_delta" not in b"".join(reader.feed(finish))
    assert reader.finished
    assert b'"input_tokens":3' in b"".join(reader.feed(usage))
    assert reader.finish() == []


def test_usage_in_the_finish_chunk_and_once_more_is_told_once() -> None:
    told = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    stream = chunk({"content": "x"}) + chunk({}, "stop", usage=told) + usage_chunk(**told) + OPENAI_DONE
    frames = translate(stream)
    assert [frame["type"] for frame in frames].count("message_delta") == 1
    assert frames[-2]["usage"] == {"input_tokens": 3, "output_tokens": 2}


def test_without_usage_the_end_has_numbers_and_leaves_the_estimate_of_the_start() -> None:
    stream = chunk({"content": "twelve chars"}) + chunk({}, "stop") + OPENAI_DONE
    frames = translate(stream, input_estimate=42)
    assert frames[-2]["usage"] == {"output_tokens": 3}
    assert answered(stream, input_estimate=42).usage.input_tokens == 42


def test_cached_input_is_told_beside_the_fresh() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 90}}
    told = answered(openai_stream(chunk({"content": "x"}), usage=usage)).usage
    assert (told.input_tokens, told.cache_read_input_tokens, told.output_tokens) == (10, 90, 2)


def test_a_stream_that_ends_without_a_finish_has_no_end() -> None:
    reader = OpenAIToAnthropic()
    out = b"".join(told_by(reader, [chunk({"content": "x"})]))
    assert b"message_stop" not in out
    assert not reader.finished


def test_an_error_frame_is_the_routers() -> None:
    for error in ({"message": "busy", "type": "server_error", "code": 529}, "busy"):
        reader = OpenAIToAnthropic()
        out = told_by(reader, [chunk({"content": "x"}) + encode_object({"error": error}) + chunk({"content": "y"})])
        assert b'"y"' not in b"".join(out)
        assert reader.failure is not None
        assert reader.failure.message == "busy"


def test_a_finish_called_error_is_a_failure() -> None:
    reader = OpenAIToAnthropic()
    told_by(reader, [chunk({"content": "x"}) + chunk({}, "error")])
    assert reader.failure is not None
    assert not reader.finished


def test_the_role_alone_is_not_content() -> None:
    reader, sse = OpenAIToAnthropic(), SseReader()
    started = []
    for upstream in sse.feed(TEXT):
        reader.feed(upstream)
        started.append(reader.started_content)
    assert started[:2] == [False, True]


def test_a_signed_thought_keeps_its_signature() -> None:
    thought = {"index": 0, "type": "thinking", "thinking": "Hm", "signature": "sig"}
    stream = openai_stream(
        chunk({"reasoning_content": "Hm"}), chunk({"thinking_blocks": [thought]}), chunk({"content": "x"})
    )
    assert_valid(translate(stream))
    message = answered(stream)
    assert (message.content[0].thinking, message.content[0].signature) == ("Hm", "sig")


def test_redacted_thoughts_are_blocks_too() -> None:
    redacted = [{"index": n, "type": "redacted_thinking", "data": f"d{n}"} for n in range(2)]
    stream = openai_stream(chunk({"thinking_blocks": redacted}), chunk({"content": "x"}))
    assert_valid(translate(stream))
    assert [getattr(block, "data", None) for block in answered(stream).content] == ["d0", "d1", None]


def test_parts_of_text_and_thinking_in_the_content_are_read() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "x"}]
    message = answered(openai_stream(chunk({"content": parts})))
    assert [block.type for block in message.content] == ["thinking", "text"]


def test_odd_frames_do_not_break_the_stream() -> None:
    odd = b"".join(
        encode_object(frame)
        for frame in (
            {},
            {"choices": None},
            {"choices": "x"},
            {"choices": [None, 5]},
            {"choices": [{"index": 0, "delta": None}]},
            {"choices": [{"index": 0, "delta": {"content": 5, "tool_calls": "x", "function_call": 3}}]},
            {"choices": [{"index": 0, "delta": {"tool_calls": [None, 4], "content": None}}]},
            {"choices": [{"index": 1, "delta": {"content": "another choice"}}]},
            {"id": "x", "choices": [], "prompt_filter_results": []},
            ["list"],
        )
    )
    reader = OpenAIToAnthropic()
    out = told_by(reader, [odd + encode_event(b'{"broken": ') + encode_event(b"NaN") + TEXT])
    assert reader.dropped == 3
    assert read_by_anthropic(b"".join(out)).content[0].text == "Hello wörld 🚦"


def test_half_an_emoji_does_not_lose_the_rest_of_its_frame() -> None:
    stream = openai_stream(encode_event(b'{"choices":[{"index":0,"delta":{"content":"a\\ud83d b"}}]}'))
    assert answered(stream).content[0].text == "a\ufffd b"


FRAGMENTS = st.lists(
    st.tuples(st.sampled_from(["text", "reason", "call"]), st.integers(0, 2), st.integers(1, 4)),
    min_size=1,
    max_size=25,
)
ARGUMENTS = ['{"q": "a\\"}b", "n": [1, {"x": {}}]}', "{}", '{"long": "' + "z" * 12 + '"}']


@given(FRAGMENTS, st.booleans(), st.booleans())
def test_any_chunking_of_tool_calls_gives_one_valid_block_sequence(
    plan: list[tuple[str, int, int]], repeats: bool, together: bool
) -> None:
    """Whatever is interleaved, each call arrives whole, once, in order of its first fragment, and so does the text."""
    left = dict(enumerate(ARGUMENTS))
    deltas: list[Json] = []
    texts, thoughts, order = "", "", []
    for kind, number, size in [*plan, *(("call", n, 1000) for n in range(3))]:
        if kind == "text":
            deltas.append({"content": f"t{number} "})
            texts += f"t{number} "
        elif kind == "reason":
            deltas.append({"reasoning_content": f"r{number} "})
            thoughts += f"r{number} "
        else:
            piece, left[number] = left[number][:size], left[number][size:]
            first = number not in order
            if first:
                order.append(number)
            named = first or repeats
            deltas.append(
                {"tool_calls": [call(number, f"id{number}" if named else None, f"f{number}" if named else None, piece)]}
            )
    chunks = [chunk(delta) for delta in deltas]
    if together and len(chunks) > 1 and "tool_calls" not in deltas[-2]:
        chunks[-2:] = [chunk({**deltas[-2], **deltas[-1]})]
    stream = openai_stream(*chunks, finish="stop")
    assert used(stream) == [(f"id{n}", f"f{n}", json.loads(ARGUMENTS[n])) for n in order]
    message = answered(stream)
    assert "".join(block.text for block in message.content if block.type == "text") == texts
    assert "".join(block.thinking for block in message.content if block.type == "thinking") == thoughts


@given(st.sampled_from([TEXT, MIXED]), st.lists(st.integers(0, 5000), max_size=15), st.booleans())
def test_the_way_the_upstream_is_cut_does_not_matter(stream: bytes, cuts: list[int], crlf: bool) -> None:
    sent = stream.replace(b"\n", b"\r\n") if crlf else stream
    assert told_by(OpenAIToAnthropic(), pieces_of(sent, cuts)) == told_by(OpenAIToAnthropic(), [stream])


def test_what_no_block_can_hold_is_named_where_the_stream_ends() -> None:
    spoken = chunk({"audio": {"id": "a"}, "annotations": [{"type": "url_citation"}]})
    end = translate(openai_stream(chunk({"content": "x"}), spoken))[-2]
    assert end["tollway"] == {"lossy": ["content.annotations", "content.audio"]}
    assert "tollway" not in translate(TEXT)[-2]
