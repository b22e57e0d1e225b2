"""Server-sent events: a reader that forgives what real providers do to the format, and a writer of clean ones.

The reader works on bytes in linear time, however the stream was cut, and keeps the exact bytes of each
event so that a relay can pass them on.
"""

import re

import msgspec

from shared.wire.json_text import encode

OPENAI_DONE = b"data: [DONE]\n\n"
PING_MESSAGES = b'event: ping\ndata: {"type": "ping"}\n\n'
PING_COMMENT = b": ping\n\n"
DONE = b"[DONE]"
MAX_EVENT_BYTES = 64 << 20

_BOM = b"\xef\xbb\xbf"
# Atomic groups: a CRLF must never be taken for two line ends.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class EventTooLongError(ValueError):
    """One event of the stream is larger than any provider's answer can be."""


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One event that carries data; `raw` is its exact bytes, terminator included.

    `is_clean` says that `raw` is what `encode_event` would write: no comment, `id:`, `retry:` or odd line end.
    """

    event: str | None
    data: bytes
    raw: bytes
    is_clean: bool = False


def encode_event(data: bytes, event: str | None = None) -> bytes:
    """One event as every client reads it: LF only, the name first, one `data:` line for each line of data."""
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    if event is None:
        return b"data: %b\n\n" % data
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data)


def encode_object(value: object, event: str | None = None) -> bytes:
    """One event whose data is `value` as JSON."""
    return encode_event(encode(value), event)


class SseReader:
    """Turns the bytes of a stream, cut anywhere, into its events; what carries no data is left out."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._parts: list[bytes] = []
        self._pending_bytes = 0
        self._carriage_returns = False
        self._at_start = True
        self._max_event_bytes = max_event_bytes

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that `data` completes."""
        if not data:
            return []
        if not self._carriage_returns and b"\r" in data:
            self._carriage_returns = True
        if self._parts:
            tail = self._parts[-1][-2:] if len(self._parts[-1]) > 1 else b"".join(self._parts[-2:])[-2:]
            if not self._holds_boundary(tail + data):
                self._keep(data)
                return []
            data = b"".join([*self._parts, data])
        blocks = self._split(data)
        rest = blocks.pop()
        self._parts = []
        self._pending_bytes = 0
        if rest:
            self._keep(rest)
        events: list[SseEvent] = []
        for block in blocks:
            self._read_block(block, events)
        return events

    def finish(self) -> list[SseEvent]:
        """The last event, when the stream ended without the blank line after it."""
        events: list[SseEvent] = []
        if self._parts:
            self._read_block(b"".join(self._parts), events)
            self._parts = []
            self._pending_bytes = 0
        return events

    def _keep(self, data: bytes) -> None:
        self._parts.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > self._max_event_bytes:
            raise EventTooLongError

    def _holds_boundary(self, data: bytes) -> bool:
        if self._carriage_returns:
            return _BLANK_LINE.search(data) is not None
        return b"\n\n" in data

    def _split(self, data: bytes) -> list[bytes]:
        """The complete blocks of `data`, terminators included, and last what is not complete yet."""
        if not self._carriage_returns:
            blocks = data.split(b"\n\n")
            last = len(blocks) - 1
            return [block if i == last else block + b"\n\n" for i, block in enumerate(blocks)]
        blocks, start = [], 0
        for match in _BLANK_LINE.finditer(data):
            blocks.append(data[start : match.end()])
            start = match.end()
        blocks.append(data[start:])
        return blocks

    def _read_block(self, raw: bytes, events: list[SseEvent]) -> None:
        block = raw
        if self._at_start:
            self._at_start = False
            block = raw.removeprefix(_BOM)
        if not self._carriage_returns and (event := _read_plain(block)) is not None:
            if event.data and not event.data.isspace():
                events.append(event)
            return
        name, lines = _read_fields(block)
        lines = [line for line in lines if line.strip()]
        if not lines:
            return
        if len(lines) > 1 and all(_stands_alone(line) for line in lines):
            # Events whose blank line was forgotten: two whole objects are never one JSON value.
            events.extend(SseEvent(name, line, encode_event(line, name), is_clean=True) for line in lines)
        else:
            data = b"\n".join(lines)
            events.append(SseEvent(name, data, raw, is_clean=raw == encode_event(data, name)))


def _read_plain(block: bytes) -> SseEvent | None:
    """The event of a block in the form that nearly every provider writes; None for every other block."""
    name: str | None = None
    start = 6
    if block.startswith(b"event: "):
        end_of_name = block.find(b"\n")
        name = block[7:end_of_name].decode("utf-8", "replace")
        start = end_of_name + 7
        if not name or not block.startswith(b"data: ", end_of_name + 1):
            return None
    elif not block.startswith(b"data: "):
        return None
    end = len(block) - 2
    return SseEvent(name, block[start:end], block, is_clean=True) if block.find(b"\n", start) == end else None


def _stands_alone(line: bytes) -> bool:
    return line == DONE or (line.startswith(b"{") and line.endswith(b"}"))


def _read_fields(block: bytes) -> tuple[str | None, list[bytes]]:
    """The event's name and the values of its `data:` lines."""
    if block.lstrip().startswith(b"{"):
        # No event at all but a JSON body sent in a stream's place: an error, as a rule.
        return None, block.strip().splitlines()
    name: str | None = None
    lines: list[bytes] = []
    # bytes.splitlines ends lines at CR, LF and CRLF only, which is what the format asks for.
    for line in block.splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace").strip() or None
    return name, lines
