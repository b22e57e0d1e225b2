"""The router's answers, in the shape that the gateway pulls: one in a piece, and one that streams."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import structlog

from services.router.errors import invalid_answer
from services.router.exchange import Broken, HttpExchange
from services.router.headers import EVENT_STREAM
from services.router.relay import Relay
from services.router.upstream import Attempt
from services.router.watchdog import Watchdog
from shared.messages.gateway import Ending, Spent
from shared.tasks import Tasks
from shared.translate.errors import UpstreamError, render_event, timed_out, unreachable

log = structlog.get_logger(__name__)

# After the reason for the end came, usage and the protocol's last event follow at once or never.
_GRACE_SECONDS = 1.0
_GRACE_AFTER_USAGE_SECONDS = 0.25
_SETTLE_SECONDS = 0.5
_STOPPED = UpstreamError(503, "api_error", "interrupted", "Tollway is stopping; the answer could not be finished")


class WholeAnswer:
    """An answer that is there in one piece."""

    __slots__ = ("_body", "_ending", "ending", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, ending: Ending) -> None:
        self.status = status
        self.headers = headers
        self._body: bytes | None = body
        self._ending = ending
        self.ending: Ending | None = None

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The body, once."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        body, self._body = self._body, None
        self.ending = self._ending
        if not body:
            raise StopAsyncIteration
        return body

    async def close(self, status: str = "aborted") -> None:
        """Everything behind it was booked when it was made."""
        del status
        self._body, self.ending = None, self._ending


class StreamAnswer:
    """An answer whose content has begun. Each pull reads the provider at most as far as the client has taken."""

    __slots__ = (
        "_attempt",
        "_bytes_out",
        "_earlier",
        "_first",
        "_relay",
        "_tasks",
        "_watchdog",
        "ending",
        "headers",
        "status",
    )

    def __init__(self, attempt: Attempt, headers: Mapping[str, str], earlier: list[Spent], tasks: Tasks) -> None:
        assert attempt.relay is not None and attempt.exchange is not None  # noqa: S101, PT018 -- it was opened as a stream
        self.status = 200
        self.headers = {**EVENT_STREAM, **headers}
        self.ending: Ending | None = None
        self._attempt = attempt
        self._relay: Relay = attempt.relay
        self._earlier = earlier
        self._tasks = tasks
        self._bytes_out = 0
        self._watchdog = Watchdog(
            attempt.exchange, idle_seconds=attempt.provider.timeouts.idle, total_at=attempt.deadline_at
        )
        self._first = self._counted(attempt.held) + self._state()

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The body, as it comes."""
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if first := self._first:
            self._first = b""
            return first
        try:
            while self.ending is None:
                if chunk := await self._pull():
                    return chunk
        except asyncio.CancelledError:
            self._leave(None)
            raise
        except Exception:
            # The edge to foreign data: what an odd frame breaks is this stream's failure, told and booked as one.
            log.exception("frame_not_understood", request_id=self._attempt.call.request_id)
            return self._break_off(invalid_answer("the provider's answer could not be understood"))
        raise StopAsyncIteration

    async def close(self, status: str = "aborted") -> None:
        """Cut the provider off and book what was used."""
        self._leave(status)

    def _leave(self, status: str | None) -> None:
        if self.ending is None:
            self._watchdog.stop()
            self._end(self._attempt.leave(status, self._bytes_out), error=None)

    def interrupt(self) -> None:
        """We are stopping: the stream ends with an error event at its next pull."""
        if self.ending is None:
            self._watchdog.stop(_STOPPED.message)

    async def _pull(self) -> bytes:
        exchange, watchdog, relay = self._attempt.exchange, self._watchdog, self._relay
        assert exchange is not None  # noqa: S101 -- see __init__
        watchdog.wait()
        try:
            data = await exchange.read()
        except Broken as broken:
            return self._cut(broken.error)
        watchdog.waiting_since = None
        if not data:
            out = self._counted(relay.finish())
            if relay.ended or relay.failure is not None:
                return out + self._state()
            return out + self._break_off(
                unreachable("the provider closed the connection before its answer was complete")
            )
        out = self._counted(relay.feed(data))
        if relay.ended or relay.failure is not None or relay.progress.finished:
            return out + self._state()
        self._attempt.meter.flowing(relay.progress)
        return out

    def _state(self) -> bytes:
        """What follows from the state of the stream: the end, the error event, or a short wait for the last frames."""
        relay = self._relay
        if relay.failure is not None:
            return self._break_off(relay.failure)
        if relay.ended:
            self._complete()
        elif relay.progress.finished:
            told = relay.progress.usage.output_tokens is not None
            self._watchdog.shorten(_GRACE_AFTER_USAGE_SECONDS if told else _GRACE_SECONDS)
        return b""

    def _cut(self, error: UpstreamError) -> bytes:
        """Reading failed: fine if the answer had come to its end, else the client must hear of it."""
        out = self._counted(self._relay.finish())
        if self._relay.ended:
            self._complete()
            return out
        reason = self._watchdog.reason
        if reason == _STOPPED.message:
            self._attempt.leave("interrupted", self._bytes_out)
            self._end("interrupted", _STOPPED.message)
            return out + render_event(_STOPPED, self._attempt.call.dialect, self._attempt.call.request_id)
        return out + self._break_off(timed_out(reason) if reason else error)

    def _complete(self) -> None:
        self._watchdog.stop()
        exchange = self._attempt.exchange
        if isinstance(exchange, HttpExchange) and not exchange.at_end:
            # The connection can be used again once its last bytes are read; the client need not wait for that.
            self._attempt.exchange = None
            self._tasks.start(exchange.settle(_SETTLE_SECONDS), name="settle")
        self._attempt.succeed(self._bytes_out)
        self._end("ok", None)

    def _break_off(self, error: UpstreamError) -> bytes:
        self._watchdog.stop()
        self._attempt.break_off(error, self._bytes_out)
        self._end("error", error.message)
        return render_event(error, self._attempt.call.dialect, self._attempt.call.request_id)

    def _end(self, status: str, error: str | None) -> None:
        spent = self._attempt.meter.spent
        self.ending = ending_of([*self._earlier, *([spent] if spent else [])], status, error)

    def _counted(self, chunk: bytes) -> bytes:
        self._bytes_out += len(chunk)
        return chunk


def ending_of(spent: list[Spent], status: str, error: str | None = None) -> Ending:
    """The ending that these attempts add up to."""
    usage = spent[-1].usage if spent else None
    return Ending(status=status, attempts=len(spent), spent=spent, usage=usage, error=error)
