"""The router over HTTP: a call goes out as msgpack, the answer's bytes come back framed, with the ending behind
the last.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import structlog

from shared.errors import RouterUnavailable
from shared.http_client import HttpClient, HttpError, Timeout, read_capped
from shared.http_lean import LeanClient, LeanFailed, LeanResponse, LeanTimedOut
from shared.messages.gateway import Answer, Call, Ending, ModelInfo
from shared.messages.router_wire import (
    CALL_PATH,
    EXPLAIN_PATH,
    FRAMES,
    INTERNAL_TOKEN,
    MODELS_PATH,
    BrokenFrame,
    FrameReader,
    encode_call,
)

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 2.0
ASK_SECONDS = 5.0
# A router that is stopping has done nothing with the call it refuses, one that was not reached in time never saw it:
# another one may take it.
DRAINING_STATUS = 503
TRIES = 3
_MOST_BYTES = 16 << 20
_ASK_TIMEOUT = Timeout(total=ASK_SECONDS, sock_connect=CONNECT_SECONDS)


class RouterClient:
    """The router as an answerer. Closing the connection early is how it hears that nobody wants the answer any
    more.
    """

    def __init__(self, http: HttpClient, url: str, token: str | None) -> None:
        self._http = http
        self._url = url.rstrip("/")
        self._headers = {INTERNAL_TOKEN: token} if token else {}
        self._calls = LeanClient(self._url, connect_seconds=CONNECT_SECONDS)
        self._head = self._calls.head(CALL_PATH, {"content-type": "application/msgpack", **self._headers})

    async def call(self, call: Call) -> Answer:
        """The router's answer, as soon as its head is here; raises RouterUnavailable."""
        body = encode_call(call)
        for _ in range(TRIES):
            try:
                response = await self._calls.post(self._head, body)
            except LeanTimedOut:
                continue
            except LeanFailed as error:
                raise RouterUnavailable from error
            if response.headers.get(FRAMES) == "1":
                return FramedAnswer(response)
            response.close()
            log.warning("router_refused", status=response.status, request_id=call.request_id)
            if response.status != DRAINING_STATUS:
                break
        raise RouterUnavailable

    async def models(self) -> list[ModelInfo]:
        """The models that clients may name."""
        return msgspec.convert(await self._ask(MODELS_PATH), list[ModelInfo])

    async def explain(self) -> dict[str, Any]:
        """How the router would choose right now."""
        told: dict[str, Any] = await self._ask(EXPLAIN_PATH)
        return told

    async def ping(self) -> None:
        """Whether it answers; raises RouterUnavailable."""
        await self._ask(MODELS_PATH)

    async def _ask(self, path: str) -> Any:
        session = self._http.session()
        try:
            async with session.get(self._url + path, headers=self._headers, timeout=_ASK_TIMEOUT) as response:
                body = await read_capped(response, _MOST_BYTES, seconds=ASK_SECONDS)
                if response.status != 200:
                    raise RouterUnavailable
                return msgspec.json.decode(body)
        except (HttpError, OSError, TimeoutError, ValueError) as error:
            raise RouterUnavailable from error


class FramedAnswer:
    """An answer that is still on the wire."""

    def __init__(self, response: LeanResponse) -> None:
        self._response = response
        self._reader = FrameReader()
        self._headers = {name: value for name, value in response.headers.items() if name != FRAMES}
        self._closed: Ending | None = None

    @property
    def status(self) -> int:
        """What the router said."""
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        """What the router said."""
        return self._headers

    @property
    def ending(self) -> Ending | None:
        """Known behind the last frame."""
        return self._reader.ending or self._closed

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The answer's bytes; raises RouterUnavailable when they break off before the ending."""
        return self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._response.chunks():
                pieces = self._reader.feed(data)
                if pieces:
                    yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
        except (LeanFailed, BrokenFrame, msgspec.MsgspecError) as error:
            raise RouterUnavailable("The router broke off in the middle of the answer.") from error
        if self._reader.ending is None:
            raise RouterUnavailable("The router broke off in the middle of the answer.")

    async def close(self, status: str = "aborted") -> None:
        """Break off; the router cancels what is behind it and books what was used."""
        if self.ending is None:
            self._closed = Ending(status=status)
        self._response.close()
