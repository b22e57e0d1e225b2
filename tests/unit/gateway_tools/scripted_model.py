"""A model that says what it is told to say, in either dialect, streamed or not; it remembers what it was sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from shared.messages.gateway import Call, Ending, Spent
from shared.wire.sse import OPENAI_DONE, encode_object
from shared.wire.usage import TokenUsage


@dataclass
class Say:
    """One turn. `calls` are (name, arguments) pairs; `wait` holds the stream open after the text until it is set."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    status: int = 200
    thinking: str = ""
    finish: str | None = None
    wait: asyncio.Event | None = None
    error: bool = False
    ids: list[str] | None = None

    def id_of(self, number: int, index: int) -> str:
        return self.ids[index] if self.ids else f"call_{number}_{index}"


class ScriptedAnswer:
    def __init__(self, status: int, chunks: list[bytes], attempt: Ending, wait: asyncio.Event | None) -> None:
        self.status = status
        self.headers = {"content-type": "application/json", "x-tollway-model": "m", "x-tollway-attempts": "1"}
        self.ending: Ending | None = None
        self.closed_with: str | None = None
        self._chunks, self._end, self._wait = chunks, attempt, wait

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        return self._each()

    async def _each(self) -> AsyncIterator[bytes]:
        for index, chunk in enumerate(self._chunks):
            if self._wait is not None and index == len(self._chunks) - 1:
                await self._wait.wait()
            yield chunk
        self.ending = self._end

    async def close(self, status: str = "aborted") -> None:
        if self.ending is None:
            self.closed_with = status
            self.ending = Ending(status=status, attempts=1, spent=self._end.spent, usage=self._end.usage)


class ScriptedModel:
    def __init__(self, *turns: Say) -> None:
        self.turns = list(turns)
        self.calls: list[Call] = []
        self.answers: list[ScriptedAnswer] = []
        self.asked = asyncio.Event()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(call.body) for call in self.calls]

    def offered(self, index: int = 0) -> list[str]:
        tools = self.bodies[index].get("tools", [])
        return [tool.get("name") or tool["function"]["name"] for tool in tools]

    async def call(self, call: Call) -> ScriptedAnswer:
        self.calls.append(call)
        number = len(self.calls)
        say = self.turns[min(number, len(self.turns)) - 1]
        usage = TokenUsage(input_tokens=10, output_tokens=3)
        spent = Spent(provider="p", model="m", requested_model=call.model, usage=usage, usage_source="provider")
        ending = Ending(status="ok", attempts=1, spent=[spent], usage=usage)
        if say.status != 200:
            body = json.dumps({"error": {"message": "scripted refusal", "type": "x", "code": None}}).encode()
            answer = ScriptedAnswer(say.status, [body], Ending(status="error", spent=[spent]), None)
        else:
            make = _openai if call.dialect == "openai" else _anthropic
            answer = ScriptedAnswer(200, make(say, number, call), ending, say.wait)
        self.answers.append(answer)
        self.asked.set()
        return answer


def _openai(say: Say, number: int, call: Call) -> list[bytes]:
    finish = say.finish or ("tool_calls" if say.calls else "stop")
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    head = {"id": f"chatcmpl-{number}", "created": number, "model": "m"}
    if not call.stream:
        message: dict[str, Any] = {"role": "assistant", "content": say.text or None}
        if say.calls:
            message["tool_calls"] = [
                {"id": say.id_of(number, i), "type": "function", "function": {"name": name, "arguments": _text(args)}}
                for i, (name, args) in enumerate(say.calls)
            ]
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return [json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()]

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return encode_object({**head, "object": "chat.completion.chunk", "choices": [choice]})

    out = [chunk({"role": "assistant", "content": ""})]
    out += [chunk({"content": piece}) for piece in _pieces(say.text)]
    for i, (name, args) in enumerate(say.calls):
        first = {
            "index": i,
            "id": say.id_of(number, i),
            "type": "function",
            "function": {"name": name, "arguments": ""},
        }
        out.append(chunk({"tool_calls": [first]}))
        out += [
            chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]}) for piece in _pieces(_text(args))
        ]
    if say.error:
        return [*out, encode_object({"error": {"message": "scripted", "type": "overloaded_error"}})]
    tail = chunk({}, finish)
    if call.include_usage:
        tail += encode_object({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    return [*out, tail + OPENAI_DONE]


def _anthropic(say: Say, number: int, call: Call) -> list[bytes]:
    finish = say.finish or ("tool_use" if say.calls else "end_turn")
    blocks: list[dict[str, Any]] = []
    if say.thinking:
        blocks.append({"type": "thinking", "thinking": say.thinking, "signature": "sig"})
    if say.text:
        blocks.append({"type": "text", "text": say.text})
    for i, (name, args) in enumerate(say.calls):
        blocks.append({"type": "tool_use", "id": say.id_of(number, i), "name": name, "input": args})
    usage = {"input_tokens": 10, "output_tokens": 3}
    message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": "m", "content": []}
    if not call.stream:
        body = {**message, "content": blocks, "stop_reason": finish, "stop_sequence": None, "usage": usage}
        return [json.dumps(body).encode()]
    start = {**message, "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    out = [encode_object({"type": "message_start", "message": start}, "message_start")]
    for index, block in enumerate(blocks):
        out += _block(index, block)
    if say.error:
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "scripted"}}
        return [*out, encode_object(error, "error")]
    delta = {"stop_reason": finish, "stop_sequence": None}
    end = encode_object({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}}, "message_delta")
    return [*out, end + encode_object({"type": "message_stop"}, "message_stop")]


def _block(index: int, block: dict[str, Any]) -> list[bytes]:
    kind = block["type"]
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}[kind]
    deltas: list[dict[str, Any]] = []
    if kind == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"])]
    elif kind == "thinking":
        deltas = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": "sig"},
        ]
    else:
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(_text(block["input"]))]
    out = [
        encode_object(
            {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}, "content_block_start"
        )
    ]
    out += [
        encode_object({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
        for delta in deltas
    ]
    return [*out, encode_object({"type": "content_block_stop", "index": index}, "content_block_stop")]


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def _pieces(text: str, size: int = 6) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]
