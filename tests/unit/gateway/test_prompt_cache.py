"""The prompt cache: what is kept, for whom, and how a hit is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.messages.gateway import Ending
from tests.fakes.gateway import Gateway, Response, ScriptedAnswer, message, opened, usage

CONFIG: dict[str, Any] = {
    "providers": {"p": {"protocol": "anthropic", "base_url": "http://p"}, "o": {"base_url": "http://o"}},
    "models": {
        "m": {"targets": [{"provider": "p", "model": "m"}]},
        "open": {"targets": [{"provider": "o", "model": "open"}]},
    },
    "cache": {"enabled": True},
}


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_an_equal_question_is_answered_from_the_cache_plain_and_streamed(tmp_path: Path, dialect: str) -> None:
    async with opened(tmp_path, CONFIG) as gateway:
        ask = gateway.chat if dialect == "openai" else gateway.messages
        for kept_stream in (True, False):
            first = await ask(f"q{kept_stream}", stream=kept_stream)
            assert first.headers["x-tollway-cache"] == "miss"
            plain = await ask(f"q{kept_stream}", stream=False)
            streamed = await ask(f"q{kept_stream}", stream=True)
            assert plain.headers["x-tollway-cache"] == streamed.headers["x-tollway-cache"] == "hit"
            assert b"hello there" in plain.body
            assert b"hello there" in streamed.body
            assert plain.headers["x-tollway-attempts"] == "0"
            assert streamed.body.endswith(b"[DONE]\n\n" if dialect == "openai" else b'"message_stop"}\n\n')
        assert len(gateway.router.calls) == 2
        hit = gateway.booked[0]
        assert (hit.kind, hit.cost, hit.model, hit.requested_model) == ("cache", "0", "m", "m")
        assert hit.request_id.startswith("req_")


def _turns(text: str) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": "older"},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": [{"type": "text", "text": text}]},
    ]


@pytest.mark.parametrize("asked", ["openai", "anthropic"])
@pytest.mark.parametrize("kept_stream", [True, False])
async def test_a_hit_is_told_in_the_other_dialect_plain_and_streamed(
    tmp_path: Path, asked: str, kept_stream: bool
) -> None:
    bodies = {
        "openai": (
            "/v1/chat/completions",
            {
                "max_tokens": 50,
                "temperature": 0.5,
                "messages": [{"role": "system", "content": "be kind"}, *_turns("q")],
            },
        ),
        "anthropic": (
            "/v1/messages",
            {"max_tokens": 50, "temperature": 0.5, "system": "be kind", "messages": _turns("q")},
        ),
    }
    other = "anthropic" if asked == "openai" else "openai"
    async with opened(tmp_path, CONFIG) as gateway:

        async def ask(dialect: str, *, stream: bool) -> Response:
            path, body = bodies[dialect]
            return await gateway.ask(path, {"model": "m", "stream": stream, **body})

        assert (await ask(asked, stream=kept_stream)).headers["x-tollway-cache"] == "miss"
        plain, streamed = await ask(other, stream=False), await ask(other, stream=True)
        assert plain.headers["x-tollway-cache"] == streamed.headers["x-tollway-cache"] == "hit"
        told = plain.json()
        said = told["choices"][0]["message"]["content"] if other == "openai" else told["content"][0]["text"]
        assert said == "hello there"
        assert streamed.body.endswith(b"[DONE]\n\n" if other == "openai" else b'"message_stop"}\n\n')
        assert b"hello there" in streamed.body
        assert len(gateway.router.calls) == 1


async def test_thoughts_with_their_signatures_are_replayed_in_both_dialects(tmp_path: Path) -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    whole = {**message("hello"), "content": [thought, {"type": "text", "text": "hello"}]}
    async with opened(tmp_path, CONFIG) as gateway:
        final = Ending(usage=usage(1, 2))
        headers = {"content-type": "application/json", "x-tollway-model": "m", "x-tollway-provider": "p"}
        gateway.router.script = lambda _: ScriptedAnswer(200, headers, [json.dumps(whole).encode()], final=final)
        await gateway.messages()
        again = await gateway.messages(stream=True)
        chat = await gateway.chat(max_tokens=50, stream=True)
        assert again.headers["x-tollway-cache"] == chat.headers["x-tollway-cache"] == "hit"
        assert b'"signature_delta","signature":"sig"' in again.body
        assert b'"reasoning_content":"hm"' in chat.body
        assert b'"thinking_blocks":[{"index":0,"type":"thinking","thinking":"hm","signature":"sig"}]' in chat.body


async def test_an_answer_of_a_fallback_is_not_kept(tmp_path: Path) -> None:
    async with opened(tmp_path, CONFIG) as gateway:
        headers = {"content-type": "application/json", "x-tollway-model": "other", "x-tollway-provider": "p"}
        body = [json.dumps(message("x")).encode()]
        gateway.router.script = lambda _: ScriptedAnswer(200, headers, body)
        for _ in range(2):
            assert (await gateway.messages()).headers["x-tollway-cache"] == "miss"


async def test_the_answer_is_kept_before_the_client_sees_its_end(tmp_path: Path) -> None:
    async with opened(tmp_path, CONFIG) as gateway:
        for dialect, ask in (("openai", gateway.chat), ("anthropic", gateway.messages)):
            visit = gateway.visit("POST", *_streamed(dialect))
            await visit.until(lambda response: b"[DONE]" in response.body or b'"message_stop"' in response.body)
            assert (await ask(dialect, max_tokens=50)).headers["x-tollway-cache"] == "hit"
            await visit.done()


def _streamed(text: str) -> tuple[str, dict[str, Any]]:
    body = {"model": "m", "max_tokens": 50, "stream": True, "messages": [{"role": "user", "content": text}]}
    return ("/v1/chat/completions" if text == "openai" else "/v1/messages"), body


async def test_off_unless_asked_for_and_only_for_the_protocols_named(gateway: Gateway, tmp_path: Path) -> None:
    assert (await gateway.chat()).headers["x-tollway-cache"] == "off"
    (tmp_path / "other").mkdir()
    async with opened(tmp_path / "other", CONFIG) as cached:
        assert (await cached.chat(model="open")).headers["x-tollway-cache"] == "off"
        assert (await cached.chat(model="other")).headers["x-tollway-cache"] == "off"


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"seed": 1},  # the provider is never told of it, the client expects that it counts
        {"user_id": "u2"},
        {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "hi"}]},
    ],
)
async def test_whatever_could_change_the_answer_is_part_of_the_key(tmp_path: Path, change: dict[str, Any]) -> None:
    async with opened(tmp_path, CONFIG) as gateway:
        await gateway.chat()
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **change}
        answer = await gateway.ask("/v1/chat/completions", body, authorization="Bearer k")
        assert answer.headers["x-tollway-cache"] == "miss"


async def test_another_key_has_its_own_answers(tmp_path: Path) -> None:
    async with opened(tmp_path, CONFIG) as gateway:
        _, one = await gateway.make_key()
        _, two = await gateway.make_key()
        await gateway.chat(key=one)
        assert (await gateway.chat(key=two)).headers["x-tollway-cache"] == "miss"
        assert (await gateway.chat(key=one)).headers["x-tollway-cache"] == "hit"


async def test_the_last_messages_decide(tmp_path: Path) -> None:
    async with opened(tmp_path, {**CONFIG, "cache": {"enabled": True, "last_messages": 1}}) as gateway:
        older = [{"role": "user", "content": "older"}, {"role": "assistant", "content": "x"}]
        last = {"role": "user", "content": "hi"}
        for messages in ([*older, last], [last]):
            answer = await gateway.ask("/v1/chat/completions", {"model": "m", "messages": messages})
        assert answer.headers["x-tollway-cache"] == "hit"


@pytest.mark.parametrize("finish", ["length", "tool_calls", "content_filter", None])
async def test_what_is_not_a_whole_answer_is_not_kept(tmp_path: Path, finish: str | None) -> None:
    async with opened(tmp_path, CONFIG) as gateway:
        body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": finish}]}
        gateway.router.script = lambda _: ScriptedAnswer(
            200, {"content-type": "application/json"}, [json.dumps(body).encode()]
        )
        for _ in range(2):
            assert (await gateway.chat()).headers["x-tollway-cache"] == "miss"
