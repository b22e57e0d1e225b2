"""The channel between an agent that speaks and a client that listens."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tollway.server.shape import Content, End, SeedShape, Shape, StrictShape, encode

MOST_UNREAD = 1024
PING_SECONDS = 15.0
HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}


class DataStreamer:
    """Takes typed contents and gives them out as one answer, streamed or whole, within `timeout` seconds."""

    def __init__(self, timeout: float = 300, model_name: str = "AlphaData", *, strict_openai: bool = False) -> None:
        self.timeout = timeout
        self.model_name = model_name
        self.on_close: Callable[[], None] | None = None
        self._shape: Shape = (StrictShape if strict_openai else SeedShape)(model_name)
        self._unread: deque[Content] = deque()
        self._end: End | None = None
        self._timed_out = False
        self._closed = False
        self._read_from = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def finished(self) -> bool:
        """Whether the agent itself has ended the answer."""
        return self._end is not None and not self._timed_out

    @property
    def ended(self) -> bool:
        """Whether nothing more can be said."""
        return self._closed or self._end is not None

    async def send_data(self, content_type: str, content: str | None = None) -> None:
        """Says something; waits while a slow client is far behind. After the end it is ignored."""
        while self._read_from and len(self._unread) >= MOST_UNREAD and not self.ended:
            self._room.clear()
            await self._room.wait()
        if self.ended:
            return
        self._unread.append(Content(str(content_type), "" if content is None else str(content)))
        self._news.set()

    async def stop(self, stop_reason: str = "stop") -> None:
        """Ends the answer; the first end counts."""
        self._finish(End(stop_reason))

    def fail(self, reason: str) -> None:
        """Ends the answer as a failure."""
        self._finish(End("error", reason))

    def start_streaming_openai(self) -> StreamingResponse:
        """The answer as server-sent events."""
        return _Listened(self)

    async def start_non_streaming_openai(self) -> Response:
        """The answer as one JSON body, once the agent has stopped."""
        async with aclosing(self._contents()) as contents:
            said = [each async for each in contents if each is not None]
        status, body = self._shape.whole(said, self._end or End("timeout"))
        return Response(encode(body), status, media_type="application/json")

    def close(self) -> None:
        """Nobody listens any more."""
        if self._closed:
            return
        self._closed = True
        self._unread.clear()
        self._room.set()
        if self.on_close is not None:
            self.on_close()

    def _finish(self, end: End) -> None:
        if not self.ended:
            self._end = end
            self._news.set()
            self._room.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """The answer frame by frame."""
        async with aclosing(self._contents()) as contents:
            async for said in contents:
                yield b": ping\n\n" if said is None else self._shape.content(said)
        yield self._shape.end(self._end or End("timeout"))

    async def _contents(self) -> AsyncGenerator[Content | None, None]:
        """What is said, until the end or the deadline; None when nothing was said for a while."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.timeout
        self._read_from = True
        try:
            while True:
                while self._unread and (self._end is not None or loop.time() < deadline):
                    said = self._unread.popleft()
                    self._room.set()
                    yield said
                if self._end is not None or (left := deadline - loop.time()) <= 0:
                    return
                self._news.clear()
                try:
                    async with asyncio.timeout(min(left, PING_SECONDS)):
                        await self._news.wait()
                except TimeoutError:
                    if left > PING_SECONDS:
                        yield None
        finally:
            if self._end is None and loop.time() >= deadline:
                self._end, self._timed_out = End("timeout"), True
            self.close()


class _Listened(StreamingResponse):
    """Closes its streamer when the response is over, also when the client left before the first frame."""

    def __init__(self, streamer: DataStreamer) -> None:
        super().__init__(streamer.frames(), media_type="text/event-stream", headers=HEADERS)
        self._streamer = streamer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streamer.close()
