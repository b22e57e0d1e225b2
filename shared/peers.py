"""Other services' HTTP surfaces as a service reaches them: over a socket when split, as a plain call in one process."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from yarl import URL

from shared.errors import Unavailable
from shared.health import App, Scope, Send
from shared.http_client import HttpClient, HttpError, Session, Timeout, read_capped

Headers = list[tuple[bytes, bytes]]

INTERNAL_TOKEN = b"x-tollway-internal"
_HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
    b"transfer-encoding", b"upgrade", b"host", b"content-length", b"expect",
})  # fmt: skip
_MOST_JSON_BYTES = 32 << 20


class PeerUnavailable(Unavailable):
    """This part of Tollway cannot be reached right now; try again."""


class Peer(Protocol):
    """Another service."""

    async def get_json(self, path: str) -> Any:
        """What it answers to a GET; raises PeerUnavailable."""

    async def forward(self, scope: Scope, headers: Headers, body: bytes, send: Send) -> None:
        """Answer a client's request with the peer's answer, as it comes; raises PeerUnavailable before
        it began.
        """


class LocalPeer:
    """A service composed in this process."""

    def __init__(self, app: App, token: str | None = None) -> None:
        self._app = app
        self._token = _token_header(token)

    async def get_json(self, path: str) -> Any:
        """Call the app as a server would."""
        return _json(*await called(self._app, "GET", path, self._token))

    async def forward(self, scope: Scope, headers: Headers, body: bytes, send: Send) -> None:
        """Hand the request on with the headers we vouch for."""
        kept = [*headers, *self._token, (b"content-length", str(len(body)).encode())]
        await self._app({**scope, "headers": kept, "state": {}}, _Once(body), send)


class RemotePeer:
    """A service behind its own port."""

    def __init__(self, http: HttpClient, url: str, token: str | None = None) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._token = _token_header(token)

    @property
    def _session(self) -> Session:
        return self._http.session()

    async def get_json(self, path: str) -> Any:
        """Ask over the wire."""
        headers = _text(self._token)
        try:
            timeout = Timeout(total=10, sock_connect=2)
            async with self._session.get(self._url + path, headers=headers, timeout=timeout) as response:
                return _json(response.status, await read_capped(response, _MOST_JSON_BYTES))
        except (HttpError, OSError, TimeoutError, ValueError) as error:
            raise PeerUnavailable from error

    async def forward(self, scope: Scope, headers: Headers, body: bytes, send: Send) -> None:
        """Pass the answer on chunk by chunk, no faster than the client takes it."""
        query = scope["query_string"].decode("latin-1")
        url = self._url + scope["raw_path"].decode("latin-1").partition("?")[0] + (f"?{query}" if query else "")
        begun = False
        try:
            async with self._session.request(
                scope["method"],
                URL(url, encoded=True),
                headers=_text([*headers, *self._token]),
                data=body or None,
                allow_redirects=False,
                timeout=Timeout(total=None, sock_connect=2),
            ) as response:
                kept = _kept(response.raw_headers)
                begun = True
                await send({"type": "http.response.start", "status": response.status, "headers": kept})
                async for chunk in response.content.iter_any():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (HttpError, OSError, TimeoutError) as error:
            if begun:
                raise BrokenPipeError("the answer broke off") from error
            raise PeerUnavailable from error


async def called(app: App, method: str, path: str, headers: Headers, body: bytes = b"") -> tuple[int, bytes]:
    """One request to an app of this process as a server would make it: the answer's status and its whole body."""
    parts = urlsplit(path)
    status, received = 500, bytearray()

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        received.extend(message.get("body", b""))

    await app(_scope(method, parts.path, parts.query, headers), _Once(body), send)
    return status, bytes(received)


class _Once:
    """A `receive` that gives a body already read, then waits: whoever forwards watches the client and cancels us."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def __call__(self) -> Any:
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body or b"", "more_body": False}


def kept_request_headers(headers: Iterable[tuple[bytes, bytes]], drop: Callable[[bytes], bool]) -> Headers:
    """A client's headers without those that end at this hop, and without those `drop` names."""
    return [(name, value) for name, value in headers if name not in _HOP_BY_HOP and not drop(name)]


def _kept(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    dropped = (_HOP_BY_HOP - {b"content-length"}) | {b"server", b"date"}
    return [(name.lower(), value) for name, value in headers if name.lower() not in dropped]


def _text(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def _token_header(token: str | None) -> Headers:
    return [(INTERNAL_TOKEN, token.encode())] if token else []


def _json(status: int, body: bytes) -> Any:
    if status != 200:
        raise PeerUnavailable
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise PeerUnavailable from error


def _scope(method: str, path: str, query: str, headers: Headers) -> dict[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": headers, "client": ("127.0.0.1", 0), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
