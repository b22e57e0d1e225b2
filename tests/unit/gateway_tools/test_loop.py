"""The loop as a client sees it: one answer, one finish reason, summed usage, and books that tell of every call."""

import asyncio
import json
from typing import Any

import pytest

from shared.errors import BadRequest, Forbidden
from shared.translate.conversation import messages_to_anthropic
from tests.unit.gateway_tools.conftest import Bench, Seen
from tests.unit.gateway_tools.scripted_model import Say, ScriptedModel

DIALECTS = pytest.mark.parametrize("dialect", ["openai", "anthropic"])
STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def text_of(dialect: str, body: dict) -> str:
    if dialect == "openai":
        return body["choices"][0]["message"]["content"]
    return "".join(block["text"] for block in body["content"] if block["type"] == "text")


def finish_of(dialect: str, body: dict) -> str:
    return body["choices"][0]["finish_reason"] if dialect == "openai" else body["stop_reason"]


def calls_of(dialect: str, body: dict) -> list[str]:
    if dialect == "openai":
        return [call["function"]["name"] for call in body["choices"][0]["message"].get("tool_calls", [])]
    return [block["name"] for block in body["content"] if block["type"] == "tool_use"]


def client_tool(dialect: str, name: str) -> dict:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    if dialect == "openai":
        return {"type": "function", "function": {"name": name, "parameters": schema}}
    return {"name": name, "input_schema": schema}


def results_sent(dialect: str, body: dict) -> list[tuple[str, str]]:
    if dialect == "openai":
        return [(m["tool_call_id"], m["content"]) for m in body["messages"] if m["role"] == "tool"]
    return [
        (block["tool_use_id"], block["content"])
        for message in body["messages"]
        if isinstance(message["content"], list)
        for block in message["content"]
        if block["type"] == "tool_result"
    ]


@DIALECTS
@STREAMS
async def test_a_tool_is_run_and_the_client_sees_one_answer(bench: Bench, dialect: str, stream: bool) -> None:
    model = ScriptedModel(Say("Let me look. ", [("python__look_up", {"q": "toll"})]), Say("It is found."))
    answer, body = await bench.ask(model, dialect, stream=stream)
    assert text_of(dialect, body) == "Let me look. It is found."
    assert finish_of(dialect, body) == ("stop" if dialect == "openai" else "end_turn")
    assert calls_of(dialect, body) == []
    assert bench.handlers.ran == ["look_up toll"]
    assert results_sent(dialect, model.bodies[1]) == [("call_1_0", "found toll")]
    usage = body["usage"]
    told = (usage["prompt_tokens"], usage["completion_tokens"]) if dialect == "openai" else tuple(usage.values())[:2]
    assert told == (20, 6)
    assert answer.ending.status == "ok"
    assert answer.ending.attempts == 3
    assert len(answer.ending.spent) == 2
    assert [call.first_attempt for call in model.calls] == [1, 3]


@DIALECTS
async def test_a_stream_has_one_id_one_end_and_rising_blocks(bench: Bench, dialect: str) -> None:
    model = ScriptedModel(Say("A ", [("python__look_up", {"q": "1"})], thinking="hm"), Say("B"))
    _, body = await bench.ask(model, dialect, stream=True)
    frames = body["frames"]
    if dialect == "openai":
        assert frames[-1] == b"[DONE]"
        chunks = frames[:-1]
        assert {chunk["id"] for chunk in chunks} == {"chatcmpl-1"}
        assert [
            c["choices"][0]["finish_reason"] for c in chunks if c["choices"] and c["choices"][0]["finish_reason"]
        ] == ["stop"]
        assert sum("role" in c["choices"][0]["delta"] for c in chunks if c["choices"]) == 1
        assert chunks[-1]["usage"]["total_tokens"] == 26
    else:
        kinds = [frame["type"] for frame in frames]
        assert kinds.count("message_start") == kinds.count("message_delta") == kinds.count("message_stop") == 1
        assert [frame["index"] for frame in frames if frame["type"] == "content_block_start"] == [0, 1, 2]
        assert [block["type"] for block in body["content"]] == ["thinking", "text", "text"]


@DIALECTS
@STREAMS
async def test_an_answer_without_tool_calls_is_passed_on_byte_for_byte(
    bench: Bench, dialect: str, stream: bool
) -> None:
    model = ScriptedModel(Say("Just words."))
    from tests.unit.gateway_tools.conftest import ToolSelection, make_call

    answer = await bench.loop(model).call(make_call(dialect, stream=stream), ToolSelection(("*",), None, "k"))
    chunks = b"".join([chunk async for chunk in answer.chunks])
    assert chunks == b"".join(model.answers[0]._chunks)


@DIALECTS
@STREAMS
async def test_parallel_calls_are_answered_in_the_order_of_the_calls(bench: Bench, dialect: str, stream: bool) -> None:
    model = ScriptedModel(Say("", [("python__look_up", {"q": "a"}), ("python__second", {"q": "b"})]), Say("done"))
    await bench.ask(model, dialect, stream=stream)
    assert results_sent(dialect, model.bodies[1]) == [("call_1_0", "found a"), ("call_1_1", "second b")]
    if dialect == "anthropic":
        assert [m["role"] for m in model.bodies[1]["messages"]] == ["user", "assistant", "user"]


@STREAMS
async def test_a_text_that_says_nothing_is_not_sent_back(bench: Bench, stream: bool) -> None:
    model = ScriptedModel(Say(" ", [("python__look_up", {"q": "a"})], thinking="hm"), Say("done"))
    _, body = await bench.ask(model, "anthropic", stream=stream)
    assert [block["type"] for block in model.bodies[1]["messages"][1]["content"]] == ["thinking", "tool_use"]
    assert text_of("anthropic", body) == " done"


@STREAMS
async def test_calls_of_one_id_are_answered_each_with_its_own_result(bench: Bench, stream: bool) -> None:
    seen = Seen()
    calls = [("python__look_up", {"q": "a"}), ("python__second", {"q": "b"})]
    model = ScriptedModel(Say("", calls, ids=["same", "same"]), Say("done"))
    await bench.ask(model, stream=stream, observer=seen)
    assert results_sent("openai", model.bodies[1]) == [("same", "found a"), ("same", "second b")]
    if stream:
        assert [event[2] for event in seen.events if event[0] == "result"] == ["found a", "second b"]


@DIALECTS
@STREAMS
async def test_thinking_and_its_signature_go_back_unchanged(bench: Bench, dialect: str, stream: bool) -> None:
    if dialect == "openai":
        return
    model = ScriptedModel(Say("t", [("python__look_up", {"q": "1"})], thinking="I weigh"), Say("done"))
    await bench.ask(model, dialect, stream=stream)
    sent = model.bodies[1]["messages"][1]["content"]
    assert sent[0] == {"type": "thinking", "thinking": "I weigh", "signature": "sig"}
    assert [block["type"] for block in sent] == ["thinking", "text", "tool_use"]


@pytest.mark.parametrize("limits", [{"rounds": 3}])
@DIALECTS
@STREAMS
async def test_at_the_round_limit_one_last_turn_has_no_tools(bench: Bench, dialect: str, stream: bool) -> None:
    loops = [Say("", [("python__look_up", {"q": str(n)})]) for n in range(3)]
    model = ScriptedModel(*loops, Say("That is all."))
    _, body = await bench.ask(model, dialect, stream=stream)
    assert len(model.calls) == 4
    assert "tools" not in model.bodies[3]
    assert body["tollway"] == {"limit_reached": "rounds"}
    assert text_of(dialect, body) == "That is all."


@pytest.mark.parametrize("limits", [{"calls": 2}])
@STREAMS
async def test_calls_beyond_the_limit_are_refused_and_told(bench: Bench, stream: bool) -> None:
    calls = [("python__look_up", {"q": str(n)}) for n in range(3)]
    model = ScriptedModel(Say("", calls), Say("ok"))
    _, body = await bench.ask(model, stream=stream)
    assert body["tollway"] == {"limit_reached": "calls"}
    assert len(bench.handlers.ran) == 2
    assert "limit_reached" in results_sent("openai", model.bodies[1])[2][1]


@pytest.mark.parametrize("limits", [{"seconds": 0.2}])
async def test_when_the_time_is_over_the_tool_is_stopped_and_the_model_answers(bench: Bench) -> None:
    model = ScriptedModel(Say("", [("python__wait", {})]), Say("too slow"))
    _, body = await bench.ask(model)
    assert body["tollway"] == {"limit_reached": "seconds"}
    await asyncio.wait_for(bench.handlers.cancelled.wait(), 2)


async def test_a_limit_turn_that_needs_the_tools_named_is_asked_again_with_tools_forbidden(bench: Bench) -> None:
    bench.resources.config.replace(
        bench.resources.config.current.model_copy(
            update={
                "tools": bench.resources.config.current.tools.model_copy(
                    update={"limits": bench.resources.config.current.tools.limits.model_copy(update={"rounds": 1})}
                )
            }
        )
    )
    model = ScriptedModel(Say("", [("python__look_up", {})]), Say(status=400), Say("fine"))
    _, body = await bench.ask(model)
    assert model.bodies[2]["tool_choice"] == "none"
    assert text_of("openai", body) == "fine"


@STREAMS
async def test_the_same_call_again_is_answered_from_the_first_and_then_refused(bench: Bench, stream: bool) -> None:
    same = Say("", [("python__look_up", {"q": "x"})])
    model = ScriptedModel(same, same, same, Say("ok"))
    await bench.ask(model, stream=stream)
    results = [content for _, content in results_sent("openai", model.bodies[3])]
    assert results[:2] == ["found x", "found x"]
    assert "repeated_call" in results[2]
    assert bench.handlers.ran == ["look_up x"]


@DIALECTS
@STREAMS
async def test_a_turn_with_both_kinds_runs_ours_hands_out_theirs_and_resumes_in_order(
    bench: Bench, dialect: str, stream: bool
) -> None:
    tools = [client_tool(dialect, "mine")]
    model = ScriptedModel(
        Say("First. ", [("python__second", {"q": "0"})]),
        Say("Both. ", [("mine", {"q": "1"}), ("python__look_up", {"q": "2"}), ("mine", {"q": "3"})]),
        Say("The end."),
    )
    answer, body = await bench.ask(model, dialect, stream=stream, tools=tools)
    assert calls_of(dialect, body) == ["mine", "mine"]
    assert finish_of(dialect, body) == ("tool_calls" if dialect == "openai" else "tool_use")
    assert bench.handlers.ran == ["second 0", "look_up 2"]
    assert len(answer.ending.transcript) == 1
    seen = answer.ending.transcript[0]
    if dialect == "openai":
        back = [
            {"role": "tool", "tool_call_id": call["id"], "content": f"mine {call['id']}"} for call in seen["tool_calls"]
        ]
    else:
        ids = [block["id"] for block in seen["content"] if block["type"] == "tool_use"]
        back = [
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": i, "content": f"mine {i}"} for i in ids],
            }
        ]
    messages = [{"role": "user", "content": "hi"}, seen, *back]
    _, end = await bench.ask(model, dialect, stream=stream, tools=tools, messages=messages)
    assert text_of(dialect, end) == "The end."
    sent = results_sent(dialect, model.bodies[2])
    assert sent == [
        ("call_1_0", "second 0"),
        ("call_2_0", "mine call_2_0"),
        ("call_2_1", "found 2"),
        ("call_2_2", "mine call_2_2"),
    ]
    roles = [message["role"] for message in model.bodies[2]["messages"]]
    if dialect == "anthropic":
        assert roles == ["user", "assistant", "user", "assistant", "user"]
    else:
        assert roles == ["user", "assistant", "tool", "assistant", "tool", "tool", "tool"]
    assert bench.handlers.ran == ["second 0", "look_up 2"]


@DIALECTS
@STREAMS
async def test_a_call_of_ours_never_reaches_the_client_even_in_a_first_turn(
    bench: Bench, dialect: str, stream: bool
) -> None:
    tools = [client_tool(dialect, "mine")]
    model = ScriptedModel(Say("", [("mine", {"q": "1"}), ("python__look_up", {"q": "2"})]))
    _, body = await bench.ask(model, dialect, stream=stream, tools=tools)
    assert calls_of(dialect, body) == ["mine"]
    cut = ScriptedModel(
        Say("Half", [("python__look_up", {})], finish="length" if dialect == "openai" else "max_tokens")
    )
    _, body = await bench.ask(cut, dialect, stream=stream, tools=tools)
    assert calls_of(dialect, body) == []


async def test_a_mixed_turn_is_put_together_without_asking_for_tools_again_and_not_for_another_key(
    bench: Bench,
) -> None:
    tools = [client_tool("openai", "mine")]
    model = ScriptedModel(Say("", [("python__look_up", {"q": "2"}), ("mine", {})]), Say("x"), Say("y"))
    answer, _ = await bench.ask(model, tools=tools)
    back = {"role": "tool", "tool_call_id": "call_1_1", "content": "mine"}
    messages = [{"role": "user", "content": "hi"}, answer.ending.transcript[0], back]
    await bench.ask(model, tools=tools, messages=messages, wanted=None)
    assert results_sent("openai", model.bodies[1]) == [("call_1_0", "found 2"), ("call_1_1", "mine")]
    await bench.ask(model, tools=tools, messages=messages, scope="other")
    assert results_sent("openai", model.bodies[2]) == [("call_1_1", "mine")]


@DIALECTS
@STREAMS
async def test_calls_of_the_client_alone_go_through_untouched(bench: Bench, dialect: str, stream: bool) -> None:
    model = ScriptedModel(Say("Hm. ", [("mine", {"q": "1"})]))
    answer, body = await bench.ask(model, dialect, stream=stream, tools=[client_tool(dialect, "mine")])
    assert calls_of(dialect, body) == ["mine"]
    assert finish_of(dialect, body) == ("tool_calls" if dialect == "openai" else "tool_use")
    assert answer.ending.transcript[-1]["role"] == "assistant"


@DIALECTS
async def test_our_tools_are_offered_beside_the_clients_sorted_and_the_clients_name_wins(
    bench: Bench, dialect: str
) -> None:
    model = ScriptedModel(Say("x"))
    tools = [client_tool(dialect, "zz"), client_tool(dialect, "python__second")]
    await bench.ask(model, dialect, wanted=("python__look_up", "python__second"), tools=tools)
    assert model.offered() == ["zz", "python__second", "python__look_up"]


async def test_a_forced_tool_is_not_forced_again_after_it_ran(bench: Bench) -> None:
    model = ScriptedModel(Say("", [("python__look_up", {})]), Say("ok"))
    await bench.ask(model, tool_choice="required")
    assert [body["tool_choice"] for body in model.bodies] == ["required", "auto"]


ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}


@pytest.mark.parametrize(
    ("dialect", "choice", "later"),
    [
        ("openai", "auto", "auto"),
        ("openai", {"type": "function", "function": {"name": "python__look_up"}}, "auto"),
        ("openai", ALLOWED, {**ALLOWED, "allowed_tools": {"mode": "auto", "tools": []}}),
        ("anthropic", {"type": "tool", "name": "python__look_up"}, {"type": "auto"}),
        (
            "anthropic",
            {"type": "any", "disable_parallel_tool_use": True},
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
    ],
)
async def test_what_else_a_choice_of_tools_says_stays(bench: Bench, dialect: str, choice: Any, later: Any) -> None:
    model = ScriptedModel(Say("", [("python__look_up", {})]), Say("ok"))
    await bench.ask(model, dialect, tool_choice=choice)
    assert [body["tool_choice"] for body in model.bodies] == [choice, later]


async def test_an_unknown_tool_is_named_and_a_forbidden_one_too(bench: Bench) -> None:
    model = ScriptedModel(Say("x"))
    with pytest.raises(BadRequest, match="nobody__knows"):
        await bench.ask(model, wanted=("nobody__knows",))
    with pytest.raises(BadRequest, match="nobody__"):
        await bench.ask(model, wanted=("nobody__*",))
    with pytest.raises(Forbidden, match="python__look_up"):
        await bench.ask(model, wanted=("python__look_up",), allowed=("builtin__*",))
    assert model.calls == []


async def test_a_short_name_finds_its_tool_and_a_pattern_is_narrowed_to_what_is_allowed(bench: Bench) -> None:
    model = ScriptedModel(Say("x"))
    await bench.ask(model, wanted=("get_current_time", "look_up"))
    await bench.ask(model, wanted=("python__*",), allowed=("python__second", "python__wait"))
    assert model.offered(0) == ["builtin__get_current_time", "python__look_up"]
    assert model.offered(1) == ["python__second", "python__wait"]


@STREAMS
@pytest.mark.parametrize("arguments", ["", "{", "[1]", '{"q": 5}', '{"other": 1}'])
async def test_bad_arguments_are_told_to_the_model(bench: Bench, stream: bool, arguments: str) -> None:
    model = ScriptedModel(Say("", [("python__look_up", arguments)]), Say("ok"))
    await bench.ask(model, stream=stream)
    result = results_sent("openai", model.bodies[1])[0][1]
    assert result == "found " if arguments == "" else "invalid_arguments" in result
    sent = model.bodies[1]["messages"][1]["tool_calls"][0]["function"]["arguments"]
    kept = {"": "{}", "{": '{"_raw":"{"}', "[1]": '{"_raw":"[1]"}'}  # some providers refuse what is not an object
    assert sent == kept.get(arguments, arguments)


@DIALECTS
@STREAMS
async def test_arguments_that_cannot_be_read_run_nothing_and_do_not_end_the_answer(
    bench: Bench, dialect: str, stream: bool
) -> None:
    broken = '{"q": "cut' if stream or dialect == "openai" else {"_raw": '{"q": "cut'}
    model = ScriptedModel(Say("", [("python__second", broken)]), Say("ok"))
    _, body = await bench.ask(model, dialect, stream=stream)
    assert text_of(dialect, body) == "ok"
    assert "not a JSON object" in results_sent(dialect, model.bodies[1])[0][1]
    assert bench.handlers.ran == []
    if dialect == "openai":  # and the history can be told to providers of either protocol
        translated = messages_to_anthropic(model.bodies[1]["messages"])[1]
        assert translated[1]["content"][-1]["input"] == {"_raw": '{"q": "cut'}


async def test_what_a_tool_raises_is_told_to_the_model_and_booked(bench: Bench) -> None:
    model = ScriptedModel(Say("", [("python__fails", {})]), Say("ok"))
    await bench.ask(model)
    assert "it broke" in results_sent("openai", model.bodies[1])[0][1]
    (event,) = bench.tool_events()
    assert (event.status, event.kind, event.provider, event.model) == ("error", "tool", "python", "python__fails")
    assert "it broke" in str(event.error_msg)


async def test_a_name_that_nobody_offered_is_answered_with_an_error(bench: Bench) -> None:
    model = ScriptedModel(Say("", [("made_up", {})]), Say("ok"))
    await bench.ask(model)
    assert "unknown_tool" in results_sent("openai", model.bodies[1])[0][1]


async def test_every_call_is_an_event_under_the_same_request(bench: Bench) -> None:
    model = ScriptedModel(Say("", [("python__look_up", {"q": "a"}), ("python__second", {})]), Say("done"))
    await bench.ask(model)
    events = sorted(bench.tool_events(), key=lambda event: event.attempt)
    assert [event.model for event in events] == ["python__look_up", "python__second"]
    assert [event.attempt for event in events] == [2, 3]
    assert model.calls[1].first_attempt == 4
    assert {event.request_id for event in events} == {"req"}
    assert events[0].bytes_out == len("found a")
    assert events[0].duration_ms is not None


async def test_the_observer_hears_of_tools_in_order_with_the_text(bench: Bench) -> None:
    seen = Seen()
    model = ScriptedModel(Say("Text. ", [("python__streams", {"count": 2})]), Say("End."))
    await bench.ask(model, stream=True, observer=seen)
    kinds = [event[0] for event in seen.events]
    assert kinds[0] == "call" and kinds[-1] == "result"
    assert "".join(event[2] for event in seen.events if event[0] == "chunk") == "piece 0 piece 1 "
    assert seen.events[-1][2] == "piece 0 piece 1 "


@DIALECTS
async def test_closing_while_a_tool_runs_cancels_it_and_books_it_as_aborted(bench: Bench, dialect: str) -> None:
    from tests.unit.gateway_tools.conftest import ToolSelection, make_call

    model = ScriptedModel(Say("Text. ", [("python__wait", {})]))
    answer = await bench.loop(model).call(make_call(dialect, stream=True), ToolSelection(("*",), None, "k"))
    chunks = answer.chunks
    pulling = asyncio.ensure_future(_drain(chunks))
    await asyncio.wait_for(bench.handlers.started.wait(), 2)
    await answer.close("aborted")
    await asyncio.wait_for(bench.handlers.cancelled.wait(), 1)
    pulling.cancel()
    assert [event.status for event in bench.tool_events()] == ["aborted"]
    assert answer.ending.status == "aborted"
    results = results_sent(dialect, {"messages": answer.ending.transcript})
    assert len(results) == 1 and "cancelled" in results[0][1]


async def test_closing_while_the_model_speaks_keeps_the_partial_text(bench: Bench) -> None:
    from tests.unit.gateway_tools.conftest import ToolSelection, make_call

    model = ScriptedModel(Say("", [("python__look_up", {})]), Say("Half an answer", wait=asyncio.Event()))
    answer = await bench.loop(model).call(make_call(stream=True), ToolSelection(("*",), None, "k"))
    chunks = answer.chunks
    text = ""
    async for chunk in chunks:
        if b'"content":"' in chunk and b'""' not in chunk:
            text += json.loads(chunk[6:])["choices"][0]["delta"].get("content", "")
        if text == "Half an answer":
            break
    await answer.close()
    assert model.answers[1].closed_with == "aborted"
    assert answer.ending.transcript[-1] == {"role": "assistant", "content": "Half an answer"}
    assert [message["role"] for message in answer.ending.transcript] == ["assistant", "tool", "assistant"]


async def test_cancelling_an_answer_in_one_piece_stops_its_tool(bench: Bench) -> None:
    model = ScriptedModel(Say("", [("python__wait", {})]))
    asking = asyncio.ensure_future(bench.ask(model))
    await asyncio.wait_for(bench.handlers.started.wait(), 2)
    asking.cancel()
    await asyncio.wait_for(bench.handlers.cancelled.wait(), 1)
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert [event.status for event in bench.tool_events()] == ["aborted"]


@DIALECTS
@STREAMS
async def test_a_round_that_is_refused_ends_the_answer_with_an_error(bench: Bench, dialect: str, stream: bool) -> None:
    from tests.unit.gateway_tools.conftest import ToolSelection, make_call

    model = ScriptedModel(Say("Text. ", [("python__look_up", {})]), Say(status=529))
    answer = await bench.loop(model).call(make_call(dialect, stream=stream), ToolSelection(("*",), None, "k"))
    data = b"".join([chunk async for chunk in answer.chunks])
    assert b"scripted refusal" in data
    assert b"[DONE]" not in data and b"message_stop" not in data
    assert answer.status == (200 if stream else 529)
    assert answer.ending.status == "error"
    assert len(answer.ending.spent) == 2


@DIALECTS
async def test_an_error_inside_a_later_turn_is_the_end_of_the_stream(bench: Bench, dialect: str) -> None:
    from tests.unit.gateway_tools.conftest import ToolSelection, make_call

    model = ScriptedModel(Say("Text. ", [("python__look_up", {})]), Say("Then", error=True))
    answer = await bench.loop(model).call(make_call(dialect, stream=True), ToolSelection(("*",), None, "k"))
    data = b"".join([chunk async for chunk in answer.chunks])
    assert data.rstrip().endswith(b"}}") and b"scripted" in data.split(b"\n\n")[-2]
    assert answer.ending.status == "error"


async def test_a_first_refusal_is_returned_as_it_is(bench: Bench) -> None:
    model = ScriptedModel(Say(status=429))
    answer, _ = await bench.ask(model, stream=False)
    assert answer is model.answers[0]


async def test_a_turn_cut_by_the_token_limit_runs_nothing(bench: Bench) -> None:
    model = ScriptedModel(Say("Half", [("python__look_up", '{"q": "a')], finish="length"))
    answer, body = await bench.ask(model, stream=True)
    assert finish_of("openai", body) == "length"
    assert bench.handlers.ran == []
    assert answer.ending.transcript == [{"role": "assistant", "content": "Half"}]


async def test_several_choices_are_refused_with_server_tools(bench: Bench) -> None:
    with pytest.raises(BadRequest, match="'n'"):
        await bench.ask(ScriptedModel(Say("x")), n=2)


@pytest.mark.parametrize("limits", [{"summarise_over_tokens": 100}])
@pytest.mark.parametrize("tools_config", [{"summary_model": "short"}])
async def test_a_long_result_is_summarised_and_can_be_read_whole(bench: Bench) -> None:
    seen = Seen()
    model = ScriptedModel(Say("", [("python__long", {})]), Say("a short summary"), Say("ok"))
    answer, body = await bench.ask(model, stream=True, wanted=("python__long",), observer=seen)
    summary = model.calls[1]
    assert (summary.model, summary.named.function, summary.first_attempt) == ("short", "tool_summary", 3)
    result = results_sent("openai", model.bodies[2])[0][1]
    assert result.startswith("a short summary")
    assert "".join(event[2] for event in seen.events if event[0] == "chunk") == "a short summary"
    assert "builtin__read_result" in model.offered(2)
    assert answer.ending.attempts == 4 and len(answer.ending.spent) == 3
    result_id = result.split("id '")[1].split("'")[0]
    reading = ScriptedModel(Say("", [("builtin__read_result", {"id": result_id, "offset": 50_000})]), Say("ok"))
    await bench.ask(reading, wanted=("builtin__read_result",))
    page = results_sent("openai", reading.bodies[1])[0][1]
    assert page.endswith(" tail") and "summarised" not in page and len(reading.calls) == 2
    assert body["usage"] == answer.ending.usage.to_openai()


@pytest.mark.parametrize("limits", [{"summarise_over_tokens": 100}])
@pytest.mark.parametrize("tools_config", [{"summary_model": "short"}])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_the_usage_that_is_told_is_that_of_all_models_summaries_included(
    bench: Bench, dialect: str, stream: bool
) -> None:
    model = ScriptedModel(Say("", [("python__long", {})]), Say("short"), Say("ok"))
    answer, body = await bench.ask(model, dialect, stream=stream, wanted=("python__long",))
    attempts = [spent.usage for spent in answer.ending.spent]
    assert len(attempts) == 3
    told = body["usage"]
    names = ("prompt_tokens", "completion_tokens") if dialect == "openai" else ("input_tokens", "output_tokens")
    assert told[names[0]] == sum(usage.input_tokens for usage in attempts)
    assert told[names[1]] == sum(usage.output_tokens for usage in attempts)


@pytest.mark.parametrize("limits", [{"summarise_over_tokens": 100}])
@pytest.mark.parametrize("tools_config", [{"summary_model": "short"}, {}], ids=["failing", "without"])
async def test_without_a_summary_a_long_result_is_cut_and_says_so(bench: Bench, tools_config: dict) -> None:
    turns = [Say("", [("python__long", {})]), *([Say(status=500)] if tools_config else []), Say("ok")]
    model = ScriptedModel(*turns)
    await bench.ask(model)
    result = results_sent("openai", model.bodies[-1])[0][1]
    assert "characters left out" in result and "cut in the middle" in result and len(result) < 1000


async def test_side_effect_tools_never_run_beside_themselves(bench: Bench) -> None:
    bench.handlers.release.set()
    model = ScriptedModel(Say("", [("python__wait", {}), ("python__wait", {})]), Say("ok"))
    await bench.ask(model)
    assert bench.handlers.most_beside == 1


async def _drain(chunks) -> None:  # type: ignore[no-untyped-def]
    async for _ in chunks:
        pass
