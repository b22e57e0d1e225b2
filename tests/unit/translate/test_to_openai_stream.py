import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.translate.stream import AnthropicToOpenAI
from shared.wire.sse import OPENAI_DONE, SseReader
from tests.unit.translate.streams import (
    Json,
    anthropic_stream,
    block,
    event,
    pieces_of,
    read_by_openai,
    text_block,
    thinking_block,
    told_by,
    tool_block,
)

TEXT = anthropic_stream(text_block(0, "Hello ", "wörld 🚦"))
TOOLS = anthropic_stream(
    text_block(0, "Let me look."),
    tool_block(1, "toolu_1", "look_up", '{"q": ', '"toll"}'),
    tool_block(2, "toolu_2", "now"),
    stop="tool_use",
)
THINKING = anthropic_stream(thinking_block(0, "First |then", "sig-1"), text_block(1, "done"))
SCRIPTED = [TEXT, TOOLS, THINKING]


def translate(stream: bytes, **options: Any) -> list[Json]:
    out = told_by(AnthropicToOpenAI(created=1, **options), [stream])
    return [json.loads(part[6:]) for part in out if part != OPENAI_DONE]


def deltas(frames: list[Json]) -> list[Json]:
    return [frame["choices"][0]["delta"] for frame in frames if frame["choices"]]


def test_text_comes_as_openai_would_send_it() -> None:
    frames = translate(TEXT)
    assert deltas(frames) == [
        {"role": "assistant", "content": ""},
        {"content": "Hello "},
        {"content": "wörld 🚦"},
        {},
    ]
    assert [frame["choices"][0]["finish_reason"] for frame in frames] == [None, None, None, "stop"]
    assert {(frame["id"], frame["model"], frame["created"], frame["object"]) for frame in frames} == {
        ("chatcmpl-msg_1", "claude-x", 1, "chat.completion.chunk")
    }


def test_the_stream_ends_with_done_and_nothing_else_after_it() -> None:
    out = told_by(AnthropicToOpenAI(created=1), [TEXT + TEXT])
    assert out[-1] == OPENAI_DONE
    assert out.count(OPENAI_DONE) == 1


def test_usage_comes_last_and_only_when_asked_for() -> None:
    assert all("usage" not in frame for frame in translate(TEXT))
    last = translate(TEXT, include_usage=True)[-1]
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def test_cache_buckets_are_part_of_the_prompt() -> None:
    usage = {"input_tokens": 50, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 50, "output_tokens": 1}
    last = translate(anthropic_stream(text_block(0, "x"), usage=usage), include_usage=True)[-1]
    assert last["usage"]["prompt_tokens"] == 1000
    assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 900, "cache_write_tokens": 50}


def test_the_name_told_is_the_one_asked_for() -> None:
    assert {frame["model"] for frame in translate(TEXT, model="my-model", answer_id="chatcmpl-9")} == {"my-model"}


def test_tool_calls_are_numbered_from_zero_and_empty_arguments_are_an_object() -> None:
    message = read_by_openai(b"".join(told_by(AnthropicToOpenAI(), [TOOLS]))).choices[0]
    assert message.finish_reason == "tool_calls"
    assert message.message.content == "Let me look."
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.message.tool_calls]
    assert calls == [("toolu_1", "look_up", '{"q": "toll"}'), ("toolu_2", "now", "{}")]


def test_an_input_that_came_whole_is_not_lost_and_keeps_its_digits() -> None:
    start = b'{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":'
    whole = b'{"n": 12345678901234567890123, "f": 1.10}'
    stream = anthropic_stream(
        b"event: content_block_start\ndata: " + start + whole + b"}}\n\n" + event("content_block_stop", index=0),
        stop="tool_use",
    )
    told = [delta["tool_calls"][0]["function"] for delta in deltas(translate(stream)) if "tool_calls" in delta]
    assert "".join(function.get("arguments", "") for function in told) == whole.decode()


def test_a_whole_input_that_is_also_streamed_is_told_once() -> None:
    stream = anthropic_stream(tool_block(0, "t", "f", '{"a":1}', whole={"a": 1}), stop="tool_use")
    told = [delta["tool_calls"][0]["function"] for delta in deltas(translate(stream)) if "tool_calls" in delta]
    assert "".join(function.get("arguments", "") for function in told) == '{"a":1}'


def test_thoughts_are_reasoning_content_and_their_signature_travels_whole() -> None:
    told = deltas(translate(THINKING))
    assert [delta["reasoning_content"] for delta in told if "reasoning_content" in delta] == ["First ", "then"]
    signed = [delta["thinking_blocks"] for delta in told if "thinking_blocks" in delta]
    assert signed == [[{"index": 0, "type": "thinking", "thinking": "First then", "signature": "sig-1"}]]
    completion = read_by_openai(b"".join(told_by(AnthropicToOpenAI(), [THINKING])))
    assert completion.choices[0].message.content == "done"


def test_several_thoughts_are_added_up_by_openais_helper() -> None:
    stream = anthropic_stream(
        thinking_block(0, "one", "s1"),
        block(1, {"type": "redacted_thinking", "data": "xyz"}),
        thinking_block(2, "two", "s2"),
        text_block(3, "t"),
    )
    message = read_by_openai(b"".join(told_by(AnthropicToOpenAI(), [stream]))).choices[0].message
    assert [item.get("signature") or item["data"] for item in message.thinking_blocks] == ["s1", "xyz", "s2"]


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_every_stop_reason_has_a_word_of_openais(stop: str, finish: str) -> None:
    assert translate(anthropic_stream(text_block(0, "x"), stop=stop))[-1]["choices"][0]["finish_reason"] == finish


def test_a_tool_call_under_end_turn_is_a_tool_call() -> None:
    stream = anthropic_stream(tool_block(0, "t", "f", "{}"), stop="end_turn")
    assert translate(stream)[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_legacy_functions_are_answered_in_the_legacy_shape() -> None:
    told = translate(TOOLS, legacy_functions=True)
    calls = [delta["function_call"] for delta in deltas(told) if "function_call" in delta]
    assert calls[0] == {"name": "look_up", "arguments": ""}
    assert "".join(call["arguments"] for call in calls) == '{"q": "toll"}'
    assert told[-1]["choices"][0]["finish_reason"] == "function_call"


def test_the_input_of_a_custom_tool_is_unwrapped() -> None:
    stream = anthropic_stream(tool_block(0, "t", "shell", '{"input": "ls', ' -l\\n"}'), stop="tool_use")
    told = [
        d["tool_calls"][0] for d in deltas(translate(stream, custom_tools=frozenset({"shell"}))) if "tool_calls" in d
    ]
    assert told[0] == {"index": 0, "id": "t", "type": "custom", "custom": {"name": "shell", "input": ""}}
    assert told[1] == {"index": 0, "custom": {"input": "ls -l\n"}}


def test_an_error_event_is_the_routers_and_nothing_more_is_told() -> None:
    reader, sse = AnthropicToOpenAI(created=1), SseReader()
    error = event("error", error={"type": "overloaded_error", "message": "busy"})
    events = sse.feed(event("message_start", message={"id": "m"}) + error + text_block(0, "late"))
    assert [len(reader.feed(e)) for e in events] == [1, 0, 0, 0, 0]
    assert reader.failure is not None
    assert (reader.failure.status, reader.failure.type, reader.failure.message) == (529, "overloaded_error", "busy")
    assert reader.finish() == []
    assert not reader.started_content
    assert not reader.finished


def test_only_real_content_starts_the_content() -> None:
    reader, sse = AnthropicToOpenAI(created=1), SseReader()
    started = []
    for upstream in sse.feed(TEXT):
        reader.feed(upstream)
        started.append(reader.started_content)
    assert started == [False, False, False, True, True, True, True, True]


def test_a_stream_cut_before_its_stop_reason_has_no_end() -> None:
    reader = AnthropicToOpenAI(created=1)
    out = told_by(reader, [TEXT[: TEXT.index(b"event: message_delta")]])
    assert OPENAI_DONE not in out
    assert not reader.finished
    assert reader.output_characters == len("Hello wörld 🚦")


def test_a_missing_message_stop_after_the_end_is_made_good() -> None:
    reader = AnthropicToOpenAI(created=1, include_usage=True)
    out = told_by(reader, [anthropic_stream(text_block(0, "x"), stopped=False)])
    assert reader.finished
    assert out[-1] == OPENAI_DONE
    assert b'"completion_tokens":5' in out[-2]


def test_frames_that_are_not_json_are_dropped_and_counted() -> None:
    reader = AnthropicToOpenAI(created=1)
    out = told_by(reader, [TEXT.replace(b"event: ping", b'event: x\ndata: {"broken": \n\nevent: ping')])
    assert reader.dropped == 1
    assert out == told_by(AnthropicToOpenAI(created=1), [TEXT])


def test_blocks_of_other_kinds_are_named_as_lost() -> None:
    reader = AnthropicToOpenAI(created=1)
    search = block(0, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})
    told_by(reader, [anthropic_stream(search, text_block(1, "x"))])
    assert reader.lossy == {"content.server_tool_use"}


def test_cited_pages_are_annotations_and_the_end_of_the_stream_names_the_loss() -> None:
    page = {"type": "web_search_result_location", "url": "https://x.test", "title": "X", "cited_text": "f"}
    cites = [{"type": "citations_delta", "citation": cited} for cited in (page, {"type": "char_location"}, page)]
    cited = block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "fact"}, *cites)
    stream = anthropic_stream(text_block(0, "So: "), cited, text_block(2, "."), cited)
    told = read_by_openai(b"".join(told_by(AnthropicToOpenAI(), [stream]))).choices[0].message
    assert told.content == "So: fact.fact"
    places = [(a.url_citation.url, a.url_citation.start_index, a.url_citation.end_index) for a in told.annotations]
    assert places == [("https://x.test", *place) for place in ((4, 8), (4, 8), (9, 13), (9, 13))]
    *_, finish, usage = translate(stream, include_usage=True)
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert finish["tollway"] == usage["tollway"] == {"lossy": ["citations"]}
    assert not any("tollway" in frame for frame in translate(TEXT, include_usage=True))


def test_a_second_call_that_legacy_functions_have_no_room_for_is_named() -> None:
    reader = AnthropicToOpenAI(created=1, legacy_functions=True)
    two = tool_block(0, "a", "f", "{}") + tool_block(1, "b", "g", "{}")
    out = told_by(reader, [anthropic_stream(two, stop="tool_use")])
    assert b'"g"' not in b"".join(out)
    assert reader.lossy == {"tool_calls"}


def test_odd_values_do_not_break_the_stream() -> None:
    odd = (
        event("content_block_start", index=0, content_block=None)
        + event("content_block_delta", index=0, delta="x")
        + event("content_block_delta", index=0, delta={"type": "text_delta", "text": None})
        + event("message_start", message=5)
        + event("x_future", x=1)
        + event("message_delta", delta=None, usage=None)
    )
    assert deltas(translate(anthropic_stream(odd, text_block(1, "x"))))[-2:] == [{"content": "x"}, {}]


@given(st.sampled_from(SCRIPTED), st.lists(st.integers(0, 5000), max_size=15), st.booleans())
def test_the_way_the_upstream_is_cut_does_not_matter(stream: bytes, cuts: list[int], crlf: bool) -> None:
    whole = told_by(AnthropicToOpenAI(created=1), [stream])
    sent = stream.replace(b"\n", b"\r\n") if crlf else stream
    assert told_by(AnthropicToOpenAI(created=1), pieces_of(sent, cuts)) == whole
