"""Sessions: what the provider sees, what is kept, and for whom."""

import asyncio
import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.history import History, answered, continued
from shared.messages.gateway import Call, Ending
from tests.fakes.gateway import Gateway, ScriptedAnswer, opened, sse


def sent(gateway: Gateway, index: int = -1) -> list[dict[str, Any]]:
    return json.loads(gateway.router.calls[index].body)["messages"]


def texts(gateway: Gateway) -> list[str]:
    found = []
    for message in sent(gateway):
        content = message["content"]
        found.append(content if isinstance(content, str) else "".join(part.get("text", "") for part in content))
    return found


async def test_the_provider_sees_the_history_before_the_new_message(gateway: Gateway) -> None:
    for number, stream in enumerate((False, True, False)):
        answer = await gateway.chat(f"q{number}", session_id="s", stream=stream)
        assert answer.headers["x-tollway-session"] == "s"
    assert texts(gateway) == ["q0", "hello there", "q1", "hello there", "q2"]


async def test_a_session_is_named_after_the_user_when_none_is_named(gateway: Gateway) -> None:
    await gateway.chat("q0", user_id="u")
    answer = await gateway.chat("q1", user_id="u")
    assert answer.headers["x-tollway-session"] == "u"
    assert len(sent(gateway)) == 3


async def test_a_client_that_sends_everything_again_doubles_nothing(gateway: Gateway) -> None:
    mine: list[dict[str, Any]] = []
    for number in range(3):
        mine.append({"role": "user", "content": f"q{number}"})
        body = {"model": "m", "session_id": "s", "messages": mine}
        answer = (await gateway.ask("/v1/chat/completions", body)).json()
        assert [m["content"] for m in sent(gateway)] == [m["content"] for m in mine]
        mine.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"], "refusal": None})


async def test_a_client_that_sends_the_end_of_it_doubles_nothing(gateway: Gateway) -> None:
    await gateway.chat("q0", session_id="s")
    await gateway.chat("q1", session_id="s")
    tail = [
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": "hello there"},
        {"role": "user", "content": "q2"},
    ]
    await gateway.ask("/v1/chat/completions", {"model": "m", "session_id": "s", "messages": tail})
    assert texts(gateway) == ["q0", "hello there", "q1", "hello there", "q2"]


async def test_the_system_prompt_is_kept_and_not_doubled(gateway: Gateway) -> None:
    system = {"role": "system", "content": "be brief"}
    await gateway.ask(
        "/v1/chat/completions",
        {"model": "m", "session_id": "s", "messages": [system, {"role": "user", "content": "q0"}]},
    )
    await gateway.chat("q1", session_id="s")
    assert texts(gateway) == ["be brief", "q0", "hello there", "q1"]
    await gateway.ask(
        "/v1/chat/completions",
        {"model": "m", "session_id": "s", "messages": [system, {"role": "user", "content": "q2"}]},
    )
    assert texts(gateway) == ["be brief", "q0", "hello there", "q1", "hello there", "q2"]


async def test_a_session_goes_on_in_the_other_dialect(gateway: Gateway) -> None:
    system = {"role": "system", "content": "be brief"}
    await gateway.ask(
        "/v1/chat/completions",
        {"model": "m", "session_id": "s", "messages": [system, {"role": "user", "content": "q0"}]},
    )
    await gateway.messages("q1", session_id="s")
    body = json.loads(gateway.router.calls[-1].body)
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert "be brief" in json.dumps(body["system"])
    await gateway.chat("q2", session_id="s")
    assert texts(gateway) == ["be brief", "q0", "hello there", "q1", "hello there", "q2"]


async def test_tool_turns_are_kept(gateway: Gateway) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    def tool_turn(_: Call) -> ScriptedAnswer:
        body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": [call]}}]}
        return ScriptedAnswer(200, {"content-type": "application/json"}, [json.dumps(body).encode()])

    gateway.router.script = tool_turn
    await gateway.chat("q0", session_id="s")
    gateway.router.script = gateway.router.plain
    result = {"role": "tool", "tool_call_id": "call_1", "content": "42"}
    await gateway.ask("/v1/chat/completions", {"model": "m", "session_id": "s", "messages": [result]})
    assert sent(gateway) == [
        {"role": "user", "content": "q0"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        result,
    ]


async def test_numbers_of_a_history_keep_their_spelling(gateway: Gateway) -> None:
    said = b'{"role": "user", "content": "q0", "big": 12345678901234567890123, "odd": 1.10, "huge": 1E400}'

    def extended(_: Call) -> ScriptedAnswer:
        told = (
            b'{"choices":[{"index":0,"message":{"role":"assistant","content":"hi","x":[98765432109876543210,2.50]}}]}'
        )
        return ScriptedAnswer(200, {"content-type": "application/json"}, [told])

    gateway.router.script = extended
    body = b'{"model": "m", "session_id": "s", "messages": [' + said + b"]}"
    assert (await gateway.ask("/v1/chat/completions", body)).status == 200
    await gateway.chat("q1", session_id="s")
    sent_on = gateway.router.calls[-1].body.decode()
    for spelled in ("12345678901234567890123", "1.10", "1E400", "98765432109876543210", "2.50"):
        assert spelled in sent_on


async def test_turns_of_our_own_tools_stay_when_the_client_sends_what_it_saw(gateway: Gateway) -> None:
    transcript = [
        {
            "role": "assistant",
            "content": "Let me look. ",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "42"},
        {"role": "assistant", "content": "It is 42."},
    ]

    def looped(call: Call) -> ScriptedAnswer:
        answer = gateway.router.plain(call, "Let me look. It is 42.")
        answer.final = Ending(transcript=transcript)
        return answer

    gateway.router.script = looped
    await gateway.chat("q0", session_id="s")
    seen = [
        {"role": "user", "content": "q0"},
        {"role": "assistant", "content": "Let me look. It is 42."},
        {"role": "user", "content": "q1"},
    ]
    await gateway.ask("/v1/chat/completions", {"model": "m", "session_id": "s", "messages": seen})
    assert sent(gateway) == [{"role": "user", "content": "q0"}, *transcript, {"role": "user", "content": "q1"}]


async def test_a_failed_or_left_turn_saves_nothing(gateway: Gateway) -> None:
    gateway.router.script = lambda _: ScriptedAnswer(500, {}, [b"{}"])
    await gateway.chat("lost", session_id="s")
    gateway.router.script = lambda _: ScriptedAnswer(
        200, {"content-type": "text/event-stream"}, sse({"error": {}}, done=False), final=Ending(status="error")
    )
    await gateway.chat("lost", session_id="s", stream=True)
    gateway.router.script = gateway.router.plain
    await gateway.chat("q0", session_id="s")
    assert texts(gateway) == ["q0"]


async def test_one_keys_sessions_are_invisible_to_another(gateway: Gateway) -> None:
    _, one = await gateway.make_key()
    _, two = await gateway.make_key()
    await gateway.chat("mine", session_id="s", key=one)
    await gateway.chat("yours", session_id="s", key=two)
    assert texts(gateway) == ["yours"]


async def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    async with opened(tmp_path, {"sessions": {"max_sessions": 2}}) as gateway:
        for name in ("a", "b", "a", "c"):
            await gateway.chat("q", session_id=name)
        await gateway.chat("q", session_id="a")
        assert len(sent(gateway)) > 1
        await gateway.chat("q", session_id="b")
        assert len(sent(gateway)) == 1


async def test_concurrent_turns_of_one_session_are_both_kept_whole(gateway: Gateway) -> None:
    await gateway.chat("q0", session_id="s")
    gateway.router.hold = asyncio.Event()
    running = [asyncio.ensure_future(gateway.chat(f"p{number}", session_id="s")) for number in range(5)]
    while len(gateway.router.calls) < 6:
        await asyncio.sleep(0)
    gateway.router.hold.set()
    await asyncio.gather(*running)
    await gateway.chat("last", session_id="s")
    said = texts(gateway)
    assert len(said) == 13
    for number in range(5):
        assert said[said.index(f"p{number}") + 1] == "hello there"


async def test_the_end_of_a_stream_is_told_only_after_the_turn_is_saved(gateway: Gateway) -> None:
    visit = gateway.visit(
        "POST", "/v1/chat/completions",
        {"model": "m", "stream": True, "session_id": "s", "messages": [{"role": "user", "content": "q0"}]},
    )  # fmt: skip
    await visit.until(lambda response: b"[DONE]" in response.body)
    await gateway.chat("q1", session_id="s")
    assert texts(gateway) == ["q0", "hello there", "q1"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=6), st.sampled_from("abc"))
def test_however_a_history_repeats_itself_resending_it_changes_nothing(turns: list[tuple[str, str]], new: str) -> None:
    history = History()
    whole: list[dict[str, Any]] = []
    for question, reply in turns:
        turn = continued(history, "openai", [{"role": "user", "content": question}], None)
        said = {"role": "assistant", "content": reply}
        history = History(1, "openai", None, answered(turn.kept, "openai", [said]))
        whole += [{"role": "user", "content": question}, said]
    whole.append({"role": "user", "content": new})
    assert continued(history, "openai", whole, None).messages == whole
    assert continued(history, "openai", whole[-1:], None).messages == whole
