"""The loop's answer as one stream: text passes as it comes, calls of our tools and the ends of inner turns do not.

One weaver per dialect. Frames that need no change are passed on byte for byte.
"""

from collections.abc import Callable, Collection
from typing import Any, Protocol

import msgspec

from services.gateway.tool_loop.dialect import DIALECTS, Turn, summed
from shared.messages.gateway import Dialect
from shared.wire.anthropic import AnthropicAccumulator
from shared.wire.call_tracker import CallTracker
from shared.wire.json_text import NotJsonError, decode_object
from shared.wire.lenient import an_object
from shared.wire.openai import OpenAIAccumulator
from shared.wire.sse import DONE, OPENAI_DONE, SseEvent, encode_object

IsOurs = Callable[[str], bool]


class Weaver(Protocol):
    """Makes one stream of several turns."""

    def begin(self) -> None:
        """A turn begins."""

    def feed(self, event: SseEvent) -> bytes:
        """What the client is told of an event of the running turn."""

    def turn(self) -> Turn:
        """The turn that has been fed."""

    def end(self, finish: str | None, limit: str | None, beside: dict[str, Any]) -> bytes:
        """The end of the whole answer."""


class OpenAIWeaver:
    """Chat completion chunks under one id, with one finish reason and one usage chunk."""

    def __init__(self, is_ours: IsOurs, *, include_usage: bool) -> None:
        self._is_ours = is_ours
        self._include_usage = include_usage
        self._turns = 0
        self._head: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._lossy: set[str] = set()
        self._shown_calls = 0
        self.begin()
        self._turns = 0

    def begin(self) -> None:
        """A turn begins."""
        self._turns += 1
        self._sum = OpenAIAccumulator()
        self._tracker = CallTracker()
        self._names: dict[int, str] = {}
        self._shown: dict[int, int] = {}
        self._tail: list[bytes] = []
        self._told_finish: str | None = None
        self._turn_usage: dict[str, Any] = {}
        self._failed = False

    def feed(self, event: SseEvent) -> bytes:
        """What the client is told of a chunk."""
        if event.data == DONE:
            return b""
        try:
            chunk = decode_object(event.data)
        except NotJsonError:
            return b""
        if chunk.get("error"):
            self._failed = True
            return event.raw
        if not self._head:
            self._head = {
                key: chunk[key] for key in ("id", "object", "created", "model", "system_fingerprint") if key in chunk
            }
        self._sum.feed(chunk)
        if isinstance(usage := chunk.get("usage"), dict):
            self._turn_usage = usage
        return self._shown_of(chunk, event)

    def turn(self) -> Turn:
        """The turn that has been fed."""
        self._usage = summed(self._usage, self._turn_usage)
        self._lossy |= _losses(self._sum.answer())
        message = self._sum.message
        calls = DIALECTS["openai"].calls_of(message)
        return Turn(message, calls, self._sum.finish_reason, self._turn_usage, failed=self._failed)

    def end(self, finish: str | None, limit: str | None, beside: dict[str, Any]) -> bytes:
        """The finish chunk, the usage of all turns if it was asked for, and the end mark."""
        if self._turns <= 1 and limit is None and not beside and finish == self._told_finish:
            return b"".join(self._tail) + OPENAI_DONE
        extra = _extra(self._lossy, limit)
        choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish}
        out = encode_object({**self._head, "choices": [choice], **extra})
        if self._include_usage and self._usage:
            usage = summed(self._usage, beside)
            out += encode_object({**self._head, "choices": [], "usage": usage, **extra})
        return out + OPENAI_DONE

    def _shown_of(self, chunk: dict[str, Any], event: SseEvent) -> bytes:
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else {}
        delta = {key: value for key, value in (choice.get("delta") or {}).items() if value is not None}
        says = any(value != "" for value in delta.values())
        if choice.get("finish_reason") or chunk.get("usage"):
            if not says:
                self._tail.append(event.raw)
                self._told_finish = choice.get("finish_reason") or self._told_finish
                return b""
        elif self._turns <= 1 and "tool_calls" not in delta:
            return event.raw
        if self._turns > 1:
            delta.pop("role", None)
        calls = self._calls_shown(delta.pop("tool_calls", None) or ())
        if calls:
            delta["tool_calls"] = calls
        return self._spliced(event.data, delta) if any(value != "" for value in delta.values()) else b""

    def _spliced(self, data: bytes, delta: dict[str, Any]) -> bytes:
        """The chunk with another delta, under the answer's own id, without an end and without usage."""
        frame: dict[str, Any] = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        choice = msgspec.json.decode(frame["choices"], type=list[dict[str, msgspec.Raw]])[0]
        shown: dict[str, Any] = {**choice, "delta": delta, "finish_reason": None}
        frame = {**frame, **self._head, "choices": [shown]}
        if frame.get("usage") is not None:
            del frame["usage"]
        return encode_object(frame)

    def _calls_shown(self, deltas: Collection[Any]) -> list[dict[str, Any]]:
        """The fragments of the client's own calls, numbered as if there were no others."""
        shown = []
        for delta in deltas:
            if not isinstance(delta, dict):
                continue
            inner = delta.get("function") or delta.get("custom") or {}
            text = inner.get("arguments") or inner.get("input")
            position, _ = self._tracker.place(delta.get("index"), delta.get("id"), inner.get("name"), text)
            if inner.get("name") and position not in self._names:
                self._names[position] = str(inner["name"])
            if self._is_ours(self._names.get(position, "")):
                continue
            shown.append(self._renumbered(position, delta))
        return shown

    def _renumbered(self, position: int, delta: dict[str, Any]) -> dict[str, Any]:
        first = position not in self._shown
        if first:
            self._shown[position] = self._shown_calls
            self._shown_calls += 1
        fragment = {**delta, "index": self._shown[position]}
        if not first:  # clients join strings: a repeated id or name would be doubled
            fragment = {key: value for key, value in fragment.items() if key not in ("id", "type")}
            for kind in ("function", "custom"):
                if isinstance(fragment.get(kind), dict):
                    fragment[kind] = {key: value for key, value in fragment[kind].items() if key != "name"}
        return fragment


class AnthropicWeaver:
    """Messages events of one message, its blocks numbered through all turns."""

    def __init__(self, is_ours: IsOurs) -> None:
        self._is_ours = is_ours
        self._next_index = 0
        self._usage: dict[str, Any] = {}
        self._lossy: set[str] = set()
        self._last_delta: dict[str, Any] = {}
        self._turns = 0
        self.begin()
        self._turns = 0

    def begin(self) -> None:
        """A turn begins."""
        self._turns += 1
        self._sum = AnthropicAccumulator()
        self._shown: dict[int, int] = {}
        self._tail: list[bytes] = []
        self._failed = False

    def feed(self, event: SseEvent) -> bytes:
        """What the client is told of an event."""
        try:
            frame = decode_object(event.data)
        except NotJsonError:
            return b""
        kind = frame.get("type")
        if kind == "error":
            self._failed = True
            return event.raw
        self._sum.feed(frame)
        if kind == "message_start":
            return event.raw if self._turns <= 1 else b""
        if kind in ("content_block_start", "content_block_delta", "content_block_stop"):
            return self._block(str(kind), frame, event)
        if kind in ("message_delta", "message_stop"):
            self._tail.append(event.raw)
            if kind == "message_delta":
                self._last_delta = frame
            return b""
        return event.raw

    def turn(self) -> Turn:
        """The turn that has been fed."""
        answer = self._sum.answer()
        self._usage = summed(self._usage, answer["usage"])
        self._lossy |= _losses(answer)
        message = self._sum.message
        calls = DIALECTS["anthropic"].calls_of(message)
        return Turn(message, calls, self._sum.stop_reason, answer["usage"], failed=self._failed)

    def end(self, finish: str | None, limit: str | None, beside: dict[str, Any]) -> bytes:
        """The one message_delta with the usage of all turns, and message_stop."""
        if self._turns <= 1 and limit is None and not beside and finish == self._sum.stop_reason:
            stop = encode_object({"type": "message_stop"}, "message_stop") if len(self._tail) < 2 else b""
            return b"".join(self._tail) + stop
        delta = self._last_delta.get("delta")
        known = delta if isinstance(delta, dict) else {}
        frame = {
            **self._last_delta,
            "type": "message_delta",
            "delta": {"stop_sequence": None, **known, "stop_reason": finish},
            "usage": summed(self._usage, beside),
            **_extra(self._lossy, limit),
        }
        return encode_object(frame, "message_delta") + encode_object({"type": "message_stop"}, "message_stop")

    def _block(self, kind: str, frame: dict[str, Any], event: SseEvent) -> bytes:
        index = frame.get("index")
        if not isinstance(index, int):
            return b""
        if kind == "content_block_start":
            block = frame.get("content_block")
            if isinstance(block, dict) and block.get("type") == "tool_use" and self._is_ours(str(block.get("name"))):
                return b""
            self._shown[index] = self._next_index
            self._next_index += 1
        shown = self._shown.get(index)
        if shown is None:
            return b""
        if shown == index:
            return event.raw
        raw = msgspec.json.decode(event.data, type=dict[str, msgspec.Raw])
        return encode_object({**raw, "index": shown}, kind)


def weaver(dialect: Dialect, is_ours: IsOurs, *, include_usage: bool) -> Weaver:
    """The weaver of a dialect."""
    if dialect == "openai":
        return OpenAIWeaver(is_ours, include_usage=include_usage)
    return AnthropicWeaver(is_ours)


def _losses(answer: dict[str, Any]) -> set[str]:
    """What the end of a turn's stream named as lost."""
    return {name for name in an_object(answer.get("tollway")).get("lossy") or () if isinstance(name, str)}


def _extra(lossy: set[str], limit: str | None) -> dict[str, Any]:
    """Our own member of the last frames."""
    own: dict[str, Any] = {"lossy": sorted(lossy)} if lossy else {}
    own |= {"limit_reached": limit} if limit else {}
    return {"tollway": own} if own else {}
