"""Many plain frames that came at once, looked through together: the hot path of a stream whose two sides speak alike.

Only what the watcher would pass on byte for byte is taken here: whole, clean events that add text and nothing else.
They are still checked to be JSON of that kind, line by line but all in one go. Everything else is left to the watcher.
"""

from typing import Any, Literal, Protocol

import msgspec

from shared.translate.progress import Progress
from shared.translate.stream import AnthropicWatcher, OpenAIWatcher

_EVENT_HEAD = b"event: content_block_delta\ndata: "
_FINISHES = (b'"finish_reason":"', b'"finish_reason": "')


class _Text(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: str


class _Choice(msgspec.Struct, gc=False):
    index: Literal[0]
    delta: _Text
    finish_reason: None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: tuple[_Choice]
    usage: None = None
    error: None = None


class _TextDelta(msgspec.Struct, gc=False):
    text: str
    type: Literal["text_delta"]


class _Event(msgspec.Struct, gc=False):
    delta: _TextDelta
    type: Literal["content_block_delta"]
    error: None = None


_decode_chunks = msgspec.json.Decoder(_Chunk).decode_lines
_decode_events = msgspec.json.Decoder(_Event).decode_lines


class Burst(Protocol):
    """Takes what it can from the beginning of some bytes that begin with an event."""

    def take(self, data: bytes) -> int:
        """How many bytes may go to the client as they are; their text has been counted."""


class OpenAIBurst:
    """Chunks that add text to the only choice."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def take(self, data: bytes) -> int:
        """How many bytes may go on."""
        end = len(data)
        for finish in _FINISHES:
            # From the end, where it stands if it is there; an earlier one is not plain and fails to decode.
            if (found := data.rfind(finish, 0, end)) >= 0:
                end = data.rfind(b"\n\n", 0, found) + 2
        events = data[: data.rfind(b"\n\n", 0, end) + 2]
        if not _all_begin_with(b"data: ", events, lines=2):
            return 0
        try:
            chunks = _decode_chunks(events[6:].replace(b"\n\ndata: ", b"\n"))
        except (msgspec.DecodeError, RecursionError):
            return 0
        self._progress.count_text("".join([chunk.choices[0].delta.content for chunk in chunks]))
        return len(events)


class AnthropicBurst:
    """Deltas that add text to a block."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def take(self, data: bytes) -> int:
        """How many bytes may go on."""
        end = data.find(b"\n\nevent: content_block_stop\n")
        events = data[: data.rfind(b"\n\n", 0, None if end < 0 else end + 2) + 2]
        if not _all_begin_with(_EVENT_HEAD, events, lines=3):
            return 0
        try:
            deltas = _decode_events(events[len(_EVENT_HEAD) :].replace(b"\n\n" + _EVENT_HEAD, b"\n"))
        except (msgspec.DecodeError, RecursionError):
            return 0
        self._progress.count_text("".join([event.delta.text for event in deltas]))
        return len(events)


def _all_begin_with(head: bytes, events: bytes, *, lines: int) -> bool:
    """Whether these events have this head and nothing else beside their data: counting is cheaper than looking."""
    if not events.startswith(head) or b"\r" in events:
        return False
    line_ends = events.count(b"\n")
    # Each head but the first brings two line ends before it, the last event two behind it, and each head its own.
    return line_ends % lines == 0 and events.count(b"\n\n" + head) == line_ends // lines - 1


def burst_for(reader: Any) -> Burst | None:
    """What looks through this reader's stream in bulk, if its bytes go through at all."""
    if isinstance(reader, OpenAIWatcher):
        return OpenAIBurst(reader)
    return AnthropicBurst(reader) if isinstance(reader, AnthropicWatcher) else None
