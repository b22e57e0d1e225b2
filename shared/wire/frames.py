"""The frames of both dialects' streams, decoded into structs that name only what is acted on.

Decoding validates the whole frame as JSON. In deltas, UNSET is "not there", which is not the same as null. Fields are
`Any` where providers disagree about types: a frame with an odd value is still a frame, and its reader looks before it
believes.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from shared.wire.json_text import NotJsonError, decode

_NO_BYTES = msgspec.Raw(b"")


class FunctionDelta(msgspec.Struct, gc=False):
    """The function of a tool call, whole or in part."""

    name: Any = UNSET
    arguments: Any = UNSET
    input: Any = UNSET


class ToolCallDelta(msgspec.Struct):
    """A tool call in a chunk."""

    index: Any = UNSET
    id: Any = UNSET
    type: Any = UNSET
    function: FunctionDelta | UnsetType | None = UNSET
    custom: FunctionDelta | UnsetType | None = UNSET


class Delta(msgspec.Struct):
    """What a chunk adds to a choice."""

    role: Any = UNSET
    content: Any = UNSET
    refusal: Any = UNSET
    reasoning_content: Any = UNSET
    reasoning: Any = UNSET
    tool_calls: list[ToolCallDelta] | UnsetType | None = UNSET
    function_call: FunctionDelta | UnsetType | None = UNSET
    audio: Any = UNSET
    thinking_blocks: Any = UNSET
    images: Any = UNSET
    reasoning_details: Any = UNSET
    annotations: Any = UNSET


class Choice(msgspec.Struct):
    """One choice of a chunk."""

    index: Any = 0
    delta: Delta | None = None
    finish_reason: Any = None

    @property
    def number(self) -> int:
        """The index where it is one, else the first."""
        return self.index if isinstance(self.index, int) else 0


class Chunk(msgspec.Struct):
    """One frame of a chat completion stream; `choices` is None when the frame has none."""

    id: Any = None
    model: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None


class Block(msgspec.Struct):
    """The content block of a `content_block_start`; `input` is its exact bytes."""

    type: Any = None
    id: Any = None
    name: Any = None
    input: msgspec.Raw = _NO_BYTES
    text: Any = None
    thinking: Any = None
    signature: Any = None
    data: Any = None
    citations: Any = None


class EventDelta(msgspec.Struct):
    """The delta of a `content_block_delta` or a `message_delta`."""

    type: Any = None
    text: Any = None
    thinking: Any = None
    signature: Any = None
    partial_json: Any = None
    citation: Any = None
    stop_reason: Any = None
    stop_sequence: Any = None
    stop_details: Any = None


class Event(msgspec.Struct):
    """One frame of a Messages stream."""

    type: Any = None
    index: Any = None
    message: Any = None
    content_block: Block | None = None
    delta: EventDelta | None = None
    usage: Any = None
    error: Any = None


_decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_event = msgspec.json.Decoder(Event).decode


def read_chunk(data: bytes) -> Chunk | None:
    """The chunk in `data`; None when it is not a JSON object."""
    try:
        return _decode_chunk(data)
    except (msgspec.DecodeError, RecursionError):
        chunk: Chunk | None = _lenient(data, _tame_chunk, Chunk)
        return chunk


def read_event(data: bytes) -> Event | None:
    """The Messages event in `data`; None when it is not a JSON object."""
    try:
        return _decode_event(data)
    except (msgspec.DecodeError, RecursionError):
        event: Event | None = _lenient(data, _tame_event, Event)
        return event


def _lenient(data: bytes, tame: Any, kind: Any) -> Any:
    try:
        value = decode(data)
    except NotJsonError:
        return None
    return msgspec.convert(tame(value), kind) if isinstance(value, dict) else None


def _tame_chunk(frame: dict[str, Any]) -> dict[str, Any]:
    """The frame with whatever is not of the right kind left out."""
    choices = frame.get("choices")
    if not isinstance(choices, list):
        return {**frame, "choices": None}
    return {**frame, "choices": [_tame_choice(choice) for choice in choices if isinstance(choice, dict)]}


def _tame_choice(choice: dict[str, Any]) -> dict[str, Any]:
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return {**choice, "delta": None}
    delta = dict(delta)
    _drop_unless(delta, dict, "function_call")
    _drop_unless(delta, list, "tool_calls")
    if "tool_calls" in delta:
        delta["tool_calls"] = [dict(call) for call in delta["tool_calls"] if isinstance(call, dict)]
        for call in delta["tool_calls"]:
            _drop_unless(call, dict, "function")
            _drop_unless(call, dict, "custom")
    return {**choice, "delta": delta}


def _drop_unless(members: dict[str, Any], kind: type, name: str) -> None:
    if name in members and not isinstance(members[name], kind):
        del members[name]


def _tame_event(frame: dict[str, Any]) -> dict[str, Any]:
    block, delta = frame.get("content_block"), frame.get("delta")
    if isinstance(block, dict):
        block = {**block, "input": msgspec.Raw(msgspec.json.encode(block.get("input")))}
    else:
        block = None
    return {**frame, "content_block": block, "delta": delta if isinstance(delta, dict) else None}
