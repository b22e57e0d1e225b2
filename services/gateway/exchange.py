"""One request being answered to one client: its head, keep-alives while nothing comes, and the end in every way it
can end.

The client's leaving is watched in every phase. A stream's status is withheld until its first byte or its first
keep-alive.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind

from services.gateway import refusal
from services.gateway.answers import whole_body
from services.gateway.body import ClientGone, read_body
from shared import clock, ids, telemetry
from shared.errors import Draining, Internal, TollwayError
from shared.health import Receive, Scope, Send
from shared.messages.gateway import Answer, Dialect
from shared.tasks import Tasks
from shared.wire.sse import PING_COMMENT, PING_MESSAGES

log = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 10.0
WATCH_AFTER_SECONDS = 0.1  # most plain answers are over by then and never pay for a watcher
STALLED_SECONDS = 60.0  # a client that takes nothing for so long holds an upstream slot for nobody

STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}
_OURS = frozenset({"x-request-id", "request-id", "connection", "keep-alive", "transfer-encoding", "content-length",
                   "content-encoding", "set-cookie", "server", "date", "trailer", "upgrade"})  # fmt: skip

Cut = Literal["left", "expired"]


@dataclass
class Floor:
    """What all exchanges of a process share."""

    tasks: Tasks
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    running: set["Exchange"] = field(default_factory=set)

    async def interrupt_when(self, expired: asyncio.Event) -> None:
        """End what still runs once the time to drain is over."""
        await expired.wait()
        for exchange in list(self.running):
            exchange.cut("expired")
        await asyncio.Event().wait()


class Exchange:
    """See the module. `outcome` says afterwards how it went."""

    def __init__(self, floor: Floor, scope: Scope, receive: Receive, send: Send, dialect: Dialect) -> None:
        self.dialect: Dialect = dialect
        self.request_id = ids.request_id()
        self.headers = headers_of(scope)
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        self.began = clock.monotonic()
        self.first_byte: float | None = None
        self.status: int | None = None
        self.outcome = "ok"
        self.added: Mapping[str, str] = {}
        self.span: Span = INVALID_SPAN
        self._floor = floor
        self._receive = receive
        self._send = send
        self._ping = PING_MESSAGES if dialect == "anthropic" else PING_COMMENT
        self._streams = False
        self._boundary = True
        self._last = self.began
        self._sending: float | None = None
        self._over = False
        self._cut: Cut | None = None
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def traceparent(self) -> str | None:
        """What is asked for this request's sake is a child of this."""
        return telemetry.traceparent() or self.headers.get("traceparent")

    async def traced(self, operation: str, work: Callable[["Exchange"], Awaitable[None]]) -> None:
        """As `run`, in a span of its own when anybody listens."""
        if not telemetry.enabled():
            await self.run(work)
            return
        attributes = {"gen_ai.operation.name": operation, "tollway.request_id": self.request_id}
        parent = self.headers.get("traceparent")
        with telemetry.span(operation, parent=parent, kind=SpanKind.SERVER, attributes=attributes) as self.span:
            await self.run(work)
            self.span.set_attribute("http.response.status_code", self.status or 0)

    async def run(self, work: Callable[["Exchange"], Awaitable[None]]) -> None:
        """Do the work and answer whatever comes of it."""
        self._task = asyncio.current_task()
        self._floor.running.add(self)
        try:
            await self._guarded(work)
        finally:
            self._over = True
            self._floor.running.discard(self)
            if self._timer is not None:
                self._timer.cancel()
            if self._watcher is not None:
                self._watcher.cancel()

    async def _guarded(self, work: Callable[["Exchange"], Awaitable[None]]) -> None:
        try:
            await work(self)
        except asyncio.CancelledError:
            if self._cut is None or self._task is None:
                raise
            self._task.uncancel()
            self.outcome = "aborted" if self._cut == "left" else "interrupted"
            if self._cut == "expired":
                await self.refuse(Draining("Tollway is stopping and this answer took too long; try again."))
        except ClientGone:
            self.outcome = "aborted"
        except TollwayError as error:
            self.outcome = error.error_code
            await self.refuse(error)
        except Exception as error:
            self.outcome = "internal_error"
            log.error("request_failed", request_id=self.request_id, exc_info=error)
            await self.refuse(Internal(f"Tollway made a mistake; the log has it under {self.request_id}."))

    async def body(self) -> bytes:
        """The request's body; from then on the client's leaving is watched."""
        body = await read_body(self.headers, self._receive)
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._begin_watching)
        return body

    def streams(self) -> None:
        """From now on silence is filled with keep-alives."""
        self._streams = True

    async def relay(self, answer: Answer) -> None:
        """Pass an answer on to the client, no faster than the client takes it."""
        try:
            if answer.status == 200 and answer.headers.get("content-type", "").startswith("text/event-stream"):
                await self._relay_stream(answer)
            else:
                await self._relay_whole(answer)
            ending = answer.ending
            if ending is not None and ending.status != "ok":
                self.outcome = ending.status
        except BaseException:
            await answer.close("interrupted" if self._cut == "expired" else "aborted")
            raise

    async def _relay_stream(self, answer: Answer) -> None:
        if self.status is None:
            await self._start(200, {**STREAM_HEADERS, **self.added, **_without_ours(answer.headers)})
        send, time = self._send, clock.monotonic
        message: dict[str, Any] = {"type": "http.response.body", "body": b"", "more_body": True}
        async for chunk in answer.chunks:
            if self.first_byte is None:
                self.first_byte = time()
            self._sending = time()
            await send({**message, "body": chunk})
            self._sending = None
            self._last = time()
            self._boundary = chunk.endswith((b"\n\n", b"\r\n\r\n"))
        await self._end()

    async def _relay_whole(self, answer: Answer) -> None:
        body = await whole_body(answer)
        self.first_byte = clock.monotonic()
        if self.status is None:
            await self.respond(answer.status, {**self.added, **_without_ours(answer.headers)}, body)
        else:
            self.outcome = "error"
            await self._end(refusal.event_from(body, answer.status, self.dialect, self.request_id))

    async def respond(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole response."""
        await self._start(status, {"content-type": "application/json", **headers, "content-length": str(len(body))})
        await self._end(body)

    async def refuse(self, error: TollwayError) -> None:
        """Tell a failure, however far the response has come."""
        if self._over:
            return
        if self.status is None:
            body = refusal.body_of(error, self.dialect, self.request_id)
            await self.respond(error.status, refusal.headers_of(error), body)
        elif self._boundary:
            await self._end(refusal.event_of(error, self.dialect, self.request_id))
        # Else an event was cut in the middle: the server closes the connection, which no client takes for an end.

    def cut(self, why: Cut) -> None:
        """Stop: the client left, or the process may wait no longer."""
        if not self._over and self._cut is None and self._task is not None:
            self._cut = why
            self._task.cancel()

    @property
    def over(self) -> bool:
        """Whether the response is complete."""
        return self._over

    def passed(self, message: Mapping[str, Any]) -> None:
        """Note what somebody else sends to the client in this exchange."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif not message.get("more_body", False):
            self._over = True

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        head = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        head.append((b"x-request-id", self.request_id.encode()))
        if self.dialect == "anthropic":
            head.append((b"request-id", self.request_id.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": head})

    async def _end(self, body: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
        self._over = True

    def _begin_watching(self) -> None:
        if self._over:
            return
        self._watcher = self._floor.tasks.start(self._watch(), name="watch_client")
        self._timer = asyncio.get_running_loop().call_later(self._floor.keep_alive_seconds, self._tick)

    async def _watch(self) -> None:
        while not self._over:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.cut("left")
                return

    def _tick(self) -> None:
        """Fill a silence, or give up a client that takes nothing."""
        if self._over:
            return
        now, every = clock.monotonic(), self._floor.keep_alive_seconds
        if self._sending is not None:
            if now - self._sending > STALLED_SECONDS:
                self.cut("left")
                return
        elif self._streams and self._boundary and now - self._last >= every * 0.99:
            self._last = now
            self._floor.tasks.start(self._keep_alive(), name="keep_alive")
        wait = max(0.05, min(every, self._last + every - now)) if self._streams else every
        self._timer = asyncio.get_running_loop().call_later(wait, self._tick)

    async def _keep_alive(self) -> None:
        if self._over or self._sending is not None or not self._boundary:  # something came since the tick
            return
        if self.status is None:
            await self._start(200, {**STREAM_HEADERS, **self.added})
        await self._send({"type": "http.response.body", "body": self._ping, "more_body": True})


def headers_of(scope: Scope) -> dict[str, str]:
    """A request's headers by lower-case name; repeated ones joined."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def dialect_of(scope: Scope) -> Dialect:
    """Whose language a request to an odd place probably speaks."""
    if "/messages" in scope["path"] or "anthropic-version" in headers_of(scope):
        return "anthropic"
    return "openai"


def _without_ours(headers: Mapping[str, str]) -> dict[str, str]:
    return {lower: value for name, value in headers.items() if (lower := name.lower()) not in _OURS}
