"""A provider's stream on its way to the client: bytes in, the client's bytes out, and the state in between. No I/O."""

from services.router.burst import burst_for
from services.router.errors import invalid_answer
from services.router.providers.base import StreamReader
from shared.translate.errors import UpstreamError
from shared.translate.progress import Progress
from shared.wire.sse import DONE, EventTooLongError, SseEvent, SseReader


class Relay:
    """Feeds one reader with the events of one stream. `ended` is set when the protocol's last event was seen."""

    __slots__ = ("_at_boundary", "_burst", "_reader", "_sse", "ended", "progress")

    def __init__(self, reader: StreamReader, *, choices: int = 1) -> None:
        self._reader = reader
        self._sse = SseReader()
        self._burst = burst_for(reader) if choices == 1 else None
        self._at_boundary = True
        self.progress: Progress = reader
        self.ended = False

    @property
    def failure(self) -> UpstreamError | None:
        """The provider's own error event."""
        return self.progress.failure

    def feed(self, data: bytes) -> bytes:
        """What the client gets for these bytes."""
        progress, burst, out = self.progress, self._burst, b""
        boundary, self._at_boundary = self._at_boundary, data.endswith(b"\n\n")
        if burst is not None and boundary and not progress.finished:
            if not progress.started_content:
                # The role and the first words are the watcher's.
                head = max(0, data.find(b"\n\n", data.find(b"\n\n") + 2)) + 2
                out, data = self._read(data[:head]), data[head:]
            if progress.started_content and progress.failure is None:
                plain = burst.take(data)
                out, data = out + data[:plain], data[plain:]
        return out + self._read(data) if data and not self.ended else out

    def _read(self, data: bytes) -> bytes:
        try:
            return self._take(self._sse.feed(data))
        except EventTooLongError:
            self.progress.failure = invalid_answer("the provider sent an event without end")
            return b""

    def finish(self) -> bytes:
        """The provider's stream has ended: what the client still gets, which is an end only if the answer had one."""
        out = self._take(self._sse.finish())
        if self.progress.finished and not self.failure:
            self.ended = True
            return out + b"".join(self._reader.finish())
        return out

    def _take(self, events: list[SseEvent]) -> bytes:
        reader, out = self._reader, []
        for event in events:
            made = reader.feed(event)
            if made:
                out.append(made if isinstance(made, bytes) else b"".join(made))
            if reader.failure is not None:
                break
            if reader.finished and (event.data == DONE or event.event == "message_stop"):
                self.ended = True
                out += reader.finish()
                break
        return out[0] if len(out) == 1 else b"".join(out)
