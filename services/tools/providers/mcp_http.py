"""MCP over Streamable HTTP: answers bounded in size, and guarded servers reached at checked addresses only.

Imported only when a server is configured.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from shared.security import AddressRefused, check_url, checked_addresses

MAX_BODY_BYTES = 16 << 20
MAX_EVENT_BYTES = 8 << 20


class AnswerTooLong(httpx2.TransportError):
    """The server's answer has no end that we would wait for."""


class _Capped(httpx2.AsyncByteStream):
    """A body that ends with an error beyond the bound. Event streams live long: they are bounded per event."""

    def __init__(self, stream: Any, most_bytes: int) -> None:
        self._stream = stream
        self._left = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise AnswerTooLong("the server's answer is too long")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Checks where each request really goes, and bounds what comes back."""

    def __init__(self, *, guard: bool) -> None:
        self._inner = httpx2.AsyncHTTPTransport(retries=0, trust_env=False)
        self._guard = guard

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request, to an address that was checked for it."""
        if self._guard:
            request = await self._checked(request)
        response = await self._inner.handle_async_request(request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = _Capped(response.stream, MAX_BODY_BYTES)
        return response

    async def _checked(self, request: httpx2.Request) -> httpx2.Request:
        host, port = check_url(str(request.url))
        try:
            address = (await checked_addresses(host, port))[0]
        except AddressRefused as refused:
            raise httpx2.ConnectError(str(refused), request=request) from refused
        # The name stays in the Host header and in TLS; the connection goes where the check looked.
        extensions = {**request.extensions, "sni_hostname": host}
        return httpx2.Request(
            request.method,
            request.url.copy_with(host=str(address)),
            headers=request.headers,
            stream=request.stream,
            extensions=extensions,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


@asynccontextmanager
async def http_transport(
    url: str, headers: Mapping[str, str], *, guard: bool, connect_seconds: float, read_seconds: float
) -> AsyncGenerator[tuple[Any, Any]]:
    """Speak Streamable HTTP with the server at the URL."""
    timeout = httpx2.Timeout(connect_seconds, read=read_seconds)
    async with (
        httpx2.AsyncClient(
            transport=GuardedTransport(guard=guard), headers=dict(headers), timeout=timeout, trust_env=False
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MAX_EVENT_BYTES) as streams,
    ):
        yield streams
