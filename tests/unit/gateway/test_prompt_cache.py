"""The prompt cache: what is kept, for whom, and how a hit is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gateway import Gateway, ScriptedAnswer, opened

CONFIG: dict[str, Any] = {
    "providers": {"a": {"protocol": "anthropic", "base_url": "http://a"}, "o": {"base_url": "http://o"}},
    "models": {
        "m": {"targets": [{"provider": "a", "model": "m"}]},
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
        {"tools": []},
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
