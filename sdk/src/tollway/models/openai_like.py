"""A model behind the OpenAI protocol: by default a Tollway gateway."""

import asyncio
import contextlib
import json
import random
import weakref
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self

import httpx2
from pydantic import BaseModel

from tollway.errors import ServerError, ServerUnreachableError, TollwayError, server_error
from tollway.models.answer import ModelAnswer
from tollway.settings import DEFAULT_URL, read_settings
from tollway.tools.define import Tool

RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
LONGEST_RETRY_AFTER_SECONDS = 30.0
LARGEST_EVENT = 64 << 20
# how many calls run at once is for the program and the server to bound; a pool that is full would only hide it
CONNECTIONS = httpx2.Limits(max_connections=None, max_keepalive_connections=100)


class OpenAILike:
    """An asynchronous chat model. Without an address it asks the gateway at TOLLWAY_URL with the environment's key."""

    def __init__(
        self,
        base_url: str | None = None,
        model_name: str = "auto",
        api_key: str | None = None,
        *,
        max_retries: int = 2,
        timeout: float = 300.0,
        transport: httpx2.AsyncBaseTransport | None = None,
        **defaults: Any,
    ) -> None:
        settings = read_settings()
        # the environment's key is Tollway's, so it goes nowhere else
        self._api_key = api_key or (settings.key if base_url is None else None)
        self.base_url = (base_url or f"{settings.url or DEFAULT_URL}/v1").rstrip("/")
        self.model_name = model_name
        self.max_retries = max_retries
        self.defaults = defaults
        self._timeout = httpx2.Timeout(timeout, connect=10.0)
        self._transport = transport
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx2.AsyncClient]
        self._clients = weakref.WeakKeyDictionary()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A model is shared by all copies of an agent: it holds connections, no conversation."""
        return self

    async def acall(
        self,
        messages: Iterable[Any] | str,
        tools: Iterable[Any] | None = None,
        *,
        stream: bool = True,
        **options: Any,
    ) -> ModelAnswer:
        """Asks the model. The answer streams, except with tools: then it is whole on return, `has_tool_calls` final.

        Messages are dictionaries or a request's own `messages`; tools are dictionaries, `Tool`s or a registry;
        `options` (temperature, max_tokens, session_id, …) go into the request as they are.
        """
        told = [{"role": "user", "content": messages}] if isinstance(messages, str) else map(_plain, messages)
        offered = [each.schema if isinstance(each, Tool) else each for each in tools or ()]
        body = {"model": self.model_name, "messages": list(told), **self.defaults, **options, "stream": True}
        body.setdefault("stream_options", {"include_usage": True})
        if offered:
            body["tools"] = offered
        response = await self._open(body)
        answer = ModelAnswer(self._events(response), response.aclose)
        return answer if stream and not offered else await answer.read()

    async def aclose(self) -> None:
        """Closes the connections of this event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    @property
    def _client(self) -> httpx2.AsyncClient:
        # connections belong to the loop that opened them
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            headers = {"authorization": f"Bearer {self._api_key}"} if self._api_key else {}
            client = httpx2.AsyncClient(
                headers=headers, timeout=self._timeout, limits=CONNECTIONS, transport=self._transport
            )
            self._clients[loop] = client
        return client

    async def _open(self, body: Mapping[str, Any]) -> httpx2.Response:
        """An answer whose status is good; what may pass is tried again before any content was seen."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._send(body)
            except (ServerError, ServerUnreachableError) as error:
                pause = _pause(error, attempt)
                if attempt > self.max_retries or pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _send(self, body: Mapping[str, Any]) -> httpx2.Response:
        url = f"{self.base_url}/chat/completions"
        request = self._client.build_request("POST", url, json=body)
        try:
            response = await self._client.send(request, stream=True)
            if response.is_success:
                return response
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            msg = f"{url}: {error}"
            raise ServerUnreachableError(msg) from error
        raise _RefusedAnswer(response.headers, server_error(response.status_code, content))

    async def _events(self, response: httpx2.Response) -> AsyncIterator[Mapping[str, Any]]:
        try:
            if "text/event-stream" not in response.headers.get("content-type", ""):
                yield _read(await response.aread())
                return
            async for event in httpx2.EventSource(response, max_event_size=LARGEST_EVENT):
                if event.data == "[DONE]":
                    return
                if event.data:
                    yield _read(event.data)
        except httpx2.TransportError as error:
            msg = f"the answer broke off: {error}"
            raise ServerUnreachableError(msg) from error
        finally:
            await response.aclose()


class _RefusedAnswer(ServerError):
    """An error status with the headers that say whether and when to try again."""

    def __init__(self, headers: httpx2.Headers, told: ServerError) -> None:
        super().__init__(told.status, told.message, told.code)
        self.headers = headers


def _pause(error: TollwayError, attempt: int) -> float | None:
    """How long to wait before the next attempt; None when another one cannot help."""
    jittered: float = min(0.5 * 2 ** (attempt - 1), 8.0) * random.uniform(0.75, 1.0)
    if not isinstance(error, _RefusedAnswer):
        return jittered
    if error.status not in RETRYABLE or error.headers.get("x-should-retry") == "false":
        return None
    told: float = 0.0
    with contextlib.suppress(ValueError):
        told = float(error.headers.get("retry-after", 0))
    return max(told, jittered) if told <= LONGEST_RETRY_AFTER_SECONDS else None


def _plain(message: Any) -> Any:
    return message.model_dump(exclude_none=True) if isinstance(message, BaseModel) else message


def _read(data: str | bytes) -> Mapping[str, Any]:
    try:
        event = json.loads(data)
    except ValueError as error:
        raise ServerUnreachableError("the answer is not JSON") from error
    if not isinstance(event, dict):
        raise ServerUnreachableError("the answer is not an object")
    return event
