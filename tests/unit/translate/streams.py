"""Streams as providers send them, and what real clients make of a stream."""

import functools
import itertools
from collections.abc import Iterable
from typing import Any

import anthropic
import httpx2
import openai

from shared.wire.sse import OPENAI_DONE, SseReader, encode_object

Json = dict[str, Any]


def chunk(delta: Json, finish: str | None = None, **extras: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-x"}
    return encode_object({**frame, "choices": [choice], **extras})


def usage_chunk(**usage: Any) -> bytes:
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-x"}
    return encode_object({**frame, "choices": [], "usage": usage})


def openai_stream(*chunks: bytes, finish: str = "stop", usage: Json | None = None, done: bool = True) -> bytes:
    told = usage or {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    parts = [chunk({"role": "assistant", "content": ""}), *chunks, chunk({}, finish), usage_chunk(**told)]
    return b"".join(parts) + (OPENAI_DONE if done else b"")


def event(kind: str, **members: Any) -> bytes:
    return encode_object({"type": kind, **members}, kind)


def block(index: int, start: Json, *deltas: Json) -> bytes:
    return b"".join(
        [
            event("content_block_start", index=index, content_block=start),
            *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
            event("content_block_stop", index=index),
        ]
    )


def text_block(index: int, *pieces: str) -> bytes:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def tool_block(index: int, call_id: str, name: str, *fragments: str, whole: Any = None) -> bytes:
    start = {"type": "tool_use", "id": call_id, "name": name, "input": whole or {}}
    return block(index, start, *({"type": "input_json_delta", "partial_json": piece} for piece in fragments))


def thinking_block(index: int, thought: str, signature: str) -> bytes:
    return block(
        index,
        {"type": "thinking", "thinking": "", "signature": ""},
        *({"type": "thinking_delta", "thinking": piece} for piece in thought.split("|")),
        {"type": "signature_delta", "signature": signature},
    )


def anthropic_stream(*blocks: bytes, stop: str = "end_turn", usage: Json | None = None, stopped: bool = True) -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 10, "output_tokens": 1},
    }
    parts = [
        event("message_start", message=message),
        event("ping"),
        *blocks,
        event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": 5}),
    ]
    return b"".join(parts) + (event("message_stop") if stopped else b"")


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`data` cut at the given places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def told_by(reader: Any, pieces: Iterable[bytes]) -> list[bytes]:
    """All that a translator or watcher gives for an upstream stream that then ends."""
    sse, out = SseReader(), []
    for piece in [*pieces, None]:
        for upstream in sse.finish() if piece is None else sse.feed(piece):
            told = reader.feed(upstream)
            out += told if isinstance(told, list) else [told] if told is not None else []
    return out + reader.finish()


class _Upstream:
    """A provider without a socket: both vendors' clients, and the stream that the next request is answered with."""

    def __init__(self) -> None:
        self.stream = b""
        # One connection pool for all tests: making one loads the system's certificates.
        http = httpx2.Client(transport=httpx2.MockTransport(self._answer))
        self.openai = openai.OpenAI(api_key="k", base_url="http://upstream.test/v1", http_client=http, max_retries=0)
        self.anthropic = anthropic.Anthropic(
            api_key="k", base_url="http://upstream.test", http_client=http, max_retries=0
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=self.stream)


_upstream = functools.cache(_Upstream)


def read_by_openai(stream: bytes) -> Any:
    """The completion that OpenAI's own helper adds a stream up to."""
    upstream = _upstream()
    upstream.stream = stream
    asked = upstream.openai.chat.completions.stream(model="m", messages=[{"role": "user", "content": "hi"}])
    with asked as events:
        for _ in events:
            pass
        return events.get_final_completion()


def read_by_anthropic(stream: bytes) -> Any:
    """The message that Anthropic's own helper adds a stream up to."""
    upstream = _upstream()
    upstream.stream = stream
    asked = upstream.anthropic.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    with asked as events:
        return events.get_final_message()
