"""An answer in the form that was asked for, whole or as a stream, when a provider gave it in the other one.

Both forms are of the provider's own dialect: what reads its answers reads these, too.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from shared.translate.errors import UpstreamError, unreachable
from shared.translate.watch import AnthropicWatcher, OpenAIWatcher
from shared.wire.anthropic import AnthropicAccumulator, blocks_of
from shared.wire.dialect import Dialect
from shared.wire.json_text import NotJsonError, decode_exactly, decode_object, encode, encode_text
from shared.wire.lenient import an_object, objects
from shared.wire.openai import OpenAIAccumulator
from shared.wire.sse import DONE, OPENAI_DONE, SseReader, encode_object

Json = dict[str, Any]

_STREAM_BEGINS = re.compile(rb"(\xef\xbb\xbf)?\s*(data|event|id|retry)?:")
_WHOLE_BEGINS = re.compile(rb"(\xef\xbb\xbf)?\s*[{\[]")
_COMMON = ("id", "created", "model", "system_fingerprint", "service_tier")
# The members of a block that are told by deltas: the kind of the delta, its member, and what the block begins with.
_FLOWING = {
    "text": ("text_delta", "text", ""),
    "thinking": ("thinking_delta", "thinking", ""),
    "signature": ("signature_delta", "signature", ""),
}


class Broke(Exception):
    """The stream came to no end; `error` says why."""

    def __init__(self, error: UpstreamError) -> None:
        self.error = error
        super().__init__(error.message)


def is_stream(body: bytes) -> bool:
    """Whether these bytes begin a stream."""
    return _STREAM_BEGINS.match(body) is not None


def is_whole(body: bytes) -> bool:
    """Whether these bytes begin a whole answer, or the error in its place."""
    return _WHOLE_BEGINS.match(body) is not None


def as_stream(body: bytes, dialect: Dialect) -> bytes:
    """The stream of a whole answer."""
    try:
        answer = decode_exactly(body)
    except msgspec.DecodeError:
        answer = decode_object(body)
    return b"".join(_chunks(answer) if dialect == "openai" else _events(answer))


def as_whole(body: bytes, dialect: Dialect) -> bytes:
    """The whole answer that a stream adds up to; raises Broke."""
    openai = dialect == "openai"
    watcher = OpenAIWatcher() if openai else AnthropicWatcher()
    total = OpenAIAccumulator() if openai else AnthropicAccumulator()
    reader, done = SseReader(), False
    for event in [*reader.feed(body), *reader.finish()]:
        watcher.feed(event)
        if watcher.failure is not None:
            raise Broke(watcher.failure)
        if done := event.data == DONE:
            break
        try:
            total.feed(decode_object(event.data))
        except NotJsonError:
            continue
    answer = total.answer()
    unended = [choice for choice in answer.get("choices", ()) if choice["finish_reason"] is None]
    if not watcher.finished or (unended and not done):
        raise Broke(unreachable("the provider closed the connection before its answer was complete"))
    for choice in unended:
        choice["finish_reason"] = "stop"  # it says that it is done, but not why
    return encode(answer)


def _chunks(answer: Json) -> Iterator[bytes]:
    common = {key: answer[key] for key in _COMMON if key in answer}
    head = {**common, "object": "chat.completion.chunk"}
    choices = objects(answer.get("choices"))
    for number, choice in enumerate(choices):
        delta = {name: _numbered(value) for name, value in an_object(choice.get("message")).items()}
        told = {"index": number, "delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None}
        yield encode_object({**head, "choices": [told]})
    for number, choice in enumerate(choices):
        told = {"index": number, "delta": {}, "logprobs": None, "finish_reason": choice.get("finish_reason") or "stop"}
        yield encode_object({**head, "choices": [told]})
    if isinstance(answer.get("usage"), dict):
        yield encode_object({**head, "choices": [], "usage": answer["usage"]})
    yield OPENAI_DONE


def _numbered(value: Any) -> Any:
    """Lists of a message as deltas have them: clients add them up by their members' index."""
    if not isinstance(value, list) or len(objects(value)) < len(value):
        return value
    return [{"index": index, **item} for index, item in enumerate(value)]


def _events(answer: Json) -> Iterator[bytes]:
    usage = an_object(answer.get("usage"))
    end = {name: answer.get(name) for name in ("stop_reason", "stop_sequence")}
    end["stop_reason"] = end["stop_reason"] or "end_turn"
    if "stop_details" in answer:
        end["stop_details"] = answer["stop_details"]
    begun = {**answer, "content": [], "stop_reason": None, "stop_sequence": None}
    yield _event("message_start", message={**begun, "usage": {**usage, "output_tokens": 0}})
    for index, block in enumerate(blocks_of(answer)):
        start = {**block, **{name: empty for name, (_, _, empty) in _FLOWING.items() if name in block}}
        start |= {"input": {}} if "input" in block else {}
        start |= {"citations": []} if block.get("citations") else {}
        yield _event("content_block_start", index=index, content_block=start)
        for delta in _deltas(block):
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    yield _event("message_delta", delta=end, usage=usage)
    yield _event("message_stop")


def _deltas(block: Json) -> Iterator[Json]:
    for citation in objects(block.get("citations")):
        yield {"type": "citations_delta", "citation": citation}
    for name, (kind, member, _) in _FLOWING.items():
        if block.get(name):
            yield {"type": kind, member: block[name]}
    if "input" in block:
        yield {"type": "input_json_delta", "partial_json": encode_text(block["input"])}


def _event(kind: str, **members: Any) -> bytes:
    return encode_object({"type": kind, **members}, kind)
