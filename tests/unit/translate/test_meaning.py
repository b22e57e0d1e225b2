"""An answer means the same whichever dialect its provider speaks, streamed or not, read by the vendors' own helpers."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from shared.translate.answer import anthropic_answer_to_openai, openai_answer_to_anthropic
from shared.translate.mend import mended_completion
from shared.translate.request import anthropic_to_openai, openai_to_anthropic
from shared.translate.stream import AnthropicToOpenAI, AnthropicWatcher, OpenAIToAnthropic, OpenAIWatcher
from shared.wire.json_text import decode_object, encode
from shared.wire.openai import OpenAIAccumulator
from shared.wire.sse import DONE, SseReader
from tests.fakes.model_script import Script, anthropic_steps, encoded, openai_steps, plain_answer, script_for
from tests.unit.translate.streams import Json, read_by_anthropic, read_by_openai, told_by

BEHAVIOURS = [
    *(
        "ok",
        "echo",
        "utf8",
        "think",
        "cached",
        "cachedw",
        "nodone",
        "length",
        "refusal",
        "stopseq",
        "extras",
        "badjson",
    ),
    *("tool", "tools2", "texttool", "toolvoid", "toolstop", "toolmess", "crlf", "long-60"),
]
ARGUMENTS = '{"q": "toll \\" } ü", "n": 12345678901234567890, "deep": [1, {"x": null}]}'
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
CHAT: Json = {
    "model": "m",
    "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": ARGUMENTS}],
    "tools": [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("look_up", "weigh")],
}
MESSAGES: Json = {
    "model": "m",
    "max_tokens": 100,
    "system": "be brief",
    "messages": [{"role": "user", "content": ARGUMENTS}],
    "tools": [{"name": name, "input_schema": SCHEMA} for name in ("look_up", "weigh")],
}


@dataclass
class Meaning:
    """What a client understands of an answer."""

    text: str
    reasoning: str
    calls: list[tuple[str, Any]]
    finish: str
    usage: tuple[int, int, int, int]


def of_completion(answer: Any) -> Meaning:
    told = answer if isinstance(answer, dict) else answer.model_dump()
    choice, usage = told["choices"][0], told["usage"]
    message, details = choice["message"], usage.get("prompt_tokens_details") or {}
    calls = [call["function"] for call in message.get("tool_calls") or []]
    buckets = (int(details.get("cached_tokens") or 0), int(details.get("cache_write_tokens") or 0))
    return Meaning(
        message["content"] or "",
        message.get("reasoning_content") or "",
        [(call["name"], json.loads(call["arguments"] or "{}")) for call in calls],
        choice["finish_reason"],
        (usage["prompt_tokens"], usage["completion_tokens"], *buckets),
    )


def of_message(answer: Any) -> Meaning:
    told = answer if isinstance(answer, dict) else answer.model_dump()
    usage, blocks = told["usage"], told["content"]
    read, write = (usage.get(f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation"))
    return Meaning(
        "".join(block["text"] for block in blocks if block["type"] == "text"),
        "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
        told["stop_reason"],
        (usage["input_tokens"] + read + write, usage["output_tokens"], read, write),
    )


def script_of(behaviour: str, sent: Json) -> Script:
    """What the provider says to the request; the same words are longer in one dialect, so the input is counted alike."""
    return replace(script_for(behaviour, sent, b""), input_tokens=100)


def streamed(steps: list[Any], behaviour: str) -> bytes:
    stream = b"".join(step for step in steps if isinstance(step, bytes))
    return stream.replace(b"\n", b"\r\n") if behaviour == "crlf" else stream


def through(reader: Any, stream: bytes) -> bytes:
    return b"".join(told_by(reader, [stream[i : i + 7] for i in range(0, len(stream), 7)]))


def added_up(stream: bytes) -> Json:
    accumulator = OpenAIAccumulator()
    for event in SseReader().feed(stream):
        if event.data != DONE:
            accumulator.feed(decode_object(event.data))
    return accumulator.answer()


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_an_openai_client_understands_the_same_of_both_providers(behaviour: str) -> None:
    # The vendor's helper raises for answers cut short, so those are added up here.
    read = added_up if behaviour in ("length", "refusal") else read_by_openai
    sent = openai_to_anthropic(CHAT).body
    script = script_of(behaviour, sent)
    stream = streamed(anthropic_steps(script, "m", 1), behaviour)
    whole = decode_object(encoded(plain_answer(script, "m", 1, anthropic=True)))
    foreign = [
        of_completion(read(through(AnthropicToOpenAI(include_usage=True), stream))),
        of_completion(anthropic_answer_to_openai(whole)),
    ]
    script = script_of(behaviour, CHAT)
    stream = streamed(openai_steps(script, "m", 1, usage_asked=True), behaviour)
    native_body = mended_completion(encoded(plain_answer(script, "m", 1, anthropic=False)))
    native = [
        of_completion(read(through(OpenAIWatcher(include_usage=True), stream))),
        of_completion(decode_object(native_body)),
    ]
    assert_alike(foreign, native, behaviour)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_an_anthropic_client_understands_the_same_of_both_providers(behaviour: str) -> None:
    sent = anthropic_to_openai(MESSAGES).body
    script = script_of(behaviour, sent)
    stream = streamed(openai_steps(script, "m", 1, usage_asked=True), behaviour)
    whole = decode_object(encoded(plain_answer(script, "m", 1, anthropic=False)))
    foreign = [
        of_message(read_by_anthropic(through(OpenAIToAnthropic(input_estimate=3), stream))),
        of_message(openai_answer_to_anthropic(whole)),
    ]
    script = script_of(behaviour, MESSAGES)
    stream = streamed(anthropic_steps(script, "m", 1), behaviour)
    native = [
        of_message(read_by_anthropic(through(AnthropicWatcher(), stream))),
        of_message(decode_object(encode(plain_answer(script, "m", 1, anthropic=True)).replace(b'"@x@"', b"1"))),
    ]
    assert_alike(foreign, native, behaviour)


def assert_alike(foreign: list[Meaning], native: list[Meaning], behaviour: str) -> None:
    for told in [*foreign, *native]:
        if behaviour == "cached":
            # This provider's OpenAI side does not tell what was written to the cache.
            told.usage = (*told.usage[:3], 0)
        if behaviour == "stopseq":
            # OpenAI has no word for it.
            told.finish = told.finish.replace("stop_sequence", "end_turn")
    for told in [*foreign, native[0]]:
        assert told == native[1]
