"""One HTTP exchange with a provider: sent, read as it comes, closed. Foreign failures become `Broken` here."""

import asyncio
import io
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, urlsplit

import msgspec

from shared.http_client import HttpError, Session, Timeout
from shared.http_lean import LeanClients, LeanFailed, LeanTimedOut
from shared.translate.errors import UpstreamError, timed_out, unreachable
from shared.translate.terms import Translated

_LARGE = 1 << 20
_MOST_INFLATED = 1 << 24
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class Prepared(msgspec.Struct, frozen=True):
    """A request to a provider, ready to be sent; `lossy` names what could not be carried over."""

    url: str
    headers: dict[str, str]
    body: bytes
    lossy: tuple[str, ...] = ()
    choices: int = 1
    translated: Translated | None = None


class Broken(Exception):
    """The exchange came to no end; `error` says what is known."""

    def __init__(self, error: UpstreamError) -> None:
        self.error = error
        super().__init__(error.message)


class Exchange(Protocol):
    """What a provider answers, pulled: never read faster than the client takes it."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def at_end(self) -> bool:
        """Whether everything was read."""

    async def read(self) -> bytes:
        """What has come; b"" at the end. Raises Broken."""

    def close(self) -> None:
        """Stop: a provider that is still writing sees its connection close. A wait in `read` ends with Broken."""


async def post(session: Session, prepared: Prepared, timeout: Timeout, proxy: str | None) -> "HttpExchange":
    """Send the request and wait for the head of the answer. Redirects are not followed: keys would go elsewhere."""
    body = prepared.body if len(prepared.body) < _LARGE else io.BytesIO(prepared.body)
    try:
        response = await session.post(
            prepared.url, data=body, headers=prepared.headers, allow_redirects=False, timeout=timeout, proxy=proxy
        )
    except TimeoutError:
        raise Broken(timed_out("the provider did not accept a connection in time")) from None
    except (HttpError, OSError, ValueError) as error:
        raise Broken(unreachable(f"the provider could not be reached ({type(error).__name__})")) from error
    return HttpExchange(response, response.content)


async def post_lean(clients: LeanClients, prepared: Prepared, connect_seconds: float) -> "HttpExchange":
    """The same without aiohttp, for providers that are reached directly: a third of the cost."""
    origin, path = _split(prepared.url)
    client = clients.of(origin, connect_seconds)
    try:
        response = await client.post(client.head(path, prepared.headers), prepared.body)
    except LeanTimedOut:
        raise Broken(timed_out("the provider did not accept a connection in time")) from None
    except (LeanFailed, ValueError) as error:
        raise Broken(unreachable(f"the provider could not be reached ({error})")) from error
    return HttpExchange(response, response)


@lru_cache(maxsize=256)
def _split(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    path = quote(parts.path, safe="/:@!$&'()*+,;=-._~%") or "/"
    return f"{parts.scheme}://{parts.netloc}", f"{path}?{parts.query}" if parts.query else path


class Content(Protocol):
    """A body that is read as it comes."""

    def at_eof(self) -> bool: ...
    async def readany(self) -> bytes: ...


class Closing(Protocol):
    """A response that can be closed in its middle."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def close(self) -> None: ...


class HttpExchange:
    """An exchange over HTTP."""

    __slots__ = ("_content", "_inflater", "_response", "headers", "status")

    def __init__(self, response: Closing, content: Content) -> None:
        self._response = response
        self._content = content
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        encoding = response.headers.get("content-encoding", "")
        # We ask for identity; some servers compress all the same.
        self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB) if encoding in ("gzip", "deflate") else None

    @property
    def at_end(self) -> bool:
        """Whether the connection is free for the next request."""
        return self._content.at_eof()

    async def read(self) -> bytes:
        """What has come."""
        while data := await self._receive():
            # A compressed piece may hold nothing yet, which is not the end of the body.
            if self._inflater is None or (data := self._inflated(self._inflater, data)):
                return data
        return b""

    def close(self) -> None:
        """Cut, unless everything was read."""
        if not self._content.at_eof():
            self._response.close()

    async def settle(self, seconds: float) -> None:
        """After the last event: read what is left of the body, so that the connection can be used again."""
        try:
            async with asyncio.timeout(seconds):
                while not self._content.at_eof() and await self._content.readany():
                    pass
        except (TimeoutError, HttpError, OSError):
            pass
        finally:
            self.close()

    async def _receive(self) -> bytes:
        try:
            return await self._content.readany()
        except (HttpError, OSError) as error:
            raise Broken(unreachable("the provider closed the connection before its answer was complete")) from error

    def _inflated(self, inflater: "zlib._Decompress", data: bytes) -> bytes:
        try:
            out = inflater.decompress(data, _MOST_INFLATED)
        except zlib.error as error:
            raise Broken(unreachable("the provider's compressed answer is broken")) from error
        if inflater.unconsumed_tail:
            raise Broken(unreachable("the provider's compressed answer is too large"))
        return out
