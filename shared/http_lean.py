"""A lean HTTP/1.1 client for the hops between our own services: pooled connections, one write per request, a body that
is pulled. It knows no redirects, no cookies, no compression and no proxies; `http_client.py` does.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httptools

IDLE_SECONDS = 30.0  # shorter than any server of ours keeps an idle connection
HIGH_WATER_BYTES = 256 << 10


class LeanFailed(OSError):
    """The other side could not be reached, or broke off."""


class LeanClient:
    """Requests to one origin."""

    def __init__(self, origin: str, *, connect_seconds: float) -> None:
        parts = urlsplit(origin)
        self._host = parts.hostname or "127.0.0.1"
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._named = parts.netloc
        self._connect_seconds = connect_seconds
        self._idle: deque[Connection] = deque()

    def head(self, path: str, headers: Mapping[str, str]) -> bytes:
        """The constant part of a POST's head, to be made once."""
        lines = [f"POST {self._prefix}{path} HTTP/1.1", f"host: {self._named}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\ncontent-length: ").encode("latin-1")

    async def post(self, head: bytes, body: bytes) -> "LeanResponse":
        """Send, and wait for the response's head; raises LeanFailed. Cancelling it closes the connection."""
        connection = self._take() or await self._connect()
        response = connection.send(head + str(len(body)).encode() + b"\r\n\r\n" + body)
        try:
            await response.head
        except BaseException:
            response.close()
            raise
        return response

    async def close(self) -> None:
        """Close the idle connections; others close with their responses."""
        while self._idle:
            self._idle.pop().close()

    def give_back(self, connection: "Connection") -> None:
        """The connection may carry another request."""
        self._idle.append(connection)
        connection.idle_until = asyncio.get_running_loop().time() + IDLE_SECONDS

    def _take(self) -> "Connection | None":
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and now < connection.idle_until:
                return connection
            connection.close()
        return None

    async def _connect(self) -> "Connection":
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(self), self._host, self._port, ssl=True if self._secure else None
                )
        except (OSError, TimeoutError) as error:
            raise LeanFailed(f"{self._named} cannot be reached") from error
        return connection


class Connection(asyncio.Protocol):
    """One connection; it carries one exchange at a time."""

    def __init__(self, owner: LeanClient) -> None:
        self.idle_until = 0.0
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._response: LeanResponse | None = None
        self._parser: Any = None

    @property
    def usable(self) -> bool:
        """Whether it still stands."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = transport  # type: ignore[assignment]  # a stream connection has a Transport

    def send(self, request: bytes) -> "LeanResponse":
        """Begin an exchange."""
        assert self._transport is not None  # noqa: S101 -- only connected ones are handed out
        self._response = LeanResponse(self)
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)
        return self._response

    def data_received(self, data: bytes) -> None:
        """Bytes of the response."""
        if self._response is None:
            self.close()  # nobody asked for anything
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._lost(error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side is gone; a response that was not complete is cut."""
        self._transport = None
        self._lost(exc)

    def _lost(self, error: Exception | None) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.fail(LeanFailed("the connection was closed before the answer ended"), error)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the response."""
        if self._response is not None:
            self._response.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._response is not None:
            self._response.begin(self._parser.get_status_code())

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._response is not None and self._response.take(data) and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The response is whole; the connection is free again."""
        response, self._response = self._response, None
        if response is None:
            return
        response.finish()
        if self.usable and self._parser.should_keep_alive():
            self.resume()
            self._owner.give_back(self)
        else:
            self.close()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


class LeanResponse:
    """A response whose head is here and whose body comes as it is pulled."""

    def __init__(self, connection: Connection) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.head: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection = connection
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._paused = False
        self._arrived: asyncio.Future[None] | None = None
        self._whole = False
        self._failure: LeanFailed | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, what has piled up in one piece; raises LeanFailed when it breaks off."""
        while True:
            if self._pieces:
                pieces, self._pieces, self._waiting = self._pieces, [], 0
                if self._paused:
                    self._paused = False
                    self._connection.resume()
                yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
            elif self._failure is not None:
                raise self._failure
            elif self._whole:
                return
            else:
                self._arrived = asyncio.get_running_loop().create_future()
                await self._arrived

    def close(self) -> None:
        """Give up the rest: the connection is closed unless the response is complete."""
        if not self._whole and self._failure is None:
            self._failure = LeanFailed("closed")
            self._connection.close()

    def begin(self, status: int) -> None:
        """The head came."""
        self.status = status
        if not self.head.done():
            self.head.set_result(None)

    def take(self, data: bytes) -> bool:
        """A piece came; whether that is enough for now."""
        self._pieces.append(data)
        self._waiting += len(data)
        self._wake()
        if self._waiting > HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            return True
        return False

    def finish(self) -> None:
        """All came."""
        self._whole = True
        self._wake()

    def fail(self, failure: LeanFailed, cause: Exception | None) -> None:
        """It broke off."""
        failure.__cause__ = cause
        if self._failure is None:
            self._failure = failure
        if not self.head.done():
            self.head.set_exception(failure)
            self.head.exception()  # whoever awaits it hears of it; if nobody does, that is no news
        self._wake()

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)
