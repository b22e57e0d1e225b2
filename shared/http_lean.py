"""A lean HTTP/1.1 client for the hot path: pooled connections, one write per request, a body that is pulled. It only
posts, and knows no redirects, no cookies, no compression and no proxies; `http_client.py` does.
"""

import asyncio
import random
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohappyeyeballs
import httptools

IDLE_SECONDS = 30.0  # shorter than servers keep an idle connection
HIGH_WATER_BYTES = 256 << 10
MOST_HEAD_BYTES = 256 << 10
FIRST_FINAL_STATUS = 200


class LeanFailed(OSError):
    """The other side could not be reached, or broke off."""


class LeanTimedOut(LeanFailed):
    """The other side did not accept a connection in time."""


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Reading the machine's certificates takes long enough to do it once."""
    return ssl.create_default_context()


def _spread(found: list[Any]) -> list[Any]:
    """Replicas behind one name, in another order each time; the resolver's choice between address families stands."""
    preferred = found[0][0]
    random.shuffle(found)
    return sorted(found, key=lambda address: address[0] != preferred)


class LeanClients:
    """Clients by origin, made as they are needed."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, float], LeanClient] = {}

    def of(self, origin: str, connect_seconds: float) -> "LeanClient":
        """The client of an origin."""
        found = self._clients.get((origin, connect_seconds))
        if found is None:
            found = self._clients[origin, connect_seconds] = LeanClient(origin, connect_seconds=connect_seconds)
        return found

    async def close(self) -> None:
        """Close them all."""
        for client in self._clients.values():
            await client.close()


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
        head = "\r\n".join(lines)
        if head.count("\r") != len(lines) - 1 or head.count("\n") != len(lines) - 1 or "\0" in head:
            raise ValueError("a line break in a header would begin another")
        return (head + "\r\ncontent-length: ").encode("latin-1")

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
        tls, name = (_tls(), self._host) if self._secure else (None, None)
        try:
            async with asyncio.timeout(self._connect_seconds):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                sock = await aiohappyeyeballs.start_connection(_spread(found), happy_eyeballs_delay=0.25)
                _, connection = await loop.create_connection(
                    lambda: Connection(self), sock=sock, ssl=tls, server_hostname=name
                )
        except TimeoutError as error:
            raise LeanTimedOut(f"{self._named} did not accept a connection in time") from error
        except OSError as error:
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
        if exc is None and self._response is not None and self._response.ends_with_connection:
            response, self._response = self._response, None
            response.finish()
        self._lost(exc)

    def _lost(self, error: Exception | None) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.fail(LeanFailed("the connection was closed before the answer ended"), error)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the response."""
        if self._response is not None:
            self._response.header(name.decode("latin-1").lower(), value.decode("latin-1"))
            if self._response.head_bytes > MOST_HEAD_BYTES:
                self.close()

    def on_headers_complete(self) -> None:
        """The head is whole; one that only announces another is forgotten."""
        if self._response is not None:
            self._response.begin(self._parser.get_status_code())

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._response is not None and self._response.take(data) and self._transport is not None:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The response is whole; the connection is free again."""
        response = self._response
        if response is None:
            return
        if response.status < FIRST_FINAL_STATUS:
            response.headers.clear()
            return
        self._response = None
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
        self.head_bytes = 0
        self.head: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection = connection
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._paused = False
        self._arrived: asyncio.Future[None] | None = None
        self._whole = False
        self._failure: LeanFailed | None = None

    @property
    def ends_with_connection(self) -> bool:
        """Whether the body is as long as the connection: nothing in the head says how long it is."""
        chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        return self.head.done() and not chunked and "content-length" not in self.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes; raises LeanFailed when it breaks off."""
        while piece := await self.readany():
            yield piece

    def at_eof(self) -> bool:
        """Whether everything came and was read."""
        return self._whole and not self._pieces

    async def readany(self) -> bytes:
        """What has piled up, in one piece; b"" at the end. Raises LeanFailed."""
        while not self._pieces:
            if self._failure is not None:
                raise self._failure
            if self._whole:
                return b""
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        if self._paused:
            self._paused = False
            self._connection.resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Give up the rest: the connection is closed unless the response is complete."""
        if not self._whole and self._failure is None:
            self._failure = LeanFailed("closed")
            self._connection.close()

    def header(self, name: str, value: str) -> None:
        """A header came; repeated ones are joined."""
        self.head_bytes += len(name) + len(value)
        self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value

    def begin(self, status: int) -> None:
        """The head came."""
        self.status = status
        if status >= FIRST_FINAL_STATUS and not self.head.done():
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
